// CNTK features: the kernel they approach, the exact diagonal, and what does not depend on how the work is cut. The mean
// over many draws is tested from Python, for every network.
#include <fastntk/cntk.hpp>
#include <fastntk/cntk_sketch.hpp>
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

using cntk::Matrix;
using fastntk::CntkMethod;
using fastntk::CntkParams;
using fastntk::CntkSketch;
using fastntk::CntkSketchParams;
using fastntk::Cpu;
using fastntk::Diagonal;
using fastntk::Error;
using fastntk::ImageShape;
using fastntk::Padding;
using fastntk::Pooling;
using fastntk::View;
using sketches::random_rows;

/// Taylor polynomials of degree 3, with what is left of 1 at the last power.
CntkSketchParams sketch_of(const CntkParams& kernel, CntkMethod method, std::size_t columns = 64, std::size_t width = 64) {
  CntkSketchParams p{.out_features = columns, .kernel = kernel, .method = method, .width = width};
  if (method == CntkMethod::sketch) {
    p.kappa_1.assign(kernel.depth, {0.3183, 0.5, 0.1592, 0.0225});
    p.kappa_0.assign(kernel.depth, {0.5, 0.3183, 0, 0.1817});
  }
  return p;
}

std::string name_of(const CntkSketchParams& p) {
  return cntk::describe(p.kernel) + (p.method == CntkMethod::sketch ? " sketch" : " random features") + " columns " +
         std::to_string(p.out_features);
}

template <class T>
Matrix<T> features(const CntkSketchParams& params, const Matrix<T>& x, int threads = 1) {
  Matrix<T> z(x.rows, params.out_features);
  CntkSketch<T>(params, Cpu{threads})(x.view(), z.view());
  return z;
}

std::vector<CntkParams> networks() {
  return {
      {.image = {6, 5, 2}, .depth = 1, .train_last = true},
      {.image = {5, 6, 1}, .depth = 1, .filter_size = 5, .pooling = Pooling::none, .train_first = true, .bias = 0.5},
      {.image = {7, 4, 2}, .depth = 2, .filter_size = 2, .padding = Padding::valid},
      {.image = {4, 5, 3}, .depth = 2, .filter_size = 1, .pooling = Pooling::none, .train_first = true},
      {.image = {6, 5, 2}, .depth = 3, .bias = 1},
      {.image = {9, 7, 2}, .depth = 3, .padding = Padding::valid, .pooling = Pooling::none, .train_last = true},
      {.image = {6, 5, 2}, .depth = 4, .train_first = true, .train_last = true},
  };
}

std::vector<CntkSketchParams> maps(std::size_t columns = 64) {
  std::vector<CntkSketchParams> all;
  for (const CntkParams& kernel : networks())
    for (const CntkMethod method : {CntkMethod::sketch, CntkMethod::random_features})
      all.push_back(sketch_of(kernel, method, columns));
  return all;
}

template <class T>
Matrix<T> kernel_of(const Matrix<T>& x, const Matrix<T>& y, const CntkParams& params) {
  Matrix<T> out(x.rows, y.rows);
  fastntk::cntk_kernel<T, Cpu>(Cpu{1}, x.view(), y.view(), params, out.view());
  return out;
}

template <class T>
Matrix<T> mirrored(const Matrix<T>& x, const ImageShape& image) {
  Matrix<T> out(x.rows, x.cols);
  for (std::size_t r = 0; r < x.rows; ++r)
    for (std::size_t p = 0; p < image.pixels(); ++p)
      for (std::size_t c = 0; c < image.channels; ++c) {
        const std::size_t from = p / image.width * image.width + (image.width - 1 - p % image.width);
        out(r, p * image.channels + c) = x(r, from * image.channels + c);
      }
  return out;
}

/// Relative Frobenius error of the Gram matrix, over a few seeds.
double gram_error(CntkSketchParams p, const Matrix<double>& x, std::uint64_t seeds) {
  const Matrix<double> kernel = kernel_of(x, x, p.kernel);
  double difference = 0, norm = 0;
  for (p.seed = 0; p.seed < seeds; ++p.seed) {
    const Matrix<double> z = features(p, x);
    for (std::size_t i = 0; i < x.rows; ++i)
      for (std::size_t j = 0; j < x.rows; ++j) {
        const double error = sketches::dot(z, i, z, j) - kernel(i, j);
        difference += error * error;
        norm += kernel(i, j) * kernel(i, j);
      }
  }
  return std::sqrt(difference / norm);
}

