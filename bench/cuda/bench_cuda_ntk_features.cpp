// Random features of the NTK of rows in the device's memory, against the time to write them, and against the product with a
// random matrix that Algorithm 2 needs.
#include <fastntk/ntk_features.hpp>

#include <string>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::View;

// A row is that of the CPU, relative to its norm. Single entries may differ more: the features jump where a projection is 0,
// which rounding can move to the other side.
void check(const fastntk::NtkRandomFeatures<float>& reference, const std::vector<float>& x,
           const std::vector<float>& found) {
  std::vector<float> expected(found.size());
  reference({x.data(), 1, x.size()}, {expected.data(), 1, expected.size()});
  bench::cuda::require_close(found, expected, 1e-3, "ntk_features: a row differs from the CPU's");
}

void measure(const Session& session, const std::string& op, std::size_t rows, std::size_t d, std::size_t m,
             fastntk::NtkRandomFeaturesParams params, bool against_product) {
  params.in_features = d;
  params.out_features = m;
  params.seed = 7;
  const auto x = session.random<float>(rows * d);
  fastntk::Buffer<float, Cuda> out(session.backend(), rows * m);
  const View<const float, Cuda> in(x.data(), rows, d);
  const View<float, Cuda> result(out.data(), rows, m);
  const fastntk::NtkRandomFeatures<float, Cuda> map(params, session.backend());
  map(in, result);
  const fastntk::NtkRandomFeatures<float> reference(params, Cpu{});
  for (const std::size_t r : {std::size_t{0}, rows / 2, rows - 1})
    check(reference, session.to_host(in.row_block(r, 1)), session.to_host(View<const float, Cuda>(result).row_block(r, 1)));

  const auto weights = session.random<float>(against_product ? m * d : 1);
  const auto floor = [&] {
    if (against_product) {
      session.sgemm(rows, m, d, x.data(), weights.data(), out.data());
    } else {
      session.write(out.data(), rows * m * sizeof(float));
    }
  };
  const auto times = session.alternate({[&] { map(in, result); }, floor});
  bench::print({.op = op,
                .backend = "cuda",
                .dtype = "float32",
                .shape = std::to_string(rows) + "x" + std::to_string(d) + "x" + std::to_string(m),
                .times = times[0],
                .work = 1,
                .unit = "s",
                .floor = against_product ? "sgemm of the same shape" : "writing the output",
                .floor_times = times[1],
                .floor_work = 1});
}

}  // namespace

int main(int argc, char** argv) {
  using fastntk::Directions;
  const Session session(argc, argv);
  const std::size_t d = session.size(784, 40), m = session.size(8192, 256);
  measure(session, "ntk_features", session.size(1'000'000, 9), d, m, {.depth = 1}, false);
  measure(session, "ntk_features depth=3", session.size(200'000, 9), d, m, {.depth = 3}, false);
  // More directions than the registers of a block hold, and blocks of directions longer than a warp's.
  measure(session, "ntk_features wide", session.size(200'000, 9), d, session.size(32768, 20000), {.depth = 1}, false);
  measure(session, "ntk_features long", session.size(200'000, 3), session.size(3072, 1500), session.size(16384, 4096),
          {.depth = 1}, false);
  measure(session, "ntk_features short", session.size(1'000'000, 9), 16, m, {.depth = 1}, false);
  measure(session, "ntk_features gaussian", session.size(100'000, 9), d, m, {.directions = Directions::gaussian}, true);
}
