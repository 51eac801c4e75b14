// PolySketch on the device: over SRHT leaves the bits are the CPU's, which does the same operations.
#include <fastntk/poly_sketch.hpp>

#include <vector>

#include "../../csrc/src/poly_sketch.hpp"
#include "device.hpp"

namespace {

using device::DeviceMatrix;
using device::Matrix;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::PolySketch;
using fastntk::PolySketchBase;
using fastntk::PolySketchParams;
using fastntk::Tile;
using fastntk::View;

template <class T, class B>
using State = typename PolySketch<T, B>::State;

template <class T>
void compare(std::size_t rows, const PolySketchParams& p) {
  const Matrix<T> x = sketches::random_rows<T>(rows, p.in_features);
  Matrix<T> expected(rows, p.out_features);
  PolySketch<T>(p, Cpu{1})(x.view(), expected.view());
  const DeviceMatrix<T> in(x);
  DeviceMatrix<T> out(rows, p.out_features);
  const PolySketch<T, Cuda> op(p, Cuda());
  op(in.view(), out.view());
  const bool same = CHECK(out.to_host() == expected);

  // Different factors.
  const Matrix<T> y = sketches::random_rows<T>(rows, p.in_features, 7);
  const DeviceMatrix<T> other(y);
  std::vector<View<const T>> factors(p.degree, x.view());
  std::vector<View<const T, Cuda>> device_factors(p.degree, in.view());
  factors.back() = y.view();
  device_factors.back() = other.view();
  PolySketch<T>(p, Cpu{1}).tensor(factors, expected.view());
  op.tensor(device_factors, out.view());
  if (!CHECK(out.to_host() == expected) || !same)
    std::cout << "  rows " << rows << ", d " << p.in_features << ", degree " << p.degree << ", m " << p.out_features << "\n";
}

TEST(has_the_bits_of_the_cpu) {
  for (const std::size_t degree : {1u, 2u, 3u, 5u, 8u}) {
    compare<float>(21, {50, degree, 64, 1, PolySketchBase::srht});
    compare<double>(5, {33, degree, 100, 2, PolySketchBase::srht});
  }
  compare<float>(9, {784, 3, 1024, 3, PolySketchBase::srht});
}

// Integers: with 4^k components every scale is a power of two and all sums are exact, whatever their order.
TEST(equals_the_cpu_over_count_sketch) {
  const PolySketchParams p{20, 3, 64, 4, PolySketchBase::count_sketch};
  const Matrix<double> x = sketches::integer_rows<double>(9, p.in_features, 3);
  Matrix<double> expected(x.rows, p.out_features);
  PolySketch<double>(p, Cpu{1})(x.view(), expected.view());
  const DeviceMatrix<double> in(x);
  DeviceMatrix<double> out(x.rows, p.out_features);
  PolySketch<double, Cuda>(p, Cuda())(in.view(), out.view());
  CHECK(out.to_host() == expected);
}

// All powers at once, as the tangent kernels' features take them.
template <class B>
std::vector<Matrix<float>> powers(const B& backend, const PolySketchParams& p, const Matrix<float>& x) {
  const State<float, B> state(p, backend);
  const fastntk::Buffer<float, B> in(backend, x.values);
  std::vector<fastntk::Array<float, B>> memory;
  std::vector<View<float, B>> out;
  for (std::size_t j = 0; j <= p.degree; ++j) memory.emplace_back(backend, x.rows, p.out_features);
  for (fastntk::Array<float, B>& m : memory) out.push_back(m.view());
  fastntk::for_tiles<B>(backend, 1, 1, [&](Tile<B>& tile, fastntk::RowRange) {
    state.powers(tile, View<const float, B>(in.data(), x.rows, x.cols), out);
  });
  std::vector<Matrix<float>> results;
  for (const View<float, B>& view : out) {
    results.emplace_back(x.rows, p.out_features);
    fastntk::copy_out(backend, view.data, results.back().values.size() * sizeof(float), results.back().values.data());
  }
  return results;
}

TEST(powers_have_the_bits_of_the_cpu) {
  for (const std::size_t degree : {1u, 4u, 7u}) {
    const PolySketchParams p{30, degree, 100, 5, PolySketchBase::srht};
    const Matrix<float> x = sketches::random_rows<float>(11, p.in_features);
    const auto expected = powers(Cpu{1}, p, x);
    const auto found = powers(Cuda(), p, x);
    for (std::size_t j = 0; j <= degree; ++j)
      if (!CHECK(found[j] == expected[j])) std::cout << "  degree " << degree << ", power " << j << "\n";
  }
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
