// Standardised columns: the formula to the bit, in place and in pieces, and refusals.
#include <fastntk/standardize.hpp>

#include "check.hpp"
#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using sketches::Matrix;

template <class T>
void check_formula(std::size_t n, std::size_t d) {
  const auto x = sketches::random_rows<T>(n, d, 1), mean = sketches::random_rows<T>(1, d, 2),
             scale = sketches::random_rows<T>(1, d, 3);
  Matrix<T> out(n, d);
  fastntk::standardize<T, Cpu>(Cpu{3}, x.view(), mean.view(), scale.view(), out.view());
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) {
      const T centred = x(i, j) - mean(0, j);
      CHECK(out(i, j) == centred * scale(0, j));
    }
  Matrix<T> self = x;
  fastntk::standardize<T, Cpu>(Cpu{1}, self.view(), mean.view(), scale.view(), self.view());
  CHECK(self == out);
}

TEST(columns_are_standardised) {
  for (const std::size_t n : {0, 1, 7, 300})
    for (const std::size_t d : {0, 1, 3, 500}) {
      check_formula<float>(n, d);
      check_formula<double>(n, d);
    }
}

TEST(shapes_are_checked) {
  using fastntk::Error;
  const Matrix<float> x(3, 4), row(1, 4), shorter(1, 3);
  Matrix<float> out(3, 4), fewer(2, 4);
  const auto call = [&](const Matrix<float>& mean, const Matrix<float>& scale, Matrix<float>& to) {
    fastntk::standardize<float, Cpu>({}, x.view(), mean.view(), scale.view(), to.view());
  };
  CHECK(check::throws<Error>([&] { call(shorter, row, out); }, "mean has shape (1, 3); (1, 4) is needed"));
  CHECK(check::throws<Error>([&] { call(row, x, out); }, "scale has shape (3, 4); (1, 4) is needed"));
  CHECK(check::throws<Error>([&] { call(row, row, fewer); }, "out has shape (2, 4); (3, 4) is needed"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
