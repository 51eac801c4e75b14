// What the benchmarks of feature maps share: 2000 x 784 normal rows, the error of the Gram matrix, and the bounds.
#pragma once

#include <fastntk/exact.hpp>
#include <fastntk/rng.hpp>

#include <cmath>
#include <string>
#include <vector>

#include "bench.hpp"
#include "sgemm.hpp"

namespace bench {

constexpr std::size_t map_rows = 2000, map_inputs = 784;

inline Array<float> normal_rows(std::size_t count) {
  Array<float> x(count);
  const fastntk::rng::Draws draws{1, fastntk::rng::Stream::normal};
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(draws.normal(i));
  return x;
}

/// Rows whose Gram matrix is compared with the kernel.
constexpr std::size_t gram_rows = 200;

/// Relative Frobenius error of the Gram matrix of the first rows of z (., width), for their kernel matrix.
inline double gram_error(const Array<float>& z, std::size_t width, const std::vector<double>& kernel) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < gram_rows; ++i)
    for (std::size_t j = 0; j < gram_rows; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < width; ++k)
        sum += static_cast<double>(z[i * width + k]) * static_cast<double>(z[j * width + k]);
      const double value = kernel[i * gram_rows + j];
      difference += (sum - value) * (sum - value);
      norm += value * value;
    }
  return std::sqrt(difference / norm);
}

/// The kernel matrix of the first rows of x (., d): `exact` fills it from these rows in double.
template <class Exact>
std::vector<double> gram_kernel(const Array<float>& x, std::size_t d, const Exact& exact) {
  const std::vector<double> rows(x.data(), x.data() + gram_rows * d);
  std::vector<double> kernel(gram_rows * gram_rows);
  exact(fastntk::View<const double>(rows.data(), gram_rows, d), fastntk::View<double>(kernel.data(), gram_rows, gram_rows));
  return kernel;
}

inline std::vector<double> ntk_gram(const Array<float>& x, std::size_t d, std::size_t depth) {
  return gram_kernel(x, d, [&](auto rows, auto kernel) {
    fastntk::ntk_kernel<double, fastntk::Cpu>(fastntk::Cpu{1}, rows, rows, {.depth = depth}, kernel);
  });
}

/// Times a map of the 2000 x 784 rows to `width` columns, in turn with the sgemm (2000 x 784)(784 x 8192) and with a pass
/// over the output, and prints a line for each bound.
template <class Transform>
void compare_map(const std::string& op, const Transform& transform, Array<float>& z, std::size_t width, int rounds,
                 const std::string& note) {
  constexpr std::size_t gemm_width = 8192;
  constexpr double flops = 2.0 * map_rows * map_inputs * gemm_width;
  const Array<float> a(map_rows * map_inputs), b(map_inputs * gemm_width);
  Array<float> product(map_rows * gemm_width);
  const auto times =
      alternate({transform, [&] { sgemm(map_rows, gemm_width, map_inputs, a.data(), b.data(), product.data()); },
                 [&] { scale(z.data(), z.size(), 1.0f); }},
                rounds);
  const std::string shape = "2000x784 -> " + std::to_string(width);
  print({.op = op,
         .dtype = "float32",
         .shape = shape,
         .times = times[0],
         .work = flops,
         .unit = "s",
         .floor = "sgemm 2000x784x8192",
         .floor_times = times[1],
         .floor_work = flops,
         .note = note});
  print({.op = op,
         .dtype = "float32",
         .shape = shape,
         .times = times[0],
         .work = static_cast<double>(map_rows * (map_inputs + width) * sizeof(float)),
         .unit = "GB/s",
         .floor = "in-place scale of the output",
         .floor_times = times[2],
         .floor_work = 2 * static_cast<double>(z.size() * sizeof(float)),
         .note = note});
}

/// A map of the NTK of rows, by parameters with an out_features and a depth.
template <class Params>
struct NtkMapCase {
  const char* name;
  Params params;
  double worst_error;  ///< several times what was measured: the check is of the result, not of its luck
};

/// Checks such a map on 2000 x 784 normal rows by its Gram matrix, and compares it as compare_map() does.
template <class Map, class Params>
void measure_ntk_map(const std::string& op, const NtkMapCase<Params>& c, int rounds) {
  const Array<float> x = normal_rows(map_rows * map_inputs);
  Params params = c.params;
  params.in_features = map_inputs;
  params.seed = 1;
  const std::size_t width = params.out_features;
  const Map map(params, fastntk::Cpu{1});
  Array<float> z(map_rows * width);
  const auto transform = [&] { map({x.data(), map_rows, map_inputs}, {z.data(), map_rows, width}); };
  transform();
  const double error = gram_error(z, width, ntk_gram(x, map_inputs, params.depth));
  require(error < c.worst_error, op + ": the Gram matrix is off by " + std::to_string(error));
  compare_map(op, transform, z, width, rounds, std::string(c.name) + ", depth " + std::to_string(params.depth));
}

}  // namespace bench
