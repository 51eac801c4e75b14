// A training step of TwoLayerNet against its two large products, each as one sgemm, with one thread and with all.
//
//   bench_two_layer_net [width rows features]     8192 2000 784 unless given
#include <fastntk/nets.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "bench.hpp"
#include "sgemm.hpp"

namespace {

using namespace fastntk;

struct Problem {
  Problem(std::size_t width, std::size_t rows, std::size_t features)
      : m(width), n(rows), d(features), x(n * d), y(n), start(m * d), out(m) {
    for (float& a : out.span()) a = (a > 0 ? 1.0f : -1.0f) / std::sqrt(static_cast<float>(m));
  }
  TwoLayerNet<float> net(int threads) const {
    return TwoLayerNet<float>({start.data(), m, d}, {out.data(), m, 1}, Cpu{threads});
  }
  void train(TwoLayerNet<float>& net, std::size_t steps) const {
    const NetProgress progress =
        net.train({.alpha = 0.1, .step_size = step_size}, 0, steps, {x.data(), n, d}, {y.data(), n, 1});
    bench::require(!progress.diverged, "two_layer_net: training diverged");
  }

  static constexpr double step_size = 1e-6;
  std::size_t m, n, d;
  bench::Array<float> x, y, start, out;
};

// One step against gradient descent in double. The step's part of a weight is of order step_size |x| |y|.
void check() {
  const Problem p(70, 40, 9);
  TwoLayerNet<float> net = p.net(1);
  std::vector<float> before(p.m * p.d), after(p.m * p.d);
  p.train(net, 3);
  net.get_weights({before.data(), p.m, p.d});
  p.train(net, 1);
  net.get_weights({after.data(), p.m, p.d});
  std::vector<double> residual(p.n);
  const auto pre_activation = [&](std::size_t i, std::size_t r) {
    double sum = 0;
    for (std::size_t j = 0; j < p.d; ++j)
      sum += static_cast<double>(before[r * p.d + j]) * static_cast<double>(p.x[i * p.d + j]);
    return sum;
  };
  for (std::size_t i = 0; i < p.n; ++i) {
    residual[i] = -static_cast<double>(p.y[i]);
    for (std::size_t r = 0; r < p.m; ++r) residual[i] += std::max(pre_activation(i, r), 0.0) * static_cast<double>(p.out[r]);
  }
  for (std::size_t r = 0; r < p.m; ++r)
    for (std::size_t j = 0; j < p.d; ++j) {
      double gradient = 0.1 * static_cast<double>(before[r * p.d + j]);
      for (std::size_t i = 0; i < p.n; ++i)
        if (pre_activation(i, r) > 0)
          gradient += residual[i] * static_cast<double>(p.out[r]) * static_cast<double>(p.x[i * p.d + j]);
      const double moved = static_cast<double>(after[r * p.d + j]) - static_cast<double>(before[r * p.d + j]);
      bench::require(std::abs(moved + Problem::step_size * gradient) <= 1e-7, "two_layer_net: a wrong step");
    }
}

// c (rows, cols) = op(a) op(b), row-major, with BLAS's own threads.
void product(bool transposed_a, bool transposed_b, std::size_t rows, std::size_t cols, std::size_t inner, const float* a,
             const float* b, float* c) {
  const int m = static_cast<int>(rows), n = static_cast<int>(cols), k = static_cast<int>(inner);
  const int a_stride = transposed_a ? m : k, b_stride = transposed_b ? k : n;
  const float one = 1, zero = 0;
  FASTNTK_BENCH_BLAS(sgemm_)
  (transposed_b ? "T" : "N", transposed_a ? "T" : "N", &n, &m, &k, &one, b, &b_stride, a, &a_stride, &zero, c, &n);
}

void measure(const Problem& p, int threads) {
  TwoLayerNet<float> net = p.net(threads);
  bench::Array<float> hidden(p.n * p.m), gradient(p.m * p.d);
  const auto products = [&] {
    if (FASTNTK_BENCH_BLAS(openblas_set_num_threads)) FASTNTK_BENCH_BLAS(openblas_set_num_threads)(threads);
    product(false, true, p.n, p.m, p.d, p.x.data(), p.start.data(), hidden.data());
    product(true, false, p.m, p.d, p.n, hidden.data(), p.x.data(), gradient.data());
  };
  const auto times = bench::alternate({[&] { p.train(net, 1); }, products}, 9);
  const double work = 4 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.d);
  bench::print({.op = "two_layer_net step",
                .dtype = "float32",
                .shape = std::to_string(p.n) + "x" + std::to_string(p.d) + ", width " + std::to_string(p.m),
                .times = times[0],
                .work = work,
                .unit = "s",
                .floor = "its products by sgemm",
                .floor_times = times[1],
                .floor_work = work,
                .note = std::to_string(threads) + (threads == 1 ? " thread" : " threads")});
}

}  // namespace

int main(int argc, char** argv) {
  check();
  const auto size = [&](int i, std::size_t otherwise) {
    return argc > 3 ? std::strtoull(argv[i], nullptr, 10) : static_cast<unsigned long long>(otherwise);
  };
  const Problem problem(size(1, 8192), size(2, 2000), size(3, 784));
  measure(problem, 1);
  const auto all = static_cast<int>(std::thread::hardware_concurrency());
  if (all > 1) measure(problem, all);
}
