// Polynomial sketches of the NTK of rows in the device's memory, against the time to write them.
#include <fastntk/ntk_sketch.hpp>

#include <string>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::NtkSketch;
using fastntk::SketchMethod;
using fastntk::View;

// A row is that of the CPU, relative to its norm.
void check(const NtkSketch<float>& reference, const std::vector<float>& x, const std::vector<float>& found) {
  std::vector<float> expected(found.size());
  reference({x.data(), 1, x.size()}, {expected.data(), 1, expected.size()});
  bench::cuda::require_close(found, expected, 1e-5, "ntk_sketch: a row differs from the CPU's");
}

void measure(const Session& session, const std::string& op, std::size_t rows, std::size_t d, std::size_t m,
             fastntk::NtkSketchParams params) {
  params.in_features = d;
  params.out_features = m;
  params.seed = 7;
  const auto x = session.random<float>(rows * d);
  fastntk::Buffer<float, Cuda> out(session.backend(), rows * m);
  const View<const float, Cuda> in(x.data(), rows, d);
  const View<float, Cuda> result(out.data(), rows, m);
  const NtkSketch<float, Cuda> map(params, session.backend());
  map(in, result);
  const NtkSketch<float> reference(params, Cpu{});
  for (const std::size_t r : {std::size_t{0}, rows - 1})
    check(reference, session.to_host(in.row_block(r, 1)), session.to_host(View<const float, Cuda>(result).row_block(r, 1)));
  const auto times =
      session.alternate({[&] { map(in, result); }, [&] { session.write(out.data(), rows * m * sizeof(float)); }});
  bench::print({.op = op,
                .backend = "cuda",
                .dtype = "float32",
                .shape = std::to_string(rows) + "x" + std::to_string(d) + "x" + std::to_string(m),
                .times = times[0],
                .work = 1,
                .unit = "s",
                .floor = "writing the output",
                .floor_times = times[1],
                .floor_work = 1});
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  const std::size_t rows = session.size(200'000, 9), d = session.size(784, 40), m = session.size(4096, 256);
  measure(session, "ntk_sketch", rows, d, m, {.depth = 1});
  measure(session, "ntk_sketch depth=3", rows, d, m, {.depth = 3});
  measure(session, "ntk_sketch layerwise", rows, d, m, {.depth = 1, .method = SketchMethod::layerwise});
}
