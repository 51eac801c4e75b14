// Exact kernels: cosines of unit rows, tile by tile, then the recursion in the gap 1 - |cosine|.
#include <fastntk/error.hpp>
#include <fastntk/exact.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "primitives.hpp"
#include "relu_kernels.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// The tiles below one another that one thread takes, so that the rows of their columns are packed once for all.
constexpr std::size_t tiles_per_task = 8;

// The rounding error of a cosine, up to about 5e-7 in float32, may grow this many times in the kernel; pairs where it would
// grow more are recomputed from the difference of their rows.
constexpr double largest_amplification = 2;

// The rows of x over their norms, padded to whole vectors.
template <Real T, Backend B>
struct UnitRows {
  UnitRows(const B& backend, Tile<B>& workspace, View<const T, B> x, T bias)
      : rows(workspace.template scratch<T>(x.rows, padded_columns(x.cols + (bias != 0)))),
        norm(workspace.template scratch<T>(1, x.rows).data) {
    for_tiles<B>(backend, x.rows, kernel_tile_edge(backend), [&](Tile<B>& tile, RowRange r) {
      unit_rows<T, B>(tile, x.row_block(r.begin, r.count), bias, rows.row_block(r.begin, r.count), norm + r.begin);
    });
  }

  static std::size_t padded_columns(std::size_t d) {
    constexpr std::size_t whole = 64 / sizeof(T);
    return (d + whole - 1) / whole * whole;
  }

  View<T, B> rows;
  T* norm;
};

// A column of tiles of the output: what one thread computes at a time.
struct Task {
  std::size_t col, first_row, end_row;
};

// All tiles, or those on and above the diagonal; the last columns, which have the most of these, come first.
std::vector<Task> tasks_of(std::size_t tile_rows, std::size_t tile_cols, bool symmetric) {
  std::vector<Task> tasks;
  for (std::size_t col = tile_cols; col-- > 0;) {
    const std::size_t end = symmetric ? col + 1 : tile_rows;
    for (std::size_t row = 0; row < end; row += tiles_per_task)
      tasks.push_back({col, row, std::min(row + tiles_per_task, end)});
  }
  return tasks;
}

template <Real T, Backend B>
void kernel_matrix(const B& backend, ReluKernel kind, std::size_t depth, View<const T, B> x, View<const T, B> y, T bias,
                   View<T, B> out) {
  if (x.rows == 0 || y.rows == 0) return;
  const bool symmetric = x.data == y.data && x.rows == y.rows && x.stride == y.stride;
  Tile<B> workspace(backend);
  const UnitRows<T, B> u(backend, workspace, x, bias);
  const UnitRows<T, B> v = symmetric ? u : UnitRows<T, B>(backend, workspace, y, bias);
  const NearPairs near(kind, depth, largest_amplification);

  const std::size_t edge = kernel_tile_edge(backend);
  const auto tiles_of = [=](std::size_t rows) { return (rows + edge - 1) / edge; };
  const std::vector<Task> tasks = tasks_of(tiles_of(x.rows), tiles_of(y.rows), symmetric);
  for_tiles<B>(backend, tasks.size(), 1, [&](Tile<B>& tile, RowRange r) {
    const Task& task = tasks[r.begin];
    const std::size_t col = task.col * edge;
    const std::size_t cols = std::min(edge, y.rows - col);
    const View<const T, B> v_tile = v.rows.row_block(col, cols);
    const PackedRows<T, B> packed(tile, v_tile);
    const View<T, B> scratch = kernel_tiles_in_place<B> ? View<T, B>() : tile.template scratch<T>(edge, cols);
    for (std::size_t row = task.first_row * edge; row < std::min(task.end_row * edge, x.rows); row += edge) {
      const std::size_t rows = std::min(edge, x.rows - row);
      const View<const T, B> u_tile = u.rows.row_block(row, rows);
      const View<T, B> block = out.block(row, rows, col, cols);
      const View<T, B> gap = kernel_tiles_in_place<B> ? block : scratch.row_block(0, rows);
      row_products<T, B>(tile, u_tile, packed, gap);
      signed_gaps<T, B>(tile, gap, u_tile, v_tile, near, gap);
      relu_kernel<T, B>(tile, kind, depth, gap, u.norm + row, v.norm + col, block);
      if (symmetric) transpose<T, B>(tile, block, out.block(col, cols, row, rows), row == col);
    }
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
  require_depth(params.depth, (name + ": depth").c_str());
  require(std::isfinite(params.bias),
          [&] { return name + ": bias is " + std::to_string(params.bias) + "; a finite number is needed"; });
  require_rows(x, y, out, name);
  kernel_matrix<T, B>(backend, kind, params.depth, x, y, static_cast<T>(params.bias), out);
}

}  // namespace

template <Real T, Backend B>
void relu_ntk(const B& backend, View<const T, B> cosine, std::size_t depth, View<T, B> out) {
  require_depth(depth, "relu_ntk: depth");
  require_shape(out, cosine.rows, cosine.cols, "relu_ntk: out");
  const auto apply = [&](Tile<B>& tile, View<const T, B> a, View<T, B> value) {
    signed_gaps<T, B>(tile, a, {}, {}, NearPairs(), value);
    relu_kernel<T, B>(tile, ReluKernel::ntk, depth, value, nullptr, nullptr, value);
  };
  const bool contiguous = cosine.stride == cosine.cols && out.stride == out.cols;
  if (contiguous) {
    // Input and output; on a CPU far less than fits, for threads to share the work evenly.
    constexpr std::size_t arrays = std::same_as<B, Cuda> ? 2 : 16;
    const std::size_t pairs = std::max<std::size_t>(tile_budget(backend).bytes / (arrays * sizeof(T)), 4096);
    for_tiles<B>(backend, cosine.rows * cosine.cols, pairs, [&](Tile<B>& tile, RowRange r) {
      apply(tile, View<const T, B>(cosine.data + r.begin, 1, r.count), View<T, B>(out.data + r.begin, 1, r.count));
    });
  } else {
    for_tiles<B>(backend, cosine.rows, rows_per_tile<T>(backend, cosine.cols), [&](Tile<B>& tile, RowRange r) {
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

#define FASTNTK_INSTANTIATE(T)                                                                                            \
  template void relu_ntk(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, std::size_t, View<T, FASTNTK_BACKEND>);  \
  template void arc_cosine_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>, \
                                  int, View<T, FASTNTK_BACKEND>);                                                         \
  template void ntk_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>,        \
                           const ReluKernelParams&, View<T, FASTNTK_BACKEND>);                                            \
  template void nngp_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>,       \
                            const ReluKernelParams&, View<T, FASTNTK_BACKEND>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
