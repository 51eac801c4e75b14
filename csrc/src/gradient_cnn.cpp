// The gradient of a convolutional network.
#include <algorithm>
#include <cmath>

#include "gradient_features.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

std::size_t outputs(const GradientFeaturesParams& p) {
  return p.pooling == Pooling::gap ? p.width : p.image.height * p.image.width * p.width;
}

/// w with Theta(x, x) = (L+1)/pixels sum_ij w_ij |x_ij|^2, without pooling: each layer adds the mean over pixels of |x|^2
/// after L means over q x q neighbourhoods, and the mean over all pixels is such a mean's transpose applied to ones.
std::vector<double> pixel_weights(const Neighbourhoods& shape, std::size_t depth) {
  const auto half = static_cast<std::ptrdiff_t>(shape.pad);
  // Neighbourhoods are products of intervals, so that the weights are a product too.
  const auto along = [&](std::size_t size) {
    const auto end = static_cast<std::ptrdiff_t>(size);
    std::vector<double> w(size, 1.0);
    for (std::size_t layer = 0; layer < depth; ++layer) {
      const std::vector<double> before = w;
      for (std::ptrdiff_t i = 0; i < end; ++i) {
        double sum = 0;
        for (std::ptrdiff_t k = std::max<std::ptrdiff_t>(i - half, 0); k < std::min(i + half + 1, end); ++k)
          sum += before[static_cast<std::size_t>(k)];
        w[static_cast<std::size_t>(i)] = sum / static_cast<double>(shape.q);
      }
    }
    return w;
  };
  const std::vector<double> down = along(shape.height), across = along(shape.width);
  std::vector<double> weights;
  for (const double y : down)
    for (const double x : across) weights.push_back(y * x);
  return weights;
}

}  // namespace

template <Real T, Backend B>
CnnGradient<T, B>::CnnGradient(const GradientFeaturesParams& p, const B& backend)
    : shape_{p.image.height, p.image.width, p.filter_size, p.filter_size / 2},
      channels_(p.image.channels),
      depth_(p.depth),
      pooling_(p.pooling),
      net_(p, p.image.channels, p.filter_size * p.filter_size, outputs(p), backend) {
  if (pooling_ == Pooling::gap) return;
  std::vector<T> weight;
  for (const double w : pixel_weights(shape_, depth_))
    weight.push_back(static_cast<T>(w * static_cast<double>(depth_ + 1) / static_cast<double>(shape_.pixels())));
  pixel_weight_ = Buffer<T, B>(backend, weight);
}

template <Real T, Backend B>
std::size_t CnnGradient<T, B>::tile_rows(const B& backend) const {
  const std::size_t wide = std::max(channels_, net_.width);
  return rows_per_tile<T>(backend, shape_.pixels() * (channels_ + (depth_ + 2) * net_.width + shape_.q * shape_.q * wide));
}

template <Real T, Backend B>
void CnnGradient<T, B>::convolve(Tile<B>& tile, View<const T, B> images, std::size_t channels,
                                 const ProjectionMatrix<T, B>& w, const Activation<T>& f, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  // On the CPU as many neighbourhoods as stay in the cache; a device wants all at once.
  const std::size_t part = std::same_as<B, Cpu> ? std::min<std::size_t>(out.rows, 64) : out.rows;
  const View<T, B> unrolled = tile.template scratch<T>(part, shape_.q * shape_.q * channels);
  for (std::size_t first = 0; first < out.rows; first += part) {
    const std::size_t count = std::min(part, out.rows - first);
    const View<T, B> rows = unrolled.row_block(0, count);
    neighbourhoods<T, B>(tile, shape_, images, channels, first, rows);
    project_all<T, B>(tile, rows, w, f, out.row_block(first, count));
  }
}

template <Real T, Backend B>
void CnnGradient<T, B>::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t width = net_.width, pixels = shape_.pixels();
  const std::size_t positions = x.rows * pixels;
  const double q = static_cast<double>(shape_.q);
  const T layer_scale = static_cast<T>(std::sqrt(2 / static_cast<double>(width)) / q);
  const Activation<T> relu{Activation<T>::Kind::relu, layer_scale};
  // Channels of a pixel, and pixels of an image, lie one after another.
  const auto take = [&] { return View<T, B>(tile.template scratch<T>(1, positions * width).data, positions, width); };
  const auto as_images = [&](View<const T, B> v) { return View<const T, B>(v.data, x.rows, pixels * width); };

  std::vector<View<const T, B>> h;
  for (std::size_t l = 0; l < depth_; ++l) {
    const View<T, B> next = take();
    convolve(tile, l == 0 ? x : as_images(h.back()), l == 0 ? channels_ : width, net_.layers[l].forward, relu, next);
    h.push_back(next);
  }

  const double n = static_cast<double>(pixels);
  const double last_scale = pooling_ == Pooling::gap ? 1 / n : 1 / std::sqrt(n);
  const LayerColumns<B>& last = net_.last_columns;
  const T column_scale = static_cast<T>(last.share.scale * last_scale);
  if (last.share.count > 0) {
    if (pooling_ == Pooling::gap)
      channel_sums<T, B>(tile, as_images(h.back()), width, last.output.data(), column_scale, last.of(out));
    else
      gather<T, B>(tile, as_images(h.back()), last.output.data(), column_scale, last.of(out));
  }

  const View<T, B> delta = take();
  const View<T, B> passed = take();
  View<const T, B> upstream(net_.last.data(), pooling_ == Pooling::gap ? 1 : pixels, width);
  double scale = last_scale;
  for (std::size_t l = depth_; l-- > 0;) {
    const GradientLayer<T, B>& layer = net_.layers[l];
    relu_backward<T, B>(tile, h[l], upstream, static_cast<T>(static_cast<double>(layer_scale) * scale), delta);
    const LayerColumns<B>& columns = layer.columns;
    if (columns.share.count > 0)
      neighbourhood_products<T, B>(tile, shape_, as_images(delta), width, columns.output.data(),
                                   l == 0 ? x : as_images(h[l - 1]), l == 0 ? channels_ : width, columns.input.data(),
                                   static_cast<T>(columns.share.scale), columns.of(out));
    if (l == 0) break;
    convolve(tile, as_images(delta), width, layer.backward, {}, passed);
    upstream = passed;
    scale = 1;
  }
}

template <Real T, Backend B>
void CnnGradient<T, B>::diagonal(Tile<B>& tile, View<const T, B> x, T* square) const {
  const std::size_t pixels = shape_.pixels(), channels = channels_;
  const T* const weight = pixel_weight_.data();
  for_each(tile, x.rows, [=] FASTNTK_FORMULA(std::size_t r) {
    const T* const image = x.row(r);
    T total = 0;
    for (std::size_t p = 0; p < pixels; ++p) {
      T sum = 0;
      for (std::size_t c = 0; c < channels; ++c) sum += image[p * channels + c] * image[p * channels + c];
      total += weight[p] * sum;
    }
    square[r] = total;
  });
}

template class CnnGradient<float, FASTNTK_BACKEND>;
template class CnnGradient<double, FASTNTK_BACKEND>;

}  // namespace fastntk
