// What RidgeState knows beyond its solutions: rows that are removed again, the equations themselves, and their condition.
#include <fastntk/ridge.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "ridge_cases.hpp"

using namespace fastntk;
using ridge_cases::Equations;
using ridge_cases::ExactRows;
using sketches::Matrix;

namespace {

constexpr double eps64 = std::numeric_limits<double>::epsilon();

template <class T>
void add(RidgeState<>& state, const ExactRows& rows, const double* weight, std::size_t first, std::size_t count) {
  state.update<T>(rows.z<T>().view().row_block(first, count), rows.y.view().row_block(first, count),
                  weight ? weight + first : nullptr);
}

template <class T>
RidgeState<> state_of(const ExactRows& rows, const double* weight, std::size_t first, std::size_t count) {
  RidgeState<> state({rows.d, rows.t});
  add<T>(state, rows, weight, first, count);
  return state;
}

template <class T>
RidgeState<> state_of(const ExactRows& rows, const double* weight = nullptr) {
  return state_of<T>(rows, weight, 0, rows.n);
}

RidgeSolution solve(const RidgeState<>& state, const RidgeSolveParams& params) {
  Matrix<double> coef(state.params().n_features, state.params().n_targets), intercept(1, state.params().n_targets);
  return state.solve(params, coef.view(), intercept.view());
}

template <class T>
void check_removal(const ExactRows& rows, const double* weight, std::size_t first, std::size_t count) {
  RidgeState<> state = state_of<T>(rows, weight);
  state.subtract(state_of<T>(rows, weight, first, count));
  RidgeState<> never = state_of<T>(rows, weight, 0, first);
  add<T>(never, rows, weight, first + count, rows.n - first - count);
  CHECK(state.rows() == never.rows());
  CHECK(state.total_weight() == never.total_weight());
  // Every sum is exact.
  CHECK(Equations(state, false) == Equations(never, false));
  CHECK(Equations(state, true) == Equations(never, true));
}

}  // namespace

TEST(removed_rows_leave_nothing) {
  // Fewer rows than a block of 2048 holds, as many, and more, in the state and among those that go.
  for (const std::size_t d : {1, 7, 130}) {
    const ExactRows rows(check::sanitized ? 2100 : 4500, d, 2, d);
    for (const double* weight : {static_cast<const double*>(nullptr), rows.w.data()}) {
      check_removal<float>(rows, weight, 0, 5);
      check_removal<double>(rows, weight, rows.n - 70, 70);
      check_removal<float>(rows, weight, 3, 2048);
      check_removal<double>(rows, weight, 1, rows.n - 2);
    }
  }
}

TEST(rows_of_the_other_precision_can_be_removed) {
  const ExactRows rows(100, 9, 1);
  RidgeState<> state = state_of<float>(rows);
  state.subtract(state_of<double>(rows, nullptr, 60, 40));
  CHECK(Equations(state, true) == Equations(state_of<float>(rows, nullptr, 0, 60), true));
}

TEST(a_state_whose_rows_are_all_removed_is_as_new) {
  for (const std::size_t n : {3, 2048, 2500}) {
    // Not exact: what is left of the sums would be rounding.
    ExactRows rows(n, 20, 2);
    for (double& v : rows.z64.values) v = std::sin(v) * 1e6;
    for (double& v : rows.y.values) v = std::cos(v) / 7;
    for (double& v : rows.w) v = std::sqrt(v + 0.1);
    const std::string as_new = state_of<double>(rows, rows.w.data(), 0, 2).to_bytes();
    for (const bool itself : {false, true}) {
      RidgeState<> state = state_of<double>(rows, rows.w.data()), backwards({20, 2});
      for (std::size_t i = rows.n; i-- > 0;) add<double>(backwards, rows, rows.w.data(), i, 1);
      state.subtract(itself ? state : backwards);
      CHECK(state.rows() == 0);
      CHECK(state.total_weight() == 0);
      CHECK(check::throws<Error>([&] { solve(state, {}); }, "no rows"));
      add<double>(state, rows, rows.w.data(), 0, 2);
      CHECK(state.to_bytes() == as_new);
    }
  }
}

TEST(a_window_slides_and_shrinks) {
  // Beside the rows that have gone, those that stay are small at times.
  const ExactRows rows = ridge_cases::rounded_rows(4800, 4, 2);
  const auto to_nothing = [&]<class T>(T, std::size_t window, std::size_t step, std::size_t steps, const double* weight) {
    const RidgeState<> left = ridge_cases::slide(rows.n, window, step, check::sanitized ? steps / 10 : steps,
                                                 [&](auto... part) { return state_of<T>(rows, weight, part...); });
    CHECK(left.total_weight() == 0);
  };
  for (const double* weight : {static_cast<const double*>(nullptr), rows.w.data()}) {
    to_nothing(float{}, 60, 1, 10000, weight);
    to_nothing(double{}, 60, 1, 10000, weight);
    to_nothing(float{}, 4800, 480, 300, weight);
    to_nothing(double{}, 4800, 480, 300, weight);
    to_nothing(float{}, 1, 1, 300, weight);
    to_nothing(double{}, 4800, 3, 0, weight);
  }
}

