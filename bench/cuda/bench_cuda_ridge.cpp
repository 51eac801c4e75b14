// The ridge state: adding rows against the product that it contains, and solving.
#include <fastntk/ridge.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Cuda;
using fastntk::RidgeState;
using fastntk::View;

// The coefficients are the CPU's. The Gram matrix of n uniform rows has eigenvalues of order n / 3, alpha as much: its
// condition, and so the growth of the rows' rounding, is a few units.
void check(const Session& session) {
  constexpr std::size_t n = 300, d = 24, t = 2;
  const auto z = session.random<float>(n * d);
  const auto y = session.random<double>(n * t);
  const fastntk::RidgeSolveParams params{.alpha = n / 3.0};
  const std::vector<float> host_z = z.to_host();
  const std::vector<double> host_y = y.to_host();
  RidgeState<> reference({d, t});
  reference.update<float>({host_z.data(), n, d}, {host_y.data(), n, t});
  RidgeState<Cuda> state({d, t}, session.backend());
  state.update<float>(View<const float, Cuda>(z.data(), n, d), View<const double, Cuda>(y.data(), n, t));
  std::vector<double> expected(d * t), intercept(t), found(d * t);
  reference.solve(params, {expected.data(), d, t}, {intercept.data(), 1, t});
  state.solve(params, {found.data(), d, t}, {intercept.data(), 1, t});
  double largest = 0;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < expected.size(); ++i)
    bench::require(std::abs(found[i] - expected[i]) <= 1e-4 * largest, "ridge: a coefficient differs from the CPU's");
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  check(session);
  const std::size_t n = session.size(60000, 500), d = session.size(8192, 64), t = 10;
  const auto z = session.random<float>(n * d);
  const auto y = session.random<double>(n * t);
  const auto b = session.random<float>(d * d);
  fastntk::Buffer<float, Cuda> c(session.backend(), d * d);
  RidgeState<Cuda> state({d, t}, session.backend());
  const auto update = [&] {
    state.update<float>(View<const float, Cuda>(z.data(), n, d), View<const double, Cuda>(y.data(), n, t));
  };
  update();
  const auto times = session.alternate({update, [&] { session.sgemm(d, d, d, b.data(), b.data(), c.data()); }});
  const double columns = static_cast<double>(d);
  const std::string shape = std::to_string(n) + "x" + std::to_string(d);
  bench::print({.op = "ridge update",
                .backend = "cuda",
                .dtype = "float32",
                .shape = shape,
                .times = times[0],
                .work = static_cast<double>(n) * columns * (columns + 1),
                .unit = "GFLOP/s",
                .floor = "sgemm",
                .floor_times = times[1],
                .floor_work = 2 * columns * columns * columns});
  for (const bool with_gcv : {false, true}) {
    std::vector<double> coef(d * t), intercept(t);
    const fastntk::RidgeSolveParams params{.alpha = 1, .with_gcv = with_gcv};
    const auto solved = session.alternate({[&] { state.solve(params, {coef.data(), d, t}, {intercept.data(), 1, t}); }});
    bench::print({.op = with_gcv ? "ridge solve with GCV" : "ridge solve",
                  .backend = "cuda",
                  .dtype = "float64",
                  .shape = std::to_string(d) + "x" + std::to_string(t),
                  .times = solved[0],
                  .work = 1,
                  .unit = "s",
                  .floor = "",
                  .floor_times = {},
                  .floor_work = 1});
  }
}
