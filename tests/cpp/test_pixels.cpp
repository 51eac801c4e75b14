// The primitives for features of pixels against their definitions. Inputs are small integers, whose sums are exact in
// float32 too, so that the results must be equal wherever there is neither a root nor a quotient.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "pixels_reference.hpp"
#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using fastntk::Field;
using fastntk::PatchBand;
using fastntk::PatchFold;
using fastntk::PixelFeatures;
using fastntk::PoolColumns;
using fastntk::RowRange;
using fastntk::Tile;
using fastntk::View;
using pixels::Columns;
using pixels::Features;
using pixels::Matrix;
using pixels::nothing;
using sketches::integer_rows;

/// Calls f(tile) with a tile of this thread.
template <class F>
void on_tile(F f) {
  fastntk::for_tiles<Cpu>(Cpu{1}, 1, 1, [&](Tile<Cpu>& tile, RowRange) { f(tile); });
}

/// The matrix in scratch memory, its rows `gap` * 64 bytes apart.
template <class T>
View<T> scratch_of(Tile<Cpu>& tile, const Matrix<double>& values, std::size_t gap = 1) {
  const View<T> wide = tile.scratch<T>(values.rows, values.cols + gap * 64 / sizeof(T));
  for (std::size_t i = 0; i < wide.rows; ++i) {
    std::fill_n(wide.row(i), wide.cols, std::numeric_limits<T>::quiet_NaN());
    std::copy_n(values.values.begin() + static_cast<std::ptrdiff_t>(i * values.cols), values.cols, wide.row(i));
  }
  return wide.col_block(0, values.cols);
}

template <class T>
std::vector<T> constants(const Matrix<double>& values) {
  return {values.values.begin(), values.values.end()};
}

/// Whether the entries are equal, and nothing was written beyond the columns.
template <class T>
void check_equal(View<T> found, const Matrix<double>& expected, const std::string& what, double tolerance = 0) {
  double worst = 0;
  std::size_t spilt = 0;
  for (std::size_t i = 0; i < expected.rows; ++i) {
    for (std::size_t j = 0; j < expected.cols; ++j) {
      const double difference = std::abs(static_cast<double>(found(i, j)) - expected(i, j));
      worst = difference <= worst ? worst : difference;  // NaN stays
    }
    for (std::size_t j = expected.cols; j < found.stride; ++j) spilt += !std::isnan(found.row(i)[j]);
  }
  if (!CHECK(worst <= tolerance)) std::cout << what << ": off by " << worst << "\n";
  if (!CHECK(spilt == 0)) std::cout << what << ": wrote beyond the columns\n";
}

std::vector<std::uint32_t> shifts(std::size_t count, std::size_t m, std::uint64_t seed) {
  const fastntk::rng::Draws draws{seed, fastntk::rng::Stream::sample};
  std::vector<std::uint32_t> out(count);
  const auto groups = static_cast<std::uint32_t>(m / fastntk::fold_group);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<std::uint32_t>(draws.integer(i, groups)) * static_cast<std::uint32_t>(fastntk::fold_group);
  return out;
}

/// The band from a field of which only the rows that it needs are held, in their turn; NaN in the places of others.
template <class T>
void check_fold(const PatchBand& band, const Matrix<double>& whole, const std::string& what) {
  const std::size_t m = whole.cols, taps = band.q * band.q;
  const std::vector<std::uint32_t> shift = shifts(taps, m, taps);
  const Matrix<double> weight = integer_rows<double>(taps, m, 3, 7);
  const std::vector<T> weights = constants<T>(weight);
  on_tile([&](Tile<Cpu>& tile) {
    const Field& field = band.in;
    Matrix<double> held(field.images * field.held * field.width, m);
    std::fill(held.values.begin(), held.values.end(), std::numeric_limits<double>::quiet_NaN());
    const std::size_t begin = band.first - std::min(band.first, band.pad);
    const std::size_t end = std::min(field.height, band.first + band.count + band.q - 1 - band.pad);
    CHECK(end - begin <= field.held);
    for (std::size_t b = 0; b < field.images; ++b)
      for (std::size_t i = begin; i < end; ++i)
        for (std::size_t j = 0; j < field.width; ++j)
          for (std::size_t c = 0; c < m; ++c) held(field.row(b, i, j), c) = whole(pixels::whole_row(field, b, i, j), c);
    const View<T> out = scratch_of<T>(tile, Matrix<double>(band.rows(), m), 2);
    fastntk::fold_patches<T, Cpu>(tile, band, scratch_of<T>(tile, held), {shift.data(), weights.data()}, out);
    check_equal(out, pixels::expect_fold_patches(band, whole, shift, weight), what);
  });
}

