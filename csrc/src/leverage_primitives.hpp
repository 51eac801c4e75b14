// The backend contract for the Gibbs sampler of leverage scores.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "tile.hpp"

namespace fastntk {

/// rank[c][i] = the place of key[c][i] among the keys of row c, from 0 on; equal keys in the order of their columns.
/// order[c][rank[c][i]] = i. No key is NaN, and a row has less than 2^31.
template <Backend B>
void rank_rows(Tile<B>& tile, View<const double, B> key, View<std::uint32_t, B> rank, View<std::uint32_t, B> order);

/// Sums of a symmetric matrix (n, n) against vectors that change element by element, in the order of their ranks. `rows`
/// are its rows first, first + 1, ..., as many as base and passed have columns:
///   base[c][i]   = sum_j rows[i][j] before[c][j]
///   passed[c][i] = sum_j rows[i][j] (rank[r][j] < rank[r][first + i] ? after[c][j] : before[c][j])
/// for each row c of before. Without `passed` (no data) ranks and after are not read. Ranks are of one vector each, r = c,
/// or, with half as many rows, of two, r = c / 2. All of `rows` is read once for many vectors; a sum does not depend on the
/// company of its vector and row.
template <Backend B>
void passed_products(Tile<B>& tile, View<const double, B> rows, std::size_t first, View<const std::uint32_t, B> rank,
                     View<const double, B> before, View<const double, B> after, View<double, B> base,
                     View<double, B> passed);

/// The rows of a tile of passed_products(): on the CPU a tile is one thread's, on a device all rows are one.
template <Backend B>
constexpr std::size_t product_tile_rows = std::same_as<B, Cpu> ? 64 : std::numeric_limits<std::size_t>::max();

}  // namespace fastntk
