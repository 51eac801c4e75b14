#include <fastntk/fwht.hpp>
#include <fastntk/srht.hpp>

#include <bit>
#include <cmath>
#include <vector>

#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using fastntk::Srht;
using fastntk::View;
using sketches::Matrix;
using sketches::Moments;
using sketches::Pair;

template <class T>
Matrix<T> sketch(const fastntk::SrhtParams& params, const Matrix<T>& x, int threads = 1) {
  Matrix<T> out(x.rows, params.out_features);
  Srht<T>(params, Cpu{threads})(x.view(), out.view());
  return out;
}

// sqrt(1/m) P H D x from the draws and the definition of H, in exact arithmetic: integers, and m a power of four.
template <class T>
void compare_with_the_definition(std::size_t d, std::size_t m, std::uint64_t seed) {
  const Matrix<T> x = sketches::integer_rows<T>(3, d, 100);
  const Matrix<T> out = sketch<T>({d, m, seed}, x);
  const fastntk::rng::Draws signs{seed, fastntk::rng::Stream::sign};
  const fastntk::rng::Draws sample{seed, fastntk::rng::Stream::sample};
  const auto length = static_cast<std::uint32_t>(std::bit_ceil(d));
  for (std::size_t r = 0; r < x.rows; ++r)
    for (std::size_t j = 0; j < m; ++j) {
      const std::uint32_t i = sample.integer(j, length);
      T sum = 0;
      for (std::uint32_t k = 0; k < d; ++k)
        sum += static_cast<T>(std::popcount(i & k) % 2 == 0 ? signs.sign(k) : -signs.sign(k)) * x(r, k);
      CHECK(out(r, j) == sum / std::sqrt(static_cast<T>(m)));
    }
}

TEST(equals_the_definition) {
  for (const std::size_t d : {1u, 2u, 3u, 31u, 33u, 64u, 100u, 784u})
    for (const std::size_t m : {1u, 4u, 64u}) {
      compare_with_the_definition<float>(d, m, 7);
      compare_with_the_definition<double>(d, m, std::uint64_t{1} << 63);
    }
}

// 4 standard errors are exceeded with probability 6e-5, for a seed that is fixed.
TEST(inner_products_are_unbiased_with_the_exact_variance) {
  for (const std::size_t d : {16u, 21u}) {
    const Matrix<double> x = sketches::random_rows<double>(2, d);
    const Pair pair(x, 0, 1);
    for (const std::size_t m : {1u, 8u, 64u}) {
      const Moments s = sketches::inner_products(4000, [&](std::uint64_t seed) { return sketch<double>({d, m, seed}, x); });
      CHECK_CLOSE(s.mean, pair.inner, 4 * s.mean_error);
      CHECK_CLOSE(s.variance, (pair.q() - pair.inner * pair.inner) / static_cast<double>(m), 4 * s.variance_error);
    }
  }
}

TEST(without_replacement_is_unbiased_too_and_varies_less) {
  const std::size_t d = 16, m = 8;
  const Matrix<double> x = sketches::random_rows<double>(2, d);
  const Pair pair(x, 0, 1);
  const Moments s =
      sketches::inner_products(4000, [&](std::uint64_t seed) { return sketch<double>({d, m, seed, false}, x); });
  CHECK_CLOSE(s.mean, pair.inner, 4 * s.mean_error);
  // Sampling m of n without replacement has (n - m)/(n - 1) of the variance.
  const double expected = (pair.q() - pair.inner * pair.inner) / m * (d - m) / (d - 1);
  CHECK_CLOSE(s.variance, expected, 4 * s.variance_error);
}

// All coordinates, each once: up to its order an orthogonal matrix. Integers and powers of four make it exact.
TEST(all_coordinates_without_replacement_are_an_isometry) {
  for (const std::size_t d : {1u, 4u, 13u, 64u, 200u}) {
    const Matrix<double> x = sketches::integer_rows<double>(4, d, 50);
    const Matrix<double> out = sketch<double>({d, std::bit_ceil(d), 3, false}, x);
    for (std::size_t i = 0; i < x.rows; ++i)
      for (std::size_t j = 0; j < x.rows; ++j) CHECK(sketches::dot(out, i, out, j) == sketches::dot(x, i, x, j));
  }
}

TEST(is_exactly_linear) {
  const Matrix<double> x = sketches::integer_rows<double>(3, 100, 1000);
  Matrix<double> sum(1, 100);
  for (std::size_t k = 0; k < 100; ++k) sum(0, k) = 3 * x(0, k) - 5 * x(1, k) + x(2, k);
  const Matrix<double> parts = sketch<double>({100, 16, 1}, x);
  const Matrix<double> whole = sketch<double>({100, 16, 1}, sum);
  for (std::size_t j = 0; j < 16; ++j) CHECK(whole(0, j) == 3 * parts(0, j) - 5 * parts(1, j) + parts(2, j));
}

TEST(zero_goes_to_zero) {
  for (const float value : sketch<float>({100, 30, 1}, Matrix<float>(5, 100)).values) CHECK(value == 0);
}