template <class T>
void check_folds() {
  for (const std::size_t q : {1, 2, 3, 5})
    for (const bool same : {false, true})
      for (const std::size_t height : {1, 2, 4, 7, 9})
        for (const std::size_t width : {1, 3, 6, 8}) {
          if (same ? q % 2 == 0 : q > std::min(height, width)) continue;
          const std::size_t pad = same ? q / 2 : 0, cut = same ? 0 : q - 1;
          const std::size_t m = 64 * (1 + (height + width) % 3), images = 1 + height % 3;
          const Matrix<double> whole = integer_rows<double>(images * height * width, m, 9, 5);
          for (const std::size_t count : {std::size_t{1}, std::size_t{2}, height - cut})
            for (std::size_t first = 0; first < height - cut; first += count) {
              const std::size_t rows = std::min(count, height - cut - first);
              for (const std::size_t held : {std::min(height, count + q - 1), height}) {
                const Field field{.images = images, .height = height, .width = width, .held = held};
                const PatchBand band{.in = field, .q = q, .pad = pad, .first = first, .count = rows, .width = width - cut};
                check_fold<T>(band, whole,
                              "q " + std::to_string(q) + " pad " + std::to_string(pad) + " " + std::to_string(height) + "x" +
                                  std::to_string(width) + " rows from " + std::to_string(first) + " count " +
                                  std::to_string(rows) + " held " + std::to_string(held));
              }
            }
        }
}

TEST(patches_are_folded_in_float32) { check_folds<float>(); }
TEST(patches_are_folded_in_float64) { check_folds<double>(); }

/// phi and gate, and each alone, which must not change the other's bits.
template <class T>
void check_features(const Features& f, std::size_t rows, bool with_mean, double size) {
  const std::size_t m = f.m;
  Matrix<double> z = integer_rows<double>(rows, f.degree * m, 8, 11);
  for (double& value : z.values) value *= size;
  if (rows > 1) std::fill_n(z.values.begin(), f.degree * m, 0.0);  // a pixel whose patch is zero
  std::vector<double> mean(with_mean ? rows : 0), norm(rows);
  for (std::size_t p = 0; p < rows; ++p) {
    norm[p] = size * static_cast<double>(p % 5);
    if (with_mean) mean[p] = size * static_cast<double>(p % 3);
  }
  const auto expected = pixels::expect_pixel_features(f, z, mean, norm);
  const auto offset = constants<T>(f.offset), kappa_1 = constants<T>(f.kappa_1), kappa_0 = constants<T>(f.kappa_0),
             constant = constants<T>(f.constant);
  const std::vector<T> mean_t(mean.begin(), mean.end()), norm_t(norm.begin(), norm.end());
  const auto or_null = [](const std::vector<T>& values) { return values.empty() ? nullptr : values.data(); };
  const PixelFeatures<T> features{
      f.relu,         f.degree, or_null(offset), f.relu ? nullptr : kappa_1.data(), f.relu ? nullptr : kappa_0.data(),
      constant.data()};
  // A feature is a sum of `degree` products of as many factors, each of a relative error of a few eps; entries of u are
  // up to 4, so products up to 4^degree.
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  const double unit = 8 * eps * std::pow(4.0, static_cast<double>(f.degree)) * static_cast<double>(f.degree);
  const std::string what = std::string(f.relu ? "relu" : "sketch") + " degree " + std::to_string(f.degree) + " m " +
                           std::to_string(m) + " rows " + std::to_string(rows);
  on_tile([&](Tile<Cpu>& tile) {
    const auto run = [&](View<T> phi, View<T> gate) {
      fastntk::pixel_features<T, Cpu>(tile, features, scratch_of<T>(tile, z), or_null(mean_t), norm_t.data(),
                                      static_cast<T>(f.scale_1), static_cast<T>(f.scale_0), phi, gate);
    };
    const Matrix<double> empty(rows, m);
    const View<T> phi = scratch_of<T>(tile, empty, 2), gate = scratch_of<T>(tile, empty, 3);
    run(phi, gate);
    check_equal(phi, expected.phi, what + " phi", unit * 5 * size * std::abs(f.scale_1));
    check_equal(gate, expected.gate, what + " gate", unit * std::abs(f.scale_0));
    const View<T> phi_alone = scratch_of<T>(tile, empty), gate_alone = scratch_of<T>(tile, empty);
    run(phi_alone, {});
    run({}, gate_alone);
    for (std::size_t p = 0; p < rows; ++p)
      for (std::size_t c = 0; c < m; ++c) {
        CHECK(phi_alone(p, c) == phi(p, c));
        CHECK(gate_alone(p, c) == gate(p, c));
        if (norm[p] == 0) CHECK(phi(p, c) == 0);
        if (std::all_of(&z(p, 0), &z(p, 0) + f.degree * m, [](double value) { return value == 0; }) && !with_mean)
          CHECK(gate(p, c) == 0);
      }
  });
}

