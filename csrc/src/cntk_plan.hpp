// What the recursion of the convolutional NTK (algorithms in cntk.hpp) walks over: sizes of its maps, layer by layer.
#pragma once

#include <cstddef>

#include "formula.hpp"

namespace fastntk {

/// The network, and how its images are stored for the recursion: `channels` maps of the pixels' values, then `depth` maps of
/// sqrt(N^(h)), h = 1..depth; each map is height x width, filled as far as its layer reaches.
struct CntkPlan {
  std::size_t height, width, channels, depth, filter_size;
  bool same;  // padding
  bool gap;   // pooling
  bool train_first, train_last;

  // Inlined everywhere: kernels are compiled for several instruction sets, and no function may leave them.
  [[gnu::always_inline]] FASTNTK_FORMULA constexpr std::size_t pixels() const { return height * width; }
  /// Elements of a stored image, with those behind its maps that whole vectors may read.
  [[gnu::always_inline]] FASTNTK_FORMULA constexpr std::size_t image_size() const {
    return (channels + depth) * pixels() + 64 / sizeof(double);
  }
  [[gnu::always_inline]] FASTNTK_FORMULA constexpr std::size_t root_map(std::size_t layer) const {
    return (channels + layer - 1) * pixels();
  }
  /// Rows or columns that a convolution takes away.
  [[gnu::always_inline]] FASTNTK_FORMULA constexpr std::size_t shrink() const { return same ? 0 : filter_size - 1; }
  [[gnu::always_inline]] FASTNTK_FORMULA constexpr std::size_t height_at(std::size_t layer) const {
    return height - layer * shrink();
  }
  [[gnu::always_inline]] FASTNTK_FORMULA constexpr std::size_t width_at(std::size_t layer) const {
    return width - layer * shrink();
  }
  /// The rows (columns) of a filter that come before its position, and all of them, without those that are outside of a map
  /// of `size` rows (columns) wherever the filter stands.
  [[gnu::always_inline]] FASTNTK_FORMULA constexpr std::size_t taps_before(std::size_t size) const {
    const std::size_t half = filter_size / 2;
    return !same ? 0 : half < size ? half : size - 1;
  }
  [[gnu::always_inline]] FASTNTK_FORMULA constexpr std::size_t taps(std::size_t size) const {
    return same ? 2 * taps_before(size) + 1 : filter_size;
  }
};

}  // namespace fastntk
