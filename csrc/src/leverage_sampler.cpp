// Exact-conditional Gibbs sampling of the ridge leverage function of a ReLU family (L20 section 3.1).
//
// Chains run in batches. A move of a batch is three steps: each chain's curve and break points; the products of the forms'
// matrices with the patterns, for all chains of the batch together; and each chain's pieces, from which it draws.
#include <fastntk/error.hpp>
#include <fastntk/leverage.hpp>

#include <algorithm>
#include <memory>
#include <string>

#include "gibbs_chains.hpp"
#include "gibbs_model.hpp"
#include "leverage_primitives.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

/// Calls f(row, column) for all entries of a matrix of so many.
template <class F>
void for_each_entry(Tile<Cpu>&, std::size_t rows, std::size_t cols, F f) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < cols; ++c) f(r, c);
}
template <Backend B, class F>
void for_each_entry(Tile<B>& tile, std::size_t rows, std::size_t cols, F f) {
  for_each(tile, rows * cols, [=] FASTNTK_FORMULA(std::size_t index) { f(index / cols, index % cols); });
}

// A batch of chains: so many rows of all views, for chains from number `first` on.
template <Backend B>
GibbsChains<B> take_batch(Tile<B>& memory, const GibbsModel<B>& model, const LeverageSamplerParams& p, std::size_t first,
                          std::size_t count) {
  const std::size_t n = model.rows, d = model.dim;
  const bool circles = p.moves == GibbsMoves::circles;
  GibbsChains<B> chains{};
  chains.moves = p.moves;
  chains.has_step = model.has_step;
  chains.has_relu = model.has_relu;
  chains.dim = d;
  chains.rows = n;
  chains.first = first;
  chains.seed = p.seed;

  const auto take = [&](std::size_t cols) { return memory.template scratch<double>(count, cols); };
  const auto take_ranks = [&] {
    const std::size_t stride = scratch_stride<float>(n);
    auto* const data = static_cast<std::uint32_t*>(memory.allocate(count * stride * sizeof(std::uint32_t)));
    return View<std::uint32_t, B>(data, count, n, stride);
  };
  chains.w = take(d);
  chains.v = take(d);
  chains.here = take(2);
  for (auto* view : {&chains.alpha, &chains.beta, &chains.key, &chains.turn, &chains.end[0], &chains.end[1], &chains.end[2]})
    *view = take(n);
  chains.rank = take_ranks();
  chains.order = take_ranks();
  for (std::size_t v = 0; v < pattern_vectors; ++v) {
    const bool used = v == of_step ? chains.has_step : chains.has_relu;
    if (used || v == of_step) {
      chains.before[v] = take(n);
      chains.after[v] = take(n);
    }
    if (used) {
      chains.base[v] = take(n);
      chains.passed[v] = take(n);
    }
    if (used && circles && v != of_step) chains.relu_total[v - of_alpha] = take(n);
  }
  for (std::size_t half = 0; half < (circles ? 2 : 1); ++half)
    for (std::size_t k = 0; k < 4; ++k)
      if (k == 0 ? chains.has_step : chains.has_relu) chains.change[4 * half + k] = take(n);

  chains.columns = model.columns.view();
  chains.nonzero = model.nonzero.view();
  chains.diagonal[0] = model.diagonals.view().row_block(0, 1);
  chains.diagonal[1] = model.diagonals.view().row_block(1, 1);
  chains.step_total = View<const double, B>(model.step_total.view().data, count, n, 0);
  return chains;
}

// Chains at once: on the CPU as many as share a part of the matrices in a second-level cache, on a device what fills it.
template <Backend B>
std::size_t most_chains(const B& backend, std::size_t n) {
  if constexpr (std::same_as<B, Cpu>) return 64;
  constexpr std::size_t vectors = 32;  // of n doubles, about what take_batch() takes of a chain
  return std::clamp<std::size_t>(tile_budget(backend).streamed_bytes / (vectors * n * sizeof(double)), 1, 1024);
}

template <Backend B>
using Chains = const GibbsChains<B>&;

// alpha = w.x_i.
template <Backend B>
void project_chains(const B& backend, const GibbsModel<B>& model, Chains<B> all, std::size_t count) {
  for_tiles<B>(backend, count, std::same_as<B, Cpu> ? 8 : count, [&](Tile<B>& tile, RowRange r) {
    project_all<B>(tile, all.w.row_block(r.begin, r.count), model.points, all.alpha.row_block(r.begin, r.count));
  });
}

template <Backend B>
void start_chains(const B& backend, const GibbsModel<B>& model, Chains<B> all, std::size_t count) {
  Tile<B> tile(backend);
  const GibbsChains<B> chains = all;
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t c) { chains.start(c); });
  project_chains<B>(backend, model, all, count);
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t c) { chains.turn_to_rows(c); });
}

