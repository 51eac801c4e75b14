// The polynomials that NtkSketch puts in the place of kappa_1 and kappa_0.
#pragma once

#include <cstddef>
#include <vector>

namespace fastntk {

enum class ReluDual { kappa_0, kappa_1 };

/// The Taylor polynomial of kappa(S) around s, 0 <= s < 1, in powers of u = (S - s)/(1 - s), with the tail in the last
/// coefficient, so that S = 1 is exact: coefficients that are not negative.
std::vector<double> taylor_around(ReluDual kappa, double s, std::size_t degree);

}  // namespace fastntk
