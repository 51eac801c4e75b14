// NtkSketch on 2000 x 784, against the sgemm (2000 x 784)(784 x 8192) and against the time to write the output.
#include <fastntk/exact.hpp>
#include <fastntk/ntk_sketch.hpp>
#include <fastntk/rng.hpp>

#include <cmath>
#include <string>
#include <vector>

#include "bench.hpp"
#include "sgemm.hpp"

using namespace fastntk;

namespace {

constexpr std::size_t n = 2000;
constexpr std::size_t d = 784;

// Relative Frobenius error of the Gram matrix of the first rows.
double gram_error(const bench::Array<float>& x, const bench::Array<float>& z, std::size_t width, std::size_t depth) {
  constexpr std::size_t rows = 200;
  std::vector<double> wide(x.data(), x.data() + rows * d);
  std::vector<double> kernel(rows * rows);
  const View<const double> view(wide.data(), rows, d);
  ntk_kernel<double, Cpu>(Cpu{1}, view, view, {.depth = depth}, View<double>(kernel.data(), rows, rows));
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < rows; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < width; ++k)
        sum += static_cast<double>(z.data()[i * width + k]) * static_cast<double>(z.data()[j * width + k]);
      difference += (sum - kernel[i * rows + j]) * (sum - kernel[i * rows + j]);
      norm += kernel[i * rows + j] * kernel[i * rows + j];
    }
  return std::sqrt(difference / norm);
}

}  // namespace

int main() {
  bench::Array<float> x(n * d);
  const rng::Draws draws{1, rng::Stream::normal};
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(draws.normal(i));
  constexpr std::size_t gemm_width = 8192;
  bench::Array<float> w(d * gemm_width), product(n * gemm_width);
  constexpr double flops = 2.0 * n * d * gemm_width;

  struct Case {
    const char* name;
    std::size_t width, depth;
    SketchMethod method;
    LowOrders low_orders;
    double worst_error;  // several times what was measured: the check is of the result, not of its luck
  };
  for (const Case& c : {Case{"one pass", 4096, 1, SketchMethod::one_pass, LowOrders::exact, 0.15},
                        Case{"one pass", 4096, 3, SketchMethod::one_pass, LowOrders::exact, 0.15},
                        Case{"one pass", 16384, 1, SketchMethod::one_pass, LowOrders::exact, 0.08},
                        Case{"layerwise", 4096, 1, SketchMethod::layerwise, LowOrders::exact, 0.15},
                        Case{"layerwise", 4096, 3, SketchMethod::layerwise, LowOrders::exact, 0.15},
                        Case{"one pass, Remark 1", 4096, 1, SketchMethod::one_pass, LowOrders::sampled, 1.0},
                        Case{"layerwise, Algorithm 1", 4096, 1, SketchMethod::layerwise, LowOrders::sampled, 1.5}}) {
    const NtkSketch<float> map({.in_features = d,
                                .out_features = c.width,
                                .depth = c.depth,
                                .method = c.method,
                                .low_orders = c.low_orders,
                                .seed = 1},
                               Cpu{1});
    bench::Array<float> z(n * c.width);
    const auto transform = [&] { map({x.data(), n, d}, {z.data(), n, c.width}); };
    transform();
    const double error = gram_error(x, z, c.width, c.depth);
    bench::require(error < c.worst_error, "ntk_sketch: the Gram matrix is off by " + std::to_string(error));
    const auto times =
        bench::alternate({transform, [&] { bench::sgemm(n, gemm_width, d, x.data(), w.data(), product.data()); },
                          [&] { bench::scale(z.data(), z.size(), 1.0f); }},
                         5);
    const std::string shape = "2000x784 -> " + std::to_string(c.width);
    const std::string note = std::string(c.name) + ", depth " + std::to_string(c.depth);
    bench::print({.op = "ntk_sketch",
                  .dtype = "float32",
                  .shape = shape,
                  .times = times[0],
                  .work = flops,
                  .unit = "s",
                  .floor = "sgemm 2000x784x8192",
                  .floor_times = times[1],
                  .floor_work = flops,
                  .note = note});
    const double bytes = static_cast<double>(n * (d + c.width) * sizeof(float));
    bench::print({.op = "ntk_sketch",
                  .dtype = "float32",
                  .shape = shape,
                  .times = times[0],
                  .work = bytes,
                  .unit = "GB/s",
                  .floor = "in-place scale of the output",
                  .floor_times = times[2],
                  .floor_work = 2 * static_cast<double>(z.size() * sizeof(float)),
                  .note = note});
  }
}
