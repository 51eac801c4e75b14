// The dual activation of a kernel: the scalar function whose random features have that kernel as their mean.
//
// On the unit sphere a ReLU network's kernel is a power series in the cosine, k(a) = sum_k c_k a^k with c_k >= 0. For a
// standard normal w and orthonormal Hermite polynomials h_k, E[h_j(w.x) h_k(w.z)] = [j = k] (x.z)^k. Hence g = sum_k s_k
// sqrt(c_k) h_k with any signs s_k gives E[g(w.x) g(w.z)] = k(x.z): one direction and one evaluation a feature, whatever the
// depth. (The duality of activations and kernels: Daniely, Frostig and Singer 2016; designing an activation for a given
// kernel: Simon, Anand and DeWeese 2022.)
//
// The signs decide the variance. s_k = (-1)^(k div 2), the pattern of |u|, sign(u) and cos u + sin u, keeps g tame: that of
// the neural tangent kernel has a logarithm and a step at u = 0 and grows slowly, that of exp(t^2 (a - 1)) is bounded; other
// patterns have heavy tails. A polynomial cut off while its coefficients are large has them under any signs: E[h_k^4] grows
// as 9^k.
#pragma once

#include <fastntk/kernel_series.hpp>

#include <array>
#include <cstddef>
#include <vector>

namespace fastntk {

/// g without its first `low_orders` terms, as cubics on half-octaves of |u|.
struct DualActivation {
  static constexpr int first_octave = -13;  // 2^-13 <= |u| < 2^3; nearer to 0 it is constant, and 2^3 is never passed
  static constexpr std::size_t segments = 32;

  /// g(u) = sum_p cubic[u < 0][p][segment] |u|^p; see segment().
  std::array<std::array<std::array<double, segments>, 4>, 2> cubic;

  std::array<double, 2> low_order;  ///< c_0 and c_1
  double remainder;                 ///< E[g^2] = k(1) minus the terms left out

  /// The half-octave of a positive u.
  static std::size_t segment(double u);

  double operator()(double u) const;
};

/// Of the kernels whose series do not end, depth >= 1 and low_orders in {0, 1, 2}; computed once a process, in about a
/// millisecond a layer. The mean of g(w.x) g(w.z) is the kernel without those terms to 1e-4 k(1).
DualActivation dual_activation(CosineKernel kernel, std::size_t depth, std::size_t low_orders);

/// s_k.
constexpr double hermite_sign(std::size_t k) { return k / 2 % 2 == 0 ? 1 : -1; }

/// g = sum_k hermite[k] h_k of a kernel that is a polynomial, likewise without its first terms.
struct DualPolynomial {
  std::vector<double> hermite;
  std::array<double, 2> low_order;  ///< c_0 and c_1
  double remainder;                 ///< E[g^2]
};

DualPolynomial dual_polynomial(const std::vector<double>& coefficients, std::size_t low_orders);

}  // namespace fastntk
