// The backend contract for networks: what convolutions and the backward pass need besides primitives.hpp.
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

/// A convolution's positions: the q x q neighbourhoods, row by row, in an image of height * width pixels with `pad` < q
/// rows and columns of zeros at each edge.
struct Neighbourhoods {
  std::size_t height, width, q, pad;
  constexpr std::size_t pixels() const { return height * width; }
  constexpr std::size_t out_height() const { return height + 2 * pad - q + 1; }
  constexpr std::size_t out_width() const { return width + 2 * pad - q + 1; }
  constexpr std::size_t out_pixels() const { return out_height() * out_width(); }
};

/// out[p] = the neighbourhood of output pixel `first` + p, counted through all images, as q^2 * channels numbers: row by row
/// of the neighbourhood, the channels of a pixel together.
template <Real T, Backend B>
void neighbourhoods(Tile<B>& tile, const Neighbourhoods& shape, View<const T, B> images, std::size_t channels,
                    std::size_t first, View<T, B> out);

/// out[r][j] = scale * the sum over the pixels of image r of the channel output[j] of delta times the entry input[j] of the
/// pixel's neighbourhood in h: entries of the gradient of a convolution's weights. The convolution keeps the image's size:
/// q = 2 pad + 1.
template <Real T, Backend B>
void neighbourhood_products(Tile<B>& tile, const Neighbourhoods& shape, View<const T, B> delta, std::size_t delta_channels,
                            const std::uint32_t* output, View<const T, B> h, std::size_t h_channels,
                            const std::uint32_t* input, T scale, View<T, B> out);

/// out[r][j] = scale * the sum over the pixels of image r of its channel index[j].
template <Real T, Backend B>
void channel_sums(Tile<B>& tile, View<const T, B> images, std::size_t channels, const std::uint32_t* index, T scale,
                  View<T, B> out);

}  // namespace fastntk
