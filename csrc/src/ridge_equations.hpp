// The normal equations behind a RidgeState: all rows, the waiting ones included, with the intercept eliminated.
#pragma once

#include <fastntk/error.hpp>
#include <fastntk/memory.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <variant>
#include <vector>

#include "ridge_primitives.hpp"
#include "tile.hpp"

namespace fastntk {

/// The normal equations of all rows, with the intercept eliminated: (G_c + alpha I) coef = rhs, where G_c and rhs are
/// centred by the weighted means, and `variation` is the centred Y^T Y. What has as many numbers as G_c is in the memory of
/// B, the rest on the host.
template <Backend B, class State>
struct NormalEquations {
  NormalEquations(const State& state, bool fit_intercept, Tile<B>& memory)
      : s(state), tile(memory), n(state.params.n_features), t(state.params.n_targets), rhs(n * t) {
    const std::vector<double> total = [&] {
      Buffer<double, B> sum(s.backend, s.cross.size());
      copy_numbers(s.backend, s.cross.data(), s.cross.size(), sum.data());
      std::visit(
          [&](const auto& rows_of) {
            add_cross(tile, s.tiles, rows_of, s.right_rows(0, rows_of.rows), View<double, B>(sum.data(), n, t + 1));
          },
          s.block);
      return sum.to_host();
    }();
    const std::vector<double> target_sums = s.sums.to_host();
    target_sum.assign(target_sums.begin(), target_sums.begin() + static_cast<std::ptrdiff_t>(t));
    variation.assign(target_sums.begin() + static_cast<std::ptrdiff_t>(t), target_sums.end());
    for (std::size_t i = 0; i < n; ++i) std::copy_n(&total[i * (t + 1) + 1], t, &rhs[i * t]);
    if (!fit_intercept) return;
    sums.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      sums[i] = total[i * (t + 1)];
      const double mean = sums[i] / s.total_weight;
      for (std::size_t k = 0; k < t; ++k) rhs[i * t + k] -= mean * target_sum[k];
    }
    for (std::size_t k = 0; k < t; ++k) variation[k] -= target_sum[k] * (target_sum[k] / s.total_weight);
    near_sums = Buffer<double, B>(s.backend, sums);
  }

  /// out = G_c + diagonal I; the trace of G_c is returned.
  template <Real F>
  double matrix(double diagonal, F* out) const {
    const double trace = std::visit(
        [&](const auto& rows_of) {
          return assemble(tile, s.tiles, s.gram.data(), rows_of, near_sums.data(), s.total_weight, diagonal, out);
        },
        s.block);
    require(std::isfinite(trace) && std::all_of(rhs.begin(), rhs.end(), [](double v) { return std::isfinite(v); }),
            "RidgeState: the sums are not finite; a row or target was NaN, infinite or too large to be squared");
    return trace;
  }

  /// The trace of G, not centred, from that of G_c.
  double gram_trace(double trace) const {
    for (const double sum : sums) trace += sum * (sum / s.total_weight);
    return trace;
  }

  /// Where G_c (of the given trace) is no more than the rounding of G, as it is for equal rows, the columns of rhs that are
  /// no more than theirs become 0: the quotient of two roundings could be anything.
  void drop_rounding(double trace) {
    if (sums.empty()) return;
    const double of_gram = gram_trace(trace);
    // The errors of sums of equal terms add up, those of float products within a block. All rows are taken to be of the
    // precision of the last ones.
    const double steps = 2 * static_cast<double>(s.rows) + 8;
    double gram_eps = steps * std::numeric_limits<double>::epsilon(), rhs_eps = gram_eps;
    if (std::holds_alternative<RowBlock<float, B>>(s.block)) {
      constexpr double eps = std::numeric_limits<float>::epsilon();
      gram_eps += std::min(steps, 2.0 * RowBlock<float, B>::capacity + 8) * eps;
      rhs_eps += 4 * eps;  // of the rows times the roots of their weights
    }
    if (!(trace <= gram_eps * of_gram) || !std::isfinite(of_gram)) return;
    for (std::size_t k = 0; k < t; ++k) {
      double square = 0;
      for (std::size_t e = k; e < n * t; e += t) square += rhs[e] * rhs[e];
      const double of_targets = variation[k] + target_sum[k] * (target_sum[k] / s.total_weight);
      if (std::sqrt(square) > rhs_eps * std::sqrt(of_gram) * std::sqrt(of_targets)) continue;
      for (std::size_t e = k; e < n * t; e += t) rhs[e] = 0;
    }
  }

  /// (G_c + alpha I) x for x (n, cols).
  std::vector<double> times(double alpha, const std::vector<double>& x, std::size_t cols) const {
    std::vector<double> product = gram_times(x, cols);
    const std::vector<double> projection = sums_times(x, cols);
    for (std::size_t i = 0; i < n; ++i) {
      const double mean = sums.empty() ? 0 : sums[i] / s.total_weight;
      for (std::size_t k = 0; k < cols; ++k) {
        product[i * cols + k] = product[i * cols + k] - mean * projection[k] + alpha * x[i * cols + k];
      }
    }
    return product;
  }

  /// G x for the G of all rows, not centred.
  std::vector<double> gram_times(const std::vector<double>& x, std::size_t cols) const {
    const Buffer<double, B> near_x(s.backend, x);
    const View<const double, B> xv(near_x.data(), n, cols);
    Buffer<double, B> product(s.backend, n * cols);
    const View<double, B> out(product.data(), n, cols);
    multiply_gram(tile, s.tiles, s.gram.data(), xv, out);
    std::visit(
        [&](const auto& rows_of) {
          if (rows_of.rows == 0) return;
          Array<double, B> fitted(s.backend, rows_of.rows, cols);
          multiply_block(tile, s.tiles, rows_of, xv, fitted.view());
          add_cross(tile, s.tiles, rows_of, std::as_const(fitted).view(), out);
        },
        s.block);
    return product.to_host();
  }

  /// sums^T x, 0 without intercept.
  std::vector<double> sums_times(const std::vector<double>& x, std::size_t cols) const {
    std::vector<double> out(cols);
    for (std::size_t i = 0; i < sums.size(); ++i)
      for (std::size_t k = 0; k < cols; ++k) out[k] += sums[i] * x[i * cols + k];
    return out;
  }

  /// x = (L L^T)^-1 x for x (n, any).
  template <Real F>
  void solve(const F* factor, std::vector<F>& x) const {
    Buffer<F, B> near_x(s.backend, x);
    cholesky_solve(tile, s.tiles, factor, View<F, B>(near_x.data(), n, x.size() / n));
    x = near_x.to_host();
  }

  /// What the rounding of the rows' products leaves of eigenvalues of G_c, whose trace is given: as much as eps times the
  /// trace of G before it was centred, eps that of the last rows.
  double resolution(double trace) const {
    const bool single = std::holds_alternative<RowBlock<float, B>>(s.block);
    return (single ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon()) * gram_trace(trace);
  }

  const State& s;
  Tile<B>& tile;
  const std::size_t n, t;
  std::vector<double> sums;  // of the weighted rows; empty without intercept
  std::vector<double> target_sum, variation;
  std::vector<double> rhs;
  Buffer<double, B> near_sums;  // sums in the memory of B
};

}  // namespace fastntk
