// The inside of DotProductFeatures.
#pragma once

#include <fastntk/dot_product_features.hpp>

#include "dual_features.hpp"

namespace fastntk {

template <Real T, Backend B>
struct DotProductFeatures<T, B>::State {
  State(const DotProductFeaturesParams& params, const B& backend);

  /// One tile: x (rows, in_features) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;
  std::size_t tile_rows(const B& run) const { return features.tile_rows(run); }

  DotProductFeaturesParams params;  // resolved
  DualFeatures<T, B> features;
};

}  // namespace fastntk
