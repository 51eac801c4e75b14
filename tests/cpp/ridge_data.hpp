// Rows for the tests of RidgeState, states of them, and their solutions.
#pragma once

#include <fastntk/ridge.hpp>
#include <fastntk/rng.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace ridge_data {

using namespace fastntk;

// Values in [-1, 1) with 10 bits: exact in float, so that float and double rows are the same numbers.
template <class T>
std::vector<T> values(std::uint64_t seed, std::size_t count, double shift = 0) {
  const rng::Draws draws{seed, rng::Stream::sample};
  std::vector<T> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<T>(draws.integer(i, 2048) / 1024.0 - 1 + shift);
  return out;
}

struct Data {
  Data(std::size_t rows, std::size_t features, std::size_t targets, std::uint64_t seed = 1)
      : n(rows),
        d(features),
        t(targets),
        z32(values<float>(seed, n * d, 0.5)),
        z64(z32.begin(), z32.end()),
        y(values<double>(seed + 1, n * t, 3)),
        w(values<double>(seed + 2, n, 1.5)) {}
  template <class T>
  View<const T> z() const {
    if constexpr (std::is_same_v<T, float>) {
      return {z32.data(), n, d};
    } else {
      return {z64.data(), n, d};
    }
  }
  View<const double> targets() const { return {y.data(), n, t}; }

  std::size_t n, d, t;
  std::vector<float> z32;
  std::vector<double> z64, y, w;
};

struct Fit {
  std::vector<double> coef, intercept;
  RidgeSolution solution;
};

inline Fit solve(const RidgeState<>& state, const RidgeSolveParams& params) {
  const auto [d, t] = state.params();
  Fit fit{std::vector<double>(d * t), std::vector<double>(t), {}};
  fit.solution = state.solve(params, View<double>{fit.coef.data(), d, t}, View<double>{fit.intercept.data(), 1, t});
  return fit;
}

template <class T>
RidgeState<> state_of(const Data& data, const double* weight = nullptr, int threads = 1, std::size_t batch = 0) {
  RidgeState<> state({data.d, data.t}, Cpu{threads});
  if (batch == 0) batch = std::max<std::size_t>(data.n, 1);
  for (std::size_t i = 0; i < data.n; i += batch) {
    const std::size_t count = std::min(batch, data.n - i);
    state.update<T>(data.z<T>().row_block(i, count), data.targets().row_block(i, count), weight ? weight + i : nullptr);
  }
  return state;
}

inline bool same_bits(const Fit& a, const Fit& b) {
  const auto same = [](const std::vector<double>& x, const std::vector<double>& y) {
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) == 0;
  };
  return same(a.coef, b.coef) && same(a.intercept, b.intercept) &&
         std::memcmp(&a.solution.gcv, &b.solution.gcv, sizeof(double)) == 0;
}

}  // namespace ridge_data
