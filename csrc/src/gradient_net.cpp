// A random network's weights, and the gradient of a fully connected one.
#include <cmath>

#include "gradient_features.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

/// The rows of W: normals with the indices that ProjectionMatrix gives its columns.
template <Real T>
std::vector<T> draw_weights(std::uint64_t seed, std::size_t outputs, std::size_t inputs) {
  const rng::Draws draws{seed, rng::Stream::normal};
  const std::size_t pairs = (inputs + 1) / 2;
  std::vector<T> w(outputs * inputs);
  for_host_blocks(outputs, 16, [&](std::size_t begin, std::size_t end) {
    for (std::size_t o = begin; o < end; ++o)
      for (std::size_t k = 0; k < pairs; ++k) {
        const auto pair = rng::Draws::normal_pair(draws.bits(o * pairs + k));
        w[o * inputs + 2 * k] = static_cast<T>(pair[0]);
        if (2 * k + 1 < inputs) w[o * inputs + 2 * k + 1] = static_cast<T>(pair[1]);
      }
  });
  return w;
}

/// W^T with the neighbourhoods turned round, a row for each channel of h: the pixel at offset u passes its delta on to
/// offset -u, which is the last position but that of u.
template <Real T>
std::vector<T> turned(const std::vector<T>& w, std::size_t outputs, std::size_t positions, std::size_t channels) {
  std::vector<T> out(w.size());
  for (std::size_t o = 0; o < outputs; ++o)
    for (std::size_t p = 0; p < positions; ++p)
      for (std::size_t c = 0; c < channels; ++c)
        out[(c * positions + positions - 1 - p) * outputs + o] = w[(o * positions + p) * channels + c];
  return out;
}

/// out = W x for a matrix W given by its rows.
template <Real T, Backend B>
ProjectionMatrix<T, B> projection(const B& backend, const std::vector<T>& rows, std::size_t count) {
  const Buffer<T, B> memory(backend, rows);
  return ProjectionMatrix<T, B>(backend, View<const T, B>(memory.data(), count, rows.size() / count));
}

template <Real T>
std::vector<T> random_signs(std::uint64_t seed, std::size_t count) {
  const rng::Draws draws{seed, rng::Stream::sign};
  std::vector<T> signs(count);
  for (std::size_t i = 0; i < count; ++i) signs[i] = static_cast<T>(draws.sign(i));
  return signs;
}

std::vector<LayerShare> shares_of(const GradientFeaturesParams& p, std::size_t in_channels, std::size_t positions,
                                  std::size_t outputs) {
  std::vector<std::size_t> parameters{positions * in_channels * p.width};
  for (std::size_t layer = 1; layer < p.depth; ++layer) parameters.push_back(positions * p.width * p.width);
  parameters.push_back(outputs);
  return share_columns(p.out_features, parameters, rng::child_seed(p.seed, 0));
}

/// Seeds the weights of a layer, counted from 0; its entries have a child of it.
std::uint64_t layer_seed(const GradientFeaturesParams& p, std::size_t layer) { return rng::child_seed(p.seed, 1 + layer); }

}  // namespace

template <Real T, Backend B>
GradientNet<T, B>::GradientNet(const GradientFeaturesParams& p, std::size_t in_channels, std::size_t positions,
                               std::size_t outputs, const B& backend)
    : width(p.width), last(backend, random_signs<T>(layer_seed(p, p.depth), outputs)) {
  const std::vector<LayerShare> shares = shares_of(p, in_channels, positions, outputs);
  const auto columns = [&](std::size_t layer, std::size_t rows, std::size_t cols) {
    return LayerColumns<B>(backend, shares[layer],
                           draw_entries(rows, cols, shares[layer].count, rng::child_seed(layer_seed(p, layer), 1)));
  };
  for (std::size_t layer = 0; layer < p.depth; ++layer) {
    const std::size_t inputs = positions * (layer == 0 ? in_channels : width);
    const std::vector<T> w = draw_weights<T>(layer_seed(p, layer), width, inputs);
    layers.push_back({projection<T, B>(backend, w, width), {}, columns(layer, width, inputs)});
    if (layer > 0) layers.back().backward = projection<T, B>(backend, turned(w, width, positions, width), width);
  }
  last_columns = columns(p.depth, outputs, 1);
}

template <Real T, Backend B>
MlpGradient<T, B>::MlpGradient(const GradientFeaturesParams& p, std::size_t d, const B& backend)
    : net_(p, d, 1, p.width, backend), d_(d) {}

template <Real T, Backend B>
std::size_t MlpGradient<T, B>::tile_rows(const B& backend) const {
  // A large matrix comes from far away once a tile, so that a tile has to have many rows; on a device it always has.
  constexpr std::size_t large = 128;
  if (std::same_as<B, Cpu> && d_ * net_.width >= large * large) return large;
  return rows_per_tile<T>(backend, d_ + (net_.layers.size() + 2) * net_.width);
}

template <Real T, Backend B>
void MlpGradient<T, B>::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t width = net_.width;
  const T layer_scale = static_cast<T>(std::sqrt(2 / static_cast<double>(width)));
  const Activation<T> relu{Activation<T>::Kind::relu, layer_scale};
  std::vector<View<const T, B>> h{x};
  for (const GradientLayer<T, B>& layer : net_.layers) {
    const View<T, B> next = tile.template scratch<T>(x.rows, width);
    project_all<T, B>(tile, h.back(), layer.forward, relu, next);
    h.push_back(next);
  }
  const LayerColumns<B>& last = net_.last_columns;
  if (last.share.count > 0) gather<T, B>(tile, h.back(), last.output.data(), static_cast<T>(last.share.scale), last.of(out));

  const View<T, B> delta = tile.template scratch<T>(x.rows, width);
  const View<T, B> passed = tile.template scratch<T>(x.rows, width);
  View<const T, B> upstream(net_.last.data(), 1, width);
  for (std::size_t l = net_.layers.size(); l-- > 0;) {
    const GradientLayer<T, B>& layer = net_.layers[l];
    relu_backward<T, B>(tile, h[l + 1], upstream, layer_scale, delta);
    const LayerColumns<B>& columns = layer.columns;
    if (columns.share.count > 0)
      gather_product<T, B>(tile, delta, columns.output.data(), h[l], columns.input.data(),
                           static_cast<T>(columns.share.scale), columns.of(out));
    if (l == 0) break;
    project_all<T, B>(tile, delta, layer.backward, {}, passed);
    upstream = passed;
  }
}

template struct GradientNet<float, FASTNTK_BACKEND>;
template struct GradientNet<double, FASTNTK_BACKEND>;
template class MlpGradient<float, FASTNTK_BACKEND>;
template class MlpGradient<double, FASTNTK_BACKEND>;

}  // namespace fastntk
