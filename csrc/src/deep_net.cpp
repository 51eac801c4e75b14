#include "deep_net.hpp"

#include <fastntk/rng.hpp>

#include <algorithm>
#include <cmath>

#include "change_stream.hpp"
#include "net_loss.hpp"
#include "primitives.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

/// w = standard normals with the indices that ProjectionMatrix gives its columns.
template <Real T, Backend B>
void draw_weights(const B& backend, std::uint64_t seed, View<T, B> w) {
  const rng::Draws draws{seed, rng::Stream::normal};
  const std::size_t pairs = (w.cols + 1) / 2;
  for_tiles<B>(backend, w.rows, rows_per_tile<T>(backend, w.cols), [&](Tile<B>& tile, RowRange r) {
    const std::size_t first = r.begin;
    for_each(tile, r.count * pairs, [=] FASTNTK_FORMULA(std::size_t index) {
      const std::size_t row = first + index / pairs, j = 2 * (index % pairs);
      const auto pair = rng::Draws::normal_pair(draws.bits(row * pairs + j / 2));
      w(row, j) = static_cast<T>(pair[0]);
      if (j + 1 < w.cols) w(row, j + 1) = static_cast<T>(pair[1]);
    });
  });
}

}  // namespace

template <Real T, Backend B>
DeepNet<T, B>::State::State(const DeepNetParams& params, const B& b)
    : backend(b),
      layers(params),
      weights(backend, layers.parameters()),
      start(backend, layers.parameters()),
      previous(backend, layers.parameters()) {
  for (std::size_t c = 0; c < layers.copies(); ++c)
    for (std::size_t l = 0; l <= layers.depth(); ++l)
      draw_weights<T, B>(backend, rng::child_seed(params.seed, l), layers.template weights<B>(start.data(), c, l));
  Tile<B> tile(backend);
  copy<T, B>(tile, View<const T, B>(start.data(), 1, start.size()), View<T, B>(weights.data(), 1, weights.size()));
}

template <Real T, Backend B>
DeepNet<T, B>::DeepNet(const DeepNetParams& params, const B& backend) : state_(std::make_unique<State>(params, backend)) {
  finish(backend);
}
template <Real T, Backend B>
DeepNet<T, B>::~DeepNet() = default;
template <Real T, Backend B>
DeepNet<T, B>::DeepNet(DeepNet&&) noexcept = default;
template <Real T, Backend B>
DeepNet<T, B>& DeepNet<T, B>::operator=(DeepNet&&) noexcept = default;

template <Real T, Backend B>
void DeepNet<T, B>::run_on(const B& backend) {
  change_stream(state_->backend, backend, "DeepNet");
}

template <Real T, Backend B>
std::size_t DeepNet<T, B>::parameters() const {
  return state_->layers.parameters();
}

template <Real T, Backend B>
void DeepNet<T, B>::get_weights(View<T, B> out) const {
  const State& s = *state_;
  require_shape(out, 1, parameters(), "DeepNet: out");
  Tile<B> tile(s.backend);
  copy<T, B>(tile, View<const T, B>(s.weights.data(), 1, parameters()), out);
}

template <Real T, Backend B>
void DeepNet<T, B>::set_weights(View<const T, B> weights) {
  State& s = *state_;
  require_shape(weights, 1, parameters(), "DeepNet: weights");
  Tile<B> tile(s.backend);
  copy<T, B>(tile, weights, View<T, B>(s.weights.data(), 1, parameters()));
  s.has_previous = false;
}

template <Real T, Backend B>
double DeepNet<T, B>::drift() const {
  const State& s = *state_;
  double largest = 0;
  for (std::size_t c = 0; c < s.layers.copies(); ++c)
    for (std::size_t l = 0; l <= s.layers.depth(); ++l) {
      const View<const T, B> now = s.layers.template weights<B>(s.weights.data(), c, l);
      const View<const T, B> before = s.layers.template weights<B>(s.start.data(), c, l);
      Buffer<T, B> squares(s.backend, now.rows);
      for_tiles<B>(s.backend, now.rows, rows_per_tile<T>(s.backend, now.cols), [&](Tile<B>& tile, RowRange r) {
        distance_squares<T, B>(tile, now.row_block(r.begin, r.count), before.row_block(r.begin, r.count),
                               squares.data() + r.begin);
      });
      for (const T square : squares.to_host()) largest = std::max(largest, static_cast<double>(square));
    }
  return std::sqrt(largest);
}

template class DeepNet<float, FASTNTK_BACKEND>;
template class DeepNet<double, FASTNTK_BACKEND>;

}  // namespace fastntk