// log2(n) sums and one product, each rounded: (levels + 1) eps of the sum of magnitudes, and as much for the input's
// rounding.
TEST(float_agrees_with_double) {
  for (const std::size_t d : {3u, 784u, 5000u}) {
    const Matrix<double> x = sketches::random_rows<double>(4, d);
    Matrix<float> narrow(4, d);
    for (std::size_t i = 0; i < x.values.size(); ++i) narrow.values[i] = static_cast<float>(x.values[i]);
    const std::size_t m = 500;
    const Matrix<double> wide = sketch<double>({d, m, 11}, x);
    const Matrix<float> out = sketch<float>({d, m, 11}, narrow);
    const double levels = std::countr_zero(std::bit_ceil(d));
    for (std::size_t r = 0; r < x.rows; ++r) {
      double magnitude = 0;
      for (std::size_t k = 0; k < d; ++k) magnitude += std::abs(x(r, k)) / std::sqrt(static_cast<double>(m));
      for (std::size_t j = 0; j < m; ++j) CHECK_CLOSE(out(r, j), wide(r, j), (levels + 3) * 0x1p-24 * magnitude);
    }
  }
}

TEST(every_split_gives_the_same_bits) {
  for (const std::size_t d : {1u, 3u, 17u, 784u, 3000u}) {
    const Matrix<float> x = sketches::random_rows<float>(150, d);
    sketches::check_every_split<float>(150, 90, [&](int threads, std::size_t first, std::size_t count, View<float> out) {
      Srht<float>({d, 90, 5}, Cpu{threads})(x.view().row_block(first, count), out);
    });
  }
}

TEST(strided_views_are_read_and_written_in_place) {
  Matrix<float> x = sketches::random_rows<float>(10, 120);
  Matrix<float> wide(10, 70);
  std::fill(wide.values.begin(), wide.values.end(), -9.0f);
  const Srht<float> op({100, 30, 2}, Cpu{1});
  op(x.view().col_block(7, 100), wide.view().col_block(11, 30));
  Matrix<float> dense(10, 100), out(10, 30);
  for (std::size_t i = 0; i < 10; ++i)
    for (std::size_t j = 0; j < 100; ++j) dense(i, j) = x(i, j + 7);
  op(dense.view(), out.view());
  for (std::size_t i = 0; i < 10; ++i)
    for (std::size_t j = 0; j < 70; ++j) CHECK(wide(i, j) == (j >= 11 && j < 41 ? out(i, j - 11) : -9.0f));
}

TEST(degenerate_sizes) {
  // One column: every output is +-x/sqrt(m).
  const Matrix<double> one = sketch<double>({1, 4, 1}, sketches::integer_rows<double>(3, 1, 100));
  const Matrix<double> x = sketches::integer_rows<double>(3, 1, 100);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 4; ++j) CHECK(std::abs(one(i, j)) == std::abs(x(i, 0)) / 2);
  // Long rows keep their norm to within six standard deviations of its estimate: variance 2 |x|^4 / m at most.
  const Matrix<double> wide = sketches::random_rows<double>(2, 100000);
  const Matrix<double> out = sketch<double>({100000, 1024, 1}, wide, 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const double square = sketches::dot(wide, i, wide, i);
    CHECK_CLOSE(sketches::dot(out, i, out, i), square, 6 * std::sqrt(2.0 / 1024) * square);
  }
  // More outputs than inputs, and no rows at all.
  CHECK(sketch<float>({2, 1000, 1}, sketches::random_rows<float>(2, 2)).values.size() == 2000);
  Srht<float>({10, 5, 1})(View<const float>(nullptr, 0, 10), View<float>(nullptr, 0, 5));
}

TEST(params_and_copies) {
  const Srht<float> op({10, 5, 42, false}, Cpu{2});
  const Srht<float> copy = op;
  CHECK(copy.params().in_features == 10 && copy.params().out_features == 5 && copy.params().seed == 42);
  CHECK(!copy.params().replacement);
  CHECK(sketch<float>({10, 5, 42}, sketches::random_rows<float>(1, 10)) !=
        sketch<float>({10, 5, 43}, sketches::random_rows<float>(1, 10)));
}

TEST(errors_name_what_is_wrong) {
  using fastntk::Error;
  CHECK(check::throws<Error>([] { Srht<float>({0, 5}); }, "Srht: in_features is 0; at least 1 is needed"));
  CHECK(check::throws<Error>([] { Srht<float>({5, 0}); }, "Srht: out_features is 0; at least 1 is needed"));
  CHECK(check::throws<Error>([] { Srht<float>({5, 9, 0, false}); },
                             "out_features is 9; without replacement at most the padded length 8 is possible"));
  CHECK(check::throws<Error>([] { Srht<float>({(std::size_t{1} << 31) + 1, 5}); },
                             "Srht: in_features is 2147483649; at most"));
  CHECK(
      check::throws<Error>([] { Srht<float>({~std::size_t{0}, 5}); }, "Srht: in_features is 18446744073709551615; at most"));
  const Srht<float> op({10, 5}, Cpu{1});
  Matrix<float> x(3, 10), out(3, 5), narrow(3, 9), short_out(2, 5), wide_out(3, 6);
  CHECK(check::throws<Error>([&] { op(narrow.view(), out.view()); }, "Srht: x has shape (3, 9); (3, 10) is needed"));
  CHECK(check::throws<Error>([&] { op(x.view(), short_out.view()); }, "Srht: out has shape (2, 5); (3, 5) is needed"));
  CHECK(check::throws<Error>([&] { op(x.view(), wide_out.view()); }, "Srht: out has shape (3, 6); (3, 5) is needed"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
