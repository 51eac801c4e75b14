// The layers of a convolutional feature map: their random constants, and the features of bands of rows of pixels.
//
// In the notation of Z21 Section 4, with m = width entries and a_0 = kappa_1(0), b_0 = kappa_0(0), at layer h:
//   phi^(h)   features of Gamma^(h): the number e = sqrt(a_0 N^(h))/q, and m entries for the rest
//   gate^(h)  m entries, sqrt(m) times the features of Gamma'^(h) but for their number sqrt(b_0)/q
//   psi^(h)   features of Pi^(h), h < L, under a patch: h numbers and m entries
//   eta^(h)   sqrt(b_0)/q psi^(h-1) + signs phi^(h) + signs psi^(h-1) gate^(h); a patch's sum of them is psi^(h)
// Fields hold the m entries plus the numbers, each times a vector of random signs over sqrt(m): spread so, a number passes
// through products like the entries. What becomes of that vector when a field is folded is known, and so is a patch's mean
// number: it is taken away, and what is left of the numbers, their differences within the patch, stays among the entries.
#pragma once

#include <fastntk/cntk_sketch.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "directions.hpp"
#include "pixel_primitives.hpp"
#include "tile.hpp"

namespace fastntk {

/// The constants of a sum over patches.
template <Real T, Backend B>
struct FoldConstants {
  Buffer<std::uint32_t, B> shift;
  Buffer<T, B> weight;
  PatchFold<T> fold() const { return {shift.data(), weight.data()}; }
};

template <Real T, Backend B>
struct PixelLayer {
  std::size_t height, width;                        // of its fields
  std::vector<DirectionSet<T, B>> directions;       // of the projections z_1, ..., z_degree of a patch
  Buffer<T, B> offset, kappa_1, kappa_0, constant;  // as PixelFeatures has them
  double root_a0, root_b0;                          // sqrt(a_0), sqrt(b_0)
  FoldConstants<T, B> phi_fold, psi_fold;           // of the fields below into patches; above the pixels there are none
  bool has_psi;                                     // whether Pi^(h-1) is not 0
  std::size_t numbers;                              // of psi^(h-1)
  Buffer<T, B> correction;                          // (numbers, m), to be added to a folded psi times its mean numbers
  Buffer<T, B> sign_phi, sign_product;              // of eta
};

template <Real T, Backend B>
class PixelLayers {
 public:
  /// Of images of the map's own channels and one for a bias.
  PixelLayers(const CntkSketchParams& params, const B& backend);

  ImageShape image;
  std::size_t q, pad, m, degree;
  bool relu, train_last;
  std::vector<PixelLayer<T, B>> layers;
  std::optional<DirectionSet<T, B>> first_psi;  // of the pixels' own patches, where the first layer is trained
  std::vector<T> last_spread;                   // (numbers, m): what the numbers of the last layer's psi are spread by
  std::vector<T> last_constant;                 // (m): and that of its phi

  const PixelLayer<T, B>& last() const { return layers.back(); }

  /// Rows of pixels in a band, and rows that are held of a field.
  std::size_t band_rows(const B& backend) const;
  std::size_t held_rows(const B& backend) const;
  /// Bytes that the features of one image take on their way.
  std::size_t image_bytes(const B& backend) const;
};

/// What is known of the pixels of a tile of images before any feature, in scratch memory: maps over all pixels, by layer.
template <Real T, Backend B>
struct PixelMaps {
  std::vector<const T*> norm;             // sqrt(N^(h))
  std::vector<const T*> mean;             // a patch's mean of e^(h-1); null in the first layer
  std::vector<View<const T, B>> numbers;  // a patch's means of the numbers of eta^(h-1), of which psi^(h-1) has q times
};

/// pixels (images * height * width, channels).
template <Real T, Backend B>
PixelMaps<T, B> pixel_maps(Tile<B>& tile, const PixelLayers<T, B>& layers, std::size_t images, View<const T, B> pixels);

/// A band of the last layer: psi and gate where Pi^(L-1) is not 0, phi where the last layer is trained, else no data.
template <Real T, Backend B>
struct PixelBand {
  std::size_t first_row, rows;
  View<const T, B> psi, phi, gate;  // (images * rows * width, m)
};

/// Calls `take` with the features of all pixels, one band of rows after the other. `pixels` as above, without gaps; several
/// images only if a band is a whole image.
template <Real T, Backend B>
void for_bands(Tile<B>& tile, const PixelLayers<T, B>& layers, std::size_t images, View<const T, B> pixels,
               const PixelMaps<T, B>& maps, FunctionRef<void(const PixelBand<T, B>&)> take);

}  // namespace fastntk
