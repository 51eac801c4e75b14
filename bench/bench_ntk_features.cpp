// NtkRandomFeatures on 2000 x 784, against the sgemm (2000 x 784)(784 x 8192) and against the time to write the output.
#include <fastntk/ntk_features.hpp>

#include "feature_map.hpp"

using namespace fastntk;

int main() {
  using Case = bench::NtkMapCase<NtkRandomFeaturesParams>;
  constexpr auto structured = Directions::structured, gaussian = Directions::gaussian;
  for (const Case& c : {Case{"structured", {.out_features = 4096, .depth = 1, .directions = structured}, 0.15},
                        Case{"gaussian", {.out_features = 4096, .depth = 1, .directions = gaussian}, 0.15},
                        Case{"structured", {.out_features = 4096, .depth = 3, .directions = structured}, 0.15},
                        Case{"gaussian", {.out_features = 4096, .depth = 3, .directions = gaussian}, 0.15},
                        Case{"structured", {.out_features = 1024, .depth = 1, .directions = structured}, 0.4},
                        Case{"structured", {.out_features = 8192, .depth = 1, .directions = structured}, 0.1},
                        Case{"gaussian, Algorithm 2",
                             {.out_features = 4096, .depth = 1, .directions = gaussian, .low_orders = LowOrders::sampled},
                             0.4},
                        Case{"structured, Algorithm 2",
                             {.out_features = 4096, .depth = 3, .directions = structured, .low_orders = LowOrders::sampled},
                             0.6}})
    bench::measure_ntk_map<NtkRandomFeatures<float>>("ntk_features", c, 11);
}
