#include <fastntk/dot_product_sketch.hpp>
#include <fastntk/rng.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "sketches.hpp"

using namespace fastntk;
using namespace sketches;

namespace {

const std::vector<double> polynomial = {0.4, 0.3, 0.5, 0.2, 0.1, 0.05, 0.0, 0.15};

template <class T>
Matrix<T> sketch(const DotProductSketchParams& p, const Matrix<T>& x, int threads = 1) {
  Matrix<T> z(x.rows, p.out_features);
  DotProductSketch<T>(p, Cpu{threads})(x.view(), z.view());
  return z;
}

// |x||z| P(cos), or P(cos) unless homogeneous, with a bias column.
double kernel(const DotProductSketchParams& p, const Matrix<double>& x, std::size_t i, std::size_t j) {
  const double b = p.bias * p.bias;
  const double norms = std::sqrt((dot(x, i, x, i) + b) * (dot(x, j, x, j) + b));
  if (norms == 0) return 0;
  const double a = (dot(x, i, x, j) + b) / norms;
  double value = 0;
  for (std::size_t k = p.coefficients.size(); k-- > 0;) value = value * a + p.coefficients[k];
  return p.homogeneous ? norms * value : value;
}

// A matrix in compressed sparse rows.
template <class T>
struct Sparse {
  explicit Sparse(const Matrix<T>& x) : rows(x.rows), cols(x.cols), starts{0} {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j)
        if (x(i, j) != 0) {
          values.push_back(x(i, j));
          columns.push_back(static_cast<std::int32_t>(j));
        }
      starts.push_back(static_cast<std::int64_t>(values.size()));
    }
  }
  CsrView<T> view() const { return {values.data(), columns.data(), starts.data(), rows, cols}; }

  std::size_t rows, cols;
  std::vector<T> values;
  std::vector<std::int32_t> columns;
  std::vector<std::int64_t> starts;
};

template <class T>
Matrix<T> sparse_rows(std::size_t rows, std::size_t cols, std::size_t every, std::uint64_t seed = 3) {
  Matrix<T> x = random_rows<T>(rows, cols, seed);
  for (std::size_t i = 0; i < x.values.size(); ++i)
    if (i * 2654435761u % every != 0) x.values[i] = 0;
  std::fill_n(x.values.begin() + static_cast<std::ptrdiff_t>(cols), cols, T(0));  // row 1 is zero
  return x;
}

std::vector<DotProductSketchParams> every_mode(std::size_t d, std::size_t columns, Diagonal diagonal) {
  std::vector<DotProductSketchParams> modes;
  for (const double bias : {0.0, 0.5})
    for (const SketchBase base : {SketchBase::rotation, SketchBase::count_sketch})
      for (const LowOrders low_orders : {LowOrders::exact, LowOrders::constant, LowOrders::sampled}) {
        if (base == SketchBase::count_sketch && low_orders == LowOrders::exact) continue;
        modes.push_back({.in_features = d,
                         .out_features = columns,
                         .coefficients = polynomial,
                         .low_orders = low_orders,
                         .diagonal = diagonal,
                         .bias = bias,
                         .base = base,
                         .seed = 7});
      }
  return modes;
}

}  // namespace

// |mean - kernel| <= 4.5 standard errors fails by chance with probability 7e-6, of 10 modes and 3 pairs 2e-4.
TEST(inner_products_are_unbiased) {
  const Matrix<double> x = random_rows<double>(2, 6, 4);
  Matrix<double> close = x;
  for (std::size_t j = 0; j < 6; ++j) close(1, j) = x(0, j) + 0.3 * x(1, j);
  for (const Matrix<double>& rows : {x, close})
    for (DotProductSketchParams p : every_mode(6, 40, Diagonal::sampled)) {
      p.power_features = 16;
      const Moments m = inner_products(1500, [&](std::uint64_t seed) {
        p.seed = seed;
        return sketch(p, rows);
      });
      if (!CHECK_CLOSE(m.mean, kernel(p, rows, 0, 1), 4.5 * m.mean_error))
        std::cout << "low_orders " << static_cast<int>(p.low_orders) << " base " << static_cast<int>(p.base) << "\n";
    }
}

