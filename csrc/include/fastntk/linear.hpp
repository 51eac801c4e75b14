// Dense linear algebra that the estimators need, most of it on a device: predictions, the dual form of ridge regression, and
// norms of rows. Products and factors are by cuBLAS and cuSOLVER; without them these throw BackendError, which says how to
// get them.
#pragma once

#include <fastntk/view.hpp>

#include <cstdint>

namespace fastntk {

/// out (n, t) = z (n, D) coef (D, t) + intercept (1, t), all on the device; `out` overlaps nothing else. Queued. As with any
/// BLAS a row's last bits can depend on how many rows there are. Throws Error if a shape does not fit.
template <Real T>
void linear_map(const Cuda& backend, View<const T, Cuda> z, View<const T, Cuda> coef, View<const T, Cuda> intercept,
                View<T, Cuda> out);

/// Solves (k + alpha I) a = y by a Cholesky factor, for a symmetric k (n, n) of which the lower triangle is read: y (n, t)
/// becomes a, and k's lower triangle the factor (diagonal included). Waits. Throws Error if a shape does not fit,
/// alpha is negative or not finite, or k + alpha I is not positive definite in T; k is spoilt then, and y as it was.
template <Real T>
void solve_positive_definite(const Cuda& backend, double alpha, View<T, Cuda> k, View<T, Cuda> y);

/// index[i] = the first column of the largest entry of row i, or, if there is one column only, whether its entry is
/// positive. Queued.
template <Real T>
void largest_entry(const Cuda& backend, View<const T, Cuda> scores, std::int64_t* index);

/// square[i] = |z_i|^2, summed in T, on the device. Queued.
template <Real T>
void row_squares(const Cuda& backend, View<const T, Cuda> z, T* square);

/// The same on the host, summed in double; a row's bits do not depend on the others, on threads and on the machine.
template <Real T>
void row_squares(const Cpu& backend, View<const T> z, double* square);

}  // namespace fastntk
