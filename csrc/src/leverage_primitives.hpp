// The backend contract for the Gibbs sampler of leverage scores.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tile.hpp"

namespace fastntk {

/// rank[c][i] = the place of key[c][i] among the keys of row c, from 0 on; equal keys in the order of their columns.
/// order[c][rank[c][i]] = i.
template <Backend B>
void rank_rows(Tile<B>& tile, View<const double, B> key, View<std::uint32_t, B> rank, View<std::uint32_t, B> order);

/// Sums of a symmetric matrix (n, n) against patterns that change element by element, in the order of their ranks:
///   base[c][i]   = sum_j matrix[i][j] before[c][j]
///   passed[c][i] = sum_j matrix[i][j] (rank[c][j] < rank[c][i] ? after[c][j] : before[c][j])
/// for each row c of the patterns. All of `matrix` is read once for many rows.
template <Backend B>
void passed_products(Tile<B>& tile, View<const double, B> matrix, View<const std::uint32_t, B> rank,
                     View<const double, B> before, View<const double, B> after, View<double, B> base,
                     View<double, B> passed);

}  // namespace fastntk
