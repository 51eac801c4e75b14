#include "layer_polynomials.hpp"

#include <fastntk/kernel_series.hpp>
#include <fastntk/ntk_sketch.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <numeric>

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
  // Cauchy's formula on a circle inside the one around s that touches the singularity at 1.
  constexpr std::size_t points = 1024;
  const double radius = degree <= 16 ? 0.8 : 0.95;
  std::vector<double> c(degree + 1);
  for (std::size_t j = 0; j < points; ++j) {
    const double turn = 2 * std::numbers::pi / points * static_cast<double>(j);
    const std::complex<double> a = s + (1 - s) * std::polar(radius, turn);
    const std::complex<double> kappa_0 = 0.5 + std::asin(a) / std::numbers::pi;
    const std::complex<double> value =
        kappa == ReluDual::kappa_0 ? kappa_0 : std::sqrt(1.0 - a * a) / std::numbers::pi + a * kappa_0;
    for (std::size_t k = 0; k <= degree; ++k)
      c[k] +=
          (value * std::polar(std::pow(radius, -static_cast<double>(k)), -turn * static_cast<double>(k))).real() / points;
  }
  for (double& coefficient : c)
    if (coefficient < 1e-12) coefficient = 0;  // every other one around 0
  // What exact columns hold has no error.
  c[0] = kappa == ReluDual::kappa_0 ? kappa0(s) : kappa1(s);
  if (degree > 0) c[1] = (1 - s) * (kappa == ReluDual::kappa_0 ? kappa0_slope(s) : kappa0(s));
  close_at_one(c, 1);
  return c;
}

bool linear_columns_pay(std::size_t out_features, std::size_t columns, double linear, double remainder) {
  if (remainder <= 0) return out_features >= columns;
  // At the cosine 0 the error of m columns is their part of the kernel over sqrt(m): (linear + remainder)/sqrt(m) against
  // remainder/sqrt(m - columns). Cosines of data are larger, where the exact columns' zero error gains less than the fewer
  // others lose: on MNIST the two meet at a third more columns, in the Frobenius as in the spectral norm, at depths 1 and 3.
  constexpr double later = 1.35;
  const double all = (linear + remainder) * (linear + remainder);
  const double equal = static_cast<double>(columns) * all / (all - remainder * remainder);
  return linear > 0 ? static_cast<double>(out_features) >= later * equal : out_features > columns;
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
