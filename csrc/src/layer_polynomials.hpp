// The polynomials that NtkSketch puts in the place of kappa_1, kappa_0 and K_L, and what their linear term decides.
#pragma once

#include <cstddef>
#include <vector>

namespace fastntk {

enum class ReluDual { kappa_0, kappa_1 };

/// The Taylor polynomial of kappa around s in u = (S - s)/(1 - s), S in [.., 1], with the tail in the last coefficient, so
/// that S = 1 is exact: coefficients that are not negative.
std::vector<double> taylor_around(ReluDual kappa, double s, std::size_t degree);

/// Whether columns of its own for the linear term, one per input and `columns` with the constant's, make the error of
/// out_features columns less: linear and remainder are these parts of the kernel at the cosine 1.
bool linear_columns_pay(std::size_t out_features, std::size_t columns, double linear, double remainder);

}  // namespace fastntk
