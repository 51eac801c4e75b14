// The exact kernels against the definition in long double, on equal, nearly equal and opposite rows too.
#include <fastntk/error.hpp>
#include <fastntk/exact.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "exact_reference.hpp"

namespace {

using exact::angle;
using exact::norm;
using exact::promised;
using exact::reference;
using exact::Value;
using fastntk::Cpu;
using fastntk::View;

template <class T>
struct Matrix {
  std::size_t rows, cols;
  std::vector<T> data;

  Matrix(std::size_t n, std::size_t d) : rows(n), cols(d), data(n * d) {}
  T& operator()(std::size_t i, std::size_t j) { return data[i * cols + j]; }
  T operator()(std::size_t i, std::size_t j) const { return data[i * cols + j]; }
  View<T> view() { return {data.data(), rows, cols}; }
  View<const T> view() const { return {data.data(), rows, cols}; }
  bool operator==(const Matrix&) const = default;
};

template <class T>
void check_accuracy(std::size_t d, double mean) {
  std::vector<std::size_t> depths(32);
  std::iota(depths.begin(), depths.end(), 1);
  exact::check_accuracy<T, Matrix<T>>(
      d, mean, depths, [](exact::Kernel kind, std::size_t depth, const Matrix<T>& x, Matrix<T>& out) {
        if (kind == exact::Kernel::ntk)
          fastntk::ntk_kernel<T, Cpu>(Cpu{1}, x.view(), x.view(), {.depth = depth}, out.view());
        else if (kind == exact::Kernel::nngp)
          fastntk::nngp_kernel<T, Cpu>(Cpu{1}, x.view(), x.view(), {.depth = depth}, out.view());
        else
          fastntk::arc_cosine_kernel<T, Cpu>(Cpu{1}, x.view(), x.view(), kind == exact::Kernel::arc_cosine_1, out.view());
      });
}

template <class T>
Matrix<T> random_rows(std::size_t n, std::size_t d, unsigned seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  Matrix<T> x(n, d);
  for (T& value : x.data) value = static_cast<T>(normal(engine));
  return x;
}

template <class T>
Matrix<T> ntk(int threads, const Matrix<T>& x, const Matrix<T>& y, const fastntk::ReluKernelParams& params) {
  Matrix<T> out(x.rows, y.rows);
  fastntk::ntk_kernel<T, Cpu>(Cpu{threads}, x.view(), y.view(), params, out.view());
  return out;
}

template <class T>
Matrix<T> rows_of(const Matrix<T>& x, std::size_t begin, std::size_t count) {
  Matrix<T> part(count, x.cols);
  std::copy_n(x.data.begin() + static_cast<std::ptrdiff_t>(begin * x.cols), part.data.size(), part.data.begin());
  return part;
}

template <class T>
Matrix<T> products(int threads, const Matrix<T>& x, const Matrix<T>& y) {
  Matrix<T> out(x.rows, y.rows);
  fastntk::linear_kernel<T, Cpu>(Cpu{threads}, x.view(), y.view(), out.view());
  return out;
}

}  // namespace

TEST(relu_ntk_is_the_definition) {
  std::vector<double> cosines;
  for (int i = -200; i <= 200; ++i) cosines.push_back(i / 200.0);
  for (int k = 1; k <= 16; ++k)
    for (const double sign : {-1.0, 1.0}) cosines.push_back(sign * (1 - std::pow(10.0, -k)));
  for (const double outside : {1.5, -1.5, 1 + 1e-7}) cosines.push_back(outside);  // clipped
  const auto check = [&]<class T>(T) {
    Matrix<T> a(1, cosines.size()), out(1, cosines.size());
    std::copy(cosines.begin(), cosines.end(), a.data.begin());
    for (const std::size_t depth : {1u, 2u, 3u, 8u, 32u}) {
      fastntk::relu_ntk<T, Cpu>(Cpu{1}, a.view(), depth, out.view());
      for (std::size_t j = 0; j < a.cols; ++j) {
        const long double c = std::clamp(static_cast<long double>(a(0, j)), -1.0L, 1.0L);
        const Value expected = reference(2 * std::atan2(std::sqrt(1 - c), std::sqrt(1 + c)), depth).back();
        // The slope of K_L/(L + 1) in the angle is at most L/(2 pi), the angle in layer l is below 3 pi/l and rounded by 2
        // eps of itself: 3 eps, and one for the value.
        CHECK_CLOSE(out(0, j) / (static_cast<double>(depth) + 1), expected.k / (static_cast<double>(depth) + 1),
                    4 * std::numeric_limits<T>::epsilon());
      }
    }
  };
  check(0.0f);
  check(0.0);
}

