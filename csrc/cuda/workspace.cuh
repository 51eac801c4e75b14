// Memory that queued work uses for a while: taken and given back in a stream's order, so that no call waits for the device.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>

namespace fastntk::cuda {

/// The most bytes of workspace that one call may take: max_memory, or an eighth of the device's memory.
std::size_t memory_limit(const Cuda& backend);

/// Memory of the backend's device that belongs to the work queued on its stream between the constructor and the destructor.
/// Comes from one pool per device, which keeps what is given back for later calls.
class Workspace {
 public:
  Workspace() = default;
  /// Throws OutOfMemory; the pool has then given back all that no call uses.
  Workspace(const Cuda& backend, std::size_t bytes);
  Workspace(Workspace&& other) noexcept;
  Workspace& operator=(Workspace&& other) noexcept;
  ~Workspace();

  void* data() const { return memory_; }
  std::size_t size() const { return bytes_; }

 private:
  Cuda backend_;
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
  bool pooled_ = false;
};

/// Device memory that outlives calls. Throws OutOfMemory, as above.
void* allocate_device(const Cuda& backend, std::size_t bytes);

/// Waits for the device, and gives it back what the pool holds and no call uses.
void trim_workspace(int device);

}  // namespace fastntk::cuda
