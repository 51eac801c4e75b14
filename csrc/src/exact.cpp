// Exact kernels: cosines of unit rows by matrix products of tiles, then the recursion in the gap 1 - |cosine|.
#include <fastntk/error.hpp>
#include <fastntk/exact.hpp>

#include <algorithm>
#include <cmath>
#include <string>

#include "primitives.hpp"
#include "relu_kernels.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// Tiles of the output have this many rows and columns; short ones are padded, because BLAS may give other bits for other
// shapes, and an entry's bits must not depend on what else is computed with it.
constexpr std::size_t tile_size = 192;

// A product over d columns is the sum of products over panels of about 128, in groups of 32 panels: a float32 sum of d terms
// in a row would have twice (d = 784) to ten times (d = 10^5) the rounding error.
constexpr std::size_t panel_width = 128;
constexpr std::size_t panels_per_group = 32;

// The rounding error of a cosine, up to about 5e-7 in float32, may grow this many times in the kernel; pairs where it would
// grow more are recomputed from the difference of their rows.
constexpr double largest_amplification = 2;

std::size_t tiles_of(std::size_t rows) { return (rows + tile_size - 1) / tile_size; }

// The rows of x over their norms, padded to whole tiles and to whole vectors.
template <Real T, Backend B>
struct UnitRows {
  UnitRows(const B& backend, Tile<B>& workspace, View<const T, B> x, T bias)
      : rows(workspace.template scratch<T>(tiles_of(x.rows) * tile_size, padded_columns(x.cols + (bias != 0)))),
        norm(workspace.template scratch<T>(1, rows.rows).data) {
    for_tiles<B>(backend, rows.rows, tile_size, [&](Tile<B>& tile, RowRange r) {
      const std::size_t count = std::min(tile_size, x.rows - r.begin);
      unit_rows<T, B>(tile, x.row_block(r.begin, count), bias, rows.row_block(r.begin, tile_size), norm + r.begin);
    });
  }

  static std::size_t padded_columns(std::size_t d) {
    constexpr std::size_t whole = 64 / sizeof(T);
    return (d + whole - 1) / whole * whole;
  }

  View<T, B> rows;
  T* norm;
};

// out = u v^T.
template <Real T, Backend B>
void cosines(Tile<B>& tile, View<const T, B> u, View<const T, B> v, View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t d = u.cols;
  const std::size_t panels = std::max<std::size_t>(d / panel_width, 1);
  const std::size_t width = (d + panels - 1) / panels;
  const View<T, B> part = panels > panels_per_group ? tile.template scratch<T>(out.rows, out.cols) : out;
  for (std::size_t panel = 0, begin = 0; begin < d; ++panel, begin += width) {
    const std::size_t count = std::min(width, d - begin);
    const bool first_group = panel < panels_per_group;
    const View<T, B> sum = first_group ? out : part;
    gemm<T, B>(tile, Transpose::no, Transpose::yes, T(1), u.col_block(begin, count), v.col_block(begin, count),
               panel % panels_per_group == 0 ? T(0) : T(1), sum);
    const bool group_ends = panel % panels_per_group == panels_per_group - 1 || begin + width >= d;
    if (group_ends && !first_group) add<T, B>(tile, part, out);
  }
}

// The tile of an n x n (upper triangle) or n x k matrix that has this number.
struct TileIndex {
  std::size_t row, col;

  TileIndex(std::size_t number, std::size_t tile_cols, bool symmetric) : row(0), col(0) {
    if (!symmetric) {
      row = number / tile_cols;
      col = number % tile_cols;
      return;
    }
    for (; number >= tile_cols - row; ++row) number -= tile_cols - row;
    col = row + number;
  }
};

template <Real T, Backend B>
void kernel_matrix(const B& backend, ReluKernel kind, std::size_t depth, View<const T, B> x, View<const T, B> y, T bias,
                   View<T, B> out) {
  if (x.rows == 0 || y.rows == 0) return;
  const bool symmetric = x.data == y.data && x.rows == y.rows && x.stride == y.stride;
  Tile<B> workspace;
  const UnitRows<T, B> u(backend, workspace, x, bias);
  const UnitRows<T, B> v = symmetric ? u : UnitRows<T, B>(backend, workspace, y, bias);
  const NearPairs near(kind, depth, largest_amplification);

  const std::size_t tile_rows = tiles_of(x.rows);
  const std::size_t tile_cols = tiles_of(y.rows);
  const std::size_t count = symmetric ? tile_rows * (tile_rows + 1) / 2 : tile_rows * tile_cols;
  for_tiles<B>(backend, count, 1, [&](Tile<B>& tile, RowRange r) {
    const TileIndex at(r.begin, tile_cols, symmetric);
    const std::size_t row = at.row * tile_size;
    const std::size_t col = at.col * tile_size;
    const std::size_t rows = std::min(tile_size, x.rows - row);
    const std::size_t cols = std::min(tile_size, y.rows - col);
    const View<const T, B> u_tile = u.rows.row_block(row, tile_size);
    const View<const T, B> v_tile = v.rows.row_block(col, tile_size);
    const View<T, B> product = tile.template scratch<T>(tile_size, tile_size);
    cosines<T, B>(tile, u_tile, v_tile, product);

    const View<T, B> gap = product.block(0, rows, 0, cols);
    signed_gaps<T, B>(tile, gap, u_tile, v_tile, near, gap);
    const View<T, B> block = out.block(row, rows, col, cols);
    relu_kernel<T, B>(tile, kind, depth, gap, u.norm + row, v.norm + col, block);
    if (symmetric) transpose<T, B>(tile, block, out.block(col, cols, row, rows), row == col);
  });
}

