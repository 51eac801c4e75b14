// RidgeState against the normal equations solved in double by elimination, and its promises about bits and errors.
#include <fastntk/ridge.hpp>
#include <fastntk/rng.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "check.hpp"
#include "ridge_data.hpp"

using namespace fastntk;
using ridge_data::Data;
using ridge_data::Fit;
using ridge_data::same_bits;
using ridge_data::solve;
using ridge_data::state_of;

namespace {

constexpr double eps64 = std::numeric_limits<double>::epsilon();
constexpr double eps32 = std::numeric_limits<float>::epsilon();

// x = a^-1 b for a (n, n) and b (n, t), by Gauss and Jordan with pivots.
std::vector<double> eliminate(std::vector<double> a, std::vector<double> b, std::size_t n, std::size_t t) {
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k; i < n; ++i)
      if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k])) pivot = i;
    for (std::size_t c = 0; c < n; ++c) std::swap(a[k * n + c], a[pivot * n + c]);
    for (std::size_t c = 0; c < t; ++c) std::swap(b[k * t + c], b[pivot * t + c]);
    for (std::size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = a[i * n + k] / a[k * n + k];
      for (std::size_t c = k; c < n; ++c) a[i * n + c] -= factor * a[k * n + c];
      for (std::size_t c = 0; c < t; ++c) b[i * t + c] -= factor * b[k * t + c];
    }
  }
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t c = 0; c < t; ++c) b[i * t + c] /= a[i * n + i];
  return b;
}

struct Reference {
  std::vector<double> coef, intercept;
  double gcv;
  double condition;  // an upper bound: trace / alpha
};

// The intercept as one more, unpenalised column; the hat matrix's trace from the same equations, no centring anywhere.
Reference reference(const Data& data, const double* weight, double alpha, bool fit_intercept) {
  const std::size_t n = data.n, d = data.d, t = data.t, m = d + (fit_intercept ? 1 : 0);
  std::vector<double> gram(m * m), rhs(m * t);
  const auto column = [&](std::size_t r, std::size_t i) { return i < d ? data.z64[r * d + i] : 1; };
  for (std::size_t r = 0; r < n; ++r) {
    const double w = weight ? weight[r] : 1;
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < m; ++j) gram[i * m + j] += w * column(r, i) * column(r, j);
      for (std::size_t k = 0; k < t; ++k) rhs[i * t + k] += w * column(r, i) * data.y[r * t + k];
    }
  }
  std::vector<double> a = gram;
  double trace = 0;
  for (std::size_t i = 0; i < d; ++i) {
    a[i * m + i] += alpha;
    trace += a[i * m + i];
  }
  const std::vector<double> beta = eliminate(a, rhs, m, t);
  const std::vector<double> hat = eliminate(a, gram, m, m);
  double freedom = 0, squares = 0, samples = 0;
  for (std::size_t i = 0; i < m; ++i) freedom += hat[i * m + i];
  for (std::size_t r = 0; r < n; ++r) {
    const double w = weight ? weight[r] : 1;
    samples += w;
    for (std::size_t k = 0; k < t; ++k) {
      double residual = data.y[r * t + k];
      for (std::size_t i = 0; i < m; ++i) residual -= column(r, i) * beta[i * t + k];
      squares += w * residual * residual;
    }
  }
  Reference out{beta, std::vector<double>(t), samples * squares / ((samples - freedom) * (samples - freedom)),
                trace / alpha};
  if (fit_intercept) std::copy(beta.end() - static_cast<std::ptrdiff_t>(t), beta.end(), out.intercept.begin());
  out.coef.resize(d * t);
  return out;
}

double largest(const std::vector<double>& v) {
  double out = 0;
  for (const double x : v) out = std::max(out, std::abs(x));
  return out;
}

void check_close(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  if (!CHECK(a.size() == b.size())) return;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!CHECK_CLOSE(a[i], b[i], tolerance)) return;
}

