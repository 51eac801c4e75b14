// Random features of the neural tangent kernel layer by layer.
#pragma once

#include <fastntk/ntk_features.hpp>

#include <cstddef>
#include <vector>

#include "directions.hpp"
#include "layer_sizes.hpp"
#include "primitives.hpp"
#include "tensor_srht.hpp"

namespace fastntk {

/// Z21 Algorithm 2: features of the arc-cosine kernels, layer by layer, and TensorSRHT for the products. With directions of
/// the leverage-modified law the ReLU features are those of Z21 Eq. 15; what steps see of a direction is its sign alone.
template <Real T, Backend B>
class LayeredFeatures {
 public:
  LayeredFeatures(const NtkRandomFeaturesParams& params, std::size_t d, const B& backend);
  /// A single layer with the caller's directions.
  LayeredFeatures(const NtkRandomFeaturesParams& params, const GivenDirections<T, B>& given, const B& backend);
  std::size_t tile_rows(const B& backend) const;

  /// unit (rows, d) with the rows' norms -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const;

 private:
  struct Layer {
    LayerSizes sizes;
    DirectionSet<T, B> step;                   // of Phi_0, m_0 directions
    DirectionSet<T, B> relu;                   // of Phi_1, m_1 directions
    Buffer<T, B> step_factor;                  // of the columns of Phi_0, where they have any
    typename TensorSrht<T, B>::State product;  // Q^2: m_0 x dim(psi) -> m_s
  };

  void add_layer(Layer layer);

  std::size_t most_step_ = 0;  // features of a layer
  std::size_t most_relu_ = 0;
  std::size_t out_features_;
  bool exact_diagonal_;
  T diagonal_;  // L + 1
  std::vector<Layer> layers_;
};

}  // namespace fastntk
