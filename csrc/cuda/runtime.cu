#include "runtime.cuh"

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <string>

namespace fastntk::cuda {
namespace {

std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

std::string driver_advice() {
  int driver = 0, runtime = 0;
  const bool none = cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0;
  cudaRuntimeGetVersion(&runtime);
  cudaGetLastError();
  if (none) return "there is no NVIDIA driver; install one, or run on the CPU";
  // Minor versions of one major version understand each other.
  return "the driver, for CUDA " + version_text(driver) + ", is too old; this build needs one for CUDA " +
         version_text(runtime / 1000 * 1000) + " or newer";
}

std::string device_advice() {
  int count = 0;
  cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (count == 0) return "there is no CUDA device";
  return "there is no such device; " +
         (count == 1 ? std::string("device 0 is the only one") : "devices 0 to " + std::to_string(count - 1) + " exist");
}

// What the user can do about an error, or nothing.
std::string advice(cudaError_t error) {
  switch (error) {
    case cudaErrorInsufficientDriver:
    case cudaErrorStubLibrary:
      return driver_advice();
    case cudaErrorNoDevice:
      return "there is no CUDA device that this process may use (see nvidia-smi and CUDA_VISIBLE_DEVICES); run on the CPU";
    case cudaErrorInvalidDevice:
      return device_advice();
    case cudaErrorDevicesUnavailable:
      return "the device is busy or in exclusive use by another process; wait for that process, choose another device, or "
             "set "
             "its compute mode to default (nvidia-smi -c 0)";
    case cudaErrorInitializationError:
      return "the driver could not be initialised; a process forked after CUDA was used cannot use it (start it with the "
             "method \"spawn\")";
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
      return "the driver's parts have different versions; reboot, or install the driver again";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
      return "this build has no code for the device: it needs compute capability 8.0 or newer, or must be built with "
             "CMAKE_CUDA_ARCHITECTURES for it";
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
      return "a kernel failed, now or before, and broke this process's CUDA context; nothing on the device can be used "
             "until "
             "the process is started anew";
    default:
      return {};
  }
}

std::string megabytes(std::size_t bytes) {
  if (bytes < 10'000'000) return std::to_string(bytes) + " bytes";
  return std::to_string(bytes / 1'000'000) + " MB";
}

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // it is reported here, once
  const std::string text = std::string("CUDA: ") + what + " failed: " + cudaGetErrorString(error);
  if (error == cudaErrorMemoryAllocation) throw OutOfMemory(text);
  const std::string help = advice(error);
  throw BackendError(help.empty() ? text : text + "; " + help);
}

std::string describe_lack(const Cuda& backend, std::size_t bytes) {
  std::size_t free = 0, total = 0;
  const DeviceGuard current(backend.device, std::nothrow);
  const bool known = cudaMemGetInfo(&free, &total) == cudaSuccess;
  cudaGetLastError();
  std::string text = "CUDA: " + megabytes(bytes) + " are needed on device " + std::to_string(backend.device);
  if (known) text += "; " + megabytes(free) + " of its " + megabytes(total) + " are free";
  return text;
}

std::string describe_limit(const Cuda& backend, std::size_t taken, std::size_t bytes) {
  std::string text = "CUDA: " + megabytes(bytes) + " of workspace are needed on device " + std::to_string(backend.device);
  if (taken > 0) text += " beside " + megabytes(taken) + " in use";
  return text + "; " +
         (backend.max_memory ? "max_memory is " + megabytes(backend.max_memory) + ", raise it"
                             : "an eighth of its memory may be taken, set max_memory to allow more");
}

DeviceGuard::DeviceGuard(int device) : device_(device) {
  check(cudaGetDevice(&before_), "asking for the current device");
  if (before_ == device_) return;
  const cudaError_t error = cudaSetDevice(device_);
  if (error != cudaSuccess) check(error, ("choosing device " + std::to_string(device_)).c_str());
}

DeviceGuard::DeviceGuard(int device, std::nothrow_t) noexcept : device_(device), before_(device) {
  if (cudaGetDevice(&before_) != cudaSuccess || (before_ != device_ && cudaSetDevice(device_) != cudaSuccess)) {
    cudaGetLastError();
    before_ = device_;
  }
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
  const DeviceGuard current(device);
  const auto attribute = [&](cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device), "asking a device for its limits");
    return static_cast<std::size_t>(value);
  };
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking a device for its memory");
  return known[device] = {static_cast<int>(attribute(cudaDevAttrMultiProcessorCount)),
                          attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin), attribute(cudaDevAttrL2CacheSize), total};
}

std::size_t transform_bytes_on_chip(int device) {
  return std::min(most_transform_bytes_on_chip, std::bit_floor(limits(device).shared_bytes));
}

}  // namespace fastntk::cuda
