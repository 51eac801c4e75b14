#include "fwht.hpp"

#include <fastntk/fwht.hpp>

#include <algorithm>

#include "primitives.hpp"
#include "tiling.hpp"

namespace fastntk {

template <Real T, Backend B>
void fwht(const B& backend, View<const T, B> x, View<T, B> out, T scale) {
  require_transformable(x, out);
  // Short rows make large tiles: there is nothing between the passes that would have to stay in cache.
  const std::size_t cached_rows = tile_budget(backend).bytes / (sizeof(T) * x.cols);
  const std::size_t tile_rows = std::max(cached_rows, rows_per_transform_tile<T>(backend, x.cols));
  for_tiles<B>(backend, x.rows, tile_rows, [&](Tile<B>& tile, RowRange r) {
    hadamard<T, B>(tile, x.row_block(r.begin, r.count), nullptr, scale, out.row_block(r.begin, r.count));
  });
}

#define FASTNTK_INSTANTIATE(T) \
  template void fwht(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<T, FASTNTK_BACKEND>, T);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
