#include "staging.cuh"

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>

#include "runtime.cuh"

namespace fastntk::cuda {
namespace {

constexpr std::size_t most_bytes = std::size_t{1} << 20;  // of a copy; larger ones go in parts
constexpr std::size_t most_buffers = 32;

// Pinned memory, and the event after the last copy from it.
struct PinnedBuffer {
  int device;
  std::size_t bytes;
  void* memory;
  cudaEvent_t copied;
};

struct Pool {
  std::mutex mutex;
  std::deque<PinnedBuffer> buffers;  // the one used longest ago first
};

// Kept for the life of the process: at its end the runtime may be gone before us.
Pool& pool() {
  static Pool& kept = *new Pool;
  return kept;
}

PinnedBuffer make_buffer(int device, std::size_t bytes) {
  PinnedBuffer buffer{device, bytes, nullptr, nullptr};
  check(cudaHostAlloc(&buffer.memory, bytes, cudaHostAllocDefault), "taking pinned memory");
  const cudaError_t error = cudaEventCreateWithFlags(&buffer.copied, cudaEventDisableTiming);
  if (error != cudaSuccess) cudaFreeHost(buffer.memory);
  check(error, "making an event");
  return buffer;
}

// Takes a buffer of at least `bytes` out of the pool: one whose copy is done, a new one, or the first that gets free.
PinnedBuffer take_buffer(Pool& from, int device, std::size_t bytes) {
  auto& buffers = from.buffers;
  const auto fits = [&](const PinnedBuffer& b) { return b.device == device && b.bytes >= bytes; };
  auto found = std::find_if(buffers.begin(), buffers.end(),
                            [&](const PinnedBuffer& b) { return fits(b) && cudaEventQuery(b.copied) == cudaSuccess; });
  if (found == buffers.end()) {
    cudaGetLastError();  // "not ready" is an answer
    if (buffers.size() < most_buffers) return make_buffer(device, std::max(bytes, most_bytes / 8));
    found = std::find_if(buffers.begin(), buffers.end(), fits);
    if (found == buffers.end()) return make_buffer(device, most_bytes);
    check(cudaEventSynchronize(found->copied), "work on the device");
  }
  const PinnedBuffer buffer = *found;
  buffers.erase(found);
  return buffer;
}

}  // namespace

void copy_in_queued(const Cuda& backend, const void* host, std::size_t bytes, void* memory) {
  const DeviceGuard current(backend.device);
  Pool& all = pool();
  const std::lock_guard lock(all.mutex);
  for (std::size_t done = 0; done < bytes; done += most_bytes) {
    const std::size_t part = std::min(most_bytes, bytes - done);
    const PinnedBuffer buffer = take_buffer(all, backend.device, part);
    std::memcpy(buffer.memory, static_cast<const char*>(host) + done, part);
    cudaError_t error =
        cudaMemcpyAsync(static_cast<char*>(memory) + done, buffer.memory, part, cudaMemcpyHostToDevice, backend.stream);
    if (error == cudaSuccess) error = cudaEventRecord(buffer.copied, backend.stream);
    all.buffers.push_back(buffer);
    check(error, "a copy to the device");
  }
}

}  // namespace fastntk::cuda
