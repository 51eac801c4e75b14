// Predictions and the dual solver on a device against loops in double.
#include <fastntk/linear.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>

#include "device.hpp"

using namespace fastntk;
using device::DeviceMatrix;
using sketches::Matrix;

namespace {

template <class T>
constexpr double eps = std::numeric_limits<T>::epsilon();

template <class T>
void check_map(std::size_t n, std::size_t d, std::size_t t, std::size_t gap) {
  const Matrix<T> z = sketches::random_rows<T>(n, d, 1), coef = sketches::random_rows<T>(d, t, 2),
                  intercept = sketches::random_rows<T>(1, t, 3);
  const DeviceMatrix<T> dz(z, gap), dcoef(coef, gap), dintercept(intercept, gap);
  DeviceMatrix<T> out(n, t, gap);
  linear_map<T>(Cuda{}, dz.view(), dcoef.view(), dintercept.view(), out.view());
  const Matrix<T> found = out.to_host();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < t; ++k) {
      double expected = static_cast<double>(intercept(0, k));
      for (std::size_t j = 0; j < d; ++j) expected += static_cast<double>(z(i, j)) * static_cast<double>(coef(j, k));
      // d + 1 summands below 1, with random signs: far inside d eps.
      if (!CHECK_CLOSE(found(i, k), expected, 4 * static_cast<double>(d + 2) * eps<T>)) return;
    }
  }
}

// X X^T / d for n rows of d columns, in double; random entries in (-1, 1).
template <class T>
Matrix<T> gram(std::size_t n, std::size_t d) {
  const Matrix<double> x = sketches::random_rows<double>(n, d, 4);
  Matrix<T> k(n, n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) k(i, j) = static_cast<T>(sketches::dot(x, i, x, j) / static_cast<double>(d));
  return k;
}

template <class T>
void check_solve(std::size_t n, std::size_t t, std::size_t gap) {
  const double alpha = 0.25;
  const Matrix<T> k = gram<T>(n, n / 2 + 1), y = sketches::random_rows<T>(n, t, 5);
  Matrix<T> lower = k;
  for (std::size_t i = 0; i < n; ++i)  // only the lower triangle is read
    for (std::size_t j = i + 1; j < n; ++j) lower(i, j) = std::numeric_limits<T>::quiet_NaN();
  DeviceMatrix<T> dk(lower, gap), dy(y, gap);
  solve_positive_definite<T>(Cuda{}, alpha, dk.view(), dy.view());
  const Matrix<T> a = dy.to_host();
  // |k| is at most its trace, n/3 on average. A Cholesky solution's residual is below n eps |k + alpha I| |a|.
  double largest = 0;
  for (const T value : a.values) largest = std::max(largest, std::abs(static_cast<double>(value)));
  const double size = static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t c = 0; c < t; ++c) {
      double left = alpha * static_cast<double>(a(i, c));
      for (std::size_t j = 0; j < n; ++j) left += static_cast<double>(k(i, j)) * static_cast<double>(a(j, c));
      if (!CHECK_CLOSE(left, y(i, c), (size + 1) * eps<T> * (size / 2 + 1) * largest)) return;
    }
  }
}

}  // namespace

TEST(linear_map_is_the_product_and_the_intercept) {
  for (const std::size_t gap : {0, 3}) {
    check_map<float>(1, 1, 1, gap);
    check_map<float>(300, 70, 10, gap);
    check_map<double>(70, 129, 3, gap);
    check_map<float>(0, 5, 2, gap);
    check_map<double>(4, 0, 2, gap);
  }
}

TEST(solve_positive_definite_solves) {
  for (const std::size_t gap : {0, 3}) {
    check_solve<float>(1, 1, gap);
    check_solve<float>(90, 4, gap);
    check_solve<double>(150, 1, gap);
    check_solve<double>(0, 2, gap);
  }
}

TEST(what_cannot_be_solved_is_refused) {
  const auto refused = [](const Matrix<double>& k, double alpha, const std::string& part) {
    const Matrix<double> y = sketches::random_rows<double>(k.rows, 2, 6);
    DeviceMatrix<double> dk(k), dy(y);
    const bool thrown =
        check::throws<Error>([&] { solve_positive_definite<double>(Cuda{}, alpha, dk.view(), dy.view()); }, part);
    return thrown && dy.to_host() == y;
  };
  Matrix<double> k = gram<double>(20, 40);
  CHECK(refused(k, -1, "alpha is -1"));
  CHECK(refused(k, std::numeric_limits<double>::infinity(), "alpha is inf"));
  k(7, 7) = -2;
  CHECK(refused(k, 0.5, "alpha is 0.5"));
  k(7, 7) = std::numeric_limits<double>::quiet_NaN();
  CHECK(refused(k, 0.5, "not positive definite"));
}

TEST(shapes_are_checked) {
  DeviceMatrix<float> a(4, 4), b(4, 2), c(1, 2), d(3, 2);
  const auto fails = [](auto call, const char* part) { return check::throws<Error>(call, part); };
  const auto map = [](auto z, auto coef, auto intercept, auto out) {
    linear_map<float>(Cuda{}, View<const float, Cuda>(z), View<const float, Cuda>(coef), View<const float, Cuda>(intercept),
                      out);
  };
  CHECK(fails([&] { map(a.view(), d.view(), c.view(), b.view()); }, "coef has shape (3, 2)"));
  CHECK(fails([&] { map(a.view(), b.view(), d.view(), b.view()); }, "intercept has shape (3, 2)"));
  CHECK(fails([&] { map(a.view(), b.view(), c.view(), d.view()); }, "out has shape (3, 2)"));
  CHECK(fails([&] { solve_positive_definite<float>(Cuda{}, 1, b.view(), b.view()); }, "k has shape (4, 2)"));
  CHECK(fails([&] { solve_positive_definite<float>(Cuda{}, 1, a.view(), d.view()); }, "y has shape (3, 2)"));
}

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