TEST(relu_ntk_takes_any_stride) {
  Matrix<double> a(5, 7), out(5, 9), plain(5, 4);
  for (std::size_t i = 0; i < a.data.size(); ++i) a.data[i] = std::cos(static_cast<double>(i));
  std::fill(out.data.begin(), out.data.end(), -7);
  fastntk::relu_ntk<double, Cpu>(Cpu{1}, a.view().col_block(2, 4), 3, out.view().col_block(1, 4));
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(out(i, 0) == -7 && out(i, 5) == -7);
    for (std::size_t j = 0; j < 4; ++j) {
      double value = 0;
      const double cosine = a(i, j + 2);
      fastntk::relu_ntk<double, Cpu>(Cpu{1}, {&cosine, 1, 1}, 3, {&value, 1, 1});
      CHECK(out(i, j + 1) == value);
    }
  }
}

TEST(float_kernels_are_accurate) {
  check_accuracy<float>(1, 0);
  check_accuracy<float>(3, 0);
  check_accuracy<float>(20, 0.5);
  check_accuracy<float>(784, 0);
  check_accuracy<float>(784, 3);
}

TEST(double_kernels_are_accurate) {
  check_accuracy<double>(1, 0);
  check_accuracy<double>(3, 0);
  check_accuracy<double>(20, 0.5);
  check_accuracy<double>(784, 3);
}

TEST(long_rows_are_accurate) {
  constexpr std::size_t d = 100000;
  Matrix<float> x = random_rows<float>(5, d, 1);
  for (std::size_t j = 0; j < d; ++j) {
    x(0, j) = 1;  // adds up without cancellation
    x(1, j) = 1 + x(1, j) * 0.4f;
    x(2, j) = x(1, j) + x(2, j) * 1e-3f;
    x(3, j) = -2 * x(1, j);
  }
  const std::size_t depth = 3;
  const Matrix<float> out = ntk<float>(2, x, x, {.depth = depth});
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t j = 0; j < x.rows; ++j)
      CHECK_CLOSE(out(i, j) / (norm(x, i) * norm(x, j)), reference(angle(x, i, x, j), depth).back().k,
                  promised<float> * (depth + 1));
}

TEST(the_diagonal_of_equal_rows_is_exact_up_to_the_norms) {
  const Matrix<float> x = random_rows<float>(200, 50, 2);
  const Matrix<float> out = ntk<float>(1, x, x, {.depth = 32});
  // Two roundings of the norm, two products and the value itself.
  for (std::size_t i = 0; i < x.rows; ++i) CHECK_CLOSE(out(i, i) / (33 * norm(x, i) * norm(x, i)), 1, 5 * 0x1p-24);
}

TEST(one_set_of_rows_gives_the_bits_of_two) {
  const Matrix<float> x = random_rows<float>(300, 70, 3);
  const Matrix<float> copy = x;
  const Matrix<float> once = ntk<float>(1, x, x, {.depth = 2});
  CHECK(once == ntk<float>(1, x, copy, {.depth = 2}));
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t j = 0; j < i; ++j) CHECK(once(i, j) == once(j, i));
}

TEST(bits_depend_neither_on_threads_nor_on_batches) {
  const auto check = [&]<class T>(T) {
    Matrix<T> x = random_rows<T>(290, 333, 4);
    for (std::size_t j = 0; j < x.cols; ++j) x(7, j) = x(3, j) * T(1.001);
    const Matrix<T> y = rows_of(x, 0, 150);
    const fastntk::ReluKernelParams params{.depth = 3, .bias = 0.5};
    const Matrix<T> symmetric = ntk<T>(1, x, x, params);
    const Matrix<T> rectangular = ntk<T>(1, x, y, params);
    for (const int threads : {2, 3, 4, 8}) {
      CHECK(ntk<T>(threads, x, x, params) == symmetric);
      CHECK(ntk<T>(threads, x, y, params) == rectangular);
    }
    for (const std::size_t batch : {1u, 7u, 128u, 200u})
      for (std::size_t begin = 0; begin < x.rows; begin += batch * (batch == 1 ? 29 : 1)) {
        const std::size_t count = std::min<std::size_t>(batch, x.rows - begin);
        CHECK(ntk<T>(2, rows_of(x, begin, count), y, params) == rows_of(rectangular, begin, count));
      }
  };
  check(0.0f);
  check(0.0);
}