// Steps of a move. The rows r of all views are a tile's.
template <Backend B>
void set_curves(Tile<B>& tile, const GibbsModel<B>& model, Chains<B> all, RowRange r, std::size_t move) {
  const GibbsChains<B> chains = all;
  const std::size_t first = r.begin, n = chains.rows, k = move % chains.dim;
  const bool by_coordinate = chains.moves == GibbsMoves::coordinates;
  const auto rows = [&](auto view) { return view.row_block(r.begin, r.count); };
  if (by_coordinate) {
    for_each(tile, r.count, [=] FASTNTK_FORMULA(std::size_t c) { chains.take_coordinate(first + c, k); });
    for_each_entry(tile, r.count, n, [=] FASTNTK_FORMULA(std::size_t c, std::size_t i) { chains.take_column(first + c, i, k); });
  } else {
    for_each(tile, r.count, [=] FASTNTK_FORMULA(std::size_t c) { chains.direct(first + c, move); });
    project_all<B>(tile, rows(chains.v), model.points, rows(chains.beta));
  }
  // Between coordinates alpha goes on from where it was, for a sweep.
  if (!by_coordinate || k == 0) project_all<B>(tile, rows(chains.w), model.points, rows(chains.alpha));
  if (chains.on_circle() && chains.has_relu) {
    project_all<B>(tile, rows(chains.w), model.relu_total, rows(chains.relu_total[0]));
    project_all<B>(tile, rows(chains.v), model.relu_total, rows(chains.relu_total[1]));
  }
  for_each_entry(tile, r.count, n, [=] FASTNTK_FORMULA(std::size_t c, std::size_t i) { chains.set_break(first + c, i); });
  rank_rows<B>(tile, rows(chains.key), rows(chains.rank), rows(chains.order));
}

// The products of all chains' patterns; without `passed` only those of `before`.
template <Backend B>
void multiply_patterns(const B& backend, const GibbsModel<B>& model, Chains<B> chains, std::size_t count, bool passed) {
  for_tiles<B>(backend, chains.rows, std::min(product_tile_rows<B>, chains.rows), [&](Tile<B>& tile, RowRange r) {
    for (std::size_t v = 0; v < pattern_vectors; ++v) {
      if (!(v == of_step ? chains.has_step : chains.has_relu) || (!passed && v == of_beta)) continue;
      const View<const double, B> matrix = (v == of_step ? model.step_form : model.relu_form).view();
      const auto part = [&](View<double, B> view) { return view.block(0, count, r.begin, r.count); };
      passed_products<B>(tile, matrix.row_block(r.begin, r.count), r.begin, chains.rank, chains.before[v].row_block(0, count),
                         chains.after[v].row_block(0, count), part(chains.base[v]),
                         passed ? part(chains.passed[v]) : View<double, B>());
    }
  });
}

template <Backend B>
void draw_moves(Tile<B>& tile, Chains<B> all, RowRange r, std::size_t move) {
  const GibbsChains<B> chains = all;
  const std::size_t first = r.begin, n = chains.rows;
  for_each_entry(tile, r.count, n, [=] FASTNTK_FORMULA(std::size_t c, std::size_t k) { chains.set_change(first + c, k); });
  if (chains.on_circle()) {
    for_each(tile, r.count, [=] FASTNTK_FORMULA(std::size_t c) { chains.move_on_circle(first + c, move); });
  } else {
    for_each(tile, r.count, [=] FASTNTK_FORMULA(std::size_t c) { chains.move_on_line(first + c, move); });
  }
  if (chains.moves == GibbsMoves::coordinates)
    for_each_entry(tile, r.count, n, [=] FASTNTK_FORMULA(std::size_t c, std::size_t i) { chains.follow(first + c, i); });
}

template <Backend B>
void move_chains(const B& backend, const GibbsModel<B>& model, Chains<B> chains, std::size_t count, std::size_t move) {
  const std::size_t tile_rows = std::same_as<B, Cpu> ? 1 : count;
  for_tiles<B>(backend, count, tile_rows,
               [&](Tile<B>& tile, RowRange r) { set_curves<B>(tile, model, chains, r, move); });
  multiply_patterns<B>(backend, model, chains, count, true);
  for_tiles<B>(backend, count, tile_rows, [&](Tile<B>& tile, RowRange r) { draw_moves<B>(tile, chains, r, move); });
}

template <Backend B>
void write_directions(const B& backend, const GibbsModel<B>& model, Chains<B> all, View<double, B> directions,
                      View<double, B> ratio) {
  const std::size_t count = directions.rows;
  const GibbsChains<B> chains = all;
  project_chains<B>(backend, model, all, count);
  Tile<B> tile(backend);
  for_each_entry(tile, count, chains.rows, [=] FASTNTK_FORMULA(std::size_t c, std::size_t i) { chains.set_pattern(c, i); });
  multiply_patterns<B>(backend, model, all, count, false);
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t c) { ratio(c, 0) = chains.ratio(c); });
  copy<double, B>(tile, chains.w.row_block(0, count), directions);
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
    const GibbsChains<B> all = take_batch<B>(memory, model, p, first, end - first);
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
  require(p.moves != GibbsMoves::circles || d > 1,
          [] { return "LeverageSampler: moves is circles and x has 1 column; there is no circle, use coordinates or lines"; });
}

// Draws count chains and moves in 32 bits each.
void require_moves(const LeverageSamplerParams& p, std::size_t directions) {
  constexpr std::size_t most = std::size_t{1} << 32;
  const std::size_t chains = p.chains == 0 ? directions : std::min(p.chains, directions);
  if (directions == 0) return;
  const std::size_t rounds = (directions + chains - 1) / chains;
  require(chains <= most && p.burn_in < most && p.thinning < most && rounds * p.thinning < most - p.burn_in, [&] {
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
