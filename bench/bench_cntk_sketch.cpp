// CntkSketch in seconds per image of 32x32x3 and in one thread, against touching once, in the second-level cache, every
// vector that its layers make; and, in the note, its error on small images and what it counts.
#include <fastntk/cntk.hpp>
#include <fastntk/cntk_sketch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "bench.hpp"
#include "feature_map.hpp"

using namespace fastntk;

namespace {

constexpr std::size_t depth = 3, degree = 3, filter_area = 9, channels = 3;

CntkSketchParams map_of(std::size_t side, std::size_t columns, CntkMethod method, Diagonal diagonal) {
  CntkSketchParams p{.out_features = columns,
                     .kernel = {.image = {side, side, channels}, .depth = depth},
                     .method = method,
                     .diagonal = diagonal,
                     .seed = 1};
  if (method == CntkMethod::sketch) {
    // Those of fastntk.CNTKSketch(depth=3, degree=3).
    p.kappa_1 = {{0.315671, 0.496364, 0.179472, 0.008493},
                 {0.325424, 0.478354, 0.15275, 0.043472},
                 {0.325424, 0.478354, 0.15275, 0.043472}};
    p.kappa_0 = {{0.5, 0.292399, 0, 0.138048}, {0.549105, 0.173044, 0, 0.2191}, {0.549105, 0.173044, 0, 0.2191}};
  }
  return p;
}

/// Images whose neighbouring pixels are alike, as photographs' are, with a correlation of .9 along rows and columns;
/// channels of mean 0 and variance 1.
bench::Array<float> smooth_images(std::size_t n, std::size_t side) {
  const std::size_t pixels = side * side;
  bench::Array<float> x = bench::normal_rows(n * pixels * channels);
  for (std::size_t b = 0; b < n; ++b)
    for (std::size_t c = 0; c < channels; ++c) {
      float* const image = x.data() + b * pixels * channels + c;
      double sum = 0, square = 0;
      for (std::size_t p = 0; p < pixels; ++p) {
        float& value = image[p * channels];
        if (p % side > 0) value += 0.9f * image[(p - 1) * channels];
        if (p >= side) value += 0.9f * image[(p - side) * channels];
        if (p % side > 0 && p >= side) value -= 0.81f * image[(p - side - 1) * channels];
        sum += static_cast<double>(value);
        square += static_cast<double>(value) * static_cast<double>(value);
      }
      const double mean = sum / static_cast<double>(pixels);
      const double deviation = std::sqrt(square / static_cast<double>(pixels) - mean * mean);
      for (std::size_t p = 0; p < pixels; ++p)
        image[p * channels] = static_cast<float>((static_cast<double>(image[p * channels]) - mean) / deviation);
    }
  return x;
}

/// Relative Frobenius error of the Gram matrix of 40 images of 12x12x3, the median of 5 seeds.
double gram_error(CntkSketchParams p) {
  constexpr std::size_t n = 40, side = 12, d = side * side * channels;
  p.kernel.image = {side, side, channels};
  const bench::Array<float> x = smooth_images(n, side);
  std::vector<float> kernel(n * n), z(n * p.out_features);
  const View<const float> rows(x.data(), n, d);
  cntk_kernel<float, Cpu>(Cpu{1}, rows, rows, p.kernel, View<float>(kernel.data(), n, n));
  std::vector<double> errors;
  for (p.seed = 0; p.seed < 5; ++p.seed) {
    CntkSketch<float>(p, Cpu{1})(rows, View<float>(z.data(), n, p.out_features));
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        double value = 0;
        for (std::size_t k = 0; k < p.out_features; ++k)
          value += static_cast<double>(z[i * p.out_features + k]) * static_cast<double>(z[j * p.out_features + k]);
        const double exact = static_cast<double>(kernel[i * n + j]);
        difference += (value - exact) * (value - exact);
        norm += exact * exact;
      }
    errors.push_back(std::sqrt(difference / norm));
  }
  return bench::median(errors);
}

/// What an image of `pixels` takes, of the width m, without flags: vectors of m entries that are written, and operations.
struct Count {
  double vectors, flops;
};

