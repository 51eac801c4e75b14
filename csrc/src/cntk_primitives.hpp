// The backend contract for the convolutional NTK.
#pragma once

#include <cstddef>

#include "cntk_plan.hpp"
#include "tile.hpp"

namespace fastntk {

/// Which pairs of rows of two matrices.
enum class RowPairs {
  all,
  from_diagonal,  // i <= j; other entries are not written
  equal_rows      // i = j, written to one column
};

/// theta[i][j] = Theta of the images x_i and y_j, stored as CntkPlan says; `equal_rows`: theta[i][0] of x_i and y_i. The
/// sums are float64, the functions of their quotients have the precision of T. theta is symmetric in its two images, and
/// an image paired with itself, at the same address, takes half the work: neither changes a bit.
template <Real T, Backend B>
void cntk_theta(Tile<B>& tile, const CntkPlan& plan, View<const double, B> x, View<const double, B> y, RowPairs pairs,
                View<double, B> theta);

}  // namespace fastntk
