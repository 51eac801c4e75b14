// The threads of an emulated block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace fastntk::emulation {

struct Thread {
  dim3 index;
  unsigned linear;  // x fastest
};

struct Block {
  dim3 index, threads, grid;
  std::byte* shared;
};

/// What runs now.
struct Running {
  const Thread* thread;
  const Block* block;
};
extern constinit thread_local Running running;
inline const Thread& current_thread() { return *running.thread; }
inline const Block& current_block() { return *running.block; }
inline int lane() { return static_cast<int>(current_thread().linear & 31); }

/// The number of threads whose `predicate` is not 0, once all threads of the block are here.
int block_barrier(int predicate);

/// The values that the lanes of `mask` brought to this collective; `site` tells collectives apart.
const std::uint64_t* warp_exchange(unsigned mask, std::uint64_t value, int site);
inline void warp_barrier(unsigned mask, int site) { warp_exchange(mask, 0, site); }
unsigned ballot(unsigned mask, int predicate, int site);
/// The lanes of `mask` that bring the same value.
unsigned match_any(unsigned mask, std::uint64_t value, int site);

/// Throws if lane `from` takes no part; a lane outside the warp gives the caller's own value.
void require_lane(unsigned mask, int from);

template <class T>
T shuffle(unsigned mask, T value, int from, int site) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  std::uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  const int self = lane();
  const std::uint64_t* const words = warp_exchange(mask, word, site);
  const int source = from < 0 || from > 31 ? self : from;
  require_lane(mask, source);
  std::memcpy(&value, &words[source], sizeof value);
  return value;
}

/// Whether threads and warps run in descending order.
void set_reverse(bool reverse);
bool reverse();

/// Runs all blocks of a grid. Throws std::runtime_error on what the emulation checks.
void run_grid(dim3 grid, dim3 threads, std::size_t shared_bytes, const std::function<void()>& body);

}  // namespace fastntk::emulation
