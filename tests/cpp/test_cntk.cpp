// The exact convolutional NTK against its definition in long double, on equal, nearly equal and opposite images too.
#include <fastntk/cntk.hpp>
#include <fastntk/error.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "cntk_reference.hpp"
#include "sketches.hpp"

namespace {

using cntk::for_flags;
using cntk::Matrix;
using cntk::rows_of;
using fastntk::CntkParams;
using fastntk::Cpu;
using fastntk::ImageShape;
using fastntk::Padding;
using fastntk::Pooling;
using fastntk::View;
using sketches::random_rows;

template <class T>
Matrix<T> kernel(int threads, const Matrix<T>& x, const Matrix<T>& y, const CntkParams& params) {
  Matrix<T> out(x.rows, y.rows);
  fastntk::cntk_kernel<T, Cpu>(Cpu{threads}, x.view(), y.view(), params, out.view());
  return out;
}

template <class T>
Matrix<T> pairs(int threads, const Matrix<T>& x, const Matrix<T>& y, const CntkParams& params) {
  Matrix<T> out(x.rows, 1);
  fastntk::cntk_pairs<T, Cpu>(Cpu{threads}, x.view(), y.view(), params, out.view());
  return out;
}

template <class T>
void check_definition(const Matrix<T>& x, const CntkParams& params, double tolerance) {
  cntk::check_definition(x, kernel<T>(1, x, x, params), params, tolerance);
}

// In float32 the images are rounded once when their rows are made unit, and the functions of each layer, of relative error
// eps, twice; the sums are float64.
template <class T>
constexpr double promised = sizeof(T) == 4 ? 2e-6 : 1e-12;

template <class T>
void check_networks() {
  struct Case {
    ImageShape image;
    Padding padding;
    std::vector<std::size_t> filters, depths;
  };
  const std::vector<Case> cases = {
      {{6, 5, 3}, Padding::same, {1, 3, 5}, {1, 2, 3}},
      {{5, 7, 1}, Padding::valid, {1, 2, 3}, {1, 2}},
      {{1, 1, 2}, Padding::same, {1, 3, 7}, {2, 8}},
      {{1, 9, 2}, Padding::same, {3, 5}, {3}},
      {{8, 1, 5}, Padding::same, {3}, {3}},
      {{7, 8, 2}, Padding::valid, {4}, {2}},
      {{4, 5, 2}, Padding::valid, {4}, {1}},
      {{1, 1, 5}, Padding::valid, {1}, {3}},
      {{3, 4, 2}, Padding::same, {3, 5, 7, 9}, {2}},
      {{9, 9, 1}, Padding::valid, {2}, {8}},
      {{2, 3, 4}, Padding::same, {3}, {8}},
  };
  for (const Case& c : cases)
    for (const std::size_t q : c.filters)
      for (const std::size_t depth : c.depths)
        for_flags({.image = c.image, .depth = depth, .filter_size = q, .padding = c.padding}, [&](const CntkParams& params) {
          check_definition<T>(random_rows<T>(2, c.image.features(), q + depth), params, promised<T>);
        });
}

}  // namespace

TEST(float_networks_are_the_definition) { check_networks<float>(); }
TEST(double_networks_are_the_definition) { check_networks<double>(); }

TEST(wide_images_are_the_definition) {
  const CntkParams params{.image = {11, 40, 1}, .depth = 2};
  check_definition<double>(random_rows<double>(2, params.image.features()), params, promised<double>);
  check_definition<float>(random_rows<float>(2, params.image.features()), params, promised<float>);
}

TEST(bias_is_a_constant_channel) {
  const CntkParams params{.image = {5, 4, 2}, .depth = 2, .train_last = true, .bias = -0.75};
  check_definition<double>(random_rows<double>(3, params.image.features()), params, promised<double>);
  check_definition<float>(random_rows<float>(3, params.image.features()), params, promised<float>);
  // A zero image is not one with a bias.
  Matrix<float> x = random_rows<float>(2, params.image.features());
  for (std::size_t j = 0; j < x.cols; ++j) x(0, j) = 0;
  check_definition<float>(x, params, promised<float>);
}

