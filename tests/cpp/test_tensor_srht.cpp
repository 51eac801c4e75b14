#include <fastntk/tensor_srht.hpp>

#include <bit>
#include <cmath>
#include <vector>

#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using fastntk::TensorSrht;
using fastntk::TensorSrhtParams;
using fastntk::View;
using sketches::Matrix;
using sketches::Moments;
using sketches::Pair;

template <class T>
Matrix<T> sketch(const TensorSrhtParams& params, const Matrix<T>& x, const Matrix<T>& y, int threads = 1) {
  Matrix<T> out(x.rows, params.out_features);
  TensorSrht<T>(params, Cpu{threads})(x.view(), y.view(), out.view());
  return out;
}

// One factor of an output: (H D v)_i with i its sample, from the draws of one child seed.
double factor(const Matrix<double>& v, std::size_t row, std::size_t j, std::uint64_t seed) {
  const auto length = static_cast<std::uint32_t>(std::bit_ceil(v.cols));
  const std::uint32_t i = fastntk::rng::Draws{seed, fastntk::rng::Stream::sample}.integer(j, length);
  const fastntk::rng::Draws signs{seed, fastntk::rng::Stream::sign};
  double sum = 0;
  for (std::uint32_t k = 0; k < v.cols; ++k) sum += (std::popcount(i & k) % 2 == 0 ? 1 : -1) * signs.sign(k) * v(row, k);
  return sum;
}

// Integers, and a power of four of outputs: all is exact.
TEST(equals_the_definition) {
  for (const std::size_t d1 : {1u, 3u, 64u})
    for (const std::size_t d2 : {1u, 20u, 100u})
      for (const std::size_t m : {1u, 16u, 64u}) {
        const std::uint64_t seed = 1000 * d1 + m;
        const Matrix<double> x = sketches::integer_rows<double>(3, d1, 100, 1);
        const Matrix<double> y = sketches::integer_rows<double>(3, d2, 100, 2);
        const Matrix<double> out = sketch<double>({d1, d2, m, seed}, x, y);
        for (std::size_t r = 0; r < 3; ++r)
          for (std::size_t j = 0; j < m; ++j)
            CHECK(out(r, j) == factor(x, r, j, fastntk::rng::child_seed(seed, 1)) *
                                   factor(y, r, j, fastntk::rng::child_seed(seed, 2)) / std::sqrt(static_cast<double>(m)));
      }
}

// 4 standard errors are exceeded with probability 6e-5, for seeds that are fixed.
TEST(inner_products_are_unbiased_with_the_exact_variance) {
  const Matrix<double> x = sketches::random_rows<double>(2, 16, 3);
  const Matrix<double> y = sketches::random_rows<double>(2, 5, 4);
  const Pair px(x, 0, 1), py(y, 0, 1);
  const double inner = px.inner * py.inner;
  for (const std::size_t m : {1u, 8u, 64u}) {
    const Moments s =
        sketches::inner_products(6000, [&](std::uint64_t seed) { return sketch<double>({16, 5, m, seed}, x, y); });
    CHECK_CLOSE(s.mean, inner, 4 * s.mean_error);
    CHECK_CLOSE(s.variance, (px.q() * py.q() - inner * inner) / static_cast<double>(m), 4 * s.variance_error);
  }
}

TEST(is_exactly_linear_in_each_factor) {
  const Matrix<double> x = sketches::integer_rows<double>(3, 40, 100, 5);
  const Matrix<double> y = sketches::integer_rows<double>(3, 40, 100, 6);
  Matrix<double> sum(3, 40), same(3, 40);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t k = 0; k < 40; ++k) {
      sum(i, k) = 3 * x(0, k) - 5 * x(1, k) + x(2, k);
      same(i, k) = y(0, k);
    }
  for (const bool swapped : {false, true}) {
    const auto apply = [&](const Matrix<double>& a, const Matrix<double>& b) {
      return swapped ? sketch<double>({40, 40, 16, 1}, b, a) : sketch<double>({40, 40, 16, 1}, a, b);
    };
    const Matrix<double> parts = apply(x, same), whole = apply(sum, same);
    for (std::size_t j = 0; j < 16; ++j) CHECK(whole(0, j) == 3 * parts(0, j) - 5 * parts(1, j) + parts(2, j));
  }
}

TEST(zero_in_either_factor_goes_to_zero) {
  const Matrix<float> zero(5, 100), x = sketches::random_rows<float>(5, 100);
  for (const float value : sketch<float>({100, 100, 30, 1}, zero, x).values) CHECK(value == 0);
  for (const float value : sketch<float>({100, 100, 30, 1}, x, zero).values) CHECK(value == 0);
}

