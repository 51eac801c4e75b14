// TensorSRHT against a copy that moves the bytes it must move: both inputs in, the result out.
#include <fastntk/tensor_srht.hpp>

#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::View;

double magnitude(const std::vector<float>& row) {
  double sum = 0;
  for (const float value : row) sum += std::abs(static_cast<double>(value));
  return sum;
}

void measure(const Session& session, std::size_t rows, std::size_t n, std::size_t m) {
  const auto memory = session.random<float>(rows * 2 * n);
  fastntk::Buffer<float, Cuda> out(session.backend(), rows * m);
  const View<const float, Cuda> x(memory.data(), rows, n), y(memory.data() + rows * n, rows, n);
  const View<float, Cuda> result(out.data(), rows, m);
  const fastntk::TensorSrhtParams params{n, n, m, 1};
  const fastntk::TensorSrht<float, Cuda> op(params, session.backend());
  op(x, y, result);

  const fastntk::TensorSrht<float> reference(params, Cpu{1});
  for (const std::size_t r : {std::size_t{0}, rows - 1}) {
    const std::vector<float> a = session.to_host(x.row_block(r, 1)), b = session.to_host(y.row_block(r, 1));
    const std::vector<float> found = session.to_host(View<const float, Cuda>(result).row_block(r, 1));
    std::vector<float> expected(m);
    reference({a.data(), 1, n}, {b.data(), 1, n}, {expected.data(), 1, m});
    // A rounding per level and factor, on both sides, and those of the product.
    const double eps = 0x1p-24 * 2 * (2 * std::countr_zero(std::bit_ceil(n)) + 4);
    const double tolerance = eps * magnitude(a) * magnitude(b) / std::sqrt(static_cast<double>(m));
    for (std::size_t j = 0; j < m; ++j)
      bench::require(std::abs(static_cast<double>(found[j] - expected[j])) <= tolerance, "tensor_srht: wrong value");
  }

  const std::size_t bytes = rows * (2 * n + m) * sizeof(float);
  const fastntk::Buffer<float, Cuda> from(session.backend(), bytes / 8);
  fastntk::Buffer<float, Cuda> to(session.backend(), bytes / 8);
  const auto times =
      session.alternate({[&] { op(x, y, result); }, [&] { session.copy(from.data(), to.data(), bytes / 2); }});
  bench::print({.op = "tensor_srht",
                .backend = "cuda",
                .dtype = "float32",
                .shape = std::to_string(rows) + "x(2x" + std::to_string(n) + ") -> " + std::to_string(m),
                .times = times[0],
                .work = static_cast<double>(bytes),
                .unit = "GB/s",
                .floor = "device copy of the same bytes",
                .floor_times = times[1],
                .floor_work = static_cast<double>(bytes)});
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  for (const std::size_t n : {256u, 1024u, 4096u, 16384u}) {
    measure(session, session.size((std::size_t{1} << 26) / n, 3), n, n);
    if (n <= 4096) measure(session, session.size((std::size_t{1} << 26) / n, 3), n, n / 2);
  }
}
