// CountSketch on the device gives the bits of the CPU: both add the entries of a bucket in the same order.
#include <fastntk/count_sketch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "device.hpp"

namespace {

using device::DeviceMatrix;
using fastntk::Buffer;
using fastntk::CountSketch;
using fastntk::CountSketchParams;
using fastntk::Cpu;
using fastntk::CsrView;
using fastntk::Cuda;
using fastntk::View;
using sketches::Matrix;

template <class T>
struct Csr {
  explicit Csr(std::size_t n_cols) : cols(n_cols) {}

  std::size_t cols;
  std::vector<T> values;
  std::vector<std::int32_t> columns;
  std::vector<std::int64_t> row_starts{0};

  std::size_t rows() const { return row_starts.size() - 1; }
  CsrView<T> view() const { return {values.data(), columns.data(), row_starts.data(), rows(), cols}; }
};

template <class T>
struct DeviceCsr {
  explicit DeviceCsr(const Csr<T>& host)
      : values(Cuda(), host.values),
        columns(Cuda(), host.columns),
        row_starts(Cuda(), host.row_starts),
        rows(host.rows()),
        cols(host.cols) {}
  CsrView<T, Cuda> view() const { return {values.data(), columns.data(), row_starts.data(), rows, cols}; }

  Buffer<T, Cuda> values;
  Buffer<std::int32_t, Cuda> columns;
  Buffer<std::int64_t, Cuda> row_starts;
  std::size_t rows, cols;
};

// Rows of lengths 0, 1, 2, ... up to some `longest`, in any order and with columns that repeat.
template <class T>
Csr<T> sparse_rows(std::size_t rows, std::size_t cols, std::size_t longest) {
  Csr<T> x(cols);
  const fastntk::rng::Draws draws{7, fastntk::rng::Stream::sample};
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t length = i + 1 == rows ? longest : i % 2 == 0 ? i * 7 % (longest + 1) : i % 35;
    for (std::size_t k = 0; k < length; ++k) {
      const std::size_t e = x.values.size();
      x.columns.push_back(static_cast<std::int32_t>(draws.integer(e, static_cast<std::uint32_t>(cols))));
      const auto bits = draws.bits(e);
      x.values.push_back(static_cast<T>(2 * fastntk::rng::Draws::unit_interval(bits[0], bits[1]) - 1));
    }
    x.row_starts.push_back(static_cast<std::int64_t>(x.values.size()));
  }
  return x;
}

template <class T>
void check_dense(const CountSketchParams& params, std::size_t rows, std::size_t gap = 0) {
  const Matrix<T> x = sketches::random_rows<T>(rows, params.in_features);
  Matrix<T> expected(rows, params.out_features);
  CountSketch<T>(params, Cpu{1})(x.view(), expected.view());
  const DeviceMatrix<T> in(x, gap);
  DeviceMatrix<T> out(rows, params.out_features, 2 * gap);
  CountSketch<T, Cuda>(params, Cuda())(in.view(), out.view());
  CHECK(out.to_host() == expected);
}

template <class T>
void check_sparse(const CountSketchParams& params, const Csr<T>& x, std::size_t gap = 0) {
  Matrix<T> expected(x.rows(), params.out_features);
  CountSketch<T>(params, Cpu{1})(x.view(), expected.view());
  const DeviceCsr<T> in(x);
  DeviceMatrix<T> out(x.rows(), params.out_features, gap);
  CountSketch<T, Cuda>(params, Cuda())(in.view(), out.view());
  CHECK(out.to_host() == expected);
}

TEST(dense_rows_give_the_bits_of_the_cpu) {
  for (const std::size_t d : {1u, 33u, 784u})
    for (const std::size_t m : {1u, 7u, 256u, 1000u})
      for (const std::size_t s : {1u, 3u}) {
        if (s > m) continue;
        check_dense<float>({d, m, 5 * d + m, s}, 5, 1);
        check_dense<double>({d, m, 5 * d + m, s}, 3);
      }
  for (const std::size_t rows : {1u, 2u, 4u, 130u}) check_dense<float>({50, 70, 1}, rows, 3);
}

// Rows that do not fit shared memory are taken in parts, or read in place if there are many buckets.
TEST(long_dense_rows_give_the_bits_of_the_cpu) {
  for (const std::size_t d : {4096u, 4097u, 10000u}) {
    check_dense<float>({d, 100, 3}, 6);
    check_dense<double>({d, 60, 4, 2}, 3, 1);
  }
  check_dense<float>({4099, 16385, 3}, 2);
  check_dense<double>({5000, 16385, 3}, 1);
  check_dense<float>({4099, 16385, 3, 2}, 1);
}

