// What gradients of networks need besides the other primitives, on the CPU.
#include "../src/gradient_primitives.hpp"

#include <algorithm>

#include "kernels.hpp"

namespace fastntk {
namespace {

/// Channel-major copies of an image's pixels with `margin` rows of zeros above and below and as many zeros before each row:
/// the end of one row's neighbourhoods is the start of the next. out[c] has `length` entries.
template <Real T>
void spread_channels(const Neighbourhoods& shape, std::size_t margin_rows, std::size_t margin, std::size_t channels,
                     const T* image, std::size_t length, T* out) {
  std::fill_n(out, channels * length, T(0));
  const std::size_t stride = shape.width + shape.pad;
  for (std::size_t i = 0; i < shape.height; ++i) {
    T* const row = out + (margin_rows + i) * stride + margin;
    cpu::kernels<T>().transpose(shape.width, channels, image + i * shape.width * channels, channels, row, length, false);
  }
}

}  // namespace

template <Real T, Backend B>
void relu_backward(Tile<B>&, View<const T, B> h, View<const T, B> upstream, T scale, View<T, B> out) {
  for (std::size_t r = 0; r < out.rows; ++r) {
    const T* const gate = h.row(r);
    const T* const in = upstream.row(r % upstream.rows);
    T* const to = out.row(r);
    for (std::size_t j = 0; j < out.cols; ++j) to[j] = gate[j] > 0 ? scale * in[j] : T(0);
  }
}

template <Real T, Backend B>
void neighbourhoods(Tile<B>&, const Neighbourhoods& shape, View<const T, B> images, std::size_t channels, std::size_t first,
                    View<T, B> out) {
  const std::size_t pad = shape.pad, pixels = shape.out_pixels(), across = shape.out_width();
  for (std::size_t k = 0; k < out.rows; ++k) {
    const std::size_t pixel = (first + k) % pixels;
    const T* const image = images.row((first + k) / pixels);
    const std::size_t i = pixel / across, j = pixel % across;
    // The part of each row of the neighbourhood that is inside the image: offsets [begin, end) of q.
    const std::size_t begin = pad - std::min(pad, j);
    const std::size_t end = std::min(shape.q, shape.width + pad - j);
    for (std::size_t a = 0; a < shape.q; ++a) {
      T* const to = out.row(k) + a * shape.q * channels;
      const bool inside = i + a >= pad && i + a - pad < shape.height;
      const std::size_t stop = inside ? begin : shape.q;
      std::fill_n(to, stop * channels, T(0));
      if (!inside) continue;
      std::copy_n(image + ((i + a - pad) * shape.width + j + begin - pad) * channels, (end - begin) * channels,
                  to + begin * channels);
      std::fill_n(to + end * channels, (shape.q - end) * channels, T(0));
    }
  }
}

template <Real T, Backend B>
void neighbourhood_products(Tile<B>& tile, const Neighbourhoods& shape, View<const T, B> delta, std::size_t delta_channels,
                            const std::uint32_t* output, View<const T, B> h, std::size_t h_channels,
                            const std::uint32_t* input, T scale, View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t pad = shape.pad;
  const std::size_t stride = shape.width + pad;
  const std::size_t delta_length = shape.height * stride;
  // Room for the neighbourhoods of all of these positions.
  const std::size_t h_length = (shape.height + 2 * pad) * stride + 2 * pad;
  T* const delta_spread = tile.template scratch<T>(1, delta_channels * delta_length).data;
  T* const h_spread = tile.template scratch<T>(1, h_channels * h_length).data;
  auto* const starts = static_cast<std::size_t*>(tile.allocate(2 * out.cols * sizeof(std::size_t)));
  for (std::size_t j = 0; j < out.cols; ++j) {
    const std::size_t position = input[j] / h_channels;
    starts[j] = output[j] * delta_length;
    starts[out.cols + j] = input[j] % h_channels * h_length + position / shape.q * stride + position % shape.q;
  }
  for (std::size_t r = 0; r < out.rows; ++r) {
    spread_channels(shape, 0, 0, delta_channels, delta.row(r), delta_length, delta_spread);
    spread_channels(shape, pad, pad, h_channels, h.row(r), h_length, h_spread);
    cpu::kernels<T>().dots(out.cols, delta_spread, starts, h_spread, starts + out.cols, delta_length, scale, out.row(r));
  }
}

template <Real T, Backend B>
void channel_sums(Tile<B>& tile, View<const T, B> images, std::size_t channels, const std::uint32_t* index, T scale,
                  View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  T* const sums = tile.template scratch<T>(1, channels).data;
  for (std::size_t r = 0; r < out.rows; ++r) {
    std::fill_n(sums, channels, T(0));
    for (const T* pixel = images.row(r); pixel < images.row(r) + images.cols; pixel += channels)
      for (std::size_t c = 0; c < channels; ++c) sums[c] += pixel[c];
    for (std::size_t j = 0; j < out.cols; ++j) out(r, j) = scale * sums[index[j]];
  }
}

#define FASTNTK_INSTANTIATE(T)                                                                                         \
  template void relu_backward(Tile<Cpu>&, View<const T, Cpu>, View<const T, Cpu>, T, View<T, Cpu>);                    \
  template void neighbourhoods(Tile<Cpu>&, const Neighbourhoods&, View<const T, Cpu>, std::size_t, std::size_t,        \
                               View<T, Cpu>);                                                                          \
  template void neighbourhood_products(Tile<Cpu>&, const Neighbourhoods&, View<const T, Cpu>, std::size_t,             \
                                       const std::uint32_t*, View<const T, Cpu>, std::size_t, const std::uint32_t*, T, \
                                       View<T, Cpu>);                                                                  \
  template void channel_sums(Tile<Cpu>&, View<const T, Cpu>, std::size_t, const std::uint32_t*, T, View<T, Cpu>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
