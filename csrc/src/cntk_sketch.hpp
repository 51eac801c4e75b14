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

/// The columns of numbers of the last layer, in this order: of psi, and e of phi.
struct NumberColumns {
  std::size_t of_psi = 0, of_phi = 0;
  std::size_t count() const { return of_psi + of_phi; }
};

template <Real T, Backend B>
struct CntkSketch<T, B>::State {
  State(const CntkSketchParams& params, const B& backend);

  /// One tile: x (rows, height * width * channels) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;
  std::size_t tile_rows(const B& backend) const;

  CntkSketchParams params;  // resolved

  // sums += the random columns' sums over the pixels of some images, numbers += those of the exact columns' numbers.
  void add_image(Tile<B>& tile, std::size_t images, View<const T, B> pixels, View<T, B> sums, View<T, B> numbers) const;
  PoolColumns<T> columns() const;

  PixelLayers<T, B> layers;
  std::optional<CntkRecursion<T, B>> diagonal;  // of the images as the map sees them
  NumberColumns exact;                          // the numbers' means over the pixels: the first columns, or none
  std::size_t random_columns, padded_columns;   // the others, and these padded to whole groups
  T psi_scale, phi_scale;                       // of the exact columns: times the numbers' sums over the pixels
  Buffer<std::uint32_t, B> shift;
  Buffer<T, B> linear, product, last;
  SignBits<B> signs;  // without pooling
  std::size_t sign_words;
  Buffer<T, B> exact_part;  // (exact.count(), padded_columns): to be added to these times the numbers' sums
};

}  // namespace fastntk
