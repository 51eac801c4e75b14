// The ridge leverage function by its definition (L20 Definition 3.1), and matrices to try it on.
#pragma once

#include <fastntk/exact.hpp>
#include <fastntk/leverage.hpp>

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include "sketches.hpp"

namespace leverage {

using fastntk::FeatureFamily;
using fastntk::LeverageInverse;
using sketches::Matrix;

constexpr FeatureFamily families[] = {FeatureFamily::arc_cosine_0, FeatureFamily::arc_cosine_1, FeatureFamily::ntk,
                                      FeatureFamily::relu_ntk, FeatureFamily::fourier};

/// Rows, inputs, columns of U, and directions.
struct Case {
  std::size_t n, d, width, m;
};

/// Random rows, one of them zero.
template <class T>
Matrix<T> inputs(std::size_t n, std::size_t d) {
  Matrix<T> x = sketches::random_rows<T>(n, d, 5);
  if (n > 1)
    for (std::size_t j = 0; j < d; ++j) x(n / 2, j) = 0;
  return x;
}

/// A symmetric positive definite matrix of any size in short time: a diagonal and two outer products.
template <class T>
Matrix<T> inverse(std::size_t n) {
  Matrix<T> a(n, n);
  const auto u = sketches::random_rows<double>(2, n, 6);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      a(i, j) = static_cast<T>((i == j ? 1.5 : 0) + (u(0, i) * u(0, j) + u(1, i) * u(1, j)) / 5);
  return a;
}

/// U with |U| < 1: entries below 1/(sqrt(n width)).
template <class T>
Matrix<T> factor(std::size_t n, std::size_t width) {
  Matrix<T> u = sketches::random_rows<T>(n, width, 8);
  for (T& entry : u.values) entry *= static_cast<T>(0.95 / std::sqrt(static_cast<double>(n * width)));
  return u;
}

/// Phi(w), the features of all rows, one component after the other.
template <class T>
std::vector<std::vector<double>> features(FeatureFamily family, const Matrix<T>& x, const Matrix<T>& w, std::size_t j) {
  std::vector<double> step(x.rows), relu(x.rows), cosine(x.rows), sine(x.rows);
  std::vector<std::vector<double>> gated(x.cols, std::vector<double>(x.rows));
  const bool scaled = family != FeatureFamily::ntk && family != FeatureFamily::fourier;
  const double scale = scaled ? std::numbers::sqrt2 : 1;
  for (std::size_t i = 0; i < x.rows; ++i) {
    const double u = sketches::dot(x, i, w, j);
    step[i] = u > 0 ? scale : 0;
    relu[i] = u > 0 ? scale * u : 0;
    cosine[i] = std::cos(u);
    sine[i] = std::sin(u);
    for (std::size_t a = 0; a < x.cols; ++a) gated[a][i] = step[i] * static_cast<double>(x(i, a));
  }
  switch (family) {
    case FeatureFamily::arc_cosine_0:
      return {step};
    case FeatureFamily::arc_cosine_1:
      return {relu};
    case FeatureFamily::fourier:
      return {cosine, sine};
    case FeatureFamily::relu_ntk:
      gated.push_back(relu);
      return gated;
    case FeatureFamily::ntk:
      break;
  }
  return gated;
}

/// A form, and the sum of the sizes of what it adds up.
struct Forms {
  double value = 0, magnitude = 0;
};

/// q/p of direction j of w.
template <class T>
Forms reference(FeatureFamily family, double alpha, LeverageInverse kind, const Matrix<T>& x, const Matrix<T>& matrix,
                const Matrix<T>& w, std::size_t j) {
  Forms forms;
  const auto add = [&](double term) {
    forms.value += term;
    forms.magnitude += std::abs(term);
  };
  for (const std::vector<double>& v : features(family, x, w, j)) {
    if (kind == LeverageInverse::exact) {
      for (std::size_t a = 0; a < x.rows; ++a)
        for (std::size_t b = 0; b < x.rows; ++b) add(v[a] * static_cast<double>(matrix(a, b)) * v[b]);
      continue;
    }
    for (const double entry : v) add(entry * entry / alpha);
    for (std::size_t k = 0; k < matrix.cols; ++k) {
      double sum = 0, size = 0;
      for (std::size_t i = 0; i < x.rows; ++i) {
        sum += v[i] * static_cast<double>(matrix(i, k));
        size += std::abs(v[i] * static_cast<double>(matrix(i, k)));
      }
      forms.value -= sum * sum / alpha;
      forms.magnitude += size * size / alpha;
    }
  }
  return forms;
}

/// The kernel matrix of a family.
inline Matrix<double> kernel(FeatureFamily family, const Matrix<double>& x) {
  const fastntk::Cpu cpu;
  Matrix<double> k(x.rows, x.rows);
  const auto of_order = [&](int order) { fastntk::arc_cosine_kernel<double>(cpu, x.view(), x.view(), order, k.view()); };
  switch (family) {
    case FeatureFamily::arc_cosine_0:
      of_order(0);
      break;
    case FeatureFamily::arc_cosine_1:
      of_order(1);
      break;
    case FeatureFamily::relu_ntk:
      fastntk::ntk_kernel<double>(cpu, x.view(), x.view(), {}, k.view());
      break;
    case FeatureFamily::ntk:
      of_order(0);
      for (std::size_t i = 0; i < x.rows; ++i)
        for (std::size_t j = 0; j < x.rows; ++j) k(i, j) *= sketches::dot(x, i, x, j) / 2;
      break;
    case FeatureFamily::fourier:
      for (std::size_t i = 0; i < x.rows; ++i)
        for (std::size_t j = 0; j < x.rows; ++j) {
          double square = 0;
          for (std::size_t a = 0; a < x.cols; ++a) square += (x(i, a) - x(j, a)) * (x(i, a) - x(j, a));
          k(i, j) = std::exp(-square / 2);
        }
      break;
  }
  return k;
}

/// (K + alpha I)^-1 by Gauss and Jordan.
inline Matrix<double> regularised_inverse(const Matrix<double>& k, double alpha) {
  const std::size_t n = k.rows;
  Matrix<double> a = k, out(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    a(i, i) += alpha;
    out(i, i) = 1;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double pivot = 1 / a(i, i);
    for (std::size_t j = 0; j < n; ++j) {
      a(i, j) *= pivot;
      out(i, j) *= pivot;
    }
    for (std::size_t r = 0; r < n; ++r) {
      const double factor = a(r, i);
      if (r == i) continue;
      for (std::size_t j = 0; j < n; ++j) {
        a(r, j) -= factor * a(i, j);
        out(r, j) -= factor * out(i, j);
      }
    }
  }
  return out;
}

}  // namespace leverage
