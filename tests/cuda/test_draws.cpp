// Random constants that are drawn on the device are those of the CPU.
#include <fastntk/count_sketch.hpp>
#include <fastntk/srht.hpp>
#include <fastntk/tensor_srht.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "../../csrc/src/count_sketch.hpp"
#include "../../csrc/src/directions.hpp"
#include "../../csrc/src/srht.hpp"
#include "../../csrc/src/tensor_srht.hpp"
#include "device.hpp"

namespace {

using fastntk::Cpu;
using fastntk::Cuda;

template <class T>
void check_equal(const fastntk::Buffer<T, Cuda>& device, const fastntk::Buffer<T, Cpu>& host) {
  CHECK(device.size() == host.size());
  CHECK(device.to_host() == host.to_host());
}

TEST(signs_and_samples) {
  for (const std::size_t d : {1, 2, 31, 33, 1000}) {
    for (const std::size_t m : {1, 7, 300}) {
      for (const bool replacement : {true, false}) {
        const fastntk::SrhtParams p{.in_features = d, .out_features = m, .seed = d + m, .replacement = replacement};
        if (!replacement &&
            m > fastntk::Srht<float>(fastntk::SrhtParams{.in_features = d, .out_features = 1}).state().length)
          continue;
        const fastntk::Srht<float, Cuda> device(p);
        const fastntk::Srht<float> host(p);
        check_equal(device.state().signs, host.state().signs);
        check_equal(device.state().sample, host.state().sample);
      }
    }
  }
  const fastntk::TensorSrhtParams p{.in_features_1 = 70, .in_features_2 = 9, .out_features = 100, .seed = 4};
  const fastntk::TensorSrht<double, Cuda> device(p);
  const fastntk::TensorSrht<double> host(p);
  check_equal(device.state().signs_1, host.state().signs_1);
  check_equal(device.state().signs_2, host.state().signs_2);
  check_equal(device.state().sample_1, host.state().sample_1);
  check_equal(device.state().sample_2, host.state().sample_2);
}

template <class T>
void check_buckets() {
  for (const std::size_t s : {1, 3}) {
    const fastntk::CountSketchParams p{.in_features = 1000, .out_features = 37, .seed = 5, .nnz_per_column = s};
    const fastntk::CountSketch<T, Cuda> device(p);
    const fastntk::CountSketch<T> host(p);
    check_equal(device.state().matrix.bucket, host.state().matrix.bucket);
    check_equal(device.state().matrix.weight, host.state().matrix.weight);
  }
}

TEST(buckets_and_weights) {
  check_buckets<float>();
  check_buckets<double>();
}

// Both are computed in double from the same bits; logarithm, sine, cosine and (on the sphere) a sum differ by a few ulps of
// double. Rounded to float that is at most one ulp; 4 are promised.
template <class T>
void check_normals(double tolerance) {
  for (const std::size_t d : {1, 2, 3, 33, 100})
    for (const std::size_t cols : {1, 50, 130})
      for (const bool on_sphere : {false, true}) {
        const fastntk::ProjectionMatrix<T, Cuda> device(Cuda(), 7, d, cols, on_sphere);
        const fastntk::ProjectionMatrix<T, Cpu> host(Cpu(), 7, d, cols, on_sphere);
        std::vector<T> values(d * cols);
        fastntk::copy_out(Cuda(), device.data(), values.size() * sizeof(T), values.data());
        constexpr std::size_t step = fastntk::ProjectionMatrix<T, Cpu>::column_step;
        for (std::size_t i = 0; i < d; ++i)
          for (std::size_t j = 0; j < cols; ++j) {
            const T expected = host.data()[j / step * step * d + i * step + j % step];
            CHECK_CLOSE(values[i * cols + j], expected, tolerance * std::abs(static_cast<double>(expected)));
          }
      }
}

TEST(normals) {
  check_normals<float>(4 * static_cast<double>(std::numeric_limits<float>::epsilon()));
  check_normals<double>(64 * std::numeric_limits<double>::epsilon());
}

TEST(columns_do_not_depend_on_their_number) {
  const fastntk::ProjectionMatrix<float, Cuda> few(Cuda(), 3, 5, 4, false);
  const fastntk::ProjectionMatrix<float, Cuda> many(Cuda(), 3, 5, 300, false);
  std::vector<float> a(5 * 4), b(5 * 300);
  fastntk::copy_out(Cuda(), few.data(), a.size() * sizeof(float), a.data());
  fastntk::copy_out(Cuda(), many.data(), b.size() * sizeof(float), b.data());
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t j = 0; j < 4; ++j) CHECK(a[i * 4 + j] == b[i * 300 + j]);
}

TEST(rotations_and_lengths) {
  const std::size_t m = 150;
  const fastntk::DirectionSet<float, Cuda> device(Cuda(), fastntk::Directions::structured, 40, m, 6);
  const fastntk::DirectionSet<float, Cpu> host(Cpu(), fastntk::Directions::structured, 40, m, 6);
  std::vector<float> rotation(3 * 64 * 3), length(m);
  fastntk::copy_out(Cuda(), device.rotation(), rotation.size() * sizeof(float), rotation.data());
  fastntk::copy_out(Cuda(), device.length(), length.size() * sizeof(float), length.data());
  CHECK(rotation == std::vector<float>(host.rotation(), host.rotation() + rotation.size()));
  CHECK(length == std::vector<float>(host.length(), host.length() + m));
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
