// What all solvers of ridge regression share, in C++ and in Python.
#include <fastntk/ridge.hpp>

#include <algorithm>
#include <limits>

namespace fastntk {

std::optional<double> next_ridge_jitter(double jitter, double alpha, double trace, std::size_t n) {
  // Of the trace: more than the rounding of float products can make an eigenvalue negative by.
  constexpr double most_jitter = 1e-3;
  if (!(jitter <= most_jitter * trace)) return std::nullopt;
  if (jitter > 0) return 32 * jitter;
  // The rounding of G is that before it was centred: of the order of eps times its largest eigenvalue, which lies between
  // the mean one and the trace.
  return std::numeric_limits<double>::epsilon() * std::max(trace / static_cast<double>(n), alpha);
}

double ridge_gcv(double total_weight, double freedom, double squares, double variation) {
  // Both are differences of much larger numbers where the fit is all but exact: what is left of them is then rounding.
  const bool known = freedom > 0 && freedom >= 1e-4 * total_weight && squares >= 1e-10 * variation;
  return known ? total_weight * squares / (freedom * freedom) : std::numeric_limits<double>::infinity();
}

}  // namespace fastntk
