// LeverageFunction on the device against the CPU's.
#include <fastntk/leverage.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iostream>
#include <limits>
#include <vector>

#include "../cpp/leverage_reference.hpp"
#include "device.hpp"

namespace {

using namespace fastntk;
using device::DeviceMatrix;
using device::Guarded;
using leverage::families;
using sketches::Matrix;

constexpr LeverageInverse kinds[] = {LeverageInverse::exact, LeverageInverse::features};

template <class T>
Matrix<T> matrix_of(LeverageInverse kind, std::size_t n, std::size_t width) {
  return kind == LeverageInverse::exact ? leverage::inverse<T>(n) : leverage::factor<T>(n, width);
}

template <class T>
LeverageFunction<T, Cuda> on_device(FeatureFamily family, LeverageInverse kind, const Matrix<T>& x, const Matrix<T>& matrix,
                                    std::size_t gap = 0, const Cuda& backend = {}) {
  const DeviceMatrix<T> rows(x, gap), there(matrix, gap);
  return {{family, 0.4}, kind, rows.view(), there.view(), backend};
}

template <class T>
Matrix<T> forms(const LeverageFunction<T, Cuda>& function, const Matrix<T>& w, std::size_t gap = 0) {
  Guarded<T> in(w, gap), out(Matrix<T>(w.rows, 1), gap);
  function(in.view(), out.view());
  return out.to_host();
}

// Both are right to 32 eps times the size of what is added up (test_leverage_function.cpp).
template <class T>
void check_forms(const leverage::Case& c) {
  const auto x = leverage::inputs<T>(c.n, c.d);
  const auto w = sketches::random_rows<T>(c.m, c.d, 7);
  for (const LeverageInverse kind : kinds) {
    const auto matrix = matrix_of<T>(kind, c.n, c.width);
    for (const FeatureFamily family : families) {
      const auto found = forms(on_device<T>(family, kind, x, matrix, 3), w, 2);
      for (std::size_t j = 0; j < c.m; ++j) {
        const auto expected = leverage::reference(family, 0.4, kind, x, matrix, w, j);
        const double tolerance = 32 * static_cast<double>(std::numeric_limits<T>::epsilon()) * expected.magnitude;
        if (!CHECK_CLOSE(found(j, 0), expected.value, tolerance))
          std::cout << "family " << static_cast<int>(family) << ", n " << c.n << ", direction " << j << "\n";
      }
    }
  }
}

TEST(forms_are_those_of_the_definition) {
  check_forms<float>({40, 70, 7, 3});
  check_forms<double>({37, 4, 10, 5});
}

TEST(forms_of_several_blocks) {
  constexpr std::size_t n = 2100, d = 2, width = 5, m = 2;
  const auto x = leverage::inputs<float>(n, d);
  const auto w = sketches::random_rows<float>(m, d, 7);
  for (const LeverageInverse kind : kinds) {
    const auto matrix = matrix_of<float>(kind, n, width);
    const FeatureFamily family = FeatureFamily::relu_ntk;
    const auto found = forms(on_device<float>(family, kind, x, matrix), w);
    for (std::size_t j = 0; j < m; ++j) {
      const auto expected = leverage::reference(family, 0.4, kind, x, matrix, w, j);
      CHECK_CLOSE(found(j, 0), expected.value, 32 * std::numeric_limits<float>::epsilon() * expected.magnitude);
    }
  }
}

TEST(equal_bits_for_any_company_and_workspace) {
  constexpr std::size_t n = 150, d = 5, m = check::sanitized ? 12 : 37;
  const auto x = leverage::inputs<float>(n, d);
  const auto w = sketches::random_rows<float>(m, d, 7);
  for (const LeverageInverse kind : kinds) {
    const auto matrix = matrix_of<float>(kind, n, 20);
    for (const FeatureFamily family : families) {
      const auto function = on_device<float>(family, kind, x, matrix);
      const Matrix<float> whole = forms(function, w);
      const DeviceMatrix<float> in(w);
      DeviceMatrix<float> out(m, 1);
      for (std::size_t first = 0; first < m; first += 10) {
        const std::size_t count = std::min<std::size_t>(10, m - first);
        function(in.view().row_block(first, count), out.view().row_block(first, count));
      }
      finish(Cuda());
      CHECK(out.to_host() == whole);
      CHECK(forms(function.on(Cuda{.max_memory = 1 << 16}), w) == whole);
    }
  }
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(no_failure_is_dropped) {
  const auto x = leverage::inputs<float>(9, 3);
  const auto w = sketches::random_rows<float>(4, 3, 7);
  for (const LeverageInverse kind : kinds) {
    const auto matrix = matrix_of<float>(kind, 9, 2);
    device::fail_every_call(
        [&] { CHECK(std::isfinite(forms(on_device<float>(FeatureFamily::relu_ntk, kind, x, matrix), w)(0, 0))); });
  }
}
#endif

TEST(no_directions) {
  const auto function =
      on_device<float>(FeatureFamily::ntk, LeverageInverse::features, leverage::inputs<float>(9, 3), Matrix<float>(9, 2));
  function(View<const float, Cuda>(nullptr, 0, 3), View<float, Cuda>(nullptr, 0, 1));
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
