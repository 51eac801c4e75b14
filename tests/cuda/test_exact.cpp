// The exact kernels on the device: the promised errors, and the bits that may depend on nothing but the two rows.
#include <fastntk/exact.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "../../csrc/src/primitives.hpp"
#include "../cpp/exact_reference.hpp"
#include "device.hpp"

namespace {

using device::DeviceMatrix;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::NearPairs;
using fastntk::PackedRows;
using fastntk::ReluKernel;
using fastntk::ReluKernelParams;
using fastntk::Tile;
using fastntk::View;
using sketches::Matrix;

template <class T>
Matrix<T> ntk(const DeviceMatrix<T>& x, const DeviceMatrix<T>& y, const ReluKernelParams& params, std::size_t gap = 0) {
  DeviceMatrix<T> out(x.view().rows, y.view().rows, gap);
  fastntk::ntk_kernel<T, Cuda>(Cuda(), x.view(), y.view(), params, out.view());
  return out.to_host();
}

template <class T>
Matrix<T> rows_of(const Matrix<T>& x, std::size_t begin, std::size_t count) {
  Matrix<T> part(count, x.cols);
  std::copy_n(x.values.begin() + static_cast<std::ptrdiff_t>(begin * x.cols), part.values.size(), part.values.begin());
  return part;
}

template <class T>
void check_accuracy(std::size_t d, double mean, std::vector<std::size_t> depths) {
  exact::check_accuracy<T, Matrix<T>>(
      d, mean, depths, [](exact::Kernel kind, std::size_t depth, const Matrix<T>& host, Matrix<T>& out) {
        const DeviceMatrix<T> x(host);
        DeviceMatrix<T> found(host.rows, host.rows);
        if (kind == exact::Kernel::ntk)
          fastntk::ntk_kernel<T, Cuda>(Cuda(), x.view(), x.view(), {.depth = depth}, found.view());
        else if (kind == exact::Kernel::nngp)
          fastntk::nngp_kernel<T, Cuda>(Cuda(), x.view(), x.view(), {.depth = depth}, found.view());
        else
          fastntk::arc_cosine_kernel<T, Cuda>(Cuda(), x.view(), x.view(), kind == exact::Kernel::arc_cosine_1, found.view());
        out = found.to_host();
      });
}

TEST(kernels_are_accurate) {
  check_accuracy<float>(1, 0, {1, 2, 32});
  check_accuracy<float>(20, 0.5, {1, 2, 3, 8, 32});
  check_accuracy<float>(784, 3, {1, 3});
  check_accuracy<double>(3, 0, {1, 2, 32});
  check_accuracy<double>(20, 0.5, {1, 2, 3, 8, 32});
  check_accuracy<double>(784, 3, {1, 3});
}

TEST(long_rows_are_accurate) {
  const std::size_t d = check::repetitions(std::size_t{60000});
  Matrix<float> x = sketches::random_rows<float>(5, d);
  for (std::size_t j = 0; j < d; ++j) {
    x(0, j) = 1;  // adds up without cancellation
    x(1, j) = 1 + x(1, j) * 0.7f;
    x(2, j) = x(1, j) + x(2, j) * 2e-3f;
    x(3, j) = -2 * x(1, j);
  }
  const std::size_t depth = 3;
  const DeviceMatrix<float> rows(x);
  const Matrix<float> out = ntk<float>(rows, rows, {.depth = depth});
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t j = 0; j < x.rows; ++j)
      CHECK_CLOSE(out(i, j) / (exact::norm(x, i) * exact::norm(x, j)),
                  exact::reference(exact::angle(x, i, x, j), depth).back().k, exact::promised<float> * (depth + 1));
}

