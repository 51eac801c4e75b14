// A stack of memory in chunks: taking is a bump, releasing goes back to a mark, and chunks are kept for reuse.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace fastntk {

/// `Chunk` owns memory: Chunk(bytes) takes it, data() points to it. Addresses are aligned to `alignment`.
template <class Chunk>
class Arena {
 public:
  static constexpr std::size_t alignment = 64;
  static constexpr std::size_t least_chunk = std::size_t{1} << 18;

  std::size_t mark() const { return top_; }
  void release(std::size_t mark) { top_ = mark; }

  /// `bytes` of memory; `make(size)` gives the chunk for it if none has room.
  template <class Make>
  void* allocate(std::size_t bytes, Make&& make) {
    bytes = (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
    for (const Place& place : places_) {
      const std::size_t start = std::max(top_, place.begin);
      if (start + bytes <= place.begin + place.size) {
        top_ = start + bytes;
        return static_cast<std::byte*>(place.chunk.data()) + (start - place.begin);
      }
    }
    const std::size_t begin = places_.empty() ? 0 : places_.back().begin + places_.back().size;
    const std::size_t size = std::max({bytes, begin, least_chunk});
    places_.push_back({make(size), begin, size});
    top_ = begin + bytes;
    return places_.back().chunk.data();
  }

 private:
  struct Place {
    Chunk chunk;
    std::size_t begin;  // of the arena's address range, which joins all chunks end to end
    std::size_t size;
  };
  std::vector<Place> places_;
  std::size_t top_ = 0;
};

}  // namespace fastntk
