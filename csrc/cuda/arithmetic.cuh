// Operations whose rounding is part of a result.
#pragma once

#include "platform.cuh"

namespace fastntk::cuda {

/// a * b, which the compiler may not fuse with the sum that it goes into: the CPU's bits have both roundings.
__device__ inline float rounded_product(float a, float b) { return __fmul_rn(a, b); }
__device__ inline double rounded_product(double a, double b) { return __dmul_rn(a, b); }

/// a * b + c, rounded once.
__device__ inline float multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
__device__ inline double multiply_add(double a, double b, double c) { return __fma_rn(a, b, c); }

}  // namespace fastntk::cuda
