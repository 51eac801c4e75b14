// CntkSketch on the device, against the CPU's: the same draws and sums, up to rounding.
#include <fastntk/cntk_sketch.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../../csrc/cuda/runtime.cuh"
#include "device.hpp"
#include "stream.hpp"

namespace {

using device::DeviceMatrix;
using device::Guarded;
using fastntk::CntkMethod;
using fastntk::CntkParams;
using fastntk::CntkSketch;
using fastntk::CntkSketchParams;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::Diagonal;
using fastntk::Padding;
using fastntk::Pooling;
using sketches::Matrix;
using sketches::random_rows;

CntkSketchParams map_of(const CntkParams& kernel, CntkMethod method, std::size_t out_features) {
  CntkSketchParams p{.out_features = out_features, .kernel = kernel, .method = method, .width = 64, .seed = 3};
  if (method == CntkMethod::sketch) {
    p.kappa_1.assign(kernel.depth, {0.32, 0.5, 0.16, 0.02});
    p.kappa_0.assign(kernel.depth, {0.5, 0.32, 0.0, 0.18});
  }
  return p;
}

std::string describe(const CntkSketchParams& p) {
  return std::string(p.method == CntkMethod::sketch ? "sketch" : "random features") + ", depth " +
         std::to_string(p.kernel.depth) + ", filter " + std::to_string(p.kernel.filter_size) +
         (p.kernel.padding == Padding::same ? ", same" : ", valid") + (p.kernel.pooling == Pooling::gap ? ", gap" : "") +
         (p.average_flips ? ", flips" : "") + (p.diagonal == Diagonal::sampled ? ", sampled" : "");
}

// Rounding grows with the layers and the degree: 2e-5 (float) and 1e-13 (double) of the row's norm leave room for 200
// roundings a factor.
template <class T>
void compare(const CntkSketchParams& p, const Matrix<T>& x) {
  const double tolerance = sizeof(T) == 4 ? 2e-5 : 1e-13;
  const std::size_t n = x.rows;
  Matrix<T> expected(n, p.out_features);
  CntkSketch<T>(p, Cpu{1})(x.view(), expected.view());
  const DeviceMatrix<T> in(x, 3);
  Guarded<T> out(Matrix<T>(n, p.out_features), 5);
  CntkSketch<T, Cuda>(p, Cuda())(in.view(), out.view());
  const Matrix<T> found = out.to_host();
  for (std::size_t i = 0; i < n; ++i) {
    const double norm = std::sqrt(dot(expected, i, expected, i));
    CHECK((norm > 0) == (dot(x, i, x, i) > 0 || p.kernel.bias != 0));
    for (std::size_t j = 0; j < found.cols; ++j)
      if (!CHECK_CLOSE(found(i, j), expected(i, j), tolerance * norm)) {
        check::fail(__FILE__, __LINE__, describe(p) + ", image " + std::to_string(i) + ", column " + std::to_string(j));
        return;
      }
  }
}

// An image of zeros among the others gives zeros.
template <class T>
void compare(const CntkSketchParams& p, std::size_t n) {
  Matrix<T> x = random_rows<T>(n, p.kernel.image.features(), 5);
  for (std::size_t j = 0; j < x.cols; ++j) x(1, j) = 0;
  compare<T>(p, x);
}

template <class T>
void compare_all(const CntkParams& network, CntkMethod method, std::size_t out_features, std::size_t n) {
  for (const Pooling pooling : {Pooling::gap, Pooling::none})
    for (const Diagonal diagonal : {Diagonal::exact, Diagonal::sampled})
      for (const bool flips : {false, true}) {
        CntkParams kernel = network;
        kernel.pooling = pooling;
        CntkSketchParams p = map_of(kernel, method, out_features);
        p.diagonal = diagonal;
        p.average_flips = flips;
        compare<T>(p, n);
      }
}

TEST(features_are_the_cpus) {
  for (const CntkMethod method : {CntkMethod::sketch, CntkMethod::random_features}) {
    compare_all<float>({.image = {4, 5, 2}, .depth = 3}, method, 100, 3);
    compare_all<double>({.image = {4, 5, 3}, .depth = 2}, method, 33, 2);
    compare_all<double>({.image = {6, 5, 1}, .depth = 3, .filter_size = 2, .padding = Padding::valid, .bias = 0.5}, method,
                        101, 3);
    compare_all<float>({.image = {1, 7, 1}, .depth = 2, .filter_size = 5}, method, 64, 2);
    compare<double>(map_of({.image = {1, 1, 2}, .depth = 1, .filter_size = 1, .train_first = true}, method, 40), 2);
  }
}

TEST(networks_may_train_any_layers) {
  for (const CntkMethod method : {CntkMethod::sketch, CntkMethod::random_features})
    for (const std::size_t depth : {1, 2})
      for (const int flags : {0, 1, 2, 3}) {
        CntkParams kernel{.image = {4, 3, 2}, .depth = depth};
        kernel.train_first = flags % 2 == 1;
        kernel.train_last = flags >= 2;
        if (depth == 1 && flags == 0) continue;
        for (const Pooling pooling : {Pooling::gap, Pooling::none}) {
          kernel.pooling = pooling;
          compare<double>(map_of(kernel, method, 50), 2);
        }
      }
}

TEST(wide_maps_are_the_cpus) {
  CntkSketchParams p = map_of({.image = {3, 3, 3}, .depth = 2}, CntkMethod::sketch, 1100);
  p.width = 512;
  compare<float>(p, 2);
  p.method = CntkMethod::random_features;
  compare<double>(p, 2);
}

// Whose squares float32 does not hold, or whose inverse squares.
TEST(pixels_next_to_nothing) {
  for (const CntkMethod method : {CntkMethod::sketch, CntkMethod::random_features}) {
    const CntkSketchParams p = map_of({.image = {6, 5, 2}, .depth = 2, .train_last = true}, method, 50);
    Matrix<float> x(4, p.kernel.image.features());
    const float little[] = {1e-18f, 1e-20f, 1e-30f, 1e-44f};
    for (std::size_t i = 0; i < x.rows; ++i) {
      std::fill_n(x.view().row(i), x.cols, little[i]);
      x(i, 0) = x(i, 1) = 1;
    }
    compare<float>(p, x);
  }
}

TEST(any_split_workspace_and_stream_has_the_same_bits) {
  for (const CntkMethod method : {CntkMethod::sketch, CntkMethod::random_features}) {
    const std::size_t n = 11;
    CntkSketchParams p = map_of({.image = {8, 8, 3}, .depth = 2}, method, 200);
    p.average_flips = true;
    const DeviceMatrix<float> in(random_rows<float>(n, p.kernel.image.features()));
    const CntkSketch<float, Cuda> map(p, Cuda());
    DeviceMatrix<float> whole(n, p.out_features), parts(n, p.out_features), tight(n, p.out_features),
        beside(n, p.out_features);
    map(in.view(), whole.view());
    for (std::size_t first = 0; first < n; first += 4) {
      const std::size_t count = std::min<std::size_t>(4, n - first);
      map(in.view().row_block(first, count), parts.view().row_block(first, count));
    }
    map.on(Cuda{.max_memory = std::size_t{3} << 19})(in.view(), tight.view());
    const device::Stream stream, other;
    map.on(stream.backend())(in.view().row_block(0, 5), beside.view().row_block(0, 5));
    map.on(other.backend())(in.view().row_block(5, n - 5), beside.view().row_block(5, n - 5));
    fastntk::finish(stream.backend());
    fastntk::finish(other.backend());
    const Matrix<float> expected = whole.to_host();
    CHECK(parts.to_host() == expected);
    CHECK(tight.to_host() == expected);
    CHECK(beside.to_host() == expected);
  }
}

TEST(no_images_and_too_little_memory) {
  const CntkSketchParams p = map_of({.image = {4, 4, 1}, .depth = 2}, CntkMethod::sketch, 64);
  const CntkSketch<float, Cuda> map(p, Cuda());
  const DeviceMatrix<float> none(0, 16), in(random_rows<float>(3, 16));
  DeviceMatrix<float> nothing(0, 64), out(3, 64), again(3, 64);
  map(none.view(), nothing.view());
  CHECK(check::throws<fastntk::OutOfMemory>([&] { map.on(Cuda{.max_memory = 4096})(in.view(), out.view()); }, "max_memory"));
  map(in.view(), out.view());
  CntkSketch<float, Cuda>(p, Cuda())(in.view(), again.view());
  CHECK(out.to_host() == again.to_host());
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(failures_are_reported) {
  CntkSketchParams p = map_of({.image = {3, 2, 1}, .depth = 2}, CntkMethod::sketch, 64);
  p.average_flips = true;
  const DeviceMatrix<float> in(random_rows<float>(2, 6));
  DeviceMatrix<float> out(2, 64);
  device::fail_every_call([&] {
    const CntkSketch<float, Cuda> map(p, Cuda());
    map(in.view(), out.view());
    fastntk::finish(Cuda());
  });
}
#endif

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
