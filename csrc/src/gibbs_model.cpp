#include "gibbs_model.hpp"

#include <algorithm>
#include <vector>

#include "leverage_primitives.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

template <Backend B>
Array<double, B> transposed(const B& backend, View<const double, B> in) {
  Array<double, B> out(backend, in.cols, in.rows);
  Tile<B> tile(backend);
  transpose<double, B>(tile, in, out.view(), false);
  return out;
}

// 1 for rows that are not zero, 0 for those that are.
template <Backend B>
Array<double, B> nonzero_rows(const B& backend, View<const double, B> x) {
  Array<double, B> out(backend, 1, x.rows);
  double* const nonzero = out.view().data;
  Tile<B> tile(backend);
  for_each(tile, x.rows, [=] FASTNTK_FORMULA(std::size_t i) {
    double any = 0;
    for (std::size_t k = 0; k < x.cols; ++k)
      if (x(i, k) != 0) any = 1;
    nonzero[i] = any;
  });
  std::vector<double> found(x.rows);
  copy_out(backend, nonzero, x.rows * sizeof(double), found.data());
  require(std::find(found.begin(), found.end(), 1.0) != found.end(),
          [] { return "LeverageSampler: all rows of x are zero; then q is zero, and there is nothing to draw"; });
  return out;
}

// out = scale * (A + A^T)/2, or, `gated`, that times <x_i, x_j>: the same form as A's, and symmetric to the last bit.
template <Backend B>
Array<double, B> form_matrix(const B& backend, double scale, bool gated, View<const double, B> x,
                             const ProjectionMatrix<double, B>& points, View<const double, B> inverse) {
  const std::size_t n = inverse.rows;
  Array<double, B> form(backend, n, scratch_stride<double>(n));
  for_tiles<B>(backend, n, rows_per_tile<double>(backend, n), [&](Tile<B>& tile, RowRange r) {
    const View<double, B> out = form.view().block(r.begin, r.count, 0, n);
    if (gated) project_all<double, B>(tile, x.row_block(r.begin, r.count), points, {}, out);
    const std::size_t first = r.begin;
    for_each(tile, out.rows * n, [=] FASTNTK_FORMULA(std::size_t index) {
      const std::size_t i = index / n, j = index % n;
      out(i, j) = (gated ? out(i, j) : 1) * (0.5 * scale * (inverse(first + i, j) + inverse(j, first + i)));
    });
  });
  return form;
}

template <Backend B>
Array<double, B> diagonals_of(const B& backend, View<const double, B> step, View<const double, B> relu, std::size_t n) {
  Array<double, B> diagonals(backend, 2, n);
  const View<double, B> out = diagonals.view();
  Tile<B> tile(backend);
  for_each(tile, n, [=] FASTNTK_FORMULA(std::size_t i) {
    out(0, i) = step.rows > 0 ? step(i, i) : 0;
    out(1, i) = relu.rows > 0 ? relu(i, i) : 0;
  });
  return diagonals;
}

// v (k, n) times the symmetric matrix; nothing if that is empty.
template <Backend B>
Array<double, B> times(const B& backend, View<const double, B> v, View<const double, B> matrix) {
  Array<double, B> product(backend, matrix.rows > 0 ? v.rows : 0, matrix.rows);
  const View<double, B> out = product.view();
  for_tiles<B>(backend, matrix.rows, product_tile_rows<B>, [&](Tile<B>& tile, RowRange r) {
    passed_products<B>(tile, matrix.row_block(r.begin, r.count), r.begin, {}, v, {}, out.col_block(r.begin, r.count), {});
  });
  return product;
}

template <Backend B>
ProjectionMatrix<double, B> projection_by(const B& backend, View<const double, B> columns) {
  if (columns.rows == 0) return {};
  const Array<double, B> rows = transposed<B>(backend, columns);
  return {backend, rows.view()};
}

bool is_step(FeatureFamily family) { return family != FeatureFamily::arc_cosine_1; }
bool is_relu(FeatureFamily family) { return family == FeatureFamily::arc_cosine_1 || family == FeatureFamily::relu_ntk; }
bool is_gated(FeatureFamily family) { return family == FeatureFamily::ntk || family == FeatureFamily::relu_ntk; }

}  // namespace

template <Backend B>
GibbsModel<B>::GibbsModel(const B& backend, FeatureFamily family, bool on_circles, View<const double, B> x,
                          View<const double, B> inverse)
    : has_step(is_step(family)),
      has_relu(is_relu(family)),
      rows(x.rows),
      dim(x.cols),
      points(backend, x),
      columns(transposed<B>(backend, x)),
      nonzero(nonzero_rows<B>(backend, x)),
      step_form(form_matrix<B>(backend, family == FeatureFamily::ntk ? 1 : 2, is_gated(family), x, points,
                               has_step ? inverse : View<const double, B>())),
      relu_form(form_matrix<B>(backend, 2, false, x, points, has_relu ? inverse : View<const double, B>())),
      diagonals(diagonals_of<B>(backend, form(false), form(true), rows)),
      step_total(times<B>(backend, nonzero.view(), on_circles ? form(false) : View<const double, B>())),
      relu_total(projection_by<B>(
          backend, times<B>(backend, columns.view(), on_circles ? form(true) : View<const double, B>()).view())) {}

template struct GibbsModel<FASTNTK_BACKEND>;

}  // namespace fastntk
