#include "staging.cuh"

#include <fastntk/upload.hpp>

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <mutex>

#include "pinned.cuh"
#include "runtime.cuh"

namespace fastntk::cuda {
namespace {

constexpr std::size_t most_bytes = std::size_t{1} << 20;  // of a copy; larger ones go in parts
constexpr std::size_t most_copies = 32;

struct Copy {
  explicit Copy(std::size_t size) : bytes(size), memory(size) {}
  std::size_t bytes;
  StagingMemory memory;
  Event done;
};

// To one device, the oldest first.
struct Copies {
  std::mutex mutex;
  std::list<Copy> all;
};

// Memory for the next copy: that of the oldest one if it is done, and kept for that, because giving pinned memory back waits
// for the device.
Copy& next_copy(std::list<Copy>& all, std::size_t bytes) {
  if (all.size() == most_copies) all.front().done.wait();
  while (!all.empty() && all.front().done.done()) {
    if (all.front().bytes >= bytes) {
      all.splice(all.end(), all, all.begin());
      return all.back();
    }
    all.pop_front();
  }
  return all.emplace_back(std::max(bytes, most_bytes / 8));
}

// Never destroyed: at the end of the process the driver may be gone before.
Copies& copies_to(int device) {
  static std::mutex mutex;
  static std::map<int, Copies>& all = *new std::map<int, Copies>;
  const std::lock_guard lock(mutex);
  return all[device];
}

}  // namespace

void copy_in_queued(const Cuda& backend, const void* host, std::size_t bytes, void* memory) {
  const DeviceGuard current(backend.device);
  Copies& copies = copies_to(backend.device);
  const std::lock_guard lock(copies.mutex);
  for (std::size_t begin = 0; begin < bytes; begin += most_bytes) {
    const std::size_t part = std::min(most_bytes, bytes - begin);
    Copy& copy = next_copy(copies.all, part);
    std::memcpy(copy.memory.data(), static_cast<const char*>(host) + begin, part);
    check(cudaMemcpyAsync(static_cast<char*>(memory) + begin, copy.memory.data(), part, cudaMemcpyHostToDevice,
                          backend.stream),
          "a copy to the device");
    copy.done.record(backend.stream);
  }
}

}  // namespace fastntk::cuda

namespace fastntk {

void upload(const Cuda& backend, const void* host, std::size_t bytes, void* memory) {
  cuda::copy_in_queued(backend, host, bytes, memory);
}

}  // namespace fastntk
