// Pairs of images of the convolutional NTK, one after the other.
#include "../src/cntk_primitives.hpp"

#include "kernels.hpp"

namespace fastntk {

template <Real T, Backend B>
void cntk_theta(Tile<B>& tile, const CntkPlan& plan, View<const double, B> x, View<const double, B> y, RowPairs pairs,
                View<double, B> theta) {
  const typename Tile<B>::Scope scope(tile);
  const cpu::Kernels<T>& kernels = cpu::kernels<T>();
  void* const work = tile.allocate(kernels.cntk_bytes(plan));
  for (std::size_t i = 0; i < x.rows; ++i) {
    if (pairs == RowPairs::equal_rows) {
      theta(i, 0) = kernels.cntk_theta(plan, x.row(i), y.row(i), work);
      continue;
    }
    for (std::size_t j = pairs == RowPairs::from_diagonal ? i : 0; j < y.rows; ++j)
      theta(i, j) = kernels.cntk_theta(plan, x.row(i), y.row(j), work);
  }
}

template void cntk_theta<float>(Tile<Cpu>&, const CntkPlan&, View<const double, Cpu>, View<const double, Cpu>, RowPairs,
                                View<double, Cpu>);
template void cntk_theta<double>(Tile<Cpu>&, const CntkPlan&, View<const double, Cpu>, View<const double, Cpu>, RowPairs,
                                 View<double, Cpu>);

}  // namespace fastntk
