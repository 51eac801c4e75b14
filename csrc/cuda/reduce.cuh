// Sums over the threads of a warp or block, in an order that depends on the number of threads only.
#pragma once

#include "platform.cuh"

namespace fastntk::cuda {

/// The sum over the lanes of a warp, on every lane.
template <class T>
__device__ inline T warp_sum(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
  return value;
}

/// The sum over the block, on every thread; a block of whole warps, `work` is shared memory for one value a warp. All may
/// use `work` again after their next barrier.
template <class T>
__device__ inline T block_sum(T value, T* work) {
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0) work[threadIdx.x / 32] = value;
  __syncthreads();
  T sum = 0;
  for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) sum += work[warp];
  return sum;
}

}  // namespace fastntk::cuda
