// Operators' constants from their seeds, drawn in the memory where they are used.
#pragma once

#include <fastntk/rng.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "tile.hpp"

namespace fastntk {

/// Random signs, one bit each (1 means minus): bit i % 32 of word i / 32 belongs to element i.
template <Backend B>
using SignBits = Buffer<std::uint32_t, B>;

/// Sign bits of `count` elements, in whole words.
template <Backend B>
SignBits<B> draw_signs(const B& backend, std::uint64_t seed, std::size_t count) {
  const rng::Draws draws{seed, rng::Stream::sign};
  SignBits<B> words(backend, (count + 31) / 32);
  std::uint32_t* const out = words.data();
  Tile<B> tile(backend);
  for_each(tile, words.size(), [=] FASTNTK_FORMULA(std::size_t i) { out[i] = draws.sign_word(i); });
  return words;
}

/// `count` integers in [0, bound), with replacement.
template <Backend B>
Buffer<std::uint32_t, B> draw_sample(const B& backend, std::uint64_t seed, std::size_t count, std::size_t bound) {
  const rng::Draws draws{seed, rng::Stream::sample};
  Buffer<std::uint32_t, B> sample(backend, count);
  std::uint32_t* const out = sample.data();
  const auto end = static_cast<std::uint32_t>(bound);
  Tile<B> tile(backend);
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t i) { out[i] = draws.integer(i, end); });
  return sample;
}

/// `count` different integers in [0, bound): the head of a random permutation (Fisher and Yates).
template <Backend B>
Buffer<std::uint32_t, B> draw_subset(const B& backend, std::uint64_t seed, std::size_t count, std::size_t bound) {
  const rng::Draws draws{seed, rng::Stream::sample};
  std::vector<std::uint32_t> deck(bound);
  for (std::size_t i = 0; i < bound; ++i) deck[i] = static_cast<std::uint32_t>(i);
  for (std::size_t i = 0; i < count; ++i)
    std::swap(deck[i], deck[i + draws.integer(i, static_cast<std::uint32_t>(bound - i))]);
  deck.resize(count);
  return {backend, deck};
}

}  // namespace fastntk
