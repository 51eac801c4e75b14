// Training of a DeepNet: its loss, the derivatives, and the steps.
#include <utility>

#include "deep_net.hpp"
#include "net_loss.hpp"
#include "net_training.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

template <Real T, Backend B>
void require_examples(const NetLayers& layers, View<const T, B> x, View<const T, B> y) {
  require_shape(x, x.rows, layers.inputs(0), "DeepNet: x");
  require_shape(y, x.rows, layers.outputs(layers.depth()), "DeepNet: y");
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
        terms_(workspace, rows * outputs(), square_parts(layers.parameters())),
        f_(workspace.template scratch<T>(rows, outputs())),
        residual_(static_cast<T*>(workspace.allocate(rows * outputs() * sizeof(T)))),
        pass_(workspace, layers, rows, true) {}

  double loss(const T* weights, const NetBatch<T, B>& batch) {
    batch_ = batch;
    const View<T, B> f = f_.row_block(0, batch.x.rows);
    pass_.forward(weights, batch.x, f);
    terms_.residual(workspace_, static_cast<T>(training_.kappa), f, batch.y, residual());
    const B& backend = workspace_.backend();
    // At alpha 0 it only matters whether the weights are finite, as D is.
    const T* const start = training_.alpha > 0 ? start_ : nullptr;
    const std::size_t at_once = square_part * rows_per_tile<T>(backend, square_part);
    for_tiles<B>(backend, layers_.parameters(), at_once, [&](Tile<B>& tile, RowRange r) {
      part_squares<T, B>(tile, weights + r.begin, start ? start + r.begin : nullptr, r.count,
                         terms_.weights() + r.begin / square_part);
    });
    return terms_.loss(batch.scale, training_.alpha);
  }

  /// to = keep W + pull D + factor (the derivative of <r, f> by W), r the residuals kappa f - y of the last loss().
  void add_gradient(T keep, T pull, T factor, T* to) {
    pass_.backward(residual());
    pass_.add_gradient(factor, keep, start_, pull, to);
  }

 private:
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
NetProgress DeepNet<T, B>::train(const NetTraining& training, std::size_t first, std::size_t steps, View<const T, B> x,
                                 View<const T, B> y) {
  State& s = *state_;
  require_examples(s.layers, x, y);
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
      const StepFactors<T> factors(training, scale);
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
  require_examples(s.layers, x, y);
  require_shape(grad, 1, parameters(), "DeepNet: grad");
  require_loss<T>(training, x.rows, "DeepNet");
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  Objective<T, B> objective(workspace, s.layers, training, s.start.data(), x.rows);
  const double loss = objective.loss(s.weights.data(), {x, y, 1});
  const auto alpha = static_cast<T>(training.alpha);
  objective.add_gradient(alpha, training.decay_to_start ? -alpha : 0, static_cast<T>(training.kappa), grad.data);
  return loss;
}

#define FASTNTK_INSTANTIATE(T)                                                                                             \
  template NetProgress DeepNet<T, FASTNTK_BACKEND>::train(const NetTraining&, std::size_t, std::size_t,                    \
                                                          View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>); \
  template double DeepNet<T, FASTNTK_BACKEND>::gradient(const NetTraining&, View<const T, FASTNTK_BACKEND>,                \
                                                        View<const T, FASTNTK_BACKEND>, View<T, FASTNTK_BACKEND>) const;
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
