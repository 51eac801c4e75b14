#include <fastntk/error.hpp>
#include <fastntk/kernel_series.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <numeric>
#include <string>

#include "power_series.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

using Complex = std::complex<double>;

// The kernel in the complex unit disc, which kappa_0 and kappa_1 map into itself (Z21 Definition 1).
Complex value(CosineKernel kernel, std::size_t depth, Complex a) {
  Complex s = a;
  Complex k = a;
  const std::size_t layers = kernel == CosineKernel::ntk || kernel == CosineKernel::nngp ? depth : 1;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const Complex kappa_0 = 0.5 + std::asin(s) / std::numbers::pi;
    if (kernel == CosineKernel::arc_cosine_0) return kappa_0;
    const Complex kappa_1 = std::sqrt(1.0 - s * s) / std::numbers::pi + s * kappa_0;
    k = k * kappa_0 + kappa_1;
    s = kappa_1;
  }
  return kernel == CosineKernel::ntk ? k : s;
}

// Whether c_k is 0 by symmetry, beyond what rounding leaves: one layer has kappa_0 - 1/2 odd and kappa_1 - a/2 even.
bool vanishes(CosineKernel kernel, std::size_t depth, std::size_t k) {
  if (kernel == CosineKernel::arc_cosine_0) return k > 0 && k % 2 == 0;
  const bool one_layer = kernel == CosineKernel::arc_cosine_1 || depth == 1;
  return one_layer && k > 1 && k % 2 == 1;
}

// As many terms as are known, so that fewer are the first of more.
std::vector<double> known_series(CosineKernel kernel, std::size_t depth, std::size_t terms) {
  std::vector<double> c = power_series([=](Complex a) { return value(kernel, depth, a); }, kernel_series_terms);
  for (std::size_t k = 0; k < terms; ++k) c[k] = vanishes(kernel, depth, k) ? 0 : std::max(0.0, c[k]);
  c.resize(terms);
  return c;
}

void check(const KernelSeriesParams& p) {
  if (p.kernel != CosineKernel::polynomial) return require_depth(p.depth, "kernel_series: depth");
  const std::size_t count = p.coefficients.size();
  require(count > 0 && count <= kernel_series_terms, [&] {
    return "kernel_series: there are " + std::to_string(count) + " coefficients; 1 to " +
           std::to_string(kernel_series_terms) + " are possible";
  });
  for (std::size_t k = 0; k < count; ++k)
    require(std::isfinite(p.coefficients[k]) && p.coefficients[k] >= 0, [&] {
      return "kernel_series: coefficient " + std::to_string(k) + " is " + std::to_string(p.coefficients[k]) +
             "; a kernel has finite ones of at least 0";
    });
  const double sum = std::accumulate(p.coefficients.begin(), p.coefficients.end(), 0.0);
  require(sum > 0, [] { return std::string("kernel_series: all coefficients are 0; at least one has to be positive"); });
  require(std::isfinite(sum),
          [] { return std::string("kernel_series: the sum of the coefficients is inf; it has to be finite"); });
}

}  // namespace

std::vector<double> kernel_series(const KernelSeriesParams& params, std::size_t terms) {
  check(params);
  require_at_most(terms, kernel_series_terms, "kernel_series: terms");
  if (params.kernel != CosineKernel::polynomial) return known_series(params.kernel, params.depth, terms);
  std::vector<double> c = params.coefficients;
  c.resize(terms);
  return c;
}

double kernel_at_one(const KernelSeriesParams& params) {
  check(params);
  switch (params.kernel) {
    case CosineKernel::ntk:
      return static_cast<double>(params.depth + 1);
    case CosineKernel::polynomial:
      return std::accumulate(params.coefficients.begin(), params.coefficients.end(), 0.0);
    default:
      return 1;
  }
}

std::vector<double> ntk_polynomial(std::size_t depth, std::size_t degree) {
  require_depth(depth, "ntk_polynomial: depth");
  require(degree < kernel_series_terms, [&] {
    return "ntk_polynomial: degree is " + std::to_string(degree) + "; at most " + std::to_string(kernel_series_terms - 1) +
           " is possible";
  });
  const KernelSeriesParams kernel{.kernel = CosineKernel::ntk, .depth = depth, .coefficients = {}};
  std::vector<double> c = kernel_series(kernel, degree + 1);
  close_at_one(c, kernel_at_one(kernel));
  return c;
}

}  // namespace fastntk
