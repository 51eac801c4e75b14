// RidgeState on a device against the one on the CPU: equal states where all sums are exact, solutions within the rounding of
// the equations; and its own promises about batches, streams and failed calls.
#include <fastntk/ridge.hpp>
#include <fastntk/rng.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "../../csrc/cuda/runtime.cuh"
#include "../cpp/ridge_cases.hpp"
#include "device.hpp"
#include "stream.hpp"

using namespace fastntk;
using device::DeviceMatrix;
using sketches::Matrix;

namespace {

constexpr double eps64 = std::numeric_limits<double>::epsilon();
constexpr double eps32 = std::numeric_limits<float>::epsilon();
using DeviceState = RidgeState<Cuda>;

struct Data : ridge_cases::ExactRows {
  Data(std::size_t rows, std::size_t features, std::size_t targets, std::uint64_t seed = 1)
      : ExactRows(rows, features, targets, seed) {
    for (std::size_t r = 0; r < n; r += 3) w[r] = 0;
  }
};

template <class T, Backend B>
void add(RidgeState<B>& state, View<const T, B> z, View<const double, B> y, const double* weight, std::size_t batch = 0) {
  if (batch == 0) batch = std::max<std::size_t>(z.rows, 1);
  for (std::size_t i = 0; i < z.rows; i += batch) {
    const std::size_t count = std::min(batch, z.rows - i);
    // The caller's weights are gone when the call returns.
    std::vector<double> own;
    if (weight) own.assign(weight + i, weight + i + count);
    state.template update<T>(z.row_block(i, count), y.row_block(i, count), weight ? own.data() : nullptr);
    std::fill(own.begin(), own.end(), std::numeric_limits<double>::quiet_NaN());
  }
}

template <class T>
void add(RidgeState<Cpu>& state, const Data& data, const double* weight = nullptr, std::size_t batch = 0) {
  add<T>(state, data.z<T>().view(), data.y.view(), weight, batch);
}

template <class T>
void add(DeviceState& state, const Data& data, const double* weight = nullptr, std::size_t batch = 0, std::size_t gap = 0) {
  const DeviceMatrix<T> z(data.z<T>(), gap);
  const DeviceMatrix<double> y(data.y, gap);
  add<T>(state, z.view(), y.view(), weight, batch);
}

template <class T, Backend B = Cuda>
RidgeState<B> state_of(const Data& data, const double* weight = nullptr) {
  RidgeState<B> state({data.d, data.t});
  add<T>(state, data, weight);
  return state;
}

struct Fit {
  std::vector<double> coef, intercept;
  RidgeSolution solution;
};

template <Backend B>
Fit solve(const RidgeState<B>& state, const RidgeSolveParams& params) {
  const auto [d, t] = state.params();
  Fit fit{std::vector<double>(d * t), std::vector<double>(t), {}};
  fit.solution = state.solve(params, View<double>{fit.coef.data(), d, t}, View<double>{fit.intercept.data(), 1, t});
  return fit;
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

// Both carry an error of about 4 eps * condition, and the condition is at most trace / alpha; a solution of the mixed factor
// has another 1e-8, and its trace the float factor's error. The intercept is a sum of d coefficients times means below 1.
void compare_solutions(const DeviceState& state, double rows, const RidgeSolveParams& params) {
  const RidgeState<Cpu> host = RidgeState<Cpu>::from_bytes(state.to_bytes());
  const Fit fit = solve(state, params), expected = solve(host, params);
  const double d = static_cast<double>(state.params().n_features);
  const double condition = rows * d / params.alpha + 1;
  const double relative = 8 * eps64 * condition + (params.precision == RidgePrecision::mixed ? 2e-8 : 0);
  const double tolerance = relative * std::max(largest(expected.coef), eps64);
  check_close(fit.coef, expected.coef, tolerance);
  check_close(fit.intercept, expected.intercept, d * tolerance + 16 * eps64);
  CHECK(fit.solution.jitter == 0);
  CHECK(fit.solution.precision == expected.solution.precision);
  if (params.with_gcv) {
    const double trace_error = params.precision == RidgePrecision::mixed ? 8 * eps32 * condition : relative;
    CHECK_CLOSE(fit.solution.gcv, expected.solution.gcv, 4 * (relative + trace_error) * expected.solution.gcv + 1e-13);
  } else {
    CHECK(std::isnan(fit.solution.gcv));
  }
}

}  // namespace

TEST(a_state_is_the_cpus) {
  struct Shape {
    std::size_t rows, features, targets;
  };
  // Around the edges of tiles of 128 and 256; with and without a full block of 2048 rows; one strip of G and two.
  for (const Shape& s : {Shape{1, 1, 1},
                         {5, 1, 1},
                         {40, 7, 9},
                         {2048, 127, 2},
                         {2100, 128, 1},
                         {50, 129, 17},
                         {2049, 257, 3},
                         {60, 1000, 2},
                         {2060, 1025, 2}}) {
    const Data data(s.rows, s.features, s.targets, s.features);
    for (const double* weight : {static_cast<const double*>(nullptr), data.w.data()}) {
      if (check::sanitized && s.rows * s.features > 1'000'000) continue;
      for (const std::size_t gap : {0, 3}) {
        DeviceState single({s.features, s.targets}), wide({s.features, s.targets});
        add<float>(single, data, weight, 0, gap);
        add<double>(wide, data, weight, 0, gap);
        CHECK(single.to_bytes() == (state_of<float, Cpu>(data, weight).to_bytes()));
        CHECK(wide.to_bytes() == (state_of<double, Cpu>(data, weight).to_bytes()));
        if (s.rows * s.features > 1'000'000) break;
      }
    }
  }
}

TEST(rows_of_both_precisions_may_follow_each_other) {
  const Data first(2100, 130, 2), second(70, 130, 2, 5);
  DeviceState state({130, 2});
  RidgeState<Cpu> expected({130, 2});
  const auto fill = [&](auto& to) {
    add<float>(to, first);
    add<double>(to, second, second.w.data());
    add<float>(to, second);
  };
  fill(state);
  fill(expected);
  CHECK(state.to_bytes() == expected.to_bytes());
  CHECK(state.rows() == expected.rows());
  CHECK(state.total_weight() == expected.total_weight());
}

TEST(batches_do_not_change_bits) {
  // Not exact: the order of every sum shows.
  const std::size_t n = 4500, d = 200, t = 3;
  const Matrix<float> z = sketches::random_rows<float>(n, d, 3);
  const Matrix<double> y = sketches::random_rows<double>(n, t, 4);
  std::vector<double> weight(n);
  for (std::size_t r = 0; r < n; ++r) weight[r] = r % 5 == 3 ? 0 : 0.1 * static_cast<double>(r % 7);
  const DeviceMatrix<float> dz(z);
  const DeviceMatrix<double> dy(y);
  for (const double* w : {static_cast<const double*>(nullptr), static_cast<const double*>(weight.data())}) {
    DeviceState whole({d, t});
    add<float>(whole, dz.view(), dy.view(), w);
    const std::string bytes = whole.to_bytes();
    const Fit expected = solve(whole, {.alpha = 3, .with_gcv = true});
    for (const std::size_t batch : {13, 64, 777, 2048}) {
      DeviceState state({d, t});
      add<float>(state, dz.view(), dy.view(), w, batch);
      if (!CHECK(state.to_bytes() == bytes)) return;
      if (batch != 777) continue;
      const Fit fit = solve(state, {.alpha = 3, .with_gcv = true});
      CHECK(fit.coef == expected.coef && fit.intercept == expected.intercept);
      CHECK(fit.solution.gcv == expected.solution.gcv);
    }
    // Against the CPU: sums of n products below 1 in float, each block of 2048 within 2048 eps32 of the sum of absolute
    // values.
    RidgeState<Cpu> host({d, t});
    add<float>(host, z.view(), y.view(), w);
    const Fit other = solve(host, {.alpha = 300});
    const double relative = 4 * eps32 * static_cast<double>(n * d) / 300;
    check_close(solve(whole, {.alpha = 300}).coef, other.coef, relative * largest(other.coef));
  }
}

TEST(solutions_are_the_cpus) {
  for (const std::size_t d : {1, 2, 7, 127, 128, 129, 300, 384}) {
    if (check::sanitized && d == 384) continue;
    for (const std::size_t t : {1, 10}) {
      const Data data(2 * d + 5, d, t, 10 * d + t);
      // The float rows are in G once double rows follow; those wait. Weights are at most 4.
      const Data more(d / 3 + 1, d, t, d);
      DeviceState mixed = state_of<float>(data, data.w.data());
      add<double>(mixed, more);
      const DeviceState waiting = state_of<float>(data);
      const double rows = 4 * static_cast<double>(data.n + more.n);
      for (const bool intercept : {false, true}) {
        for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
          const RidgeSolveParams params{0.05 * static_cast<double>(data.n), intercept, true, precision};
          compare_solutions(mixed, rows, params);
          compare_solutions(waiting, rows, params);
        }
      }
    }
  }
}

