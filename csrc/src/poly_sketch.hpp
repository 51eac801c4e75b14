// The inside of PolySketch, for the operators built on it.
#pragma once

#include <fastntk/poly_sketch.hpp>

#include <cstddef>
#include <variant>
#include <vector>

#include "count_sketch.hpp"
#include "srht.hpp"
#include "tensor_srht.hpp"

namespace fastntk {

// The tree is numbered like a heap: node 1 is the root, the children of v are 2v and 2v + 1, and leaf k is node leaves + k.
template <Real T, Backend B>
struct PolySketch<T, B>::State {
  State(const PolySketchParams& params, const B& backend);

  /// One tile: x (rows, in_features) -> out (rows, out_features), the sketch of x^(degree). Here and below, `out` is written
  /// before x is read to its end, so they may not overlap.
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;

  /// One tile: the sketch of factors[0] (x) ... (x) factors[degree - 1].
  void tensor(Tile<B>& tile, const std::vector<View<const T, B>>& factors, View<T, B> out) const;

  /// One tile: out[j] = the sketch of x^(j) (x) e1^(degree - j), j = 0..degree.
  void powers(Tile<B>& tile, View<const T, B> x, const std::vector<View<T, B>>& out) const;

  PolySketchParams params;
  std::size_t leaves;  // 2^ceil(log2 degree)

 private:
  struct Tree;
  using Leaf = std::variant<typename Srht<T, B>::State, typename CountSketch<T, B>::State>;

  const typename TensorSrht<T, B>::State& node(std::size_t v) const { return nodes_[v - 1]; }
  void sketch_leaf(Tile<B>& tile, std::size_t k, View<const T, B> x, View<T, B> out) const;

  std::vector<Leaf> base_;                               // of every leaf
  std::vector<typename TensorSrht<T, B>::State> nodes_;  // of every inner node
  Buffer<T, B> unit_root_;                               // the sketch of e1^(degree)
  Buffer<T, B> transformed_units_;  // of each inner node: its right child's value where all leaves hold e1, transformed
};

}  // namespace fastntk
