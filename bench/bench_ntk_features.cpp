// NtkRandomFeatures on 2000 x 784, against the sgemm (2000 x 784)(784 x 8192) and against the time to write the output.
#include <fastntk/ntk_features.hpp>

#include <string>

#include "feature_map.hpp"

using namespace fastntk;

int main() {
  constexpr std::size_t n = bench::map_rows, d = bench::map_inputs;
  const bench::Array<float> x = bench::normal_rows(n * d);

  struct Case {
    const char* name;
    std::size_t width, depth;
    Directions directions;
    LowOrders low_orders;
    double worst_error;  // several times what was measured: the check is of the result, not of its luck
  };
  for (const Case& c : {Case{"structured", 4096, 1, Directions::structured, LowOrders::automatic, 0.15},
                        Case{"gaussian", 4096, 1, Directions::gaussian, LowOrders::automatic, 0.15},
                        Case{"structured", 4096, 3, Directions::structured, LowOrders::automatic, 0.15},
                        Case{"gaussian", 4096, 3, Directions::gaussian, LowOrders::automatic, 0.15},
                        Case{"structured", 1024, 1, Directions::structured, LowOrders::automatic, 0.4},
                        Case{"structured", 8192, 1, Directions::structured, LowOrders::automatic, 0.1},
                        Case{"gaussian, Algorithm 2", 4096, 1, Directions::gaussian, LowOrders::sampled, 0.4},
                        Case{"structured, Algorithm 2", 4096, 3, Directions::structured, LowOrders::sampled, 0.6}}) {
    const NtkRandomFeatures<float> map({.in_features = d,
                                        .out_features = c.width,
                                        .depth = c.depth,
                                        .directions = c.directions,
                                        .low_orders = c.low_orders,
                                        .seed = 1},
                                       Cpu{1});
    bench::Array<float> z(n * c.width);
    const auto transform = [&] { map({x.data(), n, d}, {z.data(), n, c.width}); };
    transform();
    const double error = bench::gram_error(z, c.width, bench::ntk_gram(x, d, c.depth));
    bench::require(error < c.worst_error, "ntk_features: the Gram matrix is off by " + std::to_string(error));
    bench::compare_map("ntk_features", transform, z, c.width, 11,
                       std::string(c.name) + ", depth " + std::to_string(c.depth));
  }
}
