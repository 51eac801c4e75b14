#include "power_series.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace fastntk {
namespace {

using Complex = std::complex<double>;

// In-place discrete Fourier transform of 2^p values.
void fourier(std::vector<Complex>& x) {
  const std::size_t n = x.size();
  for (std::size_t i = 1, j = 0; i < n; ++i) {
    std::size_t bit = n / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (std::size_t h = 1; h < n; h *= 2) {
    std::vector<Complex> root(h);
    for (std::size_t j = 0; j < h; ++j)
      root[j] = std::polar(1.0, -std::numbers::pi * static_cast<double>(j) / static_cast<double>(h));
    for (std::size_t i = 0; i < n; i += 2 * h)
      for (std::size_t j = 0; j < h; ++j) {
        const Complex a = x[i + j];
        const Complex b = x[i + j + h] * root[j];
        x[i + j] = a + b;
        x[i + j + h] = a - b;
      }
  }
}

}  // namespace

// By Cauchy's formula on a circle of radius r < 1 with M >= 4 terms points: aliasing is damped by r^M = e^-32, and rounding
// is amplified by r^-terms <= e^8.
std::vector<double> power_series(FunctionRef<Complex(Complex)> f, std::size_t terms) {
  const std::size_t points = std::bit_ceil(4 * terms);
  const auto count = static_cast<double>(points);
  const double log_radius = -32 / count;
  std::vector<Complex> value(points);
  for (std::size_t j = 0; j <= points / 2; ++j) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(j) / count;
    value[j] = f(std::polar(std::exp(log_radius), angle));
    value[(points - j) % points] = std::conj(value[j]);
  }
  fourier(value);
  std::vector<double> c(terms);
  for (std::size_t k = 0; k < terms; ++k) c[k] = value[k].real() / count * std::exp(-log_radius * static_cast<double>(k));
  return c;
}

void close_at_one(std::vector<double>& c, double at_one) {
  c.back() = std::max(0.0, c.back() + at_one - std::accumulate(c.begin(), c.end(), 0.0));
}

}  // namespace fastntk