// The recursion has a few roundings a layer, which fused multiply-adds do not double: as in the CPU's test, 4 eps.
TEST(relu_ntk_is_the_definition) {
  std::vector<double> cosines;
  for (int i = -200; i <= 200; ++i) cosines.push_back(i / 200.0);
  for (int k = 1; k <= 16; ++k)
    for (const double sign : {-1.0, 1.0}) cosines.push_back(sign * (1 - std::pow(10.0, -k)));
  for (const double outside : {1.5, -1.5, 1 + 1e-7}) cosines.push_back(outside);  // clipped
  const auto check = [&]<class T>(T) {
    Matrix<T> a(1, cosines.size());
    for (std::size_t j = 0; j < a.cols; ++j) a(0, j) = static_cast<T>(cosines[j]);
    for (const std::size_t depth : {1u, 2u, 3u, 8u, 32u}) {
      DeviceMatrix<T> on_device(a);
      fastntk::relu_ntk<T, Cuda>(Cuda(), std::as_const(on_device).view(), depth, on_device.view());
      const Matrix<T> out = on_device.to_host();
      for (std::size_t j = 0; j < a.cols; ++j) {
        const long double c = std::clamp(static_cast<long double>(a(0, j)), -1.0L, 1.0L);
        const exact::Value expected = exact::reference(2 * std::atan2(std::sqrt(1 - c), std::sqrt(1 + c)), depth).back();
        const double layers = static_cast<double>(depth) + 1;
        CHECK_CLOSE(out(0, j) / layers, expected.k / layers, 4 * std::numeric_limits<T>::epsilon());
      }
    }
  };
  check(0.0f);
  check(0.0);
}

TEST(relu_ntk_takes_any_stride) {
  Matrix<double> a(37, 141);
  for (std::size_t i = 0; i < a.values.size(); ++i) a.values[i] = std::cos(static_cast<double>(i));
  const DeviceMatrix<double> plain(a), padded(a, 3);
  DeviceMatrix<double> expected(37, 141), out(37, 141, 6);
  fastntk::relu_ntk<double, Cuda>(Cuda(), plain.view(), 3, expected.view());
  fastntk::relu_ntk<double, Cuda>(Cuda(), padded.view(), 3, out.view());
  CHECK(out.to_host() == expected.to_host());
}

// More than one tile of the output, whatever the device; the rows differ from those of one side in memory only.
TEST(one_set_of_rows_gives_the_bits_of_two) {
  const std::size_t edge = fastntk::kernel_tile_edge(Cuda());
  const auto check = [&]<class T>(T, std::size_t n, std::size_t d) {
    Matrix<T> host = sketches::random_rows<T>(n, d);
    for (std::size_t j = 0; j < d; ++j) host(n - 1, j) = T(-1.5) * (host(2, j) + T(1e-4) * host(1, j));
    const DeviceMatrix<T> x(host), copy(host, 5);
    const Matrix<T> once = ntk<T>(x, x, {.depth = 2}, 3);
    CHECK(once == ntk<T>(x, copy, {.depth = 2}));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < i; ++j) CHECK(once(i, j) == once(j, i));
  };
  check(0.0f, edge + 37, 70);
  check(0.0, edge + 5, 20);
}

TEST(bits_do_not_depend_on_batches) {
  const auto check = [&]<class T>(T) {
    Matrix<T> x = sketches::random_rows<T>(150, 333);
    for (std::size_t j = 0; j < x.cols; ++j) x(7, j) = x(3, j) * T(1.001);
    const DeviceMatrix<T> y(rows_of(x, 0, 70), 1);
    const ReluKernelParams params{.depth = 3, .bias = 0.5};
    const Matrix<T> whole = ntk<T>(DeviceMatrix<T>(x), y, params);
    for (const std::size_t batch : {1u, 7u, 129u})
      for (std::size_t begin = 0; begin < x.rows; begin += batch * (batch == 1 ? 49 : 1)) {
        const std::size_t count = std::min<std::size_t>(batch, x.rows - begin);
        CHECK(ntk<T>(DeviceMatrix<T>(rows_of(x, begin, count), 2), y, params) == rows_of(whole, begin, count));
      }
  };
  check(0.0f);
  check(0.0);
}

