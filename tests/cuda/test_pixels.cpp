// The device's primitives for features of pixels, by their definitions. Inputs are small integers, whose sums are exact in
// float32 too: results must be equal, and so equal to the CPU's, wherever there is neither a root nor a quotient.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "../cpp/pixels_reference.hpp"
#include "device.hpp"

namespace {

using device::DeviceMatrix;
using device::Guarded;
using fastntk::Buffer;
using fastntk::Cuda;
using fastntk::Field;
using fastntk::PatchBand;
using fastntk::PixelFeatures;
using fastntk::PoolColumns;
using fastntk::Tile;
using fastntk::View;
using pixels::Columns;
using pixels::Features;
using pixels::nothing;
using sketches::integer_rows;
using sketches::Matrix;

template <class T>
Matrix<T> rounded(const Matrix<double>& x) {
  Matrix<T> out(x.rows, x.cols);
  std::transform(x.values.begin(), x.values.end(), out.values.begin(), [](double value) { return static_cast<T>(value); });
  return out;
}

/// Constants on the device, or a null pointer if there are none.
template <class T>
struct Constants {
  explicit Constants(const Matrix<double>& x) : memory(Cuda(), rounded<T>(x).values) {}
  const T* data() const { return memory.data(); }
  Buffer<T, Cuda> memory;
};

/// A matrix on the device; a view without data if it is empty.
template <class T>
struct Input {
  explicit Input(const Matrix<double>& x, std::size_t gap = 3) : empty(x.values.empty()), matrix(rounded<T>(x), gap) {}
  View<T, Cuda> view() { return empty ? View<T, Cuda>() : matrix.view(); }
  bool empty;
  DeviceMatrix<T> matrix;
};

template <class T>
bool check_equal(const Matrix<T>& found, const Matrix<double>& expected, const std::string& what, double tolerance = 0) {
  double worst = 0;
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    const double difference = std::abs(static_cast<double>(found.values[i]) - expected.values[i]);
    worst = difference <= worst ? worst : difference;  // NaN stays
  }
  if (worst <= tolerance) return true;
  check::fail(__FILE__, __LINE__, what + " is off by " + std::to_string(worst));
  return false;
}

std::vector<std::uint32_t> shifts(std::size_t count, std::size_t m, std::uint64_t seed) {
  const fastntk::rng::Draws draws{seed, fastntk::rng::Stream::sample};
  std::vector<std::uint32_t> out(count);
  const auto groups = static_cast<std::uint32_t>(m / fastntk::fold_group);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<std::uint32_t>(draws.integer(i, groups)) * static_cast<std::uint32_t>(fastntk::fold_group);
  return out;
}

// The band from a field of which only the rows that it needs are held, in their turn; NaN in the places of others.
template <class T>
void check_fold(const PatchBand& band, std::size_t m) {
  const Field& field = band.in;
  const std::size_t taps = band.q * band.q;
  const std::vector<std::uint32_t> shift = shifts(taps, m, taps);
  const Matrix<double> weight = integer_rows<double>(taps, m, 3, 7);
  const Matrix<double> whole = integer_rows<double>(field.images * field.height * field.width, m, 9, 5);
  Matrix<double> held(field.images * field.held * field.width, m);
  std::fill(held.values.begin(), held.values.end(), std::numeric_limits<double>::quiet_NaN());
  const std::size_t begin = band.first - std::min(band.first, band.pad);
  const std::size_t end = std::min(field.height, band.first + band.count + band.q - 1 - band.pad);
  for (std::size_t b = 0; b < field.images; ++b)
    for (std::size_t i = begin; i < end; ++i)
      for (std::size_t j = 0; j < field.width; ++j)
        std::copy_n(&whole.values[pixels::whole_row(field, b, i, j) * m], m, &held.values[field.row(b, i, j) * m]);

  const Buffer<std::uint32_t, Cuda> shift_there(Cuda(), shift);
  const Constants<T> weight_there(weight);
  const Matrix<double> expected = pixels::expect_fold_patches(band, whole, shift, weight);
  for (const std::size_t gap : {4, 5}) {  // rows aligned to 16 bytes, and not
    const Input<T> in(held, gap);
    Guarded<T> out(Matrix<T>(band.rows(), m), gap);
    Tile<Cuda> tile(Cuda{});
    fastntk::fold_patches<T, Cuda>(tile, band, in.matrix.view(), {shift_there.data(), weight_there.data()}, out.view());
    check_equal(out.to_host(), expected,
                "q " + std::to_string(band.q) + " pad " + std::to_string(band.pad) + " of " + std::to_string(field.height) +
                    "x" + std::to_string(field.width) + " from row " + std::to_string(band.first) + ", m " +
                    std::to_string(m) + ", rows " + std::to_string(gap) + " apart");
  }
}

