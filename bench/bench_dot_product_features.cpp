// DotProductFeatures on 2000 x 784 against the sgemm (2000 x 784)(784 x 8192): kernels whose activation is a table, and a
// polynomial of degree 8.
#include <fastntk/dot_product_features.hpp>

#include <cmath>
#include <string>
#include <vector>

#include "feature_map.hpp"

using namespace fastntk;

namespace {

// 64 terms of the series are enough for unlike rows; where they are the same stands kernel_at_one().
std::vector<double> exact_gram(const bench::Array<float>& x, std::size_t d, const KernelSeriesParams& params) {
  std::vector<double> kernel =
      bench::gram_kernel(x, d, [](auto rows, auto product) { linear_kernel<double, Cpu>(Cpu{1}, rows, rows, product); });
  const std::vector<double> c = kernel_series(params, 64);
  std::vector<double> norm;
  for (std::size_t i = 0; i < bench::gram_rows; ++i) norm.push_back(std::sqrt(kernel[i * bench::gram_rows + i]));
  for (std::size_t i = 0; i < bench::gram_rows; ++i)
    for (std::size_t j = 0; j < bench::gram_rows; ++j) {
      double& entry = kernel[i * bench::gram_rows + j];
      const double a = entry / (norm[i] * norm[j]);
      double value = 0;
      for (std::size_t k = c.size(); k-- > 0;) value = value * a + c[k];
      entry = (i == j ? kernel_at_one(params) : value) * norm[i] * norm[j];
    }
  return kernel;
}

}  // namespace

int main() {
  constexpr std::size_t n = bench::map_rows, d = bench::map_inputs, width = 4096;
  const bench::Array<float> x = bench::normal_rows(n * d);

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
    const double error = bench::gram_error(z, width, exact_gram(x, d, c.kernel));
    bench::require(error < c.worst_error, "dot_product_features: the Gram matrix is off by " + std::to_string(error));
    bench::compare_map("dot_product_features", transform, z, width, 11, c.name);
  }
}
