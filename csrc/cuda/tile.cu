// Tiles on a device: batches of rows, one after another on the caller's stream.
#include "../src/tile.hpp"

#include <algorithm>
#include <memory>
#include <new>

#include "../src/arena.hpp"
#include "runtime.cuh"
#include "workspace.cuh"

namespace fastntk {

template <>
void finish(const Cuda& backend) {
  const cuda::DeviceGuard current(backend.device);
  cuda::check(cudaStreamSynchronize(backend.stream), "work on the device");
}

template <>
void* allocate(const Cuda& backend, std::size_t bytes) {
  return cuda::allocate_device(backend, bytes);
}

template <>
void deallocate(const Cuda& backend, void* memory) noexcept {
  const cuda::DeviceGuard current(backend.device, std::nothrow);
  if (cudaFree(memory) != cudaSuccess) cudaGetLastError();  // a broken context, which the next call reports
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

// Launching a kernel takes about 3 us, in which the memory moves some 10 MB; so a tile that held much less would wait for
// launches, and one that is much larger than the second-level cache would pass every intermediate result through memory. The
// cache's size lies between: 50 MB where it is that large, with the output, which only passes through, about half of it. At
// least 256 KiB for each multiprocessor, several times what its threads have in flight.
// Rows whose scratch no cache holds pass through memory however few they are: their tiles are as large as makes the last
// blocks of a launch, which find the chip empty, a small share.
// A call may take up to four times the live scratch, because the arena's chunks double.
template <>
TileBudget tile_budget(const Cuda& backend) {
  const cuda::DeviceLimits& device = cuda::limits(backend.device);
  const std::size_t filled = std::max(device.cache_bytes, static_cast<std::size_t>(device.multiprocessors) << 18);
  const std::size_t most = cuda::memory_limit(backend) / 4;
  return {std::min(filled, most), std::size_t{1} << 20, cuda::transform_bytes_on_chip(backend.device),
          std::min(std::size_t{1} << 29, most)};
}

template <>
struct Tile<Cuda>::Memory : Arena<cuda::Workspace> {};

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
  return memory_->allocate(bytes, [&](std::size_t least, std::size_t wished) {
    const std::size_t limit = cuda::memory_limit(backend_), taken = memory_->size();
    if (least > limit || taken > limit - least) throw OutOfMemory(cuda::describe_limit(backend_, taken, least));
    try {
      return cuda::Workspace(backend_, std::min(wished, (limit - taken) / Memory::alignment * Memory::alignment));
    } catch (const OutOfMemory&) {
      return cuda::Workspace(backend_, least);
    }
  });
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