template <class T>
void check_folds() {
  for (const std::size_t q : {1, 2, 3, 5})
    for (const std::size_t pad : {std::size_t{0}, q / 2})
      for (const std::size_t height : {1, 5, 8})
        for (const std::size_t width : {1, 7, 9, 18}) {
          if (pad > 0 ? q % 2 == 0 : q > std::min(height, width)) continue;
          const std::size_t cut = q - 1 - 2 * pad, images = 1 + height % 3;
          // All at once, and bands of two rows from as many rows as one needs.
          const std::size_t m = width == 7 ? 512 : width == 18 ? 192 : 64;
          check_fold<T>({.in = {.images = images, .height = height, .width = width, .held = height},
                         .q = q,
                         .pad = pad,
                         .first = 0,
                         .count = height - cut,
                         .width = width - cut},
                        m);
          for (std::size_t first = 0; first < height - cut; first += 2)
            check_fold<T>({.in = {.images = images, .height = height, .width = width, .held = std::min(height, q + 1)},
                           .q = q,
                           .pad = pad,
                           .first = first,
                           .count = std::min<std::size_t>(2, height - cut - first),
                           .width = width - cut},
                          m);
        }
  check_fold<T>(
      {.in = {.images = 2, .height = 3, .width = 4, .held = 3}, .q = 3, .pad = 1, .first = 0, .count = 3, .width = 4}, 1024);
}

TEST(patches_are_folded_in_float32) { check_folds<float>(); }
TEST(patches_are_folded_in_float64) { check_folds<double>(); }

// phi and gate, and each alone, which must not change the other's bits.
template <class T>
void check_features(const Features& f, std::size_t rows, bool with_mean, double size) {
  const std::size_t m = f.m;
  Matrix<double> z = integer_rows<double>(rows, f.degree * m, 8, 11);
  for (double& value : z.values) value *= size;
  if (rows > 1) std::fill_n(z.values.begin(), f.degree * m, 0.0);  // a pixel whose patch is zero
  Matrix<double> mean(with_mean ? 1 : 0, rows), norm(1, rows);
  for (std::size_t p = 0; p < rows; ++p) {
    norm.values[p] = size * static_cast<double>(p % 5);
    if (with_mean) mean.values[p] = size * static_cast<double>(p % 3);
  }
  const auto expected = pixels::expect_pixel_features(f, z, mean.values, norm.values);
  const Constants<T> offset(f.offset), kappa_1(f.kappa_1), kappa_0(f.kappa_0), constant(f.constant), means(mean),
      norms(norm);
  const PixelFeatures<T> features{f.relu, f.degree, offset.data(), kappa_1.data(), kappa_0.data(), constant.data()};
  // A feature is a sum of `degree` products of as many factors, each of a relative error of a few eps; entries of u are
  // below 4.
  const double eps = std::numeric_limits<T>::epsilon();
  const double unit = 8 * eps * std::pow(4.0, static_cast<double>(f.degree)) * static_cast<double>(f.degree);
  const std::string what = std::string(f.relu ? "relu" : "sketch") + " of degree " + std::to_string(f.degree) + ", m " +
                           std::to_string(m) + ", rows " + std::to_string(rows);
  Tile<Cuda> tile(Cuda{});
  const auto run = [&](View<T, Cuda> phi, View<T, Cuda> gate) {
    Input<T> in(z);
    fastntk::pixel_features<T, Cuda>(tile, features, in.view(), means.data(), norms.data(), static_cast<T>(f.scale_1),
                                     static_cast<T>(f.scale_0), phi, gate);
  };
  const Matrix<T> empty(rows, m);
  Guarded<T> phi(empty, 2), gate(empty, 3), phi_alone(empty, 1), gate_alone(empty, 0);
  run(phi.view(), gate.view());
  run(phi_alone.view(), {});
  run({}, gate_alone.view());
  const Matrix<T> found_phi = phi.to_host(), found_gate = gate.to_host();
  check_equal(found_phi, expected.phi, what + ": phi", unit * 5 * size * std::abs(f.scale_1));
  check_equal(found_gate, expected.gate, what + ": gate", unit * std::abs(f.scale_0));
  CHECK(phi_alone.to_host() == found_phi);
  CHECK(gate_alone.to_host() == found_gate);
  if (rows == 1 || (with_mean && mean.values[0] != 0)) return;
  for (std::size_t c = 0; c < m; ++c) CHECK(found_gate(0, c) == 0 && found_phi(0, c) == 0);
}

