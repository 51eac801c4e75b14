// CountSketch of dense and of sparse rows, against moving the same bytes within the device's memory.
#include <fastntk/count_sketch.hpp>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Buffer;
using fastntk::CountSketch;
using fastntk::CountSketchParams;
using fastntk::Cpu;
using fastntk::CsrView;
using fastntk::Cuda;
using fastntk::View;

// The device adds in the CPU's order: the same bits.
void check(const Session& session, View<const float, Cuda> found, const std::vector<float>& expected, const char* what) {
  const std::vector<float> values = session.to_host(found);
  bench::require(std::memcmp(values.data(), expected.data(), expected.size() * sizeof(float)) == 0, what);
}

void print(const std::string& op, const std::string& shape, const std::vector<bench::Times>& times, std::size_t bytes) {
  bench::print({.op = op,
                .backend = "cuda",
                .dtype = "float32",
                .shape = shape,
                .times = times[0],
                .work = static_cast<double>(bytes),
                .unit = "GB/s",
                .floor = "device copy",
                .floor_times = times[1],
                .floor_work = static_cast<double>(bytes)});
}

void measure(const Session& session, std::size_t rows, const CountSketchParams& params) {
  const std::size_t d = params.in_features, m = params.out_features;
  const auto x = session.random<float>(rows * d);
  Buffer<float, Cuda> out(session.backend(), rows * m);
  const CountSketch<float, Cuda> op(params, session.backend());
  const View<const float, Cuda> in(x.data(), rows, d);
  const View<float, Cuda> result(out.data(), rows, m);
  op(in, result);
  for (const std::size_t r : {std::size_t{0}, rows - 1}) {
    const std::vector<float> row = session.to_host(in.row_block(r, 1));
    std::vector<float> expected(m);
    CountSketch<float>(params, Cpu{1})(View<const float>(row.data(), 1, d), View<float>(expected.data(), 1, m));
    check(session, result.row_block(r, 1), expected, "count_sketch: wrong value");
  }
  // What is read and written once; the copy reads and writes half of it each.
  const std::size_t bytes = rows * (d + m) * sizeof(float);
  const Buffer<float, Cuda> from(session.backend(), rows * (d + m) / 2);
  Buffer<float, Cuda> to(session.backend(), rows * (d + m) / 2);
  const auto times = session.alternate({[&] { op(in, result); }, [&] { session.copy(from.data(), to.data(), bytes / 2); }});
  print("count_sketch s=" + std::to_string(params.nnz_per_column),
        std::to_string(rows) + "x" + std::to_string(d) + "->" + std::to_string(m), times, bytes);
}

void measure_sparse(const Session& session, std::size_t rows, std::size_t row_entries, const CountSketchParams& params) {
  const std::size_t d = params.in_features, m = params.out_features, count = rows * row_entries;
  std::vector<std::int32_t> columns(count);
  std::vector<std::int64_t> row_starts(rows + 1);
  for (std::size_t e = 0; e < count; ++e) columns[e] = static_cast<std::int32_t>(e * 7919 % d);
  for (std::size_t r = 0; r <= rows; ++r) row_starts[r] = static_cast<std::int64_t>(r * row_entries);
  const auto values = session.random<float>(count);
  const Buffer<std::int32_t, Cuda> device_columns(session.backend(), columns);
  const Buffer<std::int64_t, Cuda> device_starts(session.backend(), row_starts);
  Buffer<float, Cuda> out(session.backend(), rows * m);
  const CountSketch<float, Cuda> op(params, session.backend());
  const CsrView<float, Cuda> in{values.data(), device_columns.data(), device_starts.data(), rows, d};
  const View<float, Cuda> result(out.data(), rows, m);
  op(in, result);
  const std::vector<float> host_values = session.to_host(View<const float, Cuda>(values.data(), 1, count));
  const CsrView<float> host{host_values.data(), columns.data(), row_starts.data(), rows, d};
  for (const std::size_t r : {std::size_t{0}, rows - 1}) {
    std::vector<float> expected(m);
    CountSketch<float>(params, Cpu{1})(host.row_block(r, 1), View<float>(expected.data(), 1, m));
    check(session, result.row_block(r, 1), expected, "count_sketch of sparse rows: wrong value");
  }
  const std::size_t bytes = count * (sizeof(float) + sizeof(std::int32_t)) + rows * m * sizeof(float);
  const Buffer<char, Cuda> from(session.backend(), bytes / 2);
  Buffer<char, Cuda> to(session.backend(), bytes / 2);
  const auto times = session.alternate({[&] { op(in, result); }, [&] { session.copy(from.data(), to.data(), bytes / 2); }});
  print("count_sketch of sparse rows, " + std::to_string(row_entries) + " entries each",
        std::to_string(rows) + "x" + std::to_string(d) + "->" + std::to_string(m), times, bytes);
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  const std::size_t rows = session.size(1 << 18, 10);
  measure(session, rows, {1024, 256, 1});
  measure(session, rows, {1024, 1024, 1});
  measure(session, rows, {1024, 1024, 1, 4});
  measure(session, rows, {784, 4096, 1});
  measure(session, session.size(4096, 3), {100000, 4096, 1});
  measure_sparse(session, rows, 100, {100000, 1024, 1});
  measure_sparse(session, session.size(1 << 15, 3), 100, {100000, 16384, 1});
}
