// What the training of networks asks of a device, against the CPU's primitives.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "../../csrc/src/net_batches.hpp"
#include "../../csrc/src/net_primitives.hpp"
#include "device.hpp"

namespace {

using namespace fastntk;
using device::DeviceMatrix;
using device::Guarded;
using sketches::Matrix;

template <class T>
bool same(const Matrix<T>& a, const Matrix<T>& b) {
  for (std::size_t i = 0; i < a.values.size(); ++i)
    if (!(a.values[i] == b.values[i] || (std::isnan(a.values[i]) && std::isnan(b.values[i])))) return false;
  return true;
}

template <class T>
void check_relu() {
  for (const std::size_t cols : {1, 31, 32, 33, 100, 257})
    for (const std::size_t gap : {0, 3}) {
      constexpr std::size_t rows = 13;
      Matrix<T> x = sketches::random_rows<T>(rows, cols, cols);
      x(1, 0) = std::numeric_limits<T>::quiet_NaN();
      x(2, cols - 1) = std::numeric_limits<T>::infinity();
      x(3, 0) = -std::numeric_limits<T>::infinity();
      x(4, cols / 2) = T(0);
      Matrix<T> h = x, delta = sketches::random_rows<T>(rows, cols, 7);
      Matrix<std::uint32_t> mask(rows, mask_words(cols));
      for (std::uint32_t& word : mask.values) word = 0xdeadbeef;
      Guarded<T> device_h(h, gap), device_delta(delta, gap);
      Guarded<std::uint32_t> device_mask(mask, gap);
      Tile<Cpu> tile{Cpu{}};
      relu_forward<T, Cpu>(tile, T(0.5), h.view(), mask.view());
      mask_rows<T, Cpu>(tile, mask.view(), T(3), delta.view());
      Tile<Cuda> device_tile{Cuda{}};
      relu_forward<T, Cuda>(device_tile, T(0.5), device_h.view(), device_mask.view());
      mask_rows<T, Cuda>(device_tile, device_mask.view(), T(3), device_delta.view());
      finish(Cuda{});
      CHECK(same(device_h.to_host(), h));
      CHECK(device_mask.to_host() == mask);
      CHECK(device_delta.to_host() == delta);
    }
}

TEST(relu_and_its_mask) {
  check_relu<float>();
  check_relu<double>();
}

// Sums of at most 38 products of numbers below 1.
template <class T>
void check_gemm() {
  const double tolerance = 40 * static_cast<double>(std::numeric_limits<T>::epsilon());
  const GemmLibrary<Cuda> library{Cuda{}};
  for (const Transposed op_a : {Transposed::no, Transposed::yes})
    for (const Transposed op_b : {Transposed::no, Transposed::yes})
      for (const std::size_t m : {1, 9})
        for (const std::size_t n : {1, 17})
          for (const std::size_t k : {1, 38}) {
            const bool at = op_a == Transposed::yes, bt = op_b == Transposed::yes;
            const Matrix<T> a = sketches::random_rows<T>(at ? k : m, at ? m : k, 3);
            const Matrix<T> b = sketches::random_rows<T>(bt ? n : k, bt ? k : n, 4);
            Matrix<T> c = sketches::random_rows<T>(m, n, 5);
            const DeviceMatrix<T> device_a(a, 1), device_b(b, 2);
            Guarded<T> device_c(c, 3);
            Tile<Cpu> tile{Cpu{}};
            gemm<T, Cpu>(tile, op_a, op_b, T(0.25), a.view(), b.view(), T(-0.5), c.view());
            Tile<Cuda> device_tile{Cuda{}};
            gemm<T, Cuda>(device_tile, op_a, op_b, T(0.25), device_a.view(), device_b.view(), T(-0.5), device_c.view());
            finish(Cuda{});
            const Matrix<T> found = device_c.to_host();
            for (std::size_t i = 0; i < m; ++i)
              for (std::size_t j = 0; j < n; ++j) CHECK_CLOSE(found(i, j), c(i, j), tolerance);
          }
}

TEST(products) {
  check_gemm<float>();
  check_gemm<double>();
}

TEST(batches_are_the_cpus) {
  const Matrix<float> x = sketches::random_rows<float>(20, 5), y = sketches::random_rows<float>(20, 2, 2);
  const DeviceMatrix<float> device_x(x, 3), device_y(y, 1);
  NetBatches<float, Cpu> expected(Cpu{}, 6, 7, x.view(), y.view());
  NetBatches<float, Cuda> found(Cuda{}, 6, 7, device_x.view(), device_y.view());
  for (std::uint64_t step = 0; step < 8; ++step) {
    const NetBatch<float, Cpu> a = expected.at(step);
    const NetBatch<float, Cuda> b = found.at(step);
    CHECK(a.scale == b.scale && a.x.rows == b.x.rows && a.y.rows == b.y.rows);
    std::vector<float> rows(a.x.rows * 5), targets(a.y.rows * 2);
    copy_out(Cuda{}, b.x.data, rows.size() * sizeof(float), rows.data());
    copy_out(Cuda{}, b.y.data, targets.size() * sizeof(float), targets.data());
    CHECK(std::equal(rows.begin(), rows.end(), a.x.data));
    CHECK(std::equal(targets.begin(), targets.end(), a.y.data));
  }
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
