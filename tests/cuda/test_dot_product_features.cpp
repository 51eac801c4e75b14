// Features of kernels of the cosine on the device against the CPU's, and the dual activations behind both.
#include <fastntk/dot_product_features.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <limits>
#include <numbers>
#include <vector>

#include "../../csrc/src/dual_activation.hpp"
#include "device.hpp"

namespace {

using device::Guarded;
using fastntk::CosineKernel;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::Directions;
using fastntk::DotProductFeatures;
using fastntk::DotProductFeaturesParams;
using fastntk::KernelSeriesParams;
using fastntk::LowOrders;
using sketches::Matrix;

const std::vector<double> polynomial{0.3, 0.4, 0.2, 0, 0.1};

std::vector<KernelSeriesParams> kernels() {
  return {{CosineKernel::nngp, 3, {}}, {CosineKernel::arc_cosine_0, 1, {}}, {CosineKernel::polynomial, 1, polynomial}};
}

}  // namespace

// E[g h_k] of a standard normal is s_k sqrt(c_k), and its sign the kernel's: what makes features unbiased. By the midpoint
// rule on cells that shrink towards 0, where g has its kink, step or logarithm.
TEST(activations_have_the_coefficients_of_their_kernels) {
  constexpr std::size_t orders = 12;
  constexpr int cells = 4000;
  for (const CosineKernel kernel :
       {CosineKernel::ntk, CosineKernel::nngp, CosineKernel::arc_cosine_0, CosineKernel::arc_cosine_1})
    for (const std::size_t depth : {1, 3})
      for (const std::size_t low_orders : {0, 1, 2}) {
        const fastntk::DualActivation g = fastntk::dual_activation(kernel, depth, low_orders);
        const std::vector<double> c = fastntk::kernel_series({kernel, depth, {}}, orders);
        std::vector<double> moment(orders);
        for (int cell = 0; cell < cells; ++cell) {
          // u = 8 t^3.
          const double t = (cell + 0.5) / cells;
          const double v = 8 * t * t * t;
          const double width = 24 * t * t / cells;
          for (const double u : {v, -v}) {
            const double weight = g(u) * std::exp(-u * u / 2) / std::sqrt(2 * std::numbers::pi) * width;
            double previous = 0;
            double h = 1;
            for (std::size_t k = 0; k < orders; ++k) {
              moment[k] += weight * h;
              const auto x = static_cast<double>(k);
              const double next = (u * h - std::sqrt(x) * previous) / std::sqrt(x + 1);
              previous = h;
              h = next;
            }
          }
        }
        const double scale = std::sqrt(fastntk::kernel_at_one({kernel, depth, {}}));
        for (std::size_t k = 0; k < orders; ++k) {
          const double expected = k < low_orders ? 0 : fastntk::hermite_sign(k) * std::sqrt(c[k]);
          if (!CHECK_CLOSE(moment[k], expected, 3e-4 * scale))
            std::cout << "kernel " << static_cast<int>(kernel) << " depth " << depth << " order " << k << "\n";
        }
      }
}

// One layer's activations are known: sqrt(2) times the step, and the ReLU but for the sign of its even terms beyond the
// constant, which leaves the kernel, and a third of the fourth moment.
TEST(activations_of_one_layer_have_closed_forms) {
  const fastntk::DualActivation step = fastntk::dual_activation(CosineKernel::arc_cosine_0, 1, 0);
  const fastntk::DualActivation relu = fastntk::dual_activation(CosineKernel::arc_cosine_1, 1, 0);
  const fastntk::DualActivation nngp = fastntk::dual_activation(CosineKernel::nngp, 1, 0);
  double worst_step = 0, worst_relu = 0;
  for (double u = -6; u < 6; u += 0.0101) {
    worst_step = std::max(worst_step, std::abs(step(u) - (u > 0 ? std::numbers::sqrt2 : 0)));
    worst_relu =
        std::max(worst_relu, std::abs(relu(u) - (2 / std::sqrt(std::numbers::pi) + std::min(std::numbers::sqrt2 * u, 0.0))));
    CHECK(nngp(u) == relu(u));
  }
  CHECK(worst_step < 1e-4);
  CHECK(worst_relu < 1e-4);
}

template <class T>
void check_against_cpu(const DotProductFeaturesParams& p, std::size_t gap) {
  Matrix<T> x = sketches::random_rows<T>(5, p.in_features, p.in_features);
  for (std::size_t j = 0; j < p.in_features; ++j) x(2, j) = 0;
  Matrix<T> expected(5, p.out_features);
  DotProductFeatures<T>{p}(x.view(), expected.view());
  Guarded<T> in(x, gap);
  Guarded<T> out(Matrix<T>(5, p.out_features), gap);
  DotProductFeatures<T, Cuda>{p}(in.view(), out.view());
  const Matrix<T> found = out.to_host();
  // A projection that is rounded otherwise moves g by its slope, up to 1/|u| next to 0; few directions come that close.
  constexpr double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  std::size_t far = 0;
  double largest = 0;
  for (const T value : expected.values) largest = std::max(largest, std::abs(static_cast<double>(value)));
  for (std::size_t i = 0; i < found.values.size(); ++i)
    far +=
        !(std::abs(static_cast<double>(found.values[i]) - static_cast<double>(expected.values[i])) <= 300 * eps * largest);
  if (!CHECK(far <= found.values.size() / 200))
    std::cout << "kernel " << static_cast<int>(p.kernel.kernel) << " d " << p.in_features << ": " << far << " of "
              << found.values.size() << " columns are off\n";
  for (std::size_t j = 0; j < p.out_features; ++j) CHECK(found(2, j) == 0);
}

TEST(features_are_those_of_the_cpu) {
  for (const KernelSeriesParams& kernel : kernels())
    for (const std::size_t d : {3, 60})
      for (const LowOrders low_orders : {LowOrders::exact, LowOrders::constant, LowOrders::sampled})
        for (const Directions directions : {Directions::gaussian, Directions::structured})
          for (const bool homogeneous : {true, false}) {
            const DotProductFeaturesParams p{.in_features = d,
                                             .out_features = 700,
                                             .kernel = kernel,
                                             .directions = directions,
                                             .low_orders = low_orders,
                                             .homogeneous = homogeneous,
                                             .seed = 9};
            check_against_cpu<float>(p, 3);
            if (homogeneous) check_against_cpu<double>(p, 0);
          }
}

TEST(parts_of_a_batch_have_the_same_bits) {
  const Matrix<float> x = sketches::random_rows<float>(40, 50, 2);
  for (const KernelSeriesParams& kernel : kernels()) {
    const DotProductFeatures<float, Cuda> map({.in_features = 50, .out_features = 333, .kernel = kernel});
    device::DeviceMatrix<float> in(x);
    device::DeviceMatrix<float> whole(40, 333);
    map(in.view(), whole.view());
    const Matrix<float> expected = whole.to_host();
    device::DeviceMatrix<float> part(7, 333);
    map(in.view().row_block(11, 7), part.view());
    const Matrix<float> found = part.to_host();
    CHECK(std::equal(found.values.begin(), found.values.end(), expected.values.begin() + 11 * 333));
  }
}

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