TEST(bias_is_a_constant_column) {
  const Matrix<double> x = random_rows<double>(20, 9, 5), y = random_rows<double>(6, 9, 6);
  const auto with_column = [](const Matrix<double>& m) {
    Matrix<double> wide(m.rows, m.cols + 1);
    for (std::size_t i = 0; i < m.rows; ++i) {
      std::copy_n(m.view().row(i), m.cols, wide.view().row(i));
      wide(i, m.cols) = -1.5;
    }
    return wide;
  };
  CHECK(ntk<double>(1, x, y, {.depth = 2, .bias = -1.5}) == ntk<double>(1, with_column(x), with_column(y), {.depth = 2}));
  Matrix<double> a(20, 6), b(20, 6);
  fastntk::nngp_kernel<double, Cpu>(Cpu{1}, x.view(), y.view(), {.depth = 2, .bias = -1.5}, a.view());
  fastntk::nngp_kernel<double, Cpu>(Cpu{1}, with_column(x).view(), with_column(y).view(), {.depth = 2}, b.view());
  CHECK(a == b);
}

TEST(any_stride_and_nothing_outside_is_written) {
  const Matrix<float> wide = random_rows<float>(140, 50, 7);
  Matrix<float> x(140, 30);
  for (std::size_t i = 0; i < x.rows; ++i) std::copy_n(wide.view().row(i) + 11, 30, x.view().row(i));
  const Matrix<float> expected = ntk<float>(1, x, x, {});
  const View<const float> strided = wide.view().col_block(11, 30);
  Matrix<float> out(140, 150);
  std::fill(out.data.begin(), out.data.end(), -7.0f);
  fastntk::ntk_kernel<float, Cpu>(Cpu{1}, strided, strided, {}, out.view().col_block(4, 140));
  for (std::size_t i = 0; i < out.rows; ++i)
    for (std::size_t j = 0; j < out.cols; ++j) CHECK(out(i, j) == (j < 4 || j >= 144 ? -7.0f : expected(i, j - 4)));
}

TEST(rows_of_extreme_size_keep_their_angle) {
  const auto check = [](auto tiny, auto huge) {
    using T = decltype(tiny);
    const Matrix<T> x = random_rows<T>(6, 12, 8);
    Matrix<T> small = x, large = x;
    for (T& value : small.data) value *= tiny;
    for (T& value : large.data) value *= huge;
    Matrix<T> plain(6, 6), scaled(6, 6);
    fastntk::arc_cosine_kernel<T, Cpu>(Cpu{1}, x.view(), x.view(), 0, plain.view());
    fastntk::arc_cosine_kernel<T, Cpu>(Cpu{1}, small.view(), large.view(), 0, scaled.view());
    CHECK(plain == scaled);  // powers of two
  };
  check(0x1p-100f, 0x1p120f);
  check(0x1p-900, 0x1p1000);
}

TEST(no_rows_give_an_empty_matrix) {
  const Matrix<float> x(0, 3), y = random_rows<float>(4, 3, 9);
  CHECK(ntk<float>(1, x, y, {}).data.empty());
  CHECK(ntk<float>(1, y, x, {}).data.empty());
}

TEST(bad_arguments_are_named) {
  const Matrix<float> x(4, 3), y(2, 3), narrow(2, 2), none(4, 0);
  Matrix<float> out(4, 2), square(4, 4);
  const Cpu cpu{1};
  const auto fails = [](auto&& call, const char* part) { return check::throws<fastntk::Error>(call, part); };
  CHECK(fails([&] { fastntk::ntk_kernel<float, Cpu>(cpu, x.view(), y.view(), {.depth = 0}, out.view()); },
              "ntk_kernel: depth is 0"));
  CHECK(fails([&] { fastntk::nngp_kernel<float, Cpu>(cpu, x.view(), y.view(), {.depth = 0}, out.view()); },
              "nngp_kernel: depth is 0"));
  CHECK(fails([&] { fastntk::relu_ntk<float, Cpu>(cpu, out.view(), 0, out.view()); }, "relu_ntk: depth is 0"));
  CHECK(fails([&] { fastntk::relu_ntk<float, Cpu>(cpu, x.view(), 1, out.view()); }, "relu_ntk: out has shape (4, 2)"));
  CHECK(fails([&] { fastntk::arc_cosine_kernel<float, Cpu>(cpu, x.view(), y.view(), 2, out.view()); }, "order is 2"));
  CHECK(fails([&] { fastntk::arc_cosine_kernel<float, Cpu>(cpu, x.view(), y.view(), -1, out.view()); }, "order is -1"));
  CHECK(fails([&] { fastntk::ntk_kernel<float, Cpu>(cpu, x.view(), narrow.view(), {}, out.view()); },
              "ntk_kernel: y has shape (2, 2)"));
  CHECK(fails([&] { fastntk::ntk_kernel<float, Cpu>(cpu, x.view(), y.view(), {}, square.view()); },
              "ntk_kernel: out has shape (4, 4)"));
  CHECK(fails([&] { fastntk::ntk_kernel<float, Cpu>(cpu, none.view(), none.view(), {}, square.view()); },
              "columns of x is 0"));
  CHECK(fails([&] { fastntk::ntk_kernel<float, Cpu>(cpu, x.view(), y.view(), {.bias = std::nan("")}, out.view()); },
              "bias is nan"));
  CHECK(fails([&] { fastntk::ntk_kernel<float, Cpu>(cpu, x.view(), y.view(), {.bias = 1e39}, out.view()); },
              "ntk_kernel: bias is 1e+39; a finite number"));
}

