// What the CUDA runtime says of this machine.
#include <string>

#include "../src/config.hpp"
#include "blas.cuh"
#include "runtime.cuh"
#include "workspace.cuh"

namespace fastntk {

void describe_cuda(Config& config) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) {
    // The runtime gives this both for an old driver and for none at all; only the version tells them apart.
    int driver = 0;
    const bool none = cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0;
    config.cuda_status = none ? "built, no driver" : "built, driver too old";
  } else if (error == cudaErrorNoDevice) {
    config.cuda_status = "built, no device";
  } else if (error != cudaSuccess) {
    config.cuda_status = std::string("built, ") + cudaGetErrorString(error);
  } else {
    config.cuda_status = "ready";
    for (int device = 0; device < count; ++device) {
      cudaDeviceProp properties;
      const bool known = cudaGetDeviceProperties(&properties, device) == cudaSuccess;
      config.cuda_devices.emplace_back(known ? properties.name : "unknown");
    }
    config.cuda_libraries = cuda::blas::description();
  }
  cudaGetLastError();  // nobody else's concern
}

DeviceMemory device_memory(int device) {
  const cuda::DeviceGuard current(device);
  DeviceMemory memory{};
  cuda::check(cudaMemGetInfo(&memory.free, &memory.total), "asking a device for its memory");
  return memory;
}

void trim_memory(int device) { cuda::trim_workspace(device); }

}  // namespace fastntk
