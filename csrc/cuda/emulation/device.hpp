// CUDA kernels on the host: what nvcc gives a kernel's text, for the host's compiler.
//
// Every thread of a block is a fiber; blocks run one after another. A fiber runs until it meets a barrier or a warp's
// collective, so that a run is deterministic; set_reverse() turns the order of threads and warps round, and what differs
// between both orders lacks a barrier. Shared memory starts as NaN. Checked: barriers and collectives that not all threads
// of a block or mask reach, shuffles from lanes that do not take part, and writes beyond shared memory; under an address
// sanitizer every access. Not modelled: asynchronous copies, clusters, tensor cores, races within a warp without __syncwarp.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "fibers.hpp"
#include "runtime.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__ __restrict

#define threadIdx (::fastntk::emulation::current_thread().index)
#define blockIdx (::fastntk::emulation::current_block().index)
#define blockDim (::fastntk::emulation::current_block().threads)
#define gridDim (::fastntk::emulation::current_block().grid)

#define FASTNTK_SITE __LINE__
#define __syncthreads() ((void)::fastntk::emulation::block_barrier(0))
#define __syncthreads_count(predicate) (::fastntk::emulation::block_barrier(predicate))
#define __syncthreads_or(predicate) (::fastntk::emulation::block_barrier(predicate) != 0)
#define __syncwarp(...) (::fastntk::emulation::warp_barrier(0xffffffffu __VA_OPT__(&(__VA_ARGS__)), FASTNTK_SITE))
#define __shfl_sync(mask, value, lane) \
  (::fastntk::emulation::shuffle(mask, value, static_cast<int>((lane) & 31), FASTNTK_SITE))
#define __shfl_xor_sync(mask, value, bits) \
  (::fastntk::emulation::shuffle(mask, value, ::fastntk::emulation::lane() ^ static_cast<int>(bits), FASTNTK_SITE))
#define __shfl_down_sync(mask, value, delta) \
  (::fastntk::emulation::shuffle(mask, value, ::fastntk::emulation::lane() + static_cast<int>(delta), FASTNTK_SITE))
#define __shfl_up_sync(mask, value, delta) \
  (::fastntk::emulation::shuffle(mask, value, ::fastntk::emulation::lane() - static_cast<int>(delta), FASTNTK_SITE))
#define __ballot_sync(mask, predicate) (::fastntk::emulation::ballot(mask, predicate, FASTNTK_SITE))
#define __match_any_sync(mask, value) (::fastntk::emulation::match_any(mask, value, FASTNTK_SITE))
#define __any_sync(mask, predicate) (::fastntk::emulation::ballot(mask, predicate, FASTNTK_SITE) != 0)

// Fibers are not interrupted between barriers, and blocks do not overlap.
template <class T>
inline T atomicAdd(T* to, T value) {
  const T old = *to;
  *to = old + value;
  return old;
}
template <class T>
inline T atomicMin(T* to, T value) {
  const T old = *to;
  *to = std::min(old, value);
  return old;
}

template <class T>
inline T __ldg(const T* from) {
  return *from;
}
template <class T>
inline T min(T a, T b) {
  return std::min(a, b);
}
template <class T>
inline T max(T a, T b) {
  return std::max(a, b);
}
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
