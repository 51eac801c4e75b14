// What the leverage sampler is made of: ranks, products with patterns that change element by element, and the laws on the
// pieces of lines and circles.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <vector>

#include "../../csrc/src/leverage_primitives.hpp"
#include "../../csrc/src/pattern_pieces.hpp"
#include "check.hpp"
#include "sketches.hpp"

namespace {

using namespace fastntk;
using sketches::Matrix;

constexpr double epsilon = std::numeric_limits<double>::epsilon();

struct Ranks {
  explicit Ranks(const Matrix<double>& key) : rank(key.rows * key.cols), order(rank.size()), rows(key.rows), cols(key.cols) {
    Tile<Cpu> tile((Cpu()));
    rank_rows<Cpu>(tile, key.view(), {rank.data(), rows, cols}, {order.data(), rows, cols});
  }
  View<const std::uint32_t> view() const { return {rank.data(), rows, cols}; }
  std::vector<std::uint32_t> rank, order;
  std::size_t rows, cols;
};

TEST(ranks_are_places) {
  for (const std::size_t n : {1, 2, 3, 17, 100, 1000}) {
    // Few different keys: many are equal. And infinities, as rows have that are orthogonal to a curve.
    Matrix<double> key = sketches::integer_rows<double>(3, n, n > 50 ? 9 : 2, n);
    key(1, n / 2) = std::numeric_limits<double>::infinity();
    key(1, 0) = -std::numeric_limits<double>::infinity();
    // Keys that differ in their last bits only, and zeros of both signs.
    for (std::size_t i = 0; i < n; i += 2) key(2, i) = i % 4 == 0 ? -0.0 : 1 + static_cast<double>((7 * i) % n) * epsilon;
    const Ranks found(key);
    for (std::size_t c = 0; c < key.rows; ++c)
      for (std::size_t i = 0; i < n; ++i) {
        std::uint32_t place = 0;
        for (std::size_t j = 0; j < n; ++j) place += key(c, j) < key(c, i) || (key(c, j) == key(c, i) && j < i);
        CHECK(found.rank[c * n + i] == place);
        CHECK(found.order[c * n + place] == i);
      }
  }
}

struct Products {
  Matrix<double> base, passed;
};

Products products(const Matrix<double>& matrix, const Ranks& ranks, const Matrix<double>& before,
                  const Matrix<double>& after, std::size_t first, std::size_t count, bool with_passed = true) {
  Products out{Matrix<double>(before.rows, count), Matrix<double>(before.rows, with_passed ? count : 0)};
  Tile<Cpu> tile((Cpu()));
  const View<const double> rows = matrix.view();
  if (with_passed) {
    passed_products<Cpu>(tile, rows.row_block(first, count), first, ranks.view(), before.view(), after.view(),
                         out.base.view(), out.passed.view());
  } else {
    passed_products<Cpu>(tile, rows.row_block(first, count), first, {}, before.view(), {}, out.base.view(), {});
  }
  return out;
}

// Sums of n products of numbers up to 1 and 2, in any order: 4 n eps of their sizes' sum, below 2 n.
void check_sums(std::size_t n, std::size_t patterns, std::size_t vectors) {
  const auto matrix = sketches::random_rows<double>(n, n, 1);
  const auto before = sketches::random_rows<double>(patterns * vectors, n, 2);
  const auto after = sketches::random_rows<double>(patterns * vectors, n, 3);
  const Ranks ranks(sketches::integer_rows<double>(patterns, n, 20, 4));
  const std::size_t first = n / 3, count = n - first - n / 4;
  const Products found = products(matrix, ranks, before, after, first, count);
  const double tolerance = 8 * epsilon * static_cast<double>(n * n);
  for (std::size_t c = 0; c < before.rows; ++c)
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t* const rank = &ranks.rank[c / vectors * n];
      double base = 0, passed = 0;
      for (std::size_t j = 0; j < n; ++j) {
        const bool is_passed = rank[j] < rank[first + i];
        base += matrix(first + i, j) * before(c, j);
        passed += matrix(first + i, j) * (is_passed ? after(c, j) : before(c, j));
      }
      CHECK_CLOSE(found.base(c, i), base, tolerance);
      CHECK_CLOSE(found.passed(c, i), passed, tolerance);
    }
  CHECK(products(matrix, ranks, before, after, first, count, false).base == found.base);
}

