// Directions, activations and the scaling of rows on the device, against the CPU's primitives.
#include <fastntk/ntk_features.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "../../csrc/src/directions.hpp"
#include "device.hpp"

namespace {

using device::DeviceMatrix;
using device::Guarded;
using fastntk::Activation;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::Directions;
using fastntk::DirectionSet;
using fastntk::Tile;
using sketches::Matrix;

template <class T>
constexpr double eps = static_cast<double>(std::numeric_limits<T>::epsilon());

template <class T>
void check_elementwise() {
  Tile<Cuda> tile{Cuda()};
  Tile<Cpu> host_tile{Cpu()};
  for (const std::size_t rows : {1, 3, 40})
    for (const std::size_t cols : {1, 2, 31, 33, 100, 257, 1500})
      for (const std::size_t gap : {0, 5}) {
        const Matrix<T> x = sketches::random_rows<T>(rows, cols, cols);
        const Matrix<T> factor = sketches::random_rows<T>(1, rows, 3);
        const DeviceMatrix<T> device_factor(factor);
        for (const bool in_place : {false, true}) {
          Guarded<T> in(x, gap);
          Guarded<T> other(Matrix<T>(rows, cols), 2);
          Guarded<T>& out = in_place ? in : other;
          Matrix<T> expected(rows, cols);
          fastntk::scale_rows<T, Cuda>(tile, device_factor.view().data, in.view(), out.view());
          fastntk::scale_rows<T, Cpu>(host_tile, factor.values.data(), x.view(), expected.view());
          CHECK(out.to_host() == expected);
        }
        // Two sums of the same positive terms, each within cols roundings.
        Guarded<T> in(x, gap);
        DeviceMatrix<T> square(1, rows);
        Matrix<T> expected(1, rows);
        fastntk::row_squares<T, Cuda>(tile, in.view(), square.view().data);
        fastntk::row_squares<T, Cpu>(host_tile, x.view(), expected.values.data());
        const Matrix<T> found = square.to_host();
        for (std::size_t r = 0; r < rows; ++r)
          CHECK_CLOSE(found(0, r), expected(0, r), static_cast<double>(cols) * eps<T> * static_cast<double>(expected(0, r)));
      }
}

TEST(elementwise) {
  check_elementwise<float>();
  check_elementwise<double>();
}

template <class T>
void check_transpose() {
  Tile<Cuda> tile{Cuda()};
  for (const std::size_t rows : {1, 5, 32, 70})
    for (const std::size_t cols : {1, 33, 64, 100}) {
      const Matrix<T> x = sketches::random_rows<T>(rows, cols);
      Guarded<T> in(x, 3);
      Guarded<T> out(Matrix<T>(cols, rows), 1);
      fastntk::transpose<T, Cuda>(tile, in.view(), out.view(), false);
      const Matrix<T> found = out.to_host();
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < cols; ++j) CHECK(found(j, i) == x(i, j));
    }
  for (const std::size_t n : {1, 31, 100}) {
    const Matrix<T> x = sketches::random_rows<T>(n, n);
    Guarded<T> both(x, 2);
    fastntk::transpose<T, Cuda>(tile, both.view(), both.view(), true);
    const Matrix<T> found = both.to_host();
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) CHECK(found(i, j) == x(std::min(i, j), std::max(i, j)));
  }
}

TEST(transpose) {
  check_transpose<float>();
  check_transpose<double>();
}

// Rows, one of them zero: projections of exactly 0.
template <class T>
Matrix<T> rows_to_project(std::size_t rows, std::size_t d, std::uint64_t seed) {
  Matrix<T> x = sketches::random_rows<T>(rows, d, seed);
  if (rows > 1)
    for (std::size_t i = 0; i < d; ++i) x(rows / 2, i) = 0;
  return x;
}

// Whether features_of(f) is f of the projections, that is of features_of({}), to the bit.
template <class T, class FeaturesOf>
bool activates(const Matrix<T>& projections, FeaturesOf&& features_of) {
  using Kind = typename Activation<T>::Kind;
  const auto scale = static_cast<T>(0.3);
  Matrix<T> relu = projections;
  Matrix<T> step = projections;
  for (T& u : relu.values) u = u > 0 ? scale * u : T(0);
  for (T& u : step.values) u = u > 0 ? scale : T(0);
  return CHECK(features_of(Activation<T>{Kind::relu, scale}) == relu) &&
         CHECK(features_of(Activation<T>{Kind::step, scale}) == step);
}

