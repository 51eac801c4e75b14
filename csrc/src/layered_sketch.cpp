// Z21 Algorithm 1.
#include <algorithm>
#include <cmath>
#include <utility>

#include "ntk_sketch.hpp"
#include "tiling.hpp"

namespace fastntk {

template <Real T, Backend B>
LayeredSketch<T, B>::LayeredSketch(const NtkSketchParams& p, const B& backend)
    : r_(p.layer_features),
      s_(p.product_features),
      exact_diagonal_(p.diagonal == Diagonal::exact),
      at_one_(static_cast<T>(p.depth + 1)),
      input_(backend, p.in_features, p.bias, SketchBase::rotation, 0, 0),
      first_({.in_features = p.in_features + (p.bias != 0),
              .degree = 1,
              .out_features = r_,
              .seed = rng::child_seed(p.seed, 1),
              .base = p.base == SketchBase::count_sketch ? PolySketchBase::count_sketch : PolySketchBase::srht},
             backend),
      second_({.in_features = r_, .out_features = s_, .seed = rng::child_seed(p.seed, 2), .replacement = true}, backend),
      last_(backend, Directions::gaussian, s_, p.out_features, rng::child_seed(p.seed, 3)) {
  for (std::size_t l = 0; l < p.depth; ++l) {
    const std::uint64_t seed = rng::child_seed(p.seed, 4 + l);
    const auto polynomial = [&](const std::vector<double>& c, std::size_t power_features, std::size_t out,
                                std::uint64_t part) {
      return PolynomialSketch<T, B>(backend, r_, c, power_features, out, PolySketchBase::srht, rng::child_seed(seed, part));
    };
    layers_.push_back(
        {polynomial(p.kappa_1[l], p.power_features, r_, 1), polynomial(p.kappa_0[l], p.gate_features, s_, 2),
         typename PolySketch<T, B>::State({.in_features = s_,
                                           .degree = 2,
                                           .out_features = s_,
                                           .seed = rng::child_seed(seed, 3),
                                           .base = PolySketchBase::srht},
                                          backend),
         typename Srht<T, B>::State(
             {.in_features = s_ + r_, .out_features = s_, .seed = rng::child_seed(seed, 4), .replacement = true}, backend)});
  }
}

template <Real T, Backend B>
std::size_t LayeredSketch<T, B>::tile_rows(const B& backend) const {
  const Layer& layer = layers_.front();
  const std::size_t width = input_.scratch_width() + layer.phi.scratch_width() + layer.gate.scratch_width() + 4 * (r_ + s_);
  // The last matrix asks for many rows a tile, but these are wide.
  constexpr std::size_t least = 16;
  return std::min(last_.tile_rows(backend, width), std::max(rows_per_tile<T>(backend, width), least));
}

template <Real T, Backend B>
template <class Rows>
void LayeredSketch<T, B>::apply(Tile<B>& tile, Rows x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t rows = out.rows;
  const SketchRows<T, B> in = input_.read(tile, x);
  View<T, B> phi = tile.template scratch<T>(rows, r_);
  View<T, B> next_phi = tile.template scratch<T>(rows, r_);
  const View<T, B> psi = tile.template scratch<T>(rows, s_);
  const View<T, B> gate = tile.template scratch<T>(rows, s_);
  const View<T, B> sum = tile.template scratch<T>(rows, s_ + r_);
  first_.apply(tile, in.unit, phi);
  second_.apply(tile, phi, psi);
  for (const Layer& layer : layers_) {
    layer.phi.apply(tile, phi, next_phi);
    layer.gate.apply(tile, phi, gate);
    layer.product.tensor(tile, {psi, gate}, sum.col_block(0, s_));
    copy<T, B>(tile, next_phi, sum.col_block(s_, r_));
    layer.sum.apply(tile, sum, psi);
    std::swap(phi, next_phi);
  }
  for (std::size_t first = 0; first < out.cols; first += last_.panel())
    last_.apply(tile, psi, first, {}, out.col_block(first, std::min(last_.panel(), out.cols - first)));
  T* const square = tile.template scratch<T>(1, rows).data;
  T* const factor = tile.template scratch<T>(1, rows).data;
  if (exact_diagonal_) row_squares<T, B>(tile, out, square);
  row_factors<T, B>(tile, rows, in.norm, true, exact_diagonal_ ? square : nullptr, at_one_, factor);
  if (!exact_diagonal_) {
    const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(out.cols)));
    for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { factor[r] *= scale; });
  }
  scale_rows<T, B>(tile, factor, out, out);
}

#define FASTNTK_INSTANTIATE(T)                                                                                   \
  template class LayeredSketch<T, FASTNTK_BACKEND>;                                                              \
  template void LayeredSketch<T, FASTNTK_BACKEND>::apply(Tile<FASTNTK_BACKEND>&, View<const T, FASTNTK_BACKEND>, \
                                                         View<T, FASTNTK_BACKEND>) const;                        \
  template void LayeredSketch<T, FASTNTK_BACKEND>::apply(Tile<FASTNTK_BACKEND>&, CsrView<T, FASTNTK_BACKEND>,    \
                                                         View<T, FASTNTK_BACKEND>) const;
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
