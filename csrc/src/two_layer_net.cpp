#include "two_layer_net.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "change_stream.hpp"
#include "net_training.hpp"
#include "primitives.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

/// Units whose weights are a thread's work at a time where no rows take part.
constexpr std::size_t units_at_once = 256;

/// Rows that predict() takes at a time: what it keeps of them grows with their number.
constexpr std::size_t rows_at_once = 8192;

/// The training of a network: what take_steps() asks for.
template <Real T, Backend B, class State>
class Trainer {
 public:
  Trainer(Tile<B>& workspace, const NetTraining& training, State& state, std::size_t most_rows)
      : training_(training), state_(state), pass_(workspace, state.out(), state.d, most_rows) {}

  double loss(const NetBatch<T, B>& batch) {
    scale_ = batch.scale;
    return pass_.loss(batch, training_.kappa, training_.alpha, state_.weights(), target());
  }
  void step() {
    const StepFactors<T> f(training_, scale_);
    state_.has_previous = false;
    pass_.add_gradient(f.factor, f.keep, f.pull, state_.weights(), target(), state_.of(state_.previous));
    std::swap(state_.weights_memory, state_.previous);
    state_.has_previous = true;
  }
  void step_back() {
    if (!std::exchange(state_.has_previous, false)) return;
    std::swap(state_.weights_memory, state_.previous);
  }

 private:
  View<const T, B> target() const { return training_.decay_to_start ? std::as_const(state_).start() : View<const T, B>(); }

  NetTraining training_;
  State& state_;
  TwoLayerPass<T, B> pass_;
  double scale_ = 1;
};

/// weight[r] = |out_r|/sqrt(k).
template <Real T, Backend B>
void kernel_weights(Tile<B>& tile, View<const T, B> out, T* weight) {
  row_squares<T, B>(tile, out, weight);
  const auto k = static_cast<T>(out.cols);
  for_each(tile, out.rows, [=] FASTNTK_FORMULA(std::size_t r) { weight[r] = std::sqrt(weight[r] / k); });
}

/// out = X Z^T o A diag(weight^2) B^T, A and B the patterns of rows of x and z.
template <Real T, Backend B>
void kernel_tile(Tile<B>& tile, View<const T, B> x, View<const T, B> z, View<const std::uint32_t, B> of_x,
                 View<const std::uint32_t, B> of_z, View<const T, B> weight, View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t at_once = std::same_as<B, Cpu> ? 512 : 4096;
  const View<T, B> products = tile.template scratch<T>(out.rows, out.cols);
  const View<T, B> common = tile.template scratch<T>(out.rows, out.cols);
  const View<T, B> a = tile.template scratch<T>(x.rows, std::min(at_once, weight.cols));
  const View<T, B> b = tile.template scratch<T>(z.rows, std::min(at_once, weight.cols));
  for_ranges(weight.cols, at_once, [&](RowRange units) {
    const auto weighted = [&](View<const std::uint32_t, B> mask, View<T, B> into) {
      const View<T, B> pattern = into.col_block(0, units.count);
      copy<T, B>(tile, View<const T, B>(weight.data + units.begin, pattern.rows, units.count, 0), pattern);
      mask_rows<T, B>(tile, mask.col_block(units.begin / 32, mask_words(units.count)), 1, pattern);
      return pattern;
    };
    gemm<T, B>(tile, Transposed::no, Transposed::yes, 1, weighted(of_x, a), weighted(of_z, b), units.begin > 0, common);
  });
  gemm<T, B>(tile, Transposed::no, Transposed::yes, 1, x, z, 0, products);
  multiply<T, B>(tile, products, common, 1, false, out);
}

}  // namespace

