// The ReLU kernels by their definition in long double, rows that are hard for them, and the errors that are promised.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <random>
#include <vector>

#include "check.hpp"

namespace exact {

struct Value {
  long double s, k;
};

// S_L and K_L (Z21 Definition 1) of the angle, for all depths up to the given one; in delta = 1 - S, because acos(S) loses
// half of the digits near S = 1.
inline std::vector<Value> reference(long double angle, std::size_t depth) {
  const long double pi = std::numbers::pi_v<long double>;
  long double delta = 2 * std::sin(angle / 2) * std::sin(angle / 2);
  std::vector<Value> values = {{1 - delta, 1 - delta}};
  for (std::size_t l = 1; l <= depth; ++l) {
    const long double gate = 1 - angle / pi;
    delta = std::max(delta - (std::sin(angle) - angle * std::cos(angle)) / pi, 0.0L);
    angle = 2 * std::asin(std::sqrt(delta / 2));
    values.push_back({1 - delta, values.back().k * gate + 1 - delta});
  }
  return values;
}

template <class Matrix>
long double norm(const Matrix& x, std::size_t i) {
  long double sum = 0;
  for (std::size_t j = 0; j < x.cols; ++j) sum += static_cast<long double>(x(i, j)) * x(i, j);
  return std::sqrt(sum);
}

// The angle between two nonzero rows; Kahan's formula has no cancellation.
template <class Matrix>
long double angle(const Matrix& x, std::size_t i, const Matrix& y, std::size_t k) {
  const long double a = norm(x, i), b = norm(y, k);
  long double difference = 0, sum = 0;
  for (std::size_t j = 0; j < x.cols; ++j) {
    const long double u = x(i, j) / a, v = y(k, j) / b;
    difference += (u - v) * (u - v);
    sum += (u + v) * (u + v);
  }
  return 2 * std::atan2(std::sqrt(difference), std::sqrt(sum));
}

// Rows around one mean, so that cosines are large, and for each distance 10^-8 .. 10^0.5 copies that far from a row and
// scaled; equal rows, opposite rows and a zero row.
template <class T, class Matrix>
Matrix hard_rows(std::size_t d, double mean, unsigned seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  constexpr std::size_t base = 24, distances = 18;
  Matrix x(base + 2 * distances + 5, d);
  for (std::size_t i = 0; i < base; ++i)
    for (std::size_t j = 0; j < d; ++j) x(i, j) = static_cast<T>(mean + normal(engine));
  for (std::size_t k = 0; k < 2 * distances; ++k) {
    const std::size_t from = k % base;
    const double factor = (k % 3 == 0 ? 1 : k % 3 == 1 ? -2.5 : 0.3) / std::sqrt(static_cast<double>(d));
    const double size = std::pow(10.0, -8 + 0.5 * static_cast<double>(k / 2)) * static_cast<double>(norm(x, from));
    for (std::size_t j = 0; j < d; ++j)
      x(base + k, j) = static_cast<T>(factor * (std::sqrt(static_cast<double>(d)) * x(from, j) + size * normal(engine)));
  }
  for (std::size_t k = 0; k < 4; ++k)
    for (std::size_t j = 0; j < d; ++j) x(base + 2 * distances + k, j) = static_cast<T>((k < 2 ? 1 : -3) * x(k, j));
  return x;  // the last row is zero
}

// The errors promised in exact.hpp, relative to (L + 1)|y||z|. In double the cosine is off by at most d eps and that error
// at most doubled; d <= 784 here, and 1e-12 leaves room for 32 layers of a few eps each.
template <class T>
constexpr double promised = sizeof(T) == 4 ? 2e-6 : 1e-12;

/// Calls compute(kind, depth, x, out) for x (n, d) and out (n, n), and compares out with the definition.
enum class Kernel { ntk, nngp, arc_cosine_0, arc_cosine_1 };
template <class T, class Matrix, class Compute>
void check_accuracy(std::size_t d, double mean, const std::vector<std::size_t>& depths, Compute&& compute) {
  const auto x = hard_rows<T, Matrix>(d, mean, static_cast<unsigned>(d));
  const std::size_t n = x.rows;
  const std::size_t deepest = *std::max_element(depths.begin(), depths.end());
  std::vector<std::vector<Value>> expected;
  std::vector<long double> angles, scale;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      scale.push_back(norm(x, i) * norm(x, j));
      angles.push_back(scale.back() == 0 ? 0 : angle(x, i, x, j));
      expected.push_back(reference(angles.back(), deepest));
    }
  Matrix out(n, n);
  const auto compare = [&](auto&& value, bool scaled, double tolerance) {
    for (std::size_t p = 0; p < n * n; ++p) {
      const T found = out(p / n, p % n);
      if (scale[p] == 0) {
        CHECK(found == 0);
      } else {
        const long double size = scaled ? scale[p] : 1.0L;
        CHECK_CLOSE(found / size, value(p), tolerance);
      }
    }
  };
  for (const std::size_t l : depths) {
    const double layers = static_cast<double>(l) + 1;
    compute(Kernel::ntk, l, x, out);
    compare([&](std::size_t p) { return expected[p][l].k; }, true, promised<T> * layers);
    compute(Kernel::nngp, l, x, out);
    compare([&](std::size_t p) { return expected[p][l].s; }, true, promised<T>);
  }
  compute(Kernel::arc_cosine_1, 1, x, out);
  compare([&](std::size_t p) { return expected[p][1].s; }, true, promised<T>);
  compute(Kernel::arc_cosine_0, 1, x, out);
  compare([&](std::size_t p) { return 1 - angles[p] / std::numbers::pi_v<long double>; }, false, promised<T>);
}

}  // namespace exact
