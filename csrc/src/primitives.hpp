// The backend contract, part 2: the primitives, which each backend implements once.
//
// All work on the rows of one tile, and queue their work in the tile's order (on its thread, or on its stream).
#pragma once

#include <fastntk/count_sketch.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tile.hpp"

namespace fastntk {

/// Random signs, one bit each (1 means minus): bit i % 32 of word i / 32 belongs to element i.
template <Backend B>
using SignBits = Buffer<std::uint32_t, B>;

/// out = scale * H * (signs o pad(in)), row by row: in has d <= n columns, out has n = 2^k. `signs` may be null.
/// `in` and `out` may be the same view.
template <Real T, Backend B>
void hadamard(Tile<B>& tile, View<const T, B> in, const std::uint32_t* signs, T scale, View<T, B> out);

/// out[r][j] = scale * in[r][index[j]].
template <Real T, Backend B>
void gather(Tile<B>& tile, View<const T, B> in, const std::uint32_t* index, T scale, View<T, B> out);

/// out[r][j] = scale * a[r][index_a[j]] * b[r][index_b[j]].
template <Real T, Backend B>
void gather_product(Tile<B>& tile, View<const T, B> a, const std::uint32_t* index_a, View<const T, B> b,
                    const std::uint32_t* index_b, T scale, View<T, B> out);

/// out = in; an input of stride 0 is one row for all.
template <Real T, Backend B>
void copy(Tile<B>& tile, View<const T, B> in, View<T, B> out);

/// The entries of a CountSketch in rounds: round t adds weights[e] * x[columns[e]] for the next round_sizes[t] entries e to the
/// sums 0, 1, ...; out[j] is then sum number rank[j].
template <Real T, Backend B>
struct BucketTable {
  std::vector<std::size_t> round_sizes;
  Buffer<std::uint32_t, B> columns;
  Buffer<T, B> weights;
  Buffer<std::uint32_t, B> rank;
};

/// out = CountSketch of dense rows.
template <Real T, Backend B>
void count_sketch(Tile<B>& tile, View<const T, B> in, const BucketTable<T, B>& table, View<T, B> out);

/// out = CountSketch of sparse rows; column j has the entries (bucket, weight)[j * s .. j * s + s).
template <Real T, Backend B>
void count_sketch(Tile<B>& tile, CsrView<T, B> in, const std::uint32_t* bucket, const T* weight, std::size_t s,
                  View<T, B> out);

}  // namespace fastntk
