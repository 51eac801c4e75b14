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
#include "pixels_cases.hpp"
#include "pixels_reference.hpp"
#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using fastntk::Field;
using fastntk::Neighbourhoods;
using fastntk::PixelFeatures;
using fastntk::PoolColumns;
using fastntk::RowRange;
using fastntk::Tile;
using fastntk::View;
using pixels::Columns;
using pixels::FeatureCase;
using pixels::Features;
using pixels::Matrix;
using pixels::PoolCase;
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
    std::fill_n(wide.row(i), wide.stride, std::numeric_limits<T>::quiet_NaN());
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

template <class T>
void check_neighbourhoods() {
  pixels::for_neighbourhoods([](const Neighbourhoods& shape, std::size_t images, std::size_t channels) {
    const Matrix<double> x = integer_rows<double>(images, shape.pixels() * channels, 9, 3);
    const Matrix<double> all = pixels::expect_neighbourhoods(shape, channels, x);
    for (const std::size_t first : {std::size_t{0}, all.rows / 2, all.rows - 1}) {
      Matrix<double> expected(std::min<std::size_t>(all.rows - first, 10), all.cols);
      std::copy_n(&all.values[first * all.cols], expected.values.size(), expected.values.begin());
      on_tile([&](Tile<Cpu>& tile) {
        const View<T> out = scratch_of<T>(tile, Matrix<double>(expected.rows, expected.cols), 2);
        fastntk::neighbourhoods<T, Cpu>(tile, shape, scratch_of<T>(tile, x), channels, first, out);
        check_equal(out, expected, pixels::describe(shape) + " from " + std::to_string(first));
      });
    }
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
    const std::vector<T> weights = constants<T>(weight);
    on_tile([&](Tile<Cpu>& tile) {
      const View<T> out = scratch_of<T>(tile, Matrix<double>(c.band.rows(), m), 2);
      fastntk::fold_patches<T, Cpu>(tile, c.band, scratch_of<T>(tile, pixels::held_rows(c.band, whole)),
                                    {shift.data(), weights.data()}, out);
      check_equal(out, pixels::expect_fold_patches(c.band, whole, shift, weight), pixels::describe(c));
    });
  }
}

TEST(patches_are_folded_in_float32) { check_folds<float>(); }
TEST(patches_are_folded_in_float64) { check_folds<double>(); }

/// phi and gate, and each alone, which must not change the other's bits.
template <class T>
void check_features(const FeatureCase& c) {
  const Features& f = c.f;
  const Matrix<double>& z = c.z;
  const auto expected = pixels::expect_pixel_features(f, c.z, c.mean.values, c.norm.values);
  const auto offset = constants<T>(f.offset), kappa_1 = constants<T>(f.kappa_1), kappa_0 = constants<T>(f.kappa_0),
             constant = constants<T>(f.constant), mean = constants<T>(c.mean), norm = constants<T>(c.norm);
  const auto or_null = [](const std::vector<T>& values) { return values.empty() ? nullptr : values.data(); };
  const PixelFeatures<T> features{f.relu, f.degree, or_null(offset), or_null(kappa_1), or_null(kappa_0), constant.data()};
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  on_tile([&](Tile<Cpu>& tile) {
    const auto run = [&](View<T> phi, View<T> gate) {
      fastntk::pixel_features<T, Cpu>(tile, features, scratch_of<T>(tile, z), or_null(mean), norm.data(),
                                      static_cast<T>(f.scale_1), static_cast<T>(f.scale_0), phi, gate);
    };
    const Matrix<double> empty(z.rows, f.m);
    const View<T> phi = scratch_of<T>(tile, empty, 2), gate = scratch_of<T>(tile, empty, 3);
    run(phi, gate);
    check_equal(phi, expected.phi, c.name() + ": phi", c.phi_tolerance(eps));
    check_equal(gate, expected.gate, c.name() + ": gate", c.gate_tolerance(eps));
    const View<T> phi_alone = scratch_of<T>(tile, empty), gate_alone = scratch_of<T>(tile, empty);
    run(phi_alone, {});
    run({}, gate_alone);
    for (std::size_t p = 0; p < z.rows; ++p)
      for (std::size_t j = 0; j < f.m; ++j) {
        CHECK(phi_alone(p, j) == phi(p, j));
        CHECK(gate_alone(p, j) == gate(p, j));
        if (norm[p] == 0) CHECK(phi(p, j) == 0);
        if (mean.empty() && std::all_of(&z(p, 0), &z(p, 0) + z.cols, [](double value) { return value == 0; }))
          CHECK(gate(p, j) == 0);
      }
  });
}

TEST(features_of_pixels_in_float32) { pixels::for_feature_cases(check_features<float>); }
TEST(features_of_pixels_in_float64) { pixels::for_feature_cases(check_features<double>); }

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
void check_pooling(const PoolCase& c) {
  const Columns& how = c.columns;
  const auto linear = constants<T>(how.linear), product = constants<T>(how.product), last = constants<T>(how.last);
  const PoolColumns<T> columns{
      how.shift.data(), linear.data(), product.data(), last.data(), how.signs.empty() ? nullptr : how.signs.data(),
      how.words};
  on_tile([&](Tile<Cpu>& tile) {
    const auto view = [&](const Matrix<double>& values) {
      return values.values.empty() ? View<const T>() : View<const T>(scratch_of<T>(tile, values));
    };
    const View<T> out = scratch_of<T>(tile, c.before, 2);
    fastntk::pool_columns<T, Cpu>(tile, columns, c.first_pixel, c.pixels, view(c.psi), view(c.phi), view(c.gate), out);
    check_equal(out, c.expected(), c.name());
  });
}

template <class T>
void check_poolings() {
  for (const std::size_t columns : {16, 32, 48, 64, 112, 192, 1008})
    for (const std::size_t m : {64, 192})
      for (const std::size_t images : {1, 3})
        pixels::for_pool_cases(columns, m, images, images == 3 ? 5 : 0, check_pooling<T>);
}

TEST(columns_are_pooled_in_float32) { check_poolings<float>(); }
TEST(columns_are_pooled_in_float64) { check_poolings<double>(); }

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