template <Real T, Backend B>
void require_rows(View<const T, B> x, View<const T, B> y, View<T, B> out, const std::string& name) {
  require_positive(x.cols, (name + ": the number of columns of x").c_str());
  require_shape(y, y.rows, x.cols, (name + ": y").c_str());
  require_shape(out, x.rows, y.rows, (name + ": out").c_str());
}

template <Real T, Backend B>
void relu_kernel_matrix(const B& backend, ReluKernel kind, const ReluKernelParams& params, View<const T, B> x,
                        View<const T, B> y, View<T, B> out, const std::string& name) {
  require_positive(params.depth, (name + ": depth").c_str());
  require(std::isfinite(params.bias), [&] { return name + ": bias is " + std::to_string(params.bias) + "; a finite number is needed"; });
  require_rows(x, y, out, name);
  kernel_matrix<T, B>(backend, kind, params.depth, x, y, static_cast<T>(params.bias), out);
}

}  // namespace

template <Real T, Backend B>
void relu_ntk(const B& backend, View<const T, B> cosine, std::size_t depth, View<T, B> out) {
  require_positive(depth, "relu_ntk: depth");
  require_shape(out, cosine.rows, cosine.cols, "relu_ntk: out");
  const auto apply = [&](Tile<B>& tile, View<const T, B> a, View<T, B> value) {
    const View<T, B> gap = tile.template scratch<T>(a.rows, a.cols);
    signed_gaps<T, B>(tile, a, {}, {}, NearPairs(), gap);
    relu_kernel<T, B>(tile, ReluKernel::ntk, depth, gap, nullptr, nullptr, value);
  };
  const bool contiguous = cosine.stride == cosine.cols && out.stride == out.cols;
  if (contiguous) {
    for_tiles<B>(backend, cosine.rows * cosine.cols, 4096, [&](Tile<B>& tile, RowRange r) {
      apply(tile, {cosine.data + r.begin, 1, r.count}, {out.data + r.begin, 1, r.count});
    });
  } else {
    for_tiles<B>(backend, cosine.rows, rows_per_tile<T>(cosine.cols), [&](Tile<B>& tile, RowRange r) {
      apply(tile, cosine.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
    });
  }
}

template <Real T, Backend B>
void arc_cosine_kernel(const B& backend, View<const T, B> x, View<const T, B> y, int order, View<T, B> out) {
  require(order == 0 || order == 1,
          [&] { return "arc_cosine_kernel: order is " + std::to_string(order) + "; 0 or 1 is needed"; });
  require_rows(x, y, out, "arc_cosine_kernel");
  kernel_matrix<T, B>(backend, order == 0 ? ReluKernel::arc_cosine_0 : ReluKernel::nngp, 1, x, y, T(0), out);
}

template <Real T, Backend B>
void ntk_kernel(const B& backend, View<const T, B> x, View<const T, B> y, const ReluKernelParams& params, View<T, B> out) {
  relu_kernel_matrix<T, B>(backend, ReluKernel::ntk, params, x, y, out, "ntk_kernel");
}

template <Real T, Backend B>
void nngp_kernel(const B& backend, View<const T, B> x, View<const T, B> y, const ReluKernelParams& params, View<T, B> out) {
  relu_kernel_matrix<T, B>(backend, ReluKernel::nngp, params, x, y, out, "nngp_kernel");
}

#define FASTNTK_INSTANTIATE(T)                                                                                          \
  template void relu_ntk(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, std::size_t, View<T, FASTNTK_BACKEND>); \
  template void arc_cosine_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>,                               \
                                  View<const T, FASTNTK_BACKEND>, int, View<T, FASTNTK_BACKEND>);                       \
  template void ntk_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>,      \
                           const ReluKernelParams&, View<T, FASTNTK_BACKEND>);                                          \
  template void nngp_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>,     \
                            const ReluKernelParams&, View<T, FASTNTK_BACKEND>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
