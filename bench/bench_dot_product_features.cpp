// DotProductFeatures on 2000 x 784 against the sgemm (2000 x 784)(784 x 8192): kernels whose activation is a table, and a
// polynomial of degree 8.
#include <fastntk/dot_product_features.hpp>
#include <fastntk/exact.hpp>
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
constexpr std::size_t width = 4096;

// Relative Frobenius error of the Gram matrix of the first rows. 64 terms of the series are enough for unlike rows; where
// they are the same stands kernel_at_one().
double gram_error(const bench::Array<float>& x, const bench::Array<float>& z, const KernelSeriesParams& kernel) {
  constexpr std::size_t rows = 200;
  const std::vector<double> wide(x.data(), x.data() + rows * d);
  std::vector<double> product(rows * rows);
  const View<const double> view(wide.data(), rows, d);
  linear_kernel<double, Cpu>(Cpu{1}, view, view, View<double>(product.data(), rows, rows));
  const std::vector<double> c = kernel_series(kernel, 64);
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < rows; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < width; ++k)
        sum += static_cast<double>(z.data()[i * width + k]) * static_cast<double>(z.data()[j * width + k]);
      const double norms = std::sqrt(product[i * rows + i] * product[j * rows + j]);
      const double a = product[i * rows + j] / norms;
      double value = 0;
      for (std::size_t k = c.size(); k-- > 0;) value = value * a + c[k];
      if (i == j) value = kernel_at_one(kernel);
      difference += (sum - value * norms) * (sum - value * norms);
      norm += value * norms * value * norms;
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

  // exp(2 (a - 1)), cut off where its coefficients are small.
  KernelSeriesParams polynomial{CosineKernel::polynomial, 1, {}};
  double coefficient = std::exp(-2.0);
  for (int k = 0; k <= 8; coefficient *= 2.0 / ++k) polynomial.coefficients.push_back(coefficient);

  struct Case {
    const char* name;
    KernelSeriesParams kernel;
    double worst_error;  // several times what was measured: the check is of the result, not of its luck
  };
  for (const Case& c :
       {Case{"nngp, depth 1", {CosineKernel::nngp, 1, {}}, 0.15}, Case{"nngp, depth 3", {CosineKernel::nngp, 3, {}}, 0.15},
        Case{"polynomial, degree 8", polynomial, 0.3}}) {
    const DotProductFeatures<float> map({.in_features = d, .out_features = width, .kernel = c.kernel, .seed = 1}, Cpu{1});
    bench::Array<float> z(n * width);
    const auto transform = [&] { map({x.data(), n, d}, {z.data(), n, width}); };
    transform();
    const double error = gram_error(x, z, c.kernel);
    bench::require(error < c.worst_error, "dot_product_features: the Gram matrix is off by " + std::to_string(error));
    const auto times =
        bench::alternate({transform, [&] { bench::sgemm(n, gemm_width, d, x.data(), w.data(), product.data()); }}, 11);
    bench::print({.op = "dot_product_features",
                  .dtype = "float32",
                  .shape = "2000x784 -> 4096",
                  .times = times[0],
                  .work = flops,
                  .unit = "s",
                  .floor = "sgemm 2000x784x8192",
                  .floor_times = times[1],
                  .floor_work = flops,
                  .note = std::string(c.name)});
  }
}
