// The inside of RidgeState.
#pragma once

#include <fastntk/ridge.hpp>

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "ridge_primitives.hpp"

namespace fastntk {

template <Backend B>
struct RidgeState<B>::State {
  State(const RidgeStateParams& params, B backend);

  std::size_t waiting() const {
    return std::visit([](const auto& rows_of) { return rows_of.rows; }, block);
  }
  View<double, B> right_rows(std::size_t first, std::size_t count) {
    return View<double, B>(right.data() + first * right_cols, count, right_cols);
  }
  View<const double, B> right_rows(std::size_t first, std::size_t count) const {
    return View<const double, B>(right.data() + first * right_cols, count, right_cols);
  }

  /// The waiting block, for elements T: one of the other type is added first, full or not.
  template <Real T>
  RowBlock<T, B>& block_of(Tile<B>& memory);

  /// Lets fill(first, count, block) put `count` rows behind those that wait, until all are there; adds every block that gets
  /// full. The block is one for elements T.
  template <Real T, class Fill>
  void append(Tile<B>& memory, std::size_t count, Fill fill);

  /// Adds the waiting block to gram and cross and empties it. The caller has a ProductLibrary.
  void flush(Tile<B>& memory);

  /// Forgets all rows.
  void clear();

  /// The sum of squares of each column over all rows, the diagonal of G; on the host.
  std::vector<double> squares_of_columns() const;

  /// Throws Error if the rows of another state of these sizes cannot all be among those of this one.
  void require_has(const State& other) const;

  RidgeStateParams params;
  B backend;
  TriangleTiles tiles;
  std::size_t right_cols;   // 1 + n_targets: the right side of a row is sqrt(w) (1, y)
  Buffer<double, B> gram;   // Z^T Z without the waiting rows
  Buffer<double, B> cross;  // Z^T (1, Y) likewise, (n_features, right_cols)
  Buffer<double, B> sums;   // of w y and of w y^2 over all rows, (2, n_targets)
  double total_weight = 0;
  std::uint64_t rows = 0;
  std::variant<RowBlock<float, B>, RowBlock<double, B>> block;
  Buffer<double, B> right;  // right sides of the waiting rows
};

}  // namespace fastntk
