#include "kernel_sketch.hpp"

#include <cmath>

#include "tiling.hpp"

namespace fastntk {

template <Real T, Backend B>
void row_factors(Tile<B>& tile, std::size_t rows, const T* norm, bool homogeneous, const T* square, T target, T* factor) {
  for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) {
    const T of_norm = homogeneous ? norm[r] : norm[r] > 0 ? T(1) : T(0);
    factor[r] = square && square[r] > 0 ? of_norm * std::sqrt(target / square[r]) : of_norm;
  });
}

namespace {

// The root of a weight, times the norm or, unless homogeneous, 1 but for zero rows.
template <Real T, Backend B>
void exact_factors(Tile<B>& tile, std::size_t rows, const T* norm, bool homogeneous, double weight, T* factor) {
  const T root = static_cast<T>(std::sqrt(weight));
  for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) {
    factor[r] = homogeneous ? root * norm[r] : norm[r] > 0 ? root : T(0);
  });
}

}  // namespace

template <Real T, Backend B>
KernelSketch<T, B>::KernelSketch(const KernelSketchParams& p, const B& backend)
    : params_(p),
      shared_(p.out_features == 1 && p.constant > 0 && p.remainder > 0),
      linear_columns_(p.linear > 0 ? p.in_features + (p.bias != 0) : 0),
      exact_columns_(shared_ ? 0 : (p.constant > 0) + linear_columns_),
      input_(backend, p.in_features, p.bias, p.base, p.base_width, rng::child_seed(p.seed, 1)),
      graph_(backend, rng::child_seed(p.seed, 2)) {
  for (std::size_t k = 0; k < (input_.is_rotation() ? 1 : input_.parts); ++k)
    bases_.push_back(graph_.input(input_.base_width()));
  if (!input_.is_rotation()) bases_.push_back(graph_.input(input_.parts * input_.base_width()));
}

template <Real T, Backend B>
std::vector<ValueId> KernelSketch<T, B>::leaves(std::size_t count) const {
  std::vector<ValueId> leaves(count, bases_[0]);
  if (!input_.is_rotation())
    for (std::size_t k = 0; k < count; ++k) leaves[k] = bases_[k * input_.parts / count];
  return leaves;
}

template <Real T, Backend B>
SketchTerm KernelSketch<T, B>::linear_term(double weight) const {
  if (input_.is_rotation()) return {.left = bases_[0], .weight = weight};
  return {.left = bases_.back(), .weight = weight / static_cast<double>(input_.parts)};
}

template <Real T, Backend B>
std::size_t KernelSketch<T, B>::tile_rows(const B& backend) const {
  return rows_per_tile<T>(backend, input_.scratch_width() + graph_.scratch_width());
}

template <Real T, Backend B>
template <class Rows>
void KernelSketch<T, B>::apply(Tile<B>& tile, Rows x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t rows = out.rows;
  const SketchRows<T, B> in = input_.read(tile, x);
  T* const factor = tile.template scratch<T>(1, rows).data;

  const View<T, B> random = out.col_block(exact_columns_, random_columns());
  if (random.cols > 0) {
    graph_.apply(tile, in.bases, random);
    if (shared_) {  // the signs of the sketch are random: the sum has no bias
      const T root = static_cast<T>(std::sqrt(params_.constant));
      for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { random(r, 0) += root; });
    }
    T* const square = tile.template scratch<T>(1, rows).data;
    if (params_.exact_diagonal) row_squares<T, B>(tile, random, square);
    row_factors<T, B>(tile, rows, in.norm, params_.homogeneous, params_.exact_diagonal ? square : nullptr,
                      static_cast<T>(params_.remainder + (shared_ ? params_.constant : 0)), factor);
    scale_rows<T, B>(tile, factor, random, random);
  }

  if (params_.constant > 0 && !shared_) {
    exact_factors<T, B>(tile, rows, in.norm, params_.homogeneous, params_.constant, factor);
    for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { out(r, 0) = factor[r]; });
  }
  if (linear_columns_ > 0) {
    exact_factors<T, B>(tile, rows, in.norm, params_.homogeneous, params_.linear, factor);
    scale_rows<T, B>(tile, factor, in.unit, out.col_block(exact_columns_ - linear_columns_, linear_columns_));
  }
}

#define FASTNTK_INSTANTIATE(T)                                                                                  \
  template class KernelSketch<T, FASTNTK_BACKEND>;                                                              \
  template void KernelSketch<T, FASTNTK_BACKEND>::apply(Tile<FASTNTK_BACKEND>&, View<const T, FASTNTK_BACKEND>, \
                                                        View<T, FASTNTK_BACKEND>) const;                        \
  template void KernelSketch<T, FASTNTK_BACKEND>::apply(Tile<FASTNTK_BACKEND>&, CsrView<T, FASTNTK_BACKEND>,    \
                                                        View<T, FASTNTK_BACKEND>) const;                        \
  template void row_factors(Tile<FASTNTK_BACKEND>&, std::size_t, const T*, bool, const T*, T, T*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
