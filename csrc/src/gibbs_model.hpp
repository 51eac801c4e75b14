// What all chains of a leverage sampler share: the rows of x, and the matrices of the forms that q/p is made of.
#pragma once

#include <fastntk/leverage.hpp>

#include <cstddef>

#include "primitives.hpp"
#include "projection.hpp"

namespace fastntk {

/// With A = (K + lambda I)^-1 and s the pattern Step(w.x_i), r the ReLUs of w.x_i:
///   q/p = s^T S s + r^T R r,   R = 2A (arc_cosine_1, relu_ntk), S = 2A (arc_cosine_0), A o XX^T (ntk), 2A o XX^T (relu_ntk)
template <Backend B>
struct GibbsModel {
  /// Throws Error if all rows of x are zero.
  GibbsModel(const B& backend, FeatureFamily family, bool on_circles, View<const double, B> x,
             View<const double, B> inverse);

  bool has_step, has_relu;
  std::size_t rows, dim;
  ProjectionMatrix<double, B> points;      // w -> w.x_i
  Array<double, B> columns;                // (d, n), x transposed
  Array<double, B> nonzero;                // (1, n): 1, and 0 for a zero row
  Array<double, B> step_form, relu_form;   // S and R (n, n), rows in whole cache lines; empty without
  Array<double, B> diagonals;              // (2, n), of both
  Array<double, B> step_total;             // (1, n): S 1, 1 being 0 for zero rows; on circles
  ProjectionMatrix<double, B> relu_total;  // w -> R X w; on circles

  View<const double, B> form(bool relu) const {
    const View<const double, B> padded = (relu ? relu_form : step_form).view();
    return padded.block(0, padded.rows, 0, padded.rows);
  }
};

}  // namespace fastntk
