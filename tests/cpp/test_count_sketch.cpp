#include <fastntk/count_sketch.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include "sketches.hpp"

namespace {

using fastntk::CountSketch;
using fastntk::CountSketchParams;
using fastntk::Cpu;
using fastntk::CsrView;
using fastntk::View;
using sketches::Matrix;
using sketches::Moments;
using sketches::Pair;

template <class T>
Matrix<T> sketch(const CountSketchParams& params, const Matrix<T>& x, int threads = 1) {
  Matrix<T> out(x.rows, params.out_features);
  CountSketch<T>(params, Cpu{threads})(x.view(), out.view());
  return out;
}

// The entries that are not zero, row by row.
template <class T>
struct Csr {
  explicit Csr(const Matrix<T>& x) : rows(x.rows), cols(x.cols), row_starts{0} {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j)
        if (x(i, j) != 0) {
          values.push_back(x(i, j));
          columns.push_back(static_cast<std::int32_t>(j));
        }
      row_starts.push_back(static_cast<std::int64_t>(values.size()));
    }
  }
  CsrView<T> view() const { return {values.data(), columns.data(), row_starts.data(), rows, cols}; }

  std::size_t rows, cols;
  std::vector<T> values;
  std::vector<std::int32_t> columns;
  std::vector<std::int64_t> row_starts;
};

// Integers with about `kept` of 10 entries that are not zero.
template <class T>
Matrix<T> sparse_rows(std::size_t rows, std::size_t cols, std::uint32_t kept) {
  Matrix<T> x = sketches::integer_rows<T>(rows, cols, 1000);
  const fastntk::rng::Draws draws{99, fastntk::rng::Stream::sample};
  for (std::size_t i = 0; i < x.values.size(); ++i)
    if (draws.integer(i, 10) >= kept) x.values[i] = 0;
  return x;
}

// s entries +-1/sqrt(s) a column, entry b in the band [b m / s, (b + 1) m / s) of rows. With s = 1, 4 and integers it is
// exact.
TEST(equals_the_definition) {
  for (const std::size_t d : {1u, 5u, 100u, 1000u})
    for (const std::size_t m : {1u, 4u, 7u, 64u, 300u})
      for (const std::size_t s : {1u, 4u}) {
        if (s > m) continue;
        const std::uint64_t seed = 5 * d + m;
        const Matrix<double> x = sketches::integer_rows<double>(3, d, 1000);
        const Matrix<double> out = sketch<double>({d, m, seed, s}, x);
        Matrix<double> expected(3, m);
        const fastntk::rng::Draws buckets{seed, fastntk::rng::Stream::bucket};
        const fastntk::rng::Draws signs{seed, fastntk::rng::Stream::bucket_sign};
        for (std::size_t r = 0; r < 3; ++r)
          for (std::size_t k = 0; k < d; ++k)
            for (std::size_t b = 0; b < s; ++b) {
              const std::size_t begin = b * m / s, end = (b + 1) * m / s;
              const auto row = begin + buckets.integer(k * s + b, static_cast<std::uint32_t>(end - begin));
              expected(r, row) += signs.sign(k * s + b) * x(r, k) / std::sqrt(static_cast<double>(s));
            }
        for (std::size_t i = 0; i < out.values.size(); ++i) CHECK(out.values[i] == expected.values[i]);
      }
}

// The unit vectors show the matrix: exactly s entries +-1/sqrt(s) in each column, one in each band.
TEST(every_column_has_its_entries_in_their_bands) {
  const std::size_t d = 40;
  Matrix<double> unit(d, d);
  for (std::size_t i = 0; i < d; ++i) unit(i, i) = 1;
  for (const std::size_t m : {12u, 13u, 100u})
    for (const std::size_t s : {1u, 2u, 3u, 12u}) {
      const Matrix<double> columns = sketch<double>({d, m, 8, s}, unit);
      for (std::size_t i = 0; i < d; ++i)
        for (std::size_t b = 0; b < s; ++b) {
          int entries = 0;
          for (std::size_t j = b * m / s; j < (b + 1) * m / s; ++j)
            if (columns(i, j) != 0) {
              ++entries;
              CHECK(std::abs(columns(i, j)) == 1 / std::sqrt(static_cast<double>(s)));
            }
          CHECK(entries == 1);
        }
    }
}

// Given one band of m_b rows, <Sx, Sz> has the variance V/m_b, V = |x|^2 |z|^2 + <x, z>^2 - 2 sum x_i^2 z_i^2; OSNAP is the
// mean of s independent ones. 4 standard errors are exceeded with probability 6e-5, for seeds that are fixed.
TEST(inner_products_are_unbiased_with_the_exact_variance) {
  const Matrix<double> x = sketches::random_rows<double>(2, 20);
  const Pair pair(x, 0, 1);
  for (const std::size_t m : {1u, 10u, 64u})
    for (const std::size_t s : {1u, 3u, 8u}) {
      if (s > m) continue;
      const Moments moments =
          sketches::inner_products(4000, [&](std::uint64_t seed) { return sketch<double>({20, m, seed, s}, x); });
      double expected = 0;
      for (std::size_t b = 0; b < s; ++b)
        expected += (pair.norms + pair.inner * pair.inner - 2 * pair.fourth) /
                    static_cast<double>(((b + 1) * m / s - b * m / s) * s * s);
      CHECK_CLOSE(moments.mean, pair.inner, 4 * moments.mean_error);
      CHECK_CLOSE(moments.variance, expected, 4 * moments.variance_error);
    }
}