// Both solutions carry an error of about eps * condition relative to the largest coefficient, eps that of the products:
// float rows are multiplied in float. The intercept is a sum of d coefficients times means below 1.5.
template <class T>
void compare(const Data& data, const double* weight, const RidgeSolveParams& params) {
  const Reference expected = reference(data, weight, params.alpha, params.fit_intercept);
  const Fit fit = solve(state_of<T>(data, weight), params);
  const double eps = std::is_same_v<T, float> ? eps32 : eps64;
  const double relative = 4 * eps * expected.condition + (params.precision == RidgePrecision::mixed ? 1e-8 : 0);
  const double tolerance = relative * std::max(largest(expected.coef), eps64);
  check_close(fit.coef, expected.coef, tolerance);
  check_close(fit.intercept, expected.intercept, 1.5 * static_cast<double>(data.d) * tolerance + 16 * eps64);
  CHECK(fit.solution.jitter == 0);
  CHECK(fit.solution.precision == params.precision);
  if (params.with_gcv) {
    // The residual and the trace each have the solution's relative error; the float factor of `mixed` enters the trace.
    const double trace_error = params.precision == RidgePrecision::mixed ? 4 * eps32 * expected.condition : relative;
    CHECK_CLOSE(fit.solution.gcv, expected.gcv, 4 * (relative + trace_error) * expected.gcv + 1e-13);
  } else {
    CHECK(std::isnan(fit.solution.gcv));
  }
}

}  // namespace

TEST(solution_is_that_of_the_normal_equations) {
  for (const std::size_t d : {1, 2, 7, 127, 128, 129, 300}) {
    if (check::sanitized && d == 300) continue;  // elimination takes long
    for (const std::size_t t : {1, 10}) {
      const Data data(2 * d + 5, d, t, 10 * d + t);
      const double alpha = 0.05 * static_cast<double>(data.n);
      for (const bool intercept : {false, true}) {
        for (const double* weight : {static_cast<const double*>(nullptr), data.w.data()}) {
          for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
            const RidgeSolveParams params{alpha, intercept, true, precision};
            compare<float>(data, weight, params);
            compare<double>(data, weight, params);
          }
        }
      }
    }
  }
}

TEST(several_blocks_and_a_part) {
  // Two full blocks of 2048 rows and 404 that wait; two tiles a side.
  const Data data(4500, 150, 2);
  for (const double* weight : {static_cast<const double*>(nullptr), data.w.data()}) {
    for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
      compare<float>(data, weight, {300, true, true, precision});
      compare<double>(data, weight, {300, true, true, precision});
    }
  }
}

TEST(tiles_of_every_size) {
  // 1030 features: tiles of 256 and a last one of 6 rows. 4100: tiles of 512 and a last one of 4; checked by the equations
  // themselves, because elimination would take too long.
  if (!check::sanitized) compare<double>(Data(1200, 1030, 2), nullptr, {200, true, false, RidgePrecision::float64});

  const Data data(3, 4100, 2);
  const double alpha = 50;
  for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
    const Fit fit = solve(state_of<double>(data), {alpha, false, false, precision});
    CHECK(fit.solution.precision == precision);
    // Z^T (Y - Z coef) = alpha coef. The error is that of the solution times the matrix's norm, at most the trace.
    std::vector<double> left(data.n * data.t);
    double trace = 0;
    for (const double z : data.z64) trace += z * z;
    for (std::size_t r = 0; r < data.n; ++r)
      for (std::size_t k = 0; k < data.t; ++k) {
        left[r * data.t + k] = data.y[r * data.t + k];
        for (std::size_t i = 0; i < data.d; ++i) left[r * data.t + k] -= data.z64[r * data.d + i] * fit.coef[i * data.t + k];
      }
    const double solver = precision == RidgePrecision::mixed ? 1e-8 : 4 * eps64 * trace / alpha;
    const double tolerance = (trace + alpha) * solver * largest(fit.coef);
    for (std::size_t i = 0; i < data.d; ++i)
      for (std::size_t k = 0; k < data.t; ++k) {
        double gradient = -alpha * fit.coef[i * data.t + k];
        for (std::size_t r = 0; r < data.n; ++r) gradient += data.z64[r * data.d + i] * left[r * data.t + k];
        if (!CHECK_CLOSE(gradient, 0, tolerance)) return;
      }
  }
}

TEST(one_row) {
  const Data data(1, 5, 2);
  compare<double>(data, nullptr, {1, false, false, RidgePrecision::float64});
  // With an intercept one row is fitted exactly by the intercept alone.
  const Fit fit = solve(state_of<double>(data), {.alpha = 1});
  for (const double c : fit.coef) CHECK_CLOSE(c, 0, 16 * eps64 * largest(data.y));
  check_close(fit.intercept, data.y, 16 * eps64 * largest(data.y));
}

