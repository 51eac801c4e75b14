// CountSketch in one thread: dense rows against reading them once, sparse rows by their non-zeros against dense ones.
#include <fastntk/count_sketch.hpp>
#include <fastntk/rng.hpp>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "bench.hpp"

namespace {

using fastntk::Cpu;
using fastntk::View;

template <class T>
constexpr const char* dtype = sizeof(T) == 4 ? "float32" : "float64";

struct Entries {
  std::vector<std::uint32_t> bucket;
  std::vector<double> weight;
};

Entries entries(const fastntk::CountSketchParams& p) {
  const std::size_t s = p.nnz_per_column;
  Entries e;
  for (std::size_t k = 0; k < p.in_features * s; ++k) {
    const std::size_t begin = k % s * p.out_features / s, end = (k % s + 1) * p.out_features / s;
    const fastntk::rng::Draws buckets{p.seed, fastntk::rng::Stream::bucket};
    e.bucket.push_back(static_cast<std::uint32_t>(begin + buckets.integer(k, static_cast<std::uint32_t>(end - begin))));
    e.weight.push_back(fastntk::rng::Draws{p.seed, fastntk::rng::Stream::bucket_sign}.sign(k) /
                       std::sqrt(static_cast<double>(s)));
  }
  return e;
}

template <class T>
void measure(std::size_t rows, const fastntk::CountSketchParams& params, std::size_t nnz_per_row) {
  const std::size_t d = params.in_features, m = params.out_features, s = params.nnz_per_column;
  bench::Array<T> x(rows * d), out(rows * m), sparse_out(rows * m), bytes(rows * (d + m));
  // Non-zeros every d / nnz_per_row columns.
  std::vector<T> values;
  std::vector<std::int32_t> columns;
  std::vector<std::int64_t> row_starts{0};
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t k = 0; k < nnz_per_row; ++k) {
      const std::size_t column = k * d / nnz_per_row;
      columns.push_back(static_cast<std::int32_t>(column));
      values.push_back(x[i * d + column]);
    }
    row_starts.push_back(static_cast<std::int64_t>(values.size()));
  }
  const fastntk::CountSketch<T> op(params, Cpu{1});
  const View<const T> in(x.data(), rows, d);
  const View<T> result(out.data(), rows, m), sparse_result(sparse_out.data(), rows, m);
  const fastntk::CsrView<T> csr{values.data(), columns.data(), row_starts.data(), rows, d};
  op(in, result);
  op(csr, sparse_result);

  const Entries e = entries(params);
  const double eps = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;
  for (std::size_t i = 0; i < rows; i += rows - 1) {
    std::vector<double> dense(m), sparse(m), magnitude(m);
    for (std::size_t k = 0; k < d * s; ++k) {
      dense[e.bucket[k]] += e.weight[k] * static_cast<double>(x[i * d + k / s]);
      magnitude[e.bucket[k]] += std::abs(e.weight[k] * static_cast<double>(x[i * d + k / s]));
    }
    for (std::size_t k = 0; k < nnz_per_row; ++k)
      for (std::size_t b = 0; b < s; ++b) {
        const std::size_t entry = static_cast<std::size_t>(columns[k]) * s + b;
        sparse[e.bucket[entry]] += e.weight[entry] * static_cast<double>(x[i * d + entry / s]);
      }
    for (std::size_t j = 0; j < m; ++j) {
      // No bucket of these shapes has more than 100 entries.
      const double tolerance = 102 * eps * magnitude[j];
      bench::require(std::abs(static_cast<double>(result(i, j)) - dense[j]) <= tolerance, "count_sketch: wrong value");
      bench::require(std::abs(static_cast<double>(sparse_result(i, j)) - sparse[j]) <= tolerance,
                     "count_sketch of sparse rows: wrong value");
    }
  }

  const auto times = bench::alternate(
      {[&] { op(in, result); }, [&] { bench::scale(bytes.data(), bytes.size(), T(1)); }, [&] { op(csr, sparse_result); }});
  const double moved = static_cast<double>(bytes.size() * sizeof(T));
  const std::string shape =
      std::to_string(rows) + "x" + std::to_string(d) + " -> " + std::to_string(m) + ", s = " + std::to_string(s);
  const auto nanoseconds = [&](const bench::Times& t, double count) {
    return std::to_string(1e9 * bench::median(t) / count);
  };
  bench::print({.op = "count_sketch",
                .dtype = dtype<T>,
                .shape = shape,
                .times = times[0],
                .work = moved,
                .unit = "GB/s",
                .floor = "in-place scale",
                .floor_times = times[1],
                .floor_work = 2 * moved,
                .note = nanoseconds(times[0], static_cast<double>(rows)) + " ns/row"});
  bench::print({.op = "count_sketch, " + std::to_string(nnz_per_row) + " non-zeros a row",
                .dtype = dtype<T>,
                .shape = shape,
                .times = times[2],
                .work = 1,
                .unit = "s",
                .floor = "dense rows",
                .floor_times = times[0],
                .floor_work = 1,
                .note = nanoseconds(times[2], static_cast<double>(values.size())) + " ns/non-zero"});
}

}  // namespace

int main() {
  measure<float>(128, {1024, 256, 1}, 100);
  measure<float>(128, {1024, 1024, 1}, 100);
  measure<float>(128, {1024, 1024, 1, 4}, 100);
  measure<float>(128, {784, 4096, 1}, 100);
  measure<float>(64, {100000, 4096, 1}, 100);
  measure<double>(128, {1024, 256, 1}, 100);
}
