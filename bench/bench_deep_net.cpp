// A step of DeepNet's training on all rows against the matrix products of both passes alone, on one thread.
//
//   bench_deep_net [rows in_features width depth]     2000 784 2048 2 and depth 3 unless given
#include <fastntk/nets.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench.hpp"
#include "deep_net.hpp"
#include "sgemm.hpp"

using namespace fastntk;

namespace {

void measure(std::size_t n, std::size_t d, std::size_t width, std::size_t depth) {
  bench::Array<float> x(n * d), y(n);
  for (float& value : x.span()) value *= std::sqrt(3.0f / static_cast<float>(d));  // rows of length 1, about
  const View<const float> rows(x.data(), n, d), targets(y.data(), n, 1);

  // Far below 2 over the largest eigenvalue, which is below n times the largest entry, depth + 1.
  NetTraining training{.alpha = 1, .decay_to_start = true};
  training.step_size = 0.2 / (static_cast<double>(n) * static_cast<double>(depth + 1));
  const std::vector<std::size_t> widths(depth, width);
  DeepNet<float> net({.in_features = d, .widths = widths, .seed = 1}, Cpu{1});
  const NetProgress first = net.train(training, 0, 3, rows, targets);
  bench::require(first.steps == 3 && first.loss[2] < first.loss[1] && first.loss[1] < first.loss[0],
                 "deep_net: the loss does not fall");

  const bench::DeepNetProducts products(n, d, width, depth);
  const bench::Array<float> a(products.most_a), b(products.most_b);
  bench::Array<float> c(products.most_c);
  constexpr std::size_t steps = 3;  // of a call, as a training has many
  const auto times = bench::alternate({[&] { net.train(training, 3, steps, rows, targets); },
                                       [&] {
                                         for (std::size_t s = 0; s < steps; ++s)
                                           for (const auto& p : products.all)
                                             bench::sgemm(p.m, p.n, p.k, a.data(), b.data(), c.data());
                                       }},
                                      7);
  bench::print({.op = "deep_net step",
                .dtype = "float32",
                .shape = std::to_string(n) + "x" + std::to_string(d) + ", width " + std::to_string(width) + ", depth " +
                         std::to_string(depth),
                .times = times[0],
                .work = steps * products.flops,
                .unit = "s",
                .floor = "sgemm of both passes",
                .floor_times = times[1],
                .floor_work = steps * products.flops});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5) {
    const auto size = [&](int i) { return static_cast<std::size_t>(std::strtoull(argv[i], nullptr, 10)); };
    for (int i = 1; i < argc; ++i) bench::require(size(i) > 0, "usage: bench_deep_net [rows in_features width depth]");
    measure(size(1), size(2), size(3), size(4));
  } else {
    bench::require(argc == 1, "usage: bench_deep_net [rows in_features width depth]");
    for (const std::size_t depth : {2, 3}) measure(2000, 784, 2048, depth);
  }
}