template <class T>
void check_all_features() {
  for (const std::size_t m : {64, 192, 512})
    for (const std::size_t rows : {1, 2, 7})
      for (const bool with_offset : {false, true})
        for (const bool with_mean : {false, true})
          for (const double size : {1.0, 0x1p50, 0x1p-50}) {
            const auto drawn = [&](std::size_t count, std::uint64_t seed) {
              Matrix<double> values = integer_rows<double>(count, m, 4, seed);
              for (double& value : values.values) value /= 4;
              return values;
            };
            Features f{.relu = true,
                       .degree = 1,
                       .m = m,
                       .offset = with_offset ? drawn(1, 21) : nothing(),
                       .kappa_1 = nothing(),
                       .kappa_0 = nothing(),
                       .constant = drawn(1, 22),
                       .scale_1 = 0.5,
                       .scale_0 = 0.25};
            check_features<T>(f, rows, with_mean, size);
            f.relu = false;
            for (const std::size_t degree : {1, 2, 3, 6}) {
              f.degree = degree;
              f.offset = with_offset ? drawn(degree, 21) : nothing();
              f.kappa_1 = drawn(degree, 23);
              f.kappa_0 = drawn(degree, 24);
              check_features<T>(f, rows, with_mean, size);
            }
          }
}

TEST(features_of_pixels_in_float32) { check_all_features<float>(); }
TEST(features_of_pixels_in_float64) { check_all_features<double>(); }

template <class T>
void check_combinations() {
  for (const std::size_t rows : {1, 2, 5, 9})
    for (const std::size_t m : {64, 192})
      for (const std::size_t k : {0, 1, 3, 27}) {
        const Matrix<double> coefficient = integer_rows<double>(rows, k, 9, 31), vectors = integer_rows<double>(k, m, 9, 32),
                             io = integer_rows<double>(rows, m, 9, 33);
        const std::vector<T> vector = constants<T>(vectors);
        on_tile([&](Tile<Cpu>& tile) {
          const View<T> out = scratch_of<T>(tile, io, 2);
          fastntk::add_combinations<T, Cpu>(tile, scratch_of<T>(tile, coefficient), vector.data(), out);
          check_equal(out, pixels::expect_add_combinations(coefficient, vectors, io),
                      "k " + std::to_string(k) + " m " + std::to_string(m));
        });
      }
}

TEST(combinations_are_added) {
  check_combinations<float>();
  check_combinations<double>();
}

