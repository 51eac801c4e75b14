// TensorSRHT on the device: the bits are the CPU's, which does the same operations.
#include <fastntk/tensor_srht.hpp>

#include <cstdint>
#include <vector>

#include "../../csrc/src/primitives.hpp"
#include "device.hpp"

namespace {

using device::DeviceMatrix;
using device::Matrix;
using fastntk::Buffer;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::Error;
using fastntk::TensorSrht;
using fastntk::TensorSrhtParams;
using fastntk::Tile;
using fastntk::View;

template <class T>
void compare(std::size_t rows, const TensorSrhtParams& params, std::size_t gap, const Cuda& cuda = {}) {
  const Matrix<T> x = sketches::random_rows<T>(rows, params.in_features_1, 1);
  const Matrix<T> y = sketches::random_rows<T>(rows, params.in_features_2, 2);
  Matrix<T> expected(rows, params.out_features);
  TensorSrht<T>(params, Cpu{1})(x.view(), y.view(), expected.view());
  const DeviceMatrix<T> first(x, gap, cuda), second(y, 0, cuda);
  DeviceMatrix<T> out(rows, params.out_features, gap, cuda);
  TensorSrht<T, Cuda>(params, cuda)(first.view(), second.view(), out.view());
  if (!CHECK(out.to_host() == expected))
    std::cout << "  rows " << rows << ", (" << params.in_features_1 << ", " << params.in_features_2 << ") -> "
              << params.out_features << ", gap " << gap << "\n";
}

template <class T>
void compare_all() {
  for (std::size_t n = 1; n <= std::size_t{1} << 15; n *= 2) {
    const std::size_t rows = n <= 1024 ? 5 * (1024 / n) + 1 : 3;
    compare<T>(rows, {n, n, n < 1024 ? n : 1024, 1}, 0);
    if (n > 4096 && check::sanitized) continue;
    compare<T>(3, {n, n - n / 4, 100, 2}, 1);
  }
  compare<T>(600, {64, 60, 16, 3}, 0);  // more warps than the emulated device has room for at once
  // Transforms of different lengths: on chip, and not.
  compare<T>(5, {40, 1000, 300, 4}, 0);
  compare<T>(5, {1000, 40, 300, 5}, 3);
  compare<T>(2, {5, 40000, 50, 6}, 0);
}

TEST(has_the_bits_of_the_cpu_float) { compare_all<float>(); }
TEST(has_the_bits_of_the_cpu_double) { compare_all<double>(); }

// Transforms of different lengths, short ones and those that no block holds go through scratch memory, by tiles that fit it.
TEST(scratch_fits_in_little_memory) {
  compare<float>(700, {1000, 40, 30, 7}, 0, {.max_memory = 1 << 19});
  compare<double>(300, {40, 1000, 30, 8}, 0, {.max_memory = 1 << 19});
  compare<float>(3000, {10, 10, 8, 9}, 0, {.max_memory = 1 << 16});
  compare<double>(3000, {1, 20, 4, 10}, 0, {.max_memory = 1 << 16});
  compare<float>(7, {20000, 20000, 30, 11}, 0, {.max_memory = 1 << 20});
}

#if defined(FASTNTK_EMULATE_CUDA)
// The second emulated device has 99 KB of shared memory for a block, as many graphics cards do.
TEST(less_shared_memory) {
  const Cuda second{.device = 1};
  for (const std::size_t n : {1024, 2048, 8192, 16384}) {
    compare<float>(9, {n, n, 100, 9}, 0, second);
    if (n <= 8192) compare<double>(9, {n, n, 100, 9}, 0, second);
  }
}
#endif

// The output may take the place of either input.
template <class T>
void compare_in_place(std::size_t rows, std::size_t n) {
  const std::uint64_t seed = 3;
  const Matrix<T> x = sketches::random_rows<T>(rows, n, 1), y = sketches::random_rows<T>(rows, n, 2);
  Matrix<T> expected(rows, n);
  TensorSrht<T>({n, n, n, seed}, Cpu{1})(x.view(), y.view(), expected.view());
  for (const bool in_first : {true, false}) {
    DeviceMatrix<T> first(x), second(y);
    const View<T, Cuda> out = in_first ? first.view() : second.view();
    TensorSrht<T, Cuda>({n, n, n, seed}, Cuda())(first.view(), second.view(), out);
    CHECK((in_first ? first : second).to_host() == expected);
  }
}

TEST(works_in_place) {
  compare_in_place<float>(70, 128);
  compare_in_place<float>(9, 1024);
  compare_in_place<double>(3, 2048);
}

// The product where one factor is transformed before, and is one row for all.
template <class T>
void compare_with_transformed(std::size_t rows, std::size_t n, std::size_t other_n, std::size_t m) {
  const Matrix<T> x = sketches::random_rows<T>(rows, n, 1), other = sketches::random_rows<T>(1, other_n, 2);
  const std::vector<std::uint32_t> signs = fastntk::draw_signs(Cpu{1}, 1, n).to_host();
  const std::vector<std::uint32_t> sample = fastntk::draw_sample(Cpu{1}, 2, m, n).to_host();
  const std::vector<std::uint32_t> other_sample = fastntk::draw_sample(Cpu{1}, 3, m, other_n).to_host();
  const auto run = [&]<class B>(const B& b, View<const T, B> in, View<const T, B> row, View<T, B> out) {
    const Buffer<std::uint32_t, B> s(b, signs), index(b, sample), index_other(b, other_sample);
    fastntk::for_tiles<B>(b, 1, 1, [&](Tile<B>& tile, fastntk::RowRange) {
      fastntk::hadamard_gather_product<T, B>(tile, View<const T, B>(row.data, rows, other_n, 0), index_other.data(), in,
                                             s.data(), n, index.data(), T(0.3), out);
    });
    fastntk::finish(b);
  };
  Matrix<T> expected(rows, m);
  run(Cpu{1}, x.view(), other.view(), expected.view());
  const DeviceMatrix<T> in(x), row(other);
  DeviceMatrix<T> out(rows, m);
  run(Cuda(), in.view(), row.view(), out.view());
  if (!CHECK(out.to_host() == expected)) std::cout << "  rows " << rows << ", n " << n << ", other " << other_n << "\n";
}

TEST(one_factor_transformed_before) {
  compare_with_transformed<float>(9, 64, 64, 100);
  compare_with_transformed<float>(9, 1024, 1024, 100);
  compare_with_transformed<float>(9, 512, 128, 100);
  compare_with_transformed<float>(9, 128, 1024, 100);
  compare_with_transformed<double>(3, 4096, 4096, 300);
  compare_with_transformed<double>(3, 16384, 16384, 300);
}

TEST(errors_name_the_argument) {
  const TensorSrht<float, Cuda> op({10, 4, 5, 1}, Cuda());
  DeviceMatrix<float> x(3, 10), y(2, 4), out(3, 5);
  CHECK(check::throws<Error>([&] { op(x.view(), y.view(), out.view()); }, "y has shape (2, 4); (3, 4) is needed"));
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
