// LeverageSampler and its primitives on the device against the CPU's.
#include <fastntk/leverage.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "../../csrc/src/leverage_primitives.hpp"
#include "../cpp/leverage_reference.hpp"
#include "device.hpp"

namespace {

using namespace fastntk;
using device::DeviceMatrix;
using device::Guarded;
using sketches::Matrix;

struct Ranks {
  std::vector<std::uint32_t> rank, order;
};

Ranks ranks_on_host(const Matrix<double>& key) {
  Ranks r{std::vector<std::uint32_t>(key.values.size()), std::vector<std::uint32_t>(key.values.size())};
  Tile<Cpu> tile((Cpu()));
  rank_rows<Cpu>(tile, key.view(), {r.rank.data(), key.rows, key.cols}, {r.order.data(), key.rows, key.cols});
  return r;
}

TEST(ranks_are_those_of_the_host) {
  for (const std::size_t n : {1, 2, 255, 256, 257, 700}) {
    Matrix<double> key = sketches::integer_rows<double>(3, n, 40, n);
    key(1, n / 2) = std::numeric_limits<double>::infinity();
    const Ranks expected = ranks_on_host(key);
    Guarded<double> keys(key, n % 3);
    Buffer<std::uint32_t, Cuda> rank(Cuda(), 3 * n), order(Cuda(), 3 * n);
    Tile<Cuda> tile((Cuda()));
    rank_rows<Cuda>(tile, keys.view(), View<std::uint32_t, Cuda>(rank.data(), 3, n),
                    View<std::uint32_t, Cuda>(order.data(), 3, n));
    CHECK(rank.to_host() == expected.rank);
    CHECK(order.to_host() == expected.order);
  }
}

// Sums of n products of numbers up to 1 and 2 in another order.
void check_products(std::size_t n, std::size_t patterns, std::size_t vectors) {
  const auto matrix = sketches::random_rows<double>(n, n, 1);
  const auto before = sketches::random_rows<double>(patterns * vectors, n, 2),
             after = sketches::random_rows<double>(patterns * vectors, n, 3);
  const Ranks ranks = ranks_on_host(sketches::integer_rows<double>(patterns, n, 20, 4));
  const std::size_t first = n / 3, count = n - first - n / 4;
  for (const bool with_passed : {true, false}) {
    Matrix<double> base(before.rows, count), passed(before.rows, with_passed ? count : 0);
    const auto run = [&]<class B>(Tile<B>& tile, auto all, auto rank, auto b, auto a, View<double, B> out,
                                  View<double, B> out_passed) {
      passed_products<B>(tile, all.row_block(first, count), first, rank, b, a, out,
                         with_passed ? out_passed : View<double, B>());
    };
    Tile<Cpu> host((Cpu()));
    run(host, matrix.view(), View<const std::uint32_t>(ranks.rank.data(), patterns, n), before.view(), after.view(),
        base.view(), passed.view());
    Tile<Cuda> tile((Cuda()));
    const Buffer<std::uint32_t, Cuda> rank(Cuda(), ranks.rank);
    const DeviceMatrix<double> m(matrix, 2), b(before, 1), a(after);
    Guarded<double> found_base(Matrix<double>(before.rows, count), 3), found_passed(passed, 1);
    run(tile, m.view(), View<const std::uint32_t, Cuda>(rank.data(), patterns, n), b.view(), a.view(), found_base.view(),
        found_passed.view());
    const double tolerance = 8 * std::numeric_limits<double>::epsilon() * static_cast<double>(n * n);
    const Matrix<double> device_base = found_base.to_host(), device_passed = found_passed.to_host();
    for (std::size_t i = 0; i < base.values.size(); ++i) CHECK_CLOSE(device_base.values[i], base.values[i], tolerance);
    for (std::size_t i = 0; i < passed.values.size(); ++i) CHECK_CLOSE(device_passed.values[i], passed.values[i], tolerance);
  }
}

TEST(passed_products_are_those_of_the_host) {
  for (const std::size_t n : {1, 3, 16, 63, 65, 130})
    for (const std::size_t patterns : {1, 5, 16, 17})
      for (const std::size_t vectors : {1, 2}) check_products(n, patterns, vectors);
}

struct Sample {
  Matrix<double> w, ratio;
};

struct Problem {
  explicit Problem(FeatureFamily family, std::size_t n = 40, std::size_t d = 3)
      : x(leverage::inputs<double>(n, d)), inverse(leverage::regularised_inverse(leverage::kernel(family, x), 0.5)) {}
  Matrix<double> x, inverse;
};

Sample on_host(const LeverageSamplerParams& p, const Problem& problem, std::size_t m) {
  Sample s{Matrix<double>(m, problem.x.cols), Matrix<double>(m, 1)};
  LeverageSampler<>(p, problem.x.view(), problem.inverse.view())(s.w.view(), s.ratio.view());
  return s;
}

Sample on_device(const LeverageSamplerParams& p, const Problem& problem, std::size_t m, std::size_t gap = 0,
                 const Cuda& backend = {}) {
  const DeviceMatrix<double> x(problem.x, gap), inverse(problem.inverse, gap);
  Guarded<double> w(Matrix<double>(m, problem.x.cols), gap), ratio(Matrix<double>(m, 1), gap);
  const LeverageSampler<Cuda> sampler(p, x.view(), inverse.view(), backend);
  sampler.on(backend)(w.view(), ratio.view());
  finish(backend);
  return {w.to_host(), ratio.to_host()};
}

// Roundings differ, and grow a little from move to move; another piece is drawn where a uniform number falls between two
// roundings of a share, with probability 1e-13 or so a move.
TEST(directions_are_those_of_the_host) {
  for (const FeatureFamily family :
       {FeatureFamily::arc_cosine_0, FeatureFamily::arc_cosine_1, FeatureFamily::ntk, FeatureFamily::relu_ntk}) {
    const Problem problem(family);
    for (const GibbsMoves moves : {GibbsMoves::coordinates, GibbsMoves::lines, GibbsMoves::circles}) {
      const LeverageSamplerParams p{.family = family, .moves = moves, .chains = 5, .burn_in = 2, .thinning = 4, .seed = 3};
      const Sample expected = on_host(p, problem, 12), found = on_device(p, problem, 12, 1);
      for (std::size_t j = 0; j < 12; ++j) {
        for (std::size_t k = 0; k < 3; ++k) CHECK_CLOSE(found.w(j, k), expected.w(j, k), 1e-9);
        CHECK_CLOSE(found.ratio(j, 0), expected.ratio(j, 0), 1e-9 * expected.ratio(j, 0));
      }
    }
  }
}

TEST(same_bits_for_any_workspace) {
  const Problem problem(FeatureFamily::relu_ntk, 30, 4);
  const LeverageSamplerParams p{.family = FeatureFamily::relu_ntk, .burn_in = 1, .thinning = 2, .seed = 4};
  const Sample whole = on_device(p, problem, 25);
  // With less memory batches are smaller.
  const Sample parts = on_device(p, problem, 25, 0, Cuda{.max_memory = std::size_t{1} << 18});
  CHECK(parts.w == whole.w);
  CHECK(parts.ratio == whole.ratio);
  const Sample few = on_device(p, problem, 6);
  CHECK(std::equal(few.w.values.begin(), few.w.values.end(), whole.w.values.begin()));
}

TEST(no_directions) {
  const Problem problem(FeatureFamily::ntk, 6);
  CHECK(on_device({}, problem, 0).w.values.empty());
}

TEST(zero_rows_are_refused) {
  Problem problem(FeatureFamily::ntk, 6);
  std::fill(problem.x.values.begin(), problem.x.values.end(), 0.0);
  CHECK(check::throws<Error>([&] { on_device({}, problem, 2); }, "all rows of x are zero"));
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(no_failure_is_dropped) {
  const Problem problem(FeatureFamily::relu_ntk, 8, 2);
  device::fail_every_call([&] {
    CHECK(on_device({.family = FeatureFamily::relu_ntk, .burn_in = 0, .thinning = 1}, problem, 2).ratio(0, 0) > 0);
  });
}
#endif

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
