// The largest eigenvalue of a positive definite matrix that is only multiplied by.
#pragma once

#include <fastntk/rng.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace fastntk {

/// The largest eigenvalue of the symmetric tridiagonal matrix with these entries on and beside its diagonal, by bisection:
/// the pivots of T - x I are negative up to its eigenvalues below x (Sturm).
inline double largest_eigenvalue(const std::vector<double>& diagonal, const std::vector<double>& beside) {
  const std::size_t n = diagonal.size();
  const auto next = [&](std::size_t i) { return i < beside.size() ? std::abs(beside[i]) : 0.0; };
  double low = diagonal[0], high = diagonal[0];
  for (std::size_t i = 0; i < n; ++i) {
    low = std::max(low, diagonal[i]);
    high = std::max(high, diagonal[i] + next(i) + (i > 0 ? next(i - 1) : 0.0));
  }
  const auto all_below = [&](double x) {
    double pivot = 1;
    for (std::size_t i = 0; i < n; ++i) {
      const double left = i > 0 ? next(i - 1) / pivot * next(i - 1) : 0.0;
      pivot = diagonal[i] - x - left;
      if (!(pivot < 0)) return false;
    }
    return true;
  };
  constexpr int halvings = 40;
  for (int k = 0; k < halvings && low < high; ++k) {
    const double middle = low + (high - low) / 2;
    (all_below(middle) ? high : low) = middle;
  }
  return low + (high - low) / 2;
}

/// The largest eigenvalue of a positive definite matrix A (n, n) as `multiply`, x -> A x, tells it, by a few steps of the
/// Lanczos iteration from a random start: no more than the eigenvalue, up to rounding, and with k steps less than 1 - e of
/// it with a probability of at most 1.648 sqrt(n) exp(-sqrt(e) (2 k - 1)) (Kuczynski and Wozniakowski, SIAM J. Matrix Anal.
/// Appl. 13, 1992, theorem 4.2).
template <class Multiply>
double largest_eigenvalue(std::size_t n, Multiply&& multiply) {
  constexpr std::size_t steps = 8;
  constexpr std::uint64_t seed = 1;
  const auto norm = [](const std::vector<double>& v) {
    double square = 0;
    for (const double x : v) square += x * x;
    return std::sqrt(square);
  };
  const rng::Draws draws{seed, rng::Stream::sample};
  std::vector<double> v(n), before(n), diagonal, beside;
  for (std::size_t i = 0; i < n; ++i) v[i] = draws.normal(i);
  const double length = norm(v);
  for (double& x : v) x /= length;
  for (std::size_t k = 0; k < std::min(steps, n); ++k) {
    std::vector<double> w = multiply(v);
    double along = 0;
    for (std::size_t i = 0; i < n; ++i) along += v[i] * w[i];
    if (!std::isfinite(along)) return std::numeric_limits<double>::infinity();
    const double back = k > 0 ? beside[k - 1] : 0.0;
    for (std::size_t i = 0; i < n; ++i) w[i] -= along * v[i] + back * before[i];
    diagonal.push_back(along);
    const double rest = norm(w);
    if (!(rest > std::numeric_limits<double>::epsilon() * std::abs(along)) || !std::isfinite(rest)) break;
    beside.push_back(rest);
    for (double& x : w) x /= rest;
    before.swap(v);
    v.swap(w);
  }
  beside.resize(diagonal.size() - 1);
  return largest_eigenvalue(diagonal, beside);
}

}  // namespace fastntk
