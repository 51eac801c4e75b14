// RidgeState on one thread: accumulation of float32 rows against one ssyrk of all of them, solutions against one dpotrf.
//
//   bench_ridge [rows features]     16384 4096 unless given
#include <fastntk/ridge.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench.hpp"
#include "sgemm.hpp"

extern "C" {
void FASTNTK_BENCH_BLAS(ssyrk_)(const char*, const char*, const int*, const int*, const float*, const float*, const int*,
                                const float*, float*, const int*);
void FASTNTK_BENCH_BLAS(dpotrf_)(const char*, const int*, double*, const int*, int*);
}

namespace {

using namespace fastntk;

constexpr std::size_t targets = 10;
constexpr double alpha = 10;

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Problem {
  Problem(std::size_t rows, std::size_t features)
      : n(rows), d(features), z(n * d), y(n * targets), coef(d * targets), intercept(targets) {}

  void update(RidgeState<>& state) const {
    constexpr std::size_t batch = 1024;
    for (std::size_t i = 0; i < n; i += batch) {
      const std::size_t count = std::min(batch, n - i);
      state.update<float>({z.data() + i * d, count, d}, {y.data() + i * targets, count, targets});
    }
  }

  RidgeSolution solve(const RidgeState<>& state, const RidgeSolveParams& params) {
    return state.solve(params, {coef.data(), d, targets}, {intercept.data(), 1, targets});
  }

  // Z^T (Y - Z coef) = alpha coef, for the first target and every 64th feature.
  void check() const {
    std::vector<double> left(n);
    double squares = 0, largest = 0;
    for (std::size_t i = 0; i < d; ++i) largest = std::max(largest, std::abs(coef[i * targets]));
    for (std::size_t r = 0; r < n; ++r) {
      left[r] = y[r * targets];
      for (std::size_t i = 0; i < d; ++i) {
        const double value = z[r * d + i];
        left[r] -= value * coef[i * targets];
        squares += value * value;
      }
    }
    for (std::size_t i = 0; i < d; i += 64) {
      double gradient = -alpha * coef[i * targets];
      for (std::size_t r = 0; r < n; ++r) gradient += static_cast<double>(z[r * d + i]) * left[r];
      // A row of G is at most n in each of its d entries and comes from products in float.
      const double bound = 0x1p-24 * squares * largest;
      bench::require(std::abs(gradient) <= bound, "ridge: the solution does not satisfy the normal equations");
    }
  }

  std::size_t n, d;
  bench::Array<float> z;
  bench::Array<double> y;
  std::vector<double> coef, intercept;
};

}  // namespace

int main(int argc, char** argv) {
  const std::size_t n = argc > 2 ? std::strtoull(argv[1], nullptr, 10) : 16384;
  const std::size_t d = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 4096;
  bench::require(n > 0 && d > 0, "usage: bench_ridge [rows features]");
  if (FASTNTK_BENCH_BLAS(openblas_set_num_threads)) FASTNTK_BENCH_BLAS(openblas_set_num_threads)(1);
  const int rounds = n * d * d > 1'000'000'000'000 ? 3 : 5;

  Problem problem(n, d);
  std::vector<float> gram(d * d);
  std::vector<double> factor(d * d);
  const int ni = static_cast<int>(n), di = static_cast<int>(d);
  const auto ssyrk = [&] {
    const float one = 1, zero = 0;
    FASTNTK_BENCH_BLAS(ssyrk_)("U", "N", &di, &ni, &one, problem.z.data(), &di, &zero, gram.data(), &di);
  };
  const auto dpotrf = [&] {
    int info = 0;
    FASTNTK_BENCH_BLAS(dpotrf_)("U", &di, factor.data(), &di, &info);
    bench::require(info == 0, "dpotrf failed");
  };

  const std::vector<std::pair<std::string, RidgeSolveParams>> solves = {
      {"ridge solve", {alpha, true, false, RidgePrecision::float64}},
      {"ridge solve mixed", {alpha, true, false, RidgePrecision::mixed}},
      {"ridge solve gcv", {alpha, true, true, RidgePrecision::float64}},
      {"ridge solve mixed gcv", {alpha, true, true, RidgePrecision::mixed}}};
  bench::Times update, syrk, potrf;
  std::vector<bench::Times> solve(solves.size());
  for (int round = 0; round <= rounds; ++round) {
    const double syrk_s = seconds(ssyrk);
    RidgeState<> state({d, targets}, Cpu{1});
    const double update_s = seconds([&] { problem.update(state); });
    std::copy(gram.begin(), gram.end(), factor.begin());
    for (std::size_t i = 0; i < d; ++i) factor[i * d + i] += alpha;
    const double potrf_s = seconds(dpotrf);
    if (round == 0) {  // checks, and brings all memory in
      problem.solve(state, {alpha, false, false, RidgePrecision::float64});
      problem.check();
      problem.solve(state, {alpha, false, false, RidgePrecision::mixed});
      problem.check();
      continue;
    }
    syrk.push_back(syrk_s);
    update.push_back(update_s);
    potrf.push_back(potrf_s);
    for (std::size_t k = 0; k < solves.size(); ++k) {
      solve[k].push_back(seconds([&] {
        const RidgeSolution solution = problem.solve(state, solves[k].second);
        bench::require(solution.jitter == 0 && solution.precision == solves[k].second.precision,
                       "ridge: unexpected solution");
      }));
    }
  }

  const double rows = static_cast<double>(n), columns = static_cast<double>(d);
  bench::print({.op = "ridge update",
                .dtype = "float32",
                .shape = std::to_string(n) + "x" + std::to_string(d),
                .times = update,
                .work = rows * columns * columns,
                .unit = "s",
                .floor = "ssyrk",
                .floor_times = syrk,
                .floor_work = rows * columns * columns});
  for (std::size_t k = 0; k < solves.size(); ++k) {
    bench::print({.op = solves[k].first,
                  .dtype = "float64",
                  .shape = std::to_string(d) + "x" + std::to_string(targets),
                  .times = solve[k],
                  .work = columns * columns * columns / 3,
                  .unit = "s",
                  .floor = "dpotrf",
                  .floor_times = potrf,
                  .floor_work = columns * columns * columns / 3});
  }
}
