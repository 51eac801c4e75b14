#include "dual_activation.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <map>
#include <mutex>
#include <numbers>
#include <utility>
#include <vector>

namespace fastntk {
namespace {

using Complex = std::complex<double>;

constexpr std::size_t terms = 4096;

// K_L in the complex unit disc, which kappa_0 and kappa_1 map into itself (Z21 Definition 1).
Complex relu_ntk(Complex a, std::size_t depth) {
  Complex s = a;
  Complex k = a;
  for (std::size_t layer = 0; layer < depth; ++layer) {
    const Complex kappa_0 = 0.5 + std::asin(s) / std::numbers::pi;
    const Complex kappa_1 = std::sqrt(1.0 - s * s) / std::numbers::pi + s * kappa_0;
    k = k * kappa_0 + kappa_1;
    s = kappa_1;
  }
  return k;
}

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

// c_k of K_L by Cauchy's formula on a circle of radius r < 1: aliasing is damped by r^M = e^-32, and rounding is amplified
// by r^-N = e^8.
std::vector<double> power_series(std::size_t depth) {
  constexpr std::size_t points = 4 * terms;
  const double log_radius = -32.0 / points;
  std::vector<Complex> f(points);
  for (std::size_t j = 0; j <= points / 2; ++j) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(j) / points;
    f[j] = relu_ntk(std::polar(std::exp(log_radius), angle), depth);
    f[(points - j) % points] = std::conj(f[j]);
  }
  fourier(f);
  std::vector<double> c(terms);
  for (std::size_t k = 0; k < terms; ++k)
    c[k] = std::max(0.0, f[k].real() / points * std::exp(-log_radius * static_cast<double>(k)));
  // Depth 1 has no odd terms beyond the linear one; what stands there is rounding.
  if (depth == 1)
    for (std::size_t k = 3; k < terms; k += 2) c[k] = 0;
  return c;
}

// Hermite coefficients of log|u|, u^2 log|u| (even k) and sign u, u|u| (odd k).
struct Singular {
  std::vector<double> log, square_log, sign, square_sign;
};

Singular singular_series() {
  constexpr double euler = std::numbers::egamma;
  constexpr double ln2 = std::numbers::ln2;
  const auto alternating = [](std::size_t j) { return j % 2 == 0 ? 1.0 : -1.0; };
  const auto log_factorial = [](double n) { return std::lgamma(n + 1); };
  const auto log_double_factorial = [&](double j) { return log_factorial(2 * j) - j * ln2 - log_factorial(j); };  // (2j-1)!!
  const double mean_log = 0.5 * (-euler - ln2);            // E log|u| = (ln 2 + psi(1/2)) / 2
  const double mean_square_log = 0.5 * (2 - euler - ln2);  // E u^2 log|u| = (ln 2 + psi(3/2)) / 2

  Singular f{std::vector<double>(terms), std::vector<double>(terms), std::vector<double>(terms), std::vector<double>(terms)};
  for (std::size_t j = 0; 2 * j < terms; ++j) {
    const auto x = static_cast<double>(j);
    const double even_norm = 0.5 * log_factorial(2 * x);
    const double odd_norm = 0.5 * log_factorial(2 * x + 1);
    const double before = std::max(x - 1, 0.0);
    f.log[2 * j] = j < 1 ? mean_log : -alternating(j) * std::exp((x - 1) * ln2 + log_factorial(x - 1) - even_norm);
    f.square_log[2 * j] = j < 1   ? mean_square_log
                          : j < 2 ? (2 * mean_square_log + 1) / std::numbers::sqrt2
                                  : 2 * alternating(j) * std::exp((x - 2) * ln2 + log_factorial(x - 2) - even_norm);
    const double normal = std::sqrt(2 / std::numbers::pi);
    f.sign[2 * j + 1] = normal * alternating(j) * std::exp(log_double_factorial(x) - odd_norm);
    f.square_sign[2 * j + 1] =
        2 * normal * alternating(j < 1 ? 0 : j - 1) * std::exp(log_double_factorial(before) - odd_norm);
  }
  return f;
}

// g as a combination of the four singular functions, chosen so that the rest of the series falls fast, and that rest.
class Series {
 public:
  Series(std::size_t depth, std::size_t low_orders) : c_(power_series(depth)), rest_(terms) {
    for (std::size_t k = low_orders; k < terms; ++k) rest_[k] = (k / 2 % 2 == 0 ? 1 : -1) * std::sqrt(c_[k]);
    const Singular f = singular_series();
    match(f.log, f.square_log, 0);
    match(f.sign, f.square_sign, 1);
  }

  double coefficient(std::size_t k) const { return c_[k]; }

  // g(u) and g(-u), u > 0.
  std::array<double, 2> operator()(double u) const {
    double even = (weight_[0][0] + weight_[0][1] * u * u) * std::log(u);
    double odd = weight_[1][0] + weight_[1][1] * u * u;
    double previous = 0;
    double h = 1;
    for (std::size_t k = 0; k < terms; ++k) {
      (k % 2 == 0 ? even : odd) += rest_[k] * h;
      const auto x = static_cast<double>(k);
      const double next = (u * h - std::sqrt(x) * previous) / std::sqrt(x + 1);
      previous = h;
      h = next;
    }
    return {even + odd, even - odd};
  }

