// The inside of DotProductSketch: two constructions behind one map.
#pragma once

#include <fastntk/dot_product_sketch.hpp>

#include <cstddef>
#include <optional>

#include "kernel_sketch.hpp"
#include "polynomial_sketch.hpp"

namespace fastntk {

template <Real T, Backend B>
struct DotProductSketch<T, B>::State {
  State(const DotProductSketchParams& params, const B& backend);

  /// One tile: x (rows, in_features), dense or sparse -> out (rows, out_features).
  template <class Rows>
  void apply(Tile<B>& tile, Rows x, View<T, B> out) const;
  std::size_t tile_rows(const B& run) const;

  DotProductSketchParams params;  // resolved

 private:
  /// The paper's: a sketch of all powers, of unit rows.
  struct Sampled {
    SketchInput<T, B> input;
    PolynomialSketch<T, B> sketch;
  };

  std::optional<KernelSketch<T, B>> kernel_;
  std::optional<Sampled> sampled_;
  double at_one_ = 0;
};

}  // namespace fastntk
