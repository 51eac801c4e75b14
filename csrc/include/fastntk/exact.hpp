// Exact kernels: arc-cosine, NNGP and neural tangent kernel of fully connected ReLU networks.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>

namespace fastntk {

/// out = K_L(cosine), elementwise, cosine clipped to [-1, 1] (Z21 Definition 1). Throws Error if depth is 0 or shapes differ.
template <Real T, Backend B>
void relu_ntk(const B& backend, View<const T, B> cosine, std::size_t depth, View<T, B> out);

/// out (n, k) = arc-cosine kernel of order 0 or 1 between the rows of x (n, d) and y (k, d) (Cho and Saul 2009): kappa_0(cos),
/// and |x||y| kappa_1(cos). A zero row gives a zero kernel row. Where y is the same view as x, half the work is done.
/// Throws Error on other orders, or if a shape does not fit.
template <Real T, Backend B>
void arc_cosine_kernel(const B& backend, View<const T, B> x, View<const T, B> y, int order, View<T, B> out);

struct ReluKernelParams {
  std::size_t depth = 1;
  /// Value of a constant column appended to both inputs: a first-layer bias.
  double bias = 0;
};

/// out (n, k) = Theta(x, y) = |x||y| K_L(cos), the neural tangent kernel (Z21 Definition 1). Errors as above.
/// The error is below 2e-6 (float) of (L + 1)|x||y|, also for equal and nearly equal rows.
template <Real T, Backend B>
void ntk_kernel(const B& backend, View<const T, B> x, View<const T, B> y, const ReluKernelParams& params, View<T, B> out);

/// out (n, k) = |x||y| S_L(cos), the neural network Gaussian process kernel. Errors as above.
template <Real T, Backend B>
void nngp_kernel(const B& backend, View<const T, B> x, View<const T, B> y, const ReluKernelParams& params, View<T, B> out);

}  // namespace fastntk
