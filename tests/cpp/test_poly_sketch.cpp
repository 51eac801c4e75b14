#include <fastntk/count_sketch.hpp>
#include <fastntk/poly_sketch.hpp>
#include <fastntk/srht.hpp>
#include <fastntk/tensor_srht.hpp>

#include <bit>
#include <cmath>
#include <vector>

#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using fastntk::PolySketch;
using fastntk::PolySketchBase;
using fastntk::PolySketchParams;
using fastntk::View;
using fastntk::rng::child_seed;
using sketches::Matrix;
using sketches::Moments;
using sketches::Pair;

constexpr PolySketchBase bases[] = {PolySketchBase::srht, PolySketchBase::count_sketch};

template <class T>
Matrix<T> sketch(const PolySketchParams& params, const Matrix<T>& x, int threads = 1) {
  Matrix<T> out(x.rows, params.out_features);
  PolySketch<T>(params, Cpu{threads})(x.view(), out.view());
  return out;
}

template <class T>
Matrix<T> sketch_tensor(const PolySketchParams& params, const std::vector<Matrix<T>>& factors) {
  Matrix<T> out(factors[0].rows, params.out_features);
  std::vector<View<const T>> views;
  for (const Matrix<T>& x : factors) views.push_back(x.view());
  PolySketch<T>(params, Cpu{1}).tensor(views, out.view());
  return out;
}

template <class T>
std::vector<Matrix<T>> sketch_powers(const PolySketchParams& params, const Matrix<T>& x, int threads = 1) {
  std::vector<Matrix<T>> out(params.degree + 1, Matrix<T>(x.rows, params.out_features));
  std::vector<View<T>> views;
  for (Matrix<T>& z : out) views.push_back(z.view());
  PolySketch<T>(params, Cpu{threads}).powers(x.view(), views);
  return out;
}

template <class T>
Matrix<T> first_unit_vectors(std::size_t rows, std::size_t cols) {
  Matrix<T> e1(rows, cols);
  for (std::size_t i = 0; i < rows; ++i) e1(i, 0) = 1;
  return e1;
}

// The whole tree, node after node, from the public sketches: node 1 is the root, 2v and 2v + 1 are v's children, node
// leaves + k is leaf k, every node's seed is its child seed, and the leaves that the degree leaves over hold e1.
template <class T>
Matrix<T> tree(const PolySketchParams& p, const std::vector<Matrix<T>>& factors, std::size_t v = 1) {
  const std::size_t leaves = std::bit_ceil(p.degree);
  const std::size_t rows = factors[0].rows, m = p.out_features;
  Matrix<T> out(rows, m);
  const std::uint64_t seed = child_seed(p.seed, v);
  if (v < leaves) {
    const Matrix<T> left = tree(p, factors, 2 * v), right = tree(p, factors, 2 * v + 1);
    fastntk::TensorSrht<T>({m, m, m, seed}, Cpu{1})(left.view(), right.view(), out.view());
    return out;
  }
  const Matrix<T> x = v - leaves < p.degree ? factors[v - leaves] : first_unit_vectors<T>(rows, p.in_features);
  if (p.base == PolySketchBase::srht) {
    fastntk::Srht<T>({p.in_features, m, seed}, Cpu{1})(x.view(), out.view());
  } else {
    fastntk::CountSketch<T>({p.in_features, m, seed}, Cpu{1})(x.view(), out.view());
  }
  return out;
}

template <class T>
std::vector<Matrix<T>> different_factors(std::size_t degree, std::size_t rows, std::size_t d) {
  std::vector<Matrix<T>> factors;
  for (std::size_t k = 0; k < degree; ++k) factors.push_back(sketches::random_rows<T>(rows, d, 50 + k));
  return factors;
}

TEST(is_the_tree_of_its_parts) {
  for (const PolySketchBase base : bases)
    for (std::size_t degree = 1; degree <= 17; ++degree)
      for (const std::size_t m : {1u, 6u, 32u}) {
        const PolySketchParams params{10, degree, m, 77 + degree, base};
        const auto factors = different_factors<float>(degree, 3, 10);
        CHECK(sketch_tensor(params, factors) == tree(params, factors));
        CHECK(sketch(params, factors[0]) == tree(params, std::vector<Matrix<float>>(degree, factors[0])));
      }
}

