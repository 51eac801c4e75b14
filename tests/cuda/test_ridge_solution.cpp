// Rows that are removed again from a RidgeState on a device, its equations and their condition, against the CPU's.
#include <fastntk/ridge.hpp>

#include <cstddef>
#include <string>
#include <utility>

#include "../cpp/ridge_cases.hpp"
#include "device.hpp"

using namespace fastntk;
using device::DeviceMatrix;
using ridge_cases::Equations;
using ridge_cases::ExactRows;
using sketches::Matrix;

namespace {

template <class T>
RidgeState<Cpu> state_of(Cpu, const ExactRows& rows, const double* weight, std::size_t first, std::size_t count) {
  RidgeState<Cpu> state({rows.d, rows.t});
  state.update<T>(rows.z<T>().view().row_block(first, count), rows.y.view().row_block(first, count),
                  weight ? weight + first : nullptr);
  return state;
}

template <class T>
RidgeState<Cuda> state_of(Cuda, const ExactRows& rows, const double* weight, std::size_t first, std::size_t count) {
  const DeviceMatrix<T> z(rows.z<T>());
  const DeviceMatrix<double> y(rows.y);
  RidgeState<Cuda> state({rows.d, rows.t});
  state.update<T>(std::as_const(z).view().row_block(first, count), std::as_const(y).view().row_block(first, count),
                  weight ? weight + first : nullptr);
  return state;
}

RidgeSolution solve(const auto& state, const RidgeSolveParams& params) {
  Matrix<double> coef(state.params().n_features, state.params().n_targets), intercept(1, state.params().n_targets);
  return state.solve(params, coef.view(), intercept.view());
}

}  // namespace

TEST(removing_is_the_cpus) {
  const ExactRows rows(check::sanitized ? 2100 : 4300, 130, 3);
  for (const double* weight : {static_cast<const double*>(nullptr), rows.w.data()}) {
    for (const std::size_t count : {std::size_t{5}, std::size_t{2048}, rows.n - 3, rows.n}) {
      const auto left = [&]<Backend B>(B backend) {
        RidgeState<B> state = state_of<float>(backend, rows, weight, 0, rows.n);
        state.subtract(state_of<double>(backend, rows, weight, 0, count));
        return state.to_bytes();
      };
      CHECK(left(Cuda{}) == left(Cpu{}));
    }
  }
}

TEST(a_window_slides_and_shrinks) {
  const ExactRows rows = ridge_cases::rounded_rows(1200, 4, 2);
  const auto to_nothing = [&]<class T>(T, std::size_t window, std::size_t step, std::size_t steps, const double* weight) {
    const RidgeState<Cuda> left = ridge_cases::slide(
        rows.n, window, step, steps, [&](auto... part) { return state_of<T>(Cuda{}, rows, weight, part...); });
    CHECK(left.total_weight() == 0);
  };
  for (const double* weight : {static_cast<const double*>(nullptr), rows.w.data()}) {
    to_nothing(float{}, 60, 1, 300, weight);
    to_nothing(double{}, 60, 1, 300, weight);
    to_nothing(float{}, 1200, 120, 30, weight);
    to_nothing(double{}, 1200, 120, 30, weight);
  }
}

TEST(rows_that_were_not_there_are_refused) {
  const ExactRows rows(30, 5, 2);
  RidgeState<Cuda> state = state_of<double>(Cuda{}, rows, nullptr, 0, 20);
  const std::string before = state.to_bytes();
  const RidgeState<Cuda> more = state_of<double>(Cuda{}, rows, nullptr, 0, 30);
  CHECK(check::throws<Error>([&] { state.subtract(more); }, "a number of 30"));
  CHECK(state.to_bytes() == before);
}

TEST(equations_are_the_cpus) {
  // The number of rows is a power of two: all numbers are exact.
  for (const std::size_t d : {1, 127, 130, 300}) {
    const ExactRows rows(64, d, 2, d);
    for (const bool intercept : {false, true}) {
      CHECK(Equations(state_of<float>(Cuda{}, rows, nullptr, 0, 64), intercept) ==
            Equations(state_of<float>(Cpu{}, rows, nullptr, 0, 64), intercept));
    }
  }
}

TEST(the_condition_is_the_cpus) {
  for (const std::size_t d : {3, 140}) {
    const ExactRows rows(200, d, 1, d);
    for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
      const RidgeSolveParams params{.alpha = 5, .precision = precision, .with_condition = true};
      const RidgeSolution found = solve(state_of<double>(Cuda{}, rows, nullptr, 0, 200), params);
      const RidgeSolution expected = solve(state_of<double>(Cpu{}, rows, nullptr, 0, 200), params);
      // Eight steps from one start; rounding, that of the factor above all, moves them apart by a little more each.
      const double rounding = precision == RidgePrecision::mixed ? 1e-2 : 1e-8;
      CHECK_CLOSE(found.condition, expected.condition, rounding * expected.condition);
      CHECK_CLOSE(found.resolution, expected.resolution, 1e-12 * expected.resolution);
    }
  }
}

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