TEST(linear_kernel_is_the_inner_product) {
  for (const std::size_t d : {std::size_t{1}, std::size_t{20}, std::size_t{784}, std::size_t{5000}}) {
    const auto x = random_rows<float>(150, d, 1), y = random_rows<float>(7, d, 2);
    const auto out = products<float>(1, x, y);
    const auto twice = products<float>(1, x, x);
    for (std::size_t i = 0; i < x.rows; ++i)
      for (std::size_t j = 0; j < x.rows; ++j) {
        const bool first = j < y.rows;
        double sum = 0, magnitude = 0;
        for (std::size_t k = 0; k < d; ++k) {
          const double product = double{x(i, k)} * (first ? y(j, k) : x(j, k));
          sum += product;
          magnitude += std::abs(product);
        }
        // Panels of 128 columns, at most 40 of them: a sum of 128 terms and one of 40.
        const double tolerance = 170 * double{std::numeric_limits<float>::epsilon()} * magnitude;
        CHECK_CLOSE(first ? out(i, j) : twice(i, j), sum, tolerance);
      }
  }
}

TEST(entries_of_the_linear_kernel_depend_on_their_rows_only) {
  const auto x = random_rows<double>(300, 700, 1), y = random_rows<double>(200, 700, 2);
  const auto whole = products<double>(1, x, y);
  CHECK(products<double>(3, x, y) == whole);
  const auto part = products<double>(2, rows_of<double>(x, 141, 13), rows_of<double>(y, 57, 101));
  for (std::size_t i = 0; i < part.rows; ++i)
    for (std::size_t j = 0; j < part.cols; ++j) CHECK(part(i, j) == whole(141 + i, 57 + j));
  const auto twice = products<double>(2, x, x);
  CHECK(products<double>(1, x, Matrix<double>(x)) == twice);
}

TEST(rows_are_scaled_to_the_diagonal) {
  for (const double bias : {0.0, 0.5}) {
    auto x = random_rows<float>(40, 9, 1);
    auto z = random_rows<float>(40, 33, 2);
    for (std::size_t j = 0; j < 33; ++j) {
      z(3, j) = 0;
      z(4, j) *= 1e25f;  // their squares are beyond single precision
      z(5, j) *= 1e-30f;
    }
    const auto before = z;
    fastntk::scale_to_ntk_diagonal<float, Cpu>(Cpu{2}, x.view(), {.depth = 3, .bias = bias}, z.view());
    for (std::size_t i = 0; i < x.rows; ++i) {
      double theta = bias * bias, square = 0, old = 0;
      for (std::size_t j = 0; j < 9; ++j) theta += double{x(i, j)} * x(i, j);
      for (std::size_t j = 0; j < 33; ++j) square += double{z(i, j)} * z(i, j);
      for (std::size_t j = 0; j < 33; ++j) old += double{before(i, j)} * before(i, j);
      // Each entry is rounded three times.
      if (i != 3) CHECK_CLOSE(square / (4 * theta), 1, 8 * double{std::numeric_limits<float>::epsilon()});
      const double factor = old > 0 ? std::sqrt(4 * theta / old) : 0;
      for (std::size_t j = 0; j < 33; ++j)
        CHECK_CLOSE(z(i, j), factor * before(i, j), 1e-6 * std::abs(factor * before(i, j)));
    }
  }
}

TEST(shapes_of_products_are_checked) {
  const Matrix<float> x(3, 4), y(2, 4), narrow(2, 3), none(3, 0);
  Matrix<float> out(3, 2), z(2, 5);
  using fastntk::Error;
  CHECK(check::throws<Error>([&] { fastntk::linear_kernel<float, Cpu>({}, x.view(), narrow.view(), out.view()); },
                             "y has shape"));
  CHECK(
      check::throws<Error>([&] { fastntk::linear_kernel<float, Cpu>({}, x.view(), y.view(), z.view()); }, "out has shape"));
  CHECK(check::throws<Error>([&] { fastntk::linear_kernel<float, Cpu>({}, none.view(), none.view(), out.view()); },
                             "columns"));
  const auto scale = [&](const Matrix<float>& rows, std::size_t depth) {
    fastntk::scale_to_ntk_diagonal<float, Cpu>({}, rows.view(), {.depth = depth}, z.view());
  };
  CHECK(check::throws<Error>([&] { scale(x, 1); }, "z has shape"));
  CHECK(check::throws<Error>([&] { scale(y, 0); }, "depth"));
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
