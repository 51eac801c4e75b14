// The device's primitives for features of pixels, by their definitions. Inputs are small integers, whose sums are exact in
// float32 too: results must be equal, and so equal to the CPU's, wherever there is neither a root nor a quotient.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "../cpp/pixels_cases.hpp"
#include "../cpp/pixels_reference.hpp"
#include "device.hpp"

namespace {

using device::DeviceMatrix;
using device::Guarded;
using fastntk::Buffer;
using fastntk::Cuda;
using fastntk::Field;
using fastntk::Neighbourhoods;
using fastntk::PixelFeatures;
using fastntk::PoolColumns;
using fastntk::Tile;
using fastntk::View;
using pixels::Columns;
using pixels::FeatureCase;
using pixels::Features;
using pixels::PoolCase;
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

template <class T>
void check_neighbourhoods() {
  pixels::for_neighbourhoods([](const Neighbourhoods& shape, std::size_t images, std::size_t channels) {
    const Matrix<double> x = integer_rows<double>(images, shape.pixels() * channels, 9, 3);
    const Matrix<double> all = pixels::expect_neighbourhoods(shape, channels, x);
    Input<T> in(x);
    Guarded<T> out(Matrix<T>(all.rows, all.cols), 2);
    Tile<Cuda> tile(Cuda{});
    const std::size_t first = all.rows / 2;
    for (const auto& [begin, count] : {std::pair{std::size_t{0}, first}, {first, all.rows - first}})
      fastntk::neighbourhoods<T, Cuda>(tile, shape, in.view(), channels, begin, out.view().row_block(begin, count));
    check_equal(out.to_host(), all, pixels::describe(shape));
  });
}

TEST(neighbourhoods_are_unrolled) {
  check_neighbourhoods<float>();
  check_neighbourhoods<double>();
}

template <class T>
void check_folds() {
  for (const pixels::FoldCase& c : pixels::fold_cases()) {
    const std::size_t m = c.m, taps = c.band.q * c.band.q;
    const Field& field = c.band.in;
    const std::vector<std::uint32_t> shift = pixels::shifts(taps, m, taps);
    const Matrix<double> whole = integer_rows<double>(field.images * field.height * field.width, m, 9, 5),
                         weight = integer_rows<double>(taps, m, 3, 7);
    const Buffer<std::uint32_t, Cuda> shift_there(Cuda(), shift);
    const Constants<T> weight_there(weight);
    const Matrix<double> expected = pixels::expect_fold_patches(c.band, whole, shift, weight);
    for (const std::size_t gap : {4, 5}) {  // rows aligned to 16 bytes, and not
      const Input<T> in(pixels::held_rows(c.band, whole), gap);
      Guarded<T> out(Matrix<T>(c.band.rows(), m), gap);
      Tile<Cuda> tile(Cuda{});
      fastntk::fold_patches<T, Cuda>(tile, c.band, in.matrix.view(), {shift_there.data(), weight_there.data()}, out.view());
      check_equal(out.to_host(), expected, pixels::describe(c) + ", rows " + std::to_string(gap) + " apart");
    }
  }
}

TEST(patches_are_folded_in_float32) { check_folds<float>(); }
TEST(patches_are_folded_in_float64) { check_folds<double>(); }

// phi and gate, and each alone, which must not change the other's bits.
template <class T>
void check_features(const FeatureCase& c) {
  const Features& f = c.f;
  const auto expected = pixels::expect_pixel_features(f, c.z, c.mean.values, c.norm.values);
  const Constants<T> offset(f.offset), kappa_1(f.kappa_1), kappa_0(f.kappa_0), constant(f.constant), mean(c.mean),
      norm(c.norm);
  const PixelFeatures<T> features{f.relu, f.degree, offset.data(), kappa_1.data(), kappa_0.data(), constant.data()};
  const double eps = std::numeric_limits<T>::epsilon();
  Tile<Cuda> tile(Cuda{});
  const auto run = [&](View<T, Cuda> phi, View<T, Cuda> gate) {
    Input<T> in(c.z);
    fastntk::pixel_features<T, Cuda>(tile, features, in.view(), mean.data(), norm.data(), static_cast<T>(f.scale_1),
                                     static_cast<T>(f.scale_0), phi, gate);
  };
  const Matrix<T> empty(c.z.rows, f.m);
  Guarded<T> phi(empty, 2), gate(empty, 3), phi_alone(empty, 1), gate_alone(empty, 0);
  run(phi.view(), gate.view());
  run(phi_alone.view(), {});
  run({}, gate_alone.view());
  const Matrix<T> found_phi = phi.to_host(), found_gate = gate.to_host();
  check_equal(found_phi, expected.phi, c.name() + ": phi", c.phi_tolerance(eps));
  check_equal(found_gate, expected.gate, c.name() + ": gate", c.gate_tolerance(eps));
  CHECK(phi_alone.to_host() == found_phi);
  CHECK(gate_alone.to_host() == found_gate);
  if (c.z.rows == 1) return;
  for (std::size_t j = 0; j < f.m; ++j) CHECK(found_gate(0, j) == 0 && found_phi(0, j) == 0);
}

TEST(features_of_pixels_in_float32) { pixels::for_feature_cases(check_features<float>); }
TEST(features_of_pixels_in_float64) { pixels::for_feature_cases(check_features<double>); }

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
void check_pooling(const PoolCase& c) {
  const Columns& how = c.columns;
  const Constants<T> linear(how.linear), product(how.product), last(how.last);
  const Buffer<std::uint32_t, Cuda> shift(Cuda(), how.shift), signs(Cuda(), how.signs);
  const PoolColumns<T> columns{shift.data(), linear.data(), product.data(), last.data(), signs.data(), how.words};
  Input<T> psi(c.psi), phi(c.phi), gate(c.gate);
  Guarded<T> out(rounded<T>(c.before), 1);
  Tile<Cuda> tile(Cuda{});
  fastntk::pool_columns<T, Cuda>(tile, columns, c.first_pixel, c.pixels, psi.view(), phi.view(), gate.view(), out.view());
  check_equal(out.to_host(), c.expected(), c.name());
}

template <class T>
void check_poolings() {
  for (const std::size_t columns : {1, 33, 64, 100, 512, 1000})
    for (const std::size_t m : {64, 192})
      for (const std::size_t images : {1, 3})
        pixels::for_pool_cases(columns, m, images, images == 3 ? 5 : 0, check_pooling<T>);
  // So many that a thread has several: in whole groups, and one more.
  for (const std::size_t columns : {4096, 4097}) pixels::for_pool_cases(columns, 1024, 9, 3, check_pooling<T>);
}

TEST(columns_are_pooled_in_float32) { check_poolings<float>(); }
TEST(columns_are_pooled_in_float64) { check_poolings<double>(); }

TEST(columns_have_the_same_bits_in_any_company) {
  const std::size_t columns = 4097, m = 1024, images = 9, pixels = 5;
  const Matrix<double> random = sketches::random_rows<double>(images * pixels, m, 3);
  Input<float> in(random);
  const Constants<float> weight(sketches::random_rows<double>(1, columns, 4));
  const Buffer<std::uint32_t, Cuda> shift(Cuda(), pixels::shifts(5, m, 1));
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