TEST(bias_is_a_constant_column) {
  const Matrix<double> x = sketches::random_rows<double>(20, 9, 5), y = sketches::random_rows<double>(6, 9, 6);
  const auto with_column = [](const Matrix<double>& m) {
    Matrix<double> wide(m.rows, m.cols + 1);
    for (std::size_t i = 0; i < m.rows; ++i) {
      std::copy_n(m.view().row(i), m.cols, wide.view().row(i));
      wide(i, m.cols) = -1.5;
    }
    return DeviceMatrix<double>(wide);
  };
  const auto found = ntk<double>(DeviceMatrix<double>(x), DeviceMatrix<double>(y), {.depth = 2, .bias = -1.5});
  const auto expected = ntk<double>(with_column(x), with_column(y), {.depth = 2});
  // The norm adds the bias first or last: an eps of each norm and of the cosine, whose slope is below 3 here, or twice the
  // largest amplification of a layer.
  for (std::size_t i = 0; i < found.rows; ++i)
    for (std::size_t j = 0; j < found.cols; ++j) CHECK_CLOSE(found(i, j), expected(i, j), 20 * 0x1p-53 * expected(i, j));
}

TEST(rows_of_extreme_size_keep_their_angle) {
  const auto check = [](auto tiny, auto huge) {
    using T = decltype(tiny);
    const Matrix<T> x = sketches::random_rows<T>(6, 12, 8);
    Matrix<T> small = x, large = x;
    for (T& value : small.values) value *= tiny;
    for (T& value : large.values) value *= huge;
    const DeviceMatrix<T> a(x), b(small), c(large);
    DeviceMatrix<T> plain(6, 6), scaled(6, 6);
    fastntk::arc_cosine_kernel<T, Cuda>(Cuda(), a.view(), a.view(), 0, plain.view());
    fastntk::arc_cosine_kernel<T, Cuda>(Cuda(), b.view(), c.view(), 0, scaled.view());
    CHECK(plain.to_host() == scaled.to_host());  // powers of two
  };
  check(0x1p-100f, 0x1p120f);
  check(0x1p-900, 0x1p1000);
}

TEST(no_rows_give_an_empty_matrix) {
  const DeviceMatrix<float> x(0, 3), y(sketches::random_rows<float>(4, 3, 9));
  CHECK(ntk<float>(x, y, {}).values.empty());
  CHECK(ntk<float>(y, x, {}).values.empty());
}

