// The inside of NtkRandomFeatures: two constructions behind one map.
#pragma once

#include <fastntk/ntk_features.hpp>

#include <cstddef>
#include <optional>
#include <vector>

#include "directions.hpp"
#include "primitives.hpp"
#include "tensor_srht.hpp"

namespace fastntk {

/// Z(x) = |x| (sqrt(c_0), sqrt(c_1) x^, g(w_1.x^), ..., g(w_m.x^)) with x^ = x/|x| and the dual activation g of what remains
/// of the kernel's power series (dual_activation.hpp). Any depth costs one projection and one evaluation a column.
template <Real T, Backend B>
class DualFeatures {
 public:
  DualFeatures(const NtkRandomFeaturesParams& params, std::size_t d, const B& backend);
  std::size_t tile_rows(const B& backend) const;

  /// unit (rows, d) with the rows' norms -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const;

  /// The same from primitives that do one step each.
  void apply_in_steps(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const;

 private:
  bool in_one_pass(const B& backend) const {
    return directions_.length() && has_dual_rows<T>(backend, directions_.panel(), directions_.size());
  }

  std::size_t exact_columns_;
  bool exact_diagonal_;
  T constant_;   // sqrt(c_0)
  T linear_;     // sqrt(c_1)
  T remainder_;  // what the squares of the random columns add up to in the mean
  DirectionSet<T, B> directions_;
  DualTable<T, B> g_;
};

/// Z21 Algorithm 2: features of the arc-cosine kernels, layer by layer, and TensorSRHT for the products.
template <Real T, Backend B>
class LayeredFeatures {
 public:
  LayeredFeatures(const NtkRandomFeaturesParams& params, std::size_t d, const B& backend);
  std::size_t tile_rows(const B& backend) const;

  /// unit (rows, d) with the rows' norms -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const;

 private:
  struct Layer {
    DirectionSet<T, B> step;                   // of Phi_0, m_0 directions
    DirectionSet<T, B> relu;                   // of Phi_1, m_1 directions
    typename TensorSrht<T, B>::State product;  // Q^2: m_0 x dim(psi) -> m_s
  };

  std::size_t m_s_, m_1_;
  bool exact_diagonal_;
  T diagonal_;  // L + 1
  std::vector<Layer> layers_;
};

template <Real T, Backend B>
struct NtkRandomFeatures<T, B>::State {
  State(const NtkRandomFeaturesParams& params, const B& backend);

  /// One tile: x (rows, in_features) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;
  std::size_t tile_rows(const B& run) const { return dual ? dual->tile_rows(run) : layered->tile_rows(run); }

  NtkRandomFeaturesParams params;  // resolved
  std::optional<DualFeatures<T, B>> dual;
  std::optional<LayeredFeatures<T, B>> layered;
};

}  // namespace fastntk
