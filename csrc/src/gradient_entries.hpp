// Which entries of a network's gradient become columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fastntk {

/// The columns [first, first + count) are entries of one layer's gradient, times `scale`.
struct LayerShare {
  std::size_t first = 0, count = 0;
  double scale = 0;
};

/// Shares `columns` evenly among layers with these numbers of parameters, as far as they have so many; all layers add the
/// same to Theta(x, x). With fewer columns than layers, random ones get a column each. The scales make the mean of the inner
/// products that of the whole gradient's. `columns` is at most the sum of the parameters.
std::vector<LayerShare> share_columns(std::size_t columns, const std::vector<std::size_t>& parameters, std::uint64_t seed);

/// Entries (output, input) of a weight matrix, in the order of its rows.
struct MatrixEntries {
  std::vector<std::uint32_t> output, input;
};

/// `count` different entries of an outputs x inputs matrix. Every entry is drawn with the same probability, and rows and
/// columns are met equally often, give or take one.
MatrixEntries draw_entries(std::size_t outputs, std::size_t inputs, std::size_t count, std::uint64_t seed);

}  // namespace fastntk
