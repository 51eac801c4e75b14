// Solutions of the normal equations behind a RidgeState, and the equations themselves for what else they answer.
#include <fastntk/error.hpp>
#include <fastntk/memory.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "lanczos.hpp"
#include "ridge.hpp"
#include "ridge_equations.hpp"
#include "tile.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

constexpr const char* without_rows = "RidgeState: no rows of positive weight were added; at least 1 is needed";

struct Coefficients {
  std::vector<double> values;
  double jitter = 0;
  double inverse_trace = std::numeric_limits<double>::quiet_NaN();  // of (G_c + (alpha + jitter) I)^-1
  double condition = std::numeric_limits<double>::quiet_NaN();      // of G_c + (alpha + jitter) I
  double resolution = 0;
};

/// The condition number of G_c + diagonal I, whose factor is given: the product of the largest eigenvalues of the matrix and
/// of its inverse.
template <Real F, class Equations>
double condition_number(const Equations& equations, double diagonal, const F* factor) {
  const double largest =
      largest_eigenvalue(equations.n, [&](const std::vector<double>& x) { return equations.times(diagonal, x, 1); });
  const double of_inverse = largest_eigenvalue(equations.n, [&](const std::vector<double>& x) {
    std::vector<F> solved(x.begin(), x.end());
    equations.solve(factor, solved);
    return std::vector<double>(solved.begin(), solved.end());
  });
  const double condition = largest * of_inverse;
  // Estimates from below; that of a multiple of the identity may lie below 1 by rounding.
  return std::isnan(condition) ? std::numeric_limits<double>::infinity() : std::max(1.0, condition);
}

/// What is wrong with a matrix that has no Cholesky factor even with that much more on its diagonal.
template <class Equations>
const char* why_without_factor(const Equations& equations) {
  const std::vector<double> row_sums = equations.gram_times(std::vector<double>(equations.n, 1.0), 1);
  const bool finite = std::all_of(row_sums.begin(), row_sums.end(), [](double v) { return std::isfinite(v); });
  return finite ? "RidgeState: the matrix of the normal equations is indefinite: rows were removed that were not there, "
                  "or whose rounding exceeds what is left"
                : "RidgeState: the matrix of the normal equations is not finite";
}

template <Backend B, class Equations>
Coefficients solve_float64(Equations& equations, const RidgeSolveParams& p) {
  const auto& s = equations.s;
  Buffer<double, B> factor(s.backend, s.tiles.elements());
  Coefficients out;
  for (;;) {
    const double trace = equations.matrix(p.alpha + out.jitter, factor.data());
    equations.drop_rounding(trace);
    out.resolution = equations.resolution(trace);
    if (cholesky(equations.tile, s.tiles, factor.data())) break;
    const auto larger = next_ridge_jitter(out.jitter, p.alpha, equations.gram_trace(trace), equations.n);
    if (!larger) throw Error(why_without_factor(equations));
    out.jitter = *larger;
  }
  out.values = equations.rhs;
  equations.solve(factor.data(), out.values);
  if (p.with_condition) out.condition = condition_number(equations, p.alpha + out.jitter, factor.data());
  if (p.with_gcv) out.inverse_trace = inverse_norm(equations.tile, s.tiles, factor.data());
  return out;
}

/// The largest ratio of a column norm of a to that of b; columns of zeros count as equal.
double largest_ratio(const std::vector<double>& a, const std::vector<double>& b, std::size_t cols) {
  double largest = 0;
  for (std::size_t k = 0; k < cols; ++k) {
    double aa = 0, bb = 0;
    for (std::size_t i = k; i < a.size(); i += cols) {
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    if (aa == 0) continue;
    const double ratio = std::sqrt(aa / bb);
    if (std::isnan(ratio)) return ratio;
    largest = std::max(largest, ratio);
  }
  return largest;
}

/// Iterative refinement: x += A_32^-1 (rhs - A x) until the correction is small. False if the float factor does not exist or
/// is too far from A for that.
template <Backend B, class Equations>
bool solve_mixed(Equations& equations, const RidgeSolveParams& p, Coefficients& out) {
  constexpr double small = 1e-8;  // of a correction; what is left after it is smaller by the rate of convergence
  constexpr double slowest = 0.25;
  const auto& s = equations.s;
  const std::size_t n = equations.n, t = equations.t;
  Buffer<float, B> factor(s.backend, s.tiles.elements());
  const double trace = equations.matrix(p.alpha, factor.data());
  equations.drop_rounding(trace);
  if (!cholesky(equations.tile, s.tiles, factor.data())) return false;

  out = {};
  out.resolution = equations.resolution(trace);
  out.values.resize(n * t);
  std::vector<double> residual = equations.rhs, correction(n * t), scale(t);
  std::vector<float> scaled(n * t);
  for (double before = std::numeric_limits<double>::infinity();;) {
    // Columns are brought to size 1, so that float holds them.
    std::fill(scale.begin(), scale.end(), 0.0);
    for (std::size_t e = 0; e < n * t; ++e) scale[e % t] = std::max(scale[e % t], std::abs(residual[e]));
    for (double& value : scale) value = value > 0 ? value : 1;
    for (std::size_t e = 0; e < n * t; ++e) scaled[e] = static_cast<float>(residual[e] / scale[e % t]);
    equations.solve(factor.data(), scaled);
    for (std::size_t e = 0; e < n * t; ++e) {
      correction[e] = scale[e % t] * static_cast<double>(scaled[e]);
      out.values[e] += correction[e];
    }
    const double now = largest_ratio(correction, out.values, t);
    if (now <= small) break;
    if (!(now <= slowest * before)) return false;
    before = now;
    const std::vector<double> fitted = equations.times(p.alpha, out.values, t);
    for (std::size_t e = 0; e < n * t; ++e) residual[e] = equations.rhs[e] - fitted[e];
  }
  if (p.with_condition) out.condition = condition_number(equations, p.alpha, factor.data());
  if (p.with_gcv) out.inverse_trace = inverse_norm(equations.tile, s.tiles, factor.data());
  return true;
}

}  // namespace

