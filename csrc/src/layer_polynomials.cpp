#include "layer_polynomials.hpp"

#include <fastntk/kernel_series.hpp>
#include <fastntk/ntk_sketch.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <numeric>

#include "power_series.hpp"
#include "relu_kernels.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// The last coefficient gets what is missing to `at_one`.
void close_at_one(std::vector<double>& c, double at_one) {
  c.back() = std::max(0.0, c.back() + at_one - std::accumulate(c.begin(), c.end(), 0.0));
}

}  // namespace

std::vector<double> taylor_around(ReluDual kappa, double s, std::size_t degree) {
  // Of a series in u that reaches as far as the singularity at S = 1.
  std::vector<double> c = power_series(
      [=](std::complex<double> u) {
        const std::complex<double> a = s + (1 - s) * u;
        const std::complex<double> kappa_0 = 0.5 + std::asin(a) / std::numbers::pi;
        return kappa == ReluDual::kappa_0 ? kappa_0 : std::sqrt(1.0 - a * a) / std::numbers::pi + a * kappa_0;
      },
      degree + 1);
  for (double& coefficient : c)
    if (coefficient < 1e-12) coefficient = 0;  // every other one around 0
  // What exact columns hold has no error.
  c[0] = kappa == ReluDual::kappa_0 ? kappa0(s) : kappa1(s);
  if (degree > 0) c[1] = (1 - s) * (kappa == ReluDual::kappa_0 ? kappa0_slope(s) : kappa0(s));
  close_at_one(c, 1);
  return c;
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
