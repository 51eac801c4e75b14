#include "dot_product_sketch.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "tiling.hpp"

namespace fastntk {
namespace {

// Entries of the powers inside: their errors come on top of the columns' own only where the cosine is large, and then by
// degree / entries.
std::size_t chosen_power_features(std::size_t out_features) {
  return std::clamp<std::size_t>(padded(out_features) / 4, 256, 4096);
}

// Z21 sketches the powers before the final SRHT: with fewer entries than columns they would set the error.
std::size_t sampled_power_features(std::size_t out_features) { return out_features; }

template <Real T>
void require_coefficients(const std::vector<double>& c) {
  require(!c.empty(), [] { return std::string("DotProductSketch: coefficients is empty; at least c_0 is needed"); });
  constexpr std::size_t most = 4097;
  require(c.size() <= most, [&] {
    return "DotProductSketch: coefficients has " + std::to_string(c.size()) + " entries; at most " + std::to_string(most) +
           " are possible";
  });
  for (std::size_t k = 0; k < c.size(); ++k)
    require(std::isfinite(c[k]) && c[k] >= 0, [&] {
      return "DotProductSketch: coefficients[" + std::to_string(k) + "] is " + std::to_string(c[k]) +
             "; finite numbers that are not negative are needed";
    });
  require_finite<T>(std::accumulate(c.begin(), c.end(), 0.0), "DotProductSketch: the sum of the coefficients");
}

template <Real T>
DotProductSketchParams resolve(DotProductSketchParams p) {
  require_size(p.in_features, "DotProductSketch: in_features");
  require_size(p.out_features, "DotProductSketch: out_features");
  require_coefficients<T>(p.coefficients);
  require_finite<T>(p.bias, "DotProductSketch: bias");
  while (p.coefficients.size() > 1 && p.coefficients.back() == 0) p.coefficients.pop_back();
  const std::size_t d = p.in_features + (p.bias != 0);
  const auto c = [&](std::size_t k) { return k < p.coefficients.size() ? p.coefficients[k] : 0.0; };
  const std::size_t exact_columns = (c(0) > 0) + (c(1) > 0 ? d : 0);
  const bool has_rest = p.coefficients.size() > 2;
  if (p.low_orders == LowOrders::automatic)
    p.low_orders =
        p.base != SketchBase::count_sketch &&
                linear_columns_pay(p.out_features, exact_columns, c(1),
                                   std::accumulate(p.coefficients.begin(), p.coefficients.end(), 0.0) - c(0) - c(1))
            ? LowOrders::exact
            : LowOrders::constant;
  const std::size_t least = p.low_orders == LowOrders::exact ? exact_columns + has_rest : 1;
  require(p.out_features >= least, [&] {
    return "DotProductSketch: out_features is " + std::to_string(p.out_features) + "; at least " + std::to_string(least) +
           " (the constant, one column per input, and one for the rest) are needed with low_orders 'exact'; use more, or "
           "low_orders 'auto'";
  });
  require(p.low_orders != LowOrders::exact || p.base != SketchBase::count_sketch || c(1) == 0, [] {
    return std::string(
        "DotProductSketch: base is 'count_sketch', which has no exact linear term; use low_orders 'constant'");
  });
  const bool in_full = p.low_orders == LowOrders::sampled || (p.low_orders == LowOrders::exact && c(1) > 0);
  p.base = SketchInput<float, Cpu>::choose(p.base, d, p.out_features, in_full);
  if (p.diagonal == Diagonal::automatic)
    p.diagonal = p.low_orders == LowOrders::sampled ? Diagonal::sampled : Diagonal::exact;
  if (p.power_features == 0)
    p.power_features =
        p.low_orders == LowOrders::sampled ? sampled_power_features(p.out_features) : chosen_power_features(p.out_features);
  require_size(p.power_features, "DotProductSketch: power_features");
  return p;
}

}  // namespace

template <Real T, Backend B>
DotProductSketch<T, B>::State::State(const DotProductSketchParams& given, const B& backend) : params(resolve<T>(given)) {
  const DotProductSketchParams& p = params;
  const std::vector<double>& c = p.coefficients;
  at_one_ = std::accumulate(c.begin(), c.end(), 0.0);
  const std::size_t d = p.in_features + (p.bias != 0);
  if (p.low_orders == LowOrders::sampled) {
    const auto base = p.base == SketchBase::count_sketch ? PolySketchBase::count_sketch : PolySketchBase::srht;
    sampled_.emplace(SketchInput<T, B>(backend, p.in_features, p.bias, SketchBase::rotation, 0, 0),
                     PolynomialSketch<T, B>(backend, d, c, p.power_features, p.out_features, base, p.seed));
    return;
  }
  const double constant = c[0];
  const double linear = p.low_orders == LowOrders::exact && c.size() > 1 ? c[1] : 0;
  std::vector<double> rest = c;
  rest[0] = 0;
  if (linear > 0) rest[1] = 0;
  kernel_.emplace(KernelSketchParams{.in_features = p.in_features,
                                     .out_features = p.out_features,
                                     .bias = p.bias,
                                     .homogeneous = p.homogeneous,
                                     .exact_diagonal = p.diagonal == Diagonal::exact,
                                     .constant = constant,
                                     .linear = linear,
                                     .remainder = std::accumulate(rest.begin(), rest.end(), 0.0),
                                     .base = p.base,
                                     .base_width = padded(p.out_features) / 4,
                                     .seed = p.seed},
                  backend);
  SketchGraph<T, B>& graph = kernel_->graph();
  PowerTree<T, B> powers(graph, kernel_->leaves(c.size() - 1), p.power_features);
  std::vector<SketchTerm> terms;
  std::vector<double> sizes;
  for (std::size_t k = 1; k < c.size(); ++k) {
    if (rest[k] == 0) continue;
    terms.push_back(k == 1 ? kernel_->linear_term(c[1]) : powers.term(k, c[k]));
    sizes.push_back(c[k]);
  }
  const std::size_t columns = kernel_->random_columns();
  graph.divide(graph.value(columns), 0, columns, terms, sizes);
}

template <Real T, Backend B>
std::size_t DotProductSketch<T, B>::State::tile_rows(const B& run) const {
  if (kernel_) return kernel_->tile_rows(run);
  return rows_per_tile<T>(run, sampled_->input.scratch_width() + sampled_->sketch.scratch_width() + params.out_features);
}

template <Real T, Backend B>
template <class Rows>
void DotProductSketch<T, B>::State::apply(Tile<B>& tile, Rows x, View<T, B> out) const {
  if (kernel_) return kernel_->apply(tile, x, out);
  const typename Tile<B>::Scope scope(tile);
  const SketchRows<T, B> in = sampled_->input.read(tile, x);
  sampled_->sketch.apply(tile, in.unit, out);
  T* const square = tile.template scratch<T>(1, out.rows).data;
  T* const factor = tile.template scratch<T>(1, out.rows).data;
  const bool exact = params.diagonal == Diagonal::exact;
  if (exact) row_squares<T, B>(tile, out, square);
  row_factors<T, B>(tile, out.rows, in.norm, params.homogeneous, exact ? square : nullptr, static_cast<T>(at_one_), factor);
  scale_rows<T, B>(tile, factor, out, out);
}

template <Real T, Backend B>
DotProductSketch<T, B>::DotProductSketch(const DotProductSketchParams& params, B backend)
    : backend_(backend), state_(std::make_shared<State>(params, backend)) {
  finish(backend);
}

template <Real T, Backend B>
DotProductSketch<T, B> DotProductSketch<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "DotProductSketch: on");
  DotProductSketch other = *this;
  other.backend_ = backend;
  return other;
}

