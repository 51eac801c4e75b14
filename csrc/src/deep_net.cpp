#include "deep_net.hpp"

#include <fastntk/rng.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <utility>
#include <vector>

#include "net_loss.hpp"
#include "net_training.hpp"
#include "primitives.hpp"
#include "ridge_primitives.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

constexpr std::size_t neurons_per_tile = 64;  // of a layer's weights: enough for a thread

/// Rows that may pass the layers at once where that is free, of `cols` elements each.
template <Real T, Backend B>
std::size_t rows_of_pass(const B& backend, std::size_t cols) {
  const std::size_t budget = tile_budget(backend).streamed_bytes;
  constexpr std::size_t on_host = std::size_t{1} << 28;
  return std::max<std::size_t>((budget > 0 ? budget : on_host) / (cols * sizeof(T)), 256);
}

/// w = standard normals with the indices that ProjectionMatrix gives its columns.
template <Real T, Backend B>
void draw_weights(const B& backend, std::uint64_t seed, View<T, B> w) {
  const rng::Draws draws{seed, rng::Stream::normal};
  const std::size_t pairs = (w.cols + 1) / 2;
  for_tiles<B>(backend, w.rows, neurons_per_tile, [&](Tile<B>& tile, RowRange r) {
    const std::size_t first = r.begin;
    for_each(tile, r.count * pairs, [=] FASTNTK_FORMULA(std::size_t index) {
      const std::size_t row = first + index / pairs, j = 2 * (index % pairs);
      const auto pair = rng::Draws::normal_pair(draws.bits(row * pairs + j / 2));
      w(row, j) = static_cast<T>(pair[0]);
      if (j + 1 < w.cols) w(row, j + 1) = static_cast<T>(pair[1]);
    });
  });
}

/// Calls body(range) for [0, rows) in ranges of `at_once` rows, one after the other.
template <class Body>
void for_row_ranges(std::size_t rows, std::size_t at_once, Body body) {
  for (std::size_t begin = 0; begin < rows; begin += at_once) body(RowRange{begin, std::min(at_once, rows - begin)});
}

template <Real T, Backend B>
void fill_ones(Tile<B>& tile, View<T, B> column) {
  for_each(tile, column.rows, [=] FASTNTK_FORMULA(std::size_t r) { column(r, 0) = 1; });
}

/// The block (rows, cols) of the kernel's matrix, tile by tile; if it is `symmetric`, the block across the diagonal too.
template <Real T, Backend B>
void kernel_block(const B& backend, const NetPass<T, B>& of_rows, const NetPass<T, B>& of_cols, RowRange rows, RowRange cols,
                  bool symmetric, View<T, B> out) {
  constexpr std::size_t edge = std::same_as<B, Cpu> ? 256 : 4096;
  const auto tiles = [](std::size_t size) { return (size + edge - 1) / edge; };
  const bool diagonal = symmetric && rows.begin == cols.begin;
  for_tiles<B>(backend, tiles(rows.count) * tiles(cols.count), 1, [&](Tile<B>& tile, RowRange task) {
    const std::size_t i = task.begin / tiles(cols.count) * edge, j = task.begin % tiles(cols.count) * edge;
    if (diagonal && i > j) return;
    const RowRange r{i, std::min(edge, rows.count - i)}, c{j, std::min(edge, cols.count - j)};
    const View<T, B> block = out.block(rows.begin + r.begin, r.count, cols.begin + c.begin, c.count);
    of_rows.kernel(tile, of_cols, r, c, block);
    if (!symmetric) return;
    const View<T, B> mirrored = out.block(cols.begin + c.begin, c.count, rows.begin + r.begin, r.count);
    transpose<T, B>(tile, block, mirrored, diagonal && i == j);
  });
}

/// The loss of a batch, and its derivatives.
template <Real T, Backend B>
class Objective {
 public:
  /// For batches of at most `rows` rows; `start` is where decay goes, if not to 0.
  Objective(Tile<B>& workspace, const NetLayers& layers, const NetTraining& training, const T* start, std::size_t rows)
      : workspace_(workspace),
        layers_(layers),
        training_(training),
        start_(training.decay_to_start ? start : nullptr),
        terms_(workspace, rows * outputs(), (layers.parameters() + part - 1) / part),
        f_(workspace.template scratch<T>(rows, outputs())),
        residual_(static_cast<T*>(workspace.allocate(rows * outputs() * sizeof(T)))),
        pass_(workspace, layers, rows, true) {}

  double loss(const T* weights, const NetBatch<T, B>& batch) {
    batch_ = batch;
    const View<T, B> f = f_.row_block(0, batch.x.rows);
    pass_.forward(weights, batch.x, f);
    terms_.residual(workspace_, static_cast<T>(training_.kappa), f, batch.y, residual());
    const std::size_t size = layers_.parameters();
    // At alpha 0 only whether the weights are finite matters, and D is.
    const T* const start = training_.alpha > 0 ? start_ : nullptr;
    for_tiles<B>(workspace_.backend(), size, part * parts_per_tile, [&](Tile<B>& tile, RowRange r) {
      const auto parts = [&](const T* all, std::size_t first, std::size_t rows, std::size_t cols) {
        return all ? View<const T, B>(all + first, rows, cols) : View<const T, B>();
      };
      const auto squares = [&](std::size_t first, std::size_t rows, std::size_t cols) {
        distance_squares<T, B>(tile, parts(weights, first, rows, cols), parts(start, first, rows, cols),
                               terms_.weights() + first / part);
      };
      const std::size_t whole = r.count / part;
      if (whole > 0) squares(r.begin, whole, part);
      if (r.count > whole * part) squares(r.begin + whole * part, 1, r.count - whole * part);
    });
    return terms_.loss(batch.scale, training_.alpha);
  }

