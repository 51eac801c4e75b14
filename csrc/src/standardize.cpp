#include <fastntk/standardize.hpp>

#include "primitives.hpp"
#include "tiling.hpp"

namespace fastntk {

template <Real T, Backend B>
void standardize(const B& backend, View<const T, B> x, View<const T, B> mean, View<const T, B> scale, View<T, B> out) {
  require_shape(mean, 1, x.cols, "standardize: mean");
  require_shape(scale, 1, x.cols, "standardize: scale");
  require_shape(out, x.rows, x.cols, "standardize: out");
  if (x.cols == 0) return;
  for_tiles<B>(backend, x.rows, rows_per_tile<T>(backend, x.cols), [&](Tile<B>& tile, RowRange r) {
    const View<const T, B> from = x.row_block(r.begin, r.count);
    const View<T, B> to = out.row_block(r.begin, r.count);
    const T* const shift = mean.data;
    const T* const factor = scale.data;
    for_each(tile, r.count * x.cols, [=] FASTNTK_FORMULA(std::size_t i) {
      const std::size_t row = i / from.cols, column = i % from.cols;
      to(row, column) = (from(row, column) - shift[column]) * factor[column];
    });
  });
}

#define FASTNTK_INSTANTIATE(T)                                                                                      \
  template void standardize(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>, \
                            View<const T, FASTNTK_BACKEND>, View<T, FASTNTK_BACKEND>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
