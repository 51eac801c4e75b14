// The inside of CountSketch, for the operators built on it.
#pragma once

#include <fastntk/count_sketch.hpp>

#include <cstdint>

#include "primitives.hpp"

namespace fastntk {

template <Real T, Backend B>
struct CountSketch<T, B>::State {
  State(const CountSketchParams& params, const B& backend);

  /// One tile: x (rows, in_features) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;
  void apply(Tile<B>& tile, CsrView<T, B> x, View<T, B> out) const;

  void draw_entries(const B& backend);  // of bucket and weight

  CountSketchParams params;
  Buffer<std::uint32_t, B> bucket;  // of entry b of column j, at j * nnz_per_column + b
  Buffer<T, B> weight;              // likewise: +-1/sqrt(nnz_per_column)
};

}  // namespace fastntk