// Each factor has the error of its transform and its input's rounding, (levels + 1) eps of its magnitude; the product two
// more.
TEST(float_agrees_with_double) {
  const std::size_t d1 = 300, d2 = 70, m = 400;
  const Matrix<double> x = sketches::random_rows<double>(4, d1, 1), y = sketches::random_rows<double>(4, d2, 2);
  Matrix<float> xf(4, d1), yf(4, d2);
  for (std::size_t i = 0; i < x.values.size(); ++i) xf.values[i] = static_cast<float>(x.values[i]);
  for (std::size_t i = 0; i < y.values.size(); ++i) yf.values[i] = static_cast<float>(y.values[i]);
  const Matrix<double> wide = sketch<double>({d1, d2, m, 11}, x, y);
  const Matrix<float> out = sketch<float>({d1, d2, m, 11}, xf, yf);
  for (std::size_t r = 0; r < 4; ++r) {
    double first = 0, second = 0;
    for (std::size_t k = 0; k < d1; ++k) first += std::abs(x(r, k));
    for (std::size_t k = 0; k < d2; ++k) second += std::abs(y(r, k));
    const double levels = 9 + 7;
    for (std::size_t j = 0; j < m; ++j)
      CHECK_CLOSE(out(r, j), wide(r, j), (levels + 5) * 0x1p-24 * first * second / std::sqrt(static_cast<double>(m)));
  }
}

TEST(every_split_gives_the_same_bits) {
  for (const std::size_t d1 : {1u, 100u, 2000u})
    for (const std::size_t d2 : {3u, 784u}) {
      const Matrix<float> x = sketches::random_rows<float>(150, d1, 1), y = sketches::random_rows<float>(150, d2, 2);
      sketches::check_every_split<float>(150, 90, [&](int threads, std::size_t first, std::size_t count, View<float> out) {
        const TensorSrht<float> op({d1, d2, 90, 5}, Cpu{threads});
        op(x.view().row_block(first, count), y.view().row_block(first, count), out);
      });
    }
}

TEST(degenerate_sizes) {
  const Matrix<double> one =
      sketch<double>({1, 1, 1, 3}, sketches::integer_rows<double>(2, 1, 9), sketches::integer_rows<double>(2, 1, 9));
  const Matrix<double> x = sketches::integer_rows<double>(2, 1, 9);
  for (std::size_t i = 0; i < 2; ++i) CHECK(std::abs(one(i, 0)) == x(i, 0) * x(i, 0));
  const Matrix<double> wide = sketches::random_rows<double>(2, 100000);
  const Matrix<double> out = sketch<double>({100000, 100000, 1024, 1}, wide, wide, 2);
  for (std::size_t i = 0; i < 2; ++i) {
    // |T(x (x) x)|^2 has a variance of 8 |x|^8 / m at most; six standard deviations.
    const double fourth = std::pow(sketches::dot(wide, i, wide, i), 2);
    CHECK_CLOSE(sketches::dot(out, i, out, i), fourth, 6 * std::sqrt(8.0 / 1024) * fourth);
  }
  TensorSrht<float>({10, 3, 5})(View<const float>(nullptr, 0, 10), View<const float>(nullptr, 0, 3),
                                View<float>(nullptr, 0, 5));
}

TEST(errors_name_what_is_wrong) {
  using fastntk::Error;
  CHECK(check::throws<Error>([] { TensorSrht<float>({0, 5, 5}); }, "TensorSrht: in_features_1 is 0; at least 1 is needed"));
  CHECK(check::throws<Error>([] { TensorSrht<float>({5, 0, 5}); }, "TensorSrht: in_features_2 is 0; at least 1 is needed"));
  CHECK(check::throws<Error>([] { TensorSrht<float>({5, 5, 0}); }, "TensorSrht: out_features is 0; at least 1 is needed"));
  const std::size_t huge = (std::size_t{1} << 31) + 1;
  CHECK(check::throws<Error>([&] { TensorSrht<float>({huge, 5, 5}); }, "in_features_1 is 2147483649; at most"));
  CHECK(check::throws<Error>([&] { TensorSrht<float>({5, huge, 5}); }, "in_features_2 is 2147483649; at most"));
  const TensorSrht<float> op({10, 4, 5}, Cpu{1});
  Matrix<float> x(3, 10), y(3, 4), out(3, 5), short_y(2, 4), short_out(2, 5);
  CHECK(check::throws<Error>([&] { op(y.view(), y.view(), out.view()); }, "x has shape (3, 4); (3, 10) is needed"));
  CHECK(check::throws<Error>([&] { op(x.view(), x.view(), out.view()); }, "y has shape (3, 10); (3, 4) is needed"));
  CHECK(check::throws<Error>([&] { op(x.view(), short_y.view(), out.view()); }, "y has shape (2, 4); (3, 4) is needed"));
  CHECK(check::throws<Error>([&] { op(x.view(), y.view(), short_out.view()); }, "out has shape (2, 5); (3, 5) is needed"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