template <class T>
void check_all_features() {
  const auto drawn = [](std::size_t count, std::size_t m, std::uint64_t seed) {
    Matrix<double> values = integer_rows<double>(count, m, 4, seed);
    for (double& value : values.values) value /= 4;
    return values;
  };
  for (const std::size_t m : {64, 192, 1024})
    for (const std::size_t rows : {1, 7})
      for (const bool with_mean : {false, true})
        for (const double size : {1.0, 0x1p50, 0x1p-50}) {
          Features f{.relu = true,
                     .degree = 1,
                     .m = m,
                     .offset = with_mean || rows == 1 ? drawn(1, m, 21) : nothing(),
                     .kappa_1 = nothing(),
                     .kappa_0 = nothing(),
                     .constant = drawn(1, m, 22),
                     .scale_1 = 0.5,
                     .scale_0 = 0.25};
          check_features<T>(f, rows, with_mean, size);
          f.relu = false;
          for (const std::size_t degree : {1, 2, 6}) {
            f.degree = degree;
            if (!f.offset.values.empty()) f.offset = drawn(degree, m, 21);
            f.kappa_1 = drawn(degree, m, 23);
            f.kappa_0 = drawn(degree, m, 24);
            check_features<T>(f, rows, with_mean, size);
          }
        }
}

TEST(features_of_pixels_in_float32) { check_all_features<float>(); }
TEST(features_of_pixels_in_float64) { check_all_features<double>(); }

TEST(features_depend_on_their_pixel_only) {
  const std::size_t rows = 9, m = 512, degree = 3;
  const Matrix<double> z = integer_rows<double>(rows, degree * m, 8, 11), norm = integer_rows<double>(1, rows, 5, 12);
  const Constants<float> kappa(integer_rows<double>(degree, m, 4, 13)), norms(norm);
  const PixelFeatures<float> features{false, degree, nullptr, kappa.data(), kappa.data(), kappa.data()};
  Input<float> in(z);
  DeviceMatrix<float> whole(rows, m), parts(rows, m);
  Tile<Cuda> tile(Cuda{});
  const auto run = [&](std::size_t first, std::size_t count, DeviceMatrix<float>& phi) {
    fastntk::pixel_features<float, Cuda>(tile, features, in.view().row_block(first, count), nullptr, norms.data() + first, 1,
                                         1, phi.view().row_block(first, count), {});
  };
  run(0, rows, whole);
  for (std::size_t first = 0; first < rows; first += 2) run(first, std::min<std::size_t>(2, rows - first), parts);
  CHECK(parts.to_host() == whole.to_host());
}

template <class T>
void check_combinations() {
  for (const std::size_t rows : {1, 5, 9})
    for (const std::size_t m : {64, 512})
      for (const std::size_t k : {0, 1, 3, 27}) {
        const Matrix<double> coefficient = integer_rows<double>(rows, k, 9, 31), vectors = integer_rows<double>(k, m, 9, 32),
                             io = integer_rows<double>(rows, m, 9, 33);
        const Constants<T> vector(vectors);
        const Input<T> coefficients(coefficient);
        Guarded<T> out(rounded<T>(io), 2);
        Tile<Cuda> tile(Cuda{});
        fastntk::add_combinations<T, Cuda>(tile, coefficients.matrix.view(), vector.data(), out.view());
        check_equal(out.to_host(), pixels::expect_add_combinations(coefficient, vectors, io), "k " + std::to_string(k));
      }
}

TEST(combinations_are_added) {
  check_combinations<float>();
  check_combinations<double>();
}

template <class T>
void check_mixes() {
  for (const std::size_t rows : {1, 3, 8})
    for (const std::size_t m : {64, 512}) {
      const Matrix<double> psi = integer_rows<double>(rows, m, 9, 41), phi = integer_rows<double>(rows, m, 9, 42),
                           gate = integer_rows<double>(rows, m, 9, 43), sign_phi = integer_rows<double>(1, m, 2, 44),
                           sign_product = integer_rows<double>(1, m, 2, 45);
      const Constants<T> s(sign_phi), t(sign_product);
      Guarded<T> in(rounded<T>(psi), 1), fresh(Matrix<T>(rows, m), 2);
      Input<T> phis(phi), gates(gate);
      for (Guarded<T>* const out : {&fresh, &in}) {
        Tile<Cuda> tile(Cuda{});
        fastntk::mix_features<T, Cuda>(tile, in.view(), phis.view(), gates.view(), T(3), s.data(), t.data(), out->view());
        check_equal(out->to_host(), pixels::expect_mix_features(psi, phi, gate, 3, sign_phi, sign_product),
                    out == &in ? "in place" : "elsewhere");
      }
    }
}

