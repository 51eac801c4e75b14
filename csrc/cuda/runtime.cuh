// Calls to the CUDA runtime: errors, the current device, kernel launches.
#pragma once

#include <fastntk/error.hpp>
#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "platform.cuh"

namespace fastntk::cuda {

/// Throws OutOfMemory or BackendError, which say what was tried and what helps, unless `error` is cudaSuccess.
void check(cudaError_t error, const char* what);

/// What OutOfMemory says where `bytes` more are needed than there are: how many are free.
std::string describe_lack(const Cuda& backend, std::size_t bytes);
/// The same where `bytes` beside the `taken` ones of a call are more than it may take, and the argument to raise.
std::string describe_limit(const Cuda& backend, std::size_t taken, std::size_t bytes);

/// The runtime's current device is `device` while this lives. Throws BackendError, which says what is missing, where there
/// is no such device; with std::nothrow the device is as it may be then.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device);
  DeviceGuard(int device, std::nothrow_t) noexcept;
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int device_;
  int before_;
};

/// What kernels are sized by.
struct DeviceLimits {
  int multiprocessors;
  std::size_t shared_bytes;  // of a block, at most
  std::size_t cache_bytes;   // of the second level
  std::size_t memory_bytes;
};
const DeviceLimits& limits(int device);

/// Rows up to this size, or two of half, are transformed in shared memory: a power of two, at most the constant, and less
/// where a block has less than the 164 or 228 KB of data-centre devices.
constexpr std::size_t most_transform_bytes_on_chip = std::size_t{128} << 10;
std::size_t transform_bytes_on_chip(int device);

/// The shape of a launch: blocks of threads in one dimension, and their dynamic shared memory.
struct Grid {
  std::size_t blocks;
  unsigned threads;
  std::size_t shared_bytes = 0;
};

/// Queues kernel(arguments...) on the backend's stream; nothing if there are no blocks.
template <class... Parameters, class... Arguments>
void launch(const Cuda& backend, const Grid& grid, void (*kernel)(Parameters...), Arguments&&... arguments) {
  if (grid.blocks == 0) return;
  constexpr std::size_t most_blocks = 0x7fffffff;
  require(grid.blocks <= most_blocks, [&] { return "a launch of " + std::to_string(grid.blocks) + " blocks is too large"; });
  const DeviceGuard current(backend.device);
  const bool needs_leave = grid.shared_bytes > std::size_t{48} << 10;
  const std::size_t most_shared_bytes = needs_leave ? limits(backend.device).shared_bytes : grid.shared_bytes;
#if defined(FASTNTK_EMULATE_CUDA)
  check(grid.shared_bytes <= most_shared_bytes ? cudaSuccess : cudaErrorInvalidValue, "shared memory for a kernel");
  // As on a device, arguments are copied when the kernel is queued.
  const auto body = [kernel, ... copies = static_cast<Parameters>(arguments)] { kernel(copies...); };
  const auto run = [body, grid] {
    emulation::run_grid(dim3(static_cast<unsigned>(grid.blocks)), dim3(grid.threads), grid.shared_bytes, body);
  };
  check(emulation::enqueue("launch", backend.stream, run), "a kernel launch");
#else
  // Always the most that there is: what a launch needs, another thread would lower before it.
  if (needs_leave) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(most_shared_bytes)),
          "shared memory for a kernel");
  }
  kernel<<<static_cast<unsigned>(grid.blocks), grid.threads, grid.shared_bytes, backend.stream>>>(
      static_cast<Parameters>(arguments)...);
  check(cudaGetLastError(), "a kernel launch");
#endif
}

}  // namespace fastntk::cuda
