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

  View<double> right_view(std::vector<double>& values) const {
    return {values.data(), values.size() / right_cols, right_cols};
  }

  std::size_t waiting() const {
    return std::visit([](const auto& rows_of) { return rows_of.rows; }, block);
  }

  /// Appends `count` rows root_weight[r] * z[source[r]] with right sides root_weight[r] * sides[r] to the waiting block, and
  /// adds every block that gets full to gram and cross.
  template <Real T>
  void append(View<const T, B> z, const std::size_t* source, const double* root_weight, std::size_t count,
              View<const double> sides);

  /// The waiting block, for elements T: one of the other type is added first, full or not.
  template <Real T>
  RowBlock<T, B>& block_of();

  /// Adds the waiting block to gram and cross and empties it.
  void flush();

  RidgeStateParams params;
  B backend;
  TriangleTiles tiles;
  std::size_t right_cols;      // 1 + n_targets: the right side of a row is sqrt(w) (1, y)
  LargeArray<double, B> gram;  // Z^T Z without the waiting rows
  std::vector<double> cross;   // Z^T (1, Y) likewise, (n_features, right_cols)
  std::vector<double> sum;     // of w y over all rows
  std::vector<double> square;  // of w y^2 over all rows
  double total_weight = 0;
  std::uint64_t rows = 0;
  std::variant<RowBlock<float, B>, RowBlock<double, B>> block;
  std::vector<double> right;  // right sides of the waiting rows
};

}  // namespace fastntk
