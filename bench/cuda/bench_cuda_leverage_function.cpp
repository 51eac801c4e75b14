// The ridge leverage function against the matrix products that its definition takes: with the inverse v (n) times half of a
// symmetric matrix (n, n) for each form, and with features v times U (n, D) for each component of the features.
#include <fastntk/leverage.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::FeatureFamily;
using fastntk::LeverageFunction;
using fastntk::LeverageInverse;
using fastntk::View;

struct Case {
  const char* name;
  FeatureFamily family;
  LeverageInverse kind;
  std::size_t n, d, width, directions;
  std::size_t vectors;  // that are multiplied by a matrix for each direction
};

// Symmetric, with an identity beside which the rest is small; and U with |U| < 1.
std::vector<float> matrix_of(const Case& c) {
  std::vector<float> matrix(c.n * c.width);
  const float scale = 0.5f / std::sqrt(static_cast<float>(c.n * c.width));
  for (std::size_t i = 0; i < c.n; ++i)
    for (std::size_t j = 0; j < c.width; ++j) {
      const std::size_t a = std::min(i, j), b = std::max(i, j);
      matrix[i * c.width + j] = scale * static_cast<float>(static_cast<int>((a * 31 + b * 17) % 101) - 50) / 50;
      if (c.kind == LeverageInverse::exact && i == j) matrix[i * c.width + j] += 1;
    }
  return matrix;
}

void measure(const Session& session, const Case& c) {
  const std::vector<float> entries = matrix_of(c);
  const fastntk::Buffer<float, Cuda> matrix(session.backend(), entries);
  const auto x = session.random<float>(c.n * c.d), w = session.random<float>(c.directions * c.d);
  fastntk::Buffer<float, Cuda> out(session.backend(), c.directions);
  const View<const float, Cuda> rows(x.data(), c.n, c.d), directions(w.data(), c.directions, c.d);
  const LeverageFunction<float, Cuda> function({c.family, 1}, c.kind, rows,
                                               View<const float, Cuda>(matrix.data(), c.n, c.width), session.backend());
  const auto compute = [&] { function(directions, View<float, Cuda>(out.data(), c.directions, 1)); };
  compute();

  const std::vector<float> host_rows = session.to_host(rows);
  const LeverageFunction<float> on_host({c.family, 1}, c.kind, View<const float>(host_rows.data(), c.n, c.d),
                                        View<const float>(entries.data(), c.n, c.width));
  for (const std::size_t j : {std::size_t{0}, c.directions - 1}) {
    const std::vector<float> direction = session.to_host(directions.row_block(j, 1));
    float expected = 0;
    on_host(View<const float>(direction.data(), 1, c.d), View<float>(&expected, 1, 1));
    const float found = session.to_host(View<const float, Cuda>(out.data() + j, 1, 1))[0];
    // A projection that rounds to the other side of 0 changes one term among many.
    bench::require(std::abs(found - expected) <= 1e-3f * expected, "LeverageFunction: wrong value");
  }

  const std::size_t vectors = c.directions * c.vectors;
  const std::size_t at_once = std::min<std::size_t>(vectors, 4096);
  const std::size_t width = c.kind == LeverageInverse::exact ? c.n / 2 : c.width;
  const auto a = session.random<float>(at_once * c.n), b = session.random<float>(c.n * width);
  fastntk::Buffer<float, Cuda> product(session.backend(), at_once * width);
  const auto times = session.alternate({compute, [&] {
                                          for (std::size_t first = 0; first < vectors; first += at_once)
                                            session.sgemm(std::min(at_once, vectors - first), width, c.n, a.data(), b.data(),
                                                          product.data());
                                        }});
  bench::print(
      {.op = std::string("LeverageFunction ") + c.name,
       .backend = "cuda",
       .dtype = "float32",
       .shape = std::to_string(c.n) + "x" + std::to_string(c.d) + ", " + std::to_string(c.directions) + " directions",
       .times = times[0],
       .work = 1,
       .unit = "s",
       .floor = "sgemm " + std::to_string(vectors) + "x" + std::to_string(c.n) + "x" + std::to_string(width),
       .floor_times = times[1],
       .floor_work = 1});
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  constexpr auto exact = LeverageInverse::exact, features = LeverageInverse::features;
  const std::size_t few = session.size(5000, 60), many = session.size(100'000, 70), width = session.size(500, 9);
  const std::size_t d = session.size(50, 4), pool = session.size(8192, 5), directions = session.size(1024, 3);
  measure(session, {"ntk, exact", FeatureFamily::ntk, exact, few, d, few, pool, 1});
  measure(session, {"relu_ntk, exact", FeatureFamily::relu_ntk, exact, few, d, few, pool, 2});
  measure(session, {"ntk, features", FeatureFamily::ntk, features, many, d, width, directions, d});
  measure(session, {"arc_cosine_0, features", FeatureFamily::arc_cosine_0, features, many, d, width, pool, 1});
  measure(session, {"fourier, features", FeatureFamily::fourier, features, many, d, width, pool, 2});
}
