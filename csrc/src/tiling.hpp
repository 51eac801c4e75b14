// Small helpers that every operator shares: tile sizes, shape checks, sign and sample arrays.
#pragma once

#include <fastntk/error.hpp>
#include <fastntk/rng.hpp>
#include <fastntk/view.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace fastntk {

/// Rows per tile, so that a tile of `cols` columns of scratch takes about 256 KiB and stays in a core's second-level cache.
template <Real T>
std::size_t rows_per_tile(std::size_t cols) {
  return std::clamp<std::size_t>((std::size_t{1} << 18) / (sizeof(T) * std::max<std::size_t>(cols, 1)), 1, 64);
}

template <class T, Backend B>
void require_shape(View<T, B> view, std::size_t rows, std::size_t cols, const char* name) {
  require(view.rows == rows && view.cols == cols, [&] {
    return std::string(name) + " has shape (" + std::to_string(view.rows) + ", " + std::to_string(view.cols) + "); (" +
           std::to_string(rows) + ", " + std::to_string(cols) + ") is needed";
  });
}

inline void require_positive(std::size_t value, const char* name) {
  require(value > 0, [&] { return std::string(name) + " is 0; at least 1 is needed"; });
}

inline void require_at_most(std::size_t value, std::size_t largest, const char* name) {
  require_positive(value, name);
  require(value <= largest, [&] {
    return std::string(name) + " is " + std::to_string(value) + "; at most " + std::to_string(largest) + " is possible";
  });
}

/// Sizes are positive and, because positions are stored in 32 bits and gathered as signed ones, at most 2^31 - 1.
inline void require_size(std::size_t value, const char* name) {
  require_at_most(value, std::numeric_limits<std::int32_t>::max(), name);
}

/// Layers are computed one after the other: a depth beyond this is a mistake, and would never end.
inline void require_depth(std::size_t value, const char* name) { require_at_most(value, 65536, name); }

/// The length of a transform that holds `d` entries.
inline std::size_t padded(std::size_t d) { return std::bit_ceil(d); }

/// Sign bits of `count` elements, in whole words.
inline std::vector<std::uint32_t> draw_signs(std::uint64_t seed, std::size_t count) {
  const rng::Draws draws{seed, rng::Stream::sign};
  std::vector<std::uint32_t> words((count + 31) / 32);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = draws.sign_word(i);
  return words;
}

/// `count` integers in [0, bound), with replacement.
inline std::vector<std::uint32_t> draw_sample(std::uint64_t seed, std::size_t count, std::size_t bound) {
  const rng::Draws draws{seed, rng::Stream::sample};
  std::vector<std::uint32_t> sample(count);
  for (std::size_t i = 0; i < count; ++i) sample[i] = draws.integer(i, static_cast<std::uint32_t>(bound));
  return sample;
}

/// `count` different integers in [0, bound): the head of a random permutation (Fisher and Yates).
inline std::vector<std::uint32_t> draw_subset(std::uint64_t seed, std::size_t count, std::size_t bound) {
  const rng::Draws draws{seed, rng::Stream::sample};
  std::vector<std::uint32_t> deck(bound);
  for (std::size_t i = 0; i < bound; ++i) deck[i] = static_cast<std::uint32_t>(i);
  for (std::size_t i = 0; i < count; ++i)
    std::swap(deck[i], deck[i + draws.integer(i, static_cast<std::uint32_t>(bound - i))]);
  deck.resize(count);
  return deck;
}

}  // namespace fastntk
