// How a symmetric or lower triangular matrix is stored: the square tiles of its lower triangle, each contiguous and
// row-major.
#pragma once

#include <cstddef>

namespace fastntk {

/// Tile (i, j), i >= j, is size(i) x size(j); only the last row of tiles may be short. Diagonal tiles are stored as squares
/// whose upper triangle is zero.
struct TriangleTiles {
  /// Large tiles cost BLAS the least (512 is enough), small ones leave enough of them for the threads.
  constexpr explicit TriangleTiles(std::size_t n_rows)
      : n(n_rows),
        edge(n_rows >= 4096   ? 512
             : n_rows >= 1024 ? 256
                              : 128),
        side((n_rows + edge - 1) / edge) {}

  constexpr std::size_t first(std::size_t i) const { return i * edge; }
  constexpr std::size_t size(std::size_t i) const { return n - first(i) < edge ? n - first(i) : edge; }
  constexpr std::size_t index(std::size_t i, std::size_t j) const { return i * (i + 1) / 2 + j; }
  constexpr std::size_t count() const { return index(side, 0); }
  constexpr std::size_t offset(std::size_t i, std::size_t j) const { return edge * (edge * index(i, 0) + j * size(i)); }
  constexpr std::size_t elements() const { return offset(side - 1, side - 1) + size(side - 1) * size(side - 1); }

  std::size_t n;     // rows of the matrix
  std::size_t edge;  // of a full tile
  std::size_t side;  // rows of tiles
};

}  // namespace fastntk
