// CntkSketch in seconds per image in the device's memory, against a copy within that memory of all vectors that its layers
// make: each is written once and read once.
#include <fastntk/cntk_sketch.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::CntkMethod;
using fastntk::CntkSketch;
using fastntk::CntkSketchParams;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::Diagonal;
using fastntk::View;

constexpr std::size_t depth = 3, degree = 3;

// Images are equal to 1e-4 of their norm: random features have a sign where a projection that is nearly 0 is rounded.
void check(const CntkSketchParams& params, const std::vector<float>& x, const std::vector<float>& found) {
  std::vector<float> expected(found.size());
  CntkSketch<float>(params, Cpu{1})({x.data(), 1, x.size()}, {expected.data(), 1, expected.size()});
  bench::cuda::require_close(found, expected, 1e-4, "cntk_sketch: an image differs from the CPU's");
}

/// Vectors of a pixel: in every layer the projections, phi or the gate, and where both fields go on two folds, phi, gate and
/// eta.
std::size_t vectors_of(CntkMethod method) {
  const std::size_t projections = method == CntkMethod::sketch ? degree : 1;
  return (projections + 1) + (depth - 2) * (projections + 5) + (projections + 3);
}

void measure(const Session& session, CntkMethod method, Diagonal diagonal, std::size_t columns) {
  const std::size_t n = session.size(512, 3), side = session.size(32, 4);
  CntkSketchParams params{.out_features = columns,
                          .kernel = {.image = {side, side, 3}, .depth = depth},
                          .method = method,
                          .diagonal = diagonal,
                          .seed = 7};
  if (method == CntkMethod::sketch) {
    // Close to the least squares fits of fastntk.CNTKSketch(depth=3, degree=3).
    params.kappa_1.assign(depth, {0.32, 0.49, 0.165, 0.026});
    params.kappa_0.assign(depth, {0.52, 0.21, 0.01, 0.26});
  }
  const std::size_t d = params.kernel.image.features();
  const auto x = session.random<float>(n * d);
  fastntk::Buffer<float, Cuda> out(session.backend(), n * columns);
  const View<const float, Cuda> in(x.data(), n, d);
  const View<float, Cuda> result(out.data(), n, columns);
  const CntkSketch<float, Cuda> map(params, session.backend());
  map(in, result);
  for (const std::size_t i : {std::size_t{0}, n - 1})
    check(params, session.to_host(in.row_block(i, 1)), session.to_host(View<const float, Cuda>(result).row_block(i, 1)));

  // More than the second-level cache holds, again and again.
  const std::size_t bytes = vectors_of(method) * params.kernel.image.pixels() * map.params().width * sizeof(float) * n;
  const std::size_t part = std::min(bytes, std::size_t{1} << 30);
  fastntk::Buffer<char, Cuda> from(session.backend(), part), to(session.backend(), part);
  const auto copies = [&] {
    for (std::size_t done = 0; done < bytes; done += part)
      session.copy(from.data(), to.data(), std::min(part, bytes - done));
  };
  auto times = session.alternate({[&] { map(in, result); }, copies});
  for (auto& contender : times)
    for (double& seconds : contender) seconds /= static_cast<double>(n);
  bench::print({.op = std::string("cntk_sketch, ") + (method == CntkMethod::sketch ? "sketch" : "random features") +
                      (diagonal == Diagonal::exact ? ", exact diagonal" : ""),
                .backend = "cuda",
                .dtype = "float32",
                .shape = std::to_string(side) + "x" + std::to_string(side) + "x3 -> " + std::to_string(columns),
                .times = times[0],
                .work = 1,
                .unit = "s",
                .floor = "device copy of the layers' vectors",
                .floor_times = times[1],
                .floor_work = 1,
                .note = "per image; depth 3, filter_size 3, width " + std::to_string(map.params().width)});
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  for (const CntkMethod method : {CntkMethod::sketch, CntkMethod::random_features})
    for (const std::size_t columns : {session.size(4096, 100), session.size(16384, 300)})
      measure(session, method, Diagonal::sampled, columns);
  measure(session, CntkMethod::random_features, Diagonal::exact, session.size(4096, 100));
}
