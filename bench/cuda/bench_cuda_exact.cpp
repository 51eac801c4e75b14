// Exact kernels against the matrix product that they contain.
#include <fastntk/exact.hpp>

#include <cmath>
#include <string>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::View;

double norm(const float* row, std::size_t d) {
  double sum = 0;
  for (std::size_t j = 0; j < d; ++j) sum += static_cast<double>(row[j]) * static_cast<double>(row[j]);
  return std::sqrt(sum);
}

// Rows around a mean of all ones; the smaller the spread, the more pairs are recomputed from the difference of their rows.
fastntk::Buffer<float, Cuda> rows(const Session& session, std::size_t size, float spread) {
  const auto memory = session.random<float>(size);
  std::vector<float> x = session.to_host(View<const float, Cuda>(memory.data(), 1, size));
  for (float& value : x) value = 1 + spread * value;
  return {session.backend(), x};
}

void measure(const Session& session, std::size_t n, std::size_t d, std::size_t depth, bool symmetric, float spread) {
  const auto memory = rows(session, 2 * n * d, spread);
  fastntk::Buffer<float, Cuda> out(session.backend(), n * n);
  const View<const float, Cuda> x(memory.data(), n, d), other(memory.data() + n * d, n, d);
  const View<const float, Cuda> y = symmetric ? x : other;
  const View<float, Cuda> kernel(out.data(), n, n);
  const fastntk::ReluKernelParams params{.depth = depth};
  fastntk::ntk_kernel<float>(session.backend(), x, y, params, kernel);

  constexpr std::size_t few = 4;
  for (const std::size_t first : {std::size_t{0}, n - few}) {
    const std::vector<float> a = session.to_host(x.row_block(first, few)), b = session.to_host(y.row_block(0, few));
    const std::vector<float> found = session.to_host(View<const float, Cuda>(kernel).block(first, few, 0, few));
    std::vector<float> expected(few * few);
    fastntk::ntk_kernel<float>(Cpu{1}, View<const float>(a.data(), few, d), View<const float>(b.data(), few, d), params,
                               View<float>(expected.data(), few, few));
    for (std::size_t i = 0; i < few; ++i)
      for (std::size_t j = 0; j < few; ++j) {
        // Twice the error that exact.hpp promises.
        const double tolerance = 4e-6 * static_cast<double>(depth + 1) * norm(&a[i * d], d) * norm(&b[j * d], d);
        bench::require(std::abs(static_cast<double>(found[i * few + j] - expected[i * few + j])) <= tolerance,
                       "ntk_kernel: wrong value");
      }
  }

  const auto times = session.alternate({[&] { fastntk::ntk_kernel<float>(session.backend(), x, y, params, kernel); },
                                        [&] { session.sgemm(n, n, d, x.data, y.data, out.data()); }});
  bench::print({.op = std::string("ntk_kernel") + (symmetric ? " of x with itself" : "") + " depth=" + std::to_string(depth),
                .backend = "cuda",
                .dtype = "float32",
                .shape = std::to_string(n) + "x" + std::to_string(d),
                .times = times[0],
                .work = 1,
                .unit = "s",
                .floor = "its sgemm",
                .floor_times = times[1],
                .floor_work = 1,
                .note = spread < 1 ? "rows so close that every pair is recomputed" : ""});
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  const std::size_t n = session.size(20000, 70), d = session.size(784, 33);
  for (const bool symmetric : {false, true})
    for (const std::size_t depth : {1u, 3u}) measure(session, n, d, depth, symmetric, 6);
  measure(session, n, d, 1, true, 0.05f);
}
