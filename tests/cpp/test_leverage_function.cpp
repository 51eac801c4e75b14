#include <fastntk/exact.hpp>
#include <fastntk/leverage.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iostream>
#include <limits>
#include <vector>

#include "check.hpp"
#include "leverage_reference.hpp"
#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using fastntk::Error;
using fastntk::FeatureFamily;
using fastntk::LeverageFunction;
using fastntk::LeverageInverse;
using fastntk::View;
using leverage::families;
using leverage::Forms;
using sketches::Matrix;

template <class T>
Matrix<T> forms(const LeverageFunction<T>& function, const Matrix<T>& w) {
  Matrix<T> out(w.rows, 1);
  function(w.view(), out.view());
  return out;
}

// Sums of at most 1024 products in T, and sums of these in double: eps times the root of their number, and the products'
// sizes.
template <class T>
void check_forms(const leverage::Case& c, LeverageInverse kind) {
  const auto x = leverage::inputs<T>(c.n, c.d);
  const auto w = sketches::random_rows<T>(c.m, c.d, 7);
  const auto matrix = kind == LeverageInverse::exact ? leverage::inverse<T>(c.n) : leverage::factor<T>(c.n, c.width);
  for (const FeatureFamily family : families) {
    const double alpha = 0.3;
    const Matrix<T> found = forms(LeverageFunction<T>({family, alpha}, kind, x.view(), matrix.view()), w);
    for (std::size_t j = 0; j < c.m; ++j) {
      const Forms expected = leverage::reference(family, alpha, kind, x, matrix, w, j);
      const double tolerance = 32 * static_cast<double>(std::numeric_limits<T>::epsilon()) * expected.magnitude;
      if (!CHECK_CLOSE(found(j, 0), expected.value, tolerance))
        std::cout << "family " << static_cast<int>(family) << ", n " << c.n << ", d " << c.d << ", direction " << j << "\n";
    }
  }
}

TEST(forms_are_those_of_the_definition) {
  // One block of rows, several, columns of U beyond a panel, and more inputs than vectors are worked on together.
  for (const leverage::Case& c : {leverage::Case{1, 1, 1, 1}, {37, 4, 10, 5}, {1100, 3, 400, 3}, {40, 130, 7, 2}})
    for (const LeverageInverse kind : {LeverageInverse::exact, LeverageInverse::features}) {
      check_forms<double>(c, kind);
      check_forms<float>(c, kind);
    }
}

// E_w tr[Phi^T (K + lambda I)^-1 Phi] = tr[(K + lambda I)^-1 K] for the kernel of each family; five standard errors,
// exceeded with probability 6e-7.
TEST(their_mean_is_the_statistical_dimension) {
  constexpr std::size_t n = 20, d = 3, m = check::repetitions(std::size_t{20000});
  const double alpha = 0.5;
  const auto x = leverage::inputs<double>(n, d);
  Matrix<double> w(m, d);
  const fastntk::rng::Draws draws{3, fastntk::rng::Stream::normal};
  for (std::size_t i = 0; i + 1 < w.values.size(); i += 2) {
    const auto pair = fastntk::rng::Draws::normal_pair(draws.bits(i));
    w.values[i] = pair[0];
    w.values[i + 1] = pair[1];
  }
  for (const FeatureFamily family : families) {
    const Matrix<double> kernel = leverage::kernel(family, x);
    const Matrix<double> inverse = leverage::regularised_inverse(kernel, alpha);
    double s = 0;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) s += inverse(i, j) * kernel(j, i);
    const LeverageFunction<double> function({family, alpha}, LeverageInverse::exact, x.view(), inverse.view());
    const sketches::Moments moments(forms(function, w).values);
    if (!CHECK_CLOSE(moments.mean, s, 5 * moments.mean_error)) std::cout << "family " << static_cast<int>(family) << "\n";
  }
}

TEST(equal_bits_for_any_threads_company_and_strides) {
  constexpr std::size_t n = 1100, d = 5, m = check::sanitized ? 20 : 230;
  const auto x = leverage::inputs<float>(n, d);
  const auto w = sketches::random_rows<float>(m, d, 7);
  for (const LeverageInverse kind : {LeverageInverse::exact, LeverageInverse::features}) {
    const auto matrix = kind == LeverageInverse::exact ? leverage::inverse<float>(n) : leverage::factor<float>(n, 20);
    for (const FeatureFamily family : families) {
      const LeverageFunction<float> function({family, 1}, kind, x.view(), matrix.view());
      sketches::check_every_split<float>(m, 1, [&](int threads, std::size_t first, std::size_t count, View<float> out) {
        function.on(Cpu{threads})(w.view().row_block(first, count), out);
      });
    }
  }
  Matrix<float> wide(n, d + 3), matrix = leverage::factor<float>(n, 20), apart(n, 31);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < d; ++j) wide(i, j) = x(i, j);
    for (std::size_t j = 0; j < 20; ++j) apart(i, j) = matrix(i, j);
  }
  const auto dense = forms(LeverageFunction<float>({}, LeverageInverse::features, x.view(), matrix.view()), w);
  const LeverageFunction<float> function({}, LeverageInverse::features, wide.view().col_block(0, d),
                                         apart.view().col_block(0, 20));
  CHECK(forms(function, w) == dense);
}

