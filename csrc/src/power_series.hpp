// Power series of analytic functions.
#pragma once

#include <complex>
#include <cstddef>
#include <vector>

#include "function_ref.hpp"

namespace fastntk {

/// The coefficients c_0, ..., c_{terms - 1} around 0 of a function that is analytic in the open unit disc, bounded there,
/// and real on the real axis, right to 1e-12 of its largest value.
std::vector<double> power_series(FunctionRef<std::complex<double>(std::complex<double>)> f, std::size_t terms);

/// Adds what the coefficients lack of the value `at_one` at 1 to the last of them.
void close_at_one(std::vector<double>& coefficients, double at_one);

}  // namespace fastntk
