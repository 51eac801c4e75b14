// The transform of rows of 16-bit numbers, with sums in float.
#include <fastntk/fwht.hpp>

#include "../src/fwht.hpp"
#include "../src/primitives.hpp"
#include "../src/tiling.hpp"
#include "for_each.cuh"
#include "hadamard_rows.cuh"

namespace fastntk {

namespace {

/// Rows that are not in vectors, or that no block holds: as float in scratch memory.
template <SixteenBit S>
void transform_widened(const Cuda& backend, View<const S, Cuda> x, View<S, Cuda> out, float scale) {
  const std::size_t n = x.cols;
  for_tiles<Cuda>(backend, x.rows, rows_per_tile<float>(backend, n), [&](Tile<Cuda>& tile, RowRange range) {
    const View<const S, Cuda> from = x.row_block(range.begin, range.count);
    const View<S, Cuda> to = out.row_block(range.begin, range.count);
    const View<float, Cuda> work = tile.scratch<float>(range.count, n);
    for_each(tile, range.count * n,
             [=] FASTNTK_FORMULA(std::size_t i) { work(i / n, i % n) = cuda::widen(from(i / n, i % n)); });
    hadamard<float, Cuda>(tile, work, nullptr, scale, work);
    for_each(tile, range.count * n,
             [=] FASTNTK_FORMULA(std::size_t i) { to(i / n, i % n) = cuda::narrow<S>(work(i / n, i % n)); });
  });
}

}  // namespace

template <SixteenBit S>
void fwht(const Cuda& backend, View<const S, Cuda> x, View<S, Cuda> out, float scale) {
  require_transformable(x, out);
  const bool vectors = cuda::in_vectors(x.data, x.stride, x.cols) && cuda::in_vectors(out.data, out.stride, out.cols);
  const int log2_n = std::countr_zero(x.cols);
  if (!vectors || x.cols * sizeof(float) > cuda::transform_bytes_on_chip(backend.device))
    return transform_widened(backend, x, out, scale);
  cuda::transform_rows<cuda::log2_pack<S>, S>(backend, {x.data, x.rows, x.stride, x.cols, nullptr, scale},
                                              {out.data, out.rows, out.stride}, log2_n);
}

template void fwht(const Cuda&, View<const Half, Cuda>, View<Half, Cuda>, float);
template void fwht(const Cuda&, View<const BFloat16, Cuda>, View<BFloat16, Cuda>, float);

}  // namespace fastntk
