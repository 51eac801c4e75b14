#include <fastntk/modified_directions.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include "check.hpp"
#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using fastntk::Error;
using fastntk::ModifiedDirectionsParams;
using fastntk::ModifiedSampler;
using fastntk::sample_modified_directions;
using fastntk::View;
using sketches::Matrix;

template <class T>
Matrix<T> sample(const ModifiedDirectionsParams& params, std::size_t m, std::size_t d, int threads = 0) {
  Matrix<T> w(m, d);
  sample_modified_directions<T, Cpu>(Cpu{threads}, params, w.view());
  return w;
}

// Kolmogorov and Smirnov: sqrt(n) D exceeds 2.65 with probability 2 exp(-2 * 2.65^2) = 1.6e-6 (also for two samples of n/2
// each with their distance times sqrt(n/4)).
constexpr double exceeded = 2.65;

template <class Cdf>
bool follows(std::vector<double> sample, Cdf&& cdf) {
  std::sort(sample.begin(), sample.end());
  const auto n = static_cast<double>(sample.size());
  double distance = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double p = cdf(sample[i]);
    distance = std::max({distance, p - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - p});
  }
  return std::sqrt(n) * distance <= exceeded;
}

bool agree(std::vector<double> a, std::vector<double> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double distance = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] <= b[j])
      ++i;
    else
      ++j;
    distance = std::max(distance, std::abs(static_cast<double>(i) - static_cast<double>(j)) / static_cast<double>(a.size()));
  }
  return std::sqrt(static_cast<double>(a.size()) / 2) * distance <= exceeded;
}

std::vector<double> squares(const Matrix<double>& w) {
  std::vector<double> sum(w.rows);
  for (std::size_t r = 0; r < w.rows; ++r)
    for (std::size_t i = 0; i < w.cols; ++i) sum[r] += w(r, i) * w(r, i);
  return sum;
}

// The regularised incomplete gamma function P(k/2, x/2): by its series below the mean, by Lentz' continued fraction above.
double chi_square_cdf(double x, double degrees) {
  const double a = degrees / 2;
  const double t = x / 2;
  if (t <= 0) return 0;
  const double front = std::exp(a * std::log(t) - t - std::lgamma(a));
  if (t < a + 1) {
    double term = 1 / a, sum = term;
    for (double n = a + 1; term > 1e-16 * sum; ++n) sum += term *= t / n;
    return front * sum;
  }
  double b = t + 1 - a, c = 1e300, d = 1 / b, fraction = d;
  for (double n = 1; n < 10000; ++n) {
    b += 2;
    const double p = -n * (n - a);
    d = 1 / (p * d + b);
    c = b + p / c;
    fraction *= c * d;
    if (std::abs(c * d - 1) < 1e-15) break;
  }
  return 1 - front * fraction;
}

// A coordinate u of a uniform direction: (1 + u)/2 is beta((d - 1)/2, (d - 1)/2). By the trapezoidal rule in the angle, over
// which the density is sin^(d - 2), 2000 steps: exact to 1e-6 for d >= 2.
class UniformDirection {
 public:
  explicit UniformDirection(std::size_t d) : cdf_(steps + 1) {
    const auto density = [&](std::size_t k) { return std::pow(std::sin(angle(k)), static_cast<double>(d) - 2); };
    for (std::size_t k = 1; k <= steps; ++k) cdf_[k] = cdf_[k - 1] + density(k - 1) + density(k);
  }
  double operator()(double u) const {
    const double at = std::acos(std::clamp(-u, -1.0, 1.0)) / std::numbers::pi * steps;
    const auto k = std::min(static_cast<std::size_t>(at), steps - 1);
    return (cdf_[k] + (at - static_cast<double>(k)) * (cdf_[k + 1] - cdf_[k])) / cdf_[steps];
  }

 private:
  static constexpr std::size_t steps = 2000;
  static double angle(std::size_t k) { return std::numbers::pi * static_cast<double>(k) / steps; }
  std::vector<double> cdf_;
};

constexpr ModifiedSampler both[] = {ModifiedSampler::gibbs, ModifiedSampler::direct};

TEST(the_square_is_chi_square_with_two_more_degrees) {
  for (const std::size_t d : {1, 2, 3, 8, 784})
    for (const ModifiedSampler method : both) {
      const std::size_t m = check::repetitions(d > 100 ? 3000 : 100000);
      const auto w = sample<double>({.method = method, .seed = d}, m, d);
      CHECK(follows(squares(w), [&](double x) { return chi_square_cdf(x, static_cast<double>(d) + 2); }));
    }
}

// The cosine with a fixed direction, which a rotation of all would change as well as a preference for axes.
TEST(directions_are_uniform) {
  for (const std::size_t d : {2, 8, 784})
    for (const ModifiedSampler method : both) {
      const std::size_t m = check::repetitions(d > 100 ? 3000 : 100000);
      const auto w = sample<double>({.method = method, .seed = 3 * d}, m, d);
      const std::vector<double> norm = squares(w);
      const UniformDirection cdf(d);
      std::vector<double> first(m), last(m), diagonal(m);
      for (std::size_t r = 0; r < m; ++r) {
        double sum = 0;
        for (std::size_t i = 0; i < d; ++i) sum += i % 2 ? -w(r, i) : w(r, i);
        first[r] = w(r, 0) / std::sqrt(norm[r]);
        last[r] = w(r, d - 1) / std::sqrt(norm[r]);
        diagonal[r] = sum / std::sqrt(norm[r] * static_cast<double>(d));
      }
      CHECK(follows(first, cdf));
      CHECK(follows(last, cdf));
      CHECK(follows(diagonal, cdf));
    }
}