TEST(solutions_of_full_blocks_and_many_tiles) {
  // A full block, and rows that wait.
  const Data tall(2400, 150, 2);
  for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed})
    compare_solutions(state_of<float>(tall), 2400, {300, true, true, precision});
  // Tiles of 256, the last one of one row.
  if (check::sanitized) return;
  const Data wide(100, 1025, 2);
  compare_solutions(state_of<double>(wide), 100, {20, true, true, RidgePrecision::float64});
  compare_solutions(state_of<float>(wide), 100, {20, true, false, RidgePrecision::mixed});
}

TEST(reading_a_state_does_not_change_it) {
  const Data data(2500, 40, 2);
  const DeviceMatrix<float> z(data.z32);
  const DeviceMatrix<double> y(data.y);
  DeviceState plain({40, 2}), disturbed({40, 2}), other({40, 2});
  for (std::size_t i = 0; i < data.n; i += 500) {
    for (DeviceState* state : {&plain, &disturbed})
      state->update<float>(z.view().row_block(i, 500), y.view().row_block(i, 500));
    solve(disturbed, {.alpha = 1, .with_gcv = true});
    other.merge(disturbed);
    disturbed = DeviceState::from_bytes(disturbed.to_bytes());
  }
  CHECK(plain.to_bytes() == disturbed.to_bytes());
}

