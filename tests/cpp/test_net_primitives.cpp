#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

#include "../../csrc/src/net_batches.hpp"
#include "../../csrc/src/net_primitives.hpp"
#include "sketches.hpp"

using namespace fastntk;
using sketches::Matrix;

namespace {

constexpr std::size_t widths[] = {1, 3, 8, 31, 32, 33, 63, 64, 65, 100, 257};

template <class T>
Matrix<T> special_rows(std::size_t rows, std::size_t cols) {
  Matrix<T> x = sketches::random_rows<T>(rows, cols, cols);
  const T values[] = {T(0),
                      T(-0.0),
                      std::numeric_limits<T>::infinity(),
                      -std::numeric_limits<T>::infinity(),
                      std::numeric_limits<T>::quiet_NaN(),
                      std::numeric_limits<T>::denorm_min(),
                      -std::numeric_limits<T>::denorm_min()};
  for (std::size_t i = 0; i < x.values.size(); i += 3) x.values[i] = values[i / 3 % 7];
  return x;
}

template <class T>
bool same(T a, T b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

template <class T>
void check_relu() {
  for (const std::size_t cols : widths) {
    constexpr std::size_t rows = 5;
    const Matrix<T> x = special_rows<T>(rows, cols + 2), before = sketches::random_rows<T>(rows, cols + 2, 7);
    Matrix<T> h = x, delta = before;
    Matrix<std::uint32_t> mask(rows, mask_words(cols) + 1);
    for (std::uint32_t& word : mask.values) word = 0xdeadbeef;
    const View<std::uint32_t> bits = mask.view().col_block(0, mask_words(cols));
    Tile<Cpu> tile{Cpu{}};
    relu_forward<T, Cpu>(tile, T(0.5), h.view().col_block(0, cols), bits);
    mask_rows<T, Cpu>(tile, bits, T(3), delta.view().col_block(0, cols));
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t j = 0; j < cols + 2; ++j) {
        const bool active = !(x(r, j) <= 0);
        const T expected = active ? T(0.5) * x(r, j) : T(0);
        CHECK(same(h(r, j), j < cols ? expected : x(r, j)));
        const T passed = active ? T(3) * before(r, j) : T(0);
        CHECK(delta(r, j) == (j < cols ? passed : before(r, j)));
        if (j < cols) CHECK((mask(r, j / 32) >> j % 32 & 1u) == static_cast<std::uint32_t>(active));
      }
      for (std::size_t j = cols; j < 32 * mask_words(cols); ++j) CHECK((mask(r, j / 32) >> j % 32 & 1u) == 0);
      CHECK(mask(r, mask_words(cols)) == 0xdeadbeef);
    }
  }
}

// Sums of at most 40 products of numbers below 1.
template <class T>
void check_gemm() {
  const double tolerance = 40 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (const Transposed op_a : {Transposed::no, Transposed::yes})
    for (const Transposed op_b : {Transposed::no, Transposed::yes})
      for (const std::size_t m : {1, 9})
        for (const std::size_t n : {1, 17})
          for (const std::size_t k : {1, 38})
            for (const double beta : {0.0, 1.0, -0.5}) {
              const bool at = op_a == Transposed::yes, bt = op_b == Transposed::yes;
              const Matrix<T> a = sketches::random_rows<T>(at ? k : m, (at ? m : k) + 1, 3);
              const Matrix<T> b = sketches::random_rows<T>(bt ? n : k, (bt ? k : n) + 2, 4);
              const Matrix<T> before = sketches::random_rows<T>(m, n + 3, 5);
              Matrix<T> c = before;
              for (std::size_t i = 0; beta == 0 && i < m; ++i)
                for (std::size_t j = 0; j < n; ++j) c(i, j) = std::numeric_limits<T>::quiet_NaN();
              Tile<Cpu> tile{Cpu{}};
              gemm<T, Cpu>(tile, op_a, op_b, T(0.25), a.view().col_block(0, at ? m : k), b.view().col_block(0, bt ? k : n),
                           static_cast<T>(beta), c.view().col_block(0, n));
              for (std::size_t i = 0; i < m; ++i)
                for (std::size_t j = 0; j < n + 3; ++j) {
                  if (j >= n) {
                    CHECK(c(i, j) == before(i, j));
                    continue;
                  }
                  double sum = 0;
                  for (std::size_t p = 0; p < k; ++p)
                    sum += static_cast<double>(at ? a(p, i) : a(i, p)) * static_cast<double>(bt ? b(j, p) : b(p, j));
                  CHECK_CLOSE(c(i, j), 0.25 * sum + beta * static_cast<double>(before(i, j)), tolerance);
                }
            }
}

}  // namespace

