#include "count_sketch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "tiling.hpp"

namespace fastntk {

template <Real T, Backend B>
CountSketch<T, B>::State::State(const CountSketchParams& p, const B& backend) : params(p) {
  require_size(p.in_features, "CountSketch: in_features");
  require_size(p.out_features, "CountSketch: out_features");
  require_positive(p.nnz_per_column, "CountSketch: nnz_per_column");
  require(p.nnz_per_column <= p.out_features, [&] {
    return "CountSketch: nnz_per_column is " + std::to_string(p.nnz_per_column) +
           "; at most out_features = " + std::to_string(p.out_features) + " is possible";
  });
  const std::size_t s = p.nnz_per_column;
  constexpr std::size_t max_entries = std::numeric_limits<std::uint32_t>::max();
  require(s <= max_entries / p.in_features, [&] {
    return "CountSketch: nnz_per_column is " + std::to_string(s) + "; with in_features = " + std::to_string(p.in_features) +
           " at most " + std::to_string(max_entries / p.in_features) + " is possible";
  });
  matrix = draw(p, backend);
}

template <Real T, Backend B>
SketchMatrix<T, B> CountSketch<T, B>::State::draw(const CountSketchParams& p, const B& backend) {
  const rng::Draws buckets{p.seed, rng::Stream::bucket};
  const rng::Draws signs{p.seed, rng::Stream::bucket_sign};
  const std::size_t s = p.nnz_per_column;
  const std::size_t m = p.out_features;
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(s)));
  Buffer<std::uint32_t, B> bucket(backend, p.in_features * s);
  Buffer<T, B> weight(backend, p.in_features * s);
  std::uint32_t* const row = bucket.data();
  T* const entry = weight.data();
  Tile<B> tile(backend);
  for_each(tile, bucket.size(), [=] FASTNTK_FORMULA(std::size_t e) {
    const std::size_t begin = e % s * m / s;
    const std::size_t end = (e % s + 1) * m / s;
    row[e] = static_cast<std::uint32_t>(begin + buckets.integer(e, static_cast<std::uint32_t>(end - begin)));
    entry[e] = static_cast<T>(signs.sign(e)) * scale;
  });
  return {backend, m, s, std::move(bucket), std::move(weight)};
}

template <Real T, Backend B>
void CountSketch<T, B>::State::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  count_sketch<T, B>(tile, x, matrix, out);
}

template <Real T, Backend B>
void CountSketch<T, B>::State::apply(Tile<B>& tile, CsrView<T, B> x, View<T, B> out) const {
  count_sketch<T, B>(tile, x, matrix, out);
}

template <Real T, Backend B>
CountSketch<T, B>::CountSketch(const CountSketchParams& params, B backend)
    : backend_(backend), state_(std::make_shared<State>(params, backend)) {
  finish(backend);
}

template <Real T, Backend B>
CountSketch<T, B> CountSketch<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "CountSketch: on");
  CountSketch other = *this;
  other.backend_ = backend;
  return other;
}

template <Real T, Backend B>
const CountSketchParams& CountSketch<T, B>::params() const {
  return state_->params;
}

template <Real T, Backend B>
void CountSketch<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.in_features, "CountSketch: x");
  require_shape(out, x.rows, state_->params.out_features, "CountSketch: out");
  // Whole vectors of rows, so that each can be summed in a lane of its own.
  const std::size_t tile_rows = (rows_per_tile<T>(backend_, x.cols) + 15) / 16 * 16;
  for_tiles<B>(backend_, x.rows, tile_rows, [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template <Real T, Backend B>
void CountSketch<T, B>::operator()(CsrView<T, B> x, View<T, B> out) const {
  require_columns(x.cols, state_->params.in_features, "CountSketch: x");
  require_shape(out, x.rows, state_->params.out_features, "CountSketch: out");
  for_tiles<B>(backend_, x.rows, rows_per_tile<T>(backend_, out.cols), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class CountSketch<float, FASTNTK_BACKEND>;
template class CountSketch<double, FASTNTK_BACKEND>;

}  // namespace fastntk