TEST(merging_is_the_cpus) {
  const Data first(2100, 130, 3), second(2200, 130, 3, 7);
  const auto merged = [&]<Backend B>(B, bool itself) {
    RidgeState<B> a = state_of<float, B>(first, first.w.data());
    const RidgeState<B> b = state_of<double, B>(second);
    a.merge(b);
    if (itself) a.merge(a);
    return a.to_bytes();
  };
  CHECK(merged(Cuda{}, false) == merged(Cpu{}, false));
  CHECK(merged(Cuda{}, true) == merged(Cpu{}, true));
}

TEST(bytes_go_between_backends) {
  for (const std::size_t n : {0, 1, 2047, 2048, 2130}) {
    const Data data(n, 33, 3);
    const DeviceState state = state_of<float>(data, data.w.data());
    const std::string bytes = state.to_bytes();
    RidgeState<Cpu> host = RidgeState<Cpu>::from_bytes(bytes);
    DeviceState copy = DeviceState::from_bytes(host.to_bytes());
    CHECK(copy.to_bytes() == bytes);
    CHECK(copy.rows() == state.rows());
    CHECK(copy.total_weight() == state.total_weight());
    // And they go on alike.
    const Data more(100, 33, 3, 77);
    add<double>(host, more);
    add<double>(copy, more);
    CHECK(copy.to_bytes() == host.to_bytes());
  }
  CHECK(check::throws<Error>([] { DeviceState::from_bytes("FNTRIDGE"); }, "too few"));
}

TEST(merge_of_bytes_is_the_cpus) {
  for (const std::size_t n : {0, 1300, 2048}) {
    for (const std::size_t m : {0, 1300, 2130}) {
      const Data data(n, 130, 3), more(m, 130, 3, 7);
      const std::string ours = state_of<float, Cpu>(data, data.w.data()).to_bytes();
      for (const std::string& theirs : {state_of<float, Cpu>(more).to_bytes(), state_of<double, Cpu>(more).to_bytes()}) {
        for (const bool before : {false, true}) {
          DeviceState state = DeviceState::from_bytes(ours);
          RidgeState<Cpu> host = RidgeState<Cpu>::from_bytes(ours);
          state.merge_bytes(theirs, before);
          host.merge_bytes(theirs, before);
          CHECK(state.to_bytes() == host.to_bytes());
          CHECK(state.rows() == host.rows());
          CHECK(state.to_host().to_bytes() == host.to_bytes());
          std::string joined;
          for (const RidgePiece& piece : state.to_pieces()) joined += piece.view();
          CHECK(joined == host.to_bytes());
        }
      }
    }
  }
}

TEST(jitter_is_added_and_reported) {
  const Data data(1, 200, 1);
  const Fit fit = solve(state_of<double>(data), {1e-300, false, true, RidgePrecision::float64});
  CHECK(fit.solution.jitter > 0);
  CHECK(fit.solution.jitter < 1e-6);
  double fitted = 0;
  for (std::size_t i = 0; i < data.d; ++i) fitted += data.z64.values[i] * fit.coef[i];
  // Minimum norm in the limit: relative error jitter / |z|^2 and the rounding eps * trace / jitter * its growth, 1e-2 amply.
  CHECK_CLOSE(fitted, data.y.values[0], 1e-2 * std::abs(data.y.values[0]));
}

