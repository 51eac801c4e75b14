#include "layer_polynomials.hpp"

#include <cmath>
#include <complex>
#include <numbers>

#include "power_series.hpp"
#include "relu_kernels.hpp"

namespace fastntk {

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

}  // namespace fastntk
