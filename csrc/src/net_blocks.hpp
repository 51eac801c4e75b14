// How a product of matrices is cut into blocks, one task each.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <vector>

#include "tile.hpp"

namespace fastntk {

/// Calls body(range) for [0, size) in ranges of at most `at_once`, one after the other.
template <class Body>
void for_ranges(std::size_t size, std::size_t at_once, Body body) {
  for (std::size_t begin = 0; begin < size; begin += at_once) body(RowRange{begin, std::min(at_once, size - begin)});
}

/// A block of the result of one of several products.
struct Block {
  std::size_t product;
  RowRange rows, cols;

  template <class T, Backend B>
  View<T, B> of(View<T, B> v) const {
    return v.block(rows.begin, rows.count, cols.begin, cols.count);
  }
};

/// Blocks of products: by the shapes alone, since a BLAS rounds differently for other shapes. On a device they are whole. On
/// the CPU they are large, because each packs its rows and columns anew, but for small products not so large that threads
/// would have no work. They begin at whole words of masks.
template <Backend B>
class ProductBlocks {
 public:
  /// A product (rows, inner) (inner, cols).
  void add(std::size_t product, std::size_t rows, std::size_t inner, std::size_t cols) {
    work_ += static_cast<double>(rows) * static_cast<double>(inner) * static_cast<double>(cols);
    std::size_t row_edge = std::max<std::size_t>(rows, 1), col_edge = std::max<std::size_t>(cols, 1);
    if constexpr (std::same_as<B, Cpu>) {
      constexpr std::size_t largest = 512, smallest = 128, wanted = 16;
      const auto parts = [](std::size_t size, std::size_t edge) { return (size + edge - 1) / edge; };
      row_edge = col_edge = largest;
      while (parts(rows, row_edge) * parts(cols, col_edge) < wanted) {
        std::size_t& longer = std::min(rows, row_edge) > std::min(cols, col_edge) ? row_edge : col_edge;
        if (longer == smallest) break;
        longer /= 2;
      }
    }
    for (std::size_t r = 0; r < rows; r += row_edge)
      for (std::size_t c = 0; c < cols; c += col_edge)
        blocks_.push_back({product, {r, std::min(row_edge, rows - r)}, {c, std::min(col_edge, cols - c)}});
  }

  /// Calls body(tile, block) for all blocks, in parallel where the backend can.
  template <class Body>
  void run(const B& backend, Body body) const {
    B chosen = backend;
    if constexpr (std::same_as<B, Cpu>)
      if (work_ < least_shared) chosen.threads = 1;
    for_tiles<B>(chosen, blocks_.size(), 1, [&](Tile<B>& tile, RowRange r) { body(tile, blocks_[r.begin]); });
  }

 private:
  static constexpr double least_shared = 1 << 20;  // products of numbers that are worth waking threads for
  double work_ = 0;
  std::vector<Block> blocks_;
};

}  // namespace fastntk