template <class T>
void check_mixes() {
  for (const std::size_t rows : {1, 3, 8})
    for (const std::size_t m : {64, 192}) {
      const Matrix<double> psi = integer_rows<double>(rows, m, 9, 41), phi = integer_rows<double>(rows, m, 9, 42),
                           gate = integer_rows<double>(rows, m, 9, 43), sign_phi = integer_rows<double>(1, m, 2, 44),
                           sign_product = integer_rows<double>(1, m, 2, 45);
      const std::vector<T> s = constants<T>(sign_phi), t = constants<T>(sign_product);
      const Matrix<double> expected = pixels::expect_mix_features(psi, phi, gate, 3, sign_phi, sign_product);
      on_tile([&](Tile<Cpu>& tile) {
        const View<T> in = scratch_of<T>(tile, psi), fresh = scratch_of<T>(tile, Matrix<double>(rows, m), 2);
        for (const View<T>& out : {fresh, in}) {
          fastntk::mix_features<T, Cpu>(tile, in, scratch_of<T>(tile, phi), scratch_of<T>(tile, gate, 3), T(3), s.data(),
                                        t.data(), out);
          check_equal(out, expected, "m " + std::to_string(m));
        }
      });
    }
}

TEST(features_are_mixed_in_place_and_out_of_it) {
  check_mixes<float>();
  check_mixes<double>();
}

template <class T>
void check_pooling(std::size_t columns, std::size_t m, std::size_t images, std::size_t pixels, std::size_t first_pixel) {
  const std::size_t blocks = (columns + m - 1) / m;
  Columns how{.shift = shifts(blocks, m, columns),
              .linear = integer_rows<double>(1, columns, 2, 51),
              .product = integer_rows<double>(1, columns, 2, 52),
              .last = integer_rows<double>(1, columns, 2, 53),
              .signs = {},
              .words = (columns + 31) / 32 + 1};
  const auto linear = constants<T>(how.linear), product = constants<T>(how.product), last = constants<T>(how.last);
  const Matrix<double> psi = integer_rows<double>(images * pixels, m, 8, 54),
                       phi = integer_rows<double>(images * pixels, m, 8, 55),
                       gate = integer_rows<double>(images * pixels, m, 8, 56),
                       before = integer_rows<double>(images, columns, 8, 57);
  for (const bool with_signs : {false, true}) {
    if (with_signs) {
      const fastntk::rng::Draws draws{58, fastntk::rng::Stream::sign};
      how.signs.resize((first_pixel + pixels) * how.words);
      for (std::size_t i = 0; i < how.signs.size(); ++i) how.signs[i] = draws.bits(i)[0];
    }
    for (const int parts : {1, 2, 3}) {  // psi and gate, phi, or all
      const Matrix<double> some_psi = parts & 1 ? psi : nothing(), some_gate = parts & 1 ? gate : nothing(),
                           some_phi = parts & 2 ? phi : nothing();
      on_tile([&](Tile<Cpu>& tile) {
        const auto view = [&](const Matrix<double>& values) {
          return values.values.empty() ? View<const T>() : View<const T>(scratch_of<T>(tile, values));
        };
        const View<T> out = scratch_of<T>(tile, before, 2);
        const PoolColumns<T> how_t{
            how.shift.data(), linear.data(), product.data(), last.data(), with_signs ? how.signs.data() : nullptr,
            how.words};
        fastntk::pool_columns<T, Cpu>(tile, how_t, first_pixel, pixels, view(some_psi), view(some_phi), view(some_gate),
                                      out);
        check_equal(out, pixels::expect_pool_columns(how, m, first_pixel, pixels, some_psi, some_phi, some_gate, before),
                    "columns " + std::to_string(columns) + " m " + std::to_string(m) + " parts " + std::to_string(parts) +
                        (with_signs ? " signs" : ""));
      });
    }
  }
}

template <class T>
void check_poolings() {
  for (const std::size_t columns : {16, 32, 48, 64, 112, 192, 1008})
    for (const std::size_t m : {64, 192})
      for (const std::size_t images : {1, 3}) check_pooling<T>(columns, m, images, 1 + columns % 9, images == 3 ? 5 : 0);
}

TEST(columns_are_pooled_in_float32) { check_poolings<float>(); }
TEST(columns_are_pooled_in_float64) { check_poolings<double>(); }

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
