// Tiles on a device: batches of rows, one after another on the caller's stream.
#include "../src/tile.hpp"

#include <algorithm>
#include <memory>

#include "../src/arena.hpp"
#include "runtime.cuh"

namespace fastntk {

template <>
void finish(const Cuda& backend) {
  const cuda::DeviceGuard current(backend.device);
  cuda::check(cudaStreamSynchronize(backend.stream), "work on the device");
}

template <>
void* allocate(const Cuda& backend, std::size_t bytes) {
  const cuda::DeviceGuard current(backend.device);
  void* memory = nullptr;
  cuda::check(cudaMalloc(&memory, bytes), "allocating device memory");
  return memory;
}

template <>
void deallocate(const Cuda&, void* memory) noexcept {
  cudaFree(memory);
}

template <>
void copy_in(const Cuda& backend, const void* host, std::size_t bytes, void* memory) {
  const cuda::DeviceGuard current(backend.device);
  cuda::check(cudaMemcpyAsync(memory, host, bytes, cudaMemcpyHostToDevice, backend.stream), "a copy to the device");
  finish(backend);
}

template <>
void copy_out(const Cuda& backend, const void* memory, std::size_t bytes, void* host) {
  const cuda::DeviceGuard current(backend.device);
  cuda::check(cudaMemcpyAsync(host, memory, bytes, cudaMemcpyDeviceToHost, backend.stream), "a copy from the device");
  finish(backend);
}

template <>
TileBudget tile_budget(const Cuda& backend) {
  const std::size_t cached = cuda::limits(backend.device).cache_bytes;
  const std::size_t allowed = backend.max_memory ? backend.max_memory : cached;
  return {std::min(cached, allowed), std::size_t{1} << 20};
}

namespace {

// Stream-ordered: what is freed may be taken again by later work, while earlier work still uses it.
class Chunk {
 public:
  Chunk(const Cuda& backend, std::size_t bytes) : backend_(backend), memory_(fastntk::allocate(backend, bytes)) {}
  Chunk(Chunk&& other) noexcept : backend_(other.backend_), memory_(std::exchange(other.memory_, nullptr)) {}
  ~Chunk() {
    if (memory_) deallocate(backend_, memory_);
  }
  void* data() const { return memory_; }

 private:
  Cuda backend_;
  void* memory_;
};

}  // namespace

template <>
struct Tile<Cuda>::Memory : Arena<Chunk> {};

template <>
Tile<Cuda>::Tile(const Cuda& backend) : backend_(backend), memory_(std::make_unique<Memory>()) {}
template <>
Tile<Cuda>::~Tile() = default;

template <>
std::size_t Tile<Cuda>::mark() const {
  return memory_->mark();
}

template <>
void Tile<Cuda>::release(std::size_t mark) {
  memory_->release(mark);
}

template <>
void* Tile<Cuda>::allocate(std::size_t bytes) {
  return memory_->allocate(bytes, [&](std::size_t size) { return Chunk(backend_, size); });
}

template <>
void for_tiles(const Cuda& cuda, std::size_t rows, std::size_t tile_rows, TileBody<Cuda> body) {
  const fastntk::cuda::DeviceGuard current(cuda.device);
  Tile<Cuda> tile(cuda);
  for (std::size_t begin = 0; begin < rows; begin += tile_rows) {
    const Tile<Cuda>::Scope scope(tile);
    body(tile, {begin, std::min(tile_rows, rows - begin)});
  }
}

template class Tile<Cuda>;

}  // namespace fastntk
