// A training step of DeepNet on the device against the matrix products of both passes by cuBLAS.
#include <fastntk/nets.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "../deep_net.hpp"
#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Cuda;
using fastntk::DeepNet;
using fastntk::DeepNetParams;
using fastntk::NetTraining;
using fastntk::View;

DeepNetParams params(std::size_t d, std::size_t width, std::size_t depth) {
  return {.in_features = d, .widths = std::vector<std::size_t>(depth, width), .seed = 1};
}

// The losses are the CPU's; rounding errors of some hundred terms.
void check(const Session& session) {
  constexpr std::size_t n = 60, d = 20;
  const auto x = session.random<float>(n * d), y = session.random<float>(n);
  const auto host_x = x.to_host(), host_y = y.to_host();
  const NetTraining training{.alpha = 0.1, .step_size = 1e-4};
  DeepNet<float> reference(params(d, 70, 2));
  DeepNet<float, Cuda> net(params(d, 70, 2), session.backend());
  const auto expected = reference.train(training, 0, 4, {host_x.data(), n, d}, {host_y.data(), n, 1}).loss;
  const auto found =
      net.train(training, 0, 4, View<const float, Cuda>(x.data(), n, d), View<const float, Cuda>(y.data(), n, 1)).loss;
  bench::require(found.size() == 4 && found[3] < found[0], "deep_net: the loss does not fall");
  for (std::size_t i = 0; i < 4; ++i)
    bench::require(std::abs(found[i] - expected[i]) <= 1e-5 * expected[i], "deep_net: a loss differs from the CPU's");
}

void measure(const Session& session, std::size_t depth) {
  const std::size_t n = session.size(2000, 50), d = session.size(784, 12), width = session.size(2048, 32);
  const auto x = session.random<float>(n * d), y = session.random<float>(n);
  DeepNet<float, Cuda> net(params(d, width, depth), session.backend());
  const NetTraining training{.alpha = 0.1, .step_size = 1e-7};
  const bench::DeepNetProducts products(n, d, width, depth);
  const auto a = session.random<float>(products.most_a), b = session.random<float>(products.most_b);
  fastntk::Buffer<float, Cuda> c(session.backend(), products.most_c);
  constexpr std::size_t steps = 8;  // of a call, as a training has many
  const auto times = session.alternate({[&] {
                                          net.train(training, 0, steps, View<const float, Cuda>(x.data(), n, d),
                                                    View<const float, Cuda>(y.data(), n, 1));
                                        },
                                        [&] {
                                          for (std::size_t i = 0; i < steps; ++i)
                                            for (const auto& p : products.all)
                                              session.sgemm(p.m, p.n, p.k, a.data(), b.data(), c.data());
                                        }});
  bench::print({.op = "deep_net step",
                .backend = "cuda",
                .dtype = "float32",
                .shape = std::to_string(n) + "x" + std::to_string(d) + ", width " + std::to_string(width) + ", depth " +
                         std::to_string(depth),
                .times = times[0],
                .work = 1,
                .unit = "s",
                .floor = "sgemm of both passes",
                .floor_times = times[1],
                .floor_work = 1,
                .note = std::to_string(steps) + " steps"});
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  check(session);
  for (const std::size_t depth : {2, 3}) measure(session, depth);
}
