// Operations whose bits are part of a result.
#pragma once

#include <cstdint>

#include "platform.cuh"

namespace fastntk::cuda {

/// a * b, which the compiler may not fuse with the sum that it goes into: the CPU's bits have both roundings.
__device__ inline float rounded_product(float a, float b) { return __fmul_rn(a, b); }
__device__ inline double rounded_product(double a, double b) { return __dmul_rn(a, b); }

/// a * b + c, rounded once.
__device__ inline float multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
__device__ inline double multiply_add(double a, double b, double c) { return __fma_rn(a, b, c); }

/// x with its sign turned if bit j of `word` is set.
__device__ inline float flipped(float x, std::uint32_t word, unsigned j) {
  return __uint_as_float(__float_as_uint(x) ^ ((word >> j) << 31));
}
__device__ inline double flipped(double x, std::uint32_t word, unsigned j) {
  return __longlong_as_double(__double_as_longlong(x) ^ static_cast<long long>(std::uint64_t{word >> j} << 63));
}

}  // namespace fastntk::cuda