TEST(batches_and_threads_do_not_change_bits) {
  // More than two blocks of 2048 rows and a part of one; more than one tile.
  const Data data(5000, 200, 3);
  for (const double* weight : {static_cast<const double*>(nullptr), data.w.data()}) {
    const RidgeState<> whole = state_of<float>(data, weight);
    const std::string bytes = whole.to_bytes();
    for (const std::size_t batch : {1, 7, 64, 2048, 5000})
      CHECK(state_of<float>(data, weight, 1, batch).to_bytes() == bytes);
    for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
      const RidgeSolveParams params{3, true, true, precision};
      const Fit expected = solve(whole, params);
      for (const int threads : {2, 3, 4, 8}) {
        const RidgeState<> state = state_of<float>(data, weight, threads, 777);
        CHECK(state.to_bytes() == bytes);
        CHECK(same_bits(solve(state, params), expected));
      }
    }
  }
}

TEST(threads_do_not_change_the_bits_of_a_large_factor) {
  const Data data(50, 1300, 2);
  const RidgeSolveParams params{2, true, true, RidgePrecision::float64};
  const Fit expected = solve(state_of<double>(data), params);
  for (const int threads : {2, 3, 4, 8})
    for (int repetition = 0; repetition < 3; ++repetition)
      CHECK(same_bits(solve(state_of<double>(data, nullptr, threads), params), expected));
}

TEST(reading_a_state_does_not_change_it) {
  const Data data(3000, 40, 2);
  RidgeState<> plain({data.d, data.t}), disturbed({data.d, data.t}), other({data.d, data.t});
  for (std::size_t i = 0; i < data.n; i += 500) {
    for (RidgeState<>* state : {&plain, &disturbed})
      state->update<float>(data.z<float>().row_block(i, 500), data.targets().row_block(i, 500));
    solve(disturbed, {.alpha = 1, .with_gcv = true});
    other.merge(disturbed);
    disturbed = RidgeState<>::from_bytes(disturbed.to_bytes());
  }
  CHECK(plain.to_bytes() == disturbed.to_bytes());
}

TEST(merge_is_the_same_as_adding_the_rows) {
  const Data data(5000, 150, 3);
  const auto merged = [&](std::initializer_list<std::size_t> cuts) {
    RidgeState<> all({data.d, data.t});
    std::size_t begin = 0;
    for (const std::size_t end : cuts) {
      RidgeState<> part({data.d, data.t});
      part.update<double>(data.z<double>().row_block(begin, end - begin), data.targets().row_block(begin, end - begin),
                          data.w.data() + begin);
      all.merge(part);
      begin = end;
    }
    return all;
  };
  const RidgeState<> sequential = state_of<double>(data, data.w.data());
  const RidgeSolveParams params{100, true, true, RidgePrecision::float64};
  const Fit expected = solve(sequential, params);
  // Sums of 5000 products in another order: eps * sqrt(rows) at the usual growth, times the condition, at most trace /
  // alpha.
  const double tolerance = 4 * eps64 * 71 * (5000.0 * 150 * 3 / 100) * largest(expected.coef);
  for (const auto cuts :
       {std::initializer_list<std::size_t>{5000}, {1, 2, 5000}, {2048, 4096, 5000}, {100, 3000, 3001, 5000}}) {
    const RidgeState<> state = merged(cuts);
    CHECK(state.rows() == sequential.rows());
    CHECK_CLOSE(state.total_weight(), sequential.total_weight(), 5000 * eps64 * sequential.total_weight());
    CHECK(state.to_bytes() == merged(cuts).to_bytes());
    check_close(solve(state, params).coef, expected.coef, tolerance);
  }
  // Everything in a part's waiting block arrives by rows, so a state that began empty has the sequential bits.
  CHECK(merged({1000, 2000}).to_bytes() == [&] {
    RidgeState<> state({data.d, data.t});
    state.update<double>(data.z<double>().row_block(0, 2000), data.targets().row_block(0, 2000), data.w.data());
    return state.to_bytes();
  }());
}

TEST(merge_with_itself_doubles_the_weights) {
  const Data data(2500, 20, 1);
  RidgeState<> state = state_of<double>(data);
  const Fit expected = solve(state, {.alpha = 1});
  state.merge(state);
  CHECK(state.rows() == 5000);
  // alpha doubled too, so the same minimum; the tolerance as above.
  check_close(solve(state, {.alpha = 2}).coef, expected.coef, 4 * eps64 * 50 * (2500.0 * 20 * 3) * largest(expected.coef));
}

