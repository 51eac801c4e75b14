#include "gradient_features.hpp"

#include <cmath>

#include "tiling.hpp"

namespace fastntk {

template <Real T, Backend B>
GradientFeatures<T, B>::State::State(const GradientFeaturesParams& p, const B& backend)
    : params(resolved_gradient_features(p)) {
  require_finite<T>(params.bias, "GradientFeatures: bias");
  if (params.architecture == Architecture::mlp) {
    mlp.emplace(params, params.in_features + (params.bias != 0), backend);
  } else {
    cnn.emplace(params, backend);
  }
}

template <Real T, Backend B>
void GradientFeatures<T, B>::State::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> unit = tile.template scratch<T>(x.rows, params.in_features + (params.bias != 0));
  T* const norm = tile.template scratch<T>(1, x.rows).data;
  unit_rows<T, B>(tile, x, static_cast<T>(params.bias), unit, norm);
  if (mlp) {
    mlp->apply(tile, unit, out);
  } else {
    cnn->apply(tile, unit, out);
  }
  if (params.diagonal == Diagonal::sampled) return scale_rows<T, B>(tile, norm, out, out);

  T* const square = tile.template scratch<T>(1, x.rows).data;
  T* const exact = tile.template scratch<T>(1, x.rows).data;
  row_squares<T, B>(tile, out, square);
  if (cnn) {
    cnn->diagonal(tile, unit, exact);
  } else {
    const T diagonal = static_cast<T>(params.depth + 1);
    for_each(tile, x.rows, [=] FASTNTK_FORMULA(std::size_t r) { exact[r] = diagonal; });
  }
  for_each(tile, x.rows, [=] FASTNTK_FORMULA(std::size_t r) {
    square[r] = square[r] > 0 ? norm[r] * std::sqrt(exact[r] / square[r]) : T(0);
  });
  scale_rows<T, B>(tile, square, out, out);
}

template <Real T, Backend B>
GradientFeatures<T, B>::GradientFeatures(const GradientFeaturesParams& params, B backend)
    : backend_(backend), state_(std::make_shared<State>(params, backend)) {
  finish(backend);
}

template <Real T, Backend B>
GradientFeatures<T, B> GradientFeatures<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "GradientFeatures: on");
  GradientFeatures other = *this;
  other.backend_ = backend;
  return other;
}

template <Real T, Backend B>
const GradientFeaturesParams& GradientFeatures<T, B>::params() const {
  return state_->params;
}

template <Real T, Backend B>
void GradientFeatures<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.in_features, "GradientFeatures: x");
  require_shape(out, x.rows, state_->params.out_features, "GradientFeatures: out");
  for_tiles<B>(backend_, x.rows, state_->tile_rows(backend_), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class GradientFeatures<float, FASTNTK_BACKEND>;
template class GradientFeatures<double, FASTNTK_BACKEND>;

}  // namespace fastntk