// Two chains of d products and sums, rounded: d eps (|x|, |w|) apart.
template <class T>
void check_project(std::size_t rows, std::size_t d, std::size_t cols, std::size_t gap) {
  const Matrix<T> x = rows_to_project<T>(rows, d, d);
  const fastntk::ProjectionMatrix<T, Cuda> w(Cuda(), 9, d, cols, false);
  std::vector<T> entries(d * cols);
  fastntk::copy_out(Cuda(), w.data(), entries.size() * sizeof(T), entries.data());
  Tile<Cuda> tile{Cuda()};
  Guarded<T> in(x, gap);
  const auto features_of = [&](const Activation<T>& f) {
    Guarded<T> out(Matrix<T>(rows, cols), gap);
    fastntk::project<T, Cuda>(tile, in.view(), w, 0, f, out.view());
    return out.to_host();
  };
  const Matrix<T> found = features_of({});
  activates(found, features_of);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < cols; ++j) {
      double sum = 0, size = 0;
      for (std::size_t i = 0; i < d; ++i) {
        const double term = static_cast<double>(x(r, i)) * static_cast<double>(entries[i * cols + j]);
        sum += term;
        size += std::abs(term);
      }
      CHECK_CLOSE(found(r, j), sum, static_cast<double>(d) * eps<T> * size);
    }
  // A row and a column alone have the same bits.
  if (rows < 2 || cols < 2) return;
  Guarded<T> part(Matrix<T>(1, cols - 1), 0);
  fastntk::project<T, Cuda>(tile, in.view().row_block(rows - 1, 1), w, 1, {}, part.view());
  const Matrix<T> again = part.to_host();
  for (std::size_t j = 1; j < cols; ++j) CHECK(again(0, j - 1) == found(rows - 1, j));
}

TEST(project) {
  for (const std::size_t d : {1, 3, 8, 33, 100}) {
    check_project<float>(1, d, 1, 0);
    check_project<float>(3, d, 130, 3);
    check_project<float>(140, d, 40, 0);
    check_project<double>(5, d, 70, 1);
  }
  check_project<double>(130, 17, 65, 0);
  check_project<float>(4, 784, 300, 5);
}

template <class T>
void check_host_activations(std::size_t d) {
  const std::size_t rows = 5, n = 64;
  const Matrix<T> x = rows_to_project<T>(rows, d, d);
  Tile<Cpu> tile{Cpu()};
  for (const Directions kind : {Directions::gaussian, Directions::structured}) {
    const DirectionSet<T, Cpu> directions(Cpu(), kind, d, n, 3);
    for (const std::size_t cols : {std::size_t{1}, n - 7, n}) {
      const auto features_of = [&](const Activation<T>& f) {
        Matrix<T> out(rows, cols);
        directions.apply(tile, x.view(), 0, f, out.view());
        return out;
      };
      activates(features_of({}), features_of);
    }
  }
}

TEST(activations_on_the_host) {
  check_host_activations<float>(40);
  check_host_activations<double>(40);
}

// A stage is a matrix times sqrt(n) that keeps norms, of at most log2(n) + 1 additions a number and as many roundings; so
// three stages of both computations differ by 2 * 3 (log2(n) + 2) eps n^1.5 |x| at most, in norm.
template <class T>
void check_rotated(std::size_t n, std::size_t d, std::size_t cols, std::size_t rows, std::size_t gap) {
  const Matrix<T> x = rows_to_project<T>(rows, d, n + d);
  const Matrix<T> angle = sketches::random_rows<T>(1, 3 * n / 2, 7);
  Matrix<T> rotation(1, 3 * n);
  for (std::size_t stage = 0; stage < 3; ++stage)
    for (std::size_t i = 0; i < n / 2; ++i) {
      const double a = 7 * static_cast<double>(angle(0, stage * n / 2 + i));
      rotation(0, stage * n + i) = static_cast<T>(std::sqrt(2) * std::cos(a));
      rotation(0, stage * n + n / 2 + i) = static_cast<T>(std::sqrt(2) * std::sin(a));
    }
  const Matrix<T> length = sketches::random_rows<T>(1, cols, 8);
  const DeviceMatrix<T> device_rotation(rotation);
  const DeviceMatrix<T> device_length(length);
  Guarded<T> in(x, gap);
  Tile<Cuda> tile{Cuda()};
  const auto features_of = [&](const Activation<T>& f) {
    Guarded<T> out(Matrix<T>(rows, cols), gap);
    fastntk::rotated_hadamard<T, Cuda>(tile, in.view(), device_rotation.view().data, device_length.view().data, n, f,
                                       out.view());
    return out.to_host();
  };
  const Matrix<T> found = features_of({});
  activates(found, features_of);
  Matrix<T> expected(rows, cols);
  Tile<Cpu> host_tile{Cpu()};
  fastntk::rotated_hadamard<T, Cpu>(host_tile, x.view(), rotation.values.data(), length.values.data(), n, {},
                                    expected.view());
  const double factor = 6 * (std::log2(static_cast<double>(n)) + 2) * eps<T> * std::pow(static_cast<double>(n), 1.5);
  for (std::size_t r = 0; r < rows; ++r) {
    double square = 0;
    for (std::size_t i = 0; i < d; ++i) square += static_cast<double>(x(r, i)) * static_cast<double>(x(r, i));
    for (std::size_t j = 0; j < cols; ++j)
      if (!CHECK_CLOSE(found(r, j), expected(r, j),
                       factor * std::sqrt(square) * std::abs(static_cast<double>(length(0, j))))) {
        std::cout << "n " << n << " d " << d << " cols " << cols << " row " << r << " column " << j << "\n";
        return;
      }
  }
}

TEST(rotated_hadamard) {
  for (std::size_t n = 2; n <= 8192; n *= 2) {
    check_rotated<float>(n, n, n, 1, 0);
    check_rotated<float>(n, n / 2 + 1, n - n / 3, n < 512 ? 4096 / n + 3 : 5, 3);
    check_rotated<double>(n, n - n / 3, n, 3, 1);
    check_rotated<double>(n, 1, 1, n < 64 ? 70 : 2, 0);
  }
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
