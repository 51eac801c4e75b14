// Tiles on the CPU: one thread owns a tile, and keeps its scratch memory for the next one until for_tiles returns.
#include "../src/tile.hpp"

#include <fastntk/error.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <string>

#include "../src/arena.hpp"
#include "thread_pool.hpp"

namespace fastntk {

template <>
void* allocate(const Cpu&, std::size_t bytes) {
  void* const memory = ::operator new(bytes, std::align_val_t{64}, std::nothrow);
  if (!memory) throw OutOfMemory("there is no memory for " + std::to_string(bytes) + " bytes");
  return memory;
}

template <>
void deallocate(const Cpu&, void* memory) noexcept {
  ::operator delete(memory, std::align_val_t{64});
}

template <>
void copy_in(const Cpu&, const void* host, std::size_t bytes, void* memory) {
  std::memcpy(memory, host, bytes);
}

template <>
void copy_out(const Cpu&, const void* memory, std::size_t bytes, void* host) {
  std::memcpy(host, memory, bytes);
}

template <>
void finish(const Cpu&) {}

template <>
TileBudget tile_budget(const Cpu&) {
  return {std::size_t{1} << 18, 64};
}

namespace {

struct Free {
  void operator()(void* p) const { deallocate(Cpu(), p); }
};

class Chunk {
 public:
  explicit Chunk(std::size_t bytes) : memory_(fastntk::allocate(Cpu(), bytes)), size_(bytes) {}
  void* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<void, Free> memory_;
  std::size_t size_;
};

}  // namespace

template <>
struct Tile<Cpu>::Memory : Arena<Chunk> {};

template <>
Tile<Cpu>::Tile(const Cpu& backend) : backend_(backend), memory_(std::make_unique<Memory>()) {}
template <>
Tile<Cpu>::~Tile() = default;

template <>
std::size_t Tile<Cpu>::mark() const {
  return memory_->mark();
}

template <>
void Tile<Cpu>::release(std::size_t mark) {
  memory_->release(mark);
}

template <>
void* Tile<Cpu>::allocate(std::size_t bytes) {
  // A small block beside a large one gets a small chunk: of what tiles give back, the allocator keeps the more the larger it
  // is.
  return memory_->allocate(bytes, [](std::size_t least, std::size_t wished) {
    return Chunk(least < Memory::least_chunk ? Memory::least_chunk : wished);
  });
}

template <>
void for_tiles(const Cpu& cpu, std::size_t rows, std::size_t tile_rows, TileBody<Cpu> body) {
  const std::size_t count = (rows + tile_rows - 1) / tile_rows;
  const int threads = cpu.threads > 0 ? cpu.threads : cpu::available_threads();
  std::deque<Tile<Cpu>> tiles;
  for (int i = 0; i < threads && static_cast<std::size_t>(i) < std::max<std::size_t>(count, 1); ++i) tiles.emplace_back(cpu);
  cpu::parallel_for(threads, count, [&](std::size_t i, int worker) {
    const std::size_t begin = i * tile_rows;
    const Tile<Cpu>::Scope scope(tiles[static_cast<std::size_t>(worker)]);
    body(tiles[static_cast<std::size_t>(worker)], {begin, std::min(tile_rows, rows - begin)});
  });
}

void for_host_blocks(std::size_t count, std::size_t block, FunctionRef<void(std::size_t, std::size_t)> body) {
  cpu::parallel_for(0, (count + block - 1) / block,
                    [&](std::size_t i, int) { body(i * block, std::min(count, (i + 1) * block)); });
}

template class Tile<Cpu>;

}  // namespace fastntk
