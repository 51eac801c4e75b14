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

// Calls finish(tile, u's rows, v's rows, their products, where the result is to stand) for tiles of the matrix out of the
// rows of u (n, d) and v (k, d); if it is `symmetric`, for those on and above the diagonal. `in_place` products stand in
// out.
template <Real T, Backend B, class Finish>
void product_tiles(const B& backend, View<const T, B> u, View<const T, B> v, bool symmetric, bool in_place, View<T, B> out,
                   Finish finish) {
  const std::size_t edge = kernel_tile_edge(backend);
  const auto tiles_of = [=](std::size_t rows) { return (rows + edge - 1) / edge; };
  const std::vector<Task> tasks = tasks_of(tiles_of(u.rows), tiles_of(v.rows), symmetric);
  for_tiles<B>(backend, tasks.size(), 1, [&](Tile<B>& tile, RowRange r) {
    const Task& task = tasks[r.begin];
    const RowRange cols{task.col * edge, std::min(edge, v.rows - task.col * edge)};
    const PackedRows<T, B> packed(tile, v.row_block(cols.begin, cols.count));
    const View<T, B> scratch = in_place ? View<T, B>() : tile.template scratch<T>(edge, cols.count);
    for (std::size_t row = task.first_row * edge; row < std::min(task.end_row * edge, u.rows); row += edge) {
      const RowRange rows{row, std::min(edge, u.rows - row)};
      const View<T, B> block = out.block(rows.begin, rows.count, cols.begin, cols.count);
      const View<T, B> product = in_place ? block : scratch.row_block(0, rows.count);
      row_products<T, B>(tile, u.row_block(rows.begin, rows.count), packed, product);
      finish(tile, rows, cols, product, block);
      if (symmetric) {
        const View<T, B> mirrored = out.block(cols.begin, cols.count, rows.begin, rows.count);
        transpose<T, B>(tile, block, mirrored, rows.begin == cols.begin);
      }
    }
  });
}

template <Real T, Backend B>
void kernel_matrix(const B& backend, ReluKernel kind, std::size_t depth, View<const T, B> x, View<const T, B> y, T bias,
                   View<T, B> out) {
  if (x.rows == 0 || y.rows == 0) return;
  const bool symmetric = same_rows(x, y);
  Tile<B> workspace(backend);
  const UnitRows<T, B> u(backend, workspace, x, bias);
  const UnitRows<T, B> v = symmetric ? u : UnitRows<T, B>(backend, workspace, y, bias);
  const NearPairs near(kind, depth, largest_amplification);

  product_tiles<T, B>(backend, u.rows, v.rows, symmetric, kernel_tiles_in_place<B>, out,
                      [&](Tile<B>& tile, RowRange rows, RowRange cols, View<T, B> gap, View<T, B> block) {
                        const View<const T, B> u_tile = u.rows.row_block(rows.begin, rows.count);
                        const View<const T, B> v_tile = v.rows.row_block(cols.begin, cols.count);
                        signed_gaps<T, B>(tile, gap, u_tile, v_tile, near, gap);
                        relu_kernel<T, B>(tile, kind, depth, gap, u.norm + rows.begin, v.norm + cols.begin, block);
                      });
}

template <Real T, Backend B>
void require_rows(View<const T, B> x, View<const T, B> y, View<T, B> out, const std::string& name) {
  require_positive(x.cols, (name + ": the number of columns of x").c_str());
  require_shape(y, y.rows, x.cols, (name + ": y").c_str());
  require_shape(out, x.rows, y.rows, (name + ": out").c_str());
}

template <Real T>
void require_params(const ReluKernelParams& params, const std::string& name) {
  require_depth(params.depth, (name + ": depth").c_str());
  require_finite<T>(params.bias, name + ": bias");
}

template <Real T, Backend B>
void relu_kernel_matrix(const B& backend, ReluKernel kind, const ReluKernelParams& params, View<const T, B> x,
                        View<const T, B> y, View<T, B> out, const std::string& name) {
  require_params<T>(params, name);
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

template <Real T, Backend B>
void linear_kernel(const B& backend, View<const T, B> x, View<const T, B> y, View<T, B> out) {
  require_rows(x, y, out, "linear_kernel");
  if (x.rows == 0 || y.rows == 0) return;
  product_tiles<T, B>(backend, x, y, same_rows(x, y), true, out,
                      [](Tile<B>&, RowRange, RowRange, View<T, B>, View<T, B>) {});
}

template <Real T, Backend B>
void scale_to_ntk_diagonal(const B& backend, View<const T, B> x, const ReluKernelParams& params, View<T, B> z) {
  require_params<T>(params, "scale_to_ntk_diagonal");
  require_positive(x.cols, "scale_to_ntk_diagonal: the number of columns of x");
  require_shape(z, x.rows, z.cols, "scale_to_ntk_diagonal: z");
  const T diagonal = static_cast<T>(std::sqrt(static_cast<double>(params.depth + 1)));
  const auto bias = static_cast<T>(params.bias);
  const std::size_t width = x.cols + (bias != 0);
  for_tiles<B>(backend, x.rows, rows_per_tile<T>(backend, width + z.cols), [&](Tile<B>& tile, RowRange r) {
    const View<T, B> norms = tile.template scratch<T>(2, r.count);
    T* const x_norm = norms.row(0);
    T* const z_norm = norms.row(1);
    const View<T, B> rows = z.row_block(r.begin, r.count);
    unit_rows<T, B>(tile, x.row_block(r.begin, r.count), bias, tile.template scratch<T>(r.count, width), x_norm);
    unit_rows<T, B>(tile, rows, T(0), rows, z_norm);
    for_each(tile, r.count, [=] FASTNTK_FORMULA(std::size_t i) { x_norm[i] *= diagonal; });
    scale_rows<T, B>(tile, x_norm, rows, rows);
  });
}

#define FASTNTK_INSTANTIATE(T)                                                                                            \
  template void relu_ntk(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, std::size_t, View<T, FASTNTK_BACKEND>);  \
  template void arc_cosine_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>, \
                                  int, View<T, FASTNTK_BACKEND>);                                                         \
  template void ntk_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>,        \
                           const ReluKernelParams&, View<T, FASTNTK_BACKEND>);                                            \
  template void nngp_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>,       \
                            const ReluKernelParams&, View<T, FASTNTK_BACKEND>);                                           \
  template void linear_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>,     \
                              View<T, FASTNTK_BACKEND>);                                                                  \
  template void scale_to_ntk_diagonal(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, const ReluKernelParams&,    \
                                      View<T, FASTNTK_BACKEND>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