TEST(squared_norms_are_unbiased) {
  Matrix<double> x = random_rows<double>(2, 6, 5);
  std::copy_n(x.values.begin(), 6, x.values.begin() + 6);
  for (DotProductSketchParams p : every_mode(6, 40, Diagonal::sampled)) {
    const Moments m = inner_products(1500, [&](std::uint64_t seed) {
      p.seed = seed;
      return sketch(p, x);
    });
    CHECK_CLOSE(m.mean, kernel(p, x, 0, 0), 4.5 * m.mean_error);
  }
}

// With 16 times as many columns the standard deviation is a quarter; the ratio of two estimates from 400 seeds has a
// standard error below 6 %, so that it leaves [.19, .32] with probability below 1e-4.
TEST(variance_falls_as_one_over_the_columns) {
  const Matrix<double> x = random_rows<double>(2, 20, 6);
  const auto deviation = [&](std::size_t columns, LowOrders low_orders) {
    const Moments m = inner_products(400, [&](std::uint64_t seed) {
      return sketch<double>({.in_features = 20,
                             .out_features = columns + (low_orders == LowOrders::exact ? 21 : 1),
                             .coefficients = polynomial,
                             .low_orders = low_orders,
                             .diagonal = Diagonal::sampled,
                             .power_features = 4096,
                             .seed = seed},
                            x);
    });
    return std::sqrt(m.variance);
  };
  for (const LowOrders low_orders : {LowOrders::exact, LowOrders::constant}) {
    const double ratio = deviation(4096, low_orders) / deviation(256, low_orders);
    if (!check::sanitized) CHECK(ratio > 0.19 && ratio < 0.32);
  }
}

// At the cosine 0 a division of m columns in proportion to the coefficients gives the variance (sum c_k)^2/m; inner nodes
// add little. The variance of 600 seeds has a standard error of 8 % (kurtosis below 4).
TEST(columns_are_divided_for_the_least_variance) {
  Matrix<double> x(2, 64);
  for (std::size_t j = 0; j < 64; ++j) x(j % 2, j) = j % 3 == 0 ? 1 : -0.5;
  DotProductSketchParams p{.in_features = 64,
                           .out_features = 65 + 1000,
                           .coefficients = {0.4, 0.3, 0.5, 0.2, 0.2, 0.02, 0.001},
                           .low_orders = LowOrders::exact,
                           .diagonal = Diagonal::sampled};
  const Moments m = inner_products(600, [&](std::uint64_t seed) {
    p.seed = seed;
    return sketch(p, x);
  });
  const double best = 0.921 * 0.921 / 1000 * dot(x, 0, x, 0) * dot(x, 1, x, 1);
  if (!check::sanitized) CHECK(m.variance < 1.35 * best);
}

TEST(exact_columns_hold_constant_and_linear_term) {
  const Matrix<double> x = random_rows<double>(4, 7, 1);
  for (const double bias : {0.0, 2.0}) {
    const Matrix<double> z = sketch<double>(
        {.in_features = 7, .out_features = 80, .coefficients = polynomial, .low_orders = LowOrders::exact, .bias = bias}, x);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK_CLOSE(z(i, 0), std::sqrt(polynomial[0] * (dot(x, i, x, i) + bias * bias)), 1e-12);
      for (std::size_t j = 0; j < 7; ++j) CHECK_CLOSE(z(i, 1 + j), std::sqrt(polynomial[1]) * x(i, j), 1e-12);
      if (bias != 0) CHECK_CLOSE(z(i, 8), std::sqrt(polynomial[1]) * bias, 1e-12);
    }
  }
}

TEST(affine_kernels_are_exact) {
  const Matrix<double> x = random_rows<double>(5, 7, 2);
  for (const std::vector<double>& c : {std::vector<double>{2}, {2, 3}, {0, 3}, {2, 0}, {0}, {2, 3, 0, 0}}) {
    DotProductSketchParams p{.in_features = 7,
                             .out_features = 12,
                             .coefficients = c,
                             .low_orders = LowOrders::exact,
                             .diagonal = Diagonal::sampled};
    const Matrix<double> z = sketch(p, x);
    for (std::size_t i = 0; i < 5; ++i)
      for (std::size_t j = 0; j < 5; ++j) CHECK_CLOSE(dot(z, i, z, j), kernel(p, x, i, j), 1e-12);
  }
}

