#include "gibbs_moves.hpp"

#include <algorithm>
#include <cstdint>

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

// Chains of a tile: on the CPU a few, which share reading x, if enough tiles are left for threads; on a device all.
template <Backend B>
std::size_t chain_tile(std::size_t count) {
  return std::same_as<B, Cpu> ? std::clamp<std::size_t>(count / 16, 1, 8) : count;
}

template <Backend B>
View<std::uint32_t, B> take_numbers(Tile<B>& memory, std::size_t rows, std::size_t cols) {
  const std::size_t stride = scratch_stride<float>(cols);
  auto* const data = static_cast<std::uint32_t*>(memory.allocate(rows * stride * sizeof(std::uint32_t)));
  return View<std::uint32_t, B>(data, rows, cols, stride);
}

// alpha = w.x_i.
template <Backend B>
void project_chains(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& chains, std::size_t count) {
  for_tiles<B>(backend, count, chain_tile<B>(count), [&](Tile<B>& tile, RowRange r) {
    project_all<double, B>(tile, chains.w.row_block(r.begin, r.count), model.points, {},
                           chains.alpha.row_block(r.begin, r.count));
  });
}

// Curves and break points of the rows r.
template <Backend B>
void set_curves_of(Tile<B>& tile, const GibbsModel<B>& model, GibbsChains<B> chains, RowRange r, std::size_t move) {
  const std::size_t first = r.begin, n = chains.rows, k = move % chains.dim;
  const bool by_coordinate = chains.moves == GibbsMoves::coordinates;
  const auto rows = [&](auto view) { return view.row_block(r.begin, r.count); };
  if (by_coordinate) {
    for_each(tile, r.count, [=] FASTNTK_FORMULA(std::size_t c) { chains.take_coordinate(first + c, k); });
    for_each_entry(tile, r.count, n,
                   [=] FASTNTK_FORMULA(std::size_t c, std::size_t i) { chains.take_column(first + c, i, k); });
  } else {
    for_each(tile, r.count, [=] FASTNTK_FORMULA(std::size_t c) { chains.direct(first + c, move); });
    project_all<double, B>(tile, rows(chains.v), model.points, {}, rows(chains.beta));
  }
  // From coordinate to coordinate alpha is carried on, for a sweep.
  if (!by_coordinate || k == 0) project_all<double, B>(tile, rows(chains.w), model.points, {}, rows(chains.alpha));
  if (chains.on_circle() && chains.has_relu) {
    project_all<double, B>(tile, rows(chains.w), model.relu_total, {}, rows(chains.relu_total[0]));
    project_all<double, B>(tile, rows(chains.v), model.relu_total, {}, rows(chains.relu_total[1]));
  }
  for_each_entry(tile, r.count, n, [=] FASTNTK_FORMULA(std::size_t c, std::size_t i) { chains.set_break(first + c, i); });
  rank_rows<B>(tile, rows(chains.key), rows(chains.rank), rows(chains.order));
}

template <Backend B>
void draw_moves_of(Tile<B>& tile, GibbsChains<B> chains, RowRange r, std::size_t move) {
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

}  // namespace

template <Backend B>
GibbsChains<B> take_chains(Tile<B>& memory, const GibbsModel<B>& model, const LeverageSamplerParams& params,
                           std::size_t first, std::size_t count) {
  const std::size_t n = model.rows;
  const bool circles = params.moves == GibbsMoves::circles;
  GibbsChains<B> chains{};
  chains.moves = params.moves;
  chains.has_step = model.has_step;
  chains.has_relu = model.has_relu;
  chains.dim = model.dim;
  chains.rows = n;
  chains.first = first;
  chains.seed = params.seed;

  const auto take = [&](std::size_t cols) { return memory.template scratch<double>(count, cols); };
  chains.w = take(chains.dim);
  chains.v = take(chains.dim);
  chains.here = take(2);
  for (View<double, B>* view : {&chains.alpha, &chains.beta, &chains.key, &chains.turn}) *view = take(n);
  for (View<double, B>& view : chains.end) view = take(n);
  chains.rank = take_numbers<B>(memory, count, n);
  chains.order = take_numbers<B>(memory, count, n);
  View<double, B>* const vectors[] = {chains.before, chains.after, chains.base, chains.passed};
  for (View<double, B>* const views : vectors) {
    // The break points need the pattern itself, of whatever form.
    if (chains.has_step || views == chains.before || views == chains.after) views[of_step] = take(n);
    if (!chains.has_relu) continue;
    const View<double, B> both = memory.template scratch<double>(2 * count, n);
    for (std::size_t v = 0; v < 2; ++v) views[of_alpha + v] = View<double, B>(both.row(v), count, n, 2 * both.stride);
  }
  if (circles && chains.has_relu)
    for (View<double, B>& view : chains.relu_total) view = take(n);
  for (std::size_t half = 0; half < (circles ? 2 : 1); ++half)
    for (std::size_t k = 0; k < 4; ++k)
      if (k == 0 ? chains.has_step : chains.has_relu) chains.change[4 * half + k] = take(n);

  chains.columns = model.columns.view();
  chains.nonzero = model.nonzero.view();
  for (std::size_t k = 0; k < 2; ++k) chains.diagonal[k] = model.diagonals.view().row_block(k, 1);
  chains.step_total = View<const double, B>(model.step_total.view().data, count, n, 0);
  return chains;
}