TEST(too_little_memory_is_an_error) {
  const DeviceMatrix<float> x(sketches::random_rows<float>(40, 50, 9));
  DeviceMatrix<float> out(40, 40);
  const auto compute = [&](std::size_t memory) {
    fastntk::ntk_kernel<float, Cuda>({.max_memory = memory}, x.view(), x.view(), {}, out.view());
  };
  CHECK(check::throws<fastntk::OutOfMemory>([&] { compute(4096); }, "max_memory"));
  compute(std::size_t{1} << 20);
  CHECK(out.to_host() == ntk<float>(x, x, {}));
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(failures_are_reported) {
  const DeviceMatrix<float> x(sketches::random_rows<float>(20, 50, 9)), y(sketches::random_rows<float>(10, 50, 8));
  DeviceMatrix<float> out(20, 10), square(20, 20);
  device::fail_every_call([&] {
    fastntk::ntk_kernel<float, Cuda>(Cuda(), x.view(), y.view(), {}, out.view());
    fastntk::nngp_kernel<float, Cuda>(Cuda(), x.view(), x.view(), {}, square.view());
    fastntk::finish(Cuda());
  });
}
#endif

// A norm is rounded from a double sum of at most d roundings, whose order is the device's own: the same to one eps of T.
TEST(unit_rows_are_those_of_the_cpu) {
  const auto check = [&]<class T>(T bias, std::size_t rows, std::size_t d) {
    Matrix<T> x = sketches::random_rows<T>(rows, d);
    for (std::size_t j = 0; rows > 2 && j < d; ++j) x(1, j) = 0;
    const std::size_t cols = d + 3;
    Matrix<T> expected(rows, cols), expected_norm(1, rows);
    Tile<Cpu> host(Cpu{1});
    fastntk::unit_rows<T, Cpu>(host, x.view(), bias, expected.view(), expected_norm.values.data());
    const DeviceMatrix<T> in(x, 1);
    DeviceMatrix<T> out(rows, cols, 2), norm(1, rows);
    Tile<Cuda> tile{Cuda()};
    fastntk::unit_rows<T, Cuda>(tile, in.view(), bias, out.view(), norm.view().data);
    const double eps = std::numeric_limits<T>::epsilon() + static_cast<double>(d) * 0x1p-53;
    const Matrix<T> found = out.to_host(), found_norm = norm.to_host();
    for (std::size_t i = 0; i < rows; ++i) {
      CHECK_CLOSE(found_norm(0, i), expected_norm(0, i), eps * expected_norm(0, i));
      for (std::size_t j = 0; j < cols; ++j) CHECK_CLOSE(found(i, j), expected(i, j), eps * std::abs(expected(i, j)));
    }
  };
  for (const std::size_t d : {1u, 31u, 784u, 5000u}) {
    check(0.0f, 4, d);
    check(-0.5f, 1, d);
    check(0.25, 3, d);
  }
}

template <class T>
Matrix<T> products(const DeviceMatrix<T>& u, const DeviceMatrix<T>& v) {
  DeviceMatrix<T> out(u.view().rows, v.view().rows, 1);
  Tile<Cuda> tile{Cuda()};
  const PackedRows<T, Cuda> packed(tile, v.view());
  fastntk::row_products<T, Cuda>(tile, u.view(), packed, out.view());
  return out.to_host();
}

// An error of n eps |u||v|/2 at most in a sum of n products, here over parts of at most 128 and groups of at most 32, and
// over three groups; in double, which has no parts, over 4096 and three.
TEST(products_depend_on_their_rows_only) {
  const auto check = [&]<class T>(T, std::size_t n, std::size_t m, std::size_t d) {
    const Matrix<T> a = sketches::random_rows<T>(n, d, 1), b = sketches::random_rows<T>(m, d, 2);
    const DeviceMatrix<T> u(a), v(b, 3);
    const Matrix<T> found = products(u, v), turned = products(v, u);
    const double terms = sizeof(T) == 4 ? 128 + 32 + 3 : 4096 + 3;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < m; ++j) {
        CHECK(found(i, j) == turned(j, i));
        const double size = std::sqrt(sketches::dot(a, i, a, i) * sketches::dot(b, j, b, j));
        CHECK_CLOSE(found(i, j), sketches::dot(a, i, b, j), terms * std::numeric_limits<T>::epsilon() * size);
      }
  };
  for (const std::size_t d : {1u, 7u, 128u, 130u, 300u, 4096u, 9000u}) {
    check(0.0f, 3, 5, d);
    check(0.0, 2, 4, d);
  }
  check(0.0f, 130, 257, 40);
  check(0.0, 257, 65, 9);
}

// The rounding error that primitives.hpp names, on sums of positive products, where it is largest.
TEST(long_products_are_accurate) {
  for (const std::size_t d : {784u, 4096u, 20000u}) {
    Matrix<float> a = sketches::random_rows<float>(24, d, 1), b = sketches::random_rows<float>(20, d, 2);
    for (float& value : a.values) value = std::abs(value);
    for (float& value : b.values) value = std::abs(value);
    const Matrix<float> found = products(DeviceMatrix<float>(a), DeviceMatrix<float>(b));
    double square = 0;
    for (std::size_t i = 0; i < a.rows; ++i)
      for (std::size_t j = 0; j < b.rows; ++j) {
        const double size = std::sqrt(sketches::dot(a, i, a, i) * sketches::dot(b, j, b, j));
        const double error = (static_cast<double>(found(i, j)) - sketches::dot(a, i, b, j)) / size;
        square += error * error / static_cast<double>(a.rows * b.rows);
      }
    CHECK_CLOSE(std::sqrt(square), 0, 1e-7);
  }
}

