// How the layered construction divides its columns.
#pragma once

#include <fastntk/ntk_features.hpp>

#include <cstddef>

namespace fastntk {

/// Sizes of a layer: m_0 step features, m_1 ReLU features, and m_s of their product with the layer before.
struct LayerSizes {
  std::size_t m_0, m_1, m_s;
};

/// The sizes of layer 1, ..., L as the parameters have them; what these leave open is chosen.
LayerSizes layer_sizes(const NtkRandomFeaturesParams& params, std::size_t layer);

}  // namespace fastntk
