// The steps of gradient descent, whatever the network.
#pragma once

#include <fastntk/nets.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>

#include "net_batches.hpp"
#include "tiling.hpp"

namespace fastntk {

/// Throws Error, in the name of `net`, if the loss is not defined.
template <Real T>
void require_loss(const NetTraining& training, std::size_t rows, const std::string& net) {
  require_size(rows, (net + ": the number of rows of x").c_str());
  require_finite<T>(training.kappa, net + ": kappa");
  require_finite<T>(training.alpha, net + ": alpha");
  require(training.alpha >= 0,
          [&] { return net + ": alpha is " + std::to_string(training.alpha) + "; it may not be negative"; });
}

/// Likewise if steps are not.
template <Real T>
void require_training(const NetTraining& training, std::size_t rows, const std::string& net) {
  require_loss<T>(training, rows, net);
  require_finite<T>(training.step_size, net + ": step_size");
  require(training.step_size > 0,
          [&] { return net + ": step_size is " + std::to_string(training.step_size) + "; a positive number is needed"; });
  require(training.batch_size <= rows, [&] {
    return net + ": batch_size is " + std::to_string(training.batch_size) + "; x has " + std::to_string(rows) + " rows";
  });
}

/// W <- keep W + pull D + factor (the derivative of <kappa f - y, f>): one step of a batch. `keep` and `pull` add up to
/// exactly 1 where decay is to the start: otherwise it would scale weights that are there, in float by up to 3e-8 a step.
template <Real T>
struct StepFactors {
  StepFactors(const NetTraining& t, double scale)
      : keep(static_cast<T>(1 - t.step_size * t.alpha)),
        pull(t.decay_to_start ? 1 - keep : 0),
        factor(static_cast<T>(-t.step_size * t.kappa * scale)) {}
  T keep, pull, factor;
};

/// Takes the steps. `net` has
///   loss(batch)  the loss of a batch at the present weights, for which it keeps what step() needs
///   step()       the step that the last loss() was for, which keeps the weights before it
///   step_back()  undoes the last step, if it still has the weights before it
template <Real T, Backend B, class Net>
NetProgress take_steps(NetBatches<T, B>& batches, std::size_t first, std::size_t steps, Net& net) {
  NetProgress progress;
  progress.loss.reserve(steps);
  for (std::size_t i = 0; i < steps; ++i) {
    const double loss = net.loss(batches.at(first + i));
    if (!std::isfinite(loss)) {
      net.step_back();
      progress.diverged = true;
      break;
    }
    progress.loss.push_back(loss);
    net.step();
  }
  progress.steps = progress.loss.size();
  return progress;
}

}  // namespace fastntk
