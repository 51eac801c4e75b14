// The inside of NtkSketch: one polynomial, layers of polynomials beside exact columns, or the layers of Z21 Algorithm 1.
#pragma once

#include <fastntk/ntk_sketch.hpp>

#include <cstddef>
#include <variant>
#include <vector>

#include "directions.hpp"
#include "dot_product_sketch.hpp"
#include "kernel_sketch.hpp"
#include "polynomial_sketch.hpp"

namespace fastntk {

/// Z21 Algorithm 1: features of every layer's kernels, re-sketched after each step.
template <Real T, Backend B>
class LayeredSketch {
 public:
  LayeredSketch(const NtkSketchParams& params, const B& backend);
  std::size_t tile_rows(const B& backend) const;

  /// One tile: x (rows, in_features), dense or sparse -> out (rows, out_features).
  template <class Rows>
  void apply(Tile<B>& tile, Rows x, View<T, B> out) const;

 private:
  struct Layer {
    PolynomialSketch<T, B> phi;                // kappa_1, r entries
    PolynomialSketch<T, B> gate;               // kappa_0, s entries
    typename PolySketch<T, B>::State product;  // Q^2
    typename Srht<T, B>::State sum;            // R
  };

  std::size_t r_, s_;
  bool exact_diagonal_;
  T at_one_;
  SketchInput<T, B> input_;
  typename PolySketch<T, B>::State first_;  // Q^1
  typename Srht<T, B>::State second_;       // V
  std::vector<Layer> layers_;
  DirectionSet<T, B> last_;  // G, times sqrt(out_features)
};

template <Real T, Backend B>
struct NtkSketch<T, B>::State {
  State(const NtkSketchParams& params, const B& backend);

  /// One tile: x (rows, in_features), dense or sparse -> out (rows, out_features).
  template <class Rows>
  void apply(Tile<B>& tile, Rows x, View<T, B> out) const;
  std::size_t tile_rows(const B& run) const;

  NtkSketchParams params;  // resolved

 private:
  std::variant<typename DotProductSketch<T, B>::State, KernelSketch<T, B>, LayeredSketch<T, B>> sketch_;
};

}  // namespace fastntk
