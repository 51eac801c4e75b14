// Inner products of rows. Not by a BLAS: there the bits of a product can depend on where its rows stand in the matrix.
#include <algorithm>
#include <cstddef>

#include "../src/primitives.hpp"
#include "kernels.hpp"

namespace fastntk {
namespace {

// An inner product over d columns is the sum of products over panels of about 128 columns, in groups of 32 panels: one
// float32 sum of d terms in a row would have three times (d = 784) to ten times (d = 10^5) the rounding error.
constexpr std::size_t panel_width = 128;
constexpr std::size_t panels_per_group = 32;

struct Panels {
  std::size_t d;
  std::size_t count = std::max<std::size_t>(d / panel_width, 1);
  std::size_t width = (d + count - 1) / count;

  std::size_t size(std::size_t begin) const { return std::min(width, d - begin); }
};

// Panel [begin, begin + size) of `cols` packed rows starts at begin * whole_steps(cols): project()'s layout, one panel after
// the other.
template <class T>
std::size_t whole_steps(std::size_t cols) {
  constexpr std::size_t step = cpu::projection_panel_bytes / sizeof(T);
  return (cols + step - 1) / step * step;
}

}  // namespace

template <>
std::size_t kernel_tile_edge(const Cpu&) {
  return 144;
}

template <Real T, Backend B>
PackedRows<T, B>::PackedRows(Tile<B>& tile, View<const T, B> v)
    : rows(v.rows), cols(v.cols), data(tile.template scratch<T>(1, v.cols * whole_steps<T>(v.rows)).data) {
  constexpr std::size_t step = cpu::projection_panel_bytes / sizeof(T);
  const Panels panels{cols};
  for (std::size_t begin = 0; begin < cols; begin += panels.width) {
    const std::size_t size = panels.size(begin);
    for (std::size_t j = 0; j < rows; j += step) {
      T* const out = data + begin * whole_steps<T>(rows) + j * size;
      const std::size_t count = std::min(step, rows - j);
      if (count < step) std::fill_n(out, size * step, T(0));
      cpu::kernels<T>().transpose(count, size, v.row(j) + begin, v.stride, out, step, false);
    }
  }
}

template <Real T, Backend B>
void row_products(Tile<B>& tile, View<const T, B> u, const PackedRows<T, B>& v, View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  const auto& kernels = cpu::kernels<T>();
  const Panels panels{v.cols};
  const View<T, B> product = tile.template scratch<T>(out.rows, out.cols);
  const View<T, B> group = panels.count > panels_per_group ? tile.template scratch<T>(out.rows, out.cols) : out;
  for (std::size_t panel = 0, begin = 0; begin < v.cols; ++panel, begin += panels.width) {
    const View<T, B> sum = panel < panels_per_group ? out : group;
    const bool group_starts = panel % panels_per_group == 0;
    const View<T, B> target = group_starts ? sum : product;
    kernels.project(u.rows, u.data + begin, u.stride, panels.size(begin), v.data + begin * whole_steps<T>(v.rows),
                    target.data, target.stride, out.cols);
    if (!group_starts) kernels.add(out.rows, out.cols, product.data, product.stride, sum.data, sum.stride);
    const bool group_ends = panel % panels_per_group == panels_per_group - 1 || begin + panels.width >= v.cols;
    if (group_ends && sum.data != out.data) kernels.add(out.rows, out.cols, group.data, group.stride, out.data, out.stride);
  }
}

#define FASTNTK_INSTANTIATE(T)        \
  template struct PackedRows<T, Cpu>; \
  template void row_products(Tile<Cpu>&, View<const T, Cpu>, const PackedRows<T, Cpu>&, View<T, Cpu>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