TEST(relu_and_its_mask) {
  check_relu<float>();
  check_relu<double>();
}

TEST(products) {
  check_gemm<float>();
  check_gemm<double>();
}

TEST(rows_of_a_batch) {
  const Matrix<float> x = sketches::random_rows<float>(9, 5);
  const std::vector<std::uint32_t> index{8, 0, 3, 3};
  Matrix<float> out(4, 5);
  Tile<Cpu> tile{Cpu{}};
  gather_rows<float, Cpu>(tile, x.view(), index.data(), out.view());
  for (std::size_t r = 0; r < 4; ++r)
    for (std::size_t j = 0; j < 5; ++j) CHECK(out(r, j) == x(index[r], j));
}

TEST(passes_take_every_row_once) {
  for (const std::size_t n : {1, 2, 7, 12})
    for (std::size_t b = 1; b <= n; ++b) {
      Matrix<double> x(n, 2), y(n, 1);
      for (std::size_t i = 0; i < n; ++i) x(i, 0) = y(i, 0) = static_cast<double>(i);
      NetBatches<double, Cpu> batches(Cpu{2}, 5, b, x.view(), y.view());
      const std::size_t steps = (n + b - 1) / b, most = (n + steps - 1) / steps;
      CHECK(batches.most_rows() == most && most <= b);
      for (std::uint64_t pass = 0; pass < 3; ++pass) {
        std::multiset<double> seen;
        for (std::size_t i = 0; i < steps; ++i) {
          const NetBatch<double, Cpu> batch = batches.at(pass * steps + i);
          CHECK(batch.x.rows <= most && batch.x.rows + 1 >= most && batch.y.rows == batch.x.rows);
          CHECK(batch.scale == static_cast<double>(n) / static_cast<double>(batch.x.rows));
          for (std::size_t r = 0; r < batch.x.rows; ++r) {
            CHECK(batch.x(r, 0) == batch.y(r, 0) && batch.x(r, 1) == 0);
            seen.insert(batch.x(r, 0));
          }
        }
        CHECK(seen.size() == n && std::set<double>(seen.begin(), seen.end()).size() == n);
      }
    }
}

// A step does not depend on those asked for before.
TEST(batches_in_any_order_of_steps) {
  const Matrix<float> x = sketches::random_rows<float>(10, 3), y = sketches::random_rows<float>(10, 2);
  NetBatches<float, Cpu> one(Cpu{}, 9, 4, x.view(), y.view()), other(Cpu{}, 9, 4, x.view(), y.view());
  for (std::uint64_t step = 0; step < 9; ++step) {
    other.at(8 - step);
    const NetBatch<float, Cpu> a = one.at(step), b = other.at(step);
    CHECK(a.x.rows == b.x.rows);
    for (std::size_t r = 0; r < a.x.rows; ++r) CHECK(a.x(r, 1) == b.x(r, 1) && a.y(r, 0) == b.y(r, 0));
  }
}

// All 24 orders of 4 rows alike: chi^2 with 23 degrees of freedom is above 58.6 with probability 6e-5.
TEST(orders_are_uniform) {
  const int passes = check::repetitions(24000);
  std::vector<int> count(256);
  for (int pass = 0; pass < passes; ++pass) {
    const std::vector<std::uint32_t> order = row_order(3, static_cast<std::uint64_t>(pass), 4);
    ++count[order[0] * 64 + order[1] * 16 + order[2] * 4 + order[3]];
  }
  double chi_square = 0;
  int found = 0;
  for (const int c : count) {
    if (c == 0) continue;
    ++found;
    chi_square += std::pow(c - passes / 24.0, 2) / (passes / 24.0);
  }
  CHECK(found == 24);
  CHECK(chi_square < 58.6);
  CHECK(row_order(3, 0, 50) != row_order(4, 0, 50));
  CHECK(row_order(3, 0, 50) != row_order(3, 1, 50));
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