TEST(features_are_mixed_in_place_and_out_of_it) {
  check_mixes<float>();
  check_mixes<double>();
}

template <class T>
void check_pooling(std::size_t columns, std::size_t m, std::size_t images, std::size_t pixels, std::size_t first_pixel) {
  Columns how{.shift = shifts((columns + m - 1) / m, m, columns),
              .linear = integer_rows<double>(1, columns, 2, 51),
              .product = integer_rows<double>(1, columns, 2, 52),
              .last = integer_rows<double>(1, columns, 2, 53),
              .signs = {},
              .words = (columns + 31) / 32 + 1};
  std::vector<std::uint32_t> random_signs((first_pixel + pixels) * how.words);
  const fastntk::rng::Draws draws{58, fastntk::rng::Stream::sign};
  for (std::size_t i = 0; i < random_signs.size(); ++i) random_signs[i] = draws.bits(i)[0];
  const Matrix<double> psi = integer_rows<double>(images * pixels, m, 8, 54),
                       phi = integer_rows<double>(images * pixels, m, 8, 55),
                       gate = integer_rows<double>(images * pixels, m, 8, 56),
                       before = integer_rows<double>(images, columns, 8, 57);
  const Constants<T> linear(how.linear), product(how.product), last(how.last);
  const Buffer<std::uint32_t, Cuda> shift(Cuda(), how.shift);
  for (const bool with_signs : {false, true}) {
    if (with_signs) how.signs = random_signs;
    const Buffer<std::uint32_t, Cuda> signs(Cuda(), how.signs);
    for (const int parts : {1, 2, 3}) {  // psi and gate, phi, or all
      const Matrix<double> some_psi = parts & 1 ? psi : nothing(), some_gate = parts & 1 ? gate : nothing(),
                           some_phi = parts & 2 ? phi : nothing();
      Input<T> psi_there(some_psi), phi_there(some_phi), gate_there(some_gate);
      Guarded<T> out(rounded<T>(before), 1);
      Tile<Cuda> tile(Cuda{});
      const PoolColumns<T> there{shift.data(), linear.data(), product.data(), last.data(), signs.data(), how.words};
      fastntk::pool_columns<T, Cuda>(tile, there, first_pixel, pixels, psi_there.view(), phi_there.view(), gate_there.view(),
                                     out.view());
      check_equal(out.to_host(),
                  pixels::expect_pool_columns(how, m, first_pixel, pixels, some_psi, some_phi, some_gate, before),
                  std::to_string(columns) + " columns, m " + std::to_string(m) + ", parts " + std::to_string(parts) +
                      (with_signs ? ", signs" : ""));
    }
  }
}

template <class T>
void check_poolings() {
  for (const std::size_t columns : {1, 33, 64, 100, 512, 1000})
    for (const std::size_t m : {64, 192})
      for (const std::size_t images : {1, 3}) check_pooling<T>(columns, m, images, 1 + columns % 9, images == 3 ? 5 : 0);
  // So many that a thread has several: in whole groups, and one more.
  for (const std::size_t columns : {4096, 4097}) check_pooling<T>(columns, 1024, 9, 2, 3);
}

TEST(columns_are_pooled_in_float32) { check_poolings<float>(); }
TEST(columns_are_pooled_in_float64) { check_poolings<double>(); }

TEST(columns_have_the_same_bits_in_any_company) {
  const std::size_t columns = 4097, m = 1024, images = 9, pixels = 5;
  const Matrix<double> random = sketches::random_rows<double>(images * pixels, m, 3);
  Input<float> in(random);
  const Constants<float> weight(sketches::random_rows<double>(1, columns, 4));
  const Buffer<std::uint32_t, Cuda> shift(Cuda(), shifts(5, m, 1));
  const PoolColumns<float> how{shift.data(), weight.data(), weight.data(), weight.data(), nullptr, 0};
  const Matrix<float> zero(images, columns);
  DeviceMatrix<float> whole(zero), single(zero);
  Tile<Cuda> tile(Cuda{});
  const auto run = [&](std::size_t first, std::size_t count, DeviceMatrix<float>& out) {
    const View<const float, Cuda> rows = in.view().row_block(first * pixels, count * pixels);
    fastntk::pool_columns<float, Cuda>(tile, how, 0, pixels, rows, rows, rows, out.view().row_block(first, count));
  };
  run(0, images, whole);
  for (std::size_t b = 0; b < images; ++b) run(b, 1, single);
  CHECK(single.to_host() == whole.to_host());
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
