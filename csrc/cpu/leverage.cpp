// What the Gibbs sampler of leverage scores needs besides the other primitives, on the CPU.
#include "../src/leverage_primitives.hpp"

#include <algorithm>

#include "kernels.hpp"

namespace fastntk {
namespace {

struct RankedKey {
  double key;
  std::uint32_t column;
  bool operator<(const RankedKey& other) const { return key != other.key ? key < other.key : column < other.column; }
};

}  // namespace

template <>
void rank_rows(Tile<Cpu>& tile, View<const double, Cpu> key, View<std::uint32_t, Cpu> rank, View<std::uint32_t, Cpu> order) {
  const Tile<Cpu>::Scope scope(tile);
  auto* const sorted = static_cast<RankedKey*>(tile.allocate(key.cols * sizeof(RankedKey)));
  for (std::size_t c = 0; c < key.rows; ++c) {
    for (std::size_t i = 0; i < key.cols; ++i) sorted[i] = {key(c, i), static_cast<std::uint32_t>(i)};
    std::sort(sorted, sorted + key.cols);
    for (std::size_t k = 0; k < key.cols; ++k) {
      order(c, k) = sorted[k].column;
      rank(c, sorted[k].column) = static_cast<std::uint32_t>(k);
    }
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
