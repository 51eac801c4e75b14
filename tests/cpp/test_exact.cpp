// The exact kernels against the definition in long double, on equal, nearly equal and opposite rows too.
#include <fastntk/error.hpp>
#include <fastntk/exact.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"

namespace {

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

struct Value {
  long double s, k;
};

// S_L and K_L (Z21 Definition 1) of the angle, for all depths up to the given one; in delta = 1 - S, because acos(S) loses
// half of the digits near S = 1.
std::vector<Value> reference(long double angle, std::size_t depth) {
  const long double pi = std::numbers::pi_v<long double>;
  long double delta = 2 * std::sin(angle / 2) * std::sin(angle / 2);
  std::vector<Value> values = {{1 - delta, 1 - delta}};
  for (std::size_t l = 1; l <= depth; ++l) {
    const long double gate = 1 - angle / pi;
    delta = std::max(delta - (std::sin(angle) - angle * std::cos(angle)) / pi, 0.0L);
    angle = 2 * std::asin(std::sqrt(delta / 2));
    values.push_back({1 - delta, values.back().k * gate + 1 - delta});
  }
  return values;
}

template <class T>
long double norm(const Matrix<T>& x, std::size_t i) {
  long double sum = 0;
  for (std::size_t j = 0; j < x.cols; ++j) sum += static_cast<long double>(x(i, j)) * x(i, j);
  return std::sqrt(sum);
}

// The angle between two nonzero rows; Kahan's formula has no cancellation.
template <class T>
long double angle(const Matrix<T>& x, std::size_t i, const Matrix<T>& y, std::size_t k) {
  const long double a = norm(x, i), b = norm(y, k);
  long double difference = 0, sum = 0;
  for (std::size_t j = 0; j < x.cols; ++j) {
    const long double u = x(i, j) / a, v = y(k, j) / b;
    difference += (u - v) * (u - v);
    sum += (u + v) * (u + v);
  }
  return 2 * std::atan2(std::sqrt(difference), std::sqrt(sum));
}

// Rows around one mean, so that cosines are large, and for each distance 10^-8 .. 10^0.5 copies that far from a row and
// scaled; equal rows, opposite rows and a zero row.
template <class T>
Matrix<T> hard_rows(std::size_t d, double mean, unsigned seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  constexpr std::size_t base = 24, distances = 18;
  Matrix<T> x(base + 2 * distances + 5, d);
  for (std::size_t i = 0; i < base; ++i)
    for (std::size_t j = 0; j < d; ++j) x(i, j) = static_cast<T>(mean + normal(engine));
  for (std::size_t k = 0; k < 2 * distances; ++k) {
    const std::size_t from = k % base;
    const double factor = (k % 3 == 0 ? 1 : k % 3 == 1 ? -2.5 : 0.3) / std::sqrt(static_cast<double>(d));
    const double size = std::pow(10.0, -8 + 0.5 * static_cast<double>(k / 2)) * static_cast<double>(norm(x, from));
    for (std::size_t j = 0; j < d; ++j)
      x(base + k, j) = static_cast<T>(factor * (std::sqrt(static_cast<double>(d)) * x(from, j) + size * normal(engine)));
  }
  for (std::size_t k = 0; k < 4; ++k)
    for (std::size_t j = 0; j < d; ++j) x(base + 2 * distances + k, j) = static_cast<T>((k < 2 ? 1 : -3) * x(k, j));
  return x;  // the last row is zero
}

// The errors promised in exact.hpp, relative to (L + 1)|y||z|. In double the cosine is off by at most d eps and that error
// at most doubled; d <= 784 here, and 1e-12 leaves room for 32 layers of a few eps each.
template <class T>
constexpr double promised = sizeof(T) == 4 ? 2e-6 : 1e-12;

template <class T>
void check_accuracy(std::size_t d, double mean) {
  const Matrix<T> x = hard_rows<T>(d, mean, static_cast<unsigned>(d));
  const std::size_t n = x.rows;
  constexpr std::size_t depth = 32;
  std::vector<std::vector<Value>> expected;
  std::vector<long double> angles, scale;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      scale.push_back(norm(x, i) * norm(x, j));
      angles.push_back(scale.back() == 0 ? 0 : angle(x, i, x, j));
      expected.push_back(reference(angles.back(), depth));
    }
  Matrix<T> out(n, n);
  const auto compare = [&](auto&& value, bool scaled, double tolerance) {
    for (std::size_t p = 0; p < n * n; ++p) {
      if (scale[p] == 0) {
        CHECK(out.data[p] == 0);
      } else {
        const long double size = scaled ? scale[p] : 1.0L;
        CHECK_CLOSE(out.data[p] / size, value(p), tolerance);
      }
    }
  };
  for (std::size_t l = 1; l <= depth; ++l) {
    const double layers = static_cast<double>(l) + 1;
    fastntk::ntk_kernel<T, Cpu>(Cpu{1}, x.view(), x.view(), {.depth = l}, out.view());
    compare([&](std::size_t p) { return expected[p][l].k; }, true, promised<T> * layers);
    fastntk::nngp_kernel<T, Cpu>(Cpu{1}, x.view(), x.view(), {.depth = l}, out.view());
    compare([&](std::size_t p) { return expected[p][l].s; }, true, promised<T>);
  }
  fastntk::arc_cosine_kernel<T, Cpu>(Cpu{1}, x.view(), x.view(), 1, out.view());
  compare([&](std::size_t p) { return expected[p][1].s; }, true, promised<T>);
  fastntk::arc_cosine_kernel<T, Cpu>(Cpu{1}, x.view(), x.view(), 0, out.view());
  compare([&](std::size_t p) { return 1 - angles[p] / std::numbers::pi_v<long double>; }, false, promised<T>);
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
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