TEST(powers_are_tensors_with_e1_in_the_other_places) {
  for (const PolySketchBase base : bases)
    for (std::size_t degree = 1; degree <= 17; ++degree) {
      const PolySketchParams params{7, degree, 16, 5 * degree, base};
      const Matrix<float> x = sketches::random_rows<float>(3, 7);
      const auto powers = sketch_powers(params, x);
      CHECK(powers[degree] == sketch(params, x));
      for (std::size_t j = 0; j <= degree; ++j) {
        std::vector<Matrix<float>> factors(degree, x);
        for (std::size_t k = j; k < degree; ++k) factors[k] = first_unit_vectors<float>(3, 7);
        // The value where all leaves hold e1 comes from one row and not from this batch: the same bits nevertheless.
        CHECK(powers[j] == sketch_tensor(params, factors));
      }
    }
}

// Upper bounds of E <,>^2 and E |.|^2 |.|^2 at a node, from those of its children (u1, v1) and (u2, v2): both are
// (1 - 1/m)(product of the children's) + (v1 + 2 u1)(v2 + 2 u2)/m.
struct SecondMoments {
  double u, v;
};

SecondMoments node(SecondMoments a, SecondMoments b, double m) {
  const double spread = (a.v + 2 * a.u) * (b.v + 2 * b.u) / m;
  return {(1 - 1 / m) * a.u * b.u + spread, (1 - 1 / m) * a.v * b.v + spread};
}

SecondMoments bound(std::size_t degree, std::size_t leaves, const SecondMoments& leaf, double m) {
  if (degree == 0) return {1, 1};
  if (leaves == 1) return leaf;
  const std::size_t left = std::min(degree, leaves / 2);
  return node(bound(left, leaves / 2, leaf, m), bound(degree - left, leaves / 2, leaf, m), m);
}

SecondMoments leaf_moments(PolySketchBase base, const Pair& p, double m) {
  if (base == PolySketchBase::srht) return {(1 - 1 / m) * p.inner * p.inner + p.q() / m, (1 - 1 / m) * p.norms + p.q() / m};
  return {p.inner * p.inner + (p.norms + p.inner * p.inner - 2 * p.fourth) / m,
          p.norms + 2 * (p.inner * p.inner - p.fourth) / m};
}

// 4 standard errors are exceeded with probability 6e-5, for seeds that are fixed; at large degree the law of an estimate has
// heavy tails, so m grows with it.
TEST(inner_products_are_unbiased_with_bounded_variance) {
  Matrix<double> x = sketches::random_rows<double>(2, 12, 4);
  for (std::size_t k = 0; k < 12; ++k) x(1, k) = 0.6 * x(1, k) + 0.8 * x(0, k);
  for (std::size_t i = 0; i < 2; ++i) {
    const double norm = std::sqrt(sketches::dot(x, i, x, i));
    for (std::size_t k = 0; k < 12; ++k) x(i, k) /= norm;
  }
  const Pair pair(x, 0, 1);
  for (const PolySketchBase base : bases)
    for (const std::size_t degree : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 9u})
      for (const std::size_t m : {8 * degree, 32 * degree}) {
        const Moments s = sketches::inner_products(
            1500, [&](std::uint64_t seed) { return sketch<double>({12, degree, m, seed, base}, x); });
        const double inner = std::pow(pair.inner, static_cast<double>(degree));
        CHECK_CLOSE(s.mean, inner, 4 * s.mean_error);
        const double wide = static_cast<double>(m);
        const double second = bound(degree, std::bit_ceil(degree), leaf_moments(base, pair, wide), wide).u;
        CHECK(s.variance <= second - inner * inner + 4 * s.variance_error);
        // An upper bound of something else would be far away; simulation gives from 57 % of this one on.
        CHECK(s.variance + 4 * s.variance_error >= 0.5 * second - inner * inner);
      }
}

TEST(powers_are_unbiased) {
  const Matrix<double> x = sketches::random_rows<double>(2, 6, 9);
  const double inner = sketches::dot(x, 0, x, 1);
  const std::size_t degree = 3;
  std::vector<std::vector<double>> products(degree + 1);
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    const auto powers = sketch_powers<double>({6, degree, 32, seed}, x);
    for (std::size_t j = 0; j <= degree; ++j) products[j].push_back(sketches::dot(powers[j], 0, powers[j], 1));
  }
  for (std::size_t j = 0; j <= degree; ++j) {
    const Moments s(products[j]);
    CHECK_CLOSE(s.mean, std::pow(inner, static_cast<double>(j)), 4 * s.mean_error);
  }
}

