// Sums and other reductions over the threads of a block, in an order that depends on the number of threads only.
#pragma once

#include "platform.cuh"

namespace fastntk::cuda {

struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

struct Larger {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b > a ? b : a;
  }
};

/// The values of a block's threads, combined, on every thread; a block of whole warps, `work` is shared memory for one value
/// a warp. All may use `work` again after their next barrier.
template <class T, class Combine>
__device__ inline T block_reduce(T value, T* work, Combine combine) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) value = combine(value, __shfl_xor_sync(whole_warp, value, distance));
  if (threadIdx.x % 32 == 0) work[threadIdx.x / 32] = value;
  __syncthreads();
  value = work[0];
  for (unsigned warp = 1; warp < blockDim.x / 32; ++warp) value = combine(value, work[warp]);
  return value;
}

template <class T>
__device__ inline T block_sum(T value, T* work) {
  return block_reduce(value, work, Add());
}

}  // namespace fastntk::cuda