template <Real T, Backend B>
TwoLayerNet<T, B>::State::State(View<const T, B> start_weights, View<const T, B> out_weights, const B& b)
    : backend(b), m(start_weights.rows), d(start_weights.cols), k(out_weights.cols) {
  require_size(m, "TwoLayerNet: the number of rows of start, the width,");
  require_size(d, "TwoLayerNet: the number of columns of start");
  require_size(k, "TwoLayerNet: the number of columns of out_weights");
  require_shape(out_weights, m, k, "TwoLayerNet: out_weights");
  out_memory = Buffer<T, B>(backend, m * k);
  for (Buffer<T, B>* const weights : {&start_memory, &weights_memory, &previous}) *weights = Buffer<T, B>(backend, m * d);
  Tile<B> tile(backend);
  copy<T, B>(tile, start_weights, of(start_memory));
  copy<T, B>(tile, start_weights, of(weights_memory));
  copy<T, B>(tile, out_weights, View<T, B>(out_memory.data(), m, k));
}

template <Real T, Backend B>
TwoLayerNet<T, B>::TwoLayerNet(View<const T, B> start, View<const T, B> out_weights, const B& backend)
    : state_(std::make_unique<State>(start, out_weights, backend)) {
  finish(backend);
}
template <Real T, Backend B>
TwoLayerNet<T, B>::~TwoLayerNet() = default;
template <Real T, Backend B>
TwoLayerNet<T, B>::TwoLayerNet(TwoLayerNet&&) noexcept = default;
template <Real T, Backend B>
TwoLayerNet<T, B>& TwoLayerNet<T, B>::operator=(TwoLayerNet&&) noexcept = default;

template <Real T, Backend B>
void TwoLayerNet<T, B>::run_on(const B& backend) {
  change_stream(state_->backend, backend, "TwoLayerNet");
}

template <Real T, Backend B>
NetProgress TwoLayerNet<T, B>::train(const NetTraining& training, std::size_t first, std::size_t steps, View<const T, B> x,
                                     View<const T, B> y) {
  State& s = *state_;
  require_shape(x, x.rows, s.d, "TwoLayerNet: x");
  require_shape(y, x.rows, s.k, "TwoLayerNet: y");
  require_training<T>(training, x.rows, "TwoLayerNet");
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  NetBatches<T, B> batches(s.backend, training.seed, training.batch_size, x, y);
  Trainer<T, B, State> trainer(workspace, training, s, batches.most_rows());
  return take_steps(batches, first, steps, trainer);
}

template <Real T, Backend B>
double TwoLayerNet<T, B>::gradient(const NetTraining& training, View<const T, B> x, View<const T, B> y,
                                   View<T, B> grad) const {
  const State& s = *state_;
  require_shape(x, x.rows, s.d, "TwoLayerNet: x");
  require_shape(y, x.rows, s.k, "TwoLayerNet: y");
  require_shape(grad, s.m, s.d, "TwoLayerNet: grad");
  require_loss<T>(training, x.rows, "TwoLayerNet");
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  TwoLayerPass<T, B> pass(workspace, s.out(), s.d, x.rows);
  const View<const T, B> target = training.decay_to_start ? s.start() : View<const T, B>();
  const double loss = pass.loss({x, y, 1}, training.kappa, training.alpha, s.weights(), target);
  const auto alpha = static_cast<T>(training.alpha);
  pass.add_gradient(static_cast<T>(training.kappa), alpha, target.data ? -alpha : T(0), s.weights(), target, grad);
  return loss;
}

template <Real T, Backend B>
void TwoLayerNet<T, B>::predict(View<const T, B> x, View<T, B> out) const {
  const State& s = *state_;
  require_shape(x, x.rows, s.d, "TwoLayerNet: x");
  require_shape(out, x.rows, s.k, "TwoLayerNet: out");
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  TwoLayerPass<T, B> pass(workspace, s.out(), s.d, std::min(rows_at_once, x.rows));
  for_ranges(x.rows, rows_at_once, [&](RowRange rows) {
    copy<T, B>(workspace, pass.outputs(x.row_block(rows.begin, rows.count), s.weights()),
               out.row_block(rows.begin, rows.count));
  });
}