  /// to = keep W + pull D + factor (the derivative of |kappa f - y|^2/(2 kappa) by the weights), for the last loss().
  void add_gradient(double keep, double pull, double factor, T* to) {
    pass_.backward(residual());
    pass_.add_gradient(static_cast<T>(factor), static_cast<T>(keep), start_, static_cast<T>(pull), to);
  }

 private:
  static constexpr std::size_t part = 1024, parts_per_tile = 256;  // of weights

  std::size_t outputs() const { return layers_.outputs(layers_.depth()); }
  View<T, B> residual() const { return View<T, B>(residual_, batch_.x.rows, outputs()); }

  Tile<B>& workspace_;
  const NetLayers& layers_;
  const NetTraining& training_;
  const T* start_;
  LossTerms<T, B> terms_;
  View<T, B> f_;
  T* residual_;
  NetPass<T, B> pass_;
  NetBatch<T, B> batch_;
};

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
void DeepNet<T, B>::State::require_rows(View<const T, B> x, View<const T, B> y) const {
  require_shape(x, x.rows, layers.inputs(0), "DeepNet: x");
  require_shape(y, x.rows, layers.outputs(layers.depth()), "DeepNet: y");
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
  State& s = *state_;
  require_same_memory(s.backend, backend, "DeepNet");
  run_in_order(s.backend, backend);
  s.backend = backend;
}

template <Real T, Backend B>
NetProgress DeepNet<T, B>::train(const NetTraining& training, std::size_t first, std::size_t steps, View<const T, B> x,
                                 View<const T, B> y) {
  State& s = *state_;
  s.require_rows(x, y);
  require_training<T>(training, x.rows, "DeepNet");
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  NetBatches<T, B> batches(s.backend, training.seed, training.batch_size, x, y);
  Objective<T, B> objective(workspace, s.layers, training, s.start.data(), batches.most_rows());

  struct Steps {
    double loss(const NetBatch<T, B>& batch) {
      scale = batch.scale;
      return objective.loss(s.weights.data(), batch);
    }
    void step() {
      const StepFactors factors(training, scale);
      s.has_previous = false;
      objective.add_gradient(factors.keep, factors.pull, factors.factor, s.previous.data());
      std::swap(s.weights, s.previous);
      s.has_previous = true;
    }
    void step_back() {
      if (s.has_previous) std::swap(s.weights, s.previous);
      s.has_previous = false;
    }
    State& s;
    const NetTraining& training;
    Objective<T, B>& objective;
    double scale = 1;
  } net{s, training, objective};
  return take_steps(batches, first, steps, net);
}

template <Real T, Backend B>
double DeepNet<T, B>::gradient(const NetTraining& training, View<const T, B> x, View<const T, B> y, View<T, B> grad) const {
  const State& s = *state_;
  s.require_rows(x, y);
  require_shape(grad, 1, parameters(), "DeepNet: grad");
  require_loss<T>(training, x.rows, "DeepNet");
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  Objective<T, B> objective(workspace, s.layers, training, s.start.data(), x.rows);
  const double loss = objective.loss(s.weights.data(), {x, y, 1});
  objective.add_gradient(training.alpha, training.decay_to_start ? -training.alpha : 0, training.kappa, grad.data);
  return loss;
}

template <Real T, Backend B>
void DeepNet<T, B>::predict(View<const T, B> x, View<T, B> out) const {
  const State& s = *state_;
  require_shape(x, x.rows, s.layers.inputs(0), "DeepNet: x");
  require_shape(out, x.rows, s.layers.outputs(s.layers.depth()), "DeepNet: out");
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  for_row_ranges(x.rows, rows_of_pass<T>(s.backend, s.layers.units()), [&](RowRange r) {
    const typename Tile<B>::Scope scope(workspace);
    NetPass<T, B> pass(workspace, s.layers, r.count, false);
    pass.forward(s.weights.data(), x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template <Real T, Backend B>
void DeepNet<T, B>::kernel(View<const T, B> x, View<const T, B> z, View<T, B> out) const {
  const State& s = *state_;
  require_shape(x, x.rows, s.layers.inputs(0), "DeepNet: x");
  require_shape(z, z.rows, s.layers.inputs(0), "DeepNet: z");
  require_shape(out, x.rows, z.rows, "DeepNet: out");
  const bool symmetric = same_rows(x, z);
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  const std::size_t at_once = rows_of_pass<T>(s.backend, 4 * s.layers.units());  // of x and of z, forth and back
  const auto derivatives = [&](View<const T, B> rows) {
    NetPass<T, B> pass(workspace, s.layers, rows.rows, true);
    pass.forward(s.weights.data(), rows, workspace.template scratch<T>(rows.rows, s.layers.outputs(s.layers.depth())));
    const View<T, B> ones = workspace.template scratch<T>(rows.rows, 1);
    fill_ones(workspace, ones);
    pass.backward(ones);
    return pass;
  };
  for_row_ranges(x.rows, at_once, [&](RowRange rows) {
    const typename Tile<B>::Scope scope(workspace);
    const NetPass<T, B> of_x = derivatives(x.row_block(rows.begin, rows.count));
    for_row_ranges(z.rows, at_once, [&](RowRange cols) {
      if (symmetric && cols.begin < rows.begin) return;
      const typename Tile<B>::Scope inner(workspace);
      const bool diagonal = symmetric && cols.begin == rows.begin;
      const NetPass<T, B> of_z = diagonal ? of_x : derivatives(z.row_block(cols.begin, cols.count));
      kernel_block(s.backend, of_x, of_z, rows, cols, symmetric, out);
    });
  });
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
      for_tiles<B>(s.backend, now.rows, neurons_per_tile, [&](Tile<B>& tile, RowRange r) {
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
