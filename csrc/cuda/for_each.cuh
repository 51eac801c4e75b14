// for_each() on a device. The build includes this file in front of the algorithms that it compiles for this backend.
#pragma once

#include <cstddef>

#include "../src/tile.hpp"
#include "runtime.cuh"

namespace fastntk {
namespace cuda {

constexpr unsigned for_each_threads = 256;

template <class F>
__global__ void __launch_bounds__(for_each_threads) for_each_kernel(std::size_t count, F f) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) f(i);
}

}  // namespace cuda

template <class F>
void for_each(Tile<Cuda>& tile, std::size_t count, F f) {
  const std::size_t blocks = (count + cuda::for_each_threads - 1) / cuda::for_each_threads;
  cuda::launch(tile.backend(), {blocks, cuda::for_each_threads}, cuda::for_each_kernel<F>, count, f);
}

}  // namespace fastntk
