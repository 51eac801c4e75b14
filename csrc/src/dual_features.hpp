// The inside of NtkRandomFeatures and DotProductFeatures: random features of a dual activation.
#pragma once

#include <fastntk/kernel_series.hpp>
#include <fastntk/ntk_features.hpp>

#include <cstddef>
#include <cstdint>

#include "directions.hpp"
#include "primitives.hpp"

namespace fastntk {

struct DualFeaturesParams {
  KernelSeriesParams kernel = {};
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  Directions directions = Directions::gaussian;  ///< structured or gaussian
  LowOrders low_orders = LowOrders::sampled;     ///< any but automatic
  Diagonal diagonal = Diagonal::sampled;         ///< likewise
  std::uint64_t seed = 0;

  /// Columns of the exact part: the constant is given up for the only column.
  std::size_t exact_columns() const {
    if (low_orders == LowOrders::exact) return 1 + in_features;
    return low_orders == LowOrders::constant && out_features > 1 ? 1 : 0;
  }
};

/// Z(x) = |x| (sqrt(c_0), sqrt(c_1) x^, g(w_1.x^), ..., g(w_m.x^)) with x^ = x/|x| and the dual activation g of what remains
/// of the kernel's power series (dual_activation.hpp). Any depth costs one projection and one evaluation a column.
template <Real T, Backend B>
class DualFeatures {
 public:
  DualFeatures(const DualFeaturesParams& params, const B& backend);
  std::size_t tile_rows(const B& backend) const;

  /// unit (rows, in_features) with the rows' norms -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const;

  /// The same from primitives that do one step each.
  void apply_in_steps(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const;

 private:
  bool in_one_pass(const B& backend) const {
    return hermite_.size() == 0 && directions_.length() &&
           has_dual_rows<T>(backend, directions_.panel(), directions_.size());
  }

  std::size_t exact_columns_;
  bool exact_diagonal_;
  T constant_;   // sqrt(c_0)
  T linear_;     // sqrt(c_1)
  T remainder_;  // what the squares of the random columns add up to in the mean
  DirectionSet<T, B> directions_;
  DualTable<T, B> g_;
  Buffer<T, B> hermite_;  // of a polynomial activation, in place of g_
};

}  // namespace fastntk
