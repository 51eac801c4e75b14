// The backend contract, part 2: the primitives, which each backend implements once.
//
// All work on the rows of one tile, and queue their work in the tile's order (on its thread, or on its stream).
#pragma once

#include <cstddef>
#include <cstdint>

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

}  // namespace fastntk
