// The checks of the convolutional NTK's parameters.
#include "cntk.hpp"
#include "tiling.hpp"

namespace fastntk {

CntkPlan cntk_plan(const CntkParams& p, const std::string& caller) {
  const auto name = [&](const char* what) { return caller + ": " + what; };
  require_size(p.image.height, name("image height").c_str());
  require_size(p.image.width, name("image width").c_str());
  require_size(p.image.channels, name("image channels").c_str());
  require_size(p.image.pixels(), name("image height * width").c_str());
  require_size(p.image.features(), name("image height * width * channels").c_str());
  require_depth(p.depth, name("depth").c_str());
  require_size(p.filter_size, name("filter_size").c_str());
  const bool same = p.padding == Padding::same;
  require(!same || p.filter_size % 2 == 1,
          [&] { return name("filter_size is ") + std::to_string(p.filter_size) + "; padding 'same' needs an odd one"; });
  const std::size_t least = p.depth * (p.filter_size - 1) + 1;
  require(same || (p.image.height >= least && p.image.width >= least), [&] {
    return name("the images are ") + std::to_string(p.image.height) + " x " + std::to_string(p.image.width) + " pixels; " +
           std::to_string(p.depth) + " convolutions of filter_size " + std::to_string(p.filter_size) +
           " with padding 'valid' need at least " + std::to_string(least) + " x " + std::to_string(least) +
           "; fewer layers, a smaller filter or padding 'same' need less";
  });
  require(p.depth > 1 || p.train_first || p.train_last, [&] {
    return name("depth is 1, and neither train_first nor train_last is set: this kernel is zero; use depth 2 or a flag");
  });
  return {.height = p.image.height,
          .width = p.image.width,
          .channels = p.image.channels + (p.bias != 0),
          .depth = p.depth,
          .filter_size = p.filter_size,
          .same = same,
          .gap = p.pooling == Pooling::gap,
          .train_first = p.train_first,
          .train_last = p.train_last};
}

}  // namespace fastntk