TEST(exact_diagonal_is_exact) {
  const Matrix<float> x = random_rows<float>(9, 40, 3);
  Matrix<double> wide(9, 40);
  std::copy(x.values.begin(), x.values.end(), wide.values.begin());
  for (const DotProductSketchParams& p : every_mode(40, 150, Diagonal::exact)) {
    const Matrix<float> z = sketch(p, x);
    for (std::size_t i = 0; i < 9; ++i) {
      const double expected = kernel(p, wide, i, i);
      CHECK_CLOSE(dot(z, i, z, i), expected, 150 * 0x1p-24 * expected);  // a sum of 150 squares in float
    }
  }
}

TEST(terms_that_rounding_hides_are_harmless) {
  // .3 + .6 + 1e-17 is less than .3 + .6 in float64.
  const Matrix<double> x = random_rows<double>(3, 4, 8);
  const Matrix<double> z = sketch<double>(
      {.in_features = 4, .out_features = 60, .coefficients = {0.3, 0.6, 1e-17}, .low_orders = LowOrders::exact}, x);
  for (std::size_t i = 0; i < 3; ++i) CHECK_CLOSE(dot(z, i, z, i), 0.9 * dot(x, i, x, i), 1e-12);
}

// 65 equal terms share 32 columns, all but the last of even degree: it alone tells x from -x.
TEST(no_term_is_left_without_columns) {
  std::vector<double> c(130);
  for (std::size_t k = 2; k < 130; k += 2) c[k] = 1;
  c[129] = 1;
  const DotProductSketchParams p{
      .in_features = 3, .out_features = 32, .coefficients = c, .low_orders = LowOrders::constant, .power_features = 32};
  Matrix<double> x = random_rows<double>(2, 3, 9);
  for (std::size_t j = 0; j < 3; ++j) x(1, j) = -x(0, j);
  const Matrix<double> z = sketch(p, x);
  double difference = 0;
  for (std::size_t j = 0; j < 32; ++j) difference = std::max(difference, std::abs(z(0, j) - z(1, j)));
  CHECK(difference > 1e-3);
}

// A degree-2 column is the product of two linear forms.
TEST(degree_2_columns_are_quadratic_forms_of_rank_2) {
  constexpr std::size_t d = 5;
  constexpr std::size_t columns = 33;
  const DotProductSketchParams p{.in_features = d,
                                 .out_features = columns,
                                 .coefficients = {0, 0, 1},
                                 .low_orders = LowOrders::constant,
                                 .diagonal = Diagonal::sampled,
                                 .homogeneous = false,
                                 .seed = 3};
  // q(x) = (u.x)(v.x) = x^T M x on unit vectors: from q(e_i), q((e_i + e_j)/sqrt 2) the symmetric matrix M, whose rank is at
  // most 2.
  Matrix<double> x(d * d, d);
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) {
      x(i * d + j, i) += 1;
      x(i * d + j, j) += 1;
    }
  const Matrix<double> z = sketch(p, x);
  const Matrix<double> y = random_rows<double>(6, d, 9);
  const Matrix<double> zy = sketch(p, y);
  std::vector<std::array<std::size_t, 3>> triples;
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = i + 1; j < d; ++j)
      for (std::size_t k = j + 1; k < d; ++k) triples.push_back({i, j, k});
  for (std::size_t c = 0; c < columns; ++c) {
    const auto m = [&](std::size_t i, std::size_t j) {
      return i == j ? z(i * d + i, c) : z(i * d + j, c) - (z(i * d + i, c) + z(j * d + j, c)) / 2;
    };
    for (std::size_t r = 0; r < 6; ++r) {
      double value = 0;
      for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < d; ++j) value += m(i, j) * y(r, i) * y(r, j);
      CHECK_CLOSE(zy(r, c), value / dot(y, r, y, r), 1e-12);
    }
    // Rank 2: every minor of order 3 vanishes.
    for (const auto [i, j, k] : triples)
      for (const auto [u, v, w] : triples) {
        const double minor = m(i, u) * (m(j, v) * m(k, w) - m(j, w) * m(k, v)) -
                             m(i, v) * (m(j, u) * m(k, w) - m(j, w) * m(k, u)) +
                             m(i, w) * (m(j, u) * m(k, v) - m(j, v) * m(k, u));
        CHECK_CLOSE(minor, 0, 1e-12);
      }
  }
}

