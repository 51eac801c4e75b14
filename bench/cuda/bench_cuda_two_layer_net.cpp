// A training step of TwoLayerNet on the device against its two large products by cuBLAS.
#include <fastntk/nets.hpp>

#include <cmath>
#include <string>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Cuda;
using fastntk::NetTraining;
using fastntk::TwoLayerNet;
using fastntk::View;

struct Problem {
  Problem(const Session& session, std::size_t width, std::size_t rows, std::size_t features)
      : m(width),
        n(rows),
        d(features),
        x(session.random<float>(n * d)),
        y(session.random<float>(n)),
        start(session.random<float>(m * d)),
        out(session.backend(), std::vector<float>(m, 1 / std::sqrt(static_cast<float>(m)))) {}
  TwoLayerNet<float, Cuda> net(const Session& session) const {
    return TwoLayerNet<float, Cuda>(View<const float, Cuda>(start.data(), m, d), View<const float, Cuda>(out.data(), m, 1),
                                    session.backend());
  }
  std::vector<double> train(TwoLayerNet<float, Cuda>& net, std::size_t steps) const {
    return net.train(training, 0, steps, View<const float, Cuda>(x.data(), n, d), View<const float, Cuda>(y.data(), n, 1))
        .loss;
  }

  static constexpr NetTraining training{.alpha = 0.1, .step_size = 1e-6};
  std::size_t m, n, d;
  fastntk::Buffer<float, Cuda> x, y, start, out;
};

// The losses are the CPU's; rounding errors of some hundred terms.
void check(const Session& session) {
  const Problem p(session, 300, 70, 40);
  const auto x = p.x.to_host(), y = p.y.to_host(), start = p.start.to_host(), out = p.out.to_host();
  TwoLayerNet<float> reference({start.data(), p.m, p.d}, {out.data(), p.m, 1});
  TwoLayerNet<float, Cuda> net = p.net(session);
  const auto expected = reference.train(Problem::training, 0, 4, {x.data(), p.n, p.d}, {y.data(), p.n, 1}).loss;
  const auto found = p.train(net, 4);
  bench::require(found.size() == 4 && found[3] < found[0], "two_layer_net: the loss does not fall");
  for (std::size_t i = 0; i < 4; ++i)
    bench::require(std::abs(found[i] - expected[i]) <= 1e-5 * expected[i], "two_layer_net: a loss differs from the CPU's");
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  check(session);
  const Problem p(session, session.size(8192, 64), session.size(2000, 50), session.size(784, 12));
  TwoLayerNet<float, Cuda> net = p.net(session);
  fastntk::Buffer<float, Cuda> hidden(session.backend(), p.n * p.m), gradient(session.backend(), p.m * p.d);
  constexpr std::size_t steps = 8;  // of a call, as a training has many
  const auto times = session.alternate({[&] { p.train(net, steps); },
                                        [&] {
                                          for (std::size_t i = 0; i < steps; ++i) {
                                            session.sgemm(p.n, p.m, p.d, p.x.data(), p.start.data(), hidden.data());
                                            session.sgemm(p.m, p.d, p.n, hidden.data(), p.x.data(), gradient.data());
                                          }
                                        }});
  bench::print({.op = "two_layer_net step",
                .backend = "cuda",
                .dtype = "float32",
                .shape = std::to_string(p.n) + "x" + std::to_string(p.d) + ", width " + std::to_string(p.m),
                .times = times[0],
                .work = 1,
                .unit = "s",
                .floor = "its products by cuBLAS",
                .floor_times = times[1],
                .floor_work = 1,
                .note = std::to_string(steps) + " steps"});
}
