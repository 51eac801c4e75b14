// The inside of CountSketch, for the operators built on it.
#pragma once

#include <fastntk/count_sketch.hpp>

#include "primitives.hpp"

namespace fastntk {

template <Real T, Backend B>
struct CountSketch<T, B>::State {
  State(const CountSketchParams& params, const B& backend);

  /// One tile: x (rows, in_features) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;
  void apply(Tile<B>& tile, CsrView<T, B> x, View<T, B> out) const;

  static SketchMatrix<T, B> draw(const CountSketchParams& params, const B& backend);

  CountSketchParams params;
  SketchMatrix<T, B> matrix;
};

}  // namespace fastntk