TEST(equal_rows_give_the_mean) {
  // Not quarters: sums of these round, and what centring leaves of G is nothing else.
  for (const std::size_t d : {1, 8, 150}) {
    for (const std::size_t n : {30, 2100}) {
      if (check::sanitized && n * d > 100'000) continue;
      Data data(n, d, 2);
      const rng::Draws draws{d, rng::Stream::sample};
      for (std::size_t e = 0; e < n * d; ++e) {
        data.z32.values[e] = static_cast<float>(draws.normal(e % d) / 3);
        data.z64.values[e] = draws.normal(e % d) / 3;
      }
      for (const bool single : {false, true}) {
        for (const double* weight : {static_cast<const double*>(nullptr), std::as_const(data).w.data()}) {
          const DeviceState state = single ? state_of<float>(data, weight) : state_of<double>(data, weight);
          double mean[2] = {};
          for (std::size_t r = 0; r < n; ++r)
            for (std::size_t k = 0; k < 2; ++k) mean[k] += (weight ? weight[r] : 1) * data.y(r, k) / state.total_weight();
          for (const double alpha : {1e-300, 1e-12, 1e-3}) {
            for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed}) {
              const Fit fit = solve(state, {alpha, true, true, precision});
              for (const double c : fit.coef) CHECK(c == 0);
              for (std::size_t k = 0; k < 2; ++k) CHECK_CLOSE(fit.intercept[k], mean[k], 8 * static_cast<double>(n) * eps64);
              CHECK(fit.solution.jitter >= 0);
              CHECK(!std::isnan(fit.solution.gcv));
            }
          }
        }
      }
    }
  }
}

TEST(a_mixed_factor_that_does_not_do_falls_back) {
  // With two equal columns and an alpha below the rounding of floats there is no float factor, or none that converges.
  Data data(300, 140, 2);
  for (std::size_t r = 0; r < data.n; ++r) data.z64(r, 139) = data.z64(r, 3);
  const RidgeSolveParams params{1e-6, true, false, RidgePrecision::mixed};
  const Fit fit = solve(state_of<double>(data), params);
  CHECK(fit.solution.precision == RidgePrecision::float64);
  for (const double c : fit.coef) CHECK(std::isfinite(c));
}

TEST(sums_that_are_not_finite_are_refused) {
  for (const bool in_z : {true, false}) {
    Data data(20, 4, 2);
    (in_z ? data.z64 : data.y).values[5] = std::numeric_limits<double>::quiet_NaN();
    for (const RidgePrecision precision : {RidgePrecision::float64, RidgePrecision::mixed})
      CHECK(check::throws<Error>([&] { solve(state_of<double>(data), {1, true, false, precision}); }, "not finite"));
  }
}

TEST(bad_arguments) {
  const Data data(20, 4, 2);
  DeviceState state = state_of<double>(data);
  const std::string before = state.to_bytes();
  const DeviceMatrix<double> z(data.z64), y(data.y);
  CHECK(check::throws<Error>([&] { state.update<double>(z.view().col_block(0, 3), y.view()); }, "z has shape (20, 3)"));
  CHECK(check::throws<Error>([&] { state.update<double>(z.view(), y.view().row_block(0, 19)); }, "y has shape (19, 2)"));
  std::vector<double> weight(20, 1.0);
  weight[13] = -1;
  CHECK(check::throws<Error>([&] { state.update<double>(z.view(), y.view(), weight.data()); }, "sample_weight[13]"));
  CHECK(check::throws<Error>([&] { state.merge(DeviceState({4, 3})); }, "3 targets"));
  CHECK(check::throws<Error>([&] { solve(state, {.alpha = 0}); }, "alpha is"));
  CHECK(check::throws<Error>([&] { solve(DeviceState({4, 2}), {.alpha = 1}); }, "no rows"));
  CHECK(check::throws<Error>([&] { state.run_on({.device = 1}); }, "device"));
  CHECK(check::throws<Error>([&] { DeviceState({0, 1}); }, "n_features is 0"));
  state.update<double>(View<const double, Cuda>(nullptr, 0, 4), View<const double, Cuda>(nullptr, 0, 2));
  const std::vector<double> none(20);
  state.update<double>(z.view(), y.view(), none.data());
  CHECK(state.to_bytes() == before);
}

