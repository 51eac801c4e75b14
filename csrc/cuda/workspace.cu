#include "workspace.cuh"

#include <fastntk/error.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "runtime.cuh"

namespace fastntk::cuda {
namespace {

// One pool per device, made when it is first needed and kept for the life of the process. Null where the driver has none.
cudaMemPool_t pool_of(int device) {
  static std::mutex mutex;
  static std::map<int, cudaMemPool_t>& pools = *new std::map<int, cudaMemPool_t>;  // calls at the end of the process need it
  const std::lock_guard lock(mutex);
  const auto found = pools.find(device);
  if (found != pools.end()) return found->second;
  const DeviceGuard current(device);
  int supported = 0;
  check(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device), "asking a device for its memory pools");
  cudaMemPool_t pool = nullptr;
  if (supported) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location = {cudaMemLocationTypeDevice, device};
    check(cudaMemPoolCreate(&pool, &properties), "making a memory pool");
    // Otherwise every synchronisation would return the memory to the driver, and the next call would map it again.
    std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
    const cudaError_t error = cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep);
    if (error != cudaSuccess) cudaMemPoolDestroy(pool);
    check(error, "setting up a memory pool");
  }
  return pools[device] = pool;
}

// Calls `take` until it has memory, at most twice: between, the pool is emptied. Where there is none, advice() tells the
// user what helps.
template <class Take, class Advice>
void* take_or_throw(const Cuda& backend, std::size_t bytes, Take&& take, Advice&& advice) {
  const DeviceGuard current(backend.device);
  void* memory = nullptr;
  cudaError_t error = take(&memory);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    trim_workspace(backend.device);
    error = take(&memory);
  }
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw OutOfMemory(describe_lack(backend, bytes) + ". " + advice());
  }
  check(error, "taking device memory");
  return memory;
}

}  // namespace

std::size_t memory_limit(const Cuda& backend) {
  return backend.max_memory ? backend.max_memory : limits(backend.device).memory_bytes / 8;
}

Workspace::Workspace(const Cuda& backend, std::size_t bytes) : backend_(backend), bytes_(bytes) {
  const cudaMemPool_t pool = pool_of(backend.device);
  pooled_ = pool != nullptr;
  const auto take = [&](void** memory) {
    return pool ? cudaMallocFromPoolAsync(memory, bytes, pool, backend.stream) : cudaMalloc(memory, bytes);
  };
  memory_ = take_or_throw(backend, bytes, take, [&] {
    return "Work with fewer rows or a smaller operator, or lower max_memory (now " + std::to_string(memory_limit(backend)) +
           " bytes)";
  });
}

Workspace::Workspace(Workspace&& other) noexcept
    : backend_(other.backend_),
      memory_(std::exchange(other.memory_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      pooled_(other.pooled_) {}

Workspace& Workspace::operator=(Workspace&& other) noexcept {
  std::swap(backend_, other.backend_);
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  std::swap(pooled_, other.pooled_);
  return *this;
}

Workspace::~Workspace() {
  if (!memory_) return;
  const DeviceGuard current(backend_.device, std::nothrow);
  // A context that a kernel has broken refuses this too; that is reported where the stream is waited for.
  if ((pooled_ ? cudaFreeAsync(memory_, backend_.stream) : cudaFree(memory_)) != cudaSuccess) cudaGetLastError();
}

void* allocate_device(const Cuda& backend, std::size_t bytes) {
  // Constants and results have the size they have, however little workspace a call takes.
  const auto take = [&](void** memory) { return cudaMalloc(memory, bytes); };
  return take_or_throw(backend, bytes, take, [] {
    return std::string("Work with fewer rows or a smaller operator, or free memory of the device");
  });
}

void trim_workspace(int device) {
  const DeviceGuard current(device);
  check(cudaDeviceSynchronize(), "work on the device");
  if (const cudaMemPool_t pool = pool_of(device)) check(cudaMemPoolTrimTo(pool, 0), "emptying a memory pool");
}

}  // namespace fastntk::cuda