TEST(is_exactly_linear) {
  const Matrix<double> x = sketches::integer_rows<double>(3, 100, 1000);
  Matrix<double> sum(1, 100);
  for (std::size_t k = 0; k < 100; ++k) sum(0, k) = 3 * x(0, k) - 5 * x(1, k) + x(2, k);
  for (const std::size_t s : {1u, 4u}) {
    const Matrix<double> parts = sketch<double>({100, 16, 1, s}, x);
    const Matrix<double> whole = sketch<double>({100, 16, 1, s}, sum);
    for (std::size_t j = 0; j < 16; ++j) CHECK(whole(0, j) == 3 * parts(0, j) - 5 * parts(1, j) + parts(2, j));
  }
}

TEST(zero_goes_to_zero) {
  const Matrix<float> x(5, 100);
  for (const float value : sketch<float>({100, 30, 1}, x).values) CHECK(value == 0);
  Matrix<float> out(5, 30);
  out.values.assign(out.values.size(), 1.0f);
  CountSketch<float>({100, 30, 1})(Csr<float>(x).view(), out.view());
  for (const float value : out.values) CHECK(value == 0);
}

// Both add the entries of a bucket in the order of their columns, so that not only the sums but the bits are the same.
template <class T>
void compare_sparse_with_dense(std::size_t d, std::size_t m, std::size_t s, std::uint32_t kept) {
  Matrix<T> x = sketches::random_rows<T>(70, d);
  const Matrix<T> mask = sparse_rows<T>(70, d, kept);
  for (std::size_t i = 0; i < x.values.size(); ++i)
    if (mask.values[i] == 0) x.values[i] = 0;
  const Csr<T> csr(x);
  const CountSketch<T> op({d, m, 21, s}, Cpu{1});
  Matrix<T> dense(70, m);
  op(x.view(), dense.view());
  sketches::check_every_split<T>(70, m, [&](int threads, std::size_t first, std::size_t count, View<T> out) {
    CountSketch<T>({d, m, 21, s}, Cpu{threads})(csr.view().row_block(first, count), out);
    for (std::size_t r = 0; r < count; ++r)
      for (std::size_t j = 0; j < m; ++j) CHECK(out(r, j) == dense(first + r, j));
  });
}

TEST(sparse_rows_give_what_dense_rows_give) {
  for (const std::size_t d : {1u, 50u, 1000u})
    for (const std::size_t m : {1u, 30u, 257u})
      for (const std::size_t s : {1u, 3u}) {
        if (s > m) continue;
        compare_sparse_with_dense<float>(d, m, s, 1);
        compare_sparse_with_dense<double>(d, m, s, 10);
      }
}

TEST(sparse_columns_may_repeat_and_come_in_any_order) {
  const std::vector<double> values{2, 3, 5, 7};
  const std::vector<std::int32_t> columns{9, 0, 9, 4};
  const std::vector<std::int64_t> row_starts{0, 4};
  Matrix<double> x(1, 10), out(1, 6);
  x(0, 9) = 7;
  x(0, 0) = 3;
  x(0, 4) = 7;
  CountSketch<double>({10, 6, 4})(CsrView<double>{values.data(), columns.data(), row_starts.data(), 1, 10}, out.view());
  CHECK(out.values == sketch<double>({10, 6, 4}, x).values);
}

// A bucket's sum of k terms is rounded k - 1 times, its weights and inputs once: (k + 2) eps of the magnitudes, k < 40 here.
TEST(float_agrees_with_double) {
  const std::size_t d = 1000, m = 100;
  for (const std::size_t s : {1u, 2u}) {
    const Matrix<double> x = sketches::random_rows<double>(4, d);
    Matrix<float> narrow(4, d);
    for (std::size_t i = 0; i < x.values.size(); ++i) narrow.values[i] = static_cast<float>(x.values[i]);
    const Matrix<double> wide = sketch<double>({d, m, 11, s}, x);
    const Matrix<float> out = sketch<float>({d, m, 11, s}, narrow);
    for (std::size_t i = 0; i < out.values.size(); ++i) CHECK_CLOSE(out.values[i], wide.values[i], 42 * 0x1p-24 * 40);
  }
}

