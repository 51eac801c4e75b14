// A step of a two-layer network, f = ReLU(X W^T) out, panel of units by panel: with R = kappa f - y the gradient of a panel
// is (A o R out^T)^T X, A the pattern of active units.
#include "primitives.hpp"
#include "tiling.hpp"
#include "two_layer_net.hpp"

namespace fastntk {
namespace {

std::size_t split_evenly(std::size_t size, std::size_t most) {
  const std::size_t parts = (size + most - 1) / most;
  return parts == 0 ? 1 : (size + parts - 1) / parts;
}

/// Of the squares of W - D, panel after panel.
template <Real T, Backend B>
std::size_t weight_parts(const UnitPanels<T, B>& panels, std::size_t d) {
  const std::size_t last = panels.count() - 1;
  return last * square_parts(panels.units * d) + square_parts(panels.panel(last).count * d);
}

/// The same elements as one row, if they are contiguous.
template <class T, Backend B>
View<T, B> flat(View<T, B> v) {
  return v.stride == v.cols ? View<T, B>(v.data, 1, v.rows * v.cols) : v;
}

}  // namespace

// On the CPU a panel has 512 KiB of activations, but enough panels are made that threads have work, unless they are so small
// that waking the threads would take as long. On a device a panel's activations stay in its cache.
template <Real T, Backend B>
UnitPanels<T, B>::UnitPanels(std::size_t m_units, std::size_t d, std::size_t all_rows) : m(m_units) {
  constexpr bool host = std::same_as<B, Cpu>;
  constexpr std::size_t elements = (std::size_t{1} << (host ? 19 : 25)) / sizeof(T);
  constexpr std::size_t worth_a_thread = std::size_t{1} << 18;  // multiplications
  rows = split_evenly(all_rows, host ? 512 : 4096);
  units = elements / rows;
  if (host) units = std::min(units, std::max({std::size_t{128}, m / 16, worth_a_thread / std::max(all_rows * d, d)}));
  units = (std::min(units, m) + 31) / 32 * 32;
}

template <Real T, Backend B>
TwoLayerPass<T, B>::TwoLayerPass(Tile<B>& workspace, View<const T, B> out, std::size_t d, std::size_t most_rows)
    : workspace_(workspace),
      out_(out),
      panels_(out.rows, d, most_rows),
      mask_(mask_scratch(workspace, most_rows, out.rows)),
      products_(static_cast<T*>(workspace.allocate((panels_.count() + 1) * most_rows * out.cols * sizeof(T)))),
      terms_(workspace, most_rows * out.cols, weight_parts(panels_, d)) {}

template <Real T, Backend B>
View<std::uint32_t, B> TwoLayerPass<T, B>::mask(RowRange rows, RowRange units) const {
  return mask_.block(rows.begin, rows.count, units.begin / 32, mask_words(units.count));
}

template <Real T, Backend B>
template <class Also>
View<T, B> TwoLayerPass<T, B>::forward(View<const T, B> x, View<const T, B> w, Also also) {
  x_ = x;
  for_tiles<B>(workspace_.backend(), panels_.count(), 1, [&](Tile<B>& tile, RowRange task) {
    const std::size_t p = task.begin;
    const RowRange units = panels_.panel(p);
    for_ranges(x.rows, panels_.rows, [&](RowRange rows) {
      const typename Tile<B>::Scope scope(tile);
      const View<T, B> h = tile.template scratch<T>(rows.count, units.count);
      gemm<T, B>(tile, Transposed::no, Transposed::yes, 1, x.row_block(rows.begin, rows.count),
                 w.row_block(units.begin, units.count), 0, h);
      relu_forward<T, B>(tile, 1, h, mask(rows, units));
      gemm<T, B>(tile, Transposed::no, Transposed::no, 1, h, out_.row_block(units.begin, units.count), 0,
                 product(p).row_block(rows.begin, rows.count));
    });
    also(tile, p);
  });
  const View<T, B> f = product(0);
  for (std::size_t p = 1; p < panels_.count(); ++p) multiply<T, B>(workspace_, flat(product(p)), {}, 1, true, flat(f));
  return f;
}

template <Real T, Backend B>
View<const T, B> TwoLayerPass<T, B>::outputs(View<const T, B> x, View<const T, B> w) {
  return forward(x, w, [](Tile<B>&, std::size_t) {});
}

template <Real T, Backend B>
double TwoLayerPass<T, B>::loss(const NetBatch<T, B>& batch, double kappa, double alpha, View<const T, B> w,
                                View<const T, B> d) {
  // Where alpha is 0 it only matters whether the weights are finite, as D is.
  if (alpha == 0) d = {};
  const View<T, B> f = forward(batch.x, w, [&](Tile<B>& tile, std::size_t p) {
    const RowRange units = panels_.panel(p);
    part_squares<T, B>(tile, w.row(units.begin), d.data ? d.row(units.begin) : nullptr, units.count * w.cols,
                       terms_.weights() + p * square_parts(panels_.units * w.cols));
  });
  terms_.residual(workspace_, static_cast<T>(kappa), f, batch.y, product(panels_.count()));
  return terms_.loss(batch.scale, alpha);
}

template <Real T, Backend B>
void TwoLayerPass<T, B>::add_gradient(T factor, T keep, T pull, View<const T, B> w, View<const T, B> d,
                                      View<T, B> to) const {
  for_tiles<B>(workspace_.backend(), panels_.count(), 1, [&](Tile<B>& tile, RowRange task) {
    const RowRange units = panels_.panel(task.begin);
    const View<T, B> to_panel = to.row_block(units.begin, units.count);
    const auto weights = [&](View<const T, B> v) {
      const View<const T, B> panel = v.row_block(units.begin, units.count);
      return to.stride == to.cols ? flat(panel) : panel;
    };
    multiply<T, B>(tile, weights(w), {}, keep, false, flat(to_panel));
    if (pull != 0) multiply<T, B>(tile, weights(d), {}, pull, true, flat(to_panel));
    for_ranges(x_.rows, panels_.rows, [&](RowRange rows) {
      const typename Tile<B>::Scope scope(tile);
      const View<T, B> delta = tile.template scratch<T>(rows.count, units.count);
      gemm<T, B>(tile, Transposed::no, Transposed::yes, 1, product(panels_.count()).row_block(rows.begin, rows.count),
                 out_.row_block(units.begin, units.count), 0, delta);
      mask_rows<T, B>(tile, mask(rows, units), 1, delta);
      gemm<T, B>(tile, Transposed::yes, Transposed::no, factor, delta, x_.row_block(rows.begin, rows.count), 1, to_panel);
    });
  });
}

template struct UnitPanels<float, FASTNTK_BACKEND>;
template struct UnitPanels<double, FASTNTK_BACKEND>;
template class TwoLayerPass<float, FASTNTK_BACKEND>;
template class TwoLayerPass<double, FASTNTK_BACKEND>;

}  // namespace fastntk