// Every pair is near, or few are: both ways the squared distances of the CPU, whose sums have another order. They are sums
// of d squares, each rounded twice, of about 2e-3 in all.
TEST(near_pairs_take_the_distance) {
  const auto check = [&]<class T>(T, double near, std::size_t gap) {
    const std::size_t rows = 37, cols = 45, d = 32;
    Matrix<T> u(rows, d), v(cols, d);
    const Matrix<T> noise = sketches::random_rows<T>(rows + cols, d);
    const auto fill = [&](Matrix<T>& x, std::size_t first) {
      for (std::size_t i = 0; i < x.rows; ++i) {
        const T sign = i % 3 == 0 ? T(-1) : T(1);
        double square = 0;
        for (std::size_t j = 0; j < d; ++j) {
          x(i, j) = sign * (T(1) + T(0.03) * noise(first + i, j));
          square += static_cast<double>(x(i, j)) * static_cast<double>(x(i, j));
        }
        for (std::size_t j = 0; j < d; ++j) x(i, j) = static_cast<T>(static_cast<double>(x(i, j)) / std::sqrt(square));
      }
    };
    fill(u, 0);
    fill(v, rows);
    Matrix<T> cosine(rows, cols), expected(rows, cols);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < cols; ++j) cosine(i, j) = static_cast<T>(sketches::dot(u, i, v, j));
    NearPairs pairs;
    pairs.positive = near;
    pairs.negative = near / 2;
    Tile<Cpu> host(Cpu{1});
    fastntk::signed_gaps<T, Cpu>(host, cosine.view(), u.view(), v.view(), pairs, expected.view());
    const DeviceMatrix<T> device_u(u, gap), device_v(v, gap);
    DeviceMatrix<T> out(cosine, 1);
    Tile<Cuda> tile{Cuda()};
    fastntk::signed_gaps<T, Cuda>(tile, std::as_const(out).view(), device_u.view(), device_v.view(), pairs, out.view());
    const Matrix<T> found = out.to_host();
    for (std::size_t i = 0; i < found.values.size(); ++i)
      CHECK_CLOSE(found.values[i], expected.values[i],
                  (d + 2) * std::numeric_limits<T>::epsilon() * std::abs(expected.values[i]));
  };
  for (const double near : {0.5, 1e-3, 8e-4, 1e-9})
    for (const std::size_t gap : {std::size_t{0}, std::size_t{1}}) {
      check(0.0f, near, gap);
      check(0.0, near, gap);
    }
}

TEST(products_are_the_cpus_up_to_rounding_and_depend_on_their_rows_only) {
  const auto x = sketches::random_rows<double>(37, 300), y = sketches::random_rows<double>(150, 300);
  Matrix<double> wanted(37, 150);
  fastntk::linear_kernel<double, Cpu>(Cpu{1}, x.view(), y.view(), wanted.view());
  const DeviceMatrix<double> there(x, 3), others(y);
  device::Guarded<double> out(Matrix<double>(37, 150), 5);
  fastntk::linear_kernel<double, Cuda>(Cuda(), there.view(), others.view(), out.view());
  const auto found = out.to_host();
  for (std::size_t i = 0; i < 37; ++i)
    for (std::size_t j = 0; j < 150; ++j) CHECK_CLOSE(found(i, j), wanted(i, j), 1e-12);
  DeviceMatrix<double> part(5, 20);
  fastntk::linear_kernel<double, Cuda>(Cuda(), there.view().row_block(11, 5), others.view().row_block(90, 20), part.view());
  const auto few = part.to_host();
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t j = 0; j < 20; ++j) CHECK(few(i, j) == found(11 + i, 90 + j));
}

TEST(rows_are_scaled_to_the_diagonal_as_on_the_cpu) {
  const auto x = sketches::random_rows<float>(21, 7);
  auto z = sketches::random_rows<float>(21, 40);
  for (std::size_t j = 0; j < 40; ++j) z(2, j) = 0;
  device::Guarded<float> there(z, 2);
  const DeviceMatrix<float> rows(x);
  const ReluKernelParams params{.depth = 2, .bias = 0.5};
  fastntk::scale_to_ntk_diagonal<float, Cuda>(Cuda(), rows.view(), params, there.view());
  fastntk::scale_to_ntk_diagonal<float, Cpu>(Cpu{1}, x.view(), params, z.view());
  const auto found = there.to_host();
  for (std::size_t i = 0; i < 21; ++i)
    for (std::size_t j = 0; j < 40; ++j) CHECK_CLOSE(found(i, j), z(i, j), 1e-6 * std::abs(z(i, j)));
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