// All rows equal, and U U^T projects on what their features span: the forms are 0 but for rounding, which has both signs. Of
// n equal numbers each sum has a relative error below n eps/2, and |Phi|^2 is at most 4 n.
TEST(forms_are_never_negative) {
  constexpr std::size_t n = 999, d = 2, m = 64;
  Matrix<float> x(n, d), u(n, 1);
  for (std::size_t i = 0; i < n; ++i) {
    x(i, 0) = 0.6f;
    x(i, 1) = 0.8f;
    u(i, 0) = 1 / std::sqrt(static_cast<float>(n));
  }
  const auto w = sketches::random_rows<float>(m, d, 7);
  for (const FeatureFamily family : families) {
    const Matrix<float> found =
        forms(LeverageFunction<float>({family, 1}, LeverageInverse::features, x.view(), u.view()), w);
    std::size_t cut = 0;
    for (std::size_t j = 0; j < m; ++j) {
      CHECK(found(j, 0) >= 0 && found(j, 0) <= 4 * n * n * std::numeric_limits<float>::epsilon());
      cut += found(j, 0) == 0;
    }
    CHECK(cut > 0 && cut < m);
  }
}

TEST(rows_and_directions_of_zeros) {
  const Matrix<double> zeros(3, 2), inverse = leverage::inverse<double>(3);
  const auto w = sketches::random_rows<double>(4, 2, 7);
  double all = 0;
  for (const double entry : inverse.values) all += entry;
  for (const FeatureFamily family : families) {
    const auto of_zeros =
        forms(LeverageFunction<double>({family, 1}, LeverageInverse::exact, zeros.view(), inverse.view()), w);
    const auto rows = leverage::inputs<double>(3, 2);
    const auto at_zero = forms(LeverageFunction<double>({family, 1}, LeverageInverse::exact, rows.view(), inverse.view()),
                               Matrix<double>(1, 2));
    const double expected = family == FeatureFamily::fourier ? all : 0;  // all cosines are 1
    CHECK_CLOSE(of_zeros(2, 0), expected, 1e-14 * all);
    CHECK_CLOSE(at_zero(0, 0), expected, 1e-14 * all);
  }
  const LeverageFunction<double> function({}, LeverageInverse::exact, zeros.view(), inverse.view());
  function(View<const double>(nullptr, 0, 2), View<double>(nullptr, 0, 1));
}

TEST(bad_arguments_are_named) {
  const auto x = leverage::inputs<float>(4, 3);
  const Matrix<float> square(4, 4), u(4, 2), none(0, 3);
  const auto make = [&](double alpha, LeverageInverse kind, const Matrix<float>& rows, const Matrix<float>& matrix) {
    return LeverageFunction<float>({FeatureFamily::ntk, alpha}, kind, rows.view(), matrix.view());
  };
  constexpr auto exact = LeverageInverse::exact, features = LeverageInverse::features;
  for (const double alpha : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    CHECK(check::throws<Error>([&] { make(alpha, exact, x, square); }, "alpha is"));
  CHECK(check::throws<Error>([&] { make(1, exact, x, u); }, "the inverse has shape (4, 2); (4, 4) is needed"));
  CHECK(check::throws<Error>([&] { make(1, features, x, Matrix<float>(5, 2)); }, "U has shape (5, 2); (4, 2)"));
  CHECK(check::throws<Error>([&] { make(1, features, x, Matrix<float>(4, 0)); }, "the number of columns of U is 0"));
  CHECK(check::throws<Error>([&] { make(1, features, none, u); }, "the number of rows of x is 0"));
  CHECK(check::throws<Error>([&] { make(1, exact, Matrix<float>(4, 0), square); }, "the number of columns of x is 0"));
  const LeverageFunction<float> function = make(1, exact, x, square);
  Matrix<float> out(5, 1);
  CHECK(check::throws<Error>([&] { function(Matrix<float>(5, 2).view(), out.view()); }, "w has shape (5, 2); (5, 3)"));
  CHECK(check::throws<Error>([&] { function(Matrix<float>(4, 3).view(), out.view()); }, "out has shape (5, 1); (4, 1)"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