TEST(what_removed_rows_left_is_saved) {
  const ExactRows rows = ridge_cases::rounded_rows(1100, 4, 2);
  RidgeState<> state = state_of<float>(rows, nullptr, 0, 1000);
  const std::size_t as_added = state.to_bytes().size();
  state.subtract(state_of<float>(rows, nullptr, 0, 995));
  const std::string bytes = state.to_bytes();
  CHECK(bytes.size() == as_added + 7 * sizeof(double));
  RidgeState<> read = RidgeState<>::from_bytes(bytes);
  CHECK(read.to_bytes() == bytes);
  CHECK(read.to_host().to_bytes() == bytes);
  // Two states together have what both have.
  const RidgeState<> other = state_of<float>(rows, nullptr, 1000, 100);
  RidgeState<> merged = RidgeState<>::from_bytes(bytes), before = RidgeState<>::from_bytes(other.to_bytes());
  merged.merge(other);
  before.merge_bytes(bytes, true);
  CHECK(merged.to_bytes() == before.to_bytes());
  merged.subtract(other);
  merged.subtract(state_of<float>(rows, nullptr, 995, 5));
  CHECK(merged.rows() == 0);
  read.subtract(state_of<float>(rows, nullptr, 995, 5));
  CHECK(read.rows() == 0);
}

TEST(rows_that_were_not_there_are_refused_after_many_that_were) {
  const ExactRows rows(600, 5, 2);
  RidgeState<> state = state_of<double>(rows, nullptr, 0, 60);
  for (std::size_t i = 0; i < 3000; ++i) {
    state.merge(state_of<double>(rows, nullptr, (60 + i) % 600, 1));
    state.subtract(state_of<double>(rows, nullptr, i % 600, 1));
  }
  // Of the sum of squares of a target, which is some 20.
  ExactRows others = rows;
  others.y(0, 1) = std::sqrt(std::pow(others.y(0, 1), 2) + 1e-7);
  CHECK(check::throws<Error>([&] { state.subtract(state_of<double>(others, nullptr, 0, 60)); }, "targets whose squares"));
  others.w.assign(rows.n, 1 + 1e-10);
  CHECK(check::throws<Error>([&] { state.subtract(state_of<double>(rows, others.w.data(), 0, 60)); }, "a total weight of"));
  state.subtract(state_of<double>(rows, nullptr, 0, 60));
  CHECK(state.rows() == 0);
}

TEST(rows_without_a_weight_of_their_own_are_refused) {
  const ExactRows rows(3, 2, 1);
  const double weight[] = {1, 1, 1e30};
  RidgeState<> state = state_of<double>(rows, weight, 0, 3);
  CHECK(check::throws<Error>([&] { state.subtract(state_of<double>(rows, weight, 2, 1)); }, "2 rows would be left"));
  CHECK(state.rows() == 3);
}

TEST(rows_that_were_not_there_are_refused) {
  const ExactRows rows(40, 5, 2);
  const double* const weight = rows.w.data();
  RidgeState<> state = state_of<double>(rows, weight, 0, 20);
  const std::string before = state.to_bytes();
  const auto refuses = [&](const RidgeState<>& other, const char* part) {
    return check::throws<Error>([&] { state.subtract(other); }, part) && state.to_bytes() == before;
  };
  CHECK(refuses(state_of<double>(rows, weight, 0, 21), "a number of 21"));
  std::vector<double> heavy(rows.n, 1000.0), light(rows.n, 0.125);
  CHECK(refuses(state_of<double>(rows, heavy.data(), 0, 3), "a total weight of 3000"));
  CHECK(refuses(state_of<double>(rows, light.data(), 0, 20), "a total weight of 2.5"));
  ExactRows others = rows;
  for (double& v : others.y.values) v += 100;
  CHECK(refuses(state_of<double>(others, weight, 0, 3), "squares sum to"));
  for (double& v : others.y.values) v = 0;
  CHECK(refuses(state_of<double>(others, weight, 0, 20), "squares sum to 0"));
  others = rows;
  for (double& v : others.z64.values) v = 100;
  CHECK(refuses(state_of<double>(others, weight, 0, 3), "features whose squares sum to"));
  CHECK(refuses(RidgeState<>({5, 1}), "1 targets"));
  state.subtract(RidgeState<>({5, 2}));
  CHECK(state.rows() == 20);
  CHECK(Equations(state, true) == Equations(state_of<double>(rows, weight, 0, 20), true));
}

TEST(an_indefinite_matrix_says_why) {
  // The squares of each column are there, but not their product: (1, -1) is there, (1, 1) goes.
  ExactRows rows(400, 2, 1);
  for (std::size_t r = 0; r < rows.n; ++r) {
    rows.z64.values[2 * r] = 1;
    rows.z64.values[2 * r + 1] = r < 300 ? -1 : 1;
  }
  RidgeState<> state = state_of<double>(rows, nullptr, 0, 300);
  for (double& v : rows.y.values) v = 0;
  state.subtract(state_of<double>(rows, nullptr, 300, 100));
  CHECK(check::throws<Error>([&] { solve(state, {.alpha = 1e-3, .fit_intercept = false}); }, "indefinite"));
}