// Rows that are made dense give the same bits; what CountSketches sum comes before the division by the norm, or after it. At
// most 3 of 17 numbers meet in one of 256 entries here: 2 sums, 2 products and the norm, in units u = 2^-24 of the row. A
// product of two sketches has their errors, of a transform of 2^9 numbers at most (9 sums, a sign and a scale) each: from
// u_1 = 5 u on u_2k = 2 (u_k + 11) + 1 is 201 u at degree 8, in both calls.
TEST(sparse_rows_are_dense_rows) {
  for (const DotProductSketchParams& p : every_mode(80, 300, Diagonal::automatic)) {
    const Matrix<float> x = sparse_rows<float>(23, 80, 5);
    const Sparse<float> sparse(x);
    const DotProductSketch<float> map(p);
    Matrix<float> z(23, 300);
    map(sparse.view(), z.view());
    const Matrix<float> dense = sketch(p, x);
    const bool made_dense = p.base == SketchBase::rotation || p.low_orders == LowOrders::sampled;
    for (std::size_t r = 0; r < 23; ++r) {
      const double length = std::sqrt(static_cast<double>(dot(dense, r, dense, r)));
      for (std::size_t j = 0; j < 300; ++j) CHECK_CLOSE(z(r, j), dense(r, j), made_dense ? 0 : 402 * 0x1p-24 * length);
    }
    for (std::size_t first = 0; first < 23; first += 4) {
      const std::size_t count = std::min<std::size_t>(4, 23 - first);
      Matrix<float> part(count, 300);
      map(sparse.view().row_block(first, count), part.view());
      for (std::size_t i = 0; i < count * 300; ++i) CHECK(part.values[i] == z.values[first * 300 + i]);
    }
  }
}

TEST(sparse_rows_have_norms_of_any_size) {
  const Matrix<double> x = sparse_rows<double>(5, 80, 5);
  const DotProductSketch<double> map({.in_features = 80,
                                      .out_features = 100,
                                      .coefficients = polynomial,
                                      .low_orders = LowOrders::constant,
                                      .base = SketchBase::count_sketch});
  Matrix<double> z(5, 100), scaled_z(5, 100);
  map(Sparse<double>(x).view(), z.view());
  for (const double scale : {0x1p600, 0x1p-600}) {  // powers of two, whose squares are out of range
    Matrix<double> scaled = x;
    for (double& value : scaled.values) value *= scale;
    map(Sparse<double>(scaled).view(), scaled_z.view());
    for (std::size_t i = 0; i < z.values.size(); ++i) CHECK(scaled_z.values[i] == scale * z.values[i]);
  }
  Matrix<float> tiny(1, 80), tiny_z(1, 100);
  tiny.values[3] = 0x1p-140f;  // its inverse is out of range
  DotProductSketch<float>(map.params())(Sparse<float>(tiny).view(), tiny_z.view());
  for (const float value : tiny_z.values) CHECK(std::abs(value) <= 0x1p-138f);
}

TEST(homogeneous_and_zero_at_zero) {
  Matrix<float> x = random_rows<float>(5, 50, 4);
  std::fill_n(x.values.begin() + 2 * 50, 50, 0.0f);
  Matrix<float> scaled = x;
  for (float& value : scaled.values) value *= 8;  // a power of two scales without rounding
  for (DotProductSketchParams p : every_mode(50, 130, Diagonal::automatic)) {
    if (p.bias != 0) continue;
    for (const bool homogeneous : {true, false}) {
      p.homogeneous = homogeneous;
      const Matrix<float> z = sketch(p, x);
      const Matrix<float> z8 = sketch(p, scaled);
      for (std::size_t i = 0; i < z.values.size(); ++i) CHECK(z8.values[i] == (homogeneous ? 8 : 1) * z.values[i]);
      for (std::size_t j = 0; j < 130; ++j) CHECK(z(2, j) == 0);
    }
  }
}

