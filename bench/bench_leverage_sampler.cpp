// Moves of the leverage sampler's chains in one thread, against dgemm's products of the same matrices with as many vectors
// as there are sums: for each chain and vector of a form, those before the move's break points and those passed at them.
// Times are of one move of one chain.
#include <fastntk/leverage.hpp>

#include <cmath>
#include <cstddef>
#include <string>

#include "bench.hpp"
#include "leverage_problem.hpp"
#include "sgemm.hpp"

namespace {

using fastntk::Cpu;
using fastntk::FeatureFamily;
using fastntk::GibbsMoves;
using fastntk::LeverageSampler;
using fastntk::View;

struct Case {
  const char* family_name;
  FeatureFamily family;
  std::size_t vectors;  // that the forms are made of
  const char* moves_name;
  GibbsMoves moves;
};

constexpr Case coordinates{"ntk", FeatureFamily::ntk, 1, "coordinates", GibbsMoves::coordinates};

// q/p of the families ntk and arc_cosine_0 by definition.
double reference(FeatureFamily family, const bench::Array<double>& x, const bench::Array<double>& a, const double* w,
                 std::size_t n, std::size_t d) {
  const auto dot = [&](const double* u, const double* v) {
    double sum = 0;
    for (std::size_t k = 0; k < d; ++k) sum += u[k] * v[k];
    return sum;
  };
  double value = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double* const x_i = x.data() + i * d;
    if (!(dot(x_i, w) > 0)) continue;
    for (std::size_t j = 0; j < n; ++j) {
      const double* const x_j = x.data() + j * d;
      if (dot(x_j, w) > 0) value += a[i * n + j] * (family == FeatureFamily::ntk ? dot(x_i, x_j) : 2);
    }
  }
  return value;
}

void measure(const Case& c, std::size_t n, std::size_t d, std::size_t chains, std::size_t moves) {
  const bench::Array<double> x = bench::normal_rows(n, d), a = bench::regularised_inverse(n);
  bench::Array<double> w(chains * d), ratio(chains), vectors(chains * n), product(chains * n);
  const LeverageSampler<> sampler({.family = c.family, .moves = c.moves, .burn_in = 0, .thinning = moves, .seed = 1},
                                  View<const double>(x.data(), n, d), View<const double>(a.data(), n, n), Cpu{1});
  const auto run = [&] { sampler(View<double>(w.data(), chains, d), View<double>(ratio.data(), chains, 1)); };
  run();
  if (c.vectors == 1 && c.family != FeatureFamily::arc_cosine_1) {
    const double expected = reference(c.family, x, a, w.data(), n, d);
    bench::require(std::abs(ratio[0] - expected) <= 1e-10 * expected, "leverage_sampler: the ratio is not q/p");
  }
  auto times = bench::alternate({run,
                                 [&] {
                                   for (std::size_t i = 0; i < 2 * c.vectors * moves; ++i)
                                     bench::dgemm(chains, n, n, vectors.data(), a.data(), product.data());
                                 }},
                                5);
  for (auto& series : times)
    for (double& seconds : series) seconds /= static_cast<double>(chains * moves);
  bench::print({.op = std::string("leverage_sampler, ") + c.family_name + ", " + c.moves_name,
                .dtype = "float64",
                .shape = "n=" + std::to_string(n) + ", d=" + std::to_string(d),
                .times = times[0],
                .work = 0,
                .unit = "s",
                .floor = "dgemm of the sums",
                .floor_times = times[1],
                .floor_work = 0,
                .note = std::to_string(chains) + " chains"});
}

}  // namespace

int main() {
  constexpr struct {
    const char* name;
    FeatureFamily family;
    std::size_t vectors;
  } families[] = {{"ntk", FeatureFamily::ntk, 1},
                  {"arc_cosine_0", FeatureFamily::arc_cosine_0, 1},
                  {"arc_cosine_1", FeatureFamily::arc_cosine_1, 2},
                  {"relu_ntk", FeatureFamily::relu_ntk, 3}};
  constexpr struct {
    const char* name;
    GibbsMoves moves;
  } all_moves[] = {{"coordinates", GibbsMoves::coordinates}, {"lines", GibbsMoves::lines}, {"circles", GibbsMoves::circles}};
  for (const auto& f : families)
    for (const auto& m : all_moves) measure({f.name, f.family, f.vectors, m.name, m.moves}, 2000, 50, 64, 5);
  for (const std::size_t n : {500, 1000, 4000}) measure(coordinates, n, 50, 64, 4000 / n + 2);
  for (const std::size_t d : {10, 200}) measure(coordinates, 2000, d, 64, 5);
  for (const std::size_t chains : {1, 4, 16}) measure(coordinates, 2000, 50, chains, 10);
}
