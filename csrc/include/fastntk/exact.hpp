// Exact kernels: arc-cosine, NNGP and neural tangent kernel of fully connected ReLU networks, the linear kernel, and the
// scaling of features to the exact diagonal.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>

namespace fastntk {

// Errors are those of the arithmetic, for the given rows: below 2e-6 in float and 1e-12 in double, relative to (L + 1)|x||y|
// for the NTK, |x||y| for the NNGP and the order 1, 1 for the order 0. They hold for equal, nearly equal and opposite rows
// too, where a rounded cosine alone would leave 1e-4 in float; L = 1..32 is tested. Every entry depends on its two rows
// only: its bits are the same for any number of threads and any split into batches. Norms are taken without overflow. Both
// sides are copied once, as unit rows.

/// out = K_L(cosine), elementwise, cosine clipped to [-1, 1] (Z21 Definition 1), within 4 eps of (L + 1). Throws Error if
/// depth is 0 or shapes differ.
template <Real T, Backend B>
void relu_ntk(const B& backend, View<const T, B> cosine, std::size_t depth, View<T, B> out);

/// out (n, k) = arc-cosine kernel of order 0 or 1 between the rows of x (n, d) and y (k, d) (Cho and Saul 2009):
/// kappa_0(cos), and |x||y| kappa_1(cos). A zero row gives a zero kernel row. Where y is the same view as x, half the work
/// is done. Throws Error on other orders, without columns, or if a shape does not fit.
template <Real T, Backend B>
void arc_cosine_kernel(const B& backend, View<const T, B> x, View<const T, B> y, int order, View<T, B> out);

struct ReluKernelParams {
  std::size_t depth = 1;
  /// Value of a constant column appended to both inputs: a first-layer bias.
  double bias = 0;
};

/// out (n, k) = Theta(x, y) = |x||y| K_L(cos), the neural tangent kernel (Z21 Definition 1). Throws Error as above, or if
/// depth is 0 or bias is not finite in T.
template <Real T, Backend B>
void ntk_kernel(const B& backend, View<const T, B> x, View<const T, B> y, const ReluKernelParams& params, View<T, B> out);

/// out (n, k) = |x||y| S_L(cos), the neural network Gaussian process kernel. Throws Error as above.
template <Real T, Backend B>
void nngp_kernel(const B& backend, View<const T, B> x, View<const T, B> y, const ReluKernelParams& params, View<T, B> out);

/// out (n, k) = <x, y>, a product of matrices whose entries, too, depend on their two rows only. `out` overlaps nothing
/// else. Where y is the same view as x, half the work is done. Throws Error without columns, or if a shape does not fit.
template <Real T, Backend B>
void linear_kernel(const B& backend, View<const T, B> x, View<const T, B> y, View<T, B> out);

/// Scales the rows of z (n, D) to the norms sqrt(Theta(x, x)) = sqrt((L + 1)(|x|^2 + bias^2)) of the rows of x (n, d); zero
/// rows of z stay zero. Throws Error as above.
template <Real T, Backend B>
void scale_to_ntk_diagonal(const B& backend, View<const T, B> x, const ReluKernelParams& params, View<T, B> z);

}  // namespace fastntk