TEST(passed_products_are_their_sums) {
  for (const std::size_t n : {1, 2, 7, 8, 9, 63, 64, 255, 256, 257, 600})
    for (const std::size_t vectors : {1, 2}) check_sums(n, n % 5 + 1, vectors);
}

// Neither of other patterns and rows, nor of a vector that has the same ranks.
TEST(a_product_does_not_depend_on_its_company) {
  const std::size_t n = 300, patterns = 70;
  const auto matrix = sketches::random_rows<double>(n, n, 1);
  const auto before = sketches::random_rows<double>(2 * patterns, n, 2);
  const auto after = sketches::random_rows<double>(2 * patterns, n, 3);
  const auto key = sketches::random_rows<double>(patterns, n, 4);
  const Products all = products(matrix, Ranks(key), before, after, 0, n);
  const auto row_of = [&](const Matrix<double>& m, std::size_t c) {
    Matrix<double> row(1, m.cols);
    std::copy_n(&m.values[c * m.cols], m.cols, row.values.begin());
    return row;
  };
  for (const std::size_t c : {0, 1, 63, 64, 127, 128, 139})
    for (const std::size_t first : {0, 5, 64, 290}) {
      const std::size_t count = std::min<std::size_t>(11, n - first);
      const Products alone = products(matrix, Ranks(row_of(key, c / 2)), row_of(before, c), row_of(after, c), first, count);
      for (std::size_t i = 0; i < count; ++i) {
        CHECK(alone.base(0, i) == all.base(c, first + i));
        CHECK(alone.passed(0, i) == all.passed(c, first + i));
      }
    }
}

// The integral of f from a to b by Gauss and Legendre's rule of 5 points on 400 parts: exact but for rounding where f is as
// smooth as here.
template <class F>
double integral(F&& f, double a, double b) {
  constexpr double node[] = {0, 0.5384693101056831, 0.906179845938664};
  constexpr double weight[] = {128.0 / 225, 0.47862867049936647, 0.23692688505618908};
  constexpr int parts = 400;
  const double half = (b - a) / (2 * parts);
  double sum = 0;
  for (int i = 0; i < parts; ++i) {
    const double middle = a + (2 * i + 1) * half;
    sum += weight[0] * f(middle);
    for (int k = 1; k < 3; ++k) sum += weight[k] * (f(middle - node[k] * half) + f(middle + node[k] * half));
  }
  return sum * half;
}

struct Piece {
  double from, to;
};

// (c0 + c1 t + c2 t^2) with its zero inside, at the edge of, and outside of pieces.
const std::vector<PieceForm> forms = {{1, 0, 0, 0}, {0, 2, 0, 0}, {0, 1, -2, 1}, {.5, .04, -.4, 1}, {1, 9, 6, 1}};

template <class Pieces>
double value_at(const PieceForm& f, double t) {
  if constexpr (std::same_as<Pieces, LinePieces>) {
    return f.step + f.c0 + f.c1 * t + f.c2 * t * t;
  } else {
    return f.step + f.c0 * std::cos(t) * std::cos(t) + f.c1 * std::cos(t) * std::sin(t) + f.c2 * std::sin(t) * std::sin(t);
  }
}

template <class Pieces>
double density_at(const PieceForm& f, double t) {
  const bool line = std::same_as<Pieces, LinePieces>;
  return value_at<Pieces>(f, t) * (line ? std::exp(-t * t / 2) / std::sqrt(2 * std::numbers::pi) : 1);
}