TEST(gram_matrices_approach_the_kernel) {
  for (CntkSketchParams p : maps(1024)) {
    p.width = 512;
    p.diagonal = Diagonal::sampled;
    const double error = gram_error(p, random_rows<double>(6, p.kernel.image.features()), 3);
    // Between .02 and .12 in trials; a wrong factor gives .3 and more.
    if (!CHECK(error < 0.2)) std::cout << name_of(p) << ": " << error << "\n";
  }
}

TEST(errors_fall_with_columns_and_width) {
  for (CntkSketchParams p : maps(64)) {
    if (p.method == CntkMethod::sketch) continue;  // whose polynomials' error stays
    const Matrix<double> x = random_rows<double>(6, p.kernel.image.features());
    p.diagonal = Diagonal::sampled;
    const double narrow = gram_error(p, x, 6);
    p.out_features = p.width = 1024;
    // By the law of the root a fourth; half of that is spare for the luck of few seeds.
    const double wide = gram_error(p, x, 6);
    if (!CHECK(wide < 0.5 * narrow)) std::cout << name_of(p) << ": " << narrow << " -> " << wide << "\n";
  }
}

TEST(the_exact_diagonal_is_exact) {
  for (CntkSketchParams p : maps(33))
    for (const bool flips : {false, true}) {
      p.average_flips = flips;
      const Matrix<double> x = random_rows<double>(4, p.kernel.image.features());
      const Matrix<double> z = features(p, x), kernel = kernel_of(x, x, p.kernel),
                           across = kernel_of(x, mirrored(x, p.kernel.image), p.kernel);
      for (std::size_t i = 0; i < x.rows; ++i) {
        const double expected = flips ? (kernel(i, i) + across(i, i)) / 2 : kernel(i, i);
        CHECK_CLOSE(sketches::dot(z, i, z, i), expected, 1e-12 * expected);
      }
    }
}

TEST(averaged_flips_are_the_mean_of_two_images) {
  for (CntkSketchParams p : maps(50)) {
    p.diagonal = Diagonal::sampled;
    const Matrix<double> x = random_rows<double>(3, p.kernel.image.features());
    const Matrix<double> one = features(p, x), other = features(p, mirrored(x, p.kernel.image));
    p.average_flips = true;
    const Matrix<double> mean = features(p, x);
    for (std::size_t i = 0; i < mean.values.size(); ++i)
      CHECK_CLOSE(mean.values[i], (one.values[i] + other.values[i]) / 2, 1e-12);
  }
}

TEST(homogeneous_and_zero_at_zero) {
  for (CntkSketchParams p : maps(40)) {
    if (p.kernel.bias != 0) continue;
    for (const Diagonal diagonal : {Diagonal::sampled, Diagonal::exact}) {
      p.diagonal = diagonal;
      Matrix<float> x = random_rows<float>(4, p.kernel.image.features());
      std::fill_n(x.view().row(2), x.cols, 0.0f);
      std::fill_n(x.view().row(3), x.cols / 2, 0.0f);
      const Matrix<float> z = features(p, x);
      for (std::size_t j = 0; j < z.cols; ++j) CHECK(z(2, j) == 0);
      for (const float value : z.values) CHECK(std::isfinite(value));
      // Powers of two scale without rounding.
      for (const float scale : {0x1p60f, 0x1p-60f}) {
        Matrix<float> scaled = x;
        for (float& value : scaled.values) value *= scale;
        const Matrix<float> large = features(p, scaled);
        bool equal = true;
        for (std::size_t i = 0; i < z.values.size(); ++i) equal = equal && large.values[i] == scale * z.values[i];
        if (!CHECK(equal)) std::cout << name_of(p) << " times " << scale << "\n";
      }
    }
  }
}

// Whose squares float32 does not hold, or whose inverse squares.
TEST(pixels_next_to_nothing) {
  for (const CntkSketchParams& p : maps(40)) {
    Matrix<float> x(1, p.kernel.image.features());
    x(0, 0) = x(0, 1) = 1;
    const Matrix<float> alone = features(p, x);
    for (const float little : {1e-17f, 1e-18f, 1e-19f, 1e-20f, 1e-22f, 1e-30f, 1e-38f, 1e-44f}) {
      std::fill(x.values.begin() + 2, x.values.end(), little);
      const Matrix<float> z = features(p, x);
      for (std::size_t j = 0; j < z.cols; ++j) CHECK_CLOSE(z(0, j), alone(0, j), 1e-5);
    }
  }
}

TEST(polynomials_without_a_constant) {
  for (const bool gate : {false, true})
    for (CntkSketchParams p : maps(40)) {
      for (std::vector<double>& kappa : gate ? p.kappa_0 : p.kappa_1) kappa[0] = 0;
      for (const float value : features(p, random_rows<float>(2, p.kernel.image.features())).values)
        CHECK(std::isfinite(value));
    }
}

