// Images, and how convolutional networks walk over them.
#pragma once

#include <cstddef>

namespace fastntk {

/// Of images whose pixels are stored row by row, the channels of a pixel together.
struct ImageShape {
  std::size_t height = 0, width = 0, channels = 0;
  constexpr std::size_t pixels() const { return height * width; }
  constexpr std::size_t features() const { return height * width * channels; }
};

/// What stands between the last convolution and the output: the mean over all positions and then weights, or weights of
/// their own for every position.
enum class Pooling { gap, none };

/// At the border of an image: zeros around it, so that a convolution keeps its size (odd filters), or filters that lie
/// inside only, so that every convolution takes filter_size - 1 rows and columns away.
enum class Padding { same, valid };

}  // namespace fastntk
