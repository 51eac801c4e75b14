// The ridge leverage function of random directions, against the matrix product that its definition takes, in one thread:
// with the inverse v (n) times a symmetric matrix (n, n), half of whose entries count, for each form, and with features
// v times U (n, D) for each component of the features.
#include <fastntk/leverage.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "bench.hpp"
#include "sgemm.hpp"

namespace {

using fastntk::Cpu;
using fastntk::FeatureFamily;
using fastntk::LeverageFunction;
using fastntk::LeverageInverse;
using fastntk::View;

struct Case {
  const char* name;
  FeatureFamily family;
  LeverageInverse kind;
  std::size_t n, d, width, directions;
  std::size_t vectors;  // that are multiplied by a matrix for each direction
};

// As if K were of rank one: the form of a step pattern cancels to a half.
bench::Array<float> inverse(std::size_t n) {
  bench::Array<float> a(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) a[i * n + j] = (i == j ? 1.0f : 0.0f) - 0.99f / static_cast<float>(n);
  return a;
}

bench::Array<float> factor(std::size_t n, std::size_t width) {
  bench::Array<float> u(n * width);
  const float scale = 1 / std::sqrt(static_cast<float>(n * width));
  for (float& entry : u.span()) entry *= scale;
  return u;
}

// The features of a direction in float64, one component after the other, with the same roundings of the products w.x.
std::vector<std::vector<double>> components(const Case& c, const float* x, const float* w) {
  const bool fourier = c.family == FeatureFamily::fourier, ntk = c.family == FeatureFamily::ntk;
  const bool gated = ntk || c.family == FeatureFamily::relu_ntk;
  const double scale = ntk ? 1 : std::sqrt(2.0);
  const std::size_t count = fourier ? 2 : ntk ? c.d : gated ? c.d + 1 : 1;
  std::vector<std::vector<double>> all(count, std::vector<double>(c.n));
  for (std::size_t i = 0; i < c.n; ++i) {
    float product = 0;
    for (std::size_t j = 0; j < c.d; ++j) product = std::fma(w[j], x[i * c.d + j], product);
    const double u = product, step = u > 0 ? scale : 0;
    if (fourier) {
      all[0][i] = std::cos(u);
      all[1][i] = std::sin(u);
    } else if (!gated) {
      all[0][i] = step;
    } else {
      for (std::size_t j = 0; j < c.d; ++j) all[j][i] = step * static_cast<double>(x[i * c.d + j]);
      if (!ntk) all[c.d][i] = step * u;
    }
  }
  return all;
}

// Its leverage by the definition.
double reference(const Case& c, const float* x, const float* matrix, const float* w) {
  const std::size_t cols = c.kind == LeverageInverse::exact ? c.n : c.width;
  double value = 0;
  for (const std::vector<double>& v : components(c, x, w)) {
    std::vector<double> sum(cols);
    for (std::size_t i = 0; i < c.n; ++i) {
      if (v[i] == 0) continue;
      for (std::size_t k = 0; k < cols; ++k) sum[k] += v[i] * static_cast<double>(matrix[i * cols + k]);
    }
    if (c.kind == LeverageInverse::exact) {
      for (std::size_t k = 0; k < cols; ++k) value += sum[k] * v[k];
    } else {
      for (const double entry : v) value += entry * entry;
      for (const double entry : sum) value -= entry * entry;
    }
  }
  return value;
}

void measure(const Case& c) {
  const bool exact = c.kind == LeverageInverse::exact;
  const bench::Array<float> x(c.n * c.d), w(c.directions * c.d);
  const bench::Array<float> matrix = exact ? inverse(c.n) : factor(c.n, c.width);
  const std::size_t cols = exact ? c.n : c.width;
  const LeverageFunction<float> function({c.family, 1}, c.kind, View<const float>(x.data(), c.n, c.d),
                                         View<const float>(matrix.data(), c.n, cols), Cpu{1});
  std::vector<float> out(c.directions);
  const auto compute = [&] {
    function(View<const float>(w.data(), c.directions, c.d), View<float>(out.data(), c.directions, 1));
  };
  compute();
  double error = 0;
  for (const std::size_t j : {std::size_t{0}, c.directions - 1}) {
    const double expected = reference(c, x.data(), matrix.data(), w.data() + j * c.d);
    error = std::max(error, std::abs(static_cast<double>(out[j]) - expected) / expected);
  }
  bench::require(error <= 1e-4, std::string("LeverageFunction: relative error ") + std::to_string(error));
  char note[48];
  std::snprintf(note, sizeof note, "relative error %.1e", error);

  const std::size_t rows = c.directions * c.vectors;
  const std::size_t width = exact ? c.n / 2 : c.width;
  const bench::Array<float> b(c.n * width);
  const std::size_t at_once = std::min<std::size_t>(rows, 500);  // the product's rows are many
  const bench::Array<float> a(at_once * c.n);
  bench::Array<float> product(at_once * width);
  const auto multiply = [&] {
    for (std::size_t first = 0; first < rows; first += at_once)
      bench::sgemm(std::min(at_once, rows - first), width, c.n, a.data(), b.data(), product.data());
  };
  const auto times = bench::alternate({compute, multiply}, 3);
  bench::print(
      {.op = std::string("LeverageFunction ") + c.name,
       .dtype = "float32",
       .shape = std::to_string(c.n) + "x" + std::to_string(c.d) + ", " + std::to_string(c.directions) + " directions",
       .times = times[0],
       .work = 1,
       .unit = "s",
       .floor = "sgemm " + std::to_string(rows) + "x" + std::to_string(c.n) + "x" + std::to_string(width),
       .floor_times = times[1],
       .floor_work = 1,
       .note = note});
}

}  // namespace

int main() {
  constexpr auto exact = LeverageInverse::exact, features = LeverageInverse::features;
  measure({"ntk, exact", FeatureFamily::ntk, exact, 5000, 50, 0, 960, 1});
  measure({"relu_ntk, exact", FeatureFamily::relu_ntk, exact, 5000, 50, 0, 960, 2});
  measure({"ntk, 500 features", FeatureFamily::ntk, features, 100'000, 50, 500, 4, 50});
  measure({"arc_cosine_0, 500 features", FeatureFamily::arc_cosine_0, features, 100'000, 50, 500, 192, 1});
  measure({"fourier, 500 features", FeatureFamily::fourier, features, 100'000, 50, 500, 96, 2});
}