// Small integers, and a power of four of outputs: all is exact in double, and in float for two factors.
TEST(is_exactly_linear_in_every_factor) {
  for (const PolySketchBase base : bases)
    for (const std::size_t degree : {1u, 2u, 3u, 4u, 6u})
      for (std::size_t place = 0; place < degree; ++place) {
        const PolySketchParams params{5, degree, 16, 31, base};
        std::vector<Matrix<double>> factors;
        for (std::size_t k = 0; k < degree; ++k) factors.push_back(sketches::integer_rows<double>(1, 5, 3, 10 + k));
        const Matrix<double> a = sketches::integer_rows<double>(1, 5, 3, 1), b = sketches::integer_rows<double>(1, 5, 3, 2);
        factors[place] = a;
        const Matrix<double> of_a = sketch_tensor(params, factors);
        factors[place] = b;
        const Matrix<double> of_b = sketch_tensor(params, factors);
        for (std::size_t k = 0; k < 5; ++k) factors[place](0, k) = 2 * a(0, k) - 3 * b(0, k);
        const Matrix<double> of_sum = sketch_tensor(params, factors);
        for (std::size_t j = 0; j < 16; ++j) CHECK(of_sum(0, j) == 2 * of_a(0, j) - 3 * of_b(0, j));
      }
}

TEST(float_agrees_with_double_exactly_on_small_integers) {
  for (const PolySketchBase base : bases)
    for (const std::size_t degree : {1u, 2u}) {
      const PolySketchParams params{6, degree, 16, 3, base};
      const Matrix<float> narrow = sketches::integer_rows<float>(4, 6, 5);
      const Matrix<double> wide = sketches::integer_rows<double>(4, 6, 5);
      const Matrix<float> out = sketch(params, narrow);
      const Matrix<double> expected = sketch(params, wide);
      for (std::size_t i = 0; i < out.values.size(); ++i) CHECK(static_cast<double>(out.values[i]) == expected.values[i]);
    }
}

// Relative to |x|^p in norm: an input's rounding is eps; a leaf's transform adds log2(n) eps, the scale one more; a node
// adds up its children's errors and its two transforms' and products'. The sketch of an error has its norm up to sqrt(1 + 10
// sqrt(8/m)) a level, unless with a probability of 1/100 (Chebyshev): below 2 a level for m = 256.
TEST(float_agrees_with_double) {
  for (const PolySketchBase base : bases)
    for (const std::size_t degree : {2u, 3u, 4u, 7u, 8u}) {
      const std::size_t m = 256, d = 100;
      const PolySketchParams params{d, degree, m, 3, base};
      const Matrix<double> x = sketches::random_rows<double>(4, d);
      Matrix<float> narrow(4, d);
      for (std::size_t i = 0; i < x.values.size(); ++i) narrow.values[i] = static_cast<float>(x.values[i]);
      const Matrix<float> out = sketch(params, narrow);
      const Matrix<double> wide = sketch(params, x);
      const double leaves = static_cast<double>(std::bit_ceil(degree));
      const double rounded = leaves * (7 + 2) + (leaves - 1) * (2 * 8 + 3);
      const double tolerance = rounded * std::pow(2.0, std::log2(leaves)) * 0x1p-24;
      for (std::size_t r = 0; r < 4; ++r) {
        double error = 0;
        for (std::size_t j = 0; j < m; ++j) error += std::pow(static_cast<double>(out(r, j)) - wide(r, j), 2);
        const double norm = std::sqrt(sketches::dot(x, r, x, r));
        CHECK(std::sqrt(error) <= tolerance * std::pow(norm, static_cast<double>(degree)));
      }
    }
}

TEST(zero_goes_to_zero) {
  for (const PolySketchBase base : bases)
    for (const std::size_t degree : {1u, 2u, 3u, 8u}) {
      const PolySketchParams params{30, degree, 16, 3, base};
      for (const float value : sketch(params, Matrix<float>(3, 30)).values) CHECK(value == 0);
      const auto powers = sketch_powers(params, Matrix<float>(3, 30));
      for (std::size_t j = 1; j <= degree; ++j)
        for (const float value : powers[j].values) CHECK(value == 0);
      CHECK(powers[0].values[0] != 0 || base == PolySketchBase::count_sketch);
    }
}

TEST(every_split_gives_the_same_bits) {
  for (const PolySketchBase base : bases)
    for (const std::size_t degree : {1u, 2u, 3u, 5u, 8u})
      for (const std::size_t d : {1u, 50u, 784u}) {
        const Matrix<float> x = sketches::random_rows<float>(100, d);
        const PolySketchParams params{d, degree, 90, 5, base};
        sketches::check_every_split<float>(100, 90, [&](int threads, std::size_t first, std::size_t count, View<float> out) {
          PolySketch<float>(params, Cpu{threads})(x.view().row_block(first, count), out);
        });
        // All powers side by side, as one wide output.
        const std::size_t wide = 90 * (degree + 1);
        sketches::check_every_split<float>(
            100, wide, [&](int threads, std::size_t first, std::size_t count, View<float> out) {
              std::vector<View<float>> powers;
              for (std::size_t j = 0; j <= degree; ++j) powers.push_back(out.col_block(90 * j, 90));
              PolySketch<float>(params, Cpu{threads}).powers(x.view().row_block(first, count), powers);
            });
      }
}