// Pairs of positions whose neighbourhoods are equal, nearly so, in proportion or opposite: where c is near 1 or -1 the
// float64 sums leave an error of sqrt(2 eps) in the angle, unless the gap is a rounding error.
TEST(near_images_are_accurate) {
  const auto check = [&]<class T>(T) {
    const ImageShape image{6, 5, 2};
    const Matrix<T> noise = random_rows<T>(12, image.features());
    Matrix<T> x = noise;
    for (std::size_t j = 0; j < x.cols; ++j) {
      const bool left = j / image.channels % image.width < 3;
      x(1, j) = x(0, j);                                      // equal
      x(2, j) = -x(0, j);                                     // opposite
      x(3, j) = x(0, j) * T(1.7);                             // in proportion
      x(4, j) = x(0, j) + T(1e-4) * noise(4, j);              // near
      x(5, j) = T(-0.3) * x(0, j) + T(1e-5) * noise(5, j);    // nearly opposite
      x(6, j) = j % image.channels == 0 ? T(0.4) : T(-0.7);   // one colour
      x(7, j) = x(6, j) * (left ? T(1) : T(0.1));             // of two brightnesses
      x(8, j) = x(6, j) * (1 + T(1e-3) * noise(8, j));        // nearly one colour
      x(9, j) = left ? T(0) : x(0, j);                        // black on one side
      x(10, j) = j % 2 == 0 ? std::abs(noise(10, j)) : T(0);  // all pixels in proportion
      x(11, j) = x(0, j) * (left ? T(1) : T(-2.5));           // partly opposite
    }
    for_flags({.image = image, .depth = 3},
              [&](const CntkParams& params) { check_definition<T>(x, params, sizeof(T) == 4 ? 2e-6 : 3e-8); });
    for_flags({.image = image, .depth = 1, .filter_size = 1},
              [&](const CntkParams& params) { check_definition<T>(x, params, sizeof(T) == 4 ? 2e-6 : 3e-8); });
  };
  check(0.0f);
  check(0.0);
}

// Without pooling every gap of an image paired with itself is 0, and the kernel a sum of norms; d images of one colour have
// no other gaps.
TEST(equal_neighbourhoods_have_no_gap) {
  const ImageShape image{7, 6, 3};
  const Matrix<double> x = random_rows<double>(3, image.features());
  check_definition<double>(rows_of(x, 0, 1), {.image = image, .depth = 5, .pooling = Pooling::none}, 1e-14);
  Matrix<double> flat(1, image.features());
  for (std::size_t j = 0; j < flat.cols; ++j) flat(0, j) = 0.3 * static_cast<double>(1 + j % 3);
  const CntkParams params{.image = image, .depth = 2, .filter_size = 2, .padding = Padding::valid};
  check_definition<double>(flat, params, 1e-14);
}

TEST(zero_images_and_neighbourhoods_give_zero) {
  const CntkParams params{.image = {8, 7, 2}, .depth = 3, .train_first = true, .train_last = true};
  Matrix<float> x = random_rows<float>(3, params.image.features());
  for (std::size_t j = 0; j < x.cols; ++j) {
    x(1, j) = 0;
    if (j / 14 < 7) x(2, j) = 0;  // all rows but the last
  }
  const Matrix<float> found = kernel<float>(1, x, x, params);
  for (std::size_t j = 0; j < 3; ++j) CHECK(found(1, j) == 0 && found(j, 1) == 0);
  check_definition<float>(x, params, promised<float>);
}

