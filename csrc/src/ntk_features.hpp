// The inside of NtkRandomFeatures: two constructions behind one map.
#pragma once

#include <fastntk/ntk_features.hpp>

#include <cstddef>
#include <optional>

#include "dual_features.hpp"
#include "layered_features.hpp"

namespace fastntk {

/// DualFeatures of the neural tangent kernel of rows in d dimensions.
inline DualFeaturesParams dual_params(const NtkRandomFeaturesParams& p, std::size_t d) {
  return {.kernel = {.kernel = CosineKernel::ntk, .depth = p.depth, .coefficients = {}},
          .in_features = d,
          .out_features = p.out_features,
          // Directions on a sphere get a chi_d length here, and are Gaussian ones: the dual activation is made for normal
          // projections.
          .directions = p.directions == Directions::structured ? Directions::structured : Directions::gaussian,
          .low_orders = p.low_orders,
          .diagonal = p.diagonal,
          .seed = p.seed};
}

template <Real T, Backend B>
struct NtkRandomFeatures<T, B>::State {
  /// `directions` where the parameters say that they are given.
  State(const NtkRandomFeaturesParams& params, const GivenDirections<T, B>* directions, const B& backend);

  /// One tile: x (rows, in_features) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;
  std::size_t tile_rows(const B& run) const { return dual ? dual->tile_rows(run) : layered->tile_rows(run); }

  NtkRandomFeaturesParams params;  // resolved
  std::optional<DualFeatures<T, B>> dual;
  std::optional<LayeredFeatures<T, B>> layered;
};

}  // namespace fastntk
