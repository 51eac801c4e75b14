// The exact convolutional NTK, in seconds per pair of images, against evaluating the recursion's functions alone: relu_ntk
// of as many cosines as the pairs have pairs of positions.
#include <fastntk/cntk.hpp>
#include <fastntk/exact.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::CntkParams;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::Pooling;
using fastntk::View;

void measure(const Session& session, std::size_t size, Pooling pooling, std::size_t n) {
  const CntkParams params{.image = {size, size, 3}, .depth = 3, .pooling = pooling};
  const std::size_t d = params.image.features();
  const auto memory = session.random<float>(2 * n * d);
  fastntk::Buffer<float, Cuda> out(session.backend(), n * n);
  const View<const float, Cuda> x(memory.data(), n, d), y(memory.data() + n * d, n, d);
  const View<float, Cuda> kernel(out.data(), n, n);
  const auto compute = [&] { fastntk::cntk_kernel<float>(session.backend(), x, y, params, kernel); };
  compute();

  constexpr std::size_t few = 2;
  const std::vector<float> a = session.to_host(x.row_block(0, few)), b = session.to_host(y.row_block(0, few));
  const std::vector<float> found = session.to_host(View<const float, Cuda>(kernel).block(0, few, 0, few));
  std::vector<float> expected(few * few);
  fastntk::cntk_kernel<float>(Cpu{1}, View<const float>(a.data(), few, d), View<const float>(b.data(), few, d), params,
                              View<float>(expected.data(), few, few));
  // Twice the error that cntk.hpp promises; these images' kernels are about as large as their diagonal.
  for (std::size_t i = 0; i < found.size(); ++i)
    bench::require(std::abs(found[i] - expected[i]) <= 1e-5f * std::abs(expected[i]), "cntk_kernel: wrong value");

  // As many functions as of one pair.
  const std::size_t positions = params.image.pixels() * (pooling == Pooling::gap ? params.image.pixels() : 1);
  const auto cosine = session.random<float>(positions);
  fastntk::Buffer<float, Cuda> value(session.backend(), positions);
  const auto functions = [&] {
    fastntk::relu_ntk<float>(session.backend(), View<const float, Cuda>(cosine.data(), 1, positions), 3,
                             View<float, Cuda>(value.data(), 1, positions));
  };
  auto times = session.alternate({compute, functions});
  for (double& seconds : times[0]) seconds /= static_cast<double>(n * n);
  bench::print({.op = std::string("cntk_kernel") + (pooling == Pooling::gap ? ", gap" : ", no pooling"),
                .backend = "cuda",
                .dtype = "float32",
                .shape = std::to_string(size) + "x" + std::to_string(size) + "x3",
                .times = times[0],
                .work = 1,
                .unit = "s",
                .floor = "relu_ntk depth 3 of as many pairs of positions",
                .floor_times = times[1],
                .floor_work = 1,
                .note = "per pair; depth 3, filter_size 3"});
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  measure(session, session.size(32, 4), Pooling::gap, session.size(32, 2));
  measure(session, session.size(32, 4), Pooling::none, session.size(256, 3));
}