TEST(equations_are_those_of_the_definition) {
  for (const std::size_t d : {1, 6, 128, 300}) {
    // The number of rows is a power of two, so that the means are exact, too.
    const ExactRows rows(64, d, 3, d);
    for (const bool intercept : {false, true}) {
      const Equations found(state_of<double>(rows), intercept);
      const double samples = static_cast<double>(rows.n);
      for (std::size_t i = 0; i < d; ++i) {
        double sum = 0;
        for (std::size_t r = 0; r < rows.n; ++r) sum += rows.z64(r, i);
        CHECK(found.mean(0, i) == (intercept ? sum / samples : 0));
        for (std::size_t j = 0; j < d; ++j) {
          double product = 0;
          for (std::size_t r = 0; r < rows.n; ++r)
            product += (rows.z64(r, i) - found.mean(0, i)) * (rows.z64(r, j) - found.mean(0, j));
          CHECK(found.gram(i, j) == product);
        }
        for (std::size_t k = 0; k < rows.t; ++k) {
          double product = 0;
          for (std::size_t r = 0; r < rows.n; ++r) product += (rows.z64(r, i) - found.mean(0, i)) * rows.y(r, k);
          CHECK(found.rhs(i, k) == product);
        }
      }
      for (std::size_t k = 0; k < rows.t; ++k) {
        double sum = 0, squares = 0;
        for (std::size_t r = 0; r < rows.n; ++r) sum += rows.y(r, k);
        CHECK(found.target_mean(0, k) == (intercept ? sum / samples : 0));
        for (std::size_t r = 0; r < rows.n; ++r) squares += std::pow(rows.y(r, k) - found.target_mean(0, k), 2);
        CHECK(found.variation(0, k) == squares);
      }
    }
  }
}

TEST(the_condition_is_that_of_the_matrix) {
  // One row for each feature, with an entry s_i at i: without intercept G = diag(s_i^2).
  for (const std::size_t d : {1, 2, 8, 140, 300}) {
    for (const double spread : {0.0, 1.0, 3.0}) {
      ExactRows rows(d, d, 1);
      std::fill(rows.z64.values.begin(), rows.z64.values.end(), 0.0);
      for (std::size_t i = 0; i < d; ++i) {
        const double at = d > 1 ? static_cast<double>(i) / static_cast<double>(d - 1) : 0;
        rows.z64(i, i) = std::pow(10, spread * (at - 0.5));
      }
      const double alpha = 1e-3 * std::pow(rows.z64(0, 0), 2);
      const double top = std::pow(rows.z64(d - 1, d - 1), 2) + alpha, least = std::pow(rows.z64(0, 0), 2) + alpha;
      for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
        const RidgeSolution found =
            solve(state_of<double>(rows),
                  {.alpha = alpha, .fit_intercept = false, .precision = precision, .with_condition = true});
        CHECK(found.precision == precision);
        // Exact from 8 dimensions down, but for what float rounds; beyond, each of the two eigenvalues is found to a half
        // but with a probability of 1.648 sqrt(300) exp(-15 / sqrt(2)) = 7e-4.
        const double rounding = precision == RidgePrecision::mixed ? 1e-3 : 1e-10;
        CHECK(found.condition <= (1 + rounding) * top / least);
        CHECK(found.condition >= (d <= 8 ? 1 - rounding : 0.25) * top / least);
        CHECK_CLOSE(
            found.resolution,
            eps64 *
                [&] {
                  double trace = 0;
                  for (std::size_t i = 0; i < d; ++i) trace += std::pow(rows.z64(i, i), 2);
                  return trace;
                }(),
            1e-12 * found.resolution);
      }
      CHECK(std::isnan(solve(state_of<double>(rows), {.alpha = alpha}).condition));
    }
  }
}

TEST(the_resolution_is_that_of_the_rows) {
  const ExactRows rows(50, 10, 1);
  const RidgeSolution single = solve(state_of<float>(rows), {}), wide = solve(state_of<double>(rows), {});
  CHECK(single.resolution == 0x1p29 * wide.resolution);
}

TEST(bad_arguments) {
  const ExactRows rows(20, 4, 2);
  const RidgeState<> state = state_of<double>(rows);
  Matrix<double> gram(4, 4), rhs(4, 2), mean(1, 4), target_mean(1, 2), variation(1, 2), other(2, 4);
  RidgeEquations out{gram.view(), rhs.view(), mean.view(), target_mean.view(), variation.view()};
  CHECK(check::throws<Error>([&] { RidgeState<>({4, 2}).equations(true, out); }, "no rows"));
  out.rhs = other.view();
  CHECK(check::throws<Error>([&] { state.equations(true, out); }, "rhs has shape (2, 4)"));
  out.rhs = rhs.view();
  out.gram = other.view();
  CHECK(check::throws<Error>([&] { state.equations(true, out); }, "gram has shape (2, 4)"));
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