TEST(degenerate_sizes) {
  const Matrix<double> two = sketches::integer_rows<double>(2, 1, 9);
  for (const PolySketchBase base : bases) {
    // One column, one output: plus or minus a power.
    for (const std::size_t degree : {1u, 2u, 5u}) {
      const Matrix<double> out = sketch<double>({1, degree, 1, 3, base}, two);
      for (std::size_t i = 0; i < 2; ++i)
        CHECK(std::abs(out(i, 0)) == std::pow(std::abs(two(i, 0)), static_cast<double>(degree)));
    }
    // Many columns.
    Matrix<double> wide = sketches::random_rows<double>(2, 100000);
    for (double& value : wide.values) value /= 100;
    const Pair pair(wide, 0, 0);
    const double m = 1024;
    const Matrix<double> out = sketch<double>({100000, 3, 1024, 1, base}, wide, 2);
    const double cube = std::pow(pair.inner, 3);
    const double deviation = std::sqrt(bound(3, 4, leaf_moments(base, pair, m), m).u - cube * cube);
    CHECK_CLOSE(sketches::dot(out, 0, out, 0), cube, 6 * deviation);
  }
  const PolySketch<float> op({10, 3, 5});
  op(View<const float>(nullptr, 0, 10), View<float>(nullptr, 0, 5));
  op.powers(View<const float>(nullptr, 0, 10), std::vector<View<float>>(4, View<float>(nullptr, 0, 5)));
  // A degree whose tree would need gigabytes if it were kept whole.
  const Matrix<float> unit = first_unit_vectors<float>(64, 4);
  double square = 0;
  for (const float value : sketch<float>({4, 1000, 4096, 3}, unit).values) square += static_cast<double>(value * value);
  CHECK(square > 0);
}

TEST(errors_name_what_is_wrong) {
  using fastntk::Error;
  CHECK(check::throws<Error>([] { PolySketch<float>({0, 2, 5}); }, "PolySketch: in_features is 0; at least 1 is needed"));
  CHECK(check::throws<Error>([] { PolySketch<float>({5, 0, 5}); }, "PolySketch: degree is 0; at least 1 is needed"));
  CHECK(check::throws<Error>([] { PolySketch<float>({5, 2, 0}); }, "PolySketch: out_features is 0; at least 1 is needed"));
  const std::size_t huge = (std::size_t{1} << 31) + 1;
  CHECK(check::throws<Error>([&] { PolySketch<float>({huge, 2, 5}); }, "PolySketch: in_features is 2147483649; at most"));
  CHECK(check::throws<Error>([&] { PolySketch<float>({5, ~std::size_t{0}, 5}); },
                             "PolySketch: degree is 18446744073709551615; at most"));
  CHECK(check::throws<Error>([&] { PolySketch<float>({5, 2, huge}); }, "PolySketch: out_features is 2147483649; at most"));
  const PolySketch<float> op({10, 3, 5}, Cpu{1});
  Matrix<float> x(3, 10), out(3, 5), narrow(3, 9), short_out(2, 5), short_x(2, 10);
  CHECK(check::throws<Error>([&] { op(narrow.view(), out.view()); }, "x has shape (3, 9); (3, 10) is needed"));
  CHECK(check::throws<Error>([&] { op(x.view(), short_out.view()); }, "out has shape (2, 5); (3, 5) is needed"));
  CHECK(check::throws<Error>([&] { op.tensor({x.view(), x.view()}, out.view()); },
                             "PolySketch: factors has 2 entries; degree = 3 are needed"));
  CHECK(check::throws<Error>([&] { op.tensor({x.view(), x.view(), short_x.view()}, out.view()); },
                             "has shape (2, 10); (3, 10) is needed"));
  CHECK(check::throws<Error>([&] { op.powers(x.view(), {out.view()}); }, "out has 1 entries; degree + 1 = 4 are needed"));
  CHECK(check::throws<Error>([&] { op.powers(x.view(), {out.view(), out.view(), out.view(), short_out.view()}); },
                             "out has shape (2, 5); (3, 5) is needed"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
