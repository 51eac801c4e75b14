// The ReLU kernels of a pair of rows as functions of its cosine (Cho and Saul 2009; Z21 Definition 1), one pair at a time in
// float64: for constants and thresholds. Whole matrices go through the primitive `relu_kernel`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace fastntk {

/// Which function of the cosine: kappa_0, S_L of the NNGP, or K_L of the neural tangent kernel.
enum class ReluKernel { arc_cosine_0, nngp, ntk };

/// kappa_0(a) = (pi - acos a)/pi.
inline double kappa0(double a) { return 1 - std::acos(std::clamp(a, -1.0, 1.0)) / std::numbers::pi; }

/// Its derivative, 1/(pi sqrt(1 - a^2)).
inline double kappa0_slope(double a) { return 1 / (std::numbers::pi * std::sqrt((1 - a) * (1 + a))); }

/// kappa_1(a) = (sqrt(1 - a^2) + a (pi - acos a))/pi; its derivative is kappa_0.
inline double kappa1(double a) {
  a = std::clamp(a, -1.0, 1.0);
  return std::sqrt((1 - a) * (1 + a)) / std::numbers::pi + a * kappa0(a);
}

/// S_l and K_l with their derivatives in a, carried from one layer to the next.
struct ReluLayer {
  double s, s_slope, k, k_slope;

  explicit ReluLayer(double a) : s(a), s_slope(1), k(a), k_slope(1) {}

  void advance() {
    const double gate = kappa0(s);
    k_slope = k_slope * gate + k * kappa0_slope(s) * s_slope;
    s_slope *= gate;
    s = kappa1(s);
    k = k * gate + s;
    k_slope += s_slope;
  }
};

/// Derivative of the kernel in the cosine, over the kernel's value at 1: how much an error of the cosine grows.
inline double amplification(ReluKernel kind, std::size_t depth, double a) {
  if (kind == ReluKernel::arc_cosine_0) return kappa0_slope(a);
  ReluLayer layer(a);
  for (std::size_t l = 0; l < depth; ++l) layer.advance();
  return kind == ReluKernel::nngp ? layer.s_slope : layer.k_slope / (static_cast<double>(depth) + 1);
}

/// The largest gap 1 - |a| at which an error of the cosine grows more than `limit` times, for a > 0 and for a < 0.
struct NearPairs {
  double positive = 0;
  double negative = 0;

  NearPairs() = default;
  NearPairs(ReluKernel kind, std::size_t depth, double limit) {
    for (double gap = 1; gap > 1e-5; gap *= 0.9) {
      if (positive == 0 && std::abs(amplification(kind, depth, 1 - gap)) > limit) positive = gap / 0.9;
      if (negative == 0 && std::abs(amplification(kind, depth, gap - 1)) > limit) negative = gap / 0.9;
    }
    // Below, the cosine itself has few digits left: equal rows get a gap of exactly 0, whatever the kernel.
    positive = std::max(positive, 1e-5);
    negative = std::max(negative, 1e-5);
  }
};

}  // namespace fastntk
