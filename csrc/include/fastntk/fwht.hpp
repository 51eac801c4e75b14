// The fast Walsh-Hadamard transform.
#pragma once

#include <fastntk/half.hpp>
#include <fastntk/view.hpp>

namespace fastntk {

/// out = scale * x H^T row by row, H the unnormalised Walsh-Hadamard matrix in natural order (H_ij = (-1)^popcount(i & j)).
/// x and out are (rows, n), n a power of two, and may be the same view. Throws Error if the shapes do not fit.
template <Real T, Backend B>
void fwht(const B& backend, View<const T, B> x, View<T, B> out, T scale = T(1));

/// The same in place.
template <Real T, Backend B>
void fwht(const B& backend, View<T, B> x, T scale = T(1)) {
  fwht<T, B>(backend, View<const T, B>(x), x, scale);
}

/// The same for 16-bit numbers on a device: sums are kept in float and rounded once, to the nearest, when they are complete
/// and scaled.
template <SixteenBit S>
void fwht(const Cuda& backend, View<const S, Cuda> x, View<S, Cuda> out, float scale = 1);

}  // namespace fastntk