 private:
  // Makes first * a + second * b equal the series at two high orders of one parity, and subtracts it.
  void match(const std::vector<double>& first, const std::vector<double>& second, std::size_t parity) {
    const std::size_t i = terms / 2 + parity;
    const std::size_t j = terms - 2 + parity;
    const double determinant = first[i] * second[j] - first[j] * second[i];
    const double a = (rest_[i] * second[j] - rest_[j] * second[i]) / determinant;
    const double b = (first[i] * rest_[j] - first[j] * rest_[i]) / determinant;
    weight_[parity] = {a, b};
    for (std::size_t k = parity; k < terms; k += 2) rest_[k] -= a * first[k] + b * second[k];
  }

  std::vector<double> c_;
  std::vector<double> rest_;
  std::array<std::array<double, 2>, 2> weight_;
};

// The cubic through four points, in powers of u.
std::array<double, 4> interpolate(const std::array<double, 4>& u, std::array<double, 4> y) {
  for (std::size_t order = 1; order < 4; ++order)  // divided differences
    for (std::size_t i = 3; i >= order; --i) y[i] = (y[i] - y[i - 1]) / (u[i] - u[i - order]);
  std::array<double, 4> p = {y[3], 0, 0, 0};
  for (std::size_t i = 3; i-- > 0;) {  // p <- p * (t - u_i) + y_i
    for (std::size_t k = 3; k > 0; --k) p[k] = p[k - 1] - u[i] * p[k];
    p[0] = y[i] - u[i] * p[0];
  }
  return p;
}

double segment_begin(std::size_t segment) {
  return std::ldexp(segment % 2 == 0 ? 1.0 : 1.5, DualActivation::first_octave + static_cast<int>(segment / 2));
}

// E[g^2] of the cubics, by Gauss-Legendre quadrature of each segment.
double second_moment(const DualActivation& g) {
  constexpr std::array<double, 4> node = {-0.861136311594052575, -0.339981043584856265, 0.339981043584856265,
                                          0.861136311594052575};
  constexpr std::array<double, 4> weight = {0.347854845137453857, 0.652145154862546143, 0.652145154862546143,
                                            0.347854845137453857};
  constexpr int parts = 4;  // of a segment
  double moment = 0;
  for (std::size_t s = 0; s < DualActivation::segments; ++s) {
    const double begin = s == 0 ? 0 : segment_begin(s);
    const double half = (segment_begin(s + 1) - begin) / (2 * parts);
    for (int part = 0; part < parts; ++part)
      for (std::size_t i = 0; i < 4; ++i) {
        const double u = begin + half * (2 * part + 1 + node[i]);
        const double density = std::exp(-u * u / 2) / std::sqrt(2 * std::numbers::pi);
        moment += half * weight[i] * density * (g(u) * g(u) + g(-u) * g(-u));
      }
  }
  return moment;
}

}  // namespace

std::size_t DualActivation::segment(double u) {
  int exponent;
  const double mantissa = std::frexp(u, &exponent);  // in [0.5, 1)
  const int half_octave = 2 * (exponent - 1 - first_octave) + (mantissa >= 0.75);
  return static_cast<std::size_t>(std::clamp(half_octave, 0, static_cast<int>(segments) - 1));
}

double DualActivation::operator()(double u) const {
  const auto& p = cubic[u < 0];
  const double v = std::abs(u);
  const std::size_t s = segment(v);
  return p[0][s] + v * (p[1][s] + v * (p[2][s] + v * p[3][s]));
}

namespace {

DualActivation compute(std::size_t depth, std::size_t low_orders) {
  const Series series(depth, low_orders);
  DualActivation g{};
  g.low_order = {series.coefficient(0), series.coefficient(1)};
  g.remainder = static_cast<double>(depth + 1);
  for (std::size_t k = 0; k < low_orders; ++k) g.remainder -= series.coefficient(k);

  for (std::size_t s = 0; s < DualActivation::segments; ++s) {
    const double begin = segment_begin(s);
    const double end = segment_begin(s + 1);
    if (s == 0) {
      // The mean of a logarithm over [0, end] is its value at end / e.
      const auto value = series(end / std::numbers::e);
      for (std::size_t side = 0; side < 2; ++side) g.cubic[side][0][s] = value[side];
      continue;
    }
    std::array<double, 4> node;
    std::array<std::array<double, 4>, 2> value;
    for (std::size_t i = 0; i < 4; ++i) {  // Chebyshev nodes
      node[i] = (begin + end) / 2 - (end - begin) / 2 * std::cos(std::numbers::pi * (static_cast<double>(i) + 0.5) / 4);
      const auto both = series(node[i]);
      for (std::size_t side = 0; side < 2; ++side) value[side][i] = both[side];
    }
    for (std::size_t side = 0; side < 2; ++side) {
      const std::array<double, 4> p = interpolate(node, value[side]);
      for (std::size_t k = 0; k < 4; ++k) g.cubic[side][k][s] = p[k];
    }
  }

  // What is left of truncation and interpolation is put right in the mean square, which the diagonal of the Gram matrix
  // shows.
  const double scale = std::sqrt(g.remainder / second_moment(g));
  for (auto& side : g.cubic)
    for (auto& power : side)
      for (double& coefficient : power) coefficient *= scale;
  return g;
}

}  // namespace

DualActivation dual_activation(std::size_t depth, std::size_t low_orders) {
  static std::mutex mutex;
  static std::map<std::pair<std::size_t, std::size_t>, DualActivation> known;
  const std::scoped_lock lock(mutex);
  const auto [entry, is_new] = known.try_emplace({depth, low_orders});
  if (is_new) entry->second = compute(depth, low_orders);
  return entry->second;
}

}  // namespace fastntk
