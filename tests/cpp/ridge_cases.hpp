// What the tests of the ridge state's equations share: rows whose sums are exact, and the equations as arrays.
#pragma once

#include <fastntk/ridge.hpp>
#include <fastntk/rng.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "sketches.hpp"

namespace ridge_cases {

using fastntk::Backend;
using fastntk::RidgeState;
using sketches::Matrix;

/// Quarters in [-1, 1] and weights whose roots are powers of two: every product and every sum of some thousand of them is
/// exact in float, in any order. So are the means of rows without weights if their number is a power of two.
struct ExactRows {
  ExactRows(std::size_t rows, std::size_t features, std::size_t targets, std::uint64_t seed = 1)
      : n(rows), d(features), t(targets), z32(rows, features), z64(rows, features), y(rows, targets), w(rows) {
    const Matrix<int> zi = sketches::integer_rows<int>(n, d, 4, seed), yi = sketches::integer_rows<int>(n, t, 4, seed + 1);
    const fastntk::rng::Draws draws{seed + 2, fastntk::rng::Stream::sample};
    for (std::size_t e = 0; e < n * d; ++e) z64.values[e] = z32.values[e] = static_cast<float>(zi.values[e]) / 4;
    for (std::size_t e = 0; e < n * t; ++e) y.values[e] = yi.values[e] / 4.0;
    constexpr double weights[] = {0.25, 1, 4};
    for (std::size_t r = 0; r < n; ++r) w[r] = weights[draws.integer(r, 3)];
  }
  template <class T>
  const Matrix<T>& z() const {
    if constexpr (std::is_same_v<T, float>) {
      return z32;
    } else {
      return z64;
    }
  }

  std::size_t n, d, t;
  Matrix<float> z32;
  Matrix<double> z64, y;
  std::vector<double> w;
};

/// Rows that nothing about is exact, with sizes from 1e-3 to 1e3 and all of one sign.
inline ExactRows rounded_rows(std::size_t rows, std::size_t features, std::size_t targets) {
  ExactRows out(rows, features, targets);
  for (std::size_t r = 0; r < out.n; ++r) {
    const double size = std::pow(10, 3 * std::sin(static_cast<double>(r)));
    for (std::size_t c = 0; c < out.d; ++c) {
      const float value = static_cast<float>(size * (1.1 + std::cos(static_cast<double>(r * out.d + c))));
      out.z32.values[r * out.d + c] = value;
      out.z64.values[r * out.d + c] = value / 3.0;
    }
    for (std::size_t k = 0; k < out.t; ++k) out.y(r, k) = size * std::sqrt(1.0 + static_cast<double>(k));
    out.w[r] = 0.1 + 1 / size;
  }
  return out;
}

/// A window of rows slides `steps` times by `step` rows, round and round through `n` rows, and shrinks to nothing in the
/// end. All of these divide each other; state_of(first, count) makes a state of some rows.
template <class StateOf>
auto slide(std::size_t n, std::size_t window, std::size_t step, std::size_t steps, StateOf state_of) {
  const auto part = [&](std::size_t i) { return state_of(i * step % n, step); };
  auto state = state_of(0, window);
  for (std::size_t i = 0; i < steps; ++i) {
    state.merge(part(window / step + i));
    state.subtract(part(i));
  }
  for (std::size_t i = steps; state.rows() > 0; ++i) state.subtract(part(i));
  return state;
}

/// What RidgeState::equations() writes.
struct Equations {
  template <Backend B>
  Equations(const RidgeState<B>& state, bool fit_intercept)
      : gram(state.params().n_features, state.params().n_features),
        rhs(state.params().n_features, state.params().n_targets),
        mean(1, state.params().n_features),
        target_mean(1, state.params().n_targets),
        variation(1, state.params().n_targets) {
    state.equations(fit_intercept, {gram.view(), rhs.view(), mean.view(), target_mean.view(), variation.view()});
  }
  friend bool operator==(const Equations& a, const Equations& b) {
    return a.gram == b.gram && a.rhs == b.rhs && a.mean == b.mean && a.target_mean == b.target_mean &&
           a.variation == b.variation;
  }

  Matrix<double> gram, rhs, mean, target_mean, variation;
};

}  // namespace ridge_cases
