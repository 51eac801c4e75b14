#include <fastntk/error.hpp>
#include <fastntk/exact.hpp>
#include <fastntk/kernel_series.hpp>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "check.hpp"

using namespace fastntk;

namespace {

// c_k of kappa_0 = 1/2 + asin(a)/pi.
std::vector<double> kappa_0_series(std::size_t terms) {
  std::vector<double> c(terms);
  c[0] = 0.5;
  double binomial = 1;  // (2j)! / (4^j j!^2)
  for (std::size_t k = 1, j = 0; k < terms; k += 2, ++j) {
    c[k] = binomial / (std::numbers::pi * static_cast<double>(k));
    binomial *= static_cast<double>(2 * j + 1) / static_cast<double>(2 * j + 2);
  }
  return c;
}

// Of kappa_1, whose derivative is kappa_0.
std::vector<double> kappa_1_series(std::size_t terms) {
  const std::vector<double> slope = kappa_0_series(terms);
  std::vector<double> c(terms);
  c[0] = 1 / std::numbers::pi;
  for (std::size_t k = 1; k < terms; ++k) c[k] = slope[k - 1] / static_cast<double>(k);
  return c;
}

double horner(const std::vector<double>& c, double a) {
  double sum = 0;
  for (std::size_t k = c.size(); k-- > 0;) sum = sum * a + c[k];
  return sum;
}

// The kernel of two unit rows.
double exact(const KernelSeriesParams& p, double a) {
  const std::vector<double> x{1, 0};
  const std::vector<double> y{a, std::sqrt((1 - a) * (1 + a))};
  const View<const double> left(x.data(), 1, 2);
  const View<const double> right(y.data(), 1, 2);
  double value = 0;
  const View<double> out(&value, 1, 1);
  switch (p.kernel) {
    case CosineKernel::ntk:
      ntk_kernel<double, Cpu>(Cpu{1}, left, right, {.depth = p.depth}, out);
      break;
    case CosineKernel::nngp:
      nngp_kernel<double, Cpu>(Cpu{1}, left, right, {.depth = p.depth}, out);
      break;
    case CosineKernel::arc_cosine_0:
      arc_cosine_kernel<double, Cpu>(Cpu{1}, left, right, 0, out);
      break;
    case CosineKernel::arc_cosine_1:
      arc_cosine_kernel<double, Cpu>(Cpu{1}, left, right, 1, out);
      break;
    default:
      break;
  }
  return value;
}

}  // namespace

TEST(one_layer_has_closed_forms) {
  constexpr std::size_t terms = kernel_series_terms;
  const std::vector<double> kappa_0 = kappa_0_series(terms);
  const std::vector<double> kappa_1 = kappa_1_series(terms);
  const std::vector<double> found_0 = kernel_series({CosineKernel::arc_cosine_0, 1, {}}, terms);
  const std::vector<double> found_1 = kernel_series({CosineKernel::arc_cosine_1, 1, {}}, terms);
  const std::vector<double> nngp = kernel_series({CosineKernel::nngp, 1, {}}, terms);
  const std::vector<double> ntk = kernel_series({CosineKernel::ntk, 1, {}}, terms);
  CHECK(found_0.size() == terms);
  for (std::size_t k = 0; k < terms; ++k) {
    CHECK_CLOSE(found_0[k], kappa_0[k], 1e-12);
    CHECK_CLOSE(found_1[k], kappa_1[k], 1e-12);
    CHECK(nngp[k] == found_1[k]);
    CHECK_CLOSE(ntk[k], (k > 0 ? kappa_0[k - 1] : 0) + kappa_1[k], 2e-12);
    // Terms that symmetry forbids are 0, not small.
    if (kappa_0[k] == 0) CHECK(found_0[k] == 0);
    if (kappa_1[k] == 0) CHECK(found_1[k] == 0 && ntk[k] == 0);
  }
}

TEST(deeper_kernels_have_the_published_low_orders) {
  const std::vector<double> two = kernel_series({CosineKernel::ntk, 2, {}}, 2);
  const std::vector<double> three = kernel_series({CosineKernel::ntk, 3, {}}, 2);
  CHECK_CLOSE(two[0], 0.685709, 5e-7);
  CHECK_CLOSE(two[1], 0.958113, 5e-7);
  CHECK_CLOSE(three[0], 1.060388, 5e-7);
  CHECK_CLOSE(three[1], 0.912573, 5e-7);
}

TEST(series_sum_to_the_kernels) {
  for (const CosineKernel kernel :
       {CosineKernel::ntk, CosineKernel::nngp, CosineKernel::arc_cosine_0, CosineKernel::arc_cosine_1})
    for (const std::size_t depth : {1, 2, 5, 20}) {
      const KernelSeriesParams p{kernel, depth, {}};
      const std::vector<double> c = kernel_series(p, kernel_series_terms);
      const double at_one = kernel_at_one(p);
      CHECK_CLOSE(at_one, exact(p, 1), 1e-12 * at_one);
      double sum = 0;
      for (const double coefficient : c) {
        CHECK(coefficient >= 0);
        sum += coefficient;
      }
      // What is left beyond k terms falls as k^(-1/2) or faster.
      CHECK(sum <= at_one * (1 + 1e-9) && sum >= at_one * 0.9);
      for (const double a : {-0.99, -0.5, 0.0, 0.3, 0.8, 0.99}) CHECK_CLOSE(horner(c, a), exact(p, a), 1e-9 * at_one);
      // Fewer terms are the first ones.
      const std::vector<double> few = kernel_series(p, 7);
      for (std::size_t k = 0; k < 7; ++k) CHECK(few[k] == c[k]);
    }
}

TEST(own_coefficients_are_kept) {
  const KernelSeriesParams p{CosineKernel::polynomial, 1, {0.25, 0, 2}};
  CHECK((kernel_series(p, 2) == std::vector<double>{0.25, 0}));
  CHECK((kernel_series(p, 5) == std::vector<double>{0.25, 0, 2, 0, 0}));
  CHECK(kernel_at_one(p) == 2.25);
}

TEST(bad_series_are_named) {
  const auto series = [](KernelSeriesParams p, std::size_t terms) { return [=] { kernel_series(p, terms); }; };
  const auto own = [&](std::vector<double> c) { return series({CosineKernel::polynomial, 1, std::move(c)}, 2); };
  CHECK(check::throws<Error>(series({CosineKernel::ntk, 0, {}}, 2), "depth is 0"));
  CHECK(check::throws<Error>(series({CosineKernel::ntk, 1, {}}, 0), "terms is 0"));
  CHECK(check::throws<Error>(series({CosineKernel::ntk, 1, {}}, kernel_series_terms + 1), "at most 4096"));
  CHECK(check::throws<Error>(own({}), "there are 0 coefficients"));
  CHECK(check::throws<Error>(own(std::vector<double>(kernel_series_terms + 1, 1)), "there are 4097 coefficients"));
  CHECK(check::throws<Error>(own({1, -0.5}), "coefficient 1 is -0.5"));
  CHECK(check::throws<Error>(own({std::numeric_limits<double>::infinity()}), "coefficient 0 is inf"));
  CHECK(check::throws<Error>(own({NAN}), "coefficient 0 is"));
  CHECK(check::throws<Error>(own({0, 0}), "all coefficients are 0"));
  CHECK(check::throws<Error>(own({1e308, 1e308}), "the sum of the coefficients is inf"));
  CHECK(check::throws<Error>([] { kernel_at_one({CosineKernel::nngp, 0, {}}); }, "depth is 0"));
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
