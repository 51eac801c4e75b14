// Elements as they are stored and as kernels compute with them: 16-bit storage becomes float.
#pragma once

#include <fastntk/half.hpp>

#include <type_traits>

#include "platform.cuh"

namespace fastntk::cuda {

/// What sums of elements stored as S are kept in.
template <class S>
using Accumulator = std::conditional_t<SixteenBit<S>, float, S>;

// The device converts in one instruction; the types' own operators take several.
__device__ inline float widen(Half x) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
  return result;
#else
  return static_cast<float>(x);
#endif
}
__device__ inline float widen(BFloat16 x) { return static_cast<float>(x); }
__device__ inline float widen(float x) { return x; }
__device__ inline double widen(double x) { return x; }

/// x, rounded to S.
template <class S>
__device__ inline S narrow(Accumulator<S> x) {
#if defined(__CUDA_ARCH__)
  if constexpr (SixteenBit<S>) {
    S result;
    if constexpr (std::is_same_v<S, Half>) {
      asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    } else {
      asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    }
    return result;
  }
#endif
  return static_cast<S>(x);
}

}  // namespace fastntk::cuda
