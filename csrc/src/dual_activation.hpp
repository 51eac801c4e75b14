// The dual activation of the ReLU NTK: the scalar function whose random features have the kernel of any depth as their mean.
//
// On the unit sphere Theta is a power series, K_L(a) = sum_k c_k a^k with c_k >= 0. For a standard normal w and orthonormal
// Hermite polynomials h_k, E[h_j(w.x) h_k(w.z)] = [j = k] (x.z)^k. Hence g = sum_k s_k sqrt(c_k) h_k with any signs s_k
// gives E[g(w.x) g(w.z)] = K_L(x.z): one direction and one evaluation a feature, whatever the depth. (The duality of
// activations and kernels: Daniely, Frostig and Singer 2016; designing an activation for a given kernel: Simon, Anand and
// DeWeese 2022.) The signs decide the variance. s_k = (-1)^(k div 2), the pattern of |u| and sign(u), keeps g tame: it has a
// logarithm and a step at u = 0 and grows slowly; other patterns have heavy tails.
#pragma once

#include <array>
#include <cstddef>

namespace fastntk {

/// g without its first `low_orders` terms, as cubics on half-octaves of |u|.
struct DualActivation {
  static constexpr int first_octave = -13;  // 2^-13 <= |u| < 2^3; nearer to 0 it is constant, and 2^3 is never passed
  static constexpr std::size_t segments = 32;

  /// g(u) = sum_p cubic[u < 0][p][segment] |u|^p; see segment().
  std::array<std::array<std::array<double, segments>, 4>, 2> cubic;

  std::array<double, 2> low_order;  ///< c_0 and c_1
  double remainder;                 ///< E[g^2] = L + 1 minus the terms left out

  /// The half-octave of a positive u.
  static std::size_t segment(double u);

  double operator()(double u) const;
};

/// For depth >= 1 and low_orders in {0, 1, 2}; computed once a process, in milliseconds. The mean of g(w.x) g(w.z) is K_L
/// without those terms to 1e-4 (L + 1).
DualActivation dual_activation(std::size_t depth, std::size_t low_orders);

}  // namespace fastntk
