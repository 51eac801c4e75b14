// Exact-conditional Gibbs sampling of the ridge leverage function of a ReLU family (L20 section 3.1).
#include <fastntk/error.hpp>
#include <fastntk/leverage.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "gibbs_moves.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// Chains at once: on the CPU as many as share a part of the matrices in a second-level cache, and of few rows enough that
// threads do not wait for one another all the time; on a device what fills it.
template <Backend B>
std::size_t most_chains(const B& backend, std::size_t n) {
  if constexpr (std::same_as<B, Cpu>) {
    return std::clamp<std::size_t>((std::size_t{1} << 16) / n, 64, 1024);
  } else {
    constexpr std::size_t vectors = 32;  // of n doubles, about what a chain takes
    return std::clamp<std::size_t>(tile_budget(backend).streamed_bytes / (vectors * n * sizeof(double)), 1, 1024);
  }
}

template <Backend B>
void sample(const B& backend, const GibbsModel<B>& model, const LeverageSamplerParams& p, View<double, B> directions,
            View<double, B> ratio) {
  const std::size_t m = directions.rows;
  const std::size_t chains = p.chains == 0 ? m : std::min(p.chains, m);
  const std::size_t batches = (chains + most_chains(backend, model.rows) - 1) / most_chains(backend, model.rows);
  for (std::size_t batch = 0; batch < batches; ++batch) {
    const std::size_t first = batch * chains / batches, end = (batch + 1) * chains / batches;
    Tile<B> memory(backend);
    const GibbsChains<B> all = take_chains<B>(memory, model, p, p.first_chain + first, end - first);
    start_chains<B>(backend, model, all, end - first);
    std::size_t move = 0;
    for (std::size_t at = first; at < m; at += chains) {
      // In the last round the chains beyond the last direction rest.
      const std::size_t count = std::min(end - first, m - at);
      const std::size_t wanted = p.thinning + (at == first ? p.burn_in : 0);
      for (std::size_t i = 0; i < wanted; ++i) move_chains<B>(backend, model, all, count, move++);
      write_directions<B>(backend, model, all, directions.row_block(at, count), ratio.row_block(at, count));
    }
  }
}

void require_params(const LeverageSamplerParams& p, std::size_t n, std::size_t d) {
  require_size(n, "LeverageSampler: the number of rows of x");
  require_size(d, "LeverageSampler: the number of columns of x");
  require_positive(p.thinning, "LeverageSampler: thinning");
  require(p.family != FeatureFamily::fourier,
          [] { return "LeverageSampler: family is fourier, whose patterns are not constant anywhere; use a ReLU family"; });
  require(p.moves != GibbsMoves::circles || d > 1, [] {
    return "LeverageSampler: moves is circles and x has 1 column; there is no circle, use coordinates or lines";
  });
}

// Draws count chains and moves in 32 bits each.
void require_moves(const LeverageSamplerParams& p, std::size_t directions) {
  constexpr std::size_t most = std::size_t{1} << 32;
  const std::size_t chains = p.chains == 0 ? directions : std::min(p.chains, directions);
  if (directions == 0) return;
  const std::size_t rounds = (directions + chains - 1) / chains;
  require(chains <= most && p.first_chain <= most - chains, [&] {
    return "LeverageSampler: first_chain is " + std::to_string(p.first_chain) + "; at most " +
           std::to_string(most - chains) + " is possible with so many chains";
  });
  require(p.burn_in < most && p.thinning < most && rounds * p.thinning < most - p.burn_in, [&] {
    return "LeverageSampler: burn_in is " + std::to_string(p.burn_in) + " and thinning is " + std::to_string(p.thinning) +
           "; less than 2^32 moves of a chain are possible";
  });
}

}  // namespace

template <Backend B>
struct LeverageSampler<B>::State {
  LeverageSamplerParams params;
  GibbsModel<B> model;
};

template <Backend B>
LeverageSampler<B>::LeverageSampler(const LeverageSamplerParams& params, View<const double, B> x,
                                    View<const double, B> inverse, const B& backend)
    : backend_(backend) {
  require_params(params, x.rows, x.cols);
  require_shape(inverse, x.rows, x.rows, "LeverageSampler: inverse");
  const bool on_circles = params.moves == GibbsMoves::circles;
  state_ = std::make_shared<State>(params, GibbsModel<B>(backend, params.family, on_circles, x, inverse));
  finish(backend);
}

template <Backend B>
LeverageSampler<B>::LeverageSampler(std::shared_ptr<const State> state, const B& backend)
    : state_(std::move(state)), backend_(backend) {}

template <Backend B>
LeverageSampler<B> LeverageSampler<B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "LeverageSampler: on");
  return LeverageSampler(state_, backend);
}

template <Backend B>
void LeverageSampler<B>::operator()(View<double, B> directions, View<double, B> ratio) const {
  require_shape(directions, directions.rows, state_->model.dim, "LeverageSampler: directions");
  require_shape(ratio, directions.rows, 1, "LeverageSampler: ratio");
  require_moves(state_->params, directions.rows);
  sample<B>(backend_, state_->model, state_->params, directions, ratio);
}

template class LeverageSampler<FASTNTK_BACKEND>;

}  // namespace fastntk
