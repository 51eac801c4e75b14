#include "net_layers.hpp"

#include <string>

#include "tiling.hpp"

namespace fastntk {

NetLayers::NetLayers(const DeepNetParams& params) : copies_(params.doubled ? 2 : 1), sizes_{params.in_features}, first_{0} {
  require(!params.widths.empty(), "DeepNet: widths is empty; at least one hidden layer is needed");
  require_depth(params.widths.size(), "DeepNet: the number of widths");
  require_size(params.in_features, "DeepNet: in_features");
  for (std::size_t l = 0; l < params.widths.size(); ++l)
    require_size(params.widths[l], ("DeepNet: widths[" + std::to_string(l) + "]").c_str());
  require_size(params.outputs, "DeepNet: outputs");
  sizes_.insert(sizes_.end(), params.widths.begin(), params.widths.end());
  sizes_.push_back(params.outputs);
  // Sizes are below 2^31, so that a layer's weights do not overflow, and bytes of the whole must not.
  constexpr std::size_t most = std::size_t{1} << 58;
  for (std::size_t l = 0; l <= depth(); ++l) {
    const std::size_t all = first_.back() + outputs(l) * inputs(l);
    require(all <= most / copies_, "DeepNet: widths give more than 2^58 weights; use smaller ones");
    first_.push_back(all);
  }
}

std::size_t NetLayers::units() const {
  std::size_t sum = 0;
  for (std::size_t l = 0; l < depth(); ++l) sum += outputs(l);
  return copies_ * sum;
}

}  // namespace fastntk
