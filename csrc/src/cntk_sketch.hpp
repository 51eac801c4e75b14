// The columns of a convolutional feature map.
#pragma once

#include <fastntk/cntk_sketch.hpp>

#include <cstddef>
#include <optional>

#include "cntk.hpp"
#include "draws.hpp"
#include "pixel_layers.hpp"
#include "tile.hpp"

namespace fastntk {

template <Real T, Backend B>
struct CntkSketch<T, B>::State {
  State(const CntkSketchParams& params, const B& backend);

  /// One tile: x (rows, height * width * channels) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;
  std::size_t tile_rows(const B& backend) const;

  CntkSketchParams params;  // resolved

  // sums += the columns' sums over the pixels of some images, numbers += those of the exact columns.
  void add_image(Tile<B>& tile, std::size_t images, View<const T, B> pixels, View<T, B> sums, View<T, B> numbers) const;
  PoolColumns<T> columns() const;

  PixelLayers<T, B> layers;
  std::optional<CntkRecursion<T, B>> diagonal;  // of the images as the map sees them
  std::size_t exact_columns;                    // the numbers' means over the pixels, if any
  std::size_t random_columns;                   // padded to whole groups
  T number_scale, e_scale;                      // of the exact columns
  Buffer<std::uint32_t, B> shift;
  Buffer<T, B> linear, product, last;
  SignBits<B> signs;  // without pooling
  std::size_t sign_words;
  Buffer<T, B> exact_part;  // (exact_columns, random_columns): what the exact columns hold of the others, with minus
};

}  // namespace fastntk
