#include "runtime.cuh"

#include <map>
#include <mutex>
#include <string>

namespace fastntk::cuda {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // it is reported here, once
  throw BackendError(std::string("CUDA: ") + what + " failed: " + cudaGetErrorString(error));
}

DeviceGuard::DeviceGuard(int device) : device_(device) {
  check(cudaGetDevice(&before_), "asking for the current device");
  if (before_ != device_) check(cudaSetDevice(device_), "choosing a device");
}

DeviceGuard::~DeviceGuard() {
  if (before_ != device_) cudaSetDevice(before_);
}

const DeviceLimits& limits(int device) {
  static std::mutex mutex;
  static std::map<int, DeviceLimits> known;
  const std::lock_guard lock(mutex);
  const auto found = known.find(device);
  if (found != known.end()) return found->second;
  const auto attribute = [&](cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device), "asking a device for its limits");
    return static_cast<std::size_t>(value);
  };
  const DeviceGuard current(device);
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking a device for its memory");
  return known[device] = {static_cast<int>(attribute(cudaDevAttrMultiProcessorCount)),
                          attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin), attribute(cudaDevAttrL2CacheSize), total};
}

}  // namespace fastntk::cuda