TEST(bits_depend_neither_on_threads_nor_on_batches) {
  const auto check = [&]<class T>(T, Pooling pooling, std::size_t n) {
    const CntkParams params{.image = {6, 7, 3}, .depth = 3, .pooling = pooling, .train_last = true, .bias = 0.5};
    const Matrix<T> x = random_rows<T>(n, params.image.features(), 4);
    const Matrix<T> copy = x;
    const Matrix<T> once = kernel<T>(1, x, x, params);
    CHECK(once == kernel<T>(1, x, copy, params));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < i; ++j) CHECK(once(i, j) == once(j, i));
    for (const int threads : {2, 3, 8}) {
      CHECK(kernel<T>(threads, x, x, params) == once);
      CHECK(kernel<T>(threads, x, copy, params) == once);
    }
    for (const std::size_t batch : {1u, 3u, 16u})
      for (std::size_t begin = 0; begin < n; begin += batch) {
        const std::size_t count = std::min<std::size_t>(batch, n - begin);
        CHECK(kernel<T>(2, rows_of(x, begin, count), x, params) == rows_of(once, begin, count));
      }
    const Matrix<T> diagonal = pairs<T>(3, x, x, params), between = pairs<T>(2, x, copy, params);
    for (std::size_t i = 0; i < n; ++i) CHECK(diagonal(i, 0) == once(i, i) && between(i, 0) == once(i, i));
    const Matrix<T> shifted = pairs<T>(2, rows_of(x, 0, n - 1), rows_of(x, 1, n - 1), params);
    for (std::size_t i = 0; i + 1 < n; ++i) CHECK(shifted(i, 0) == once(i, i + 1));
  };
  check(0.0f, Pooling::gap, 9);
  check(0.0, Pooling::gap, 5);
  check(0.0f, Pooling::none, 37);
  check(0.0, Pooling::none, 20);
}

TEST(any_stride_and_nothing_outside_is_written) {
  const CntkParams params{.image = {4, 5, 1}, .depth = 2};
  const Matrix<float> wide = random_rows<float>(5, 30, 7);
  Matrix<float> x(5, 20);
  for (std::size_t i = 0; i < x.rows; ++i) std::copy_n(wide.view().row(i) + 6, 20, x.view().row(i));
  const Matrix<float> expected = kernel<float>(1, x, x, params);
  const View<const float> strided = wide.view().col_block(6, 20);
  Matrix<float> out(5, 9), column(5, 3);
  std::fill(out.values.begin(), out.values.end(), -7.0f);
  std::fill(column.values.begin(), column.values.end(), -7.0f);
  fastntk::cntk_kernel<float, Cpu>(Cpu{1}, strided, strided, params, out.view().col_block(2, 5));
  fastntk::cntk_pairs<float, Cpu>(Cpu{1}, strided, strided, params, column.view().col_block(1, 1));
  for (std::size_t i = 0; i < out.rows; ++i) {
    for (std::size_t j = 0; j < out.cols; ++j) CHECK(out(i, j) == (j < 2 || j >= 7 ? -7.0f : expected(i, j - 2)));
    CHECK(column(i, 0) == -7 && column(i, 1) == expected(i, i) && column(i, 2) == -7);
  }
}

TEST(images_of_extreme_size_keep_their_kernel) {
  const auto check = [](auto tiny, auto huge) {
    using T = decltype(tiny);
    const CntkParams params{.image = {5, 4, 2}, .depth = 3};
    const Matrix<T> x = random_rows<T>(3, params.image.features(), 8);
    Matrix<T> small = x, large = x;
    for (T& value : small.values) value *= tiny;
    for (T& value : large.values) value *= huge;
    const Matrix<T> plain = kernel<T>(1, x, x, params), scaled = kernel<T>(1, small, large, params);
    for (std::size_t i = 0; i < 9; ++i) CHECK(scaled.values[i] == plain.values[i] * (tiny * huge));  // powers of two
  };
  check(0x1p-100f, 0x1p120f);
  check(0x1p-900, 0x1p1000);
}

// Layers shrink the maps of a few pixels ninefold each: no sum overflows, and what vanishes is 0.
TEST(deep_networks_stay_finite) {
  for (const std::size_t depth : {40u, 400u}) {
    const CntkParams params{.image = {2, 1, 1}, .depth = depth, .train_last = true};
    const Matrix<float> x = random_rows<float>(2, 2, 9);
    const Matrix<float> found = kernel<float>(1, x, x, params);
    for (const float value : found.values) CHECK(std::isfinite(value) && value >= 0);
    const CntkParams pixels{.image = {2, 2, 1}, .depth = depth, .filter_size = 1, .pooling = Pooling::none};
    const Matrix<float> y = random_rows<float>(2, 4, 9);
    CHECK_CLOSE(kernel<float>(1, y, y, pixels)(1, 1), cntk::theta(y.view().row(1), y.view().row(1), pixels),
                1e-5 * static_cast<double>(depth));
  }
}

