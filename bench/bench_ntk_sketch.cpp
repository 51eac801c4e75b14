// NtkSketch on 2000 x 784, against the sgemm (2000 x 784)(784 x 8192) and against the time to write the output.
#include <fastntk/ntk_sketch.hpp>

#include "feature_map.hpp"

using namespace fastntk;

int main() {
  using Case = bench::NtkMapCase<NtkSketchParams>;
  constexpr auto one_pass = SketchMethod::one_pass, layerwise = SketchMethod::layerwise;
  constexpr auto exact = LowOrders::exact, sampled = LowOrders::sampled;
  for (const Case& c :
       {Case{"one pass", {.out_features = 4096, .depth = 1, .method = one_pass, .low_orders = exact}, 0.15},
        Case{"one pass", {.out_features = 4096, .depth = 3, .method = one_pass, .low_orders = exact}, 0.15},
        Case{"one pass", {.out_features = 16384, .depth = 1, .method = one_pass, .low_orders = exact}, 0.08},
        Case{"layerwise", {.out_features = 4096, .depth = 1, .method = layerwise, .low_orders = exact}, 0.15},
        Case{"layerwise", {.out_features = 4096, .depth = 3, .method = layerwise, .low_orders = exact}, 0.15},
        Case{"one pass, Remark 1", {.out_features = 4096, .depth = 1, .method = one_pass, .low_orders = sampled}, 1.0},
        Case{"layerwise, Algorithm 1", {.out_features = 4096, .depth = 1, .method = layerwise, .low_orders = sampled}, 1.5}})
    bench::measure_ntk_map<NtkSketch<float>>("ntk_sketch", c, 5);
}
