// What the tests of the sketches share: rows to sketch, the moments of an estimate over many seeds, and the comparison of
// every split of the work.
#pragma once

#include <fastntk/rng.hpp>
#include <fastntk/view.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "check.hpp"

namespace sketches {

using fastntk::Cpu;
using fastntk::View;

/// A matrix that owns its elements.
template <class T>
struct Matrix {
  Matrix(std::size_t n_rows, std::size_t n_cols) : rows(n_rows), cols(n_cols), values(n_rows * n_cols) {}
  View<T> view() { return {values.data(), rows, cols}; }
  View<const T> view() const { return {values.data(), rows, cols}; }
  T& operator()(std::size_t i, std::size_t j) { return values[i * cols + j]; }
  const T& operator()(std::size_t i, std::size_t j) const { return values[i * cols + j]; }

  std::size_t rows, cols;
  std::vector<T> values;
};

template <class T>
bool operator==(const Matrix<T>& a, const Matrix<T>& b) {
  if (a.values.empty()) return b.values.empty();  // and their data may be null, which memcmp() does not take
  return a.values.size() == b.values.size() &&
         std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(T)) == 0;
}

/// Uniform entries in (-1, 1).
template <class T>
Matrix<T> random_rows(std::size_t rows, std::size_t cols, std::uint64_t seed = 1) {
  Matrix<T> x(rows, cols);
  const fastntk::rng::Draws draws{seed, fastntk::rng::Stream::normal};
  for (std::size_t i = 0; i < x.values.size(); ++i) {
    const auto bits = draws.bits(i);
    x.values[i] = static_cast<T>(2 * fastntk::rng::Draws::unit_interval(bits[0], bits[1]) - 1);
  }
  return x;
}

/// Integers in [-limit, limit]: with 4^k output components the scale 1/sqrt(m) is a power of two, and all sums and products
/// of a sketch are exact as long as they fit the mantissa.
template <class T>
Matrix<T> integer_rows(std::size_t rows, std::size_t cols, int limit, std::uint64_t seed = 2) {
  Matrix<T> x(rows, cols);
  const fastntk::rng::Draws draws{seed, fastntk::rng::Stream::sample};
  for (std::size_t i = 0; i < x.values.size(); ++i)
    x.values[i] = static_cast<T>(static_cast<int>(draws.integer(i, static_cast<std::uint32_t>(2 * limit + 1))) - limit);
  return x;
}

/// <x_i, y_j>.
template <class T>
double dot(const Matrix<T>& x, std::size_t i, const Matrix<T>& y, std::size_t j) {
  double sum = 0;
  for (std::size_t k = 0; k < x.cols; ++k) sum += static_cast<double>(x(i, k)) * static_cast<double>(y(j, k));
  return sum;
}

/// Two vectors with their |x|^2 |z|^2, <x, z>^2 and sum of x_i^2 z_i^2, of which all the variances are made.
struct Pair {
  Pair(const Matrix<double>& m, std::size_t i, std::size_t j)
      : inner(dot(m, i, m, j)), norms(dot(m, i, m, i) * dot(m, j, m, j)), fourth(0) {
    for (std::size_t k = 0; k < m.cols; ++k) fourth += m(i, k) * m(i, k) * m(j, k) * m(j, k);
  }
  double inner, norms, fourth;
  /// E (H D x)_i^2 (H D z)_i^2.
  double q() const { return norms + 2 * inner * inner - 2 * fourth; }
};

/// Mean and variance of a sample, each with its standard error.
struct Moments {
  explicit Moments(const std::vector<double>& sample) {
    const double n = static_cast<double>(sample.size());
    for (const double value : sample) mean += value / n;
    double fourth = 0;
    for (const double value : sample) {
      const double square = (value - mean) * (value - mean);
      variance += square / (n - 1);
      fourth += square * square / n;
    }
    mean_error = std::sqrt(variance / n);
    variance_error = std::sqrt(std::max(fourth - variance * variance, 0.0) / n);
  }
  double mean = 0, variance = 0, mean_error = 0, variance_error = 0;
};

/// The inner products of the rows 0 and 1 that `sketch(seed)`, a matrix of two rows, gives over `seeds` seeds (fewer under a
/// sanitizer).
template <class Sketch>
Moments inner_products(std::size_t seeds, Sketch&& sketch) {
  std::vector<double> sample;
  for (std::uint64_t seed = 0; seed < check::repetitions(seeds); ++seed) {
    const Matrix<double> s = sketch(seed);
    sample.push_back(dot(s, 0, s, 1));
  }
  return Moments(sample);
}

/// Runs `apply(threads, first, count, out)` for all threads and splits of `rows` rows: the bits must be the same.
template <class T, class Apply>
void check_every_split(std::size_t rows, std::size_t cols, Apply&& apply) {
  Matrix<T> expected(rows, cols);
  apply(1, 0, rows, expected.view());
  for (const int threads : {2, 3, 4, 8}) {
    Matrix<T> out(rows, cols);
    apply(threads, 0, rows, out.view());
    CHECK(out == expected);
  }
  for (const std::size_t batch : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{64}, rows - 1}) {
    Matrix<T> out(rows, cols);
    for (std::size_t first = 0; first < rows; first += batch) {
      const std::size_t count = std::min(batch, rows - first);
      apply(2, first, count, out.view().row_block(first, count));
    }
    CHECK(out == expected);
  }
}

}  // namespace sketches
