// The backend contract for features of pixels: what convolutional feature maps need besides primitives.hpp.
//
// A field holds a vector for every pixel of some images. Fields are made in bands of whole rows of pixels, and of a field
// only as many rows are held as the next one needs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formula.hpp"
#include "pixel_features.hpp"
#include "tile.hpp"

namespace fastntk {

/// Where the vectors of a field stand: that of image b at (i, j) in row (b * held + i % held) * width + j of its matrix.
struct Field {
  std::size_t images = 1, height = 0, width = 0, held = 0;
  FASTNTK_FORMULA std::size_t row(std::size_t image, std::size_t i, std::size_t j) const {
    // In 32 bits, because devices divide in software.
    const std::uint32_t slot = static_cast<std::uint32_t>(i) % static_cast<std::uint32_t>(held);
    return (image * held + slot) * width + j;
  }
};

/// The q x q patches of a field under the rows [first, first + count) of the field that a convolution makes of it; patch
/// rows start `pad` before the output's. The band's vector of image b at (first + i, j) is in row (b * count + i) * width +
/// j.
struct PatchBand {
  Field in;
  std::size_t q = 1, pad = 0;
  std::size_t first = 0, count = 0, width = 0;
  FASTNTK_FORMULA std::size_t rows() const { return in.images * count * width; }
};

/// How fold_patches() adds up a patch: for its q^2 positions k, row by row, a shift in whole groups of `fold_group` entries
/// and m weights.
template <Real T>
struct PatchFold {
  const std::uint32_t* shift;  // (q^2), multiples of fold_group below m
  const T* weight;             // (q^2, m)
};

/// out[p][c] = the sum over k of weight[k][c] * in[position k of p's patch][(c + shift[k]) mod m], positions outside the
/// image left out; in (field rows, m), out (band rows, m), m a multiple of 64. The order of the sum is that of k.
template <Real T, Backend B>
void fold_patches(Tile<B>& tile, const PatchBand& band, View<const T, B> in, const PatchFold<T>& fold, View<T, B> out);

/// phi[p][c] = norm[p] * scale_1 * (f_1[c] + constant[c]), gate[p][c] = scale_0 * f_0[c]. z (band rows, degree * m) may be
/// overwritten; `mean` may be null (0); phi or gate may be empty (no data), and are not written then.
template <Real T, Backend B>
void pixel_features(Tile<B>& tile, const PixelFeatures<T>& features, View<T, B> z, const T* mean, const T* norm, T scale_1,
                    T scale_0, View<T, B> phi, View<T, B> gate);

/// io[p][c] += the sum over j < k of coefficient[p][j] * vector[j][c], in the order of j; coefficient (rows, k).
template <Real T, Backend B>
void add_combinations(Tile<B>& tile, View<const T, B> coefficient, const T* vector, View<T, B> io);

/// out[p][c] = scale * psi[p][c] + sign_phi[c] * phi[p][c] + sign_product[c] * psi[p][c] * gate[p][c]. `out` may be psi.
template <Real T, Backend B>
void mix_features(Tile<B>& tile, View<const T, B> psi, View<const T, B> phi, View<const T, B> gate, T scale,
                  const T* sign_phi, const T* sign_product, View<T, B> out);

/// out[b][column] += the sum of the column over the band's pixels of image b, in their order. The band's rows of pixels
/// start at pixel `first_pixel` of an image; psi, phi, gate (images * pixels, m), out (images, columns), whole groups of
/// fold_group columns.
template <Real T, Backend B>
void pool_columns(Tile<B>& tile, const PoolColumns<T>& columns, std::size_t first_pixel, std::size_t pixels,
                  View<const T, B> psi, View<const T, B> phi, View<const T, B> gate, View<T, B> out);

}  // namespace fastntk