template <Real T, Backend B>
const DotProductSketchParams& DotProductSketch<T, B>::params() const {
  return state_->params;
}

template <Real T, Backend B>
void DotProductSketch<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.in_features, "DotProductSketch: x");
  require_shape(out, x.rows, state_->params.out_features, "DotProductSketch: out");
  for_tiles<B>(backend_, x.rows, state_->tile_rows(backend_), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template <Real T, Backend B>
void DotProductSketch<T, B>::operator()(CsrView<T, B> x, View<T, B> out) const {
  require_columns(x.cols, state_->params.in_features, "DotProductSketch: x");
  require_shape(out, x.rows, state_->params.out_features, "DotProductSketch: out");
  for_tiles<B>(backend_, x.rows, state_->tile_rows(backend_), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

#define FASTNTK_INSTANTIATE(T)                                                                                             \
  template class DotProductSketch<T, FASTNTK_BACKEND>;                                                                     \
  template void DotProductSketch<T, FASTNTK_BACKEND>::State::apply(Tile<FASTNTK_BACKEND>&, View<const T, FASTNTK_BACKEND>, \
                                                                   View<T, FASTNTK_BACKEND>) const;                        \
  template void DotProductSketch<T, FASTNTK_BACKEND>::State::apply(Tile<FASTNTK_BACKEND>&, CsrView<T, FASTNTK_BACKEND>,    \
                                                                   View<T, FASTNTK_BACKEND>) const;
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
