// The convolutional NTK on the device: the CPU's to rounding, and bits that depend on nothing but the two images.
#include <fastntk/cntk.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "../../csrc/src/cntk.hpp"
#include "../cpp/cntk_reference.hpp"
#include "device.hpp"

namespace {

using cntk::for_flags;
using cntk::rows_of;
using device::DeviceMatrix;
using fastntk::CntkParams;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::ImageShape;
using fastntk::Padding;
using fastntk::Pooling;
using fastntk::RowPairs;
using fastntk::Tile;
using sketches::Matrix;
using sketches::random_rows;

template <class T>
Matrix<T> kernel(const DeviceMatrix<T>& x, const DeviceMatrix<T>& y, const CntkParams& params, std::size_t gap = 0) {
  DeviceMatrix<T> out(x.view().rows, y.view().rows, gap);
  fastntk::cntk_kernel<T, Cuda>(Cuda(), x.view(), y.view(), params, out.view());
  return out.to_host();
}

template <class T>
Matrix<T> pairs(const DeviceMatrix<T>& x, const DeviceMatrix<T>& y, const CntkParams& params) {
  DeviceMatrix<T> out(x.view().rows, 1);
  fastntk::cntk_pairs<T, Cuda>(Cuda(), x.view(), y.view(), params, out.view());
  return out.to_host();
}

// With the errors that the CPU's test promises.
template <class T>
void check_definition(const Matrix<T>& x, const CntkParams& params, double tolerance) {
  const DeviceMatrix<T> images(x);
  cntk::check_definition(x, kernel<T>(images, images, params), params, tolerance);
}

}  // namespace

TEST(networks_are_the_definition) {
  const std::vector<CntkParams> networks = {
      {.image = {4, 5, 3}, .depth = 1},
      {.image = {4, 5, 2}, .depth = 3},
      {.image = {5, 4, 1}, .depth = 2, .filter_size = 2, .padding = Padding::valid, .bias = 0.5},
      {.image = {3, 4, 2}, .depth = 2, .filter_size = 7},
      {.image = {1, 6, 1}, .depth = 2, .filter_size = 5},
      {.image = {5, 5, 1}, .depth = 1, .filter_size = 4, .padding = Padding::valid},
      {.image = {1, 1, 2}, .depth = 2, .filter_size = 1},
  };
  for (const CntkParams& network : networks)
    for_flags(network, [&](const CntkParams& params) {
      check_definition<float>(random_rows<float>(2, params.image.features()), params, 2e-6);
      check_definition<double>(random_rows<double>(2, params.image.features()), params, 1e-12);
    });
}

TEST(near_images_are_accurate) {
  const ImageShape image{4, 5, 2};
  Matrix<float> x = random_rows<float>(6, image.features());
  for (std::size_t j = 0; j < x.cols; ++j) {
    const bool left = j / image.channels % image.width < 3;
    x(1, j) = -x(0, j);
    x(2, j) = x(0, j) + 1e-4f * x(2, j);
    x(3, j) = (j % 2 == 0 ? 0.4f : -0.7f) * (left ? 1.0f : 0.1f);
    x(4, j) = left ? 0.0f : x(0, j);
    x(5, j) = 0;
  }
  for_flags({.image = image, .depth = 2}, [&](const CntkParams& params) { check_definition<float>(x, params, 2e-6); });
}