Count count_of(const CntkSketchParams& p, std::size_t pixels) {
  const double projections = p.method == CntkMethod::sketch ? static_cast<double>(degree) : 1.0;
  const double m = static_cast<double>(p.width), log_m = static_cast<double>(std::countr_zero(p.width));
  const double fold = 2.0 * filter_area * m, rotation = 3 * m * (log_m + 1), first = 2.0 * filter_area * channels * m;
  const double function = (2 + 6 * projections) * m, mix = 5 * m;
  // Layer 1: projections and phi. Between: two folds, projections, phi, gate and eta. Last: a fold for phi and one for psi,
  // projections and gate.
  const double inner = static_cast<double>(depth - 2);
  const double vectors = (projections + 1) + inner * (projections + 5) + (projections + 3);
  const double layers = projections * first + function + inner * (2 * fold + projections * rotation + function + mix) +
                        (2 * fold + projections * rotation + function);
  const double columns = 3 * static_cast<double>(p.out_features);
  return {vectors * static_cast<double>(pixels), static_cast<double>(pixels) * (layers + columns)};
}

std::string digits(double x, const char* format = "%.3f") {
  char text[32];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

void measure(CntkMethod method, std::size_t columns) {
  constexpr std::size_t side = 32, d = side * side * channels;
  const bench::Array<float> x = smooth_images(1, side);
  bench::Array<float> z(columns);
  const CntkSketch<float> sampled(map_of(side, columns, method, Diagonal::sampled), Cpu{1});
  const CntkSketch<float> exact(map_of(side, columns, method, Diagonal::exact), Cpu{1});
  const auto run = [&](const CntkSketch<float>& map) { map({x.data(), 1, d}, {z.data(), 1, columns}); };

  run(exact);
  float theta = 0;
  const View<const float> image(x.data(), 1, d);
  cntk_pairs<float, Cpu>(Cpu{1}, image, image, exact.params().kernel, View<float>(&theta, 1, 1));
  double square = 0;
  for (const float value : z.span()) square += static_cast<double>(value) * static_cast<double>(value);
  bench::require(std::abs(square / static_cast<double>(theta) - 1) < 1e-5, "cntk_sketch: the diagonal is not exact");
  const double error_sampled = gram_error(sampled.params()), error_exact = gram_error(exact.params());
  // Four times what was measured for the fewest columns: the check is of the result, not of its luck.
  bench::require(error_exact < 0.02, "cntk_sketch: the Gram matrix is off by " + digits(error_exact));

  const Count count = count_of(sampled.params(), side * side);
  const std::size_t entries = static_cast<std::size_t>(count.vectors) * sampled.params().width;
  constexpr std::size_t in_cache = std::size_t{1} << 16;
  bench::Array<float> cache(in_cache);
  const auto touch = [&] {
    for (std::size_t done = 0; done < entries; done += in_cache)
      bench::scale(cache.data(), std::min(in_cache, entries - done), 1.0f);
  };
  const auto times = bench::alternate({[&] { run(sampled); }, [&] { run(exact); }, touch}, 7, 5e-3);
  bench::Times added;
  for (std::size_t i = 0; i < times[0].size(); ++i) added.push_back(times[1][i] - times[0][i]);
  const std::string op = std::string("cntk_sketch, ") + (method == CntkMethod::sketch ? "sketch" : "random features");
  const std::string note = "per image; depth 3, filter_size 3, width " + std::to_string(sampled.params().width) + ", " +
                           digits(count.flops * 1e-9) + " Gflop, " +
                           digits(2e-6 * sizeof(float) * static_cast<double>(entries), "%.0f") +
                           " MB of vectors written and read; on 40 smooth 12x12x3 images error " + digits(error_sampled) +
                           ", of the exact diagonal " + digits(error_exact);
  const auto report = [&](const std::string& what, const bench::Times& seconds) {
    bench::print({.op = op + what,
                  .dtype = "float32",
                  .shape = "32x32x3 -> " + std::to_string(columns),
                  .times = seconds,
                  .work = 1,
                  .unit = "s",
                  .floor = "in-place scale in L2 of as many vectors",
                  .floor_times = times[2],
                  .floor_work = 1,
                  .note = note});
  };
  report("", times[0]);
  // The same for all numbers of columns, and best seen beside few.
  if (columns == 1024) report(": what the exact diagonal adds", added);
}

}  // namespace

int main() {
  for (const CntkMethod method : {CntkMethod::sketch, CntkMethod::random_features})
    for (const std::size_t columns : {1024, 4096, 16384}) measure(method, columns);
}
