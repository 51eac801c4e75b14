// What the Gibbs sampler of leverage scores needs besides the other primitives, on the CPU.
#include "../src/leverage_primitives.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <utility>

#include "kernels.hpp"

namespace fastntk {
namespace {

/// The high half of a key, as a number that grows with it; both zeros are the same.
std::uint32_t high_word(double key) {
  const auto bits = static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(key + 0.0) >> 32);
  return bits >> 31 ? ~bits : bits | std::uint32_t{1} << 31;
}

/// Sorts the columns of a row of keys by their high words: three passes of 11 bits, each of which keeps the order of equals.
/// `order` and `work` have room for `count` numbers.
void order_by_high_words(const double* keys, std::size_t count, std::uint32_t* order, std::uint32_t* work) {
  constexpr unsigned bits = 11, passes = 3;
  constexpr std::size_t digits = std::size_t{1} << bits;
  const auto digit = [](std::uint32_t word, unsigned pass) { return word >> (pass * bits) & (digits - 1); };
  std::array<std::array<std::uint32_t, digits>, passes> start{};
  for (std::size_t i = 0; i < count; ++i)
    for (unsigned pass = 0; pass < passes; ++pass) ++start[pass][digit(high_word(keys[i]), pass)];
  std::uint32_t* from = work;
  std::uint32_t* to = order;
  for (unsigned pass = 0; pass < passes; ++pass) {
    std::uint32_t sum = 0;
    for (std::uint32_t& place : start[pass]) sum += std::exchange(place, sum);
    for (std::size_t k = 0; k < count; ++k) {
      const std::uint32_t i = pass == 0 ? static_cast<std::uint32_t>(k) : from[k];
      to[start[pass][digit(high_word(keys[i]), pass)]++] = i;
    }
    std::swap(from, to);
  }
}

}  // namespace

template <>
void rank_rows(Tile<Cpu>&, View<const double, Cpu> key, View<std::uint32_t, Cpu> rank, View<std::uint32_t, Cpu> order) {
  // Below so many keys sorting by comparisons is faster.
  constexpr std::size_t few = 200;
  for (std::size_t c = 0; c < key.rows; ++c) {
    const double* const keys = key.row(c);
    std::uint32_t* const places = order.row(c);
    const auto before = [=](std::uint32_t i, std::uint32_t j) { return keys[i] < keys[j] || (keys[i] == keys[j] && i < j); };
    if (key.cols < few) {
      std::iota(places, places + key.cols, std::uint32_t{0});
      std::sort(places, places + key.cols, before);
    } else {
      order_by_high_words(keys, key.cols, places, rank.row(c));
      for (std::size_t begin = 0, end = 0; begin < key.cols; begin = end) {
        while (end < key.cols && high_word(keys[places[end]]) == high_word(keys[places[begin]])) ++end;
        if (end - begin > 1) std::sort(places + begin, places + end, before);
      }
    }
    for (std::size_t k = 0; k < key.cols; ++k) rank(c, places[k]) = static_cast<std::uint32_t>(k);
  }
}

template <>
void passed_products(Tile<Cpu>&, View<const double, Cpu> rows, std::size_t first, View<const std::uint32_t, Cpu> rank,
                     View<const double, Cpu> before, View<const double, Cpu> after, View<double, Cpu> base,
                     View<double, Cpu> passed) {
  const std::size_t vectors = passed.data ? before.rows / rank.rows : 1;
  const std::size_t patterns = before.rows / vectors;
  // As many patterns at once as leave their part of the columns in a second-level cache.
  constexpr std::size_t most_patterns = 64;
  for (std::size_t c = 0; c < patterns; c += most_patterns) {
    const std::size_t count = std::min(most_patterns, patterns - c);
    const auto at = [&](auto view) { return view.data ? view.row(c * vectors) : nullptr; };
    cpu::kernels<double>().passed_products(rows.rows, rows.cols, count, vectors, rows.data, rows.stride, first,
                                           passed.data ? rank.row(c) : nullptr, rank.stride, at(before), before.stride,
                                           at(after), after.stride, at(base), base.stride, at(passed), passed.stride);
  }
}

}  // namespace fastntk
