// What the Gibbs sampler of leverage scores needs besides the other primitives, on the CPU.
#include "../src/leverage_primitives.hpp"

#include <algorithm>
#include <numeric>

#include "kernels.hpp"

namespace fastntk {
template <>
void rank_rows(Tile<Cpu>&, View<const double, Cpu> key, View<std::uint32_t, Cpu> rank, View<std::uint32_t, Cpu> order) {
  for (std::size_t c = 0; c < key.rows; ++c) {
    const double* const keys = key.row(c);
    std::uint32_t* const places = order.row(c);
    std::iota(places, places + key.cols, std::uint32_t{0});
    std::sort(places, places + key.cols,
              [=](std::uint32_t i, std::uint32_t j) { return keys[i] < keys[j] || (keys[i] == keys[j] && i < j); });
    for (std::size_t k = 0; k < key.cols; ++k) rank(c, places[k]) = static_cast<std::uint32_t>(k);
  }
}

template <>
void passed_products(Tile<Cpu>&, View<const double, Cpu> rows, std::size_t first, View<const std::uint32_t, Cpu> rank,
                     View<const double, Cpu> before, View<const double, Cpu> after, View<double, Cpu> base,
                     View<double, Cpu> passed) {
  // As many patterns at once as leave their part of the columns in a second-level cache.
  constexpr std::size_t most_patterns = 64;
  for (std::size_t c = 0; c < before.rows; c += most_patterns) {
    const std::size_t count = std::min(most_patterns, before.rows - c);
    const auto at = [&](auto view) { return view.data ? view.row(c) : nullptr; };
    cpu::kernels<double>().passed_products(rows.rows, rows.cols, count, rows.data, rows.stride, first, at(rank), rank.stride,
                                           at(before), before.stride, at(after), after.stride, at(base), base.stride,
                                           at(passed), passed.stride);
  }
}

}  // namespace fastntk
