// The CUDA runtime and a kernel's vocabulary: nvcc's, or the host's emulation of them.
#pragma once

#if defined(FASTNTK_EMULATE_CUDA)
#include "emulation/device.hpp"
#else
#include <cuda_runtime.h>
#endif

namespace fastntk::cuda {

/// The mask of all lanes of a warp.
constexpr unsigned whole_warp = 0xffffffffu;

/// The block's dynamic shared memory, aligned to 16 bytes. The only kind that kernels use, so that its size is checked.
template <class T>
__device__ inline T* shared_memory() {
#if defined(FASTNTK_EMULATE_CUDA)
  return reinterpret_cast<T*>(emulation::current_block().shared);
#else
  extern __shared__ __align__(16) unsigned char bytes[];
  return reinterpret_cast<T*>(bytes);
#endif
}

}  // namespace fastntk::cuda