TEST(bits_depend_on_the_two_images_only) {
  const auto check = [&]<class T>(T, Pooling pooling) {
    const CntkParams params{.image = {4, 3, 2}, .depth = 2, .pooling = pooling, .train_last = true};
    const std::size_t n = 5;
    const Matrix<T> host = random_rows<T>(n, params.image.features(), 4);
    const DeviceMatrix<T> x(host), copy(host, 3);
    const Matrix<T> once = kernel<T>(x, x, params, 2);
    CHECK(once == kernel<T>(x, copy, params));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < i; ++j) CHECK(once(i, j) == once(j, i));
    for (std::size_t begin = 0; begin < n; begin += 2) {
      const std::size_t count = std::min<std::size_t>(2, n - begin);
      CHECK(kernel<T>(DeviceMatrix<T>(rows_of(host, begin, count)), x, params) == rows_of(once, begin, count));
    }
    const Matrix<T> diagonal = pairs<T>(x, x, params), between = pairs<T>(x, copy, params);
    for (std::size_t i = 0; i < n; ++i) CHECK(diagonal(i, 0) == once(i, i) && between(i, 0) == once(i, i));
    // With less memory a tile has fewer images.
    DeviceMatrix<T> out(n, n);
    fastntk::cntk_kernel<T, Cuda>({.max_memory = std::size_t{1} << 19}, x.view(), x.view(), params, out.view());
    CHECK(out.to_host() == once);
  };
  check(0.0f, Pooling::gap);
  check(0.0, Pooling::none);
}

// Their maps stand in scratch memory, which has room for a few pairs at a time.
TEST(images_beyond_shared_memory_are_those_of_the_cpu) {
  const CntkParams params{.image = {101, 100, 1}, .depth = 1, .pooling = Pooling::none, .train_last = true};
  const std::size_t n = 3;
  const Matrix<float> x = random_rows<float>(n, params.image.features());
  Matrix<float> expected(n, n);
  fastntk::cntk_kernel<float, Cpu>(Cpu{1}, x.view(), x.view(), params, expected.view());
  const DeviceMatrix<float> images(x);
  DeviceMatrix<double> theta(n, n);
  Tile<Cuda> tile{Cuda{.max_memory = std::size_t{8} << 20}};
  const fastntk::CntkRecursion<float, Cuda> recursion(params, "test");
  const auto prepared = recursion.prepare(tile, images.view());
  fastntk::cntk_theta<float, Cuda>(tile, recursion.plan(), prepared.maps, prepared.maps, RowPairs::all, theta.view());
  const Matrix<double> found = theta.to_host();
  // Of unit images. Every entry is a third of the diagonal and more; the functions round a few times.
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const double norms = std::sqrt(sketches::dot(x, i, x, i) * sketches::dot(x, j, x, j));
      CHECK_CLOSE(norms * found(i, j), expected(i, j), 1e-6 * expected(i, j));
    }
}

TEST(no_images_give_an_empty_matrix) {
  const CntkParams params{.image = {3, 2, 1}, .depth = 2};
  const DeviceMatrix<float> x(0, 6), y(random_rows<float>(4, 6, 9));
  CHECK(kernel<float>(x, y, params).values.empty());
  CHECK(kernel<float>(y, x, params).values.empty());
  CHECK(pairs<float>(x, x, params).values.empty());
}

TEST(too_little_memory_is_an_error) {
  const CntkParams params{.image = {4, 4, 1}, .depth = 2};
  const DeviceMatrix<float> x(random_rows<float>(3, 16, 9));
  DeviceMatrix<float> out(3, 3);
  const auto compute = [&](std::size_t memory) {
    fastntk::cntk_kernel<float, Cuda>({.max_memory = memory}, x.view(), x.view(), params, out.view());
  };
  CHECK(check::throws<fastntk::OutOfMemory>([&] { compute(1024); }, "max_memory"));
  compute(std::size_t{1} << 20);
  CHECK(out.to_host() == kernel<float>(x, x, params));
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(failures_are_reported) {
  const CntkParams params{.image = {3, 2, 1}, .depth = 2};
  const DeviceMatrix<float> x(random_rows<float>(2, 6, 9)), y(random_rows<float>(2, 6, 8));
  DeviceMatrix<float> out(2, 2), column(2, 1);
  device::fail_every_call([&] {
    fastntk::cntk_kernel<float, Cuda>(Cuda(), x.view(), y.view(), params, out.view());
    fastntk::cntk_pairs<float, Cuda>(Cuda(), x.view(), x.view(), params, column.view());
    fastntk::finish(Cuda());
  });
}
#endif

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
