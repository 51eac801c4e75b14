// The backend contract for gradients of networks: what the backward pass and convolutions need besides primitives.hpp.
//
// A batch of images is a matrix of one image a row, its pixels row by row and the channels of a pixel together.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tile.hpp"

namespace fastntk {

/// out[r][j] = scale * upstream[r mod upstream.rows][j] where h[r][j] > 0, else 0: back through a ReLU.
template <Real T, Backend B>
void relu_backward(Tile<B>& tile, View<const T, B> h, View<const T, B> upstream, T scale, View<T, B> out);

/// A convolution's positions: all pixels of an image, with the q x q neighbourhood of each, q odd, zeros outside the image.
struct Neighbourhoods {
  std::size_t height, width, q;
  constexpr std::size_t pixels() const { return height * width; }
};

/// out[p] = the neighbourhood of pixel `first` + p, counted through all images, as q^2 * channels numbers: row by row of the
/// neighbourhood, the channels of a pixel together.
template <Real T, Backend B>
void neighbourhoods(Tile<B>& tile, const Neighbourhoods& shape, View<const T, B> images, std::size_t channels,
                    std::size_t first, View<T, B> out);

/// out[r][j] = scale * the sum over the pixels of image r of the channel output[j] of delta times the entry input[j] of the
/// pixel's neighbourhood in h: entries of the gradient of a convolution's weights.
template <Real T, Backend B>
void neighbourhood_products(Tile<B>& tile, const Neighbourhoods& shape, View<const T, B> delta, std::size_t delta_channels,
                            const std::uint32_t* output, View<const T, B> h, std::size_t h_channels,
                            const std::uint32_t* input, T scale, View<T, B> out);

/// out[r][j] = scale * the sum over the pixels of image r of its channel index[j].
template <Real T, Backend B>
void channel_sums(Tile<B>& tile, View<const T, B> images, std::size_t channels, const std::uint32_t* index, T scale,
                  View<T, B> out);

}  // namespace fastntk