TEST(weights_are_repetitions) {
  const Data data(200, 30, 2);
  std::vector<double> weight(data.n), z, y;
  for (std::size_t i = 0; i < data.n; ++i) {
    weight[i] = static_cast<double>(i % 4);
    for (std::size_t k = 0; k < i % 4; ++k) {
      z.insert(z.end(), &data.z64[i * data.d], &data.z64[i * data.d] + data.d);
      y.insert(y.end(), &data.y[i * data.t], &data.y[i * data.t] + data.t);
    }
  }
  RidgeState<> repeated({data.d, data.t});
  repeated.update<double>({z.data(), z.size() / data.d, data.d}, {y.data(), y.size() / data.t, data.t});
  const RidgeState<> weighted = state_of<double>(data, weight.data());
  CHECK(weighted.rows() == 150);
  CHECK(weighted.total_weight() == 300);
  CHECK(repeated.rows() == 300);
  const Fit expected = solve(repeated, {.alpha = 5});
  // Rounding of sqrt(w) and of the sums: eps times the condition, at most trace / alpha.
  check_close(solve(weighted, {.alpha = 5}).coef, expected.coef,
              8 * eps64 * (300.0 * 30 * 2.25 / 5) * largest(expected.coef));
}

TEST(rows_of_weight_zero_are_not_there) {
  const Data data(300, 20, 2);
  std::vector<double> weight(data.n, 1.0);
  std::fill(weight.begin() + 100, weight.begin() + 200, 0.0);
  RidgeState<> without({data.d, data.t});
  without.update<float>(data.z<float>().row_block(0, 100), data.targets().row_block(0, 100));
  without.update<float>(data.z<float>().row_block(200, 100), data.targets().row_block(200, 100));
  CHECK(state_of<float>(data, weight.data()).to_bytes() == without.to_bytes());
}

TEST(float_and_double_rows_mix) {
  const Data data(3000, 40, 2);
  RidgeState<> state({data.d, data.t});
  for (std::size_t i = 0; i < data.n; i += 1000) {
    const auto y = data.targets().row_block(i, 1000);
    if (i == 1000) {
      state.update<double>(data.z<double>().row_block(i, 1000), y);
    } else {
      state.update<float>(data.z<float>().row_block(i, 1000), y);
    }
  }
  CHECK(state.rows() == 3000);
  const Reference expected = reference(data, nullptr, 500, true);
  check_close(solve(state, {.alpha = 500}).coef, expected.coef, 4 * eps32 * expected.condition * largest(expected.coef));
}

TEST(strided_views) {
  const Data data(100, 20, 3);
  std::vector<double> z(data.n * 25, 1e30), y(data.n * 5, 1e30);
  for (std::size_t i = 0; i < data.n; ++i) {
    std::copy_n(&data.z64[i * data.d], data.d, &z[i * 25]);
    std::copy_n(&data.y[i * data.t], data.t, &y[i * 5]);
  }
  RidgeState<> state({data.d, data.t});
  state.update<double>({z.data(), data.n, data.d, 25}, {y.data(), data.n, data.t, 5});
  const Fit expected = solve(state_of<double>(data), {.alpha = 1});
  std::vector<double> coef(data.d * 7, -1.0), intercept(3);
  state.solve({.alpha = 1}, {coef.data(), data.d, data.t, 7}, {intercept.data(), 1, data.t});
  for (std::size_t i = 0; i < data.d; ++i) {
    for (std::size_t k = 0; k < data.t; ++k) CHECK(coef[i * 7 + k] == expected.coef[i * data.t + k]);
    for (std::size_t k = data.t; k < 7; ++k) CHECK(coef[i * 7 + k] == -1);
  }
}

TEST(large_offsets_of_the_targets_do_no_harm) {
  const Data data(500, 30, 1);
  std::vector<double> shifted = data.y;
  for (double& v : shifted) v += 1e6;
  RidgeState<> state({data.d, data.t});
  state.update<float>(data.z<float>(), {shifted.data(), data.n, data.t});
  const Fit expected = solve(state_of<float>(data), {.alpha = 10, .with_gcv = true});
  const Fit fit = solve(state, {.alpha = 10, .with_gcv = true});
  // Z^T Y is summed in double: its rounding is 1e6 eps times the condition, at most trace / alpha.
  const double relative = 4 * eps64 * 1e6 * (500.0 * 30 * 2.25 / 10);
  check_close(fit.coef, expected.coef, relative);
  // Y^T Y of 1e12 a row leaves eps * 1e12 of the residual's square, which is of the order of 1.
  CHECK_CLOSE(fit.solution.gcv, expected.solution.gcv, 1e12 * 500 * eps64 * expected.solution.gcv);
}

