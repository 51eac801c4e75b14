// What a DeepNet says about rows: its outputs, and the inner products of its gradients.
#include <algorithm>
#include <cmath>
#include <concepts>

#include "deep_net.hpp"
#include "net_blocks.hpp"
#include "primitives.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

/// That scratch memory may take where it is free to choose.
template <Backend B>
std::size_t bytes_at_once(const B& backend) {
  return std::same_as<B, Cpu> ? std::size_t{1} << 28 : tile_budget(backend).streamed_bytes;
}

/// Rows that may pass the layers at once, of `cols` elements each.
template <Real T, Backend B>
std::size_t rows_of_pass(const B& backend, std::size_t cols) {
  constexpr std::size_t least = 32;
  return std::max<std::size_t>(bytes_at_once(backend) / (cols * sizeof(T)), least);
}

/// Rows and columns of a tile of the kernel's matrix, which takes two of scratch memory.
template <Real T, Backend B>
std::size_t kernel_edge(const B& backend) {
  if constexpr (std::same_as<B, Cpu>) return 256;
  const std::size_t entries = bytes_at_once(backend) / (2 * sizeof(T));
  return std::clamp<std::size_t>(static_cast<std::size_t>(std::sqrt(static_cast<double>(entries))), 32, 4096);
}

template <Real T, Backend B>
void fill_ones(Tile<B>& tile, View<T, B> column) {
  for_each(tile, column.rows, [=] FASTNTK_FORMULA(std::size_t r) { column(r, 0) = 1; });
}

/// The block (rows, cols) of the kernel's matrix, tile by tile; if it is `symmetric`, the block across the diagonal too.
template <Real T, Backend B>
void kernel_block(const B& backend, const NetPass<T, B>& of_rows, const NetPass<T, B>& of_cols, RowRange rows, RowRange cols,
                  bool symmetric, View<T, B> out) {
  const std::size_t edge = kernel_edge<T>(backend);
  const auto tiles = [edge](std::size_t size) { return (size + edge - 1) / edge; };
  const bool diagonal = symmetric && rows.begin == cols.begin;
  for_tiles<B>(backend, tiles(rows.count) * tiles(cols.count), 1, [&](Tile<B>& tile, RowRange task) {
    const std::size_t i = task.begin / tiles(cols.count) * edge, j = task.begin % tiles(cols.count) * edge;
    if (diagonal && i > j) return;
    const RowRange r{i, std::min(edge, rows.count - i)}, c{j, std::min(edge, cols.count - j)};
    const View<T, B> block = out.block(rows.begin + r.begin, r.count, cols.begin + c.begin, c.count);
    of_rows.kernel(tile, of_cols, r, c, block);
    if (!symmetric) return;
    const View<T, B> mirrored = out.block(cols.begin + c.begin, c.count, rows.begin + r.begin, r.count);
    transpose<T, B>(tile, block, mirrored, diagonal && i == j);
  });
}

}  // namespace

template <Real T, Backend B>
void DeepNet<T, B>::predict(View<const T, B> x, View<T, B> out) const {
  const State& s = *state_;
  require_shape(x, x.rows, s.layers.inputs(0), "DeepNet: x");
  require_shape(out, x.rows, s.layers.outputs(s.layers.depth()), "DeepNet: out");
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  for_ranges(x.rows, rows_of_pass<T>(s.backend, s.layers.units()), [&](RowRange r) {
    const typename Tile<B>::Scope scope(workspace);
    NetPass<T, B> pass(workspace, s.layers, r.count, false);
    pass.forward(s.weights.data(), x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template <Real T, Backend B>
void DeepNet<T, B>::kernel(View<const T, B> x, View<const T, B> z, View<T, B> out) const {
  const State& s = *state_;
  require_shape(x, x.rows, s.layers.inputs(0), "DeepNet: x");
  require_shape(z, z.rows, s.layers.inputs(0), "DeepNet: z");
  require_shape(out, x.rows, z.rows, "DeepNet: out");
  const bool symmetric = same_rows(x, z);
  const GemmLibrary<B> library(s.backend);
  Tile<B> workspace(s.backend);
  const std::size_t at_once = rows_of_pass<T>(s.backend, 4 * s.layers.units());  // of x and of z, forth and back
  const auto derivatives = [&](View<const T, B> rows) {
    NetPass<T, B> pass(workspace, s.layers, rows.rows, true);
    pass.forward(s.weights.data(), rows, workspace.template scratch<T>(rows.rows, s.layers.outputs(s.layers.depth())));
    const View<T, B> ones = workspace.template scratch<T>(rows.rows, 1);
    fill_ones(workspace, ones);
    pass.backward(ones);
    return pass;
  };
  for_ranges(x.rows, at_once, [&](RowRange rows) {
    const typename Tile<B>::Scope scope(workspace);
    const NetPass<T, B> of_x = derivatives(x.row_block(rows.begin, rows.count));
    for_ranges(z.rows, at_once, [&](RowRange cols) {
      if (symmetric && cols.begin < rows.begin) return;
      const typename Tile<B>::Scope inner(workspace);
      const bool diagonal = symmetric && cols.begin == rows.begin;
      const NetPass<T, B> of_z = diagonal ? of_x : derivatives(z.row_block(cols.begin, cols.count));
      kernel_block(s.backend, of_x, of_z, rows, cols, symmetric, out);
    });
  });
}

#define FASTNTK_INSTANTIATE(T)                                                                                        \
  template void DeepNet<T, FASTNTK_BACKEND>::predict(View<const T, FASTNTK_BACKEND>, View<T, FASTNTK_BACKEND>) const; \
  template void DeepNet<T, FASTNTK_BACKEND>::kernel(View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>,   \
                                                    View<T, FASTNTK_BACKEND>) const;
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