template <Backend B>
void start_chains(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& all, std::size_t count) {
  const GibbsChains<B> chains = all;
  Tile<B> tile(backend);
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t c) { chains.start(c); });
  project_chains<B>(backend, model, chains, count);
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t c) { chains.turn_to_rows(c); });
}

template <Backend B>
void set_curves(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& chains, std::size_t count,
                std::size_t move) {
  for_tiles<B>(backend, count, chain_tile<B>(count),
               [&](Tile<B>& tile, RowRange r) { set_curves_of<B>(tile, model, chains, r, move); });
}

template <Backend B>
void multiply_patterns(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& chains, std::size_t count,
                       bool passed) {
  for_tiles<B>(backend, chains.rows, std::min(product_tile_rows<B>, chains.rows), [&](Tile<B>& tile, RowRange r) {
    const auto multiply = [&](PatternVector p, std::size_t vectors) {
      const auto all = [&](const View<double, B>* of) {
        return View<double, B>(of[p].data, vectors * count, chains.rows, of[p].stride / vectors);
      };
      const auto part = [&](const View<double, B>* of) { return all(of).col_block(r.begin, r.count); };
      passed_products<B>(tile, model.form(p != of_step).row_block(r.begin, r.count), r.begin,
                         chains.rank.row_block(0, count), all(chains.before), all(chains.after), part(chains.base),
                         passed ? part(chains.passed) : View<double, B>());
    };
    if (chains.has_step) multiply(of_step, 1);
    // At w itself, where nothing is passed, alpha is all.
    if (chains.has_relu) multiply(of_alpha, passed ? 2 : 1);
  });
}

template <Backend B>
void draw_moves(const B& backend, const GibbsChains<B>& chains, std::size_t count, std::size_t move) {
  for_tiles<B>(backend, count, chain_tile<B>(count),
               [&](Tile<B>& tile, RowRange r) { draw_moves_of<B>(tile, chains, r, move); });
}

template <Backend B>
void move_chains(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& chains, std::size_t count,
                 std::size_t move) {
  set_curves<B>(backend, model, chains, count, move);
  multiply_patterns<B>(backend, model, chains, count, true);
  draw_moves<B>(backend, chains, count, move);
}

template <Backend B>
void write_directions(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& all, View<double, B> directions,
                      View<double, B> ratio) {
  const GibbsChains<B> chains = all;
  const std::size_t count = directions.rows;
  project_chains<B>(backend, model, chains, count);
  Tile<B> tile(backend);
  for_each_entry(tile, count, chains.rows, [=] FASTNTK_FORMULA(std::size_t c, std::size_t i) { chains.set_pattern(c, i); });
  multiply_patterns<B>(backend, model, chains, count, false);
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t c) { ratio(c, 0) = chains.ratio(c); });
  copy<double, B>(tile, chains.w.row_block(0, count), directions);
}

#define FASTNTK_INSTANTIATE(B)                                                                                   \
  template GibbsChains<B> take_chains(Tile<B>&, const GibbsModel<B>&, const LeverageSamplerParams&, std::size_t, \
                                      std::size_t);                                                              \
  template void start_chains(const B&, const GibbsModel<B>&, const GibbsChains<B>&, std::size_t);                \
  template void set_curves(const B&, const GibbsModel<B>&, const GibbsChains<B>&, std::size_t, std::size_t);     \
  template void multiply_patterns(const B&, const GibbsModel<B>&, const GibbsChains<B>&, std::size_t, bool);     \
  template void draw_moves(const B&, const GibbsChains<B>&, std::size_t, std::size_t);                           \
  template void move_chains(const B&, const GibbsModel<B>&, const GibbsChains<B>&, std::size_t, std::size_t);    \
  template void write_directions(const B&, const GibbsModel<B>&, const GibbsChains<B>&, View<double, B>, View<double, B>);
FASTNTK_INSTANTIATE(FASTNTK_BACKEND)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
