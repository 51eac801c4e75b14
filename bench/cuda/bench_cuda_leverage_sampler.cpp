// Moves of the leverage sampler's chains on the device against reading (K + lambda I)^-1, which all chains share, once for
// each form that q/p is made of. Times are of one move of all chains.
#include <fastntk/leverage.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "../leverage_problem.hpp"
#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Cuda;
using fastntk::FeatureFamily;
using fastntk::LeverageSampler;
using fastntk::LeverageSamplerParams;
using fastntk::View;

fastntk::Buffer<double, Cuda> on_device(const Session& session, const bench::Array<double>& values) {
  return {session.backend(), std::vector<double>(values.data(), values.data() + values.size())};
}

struct Problem {
  Problem(const Session& session, std::size_t rows, std::size_t features)
      : n(rows),
        d(features),
        host_x(bench::normal_rows(n, d)),
        host_inverse(bench::regularised_inverse(n)),
        x(on_device(session, host_x)),
        inverse(on_device(session, host_inverse)) {}
  LeverageSampler<Cuda> sampler(const Session& session, const LeverageSamplerParams& params) const {
    return {params, View<const double, Cuda>(x.data(), n, d), View<const double, Cuda>(inverse.data(), n, n),
            session.backend()};
  }

  std::size_t n, d;
  bench::Array<double> host_x, host_inverse;
  fastntk::Buffer<double, Cuda> x, inverse;
};

// After a few moves of the same draws, q/p is the CPU's but for rounding.
void check(const Session& session, FeatureFamily family) {
  constexpr std::size_t chains = 5;
  const Problem p(session, 40, 3);
  const LeverageSamplerParams params{.family = family, .burn_in = 2, .seed = 1};
  bench::Array<double> w(chains * p.d), expected(chains);
  fastntk::Buffer<double, Cuda> found_w(session.backend(), chains * p.d), found(session.backend(), chains);
  const View<const double> rows(p.host_x.data(), p.n, p.d), inverse(p.host_inverse.data(), p.n, p.n);
  LeverageSampler<>(params, rows, inverse)(View<double>(w.data(), chains, p.d), View<double>(expected.data(), chains, 1));
  p.sampler(session, params)(View<double, Cuda>(found_w.data(), chains, p.d), View<double, Cuda>(found.data(), chains, 1));
  const std::vector<double> ratio = found.to_host();
  for (std::size_t i = 0; i < chains; ++i)
    bench::require(std::abs(ratio[i] - expected[i]) <= 1e-9 * expected[i], "leverage_sampler: q/p differs from the CPU's");
}

void measure(const Session& session, const char* name, FeatureFamily family, std::size_t forms, std::size_t chains) {
  const std::size_t moves = session.size(10, 2);
  const Problem p(session, session.size(2000, 60), session.size(50, 4));
  const LeverageSampler<Cuda> sampler = p.sampler(session, {.family = family, .burn_in = 0, .thinning = moves, .seed = 1});
  fastntk::Buffer<double, Cuda> w(session.backend(), chains * p.d), ratio(session.backend(), chains),
      copy(session.backend(), p.n * p.n);
  auto times = session.alternate(
      {[&] { sampler(View<double, Cuda>(w.data(), chains, p.d), View<double, Cuda>(ratio.data(), chains, 1)); },
       [&] {
         for (std::size_t i = 0; i < moves * forms; ++i)
           session.copy(p.inverse.data(), copy.data(), p.n * p.n * sizeof(double) / 2);  // a copy reads, and writes as much
       }});
  for (auto& series : times)
    for (double& seconds : series) seconds /= static_cast<double>(moves);
  bench::print({.op = std::string("leverage_sampler, ") + name + ", coordinates",
                .backend = "cuda",
                .dtype = "float64",
                .shape = "n=" + std::to_string(p.n) + ", d=" + std::to_string(p.d),
                .times = times[0],
                .work = 0,
                .unit = "s",
                .floor = "reading the inverse",
                .floor_times = times[1],
                .floor_work = 0,
                .note = std::to_string(chains) + " chains"});
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  constexpr struct {
    const char* name;
    FeatureFamily family;
    std::size_t forms;
  } families[] = {{"ntk", FeatureFamily::ntk, 1},
                  {"arc_cosine_0", FeatureFamily::arc_cosine_0, 1},
                  {"arc_cosine_1", FeatureFamily::arc_cosine_1, 1},
                  {"relu_ntk", FeatureFamily::relu_ntk, 2}};
  for (const auto& f : families) {
    check(session, f.family);
    for (const std::size_t chains : {1, 64, 1024})
      measure(session, f.name, f.family, f.forms, session.size(chains, chains > 1 ? 3 : 1));
  }
}