namespace {}  // namespace

TEST(a_state_moves_between_streams) {
  const Data data(2300, 70, 2);
  const std::string expected = state_of<float, Cpu>(data, data.w.data()).to_bytes();
  const device::Stream first, second;
  const DeviceMatrix<float> z(data.z32);
  const DeviceMatrix<double> y(data.y);
  DeviceState state({70, 2}, first.backend());
  for (std::size_t i = 0; i < data.n; i += 100) {
    state.run_on(i % 200 == 0 ? second.backend() : first.backend());
    state.update<float>(z.view().row_block(i, 100), y.view().row_block(i, 100), &data.w[i]);
  }
  CHECK(state.to_bytes() == expected);

  // Another state's work is waited for, and its later changes come after.
  DeviceState sum({70, 2}, first.backend()), part({70, 2}, second.backend());
  part.update<float>(z.view(), y.view(), data.w.data());
  sum.merge(part);
  part.update<float>(z.view(), y.view());
  CHECK(sum.to_bytes() == expected);
}

#if defined(FASTNTK_EMULATE_CUDA)

TEST(states_on_two_devices_merge) {
  const Data data(2300, 70, 2);
  const device::Stream other(1);
  const DeviceMatrix<float> z(data.z32, 0, other.backend());
  const DeviceMatrix<double> y(data.y, 0, other.backend());
  DeviceState there({70, 2}, other.backend());
  there.update<float>(z.view(), y.view());
  DeviceState here({70, 2});
  here.merge(there);
  CHECK(here.to_bytes() == (state_of<float, Cpu>(data).to_bytes()));
}

TEST(updates_do_not_wait) {
  // Nothing that waits for the device may be called: each such call would fail.
  const Data data(2300, 70, 2);
  const DeviceMatrix<float> z(data.z32);
  const DeviceMatrix<double> y(data.y);
  DeviceState state({70, 2}), other({70, 2});
  state.update<float>(z.view(), y.view(), data.w.data());  // what is made once is made now
  finish(Cuda{});
  for (const char* call :
       {"cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMalloc", "cudaFree", "cudaFreeHost"})
    emulation::inject_fault(call, cudaErrorUnknown, 0, -1);
  state.update<float>(z.view(), y.view(), data.w.data());
  state.update<float>(z.view(), y.view());
  other.merge(state);
  emulation::clear_faults();
  CHECK(state.rows() == other.rows());
}

TEST(failed_calls_leave_a_state_as_it_was) {
  const Data first(2000, 140, 2), second(100, 140, 2, 5);
  const DeviceMatrix<double> z(second.z64), y(second.y);
  const DeviceMatrix<float> z32(second.z32);
  const DeviceState other = state_of<float>(second);
  const std::string saved = other.to_bytes(), saved64 = state_of<double>(second).to_bytes();
  const auto fresh = [&] { return state_of<float>(first); };
  DeviceState control = fresh();
  const std::string before = control.to_bytes();
  const Fit fit = solve(control, {.alpha = 10, .with_gcv = true});

  const auto survives = [&](auto call) {
    for (const char* where : {"cudaMalloc", "cudaMallocFromPoolAsync", "cudaHostAlloc"}) {
      bool done = false;
      for (int skip = 0; skip < 40 && !done; ++skip) {
        DeviceState state = fresh();
        emulation::inject_fault(where, cudaErrorMemoryAllocation, skip, -1);
        try {
          call(state);
          done = true;
        } catch (const OutOfMemory&) {
        }
        emulation::clear_faults();
        if (done) continue;
        if (!CHECK(state.to_bytes() == before)) return;
        call(state);
      }
      CHECK(done);
    }
  };
  // The float rows fill a block; the double ones end one.
  survives([&](DeviceState& state) { state.update<float>(z32.view(), y.view(), second.w.data()); });
  survives([&](DeviceState& state) { state.update<double>(z.view(), y.view()); });
  survives([&](DeviceState& state) { state.merge(other); });
  survives([&](DeviceState& state) { state.merge_bytes(saved); });
  survives([&](DeviceState& state) { state.merge_bytes(saved, true); });
  survives([&](DeviceState& state) { state.merge_bytes(saved64, true); });
  survives([&](DeviceState& state) { CHECK(solve(state, {.alpha = 10, .with_gcv = true}).coef == fit.coef); });
  survives([&](DeviceState& state) { state.to_bytes(); });
  survives([&](DeviceState&) { DeviceState::from_bytes(before); });
}

#endif

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
