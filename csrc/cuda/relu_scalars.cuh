// What src/relu_recursion.hpp asks of its values, for single ones in a thread.
#pragma once

#include <cmath>

#include "platform.cuh"

namespace fastntk {

template <class T>
__device__ inline T square_root(T x) {
  return std::sqrt(x);
}
template <class T>
__device__ inline T magnitude(T x) {
  return std::abs(x);
}
template <class T>
__device__ inline T with_sign(T x, T sign) {
  return std::copysign(x, sign);
}
template <class T>
__device__ inline bool is_negative(T x) {
  return std::signbit(x);
}

}  // namespace fastntk
