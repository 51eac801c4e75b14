// What gradients of networks need besides the other primitives: a thread computes an entry.
#include "../src/gradient_primitives.hpp"

#include "for_each.cuh"

namespace fastntk {

template <Real T, Backend B>
void relu_backward(Tile<B>& tile, View<const T, B> h, View<const T, B> upstream, T scale, View<T, B> out) {
  for_each(tile, out.rows * out.cols, [=] FASTNTK_FORMULA(std::size_t index) {
    const std::size_t r = index / out.cols, j = index % out.cols;
    out(r, j) = h(r, j) > 0 ? scale * upstream(r % upstream.rows, j) : T(0);
  });
}

template <Real T, Backend B>
void neighbourhoods(Tile<B>& tile, const Neighbourhoods& shape, View<const T, B> images, std::size_t channels,
                    std::size_t first, View<T, B> out) {
  const Neighbourhoods s = shape;
  const std::size_t pixels = s.out_pixels(), across = s.out_width();
  for_each(tile, out.rows * out.cols, [=] FASTNTK_FORMULA(std::size_t index) {
    const std::size_t k = index / out.cols, entry = index % out.cols;
    const std::size_t pixel = (first + k) % pixels;
    const std::size_t position = entry / channels, c = entry % channels;
    // Counted from `pad` pixels above and to the left of the image.
    const std::size_t i = pixel / across + position / s.q;
    const std::size_t j = pixel % across + position % s.q;
    const bool inside = i >= s.pad && i < s.height + s.pad && j >= s.pad && j < s.width + s.pad;
    out(k, entry) = inside ? images((first + k) / pixels, ((i - s.pad) * s.width + j - s.pad) * channels + c) : T(0);
  });
}

template <Real T, Backend B>
void neighbourhood_products(Tile<B>& tile, const Neighbourhoods& shape, View<const T, B> delta, std::size_t delta_channels,
                            const std::uint32_t* output, View<const T, B> h, std::size_t h_channels,
                            const std::uint32_t* input, T scale, View<T, B> out) {
  const Neighbourhoods s = shape;
  // Threads side by side have entries of the same row of weights, mostly: they read the same delta.
  for_each(tile, out.rows * out.cols, [=] FASTNTK_FORMULA(std::size_t index) {
    const std::size_t r = index / out.cols, column = index % out.cols;
    const std::size_t position = input[column] / h_channels;
    const std::size_t a = position / s.q, b = position % s.q;
    const T* const u = delta.row(r) + output[column];
    const T* const v = h.row(r) + input[column] % h_channels;
    // The pixels whose neighbour at this position is inside the image.
    const std::size_t i_end = s.height + s.pad - a < s.height ? s.height + s.pad - a : s.height;
    const std::size_t j_end = s.width + s.pad - b < s.width ? s.width + s.pad - b : s.width;
    T sum = 0;
    for (std::size_t i = a < s.pad ? s.pad - a : 0; i < i_end; ++i)
      for (std::size_t j = b < s.pad ? s.pad - b : 0; j < j_end; ++j)
        sum += u[(i * s.width + j) * delta_channels] * v[((i + a - s.pad) * s.width + j + b - s.pad) * h_channels];
    out(r, column) = scale * sum;
  });
}

template <Real T, Backend B>
void channel_sums(Tile<B>& tile, View<const T, B> images, std::size_t channels, const std::uint32_t* index, T scale,
                  View<T, B> out) {
  for_each(tile, out.rows * out.cols, [=] FASTNTK_FORMULA(std::size_t place) {
    const std::size_t r = place / out.cols, j = place % out.cols;
    T sum = 0;
    for (std::size_t p = index[j]; p < images.cols; p += channels) sum += images(r, p);
    out(r, j) = scale * sum;
  });
}

#define FASTNTK_INSTANTIATE(T)                                                                                          \
  template void relu_backward(Tile<Cuda>&, View<const T, Cuda>, View<const T, Cuda>, T, View<T, Cuda>);                 \
  template void neighbourhoods(Tile<Cuda>&, const Neighbourhoods&, View<const T, Cuda>, std::size_t, std::size_t,       \
                               View<T, Cuda>);                                                                          \
  template void neighbourhood_products(Tile<Cuda>&, const Neighbourhoods&, View<const T, Cuda>, std::size_t,            \
                                       const std::uint32_t*, View<const T, Cuda>, std::size_t, const std::uint32_t*, T, \
                                       View<T, Cuda>);                                                                  \
  template void channel_sums(Tile<Cuda>&, View<const T, Cuda>, std::size_t, const std::uint32_t*, T, View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
