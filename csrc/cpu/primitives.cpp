// The primitives on the CPU: each hands its tile to the kernel of the chosen instruction set.
#include "../src/primitives.hpp"

#include <algorithm>
#include <bit>

#include "kernels.hpp"

namespace fastntk {

template <Real T, Backend B>
void hadamard(Tile<B>&, View<const T, B> in, const std::uint32_t* signs, T scale, View<T, B> out) {
  cpu::kernels<T>().hadamard(in.rows, in.data, in.stride, in.cols, signs, scale, out.data, out.stride,
                             std::countr_zero(out.cols));
}

template <Real T, Backend B>
void gather(Tile<B>&, View<const T, B> in, const std::uint32_t* index, T scale, View<T, B> out) {
  cpu::kernels<T>().gather(in.rows, in.data, in.stride, index, scale, out.data, out.stride, out.cols);
}

template <Real T, Backend B>
void gather_product(Tile<B>&, View<const T, B> a, const std::uint32_t* index_a, View<const T, B> b,
                    const std::uint32_t* index_b, T scale, View<T, B> out) {
  cpu::kernels<T>().gather_product(a.rows, a.data, a.stride, index_a, b.data, b.stride, index_b, scale, out.data, out.stride,
                                   out.cols);
}

template <Real T, Backend B>
void copy(Tile<B>&, View<const T, B> in, View<T, B> out) {
  for (std::size_t i = 0; i < out.rows; ++i) std::copy_n(in.row(i), out.cols, out.row(i));
}

template <Real T, Backend B>
void count_sketch(Tile<B>& tile, View<const T, B> in, const BucketTable<T, B>& table, View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  cpu::kernels<T>().count_sketch_dense(in.rows, in.data, in.stride, table.round_sizes.size(), table.round_sizes.data(),
                                       table.columns.data(), table.weights.data(), table.rank.data(),
                                       tile.template scratch<T>(1, out.cols).data, out.data, out.stride, out.cols);
}

template <Real T, Backend B>
void count_sketch(Tile<B>&, CsrView<T, B> in, const std::uint32_t* bucket, const T* weight, std::size_t s, View<T, B> out) {
  cpu::kernels<T>().count_sketch_sparse(in.rows, in.values, in.columns, in.row_starts, bucket, weight, s, out.data,
                                        out.stride, out.cols);
}

#define FASTNTK_INSTANTIATE(T)                                                                                         \
  template void hadamard(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, T, View<T, Cpu>);                       \
  template void gather(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, T, View<T, Cpu>);                         \
  template void gather_product(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, View<const T, Cpu>,               \
                               const std::uint32_t*, T, View<T, Cpu>);                                                 \
  template void copy(Tile<Cpu>&, View<const T, Cpu>, View<T, Cpu>);                                                    \
  template void count_sketch(Tile<Cpu>&, View<const T, Cpu>, const BucketTable<T, Cpu>&, View<T, Cpu>);                \
  template void count_sketch(Tile<Cpu>&, CsrView<T, Cpu>, const std::uint32_t*, const T*, std::size_t, View<T, Cpu>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