TEST(sparse_rows_give_the_bits_of_the_cpu) {
  for (const std::size_t d : {1u, 40u, 3000u})
    for (const std::size_t m : {1u, 5u, 100u, 3000u})
      for (const std::size_t s : {1u, 3u}) {
        if (s > m) continue;
        check_sparse<float>({d, m, 11, s}, sparse_rows<float>(19, d, 300), 1);
        check_sparse<double>({d, m, 11, s}, sparse_rows<double>(10, d, 70));
      }
}

// Sums that do not fit shared memory stand in the output.
TEST(sparse_rows_may_have_many_buckets) {
  check_sparse<float>({500, 12288, 1}, sparse_rows<float>(5, 500, 200));
  check_sparse<float>({500, 12289, 1}, sparse_rows<float>(5, 500, 200), 3);
  check_sparse<double>({500, 6145, 1, 2}, sparse_rows<double>(5, 500, 200));
}

// A block of rows of a larger matrix: the first row starts anywhere in its entries.
TEST(sparse_row_blocks_start_anywhere) {
  const Csr<float> x = sparse_rows<float>(20, 50, 60);
  const CountSketchParams params{50, 30, 2};
  Matrix<float> expected(8, 30);
  CountSketch<float>(params, Cpu{1})(x.view().row_block(7, 8), expected.view());
  const DeviceCsr<float> in(x);
  DeviceMatrix<float> out(8, 30);
  CountSketch<float, Cuda>(params, Cuda())(in.view().row_block(7, 8), out.view());
  CHECK(out.to_host() == expected);
}

TEST(entries_may_stand_beyond_32_bits) {
  // The entries are those before the array, which row starts beyond 2^33 bring back.
  const Csr<double> x = sparse_rows<double>(3, 9, 20);
  const std::int64_t far = std::int64_t{1} << 33;
  Csr<double> shifted = x;
  for (std::int64_t& start : shifted.row_starts) start += far;
  const CountSketchParams params{9, 6, 2};
  Matrix<double> expected(3, 6);
  CountSketch<double>(params, Cpu{1})(x.view(), expected.view());
  const DeviceCsr<double> in(shifted);
  CsrView<double, Cuda> view = in.view();
  const auto before = [&]<class E>(const E* data) {
    return reinterpret_cast<const E*>(reinterpret_cast<std::uintptr_t>(data) - static_cast<std::uintptr_t>(far) * sizeof(E));
  };
  view.values = before(view.values);
  view.columns = before(view.columns);
  DeviceMatrix<double> out(3, 6);
  CountSketch<double, Cuda>(params, Cuda())(view, out.view());
  CHECK(out.to_host() == expected);
}

TEST(nothing_outside_is_written) {
  Matrix<float> wide(9, 70);
  std::fill(wide.values.begin(), wide.values.end(), -9.0f);
  DeviceMatrix<float> out(wide);
  const Matrix<float> x = sketches::random_rows<float>(9, 120);
  const DeviceMatrix<float> in(x);
  const CountSketchParams params{100, 30, 2};
  CountSketch<float, Cuda>(params, Cuda())(in.view().col_block(7, 100), out.view().col_block(11, 30));
  Matrix<float> expected(9, 30);
  CountSketch<float>(params, Cpu{1})(x.view().col_block(7, 100), expected.view());
  const Matrix<float> found = out.to_host();
  for (std::size_t i = 0; i < 9; ++i)
    for (std::size_t j = 0; j < 70; ++j) CHECK(found(i, j) == (j >= 11 && j < 41 ? expected(i, j - 11) : -9.0f));
}

TEST(no_rows) {
  const CountSketch<float, Cuda> op({10, 5}, Cuda());
  op(View<const float, Cuda>(nullptr, 0, 10), View<float, Cuda>(nullptr, 0, 5));
  op(CsrView<float, Cuda>{nullptr, nullptr, nullptr, 0, 10}, View<float, Cuda>(nullptr, 0, 5));
  fastntk::finish(Cuda());
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(failures_are_reported) {
  const DeviceMatrix<float> x(sketches::random_rows<float>(20, 50));
  const DeviceCsr<float> sparse(sparse_rows<float>(20, 50, 40));
  DeviceMatrix<float> out(20, 30);
  device::fail_every_call([&] {
    const CountSketch<float, Cuda> op({50, 30, 2}, Cuda());
    op(x.view(), out.view());
    op(sparse.view(), out.view());
    fastntk::finish(Cuda());
  });
}

TEST(any_device_gives_the_same_bits) {
  const Matrix<float> x = sketches::random_rows<float>(20, 50);
  const Cuda second{.device = 1};
  const DeviceMatrix<float> in(x, 0, second);
  DeviceMatrix<float> out(20, 30, 0, second);
  CountSketch<float, Cuda>({50, 30, 2}, second)(in.view(), out.view());
  Matrix<float> expected(20, 30);
  CountSketch<float>({50, 30, 2}, Cpu{1})(x.view(), expected.view());
  CHECK(out.to_host() == expected);
}
#endif

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