TEST(singular_matrices_give_finite_solutions) {
  // Columns in pairs: half of G's eigenvalues vanish, or are rounding noise of either sign.
  Data data(400, 100, 2);
  for (std::size_t r = 0; r < data.n; ++r)
    for (std::size_t i = 0; i < data.d; i += 2) data.z64[r * data.d + i + 1] = data.z64[r * data.d + i];
  data.z32.assign(data.z64.begin(), data.z64.end());
  for (const double alpha : {1e-300, 1e-17, 1e-12}) {
    for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
      for (const bool single : {false, true}) {
        const RidgeState<> state = single ? state_of<float>(data) : state_of<double>(data);
        const Fit fit = solve(state, {alpha, true, true, precision});
        for (const double c : fit.coef) CHECK(std::isfinite(c));
        for (const double b : fit.intercept) CHECK(std::isfinite(b));
        CHECK(!std::isnan(fit.solution.gcv));
        CHECK(fit.solution.jitter >= 0);
        // Far below the mean diagonal of G_c, 400 / 3.
        CHECK(fit.solution.jitter <= 1e-3);
      }
    }
  }
}

TEST(jitter_is_added_and_reported) {
  // One row in 200 dimensions: with alpha far below eps |z|^2 the factorisation meets zero or negative pivots.
  const Data data(1, 200, 1);
  const Fit fit = solve(state_of<double>(data), {1e-300, false, true, RidgePrecision::float64});
  CHECK(fit.solution.jitter > 0);
  CHECK(fit.solution.jitter < 1e-6);
  double fitted = 0;
  for (std::size_t i = 0; i < data.d; ++i) fitted += data.z64[i] * fit.coef[i];
  // Minimum norm in the limit: relative error jitter / |z|^2 and the rounding eps * trace / jitter * its growth, 1e-2 amply.
  CHECK_CLOSE(fitted, data.y[0], 1e-2 * std::abs(data.y[0]));
}

TEST(equal_rows_give_the_mean) {
  // With intercept the exact G_c and right-hand side are 0, so all that is computed of them is rounding. Without, G is of
  // rank 1: the fit is the mean, shrunk by |z|^2 n / (|z|^2 n + alpha).
  for (const std::size_t d : {1, 8, 150}) {
    for (const std::size_t n : {1, 2, 30, 200, 2048, 2500}) {
      Data data(n, d, 2, d + n);
      const rng::Draws draws{d, rng::Stream::sample};
      std::vector<double> row(d);
      for (std::size_t i = 0; i < d; ++i) row[i] = draws.normal(i) / 3;
      for (const bool single : {false, true}) {
        for (std::size_t e = 0; e < n * d; ++e) {
          data.z32[e] = static_cast<float>(row[e % d]);
          data.z64[e] = single ? static_cast<double>(data.z32[e]) : row[e % d];
        }
        double square = 0;
        for (std::size_t i = 0; i < d; ++i) square += data.z64[i] * data.z64[i];
        for (const double* weight : {static_cast<const double*>(nullptr), std::as_const(data).w.data()}) {
          const RidgeState<> state = single ? state_of<float>(data, weight) : state_of<double>(data, weight);
          // A state that had no rows takes the other's precision too.
          RidgeState<> merged({d, 2});
          merged.merge(state);
          CHECK(merged.to_bytes() == state.to_bytes());
          double mean[2] = {};
          for (std::size_t r = 0; r < n; ++r)
            for (std::size_t k = 0; k < 2; ++k)
              mean[k] += (weight ? weight[r] : 1) * data.y[2 * r + k] / state.total_weight();
          for (const double alpha : {1e-300, 1e-17, 1e-12, 1e-3, 1.0}) {
            for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
              const Fit fit = solve(state, {alpha, true, true, precision});
              for (const double c : fit.coef) CHECK(c == 0);
              for (std::size_t k = 0; k < 2; ++k)
                CHECK_CLOSE(fit.intercept[k], mean[k], 8 * static_cast<double>(n) * eps64 * std::abs(mean[k]));
              CHECK(!std::isnan(fit.solution.gcv));
              // Of the order of the rounding of G, float blocks included.
              CHECK(fit.solution.jitter >= 0);
              CHECK(fit.solution.jitter <= 32 * 4096 * (single ? eps32 : eps64) * square * state.total_weight());

              const Fit through_zero = solve(state, {alpha, false, false, precision});
              const double shrunk = square * state.total_weight() / (square * state.total_weight() + alpha);
              for (std::size_t k = 0; k < 2; ++k) {
                double fitted = 0;
                for (std::size_t i = 0; i < d; ++i) fitted += data.z64[i] * through_zero.coef[2 * i + k];
                CHECK_CLOSE(fitted, shrunk * mean[k], 1e-2 * std::abs(mean[k]));
              }
            }
          }
        }
      }
    }
  }
}

