// A stream of a device's, for the tests of what runs on several.
#pragma once

#include <fastntk/view.hpp>

#include "../../csrc/cuda/runtime.cuh"

namespace device {

/// Without the default stream's implicit waits.
class Stream {
 public:
  explicit Stream(int device = 0) : backend_{.device = device, .stream = nullptr, .max_memory = 0} {
    const fastntk::cuda::DeviceGuard current(device);
    fastntk::cuda::check(cudaStreamCreateWithFlags(&backend_.stream, cudaStreamNonBlocking), "making a stream");
  }
  ~Stream() { cudaStreamDestroy(backend_.stream); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  const fastntk::Cuda& backend() const { return backend_; }
  cudaStream_t stream() const { return backend_.stream; }

 private:
  fastntk::Cuda backend_;
};

}  // namespace device