template <Real T, Backend B>
void TwoLayerNet<T, B>::kernel(View<const T, B> x, View<const T, B> z, View<T, B> out) const {
  const State& s = *state_;
  require_shape(x, x.rows, s.d, "TwoLayerNet: x");
  require_shape(z, z.rows, s.d, "TwoLayerNet: z");
  require_shape(out, x.rows, z.rows, "TwoLayerNet: out");
  const bool symmetric = same_rows(x, z);
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  const View<T, B> weight(workspace.template scratch<T>(1, s.m));
  kernel_weights<T, B>(workspace, s.out(), weight.data);
  const auto patterns = [&](View<const T, B> rows) {
    TwoLayerPass<T, B> pass(workspace, s.out(), s.d, rows.rows);
    pass.outputs(rows, s.weights());
    return pass.patterns();
  };
  const View<const std::uint32_t, B> of_x = patterns(x), of_z = symmetric ? of_x : patterns(z);
  const std::size_t edge = std::same_as<B, Cpu> ? 256 : 2048;
  const auto tiles = [=](std::size_t size) { return (size + edge - 1) / edge; };
  for_tiles<B>(s.backend, tiles(x.rows) * tiles(z.rows), 1, [&](Tile<B>& tile, RowRange task) {
    const std::size_t i = task.begin / tiles(z.rows) * edge, j = task.begin % tiles(z.rows) * edge;
    if (symmetric && i > j) return;
    const RowRange r{i, std::min(edge, x.rows - i)}, c{j, std::min(edge, z.rows - j)};
    const View<T, B> block = out.block(r.begin, r.count, c.begin, c.count);
    kernel_tile<T, B>(tile, x.row_block(r.begin, r.count), z.row_block(c.begin, c.count), of_x.row_block(r.begin, r.count),
                      of_z.row_block(c.begin, c.count), weight, block);
    if (symmetric) transpose<T, B>(tile, block, out.block(c.begin, c.count, r.begin, r.count), i == j);
  });
}

template <Real T, Backend B>
void TwoLayerNet<T, B>::get_weights(View<T, B> out) const {
  const State& s = *state_;
  require_shape(out, s.m, s.d, "TwoLayerNet: out");
  Tile<B> tile(s.backend);
  copy<T, B>(tile, s.weights(), out);
}

template <Real T, Backend B>
void TwoLayerNet<T, B>::set_weights(View<const T, B> weights) {
  State& s = *state_;
  require_shape(weights, s.m, s.d, "TwoLayerNet: weights");
  Tile<B> tile(s.backend);
  copy<T, B>(tile, weights, s.of(s.weights_memory));
  s.has_previous = false;
}

template <Real T, Backend B>
double TwoLayerNet<T, B>::drift() const {
  const State& s = *state_;
  Buffer<T, B> squares(s.backend, s.m);
  for_tiles<B>(s.backend, s.m, units_at_once, [&](Tile<B>& tile, RowRange r) {
    distance_squares<T, B>(tile, s.weights().row_block(r.begin, r.count), s.start().row_block(r.begin, r.count),
                           squares.data() + r.begin);
  });
  const std::vector<T> found = squares.to_host();
  return std::sqrt(static_cast<double>(*std::max_element(found.begin(), found.end())));
}

template <Real T, Backend B>
std::size_t TwoLayerNet<T, B>::width() const {
  return state_->m;
}
template <Real T, Backend B>
std::size_t TwoLayerNet<T, B>::in_features() const {
  return state_->d;
}
template <Real T, Backend B>
std::size_t TwoLayerNet<T, B>::outputs() const {
  return state_->k;
}

template class TwoLayerNet<float, FASTNTK_BACKEND>;
template class TwoLayerNet<double, FASTNTK_BACKEND>;

}  // namespace fastntk
