#include "dual_activation.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <numbers>
#include <tuple>
#include <utility>
#include <vector>

namespace fastntk {
namespace {

constexpr std::size_t terms = kernel_series_terms;

// Hermite coefficients of log|u|, u^2 log|u| (even k) and sign u, u|u| (odd k), one more than a series has.
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

  constexpr std::size_t size = terms + 2;
  Singular f{std::vector<double>(size), std::vector<double>(size), std::vector<double>(size), std::vector<double>(size)};
  for (std::size_t j = 0; 2 * j < size; ++j) {
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

// The coefficients of u f(u): u h_k = sqrt(k + 1) h_{k+1} + sqrt(k) h_{k-1}.
std::vector<double> times_u(const std::vector<double>& f) {
  std::vector<double> product(terms);
  for (std::size_t k = 0; k < terms; ++k)
    product[k] =
        std::sqrt(static_cast<double>(k + 1)) * f[k + 1] + (k > 0 ? std::sqrt(static_cast<double>(k)) * f[k - 1] : 0.0);
  return product;
}

// g as a combination of four singular functions, chosen so that the rest of the series falls fast, and that rest. Where c_k
// falls as k^(-3/2), as those of K_L and kappa_0 do, they are the four above; where it falls as k^(-5/2), as those of
// S_L and kappa_1, they are these times u, and g has a kink in place of a step and a logarithm.
class Series {
 public:
  Series(CosineKernel kernel, std::size_t depth, std::size_t low_orders)
      : kink_(kernel == CosineKernel::nngp || kernel == CosineKernel::arc_cosine_1),
        c_(kernel_series({kernel, depth, {}}, terms)),
        rest_(terms) {
    for (std::size_t k = low_orders; k < terms; ++k) rest_[k] = hermite_sign(k) * std::sqrt(c_[k]);
    const Singular f = singular_series();
    if (kink_) {
      match(times_u(f.sign), times_u(f.square_sign), 0);
      match(times_u(f.log), times_u(f.square_log), 1);
    } else {
      match(f.log, f.square_log, 0);
      match(f.sign, f.square_sign, 1);
    }
  }

  double coefficient(std::size_t k) const { return c_[k]; }

  // g(u) and g(-u), u > 0.
  std::array<double, 2> operator()(double u) const {
    double even = weight_[0][0] + weight_[0][1] * u * u;
    double odd = weight_[1][0] + weight_[1][1] * u * u;
    (kink_ ? odd : even) *= std::log(u);
    if (kink_) even *= u, odd *= u;
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

  bool kink_;
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

DualActivation compute(CosineKernel kernel, std::size_t depth, std::size_t low_orders) {
  const Series series(kernel, depth, low_orders);
  DualActivation g{};
  g.low_order = {series.coefficient(0), series.coefficient(1)};
  g.remainder = kernel_at_one({kernel, depth, {}});
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

DualActivation dual_activation(CosineKernel kernel, std::size_t depth, std::size_t low_orders) {
  static std::mutex mutex;
  static std::map<std::tuple<CosineKernel, std::size_t, std::size_t>, DualActivation> known;
  const std::scoped_lock lock(mutex);
  const std::tuple key{kernel, depth, low_orders};
  auto entry = known.find(key);
  if (entry == known.end()) entry = known.emplace(key, compute(kernel, depth, low_orders)).first;
  return entry->second;
}

DualPolynomial dual_polynomial(const std::vector<double>& coefficients, std::size_t low_orders) {
  DualPolynomial g{.hermite = std::vector<double>(coefficients.size()), .low_order = {}, .remainder = 0};
  for (std::size_t k = 0; k < coefficients.size(); ++k) {
    if (k < 2) g.low_order[k] = coefficients[k];
    if (k < low_orders) continue;
    g.hermite[k] = hermite_sign(k) * std::sqrt(coefficients[k]);
    g.remainder += coefficients[k];
  }
  return g;
}

}  // namespace fastntk
