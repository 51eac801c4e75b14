// A stack of memory in chunks: taking is a bump, releasing goes back to a mark, and chunks are kept for reuse.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace fastntk {

/// `Chunk` owns memory: data() points to its size() bytes. Addresses are aligned to `alignment`.
template <class Chunk>
class Arena {
 public:
  static constexpr std::size_t alignment = 64;
  static constexpr std::size_t least_chunk = std::size_t{1} << 18;

  std::size_t mark() const { return top_; }
  void release(std::size_t mark) { top_ = mark; }
  /// Bytes of all chunks.
  std::size_t size() const { return places_.empty() ? 0 : places_.back().begin + places_.back().chunk.size(); }

  /// `bytes` of memory. If no chunk has room for it, `make(least, wished)` gives one of at least `least` bytes; `wished`
  /// makes chunks few.
  template <class Make>
  void* allocate(std::size_t bytes, Make&& make) {
    bytes = (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
    for (const Place& place : places_) {
      const std::size_t start = std::max(top_, place.begin);
      if (start + bytes <= place.begin + place.chunk.size()) {
        top_ = start + bytes;
        return static_cast<std::byte*>(place.chunk.data()) + (start - place.begin);
      }
    }
    const std::size_t begin = size();
    // First: a small block beyond a chunk would stay with the allocator, and the chunk's room with it when a larger one
    // follows.
    places_.reserve(places_.size() + 1);
    places_.push_back({make(bytes, std::max({bytes, begin, least_chunk})), begin});
    top_ = begin + bytes;
    return places_.back().chunk.data();
  }

 private:
  struct Place {
    Chunk chunk;
    std::size_t begin;  // of the arena's address range, which joins all chunks end to end
  };
  std::vector<Place> places_;
  std::size_t top_ = 0;
};

}  // namespace fastntk