TEST(nan_stays_in_its_image) {
  const CntkParams params{.image = {6, 5, 1}, .depth = 2};
  Matrix<float> x = random_rows<float>(4, params.image.features(), 3);
  const Matrix<float> expected = kernel<float>(1, x, x, params);
  x(1, 7) = std::numeric_limits<float>::quiet_NaN();
  const Matrix<float> found = kernel<float>(1, x, x, params);
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 4; ++j) CHECK(i == 1 || j == 1 ? std::isnan(found(i, j)) : found(i, j) == expected(i, j));
}

TEST(no_images_give_an_empty_matrix) {
  const CntkParams params{.image = {3, 2, 1}, .depth = 2};
  const Matrix<float> x(0, 6), y = random_rows<float>(4, 6, 9);
  CHECK(kernel<float>(1, x, y, params).values.empty());
  CHECK(kernel<float>(1, y, x, params).values.empty());
  CHECK(pairs<float>(1, x, x, params).values.empty());
}

TEST(bad_arguments_are_named) {
  const Matrix<float> x(2, 12), y(3, 12), narrow(3, 11);
  Matrix<float> out(2, 3), column(2, 1);
  const auto fails = [&](CntkParams params, const char* part) {
    if (params.image.features() == 0 && params.image.height + params.image.width + params.image.channels == 0)
      params.image = {3, 4, 1};
    const auto run = [&] { fastntk::cntk_kernel<float, Cpu>({}, x.view(), y.view(), params, out.view()); };
    const auto run_pairs = [&] { fastntk::cntk_pairs<float, Cpu>({}, x.view(), x.view(), params, column.view()); };
    return check::throws<fastntk::Error>(run, std::string("cntk_kernel: ") + part) &&
           check::throws<fastntk::Error>(run_pairs, std::string("cntk_pairs: ") + part);
  };
  CHECK(fails({.image = {0, 4, 3}}, "image height is 0"));
  CHECK(fails({.image = {4, 0, 3}}, "image width is 0"));
  CHECK(fails({.image = {4, 3, 0}}, "image channels is 0"));
  constexpr std::size_t large = std::size_t{1} << 30;
  CHECK(fails({.image = {large, large, 1}}, "image height * width is 1152921504606846976; at most 2147483647"));
  CHECK(fails({.image = {large, 1, large}}, "image height * width * channels is 1152921504606846976"));
  CHECK(fails({.depth = 0}, "depth is 0; at least 1 is needed"));
  CHECK(fails({.filter_size = 0}, "filter_size is 0"));
  CHECK(fails({.filter_size = 4}, "filter_size is 4; padding 'same' needs an odd one"));
  CHECK(fails({.depth = 2, .padding = Padding::valid},
              "the images are 3 x 4 pixels; 2 convolutions of filter_size 3 with padding 'valid' need at least 5 x 5; "
              "fewer layers, a smaller filter or padding 'same' need less"));
  CHECK(fails({.depth = 1}, "depth is 1, and neither train_first nor train_last is set: this kernel is zero"));
  CHECK(fails({.bias = std::nan("")}, "bias is nan"));
  CHECK(fails({.bias = 1e39}, "bias is 1e+39; a finite number is needed"));
  CHECK(fails({.image = {2, 2, 1}}, "x has 12 columns; images of 2 x 2 pixels with 1 channels have 4"));

  const CntkParams params{.image = {3, 4, 1}};
  const auto throws = [](auto&& call, const char* part) { return check::throws<fastntk::Error>(call, part); };
  CHECK(throws([&] { fastntk::cntk_kernel<float, Cpu>({}, x.view(), narrow.view(), params, out.view()); },
               "cntk_kernel: y has 11 columns"));
  CHECK(throws([&] { fastntk::cntk_kernel<float, Cpu>({}, x.view(), x.view(), params, out.view()); },
               "cntk_kernel: out has shape (2, 3); (2, 2) is needed"));
  CHECK(throws([&] { fastntk::cntk_pairs<float, Cpu>({}, x.view(), y.view(), params, column.view()); },
               "cntk_pairs: y has shape (3, 12); (2, 12) is needed"));
  CHECK(throws([&] { fastntk::cntk_pairs<float, Cpu>({}, x.view(), x.view(), params, out.view()); },
               "cntk_pairs: out has shape (2, 3); (2, 1) is needed"));
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