TEST(a_bias_gives_a_zero_image_features) {
  for (const CntkSketchParams& p : maps()) {
    const Matrix<double> z = features(p, Matrix<double>(1, p.kernel.image.features()));
    CHECK((sketches::dot(z, 0, z, 0) > 0) == (p.kernel.bias != 0));
  }
}

TEST(every_number_of_columns) {
  for (const std::size_t columns : {1, 2, 3, 7, 64, 1000, 4099})
    for (const CntkSketchParams& p : maps(columns)) {
      const Matrix<float> x = random_rows<float>(2, p.kernel.image.features());
      const std::size_t stride = columns + 3;
      std::vector<float> memory(2 * stride, 77);
      CntkSketch<float>(p, Cpu{1})(x.view(), View<float>(memory.data(), 2, columns, stride));
      for (std::size_t i = 0; i < memory.size(); ++i)
        CHECK(i % stride < columns ? std::isfinite(memory[i]) && memory[i] != 77 : memory[i] == 77);
    }
  for (const std::size_t columns : {1, 1000, 4096, 16384}) {
    const std::size_t width = fastntk::resolved_cntk_sketch(sketch_of(networks()[4], CntkMethod::sketch, columns, 0)).width;
    CHECK(width >= 64 && (width & (width - 1)) == 0);
  }
}

TEST(images_of_few_pixels) {
  for (const ImageShape image : {ImageShape{1, 1, 1}, ImageShape{1, 1, 7}, ImageShape{1, 6, 2}, ImageShape{6, 1, 2}})
    for (const CntkMethod method : {CntkMethod::sketch, CntkMethod::random_features})
      for (const std::size_t q : {1, 3, 5}) {
        const CntkSketchParams p = sketch_of({.image = image, .depth = 2, .filter_size = q}, method);
        const Matrix<double> x = random_rows<double>(3, image.features());
        const Matrix<double> z = features(p, x), kernel = kernel_of(x, x, p.kernel);
        for (std::size_t i = 0; i < 3; ++i) CHECK_CLOSE(sketches::dot(z, i, z, i), kernel(i, i), 1e-12);
      }
}

TEST(same_bits_for_any_threads_and_batches) {
  constexpr std::size_t n = 9;
  for (CntkSketchParams p : maps(70)) {
    p.average_flips = p.kernel.depth == 3;
    const Matrix<float> x = random_rows<float>(n, p.kernel.image.features());
    const CntkSketch<float> map(p);
    sketches::check_every_split<float>(n, p.out_features,
                                       [&](int threads, std::size_t first, std::size_t count, View<float> out) {
                                         map.on(Cpu{threads})(x.view().row_block(first, count), out);
                                       });
    CHECK(map.params().diagonal == Diagonal::exact);
  }
}

/// `image` as the top left corner of a larger one, zeros elsewhere.
void put(const ImageShape& small, const double* image, const ImageShape& large, std::size_t y, std::size_t x, double* out) {
  for (std::size_t i = 0; i < small.height; ++i)
    std::copy_n(image + i * small.width * small.channels, small.width * small.channels,
                out + ((y + i) * large.width + x) * large.channels);
}

// Images with a frame of zeros as wide as all filters together do not see what is beside them. So a large image made of
// small ones has, with pooling, the sum of their features, though it is worked off in other bands of rows; and without,
// whose columns differ from pixel to pixel, those of the one in the corner if there is no other and rows are as long.
TEST(large_images_in_many_bands_have_the_features_of_their_parts) {
  constexpr ImageShape small{12, 11, 2}, grid{60, 33, 2}, tall{65, 11, 2};
  for (const CntkMethod method : {CntkMethod::sketch, CntkMethod::random_features})
    for (const std::size_t q : {1, 3, 5})
      for (const std::size_t width : {64, 512})
        for (const Pooling pooling : {Pooling::gap, Pooling::none}) {
          const std::size_t depth = q == 5 ? 2 : 3, frame = depth * (q / 2);
          CntkSketchParams p = sketch_of({.image = small,
                                          .depth = depth,
                                          .filter_size = q,
                                          .pooling = pooling,
                                          .train_first = true,
                                          .train_last = true},
                                         method, 100, width);
          p.diagonal = Diagonal::sampled;
          Matrix<double> parts = random_rows<double>(15, small.features());
          for (std::size_t r = 0; r < parts.rows; ++r)
            for (std::size_t k = 0; k < parts.cols; ++k) {
              const std::size_t i = k / small.channels / small.width, j = k / small.channels % small.width;
              const bool inside = i >= frame && i + frame < small.height && j >= frame && j + frame < small.width;
              if (!inside) parts(r, k) = 0;
            }
          const ImageShape large = pooling == Pooling::gap ? grid : tall;
          Matrix<double> whole(1, large.features());
          const std::size_t count = pooling == Pooling::gap ? parts.rows : 1;
          for (std::size_t r = 0; r < count; ++r)
            put(small, parts.view().row(r), large, r / 3 * small.height, r % 3 * small.width, whole.view().row(0));
          const Matrix<double> of_parts = features(p, parts);
          p.kernel.image = large;
          const Matrix<double> of_whole = features(p, whole);
          const double share = static_cast<double>(small.pixels()) / static_cast<double>(large.pixels());
          const double factor = pooling == Pooling::gap ? share : std::sqrt(share);
          double worst = 0;
          for (std::size_t j = 0; j < p.out_features; ++j) {
            double sum = 0;
            for (std::size_t r = 0; r < count; ++r) sum += factor * of_parts(r, j);
            worst = std::max(worst, std::abs(of_whole(0, j) - sum));
          }
          if (!CHECK(worst < 1e-13)) std::cout << name_of(p) << " width " << width << ": " << worst << "\n";
        }
}

