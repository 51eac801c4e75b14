// The polynomials that NtkSketch puts in the place of kappa_1, kappa_0 and K_L.
#pragma once

#include <cstddef>
#include <vector>

namespace fastntk {

enum class ReluDual { kappa_0, kappa_1 };

/// The Taylor polynomial of kappa around s in u = (S - s)/(1 - s), S in [.., 1], with the tail in the last coefficient, so
/// that S = 1 is exact: coefficients that are not negative.
std::vector<double> taylor_around(ReluDual kappa, double s, std::size_t degree);

}  // namespace fastntk
