#include "tensor_srht.hpp"

#include <cmath>

#include "tiling.hpp"

namespace fastntk {

namespace {

const TensorSrhtParams& checked(const TensorSrhtParams& p) {
  require_size(p.in_features_1, "TensorSrht: in_features_1");
  require_size(p.in_features_2, "TensorSrht: in_features_2");
  require_size(p.out_features, "TensorSrht: out_features");
  return p;
}

}  // namespace

template <Real T, Backend B>
TensorSrht<T, B>::State::State(const TensorSrhtParams& p, const B& backend)
    : params(checked(p)), length_1(padded(p.in_features_1)), length_2(padded(p.in_features_2)) {
  const auto seed = [&](std::uint64_t factor) { return rng::child_seed(p.seed, factor); };
  signs_1 = draw_signs(backend, seed(1), length_1);
  signs_2 = draw_signs(backend, seed(2), length_2);
  sample_1 = draw_sample(backend, seed(1), p.out_features, length_1);
  sample_2 = draw_sample(backend, seed(2), p.out_features, length_2);
}

template <Real T, Backend B>
T TensorSrht<T, B>::State::scale() const {
  return static_cast<T>(1 / std::sqrt(static_cast<double>(params.out_features)));
}

template <Real T, Backend B>
void TensorSrht<T, B>::State::transform_first(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  hadamard<T, B>(tile, x, signs_1.data(), T(1), out);
}

template <Real T, Backend B>
void TensorSrht<T, B>::State::transform_second(Tile<B>& tile, View<const T, B> y, View<T, B> out) const {
  hadamard<T, B>(tile, y, signs_2.data(), T(1), out);
}

template <Real T, Backend B>
void TensorSrht<T, B>::State::combine(Tile<B>& tile, View<const T, B> first, View<const T, B> second, View<T, B> out) const {
  gather_product<T, B>(tile, first, sample_1.data(), second, sample_2.data(), scale(), out);
}

template <Real T, Backend B>
void TensorSrht<T, B>::State::transform_and_combine(Tile<B>& tile, View<const T, B> first, View<const T, B> y,
                                                    View<T, B> out) const {
  hadamard_gather_product<T, B>(tile, first, sample_1.data(), y, signs_2.data(), length_2, sample_2.data(), scale(), out);
}

template <Real T, Backend B>
void TensorSrht<T, B>::State::apply(Tile<B>& tile, View<const T, B> x, View<const T, B> y, View<T, B> out) const {
  tensor_srht<T, B>(tile, {x, signs_1.data(), length_1, sample_1.data()}, {y, signs_2.data(), length_2, sample_2.data()},
                    scale(), out);
}

template <Real T, Backend B>
TensorSrht<T, B>::TensorSrht(const TensorSrhtParams& params, B backend)
    : backend_(backend), state_(std::make_shared<State>(params, backend)) {
  finish(backend);
}

template <Real T, Backend B>
TensorSrht<T, B> TensorSrht<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "TensorSrht: on");
  TensorSrht other = *this;
  other.backend_ = backend;
  return other;
}

template <Real T, Backend B>
const TensorSrhtParams& TensorSrht<T, B>::params() const {
  return state_->params;
}

template <Real T, Backend B>
void TensorSrht<T, B>::operator()(View<const T, B> x, View<const T, B> y, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.in_features_1, "TensorSrht: x");
  require_shape(y, x.rows, state_->params.in_features_2, "TensorSrht: y");
  require_shape(out, x.rows, state_->params.out_features, "TensorSrht: out");
  const std::size_t tile_rows = rows_per_sample_tile<T>(backend_, state_->length_1, state_->length_2);
  for_tiles<B>(backend_, x.rows, tile_rows, [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), y.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class TensorSrht<float, FASTNTK_BACKEND>;
template class TensorSrht<double, FASTNTK_BACKEND>;

}  // namespace fastntk