template <Backend B>
RidgeSolution RidgeState<B>::solve(const RidgeSolveParams& p, View<double> coef, View<double> intercept) const {
  const State& s = *state_;
  require(p.alpha > 0 && std::isfinite(p.alpha),
          [&] { return "RidgeState: alpha is " + std::to_string(p.alpha) + "; a positive finite number is needed"; });
  require_shape(coef, s.params.n_features, s.params.n_targets, "RidgeState: coef");
  require_shape(intercept, 1, s.params.n_targets, "RidgeState: intercept");
  require(s.rows > 0, without_rows);

  Tile<B> memory(s.backend);
  const ProductLibrary<B> library(s.backend);
  NormalEquations<B, State> equations(s, p.fit_intercept, memory);
  Coefficients solved;
  RidgeSolution solution{.gcv = std::numeric_limits<double>::quiet_NaN(), .precision = p.precision};
  if (p.precision == RidgePrecision::float64 || !solve_mixed<B>(equations, p, solved)) {
    solved = solve_float64<B>(equations, p);
    solution.precision = RidgePrecision::float64;
  }
  solution.jitter = solved.jitter;
  solution.condition = solved.condition;
  solution.resolution = solved.resolution;

  const std::size_t n = equations.n, t = equations.t;
  const std::vector<double> projection = equations.sums_times(solved.values, t);
  for (std::size_t k = 0; k < t; ++k)
    intercept(0, k) = p.fit_intercept ? (equations.target_sum[k] - projection[k]) / s.total_weight : 0;
  for (std::size_t i = 0; i < n; ++i) std::copy_n(&solved.values[i * t], t, coef.row(i));

  if (p.with_gcv) {
    // With (G_c + a I) coef = rhs: |Y_c - Z_c coef|^2 = |Y_c|^2 - coef^T rhs - a |coef|^2, and
    // tr(hat) = tr (G_c + a I)^-1 G_c = n_features - a tr (G_c + a I)^-1, plus 1 for the intercept.
    const double a = p.alpha + solved.jitter;
    double squares = 0, variation = 0;
    for (std::size_t k = 0; k < t; ++k) {
      variation += equations.variation[k];
      double left = equations.variation[k];
      for (std::size_t e = k; e < n * t; e += t) left -= solved.values[e] * (equations.rhs[e] + a * solved.values[e]);
      squares += std::max(left, 0.0);
    }
    // A row of weight 2 counts as two rows.
    const double samples = s.total_weight;
    const double freedom = samples - (static_cast<double>(n) - a * solved.inverse_trace) - (p.fit_intercept ? 1 : 0);
    solution.gcv =
        solved.jitter == 0 ? ridge_gcv(samples, freedom, squares, variation) : std::numeric_limits<double>::infinity();
  }
  return solution;
}

template <Backend B>
void RidgeState<B>::equations(bool fit_intercept, const RidgeEquations& out) const {
  const State& s = *state_;
  const std::size_t n = s.params.n_features, t = s.params.n_targets;
  require_shape(out.gram, n, n, "RidgeState: gram");
  require_shape(out.rhs, n, t, "RidgeState: rhs");
  require_shape(out.mean, 1, n, "RidgeState: mean");
  require_shape(out.target_mean, 1, t, "RidgeState: target_mean");
  require_shape(out.variation, 1, t, "RidgeState: variation");
  require(s.rows > 0, without_rows);

  Tile<B> memory(s.backend);
  const ProductLibrary<B> library(s.backend);
  NormalEquations<B, State> equations(s, fit_intercept, memory);
  Buffer<double, B> packed(s.backend, s.tiles.elements());
  equations.drop_rounding(equations.matrix(0, packed.data()));

  const TriangleTiles& tiles = s.tiles;
  std::vector<double> tile(tiles.edge * tiles.edge);
  for (std::size_t i = 0; i < tiles.side; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      const std::size_t rows = tiles.size(i), cols = tiles.size(j);
      copy_out(s.backend, packed.data() + tiles.offset(i, j), rows * cols * sizeof(double), tile.data());
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t row = tiles.first(i) + r, count = i == j ? r + 1 : cols;
        std::copy_n(&tile[r * cols], count, out.gram.row(row) + tiles.first(j));
        for (std::size_t c = 0; c < count; ++c) out.gram(tiles.first(j) + c, row) = tile[r * cols + c];
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    std::copy_n(&equations.rhs[i * t], t, out.rhs.row(i));
    out.mean(0, i) = fit_intercept ? equations.sums[i] / s.total_weight : 0;
  }
  for (std::size_t k = 0; k < t; ++k) {
    out.target_mean(0, k) = fit_intercept ? equations.target_sum[k] / s.total_weight : 0;
    out.variation(0, k) = std::max(equations.variation[k], 0.0);
  }
}

template RidgeSolution RidgeState<FASTNTK_BACKEND>::solve(const RidgeSolveParams&, View<double>, View<double>) const;
template void RidgeState<FASTNTK_BACKEND>::equations(bool, const RidgeEquations&) const;

}  // namespace fastntk