TEST(float32_is_close_to_float64) {
  for (const CntkSketchParams& p : maps(100)) {
    const Matrix<float> x = random_rows<float>(4, p.kernel.image.features());
    Matrix<double> wide(x.rows, x.cols);
    std::copy(x.values.begin(), x.values.end(), wide.values.begin());
    const Matrix<float> z = features(p, x);
    const Matrix<double> expected = features(p, wide);
    double worst = 0, most = 0;
    for (std::size_t i = 0; i < z.values.size(); ++i) {
      worst = std::max(worst, std::abs(static_cast<double>(z.values[i]) - expected.values[i]));
      most = std::max(most, std::abs(expected.values[i]));
    }
    // A sign of a projection next to 0 may turn.
    const double tolerance = p.method == CntkMethod::sketch ? 1e-5 : 1e-2;
    if (!CHECK(worst < tolerance * most)) std::cout << name_of(p) << ": " << worst / most << "\n";
  }
}

TEST(bad_parameters_are_named) {
  const CntkSketchParams good = sketch_of(networks()[4], CntkMethod::sketch);
  const auto with = [&](auto change) {
    CntkSketchParams p = good;
    change(p);
    return [p] { CntkSketch<float>{p}; };
  };
  using Params = CntkSketchParams;
  with([](Params&) {})();
  CHECK(check::throws<Error>(with([](Params& p) { p.out_features = 0; }), "out_features"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kernel.depth = 0; }), "depth is 0"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kernel = {.image = {6, 5, 2}, .depth = 1}; }), "depth is 1"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kernel.filter_size = 2; }), "filter_size is 2"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kernel.filter_size = (1u << 20) + 1; }),
                             "filter_size^2 is 1099513724929"));
  CHECK(
      check::throws<Error>(with([](Params& p) { p.kernel.filter_size = 40001; }), "filter_size^2 * channels is 4800240003"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kernel.bias = NAN; }), "bias"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kernel.bias = 1e39; }), "bias is 1e+39; a finite number"));
  CHECK(check::throws<Error>(with([](Params& p) { p.width = 32; }), "width is 32; a power of two from 64"));
  CHECK(check::throws<Error>(with([](Params& p) { p.width = 96; }), "width is 96"));
  CHECK(check::throws<Error>(with([](Params& p) { p.width = 1 << 18; }), "a power of two from 64 to 131072"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kappa_1.pop_back(); }), "kappa_1 has 2 polynomials; one for each of 3"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kappa_0.clear(); }), "kappa_0 has 0 polynomials"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kappa_0[1].push_back(0); }), "kappa_0 has a polynomial of 5"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kappa_1[2][1] = -0.5; }), "kappa_1 has the coefficient -0.5"));
  CHECK(check::throws<Error>(with([](Params& p) { p.kappa_1[0][1] = INFINITY; }), "kappa_1 has the coefficient inf"));
  CHECK(check::throws<Error>(with([](Params& p) {
                               p.kappa_1.assign(3, {1});
                               p.kappa_0.assign(3, {1});
                             }),
                             "at least 2"));
  const CntkSketch<float> map(good);
  Matrix<float> x(3, 60), z(3, 64);
  CHECK(check::throws<Error>([&] { map(x.view().col_block(0, 59), z.view()); }, "x has shape (3, 59)"));
  CHECK(check::throws<Error>([&] { map(x.view(), z.view().row_block(0, 2)); }, "out has shape (2, 64)"));
  map(x.view().row_block(0, 0), z.view().row_block(0, 0));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
