#include "layered_features.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tiling.hpp"

namespace fastntk {
namespace {

template <Real T, Backend B>
void square_roots(Tile<B>& tile, const T* in, std::size_t count, T* out) {
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t i) { out[i] = std::sqrt(in[i]); });
}

// z[r][j] *= factor[j].
template <Real T, Backend B>
void multiply_columns(Tile<B>& tile, const T* factor, View<T, B> z) {
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> in = tile.template scratch<T>(z.rows, z.cols);
  copy<T, B>(tile, z, in);
  multiply<T, B>(tile, in, View<const T, B>(factor, z.rows, z.cols, 0), T(1), false, z);
}

}  // namespace

template <Real T, Backend B>
LayeredFeatures<T, B>::LayeredFeatures(const NtkRandomFeaturesParams& p, std::size_t d, const B& backend)
    : out_features_(p.out_features), exact_diagonal_(p.diagonal == Diagonal::exact), diagonal_(static_cast<T>(p.depth + 1)) {
  // A step sees only the sign of a product, whatever the law of the direction's length.
  const Directions step = p.directions == Directions::gibbs ? Directions::gaussian : p.directions;
  std::size_t phi = d;
  std::size_t psi = d;
  for (std::size_t layer = 1; layer <= p.depth; ++layer) {
    const LayerSizes m = layer_sizes(p, layer);
    const std::uint64_t seed = rng::child_seed(p.seed, layer);
    add_layer({m,
               DirectionSet<T, B>(backend, step, phi, m.m_0, rng::child_seed(seed, 1)),
               DirectionSet<T, B>(backend, p.directions, phi, m.m_1, rng::child_seed(seed, 2), p.sweeps),
               {},
               typename TensorSrht<T, B>::State({m.m_0, psi, m.m_s, rng::child_seed(seed, 3)}, backend)});
    phi = m.m_1;
    psi = p.out_features;
  }
}

// A ReLU takes the root of the weight with its direction's length, a step does not see it.
template <Real T, Backend B>
LayeredFeatures<T, B>::LayeredFeatures(const NtkRandomFeaturesParams& p, const GivenDirections<T, B>& given,
                                       const B& backend)
    : out_features_(p.out_features), exact_diagonal_(p.diagonal == Diagonal::exact), diagonal_(static_cast<T>(p.depth + 1)) {
  const LayerSizes m = layer_sizes(p, 1);
  const std::size_t d = given.directions.cols;
  Array<T, B> relu(backend, m.m_1, d);
  Buffer<T, B> step_factor(backend, m.m_0);
  Tile<B> tile(backend);
  T* const relu_factor = tile.template scratch<T>(1, m.m_1).data;
  square_roots<T, B>(tile, given.weights.data, m.m_1, relu_factor);
  square_roots<T, B>(tile, given.weights.data + m.m_1, m.m_0, step_factor.data());
  scale_rows<T, B>(tile, relu_factor, given.directions.row_block(0, m.m_1), relu.view());
  add_layer({m, DirectionSet<T, B>(backend, given.directions.row_block(m.m_1, m.m_0)),
             DirectionSet<T, B>(backend, std::as_const(relu).view()), std::move(step_factor),
             typename TensorSrht<T, B>::State({m.m_0, d, m.m_s, rng::child_seed(rng::child_seed(p.seed, 1), 3)}, backend)});
}

template <Real T, Backend B>
void LayeredFeatures<T, B>::add_layer(Layer layer) {
  most_step_ = std::max(most_step_, layer.sizes.m_0);
  most_relu_ = std::max(most_relu_, layer.sizes.m_1);
  layers_.push_back(std::move(layer));
}

template <Real T, Backend B>
std::size_t LayeredFeatures<T, B>::tile_rows(const B& backend) const {
  return layers_.back().relu.tile_rows(backend, 2 * (padded(out_features_) + padded(most_step_)));
}

template <Real T, Backend B>
void LayeredFeatures<T, B>::apply(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t rows = out.rows;
  using Kind = typename Activation<T>::Kind;
  const auto features_of = [&](View<const T, B> x, const DirectionSet<T, B>& directions, Kind kind, View<T, B> z) {
    const Activation<T> f{kind, static_cast<T>(std::sqrt(2 / static_cast<double>(z.cols)))};
    for (std::size_t first = 0; first < z.cols; first += directions.panel())
      directions.apply(tile, x, first, f, z.col_block(first, std::min(directions.panel(), z.cols - first)));
  };
  const View<T, B> step_space = tile.template scratch<T>(rows, most_step_);
  const View<T, B> psi = tile.template scratch<T>(rows, out_features_);
  const View<T, B> relu_space = tile.template scratch<T>(rows, most_relu_);

  View<const T, B> previous_phi = unit;
  View<const T, B> previous_psi = unit;
  for (const Layer& layer : layers_) {
    const LayerSizes& m = layer.sizes;
    const View<T, B> step_features = step_space.col_block(0, m.m_0);
    const View<T, B> relu_features = relu_space.col_block(0, m.m_1);
    features_of(previous_phi, layer.step, Kind::step, step_features);
    if (layer.step_factor.size() > 0) multiply_columns<T, B>(tile, layer.step_factor.data(), step_features);
    features_of(previous_phi, layer.relu, Kind::relu, relu_features);
    // The last layer's output stays where the product's transforms have read its input from: they copy it first.
    layer.product.apply(tile, step_features, previous_psi, psi.col_block(m.m_1, m.m_s));
    copy<T, B>(tile, relu_features, psi.col_block(0, m.m_1));
    previous_phi = psi.col_block(0, m.m_1);
    previous_psi = psi;
  }

  T* const factor = tile.template scratch<T>(1, rows).data;
  if (exact_diagonal_) {
    row_squares<T, B>(tile, psi, factor);
    const T target = diagonal_;
    for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) {
      factor[r] = factor[r] > 0 ? norm[r] * std::sqrt(target / factor[r]) : T(0);
    });
  } else {
    for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { factor[r] = norm[r]; });
  }
  scale_rows<T, B>(tile, factor, psi, out);
}

template class LayeredFeatures<float, FASTNTK_BACKEND>;
template class LayeredFeatures<double, FASTNTK_BACKEND>;

}  // namespace fastntk
