// DotProductSketch and NtkSketch on the device, against the CPU's: the same draws and sums, up to rounding.
#include <fastntk/dot_product_sketch.hpp>
#include <fastntk/ntk_sketch.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include "../../csrc/src/primitives.hpp"
#include "device.hpp"

namespace {

using device::DeviceMatrix;
using device::Guarded;
using device::Matrix;
using fastntk::Buffer;
using fastntk::Cpu;
using fastntk::CsrView;
using fastntk::Cuda;
using fastntk::Diagonal;
using fastntk::LowOrders;
using fastntk::SketchBase;
using fastntk::SketchMethod;
using fastntk::Tile;
using fastntk::View;

// Rounding grows with the degree: 1e-5 (float) and 1e-13 (double) of the row's norm leave room for 100 roundings a factor.
template <class T>
void check_close(const Matrix<T>& found, const Matrix<T>& expected, const char* what) {
  const double eps = sizeof(T) == 4 ? 1e-5 : 1e-13;
  for (std::size_t i = 0; i < found.rows; ++i) {
    const double norm = std::sqrt(dot(expected, i, expected, i));
    for (std::size_t j = 0; j < found.cols; ++j)
      if (!CHECK_CLOSE(found(i, j), expected(i, j), eps * (norm + 1e-300))) {
        std::cout << "  " << what << ", row " << i << ", column " << j << "\n";
        return;
      }
  }
}

template <class T>
struct HostCsr {
  explicit HostCsr(const Matrix<T>& x) : starts{0} {
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t j = 0; j < x.cols; ++j)
        if (x(i, j) != 0) {
          values.push_back(x(i, j));
          columns.push_back(static_cast<std::int32_t>(j));
        }
      starts.push_back(static_cast<std::int64_t>(values.size()));
    }
  }
  std::vector<T> values;
  std::vector<std::int32_t> columns;
  std::vector<std::int64_t> starts;
};

// Dense and sparse rows, one of them zero, by an operator of each backend.
template <class T, template <class, class> class Op, class Params>
void compare(const Params& p, std::size_t rows, const char* what) {
  Matrix<T> x = sketches::random_rows<T>(rows, p.in_features);
  for (std::size_t j = 0; j < x.values.size(); j += 3) x.values[j] = 0;
  for (std::size_t j = 0; j < p.in_features; ++j) x(1, j) = 0;
  const Op<T, Cpu> host(p, Cpu{1});
  const Op<T, Cuda> op(p, Cuda{});
  Matrix<T> expected(rows, p.out_features);
  host(x.view(), expected.view());
  const DeviceMatrix<T> in(x, 3);
  Guarded<T> out(Matrix<T>(rows, p.out_features), 5);
  op(in.view(), out.view());
  check_close(out.to_host(), expected, what);

  const HostCsr<T> csr(x);
  const Buffer<T, Cuda> values(Cuda{}, csr.values);
  const Buffer<std::int32_t, Cuda> columns(Cuda{}, csr.columns);
  const Buffer<std::int64_t, Cuda> starts(Cuda{}, csr.starts);
  host(CsrView<T>{csr.values.data(), csr.columns.data(), csr.starts.data(), rows, x.cols}, expected.view());
  DeviceMatrix<T> sparse_out(rows, p.out_features);
  op(CsrView<T, Cuda>{values.data(), columns.data(), starts.data(), rows, x.cols}, sparse_out.view());
  check_close(sparse_out.to_host(), expected, what);
}

TEST(products_are_the_cpus) {
  for (const std::size_t cols : {1u, 31u, 300u}) {
    const Matrix<float> a = sketches::random_rows<float>(7, cols, 1);
    const Matrix<float> b = sketches::random_rows<float>(7, cols, 2);
    const DeviceMatrix<float> on_a(a, 1), on_b(b, 2);
    for (const bool with_b : {true, false})
      for (const bool add : {true, false}) {
        Matrix<float> expected = sketches::random_rows<float>(7, cols, 3);
        Guarded<float> out(expected, 2);
        Tile<Cuda> tile(Cuda{});
        fastntk::multiply<float, Cuda>(tile, on_a.view(), with_b ? on_b.view() : View<const float, Cuda>(), 0.5f, add,
                                       out.view());
        for (std::size_t i = 0; i < expected.values.size(); ++i) {
          const float product = 0.5f * a.values[i] * (with_b ? b.values[i] : 1.0f);
          expected.values[i] = add ? expected.values[i] + product : product;
        }
        const Matrix<float> found = out.to_host();
        for (std::size_t i = 0; i < expected.values.size(); ++i) CHECK_CLOSE(found.values[i], expected.values[i], 2e-7);
      }
  }
}

TEST(dot_product_sketches_are_the_cpus) {
  for (const double bias : {0.0, 0.5})
    for (const SketchBase base : {SketchBase::rotation, SketchBase::count_sketch})
      for (const LowOrders low_orders : {LowOrders::exact, LowOrders::constant, LowOrders::sampled}) {
        if (base == SketchBase::count_sketch && low_orders == LowOrders::exact) continue;
        const fastntk::DotProductSketchParams p{.in_features = 37,
                                                .out_features = 101,
                                                .coefficients = {0.4, 0.3, 0.5, 0.2, 0.0, 0.1},
                                                .low_orders = low_orders,
                                                .bias = bias,
                                                .homogeneous = bias == 0,
                                                .power_features = 64,
                                                .base = base,
                                                .seed = 3};
        compare<float, fastntk::DotProductSketch>(p, 9, "float");
        compare<double, fastntk::DotProductSketch>(p, 5, "double");
      }
}

TEST(ntk_sketches_are_the_cpus) {
  for (const SketchMethod method : {SketchMethod::one_pass, SketchMethod::layerwise})
    for (const LowOrders low_orders : {LowOrders::exact, LowOrders::constant, LowOrders::sampled}) {
      const fastntk::NtkSketchParams p{.in_features = 37,
                                       .out_features = 101,
                                       .depth = 2,
                                       .method = method,
                                       .degree = 4,
                                       .low_orders = low_orders,
                                       .power_features = 64,
                                       .gate_features = 40,
                                       .layer_features = 33,
                                       .product_features = 50,
                                       .seed = 5};
      compare<float, fastntk::NtkSketch>(p, 5, "float");
      compare<double, fastntk::NtkSketch>(p, 3, "double");
    }
}

TEST(any_split_and_workspace_has_the_same_bits) {
  const Matrix<float> x = sketches::random_rows<float>(40, 300);
  const fastntk::NtkSketchParams p{.in_features = 300, .out_features = 700, .depth = 3, .seed = 1};
  const fastntk::NtkSketch<float, Cuda> op(p, Cuda{});
  const DeviceMatrix<float> in(x);
  DeviceMatrix<float> whole(40, 700), parts(40, 700), tight(40, 700);
  op(in.view(), whole.view());
  for (std::size_t first = 0; first < 40; first += 13) {
    const std::size_t count = std::min<std::size_t>(13, 40 - first);
    op(in.view().row_block(first, count), parts.view().row_block(first, count));
  }
  op.on(Cuda{.max_memory = 1 << 20})(in.view(), tight.view());
  CHECK(parts.to_host() == whole.to_host());
  CHECK(tight.to_host() == whole.to_host());
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
