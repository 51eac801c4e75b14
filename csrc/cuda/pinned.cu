#include "pinned.cuh"

#include <algorithm>
#include <bit>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace fastntk::cuda {
namespace {

struct Kept {
  static constexpr std::size_t most = 4;
  std::mutex mutex;
  std::multimap<std::size_t, void*> memory;  // by size
};

// Never destroyed: at the end of the process the driver may be gone before.
Kept& kept() {
  static Kept& instance = *new Kept;
  return instance;
}

}  // namespace

StagingMemory::StagingMemory(std::size_t bytes)
    : memory_(nullptr), bytes_(std::bit_ceil(std::max<std::size_t>(bytes, 1 << 16))), pinned_(true) {
  {
    Kept& k = kept();
    const std::lock_guard lock(k.mutex);
    if (const auto found = k.memory.find(bytes_); found != k.memory.end()) {
      memory_ = found->second;
      k.memory.erase(found);
      return;
    }
  }
  if (cudaHostAlloc(&memory_, bytes_, cudaHostAllocPortable) == cudaSuccess) return;
  cudaGetLastError();
  pinned_ = false;
  memory_ = ::operator new(bytes_);
}

StagingMemory::~StagingMemory() {
  if (!pinned_) {
    ::operator delete(memory_);
    return;
  }
  Kept& k = kept();
  const std::lock_guard lock(k.mutex);
  try {
    k.memory.emplace(bytes_, memory_);
    if (k.memory.size() <= Kept::most) return;
    const auto largest = std::prev(k.memory.end());
    memory_ = largest->second;
    k.memory.erase(largest);
  } catch (const std::bad_alloc&) {
  }
  if (cudaFreeHost(memory_) != cudaSuccess) cudaGetLastError();
}

}  // namespace fastntk::cuda
