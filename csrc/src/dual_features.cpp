#include "dual_features.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "dual_activation.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// Per order k, as hermite_features() sums a series: its coefficient and those of Clenshaw's recurrence
// b_k = coefficient + u b_{k+1} / sqrt(k + 1) - sqrt((k + 1)/(k + 2)) b_{k+2}, b_0 the sum.
constexpr std::size_t hermite_step = 3;

// Columns that are summed side by side, in registers.
constexpr std::size_t hermite_lanes = 16;

template <Real T>
std::vector<T> hermite_table(const std::vector<double>& coefficients) {
  std::vector<T> table;
  for (std::size_t k = 0; k < coefficients.size(); ++k) {
    const auto x = static_cast<double>(k);
    for (const double value : {coefficients[k], 1 / std::sqrt(x + 1), std::sqrt((x + 1) / (x + 2))})
      table.push_back(static_cast<T>(value));
  }
  return table;
}

// The primitive dual_features() of a Hermite series.
template <Real T, Backend B>
void hermite_features(Tile<B>& tile, const Buffer<T, B>& series, View<T, B> z, T* square) {
  const T* const table = series.data();
  const std::size_t end = series.size();
  const std::size_t blocks = (z.cols + hermite_lanes - 1) / hermite_lanes;
  for_each(tile, z.rows * blocks, [=] FASTNTK_FORMULA(std::size_t i) {
    const std::size_t first = i % blocks * hermite_lanes;
    T* const entry = z.row(i / blocks) + first;
    T u[hermite_lanes], sum[hermite_lanes], next[hermite_lanes];
    FASTNTK_UNROLL
    for (std::size_t j = 0; j < hermite_lanes; ++j) {
      u[j] = first + j < z.cols ? entry[j] : T(0);
      sum[j] = next[j] = 0;
    }
    for (std::size_t k = end; k > 0; k -= hermite_step) {
      const T coefficient = table[k - 3], up = table[k - 2], down = table[k - 1];
      FASTNTK_UNROLL
      for (std::size_t j = 0; j < hermite_lanes; ++j) {
        const T previous = sum[j];
        sum[j] = coefficient + u[j] * up * previous - down * next[j];
        next[j] = previous;
      }
    }
    FASTNTK_UNROLL
    for (std::size_t j = 0; j < hermite_lanes; ++j)
      if (first + j < z.cols) entry[j] = sum[j];
  });
  const typename Tile<B>::Scope scope(tile);
  T* const part = tile.template scratch<T>(1, z.rows).data;
  row_squares<T, B>(tile, z, part);
  for_each(tile, z.rows, [=] FASTNTK_FORMULA(std::size_t r) { square[r] += part[r]; });
}

}  // namespace

template <Real T, Backend B>
DualFeatures<T, B>::DualFeatures(const DualFeaturesParams& p, const B& backend)
    : exact_columns_(p.exact_columns()),
      exact_diagonal_(p.diagonal == Diagonal::exact),
      directions_(backend, p.directions, p.in_features, p.out_features - exact_columns_, rng::child_seed(p.seed, 1)) {
  const auto take = [this](const auto& g) {
    constant_ = static_cast<T>(std::sqrt(g.low_order[0]));
    linear_ = static_cast<T>(std::sqrt(g.low_order[1]));
    remainder_ = static_cast<T>(g.remainder);
  };
  const std::size_t low_orders = std::min<std::size_t>(exact_columns_, 2);
  if (p.kernel.kernel == CosineKernel::polynomial) {
    const DualPolynomial g = dual_polynomial(p.kernel.coefficients, low_orders);
    take(g);
    hermite_ = Buffer<T, B>(backend, hermite_table<T>(g.hermite));
  } else {
    const DualActivation g = dual_activation(p.kernel.kernel, p.kernel.depth, low_orders);
    take(g);
    g_ = DualTable<T, B>(backend, g);
  }
}

template <Real T, Backend B>
std::size_t DualFeatures<T, B>::tile_rows(const B& backend) const {
  // In one pass only the input, and its unit rows, are read again.
  if (in_one_pass(backend)) return rows_per_tile<T>(backend, 2 * directions_.in_features());
  return directions_.tile_rows(backend, exact_columns_ + directions_.size());
}

template <Real T, Backend B>
void DualFeatures<T, B>::apply(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const {
  if (!in_one_pass(tile.backend())) return apply_in_steps(tile, unit, norm, out);
  const DualRows<T, B> features{.n = directions_.panel(),
                                .m = directions_.size(),
                                .rotation = directions_.rotation(),
                                .length = directions_.length(),
                                .g = &g_,
                                .exact_columns = exact_columns_,
                                .exact_diagonal = exact_diagonal_,
                                .constant = constant_,
                                .linear = linear_,
                                .remainder = remainder_};
  dual_rows<T, B>(tile, features, unit, norm, out);
}

template <Real T, Backend B>
void DualFeatures<T, B>::apply_in_steps(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t rows = out.rows;
  const std::size_t m = directions_.size();
  T* const square = tile.template scratch<T>(1, rows).data;
  for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { square[r] = 0; });

  const View<T, B> random = out.col_block(exact_columns_, m);
  for (std::size_t first = 0; first < m; first += directions_.panel()) {
    const View<T, B> panel = random.col_block(first, std::min(directions_.panel(), m - first));
    directions_.apply(tile, unit, first, {}, panel);
    if (hermite_.size() > 0)
      hermite_features<T, B>(tile, hermite_, panel, square);
    else
      dual_features<T, B>(tile, g_, panel, square);
  }

  // Scaling the random columns alone leaves the exact ones exact.
  T* const scale = tile.template scratch<T>(1, rows).data;
  const bool exact_diagonal = exact_diagonal_;
  const T target = remainder_;
  const T mean_scale = static_cast<T>(1 / std::sqrt(static_cast<double>(m)));
  for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) {
    scale[r] = norm[r] * (exact_diagonal && square[r] > 0 ? std::sqrt(target / square[r]) : mean_scale);
  });
  scale_rows<T, B>(tile, scale, random, random);

  if (exact_columns_ == 0) return;
  const T constant = constant_;
  for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { out(r, 0) = constant * norm[r]; });
  if (exact_columns_ > 1) {
    const T linear = linear_;
    for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { scale[r] = linear * norm[r]; });
    scale_rows<T, B>(tile, scale, unit, out.col_block(1, unit.cols));
  }
}

template class DualFeatures<float, FASTNTK_BACKEND>;
template class DualFeatures<double, FASTNTK_BACKEND>;

}  // namespace fastntk
