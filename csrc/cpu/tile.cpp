// Tiles on the CPU: one thread owns a tile, and keeps its scratch memory for the next one.
#include "../src/tile.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <vector>

#include "thread_pool.hpp"

namespace fastntk {

// A stack of memory in chunks: taking is a bump, releasing goes back to a mark, and chunks are kept for reuse.
template <>
struct Tile<Cpu>::Arena {
  static constexpr std::size_t alignment = 64;
  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t{alignment}); }
  };
  struct Chunk {
    std::unique_ptr<std::byte, Free> data;
    std::size_t begin;  // of the arena's address range, which joins all chunks end to end
    std::size_t size;
  };
  std::vector<Chunk> chunks;
  std::size_t top = 0;
};

template <>
Tile<Cpu>::Tile() : arena_(std::make_unique<Arena>()) {}
template <>
Tile<Cpu>::~Tile() = default;

template <>
std::size_t Tile<Cpu>::mark() const {
  return arena_->top;
}

template <>
void Tile<Cpu>::release(std::size_t mark) {
  arena_->top = mark;
}

template <>
void* Tile<Cpu>::allocate(std::size_t bytes) {
  Arena& arena = *arena_;
  bytes = (std::max<std::size_t>(bytes, 1) + Arena::alignment - 1) / Arena::alignment * Arena::alignment;
  for (const Arena::Chunk& chunk : arena.chunks) {
    const std::size_t start = std::max(arena.top, chunk.begin);
    if (start + bytes <= chunk.begin + chunk.size) {
      arena.top = start + bytes;
      return chunk.data.get() + (start - chunk.begin);
    }
  }
  const std::size_t begin = arena.chunks.empty() ? 0 : arena.chunks.back().begin + arena.chunks.back().size;
  const std::size_t size = std::max({bytes, begin, std::size_t{1} << 18});
  auto* memory = static_cast<std::byte*>(::operator new(size, std::align_val_t{Arena::alignment}));
  arena.chunks.push_back({std::unique_ptr<std::byte, Arena::Free>(memory), begin, size});
  arena.top = begin + bytes;
  return memory;
}

template <>
void for_tiles(const Cpu& cpu, std::size_t rows, std::size_t tile_rows, TileBody<Cpu> body) {
  const std::size_t count = (rows + tile_rows - 1) / tile_rows;
  const int threads = cpu.threads > 0 ? cpu.threads : cpu::available_threads();
  std::vector<Tile<Cpu>> tiles(std::min<std::size_t>(static_cast<std::size_t>(threads), std::max<std::size_t>(count, 1)));
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
