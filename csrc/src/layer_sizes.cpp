#include "layer_sizes.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "relu_kernels.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// The share of ReLU features among the columns of layer L. Of two unit rows at right angles, whose values in the layer
// before are s = S_{L-1} and k = K_{L-1}, a ReLU feature estimates kappa_1(s) with the variance
//   r = (2/pi) (3 s sqrt(1 - s^2) + (pi - acos s)(1 + 2 s^2)) - kappa_1(s)^2,
// and an entry of the product's sketch kappa_0(s) k with the variance
//   p = (1 + 2 kappa_0^2)(L^2 + 2 k^2) - (kappa_0 k)^2
// (Cho and Saul 2009, order 2; the variance of TensorSRHT). r/m_1 + p/m_s is smallest at m_1 : m_s = sqrt r : sqrt p, which
// other cosines hardly change: .44, .33, .27, .19 at L = 1, 2, 3, 5.
double relu_share(std::size_t depth) {
  ReluLayer before(0);
  for (std::size_t l = 1; l < depth; ++l) before.advance();
  const double s = std::min(before.s, 1.0);
  const double gate = kappa0(s);
  const double sine = std::sqrt((1 - s) * (1 + s));
  const double order_2 = 2 * (3 * s * sine / std::numbers::pi + gate * (1 + 2 * s * s));
  const double r = order_2 - kappa1(s) * kappa1(s);
  const auto square = static_cast<double>(depth) * static_cast<double>(depth);
  const double p = (1 + 2 * gate * gate) * (square + 2 * before.k * before.k) - gate * gate * before.k * before.k;
  return std::sqrt(r) / (std::sqrt(r) + std::sqrt(p));
}

}  // namespace

// The last layer's columns are the output's. In the layers before, whose ReLU features also feed the next, and in the number
// of step features the error is flat: these are what costs as little as the output.
LayerSizes layer_sizes(const NtkRandomFeaturesParams& p, std::size_t layer) {
  const std::size_t half = p.out_features / 2;
  std::size_t m_1 = p.relu_features;
  if (m_1 == 0 && layer < p.depth) m_1 = p.out_features - half;
  if (m_1 == 0) {
    const double wanted = relu_share(p.depth) * static_cast<double>(p.out_features);
    m_1 = std::clamp<std::size_t>(static_cast<std::size_t>(std::lround(wanted)), 1, p.out_features - 1);
  }
  return {p.step_features == 0 ? half : p.step_features, m_1, p.out_features - m_1};
}

std::pair<std::size_t, std::size_t> layered_sizes(const NtkRandomFeaturesParams& p) {
  require_size(p.out_features, "layered_sizes: out_features");
  require_depth(p.depth, "layered_sizes: depth");
  require(p.out_features >= 2,
          [&] { return "layered_sizes: out_features is " + std::to_string(p.out_features) + "; at least 2 are needed"; });
  require(p.relu_features < p.out_features, [&] {
    return "layered_sizes: relu_features (m_1) is " + std::to_string(p.relu_features) + "; less than out_features, " +
           std::to_string(p.out_features) + ", is needed";
  });
  const LayerSizes last = layer_sizes(p, p.depth);
  return {last.m_0, last.m_1};
}

}  // namespace fastntk