// In one dimension the sign is all there is of a direction: 4.5 standard deviations, probability 7e-6.
TEST(signs_in_one_dimension) {
  for (const ModifiedSampler method : both) {
    const auto w = sample<double>({.method = method, .seed = 4}, 100000, 1);
    const auto minus = std::count_if(w.values.begin(), w.values.end(), [](double x) { return x < 0; });
    CHECK_CLOSE(minus, 50000, 4.5 * std::sqrt(25000));
  }
}

TEST(the_samplers_agree_in_law) {
  for (const std::size_t d : {1, 2, 8, 784}) {
    const std::size_t m = check::repetitions(d > 100 ? 2000 : 50000);
    const auto gibbs = sample<double>({.method = ModifiedSampler::gibbs, .seed = 5}, m, d);
    const auto direct = sample<double>({.method = ModifiedSampler::direct, .seed = 6}, m, d);
    CHECK(agree(squares(gibbs), squares(direct)));
    std::vector<double> a(m), b(m);
    for (std::size_t r = 0; r < m; ++r) {
      a[r] = gibbs(r, d / 2);
      b[r] = direct(r, d / 2);
    }
    CHECK(agree(a, b));
  }
}

// The start is Gaussian, two less in the mean square, and what is left of that falls 8-fold or more a sweep; 4.5 standard
// errors. Without any sweep the mean would be off by a hundred of them.
TEST(sweeps_forget_the_start) {
  for (const std::size_t d : {2, 3, 8}) {
    const std::size_t m = check::repetitions(200000);
    for (const std::size_t sweeps : {1, 2, 5}) {
      const auto w = sample<double>({.sweeps = sweeps, .seed = 8}, m, d);
      const sketches::Moments found(squares(w));
      CHECK_CLOSE(found.mean, static_cast<double>(d + 2),
                  2 * std::pow(0.125, static_cast<double>(sweeps)) + 4.5 * found.mean_error);
    }
  }
}

// The running sum of squares is made anew every sweep: after very many of them the law is as it was.
TEST(many_sweeps_do_not_drift) {
  const auto w = sample<double>({.sweeps = check::repetitions(std::size_t{2000}), .seed = 9}, 1000, 5);
  CHECK(follows(squares(w), [](double x) { return chi_square_cdf(x, 7); }));
}

// Directions of a chain lie `sweeps` sweeps apart, after burn_in: the same as one that sweeps as often at once.
TEST(chains_go_on_where_they_were) {
  const std::size_t d = 7;
  const auto whole = sample<double>({.chains = 3, .burn_in = 4, .sweeps = 2, .seed = 10}, 8, d);
  for (std::size_t j = 0; j < 8; ++j) {
    const auto alone = sample<double>({.sweeps = 4 + 2 * (j / 3 + 1), .seed = 10}, 3, d);
    for (std::size_t i = 0; i < d; ++i) CHECK(whole(j, i) == alone(j % 3, i));
  }
  // More chains than directions are as many as directions.
  CHECK(sample<double>({.chains = 100, .seed = 1}, 9, d) == sample<double>({.seed = 1}, 9, d));
}

TEST(directions_do_not_depend_on_their_number_or_the_threads) {
  for (const ModifiedSampler method : both)
    for (const std::size_t d : {1, 2, 33, 1000}) {
      const auto many = sample<float>({.method = method, .seed = 11}, 150, d, 1);
      for (const int threads : {2, 3, 8}) CHECK(sample<float>({.method = method, .seed = 11}, 150, d, threads) == many);
      const auto few = sample<float>({.method = method, .seed = 11}, 20, d);
      CHECK(std::equal(few.values.begin(), few.values.end(), many.values.begin()));
      const auto wide = sample<double>({.method = method, .seed = 11}, 20, d);
      for (std::size_t i = 0; i < few.values.size(); ++i) CHECK(few.values[i] == static_cast<float>(wide.values[i]));
    }
}

TEST(rows_may_be_apart) {
  const auto dense = sample<float>({.seed = 12}, 6, 5);
  std::vector<float> apart(6 * 9, -7.0f);
  sample_modified_directions<float, Cpu>(Cpu{}, {.seed = 12}, View<float>(apart.data(), 6, 5, 9));
  for (std::size_t r = 0; r < 6; ++r)
    for (std::size_t i = 0; i < 9; ++i) CHECK(apart[r * 9 + i] == (i < 5 ? dense(r, i) : -7.0f));
  sample_modified_directions<float, Cpu>(Cpu{}, {}, View<float>(nullptr, 0, 5));
}

TEST(bad_parameters_are_named) {
  CHECK(check::throws<Error>([] { sample<float>({}, 3, 0); }, "the number of columns of out is 0"));
  CHECK(check::throws<Error>([] { sample<float>({.sweeps = 0}, 3, 4); }, "sweeps is 0"));
  CHECK(check::throws<Error>([] { sample<float>({.sweeps = std::size_t{1} << 40}, 3, 4); }, "less than 2^30 sweeps"));
  CHECK(check::throws<Error>([] { sample<float>({.burn_in = ~std::size_t{0}}, 3, 4); }, "burn_in is"));
  CHECK(check::throws<Error>([] { sample<float>({.chains = 1, .sweeps = std::size_t{1} << 29}, 3, 4); }, "of a chain"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
