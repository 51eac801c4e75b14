// NtkSketch on 2000 x 784, against the sgemm (2000 x 784)(784 x 8192) and against the time to write the output.
#include <fastntk/ntk_sketch.hpp>

#include <string>

#include "feature_map.hpp"

using namespace fastntk;

int main() {
  constexpr std::size_t n = bench::map_rows, d = bench::map_inputs;
  const bench::Array<float> x = bench::normal_rows(n * d);

  struct Case {
    const char* name;
    std::size_t width, depth;
    SketchMethod method;
    LowOrders low_orders;
    double worst_error;  // several times what was measured: the check is of the result, not of its luck
  };
  for (const Case& c : {Case{"one pass", 4096, 1, SketchMethod::one_pass, LowOrders::exact, 0.15},
                        Case{"one pass", 4096, 3, SketchMethod::one_pass, LowOrders::exact, 0.15},
                        Case{"one pass", 16384, 1, SketchMethod::one_pass, LowOrders::exact, 0.08},
                        Case{"layerwise", 4096, 1, SketchMethod::layerwise, LowOrders::exact, 0.15},
                        Case{"layerwise", 4096, 3, SketchMethod::layerwise, LowOrders::exact, 0.15},
                        Case{"one pass, Remark 1", 4096, 1, SketchMethod::one_pass, LowOrders::sampled, 1.0},
                        Case{"layerwise, Algorithm 1", 4096, 1, SketchMethod::layerwise, LowOrders::sampled, 1.5}}) {
    const NtkSketch<float> map({.in_features = d,
                                .out_features = c.width,
                                .depth = c.depth,
                                .method = c.method,
                                .low_orders = c.low_orders,
                                .seed = 1},
                               Cpu{1});
    bench::Array<float> z(n * c.width);
    const auto transform = [&] { map({x.data(), n, d}, {z.data(), n, c.width}); };
    transform();
    const double error = bench::gram_error(z, c.width, bench::ntk_gram(x, d, c.depth));
    bench::require(error < c.worst_error, "ntk_sketch: the Gram matrix is off by " + std::to_string(error));
    bench::compare_map("ntk_sketch", transform, z, c.width, 5, std::string(c.name) + ", depth " + std::to_string(c.depth));
  }
}