// A mass is a difference of numbers up to the sizes of the coefficients times (1 + t^2) and the probability of the tail; the
// rule's sum of 2000 terms rounds more.
template <class Pieces>
void check_masses(const std::vector<Piece>& pieces) {
  for (const PieceForm& f : forms)
    for (const Piece& piece : pieces) {
      const auto l = Pieces::end(piece.from), u = Pieces::end(piece.to);
      const double mass = Pieces::mass(f, l, u);
      const double expected = integral([&](double t) { return density_at<Pieces>(f, t); }, piece.from, piece.to);
      const double nearest = piece.from > 0 ? piece.from : piece.to < 0 ? -piece.to : 0;
      const double scale = std::same_as<Pieces, LinePieces> ? std::exp(-nearest * nearest / 2) * (1 + nearest * nearest) : 1;
      const double sizes = std::abs(f.step) + std::abs(f.c0) + std::abs(f.c1) + std::abs(f.c2);
      CHECK_CLOSE(mass, expected, 512 * epsilon * scale * sizes);
      // And the place below which a share lies has that share below it.
      for (const double p : {1e-12, .1, .5, .77, 1.0}) {
        const double t = place_in_piece<Pieces>(f, l, u, p);
        CHECK(t >= piece.from && t <= piece.to);
        if (mass < 1e-3 * scale * sizes) continue;  // rounding, by the tolerance above
        const double below = integral([&](double s) { return density_at<Pieces>(f, s); }, piece.from, t);
        CHECK_CLOSE(below, p * mass, 1024 * epsilon * scale * sizes);
      }
    }
}

TEST(masses_on_lines) {
  check_masses<LinePieces>(
      {{-1, 2}, {0, 1}, {-3, 0}, {.5, .75}, {-8, 8}, {-7, -5}, {5, 6}, {1, 1 + 1e-9}, {-1e-9, 1e-9}, {10, 11}, {-31, -30}});
}

TEST(masses_on_circles) {
  check_masses<CirclePieces>({{0, std::numbers::pi}, {0, 1}, {1, 2}, {2, 2 + 1e-9}, {3, std::numbers::pi}, {1.5, 1.6}});
}

// Beyond the ends of a line no probability is left, and masses of whole lines are moments.
TEST(whole_lines) {
  const LinePieces::End first = LinePieces::end(-std::numeric_limits<double>::infinity());
  const LinePieces::End last = LinePieces::end(std::numeric_limits<double>::infinity());
  CHECK_CLOSE(LinePieces::mass({2, 3, 5, 7}, first, last), 2 + 3 + 7, 16 * epsilon);
  CHECK(LinePieces::mass({1, 1, 1, 1}, last, last) == 0);
  CHECK(LinePieces::mass({1, 1, 1, 1}, LinePieces::end(-1e300), first) == 0);
  CHECK_CLOSE(place_in_piece<LinePieces>({1, 0, 0, 0}, first, last, 0.5), 0, 4 * epsilon);
  CHECK_CLOSE(place_in_piece<LinePieces>({1, 0, 0, 0}, first, last, 0.975), 1.959963984540054, 8 * epsilon);
  // Far out, where the nearest place has nearly all of the mass: P(t > 30 + x/30) is about exp(-x).
  const double t = place_in_piece<LinePieces>({1, 0, 0, 0}, LinePieces::end(30), last, 0.5);
  CHECK_CLOSE((t - 30) * 30, std::log(2), 2e-3);
}

// Newton's method alone would take hundreds of steps from one tail into the other, and bisection as many as a double has
// bits: both ends are exact nevertheless.
TEST(places_in_tails) {
  for (const double p : {1e-300, 1e-100, 1e-16, 1e-3}) {
    const double t = place_in_piece<LinePieces>({1, 0, 0, 0}, LinePieces::first_end(), LinePieces::last_end(), p);
    CHECK_CLOSE(LinePieces::end(t).tail / p, 1, 64 * epsilon * (1 + t * t));
    CHECK(t < 0);
  }
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