TEST(same_bits_for_any_threads_and_batches) {
  const Matrix<float> x = random_rows<float>(131, 50, 5);
  for (const DotProductSketchParams& p : every_mode(50, 300, Diagonal::automatic))
    check_every_split<float>(131, 300, [&](int threads, std::size_t first, std::size_t count, View<float> out) {
      DotProductSketch<float>(p, Cpu{threads})(x.view().row_block(first, count), out);
    });
}

TEST(any_size_and_degree) {
  for (const std::size_t d : {1, 2, 33, 70}) {
    const Matrix<float> x = random_rows<float>(3, d, 6);
    for (const std::size_t columns : {1, 2, 3, 7, 31, 33, 200})
      for (const std::size_t degree : {0, 1, 2, 3, 5, 8, 16})
        for (const LowOrders low_orders : {LowOrders::automatic, LowOrders::constant}) {
          const DotProductSketchParams p{.in_features = d,
                                         .out_features = columns,
                                         .coefficients = std::vector<double>(degree + 1, 1.0),
                                         .low_orders = low_orders};
          const Matrix<float> z = sketch(p, x);
          const double expected = static_cast<double>(degree + 1) * static_cast<double>(dot(x, 0, x, 0));
          CHECK_CLOSE(dot(z, 0, z, 0), expected, 1e-4 * expected);
        }
  }
}

TEST(long_rows_take_count_sketches_and_short_ones_exact_columns) {
  const auto chosen = [](std::size_t d) {
    return DotProductSketch<float>({.in_features = d, .out_features = 1024, .coefficients = {0.3, 1, 0.5}}).params();
  };
  CHECK(chosen(5000).base == SketchBase::count_sketch);
  CHECK(chosen(5000).low_orders == LowOrders::constant);
  // 1.35 * 1.5^2 / (1.5^2 - .5^2) * (1 + d) columns are enough up to d = 673.
  CHECK(chosen(673).low_orders == LowOrders::exact);
  CHECK(chosen(674).low_orders == LowOrders::constant);
  CHECK(chosen(674).base == SketchBase::rotation);
  // Without a linear term nothing needs the rows in full.
  const DotProductSketch<float> even({.in_features = 5000, .out_features = 1024, .coefficients = {0.3, 0, 0.5}});
  CHECK(even.params().base == SketchBase::count_sketch);
}

TEST(bad_parameters_are_named) {
  const auto make = [](DotProductSketchParams p) { return [p] { DotProductSketch<float>{p}; }; };
  CHECK(check::throws<Error>(make({.in_features = 0, .out_features = 8, .coefficients = {1}}), "in_features"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 0, .coefficients = {1}}), "out_features"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8}), "coefficients is empty"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8, .coefficients = {1, -1}}), "coefficients[1]"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8, .coefficients = {NAN}}), "coefficients[0]"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8, .coefficients = {1e308, 1e308}}), "the sum"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8, .coefficients = {1}, .bias = NAN}), "bias"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8, .coefficients = {1}, .bias = -1e39}),
                             "bias is -1e+39; a finite number"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8, .coefficients = {3e38, 3e38}}),
                             "the sum of the coefficients is 6e+38"));
  // Which float64 has.
  DotProductSketch<double>({.in_features = 4, .out_features = 8, .coefficients = {3e38, 3e38}, .bias = -1e39});
  CHECK(check::throws<Error>(
      make({.in_features = 4, .out_features = 5, .coefficients = {1, 1, 1}, .low_orders = LowOrders::exact}), "at least 6"));
  CHECK(check::throws<Error>(make({.in_features = 4,
                                   .out_features = 50,
                                   .coefficients = {1, 1, 1},
                                   .low_orders = LowOrders::exact,
                                   .base = SketchBase::count_sketch}),
                             "count_sketch"));
  const DotProductSketch<float> map({.in_features = 4, .out_features = 8, .coefficients = {1, 1, 1}});
  std::vector<float> x(12), z(24);
  CHECK(check::throws<Error>([&] { map({x.data(), 4, 3}, {z.data(), 3, 8}); }, "x has shape (4, 3)"));
  CHECK(check::throws<Error>([&] { map({x.data(), 3, 4}, {z.data(), 2, 8}); }, "out has shape (2, 8)"));
  const Sparse<float> sparse(random_rows<float>(3, 5));
  CHECK(check::throws<Error>([&] { map(sparse.view(), {z.data(), 3, 8}); }, "x has 5 columns"));
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
