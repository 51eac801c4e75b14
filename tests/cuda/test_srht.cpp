// Samples of transforms on the device: the bits are the CPU's, which does the same operations.
#include <fastntk/srht.hpp>

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
using fastntk::Srht;
using fastntk::SrhtParams;
using fastntk::Tile;
using fastntk::View;

template <class T>
void compare(std::size_t rows, const SrhtParams& params, std::size_t gap, const Cuda& cuda = {}) {
  const Matrix<T> x = sketches::random_rows<T>(rows, params.in_features);
  Matrix<T> expected(rows, params.out_features);
  Srht<T>(params, Cpu{1})(x.view(), expected.view());
  const DeviceMatrix<T> in(x, gap, cuda);
  DeviceMatrix<T> out(rows, params.out_features, gap, cuda);
  Srht<T, Cuda>(params, cuda)(in.view(), out.view());
  if (!CHECK(out.to_host() == expected))
    std::cout << "  rows " << rows << ", " << params.in_features << " -> " << params.out_features << ", gap " << gap << "\n";
}

template <class T>
void compare_all() {
  // Every length on chip and one beyond; whole vectors, odd columns and odd strides; samples shorter and longer than rows.
  for (std::size_t n = 1; n <= std::size_t{1} << 16; n *= 2) {
    const std::size_t rows = n <= 1024 ? 5 * (1024 / n) + 1 : 3;
    compare<T>(rows, {n, 37, 1, true}, 0);
    if (n > 8192 && check::sanitized) continue;
    compare<T>(3, {n - n / 4, 2 * n + 1 < 3000 ? 2 * n + 1 : 3000, 2, true}, 4);
    if (n > 2) compare<T>(2, {n - n / 4 + 1, n / 2, 3, false}, 1);
  }
  compare<T>(600, {64, 16, 4, true}, 0);  // more warps than the emulated device has room for at once
}

TEST(has_the_bits_of_the_cpu_float) { compare_all<float>(); }
TEST(has_the_bits_of_the_cpu_double) { compare_all<double>(); }

// Short transforms and those that no block holds go through scratch memory, by tiles that fit it.
TEST(scratch_fits_in_little_memory) {
  compare<float>(3000, {10, 8, 5}, 0, {.max_memory = 1 << 16});
  compare<double>(3000, {1, 1, 6}, 0, {.max_memory = 1 << 16});
  compare<float>(5, {70000, 100, 7}, 0, {.max_memory = 1 << 20});
}

TEST(no_rows) {
  const Srht<float, Cuda> op({10, 5, 1}, Cuda());
  op(View<const float, Cuda>(nullptr, 0, 10), View<float, Cuda>(nullptr, 0, 5));
  fastntk::finish(Cuda());
}

TEST(errors_name_the_argument) {
  const Srht<float, Cuda> op({10, 5, 1}, Cuda());
  DeviceMatrix<float> x(3, 9), out(3, 5);
  CHECK(check::throws<Error>([&] { op(x.view(), out.view()); }, "x has shape (3, 9); (3, 10) is needed"));
}

// Samples of rows in memory, and copies.
template <class T>
void compare_gathers(std::size_t m) {
  const std::size_t rows = 7, cols = 300;
  const Matrix<T> a = sketches::random_rows<T>(rows, cols), b = sketches::random_rows<T>(1, cols, 9);
  const fastntk::rng::Draws draws{4, fastntk::rng::Stream::sample};
  std::vector<std::uint32_t> index_a(m), index_b(m);
  for (std::size_t j = 0; j < m; ++j) {
    index_a[j] = draws.integer(j, static_cast<std::uint32_t>(cols));
    index_b[j] = draws.integer(m + j, static_cast<std::uint32_t>(cols));
  }
  const Cuda cuda;
  const Buffer<std::uint32_t, Cuda> device_a(cuda, index_a), device_b(cuda, index_b);
  const DeviceMatrix<T> x(a, 3), y(b);
  DeviceMatrix<T> sample(rows, m, 2), product(rows, m), copies(rows, cols, 1), same(rows, cols);
  const View<const T, Cuda> one_row(y.view().data, rows, cols, 0);
  const T scale = T(0.3);
  Tile<Cuda> tile(cuda);
  fastntk::gather<T, Cuda>(tile, x.view(), device_a.data(), scale, sample.view());
  fastntk::gather_product<T, Cuda>(tile, x.view(), device_a.data(), one_row, device_b.data(), scale, product.view());
  fastntk::copy<T, Cuda>(tile, one_row, copies.view());
  fastntk::copy<T, Cuda>(tile, x.view(), same.view());
  const Matrix<T> samples = sample.to_host(), products = product.to_host(), copied = copies.to_host();
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t j = 0; j < m; ++j) {
      const T value = scale * a(r, index_a[j]);
      CHECK(samples(r, j) == value);
      CHECK(products(r, j) == value * b(0, index_b[j]));
    }
    for (std::size_t j = 0; j < cols; ++j) CHECK(copied(r, j) == b(0, j));
  }
  CHECK(same.to_host() == a);
}

TEST(gathers_and_copies) {
  for (const std::size_t m : {517u, 17u}) {  // with whole rows read, and not
    compare_gathers<float>(m);
    compare_gathers<double>(m);
  }
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