TEST(small_variations_are_not_taken_for_rounding) {
  // Double rows that differ from their sixth digit on, and targets that follow them. The relative variance, 3e-13, is above
  // the rounding of doubles, though far below that of floats; what sums of 30 terms leave of it is good for a few percent.
  Data data(30, 3, 1);
  std::vector<double> y(data.n);
  for (std::size_t r = 0; r < data.n; ++r) {
    for (std::size_t i = 0; i < data.d; ++i) data.z64[r * data.d + i] = 1 + 1e-6 * data.z64[r * data.d + i];
    y[r] = 1e6 * (data.z64[r * data.d] - 1);
  }
  data.y = y;
  const Fit fit = solve(state_of<double>(data), {1e-15, true, false, RidgePrecision::float64});
  CHECK(fit.solution.jitter == 0);
  CHECK_CLOSE(fit.coef[0], 1e6, 1e5);
}

TEST(zero_features) {
  Data data(50, 10, 1);
  std::fill(data.z64.begin(), data.z64.end(), 0.0);
  for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
    const Fit fit = solve(state_of<double>(data), {1, true, true, precision});
    for (const double c : fit.coef) CHECK(c == 0);
    double mean = 0;
    for (const double v : data.y) mean += v / 50;
    CHECK_CLOSE(fit.intercept[0], mean, 50 * eps64 * std::abs(mean));
    CHECK(fit.solution.precision == precision);
  }
}

TEST(bad_arguments) {
  CHECK(check::throws<Error>([] { RidgeState<>({0, 1}); }, "n_features is 0"));
  CHECK(check::throws<Error>([] { RidgeState<>({1, 0}); }, "n_targets is 0"));
  CHECK(check::throws<Error>([] { RidgeState<>({std::size_t{1} << 40, 1}); }, "at most"));

  const Data data(20, 4, 2);
  RidgeState<> state({4, 2});
  std::vector<double> coef(8), intercept(2);
  const View<double> c{coef.data(), 4, 2}, b{intercept.data(), 1, 2};
  CHECK(check::throws<Error>([&] { state.solve({.alpha = 1}, c, b); }, "no rows"));

  state.update<double>(data.z<double>(), data.targets());
  const std::string before = state.to_bytes();
  CHECK(
      check::throws<Error>([&] { state.update<double>({data.z64.data(), 20, 3}, data.targets()); }, "z has shape (20, 3)"));
  CHECK(
      check::throws<Error>([&] { state.update<double>(data.z<double>(), {data.y.data(), 19, 2}); }, "y has shape (19, 2)"));
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {-1.0, inf, nan}) {
    std::vector<double> weight(20, 1.0);
    weight[13] = bad;
    CHECK(check::throws<Error>([&] { state.update<double>(data.z<double>(), data.targets(), weight.data()); },
                               "sample_weight[13]"));
  }
  for (const double bad : {0.0, -1.0, inf, nan})
    CHECK(check::throws<Error>([&] { state.solve({.alpha = bad}, c, b); }, "alpha is"));
  CHECK(check::throws<Error>([&] { state.solve({.alpha = 1}, {coef.data(), 2, 4}, b); }, "coef has shape (2, 4)"));
  CHECK(check::throws<Error>([&] { state.solve({.alpha = 1}, c, {intercept.data(), 2, 1}); }, "intercept has shape (2, 1)"));
  CHECK(check::throws<Error>([&] { state.merge(RidgeState<>({4, 3})); }, "3 targets"));
  CHECK(check::throws<Error>([&] { state.merge(RidgeState<>({5, 2})); }, "5 features"));
  CHECK(state.to_bytes() == before);
  state.update<double>({nullptr, 0, 4}, {nullptr, 0, 2});
  CHECK(state.to_bytes() == before);
}

TEST(sums_that_are_not_finite_are_refused) {
  for (const bool in_z : {true, false}) {
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e200}) {
      if (!in_z && bad == 1e200) continue;  // Z^T Y still holds it
      Data data(20, 4, 2);
      (in_z ? data.z64 : data.y)[5] = bad;
      for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed})
        CHECK(check::throws<Error>([&] { solve(state_of<double>(data), {1, true, false, precision}); }, "not finite"));
    }
  }
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
