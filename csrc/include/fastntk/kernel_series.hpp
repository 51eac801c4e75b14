// Kernels of the cosine of two rows, and their power series.
#pragma once

#include <cstddef>
#include <vector>

namespace fastntk {

/// Kernels k(a) = sum_k c_k a^k with c_k >= 0 of the cosine a: positive definite in any number of dimensions (Schoenberg
/// 1942).
///   ntk           K_L, the neural tangent kernel of a ReLU network of depth L (Z21 Definition 1)
///   nngp          S_L, its Gaussian process kernel
///   arc_cosine_0  kappa_0 (Cho and Saul 2009)
///   arc_cosine_1  kappa_1 = S_1
///   polynomial    coefficients of one's own
enum class CosineKernel { ntk, nngp, arc_cosine_0, arc_cosine_1, polynomial };

struct KernelSeriesParams {
  CosineKernel kernel = CosineKernel::ntk;
  std::size_t depth = 1;                  ///< of ntk and nngp
  std::vector<double> coefficients = {};  ///< of polynomial: c_0, c_1, ..., finite and not negative
};

/// Coefficients known of each kernel but polynomials, which may have as many.
inline constexpr std::size_t kernel_series_terms = 4096;

/// c_k for k < terms, right to 1e-12 k(1). Throws Error if `terms` is 0 or more than kernel_series_terms, if the depth is 0,
/// or if coefficients of one's own are missing, too many, negative, all 0 or without a finite sum.
std::vector<double> kernel_series(const KernelSeriesParams& params, std::size_t terms);

/// k(1), the squared norm of a unit row's features. Throws Error likewise.
double kernel_at_one(const KernelSeriesParams& params);

/// Z21's c_0 .. c_degree of a Taylor polynomial of K_L whose last coefficient has the tail, so that they add up to L + 1.
/// Throws Error if the depth is 0 or the degree kernel_series_terms or more.
std::vector<double> ntk_polynomial(std::size_t depth, std::size_t degree);

}  // namespace fastntk