TEST(every_split_gives_the_same_bits) {
  for (const std::size_t d : {1u, 17u, 784u, 3000u})
    for (const std::size_t s : {1u, 2u}) {
      const Matrix<float> x = sketches::random_rows<float>(150, d);
      sketches::check_every_split<float>(150, 90, [&](int threads, std::size_t first, std::size_t count, View<float> out) {
        CountSketch<float>({d, 90, 5, s}, Cpu{threads})(x.view().row_block(first, count), out);
      });
    }
}

TEST(strided_views_are_read_and_written_in_place) {
  Matrix<float> x = sketches::random_rows<float>(40, 120);
  Matrix<float> wide(40, 70);
  wide.values.assign(wide.values.size(), -9.0f);
  const CountSketch<float> op({100, 30, 2}, Cpu{1});
  op(x.view().col_block(7, 100), wide.view().col_block(11, 30));
  Matrix<float> dense(40, 100), out(40, 30);
  for (std::size_t i = 0; i < 40; ++i)
    for (std::size_t j = 0; j < 100; ++j) dense(i, j) = x(i, j + 7);
  op(dense.view(), out.view());
  for (std::size_t i = 0; i < 40; ++i)
    for (std::size_t j = 0; j < 70; ++j) CHECK(wide(i, j) == (j >= 11 && j < 41 ? out(i, j - 11) : -9.0f));
}

TEST(degenerate_sizes) {
  // Everything in one bucket: a signed sum.
  const Matrix<double> x = sketches::integer_rows<double>(3, 50, 100);
  const Matrix<double> out = sketch<double>({50, 1, 6}, x);
  const fastntk::rng::Draws signs{6, fastntk::rng::Stream::bucket_sign};
  for (std::size_t i = 0; i < 3; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < 50; ++k) sum += signs.sign(k) * x(i, k);
    CHECK(out(i, 0) == sum);
  }
  // More buckets than entries, a long row, as many entries as buckets, and no rows.
  const Matrix<double> few = sketch<double>({1, 1000, 6}, sketches::integer_rows<double>(1, 1, 100));
  CHECK(std::count(few.values.begin(), few.values.end(), 0.0) == 999);
  const Matrix<double> wide = sketches::random_rows<double>(2, 100000);
  const Matrix<double> sketched = sketch<double>({100000, 1024, 1}, wide, 2);
  for (std::size_t i = 0; i < 2; ++i) {
    // The estimate of |x|^2 has a variance of 2 |x|^4 / m at most; six standard deviations.
    const double square = sketches::dot(wide, i, wide, i);
    CHECK_CLOSE(sketches::dot(sketched, i, sketched, i), square, 6 * std::sqrt(2.0 / 1024) * square);
  }
  for (const double value : sketch<double>({3, 4, 1, 4}, sketches::integer_rows<double>(2, 3, 9)).values)
    CHECK(value == std::round(2 * value) / 2);
  CountSketch<float>({10, 5})(View<const float>(nullptr, 0, 10), View<float>(nullptr, 0, 5));
  const std::int64_t start = 0;
  CountSketch<float>({10, 5})(CsrView<float>{nullptr, nullptr, &start, 0, 10}, View<float>(nullptr, 0, 5));
}

TEST(errors_name_what_is_wrong) {
  using fastntk::Error;
  CHECK(check::throws<Error>([] { CountSketch<float>({0, 5}); }, "CountSketch: in_features is 0; at least 1 is needed"));
  CHECK(check::throws<Error>([] { CountSketch<float>({5, 0}); }, "CountSketch: out_features is 0; at least 1 is needed"));
  CHECK(check::throws<Error>([] { CountSketch<float>({5, 5, 0, 0}); }, "nnz_per_column is 0; at least 1 is needed"));
  CHECK(check::throws<Error>([] { CountSketch<float>({5, 5, 0, 6}); },
                             "nnz_per_column is 6; at most out_features = 5 is possible"));
  CHECK(check::throws<Error>([] { CountSketch<float>({std::size_t{1} << 31, 5}); }, "in_features is 2147483648; at most"));
  CHECK(check::throws<Error>([] { CountSketch<float>({std::size_t{1} << 30, 5, 0, 4}); },
                             "nnz_per_column is 4; with in_features = 1073741824 at most"));
  const CountSketch<float> op({10, 5}, Cpu{1});
  Matrix<float> x(3, 10), out(3, 5), narrow(3, 9), short_out(2, 5);
  CHECK(check::throws<Error>([&] { op(narrow.view(), out.view()); }, "CountSketch: x has shape (3, 9); (3, 10) is needed"));
  CHECK(
      check::throws<Error>([&] { op(x.view(), short_out.view()); }, "CountSketch: out has shape (2, 5); (3, 5) is needed"));
  CHECK(check::throws<Error>([&] { op(Csr<float>(narrow).view(), out.view()); }, "x has 9 columns; 10 are needed"));
  CHECK(check::throws<Error>([&] { op(Csr<float>(x).view(), short_out.view()); }, "out has shape (2, 5); (3, 5) is needed"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
