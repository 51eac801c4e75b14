// The emulation finds what it is there to find.
#include <string>

#include "../../csrc/cuda/runtime.cuh"
#include "device.hpp"

namespace {

using fastntk::Cuda;
using fastntk::cuda::launch;

__global__ void reverse_kernel(const float* in, float* out, bool with_barrier) {
  float* const shared = fastntk::cuda::shared_memory<float>();
  shared[threadIdx.x] = in[threadIdx.x];
  if (with_barrier) __syncthreads();
  out[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

TEST(a_missing_barrier_shows) {
  const sketches::Matrix<float> x = sketches::random_rows<float>(1, 128);
  for (const bool with_barrier : {true, false}) {
    const device::DeviceMatrix<float> in(x);
    device::DeviceMatrix<float> out(1, 128);
    launch(Cuda(), {1, 128, 512}, reverse_kernel, in.view().data, out.view().data, with_barrier);
    const sketches::Matrix<float> found = out.to_host();
    bool equal = true;
    for (std::size_t i = 0; i < 128; ++i) equal &= found(0, i) == x(0, 127 - i);
    CHECK(equal == with_barrier);
  }
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
