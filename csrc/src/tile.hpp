// The backend contract, part 1: how an algorithm runs over tiles of rows, and where it keeps what it needs meanwhile.
//
// An algorithm is written once, as a function of a tile. On the CPU a tile is a few rows that stay in cache and one thread
// owns it; on a device it is a batch of rows that fills the chip. Part 2, the primitives, is primitives.hpp.
#pragma once

#include <fastntk/memory.hpp>
#include <fastntk/view.hpp>

#include <cstddef>
#include <memory>

#include "formula.hpp"
#include "function_ref.hpp"

namespace fastntk {

struct RowRange {
  std::size_t begin;
  std::size_t count;
};

/// Elements from row to row of a scratch matrix: whole 64 bytes.
template <Real T>
constexpr std::size_t scratch_stride(std::size_t cols) {
  constexpr std::size_t step = 64 / sizeof(T);
  return (cols + step - 1) / step * step;
}

/// What the code that processes one tile may use: scratch memory that is released when its Scope ends. All primitives queue
/// their work in the order of the tile's backend, so released memory may be taken again at once.
template <Backend B>
class Tile {
 public:
  /// Scratch taken while a Scope lives is released when it ends; operators nest.
  class Scope {
   public:
    explicit Scope(Tile& tile) : tile_(tile), mark_(tile.mark()) {}
    ~Scope() { tile_.release(mark_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Tile& tile_;
    std::size_t mark_;
  };

  explicit Tile(const B& backend);
  ~Tile();
  Tile(const Tile&) = delete;
  Tile& operator=(const Tile&) = delete;

  /// An uninitialised matrix, every row aligned to 64 bytes.
  template <Real T>
  View<T, B> scratch(std::size_t rows, std::size_t cols) {
    const std::size_t stride = scratch_stride<T>(cols);
    return View<T, B>(static_cast<T*>(allocate(rows * stride * sizeof(T))), rows, cols, stride);
  }

  /// `bytes` of memory aligned to 64, in the memory of B.
  void* allocate(std::size_t bytes);

  const B& backend() const { return backend_; }

 private:
  std::size_t mark() const;
  void release(std::size_t mark);

  struct Memory;
  B backend_;
  std::unique_ptr<Memory> memory_;
};

template <Backend B>
using TileBody = FunctionRef<void(Tile<B>&, RowRange)>;

/// Calls `body` for the tiles [0, tile_rows), [tile_rows, 2 tile_rows), ... of `rows` rows, in parallel where the backend
/// can; the last one may be short. The first exception a body throws is thrown again here, after all threads have stopped.
template <Backend B>
void for_tiles(const B& backend, std::size_t rows, std::size_t tile_rows, TileBody<B> body);

/// Calls f(i) for i < count in the tile's order: for formulas over the rows of a tile. On a device each call is a thread's,
/// so `f` is marked FASTNTK_FORMULA and captures by value.
template <Backend B, class F>
void for_each(Tile<B>& tile, std::size_t count, F f);

template <class F>
void for_each(Tile<Cpu>&, std::size_t count, F f) {
  for (std::size_t i = 0; i < count; ++i) f(i);
}

/// What a tile's scratch and output should take together, and its most rows: on the CPU what stays in a core's second-level
/// cache, on a device what fills the chip and mostly stays in its cache.
struct TileBudget {
  std::size_t bytes;
  std::size_t most_rows;
  /// Rows up to this size are transformed in one pass over memory: a device's block holds them.
  std::size_t on_chip_bytes = 0;
  /// What a device's tile of rows should take whose scratch is far beyond a cache: enough of them to fill the chip.
  std::size_t streamed_bytes = 0;
};
template <Backend B>
TileBudget tile_budget(const B& backend);

/// Calls body(begin, end) for blocks of [0, count) on the host, in parallel where it can: for drawing an operator's
/// constants.
void for_host_blocks(std::size_t count, std::size_t block, FunctionRef<void(std::size_t, std::size_t)> body);

}  // namespace fastntk
