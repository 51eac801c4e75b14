// GradientFeatures on the device against the CPU's.
#include <fastntk/gradient_features.hpp>

#include <cmath>
#include <cstddef>
#include <iostream>
#include <vector>

#include "device.hpp"

namespace {

using namespace fastntk;
using device::DeviceMatrix;
using device::Guarded;
using sketches::Matrix;

std::vector<GradientFeaturesParams> networks() {
  std::vector<GradientFeaturesParams> all;
  for (const std::size_t depth : {1, 3}) {
    for (const Diagonal diagonal : {Diagonal::sampled, Diagonal::exact})
      for (const double bias : {0.0, 0.5})
        all.push_back({.in_features = 20, .out_features = 150, .depth = depth, .bias = bias, .diagonal = diagonal});
    for (const std::size_t q : {1, 3, 5})
      for (const Pooling pooling : {Pooling::gap, Pooling::none})
        all.push_back({.in_features = 6 * 5 * 2,
                       .out_features = 120,
                       .depth = depth,
                       .architecture = Architecture::cnn,
                       .width = q == 1 ? std::size_t{60} : std::size_t{8},
                       .image = {6, 5, 2},
                       .filter_size = q,
                       .pooling = pooling});
  }
  return all;
}

template <class T>
Matrix<T> inputs(std::size_t rows, std::size_t d) {
  Matrix<T> x = sketches::random_rows<T>(rows, d, 3 * d);
  for (std::size_t j = 0; j < d; ++j) x(rows / 2, j) = 0;
  return x;
}

template <class T, class B>
Matrix<T> features(const GradientFeatures<T, B>& map, const Matrix<T>& x, std::size_t gap = 0) {
  const std::size_t columns = map.params().out_features;
  if constexpr (std::is_same_v<B, Cuda>) {
    Guarded<T> in(x, gap);
    Guarded<T> out(Matrix<T>(x.rows, columns), gap);
    map(in.view(), out.view());
    return out.to_host();
  } else {
    Matrix<T> out(x.rows, columns);
    map(x.view(), out.view());
    return out;
  }
}

// Weights and entries are the same, so that only roundings differ: eps times some hundred additions. No unit is so near to 0
// that a rounding could switch it: the chance is 1e-12 a unit in double and 1e-4 in float, where a unit switched adds a
// jump of an entry's size to its columns.
template <class T>
void check_maps() {
  for (const GradientFeaturesParams& p : networks()) {
    const Matrix<T> x = inputs<T>(5, p.in_features);
    const Matrix<T> found = features(GradientFeatures<T, Cuda>(p), x, p.in_features % 3);
    const Matrix<T> expected = features(GradientFeatures<T>(p), x);
    for (std::size_t r = 0; r < x.rows; ++r) {
      double square = 0, difference = 0;
      for (std::size_t j = 0; j < found.cols; ++j) {
        const auto a = static_cast<double>(found(r, j)), b = static_cast<double>(expected(r, j));
        square += b * b;
        difference += (a - b) * (a - b);
      }
      const double tolerance = sizeof(T) == 8 ? 1e-12 : 1e-4;
      if (!CHECK(difference <= tolerance * tolerance * square))
        std::cout << "depth " << p.depth << " q " << p.filter_size << " row " << r << ": " << std::sqrt(difference / square)
                  << "\n";
    }
  }
}

TEST(maps_agree_with_the_cpu) {
  check_maps<float>();
  check_maps<double>();
}

TEST(same_bits_for_any_batches) {
  constexpr std::size_t rows = 23;
  for (const GradientFeaturesParams& p : networks()) {
    const GradientFeatures<float, Cuda> map(p);
    const Matrix<float> x = inputs<float>(rows, p.in_features);
    const Matrix<float> whole = features(map, x);
    const DeviceMatrix<float> in(x);
    DeviceMatrix<float> out(rows, p.out_features);
    for (std::size_t begin = 0; begin < rows; begin += 9) {
      const std::size_t count = std::min<std::size_t>(9, rows - begin);
      map(in.view().row_block(begin, count), out.view().row_block(begin, count));
    }
    finish(Cuda());
    CHECK(out.to_host() == whole);
    // Little memory: several tiles in a call.
    CHECK(features(map.on(Cuda{.max_memory = 1 << 18}), x) == whole);
  }
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(no_failure_is_dropped) {
  for (const GradientFeaturesParams& p : networks()) {
    if (p.depth == 1 || p.filter_size != 3 || p.bias != 0) continue;
    const Matrix<float> x = inputs<float>(3, p.in_features);
    device::fail_every_call([&] {
      const GradientFeatures<float, Cuda> map(p);
      CHECK(std::isfinite(features(map, x)(0, 0)));
    });
  }
}
#endif

TEST(no_rows) {
  for (const GradientFeaturesParams& p : networks()) {
    const GradientFeatures<float, Cuda> map(p);
    map(View<const float, Cuda>(nullptr, 0, p.in_features), View<float, Cuda>(nullptr, 0, p.out_features));
  }
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
