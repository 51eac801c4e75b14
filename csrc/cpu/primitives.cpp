// The primitives on the CPU: each hands its tile to the kernel of the chosen instruction set.
#include "../src/primitives.hpp"

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

#define FASTNTK_INSTANTIATE(T)                                                                                         \
  template void hadamard(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, T, View<T, Cpu>);                       \
  template void gather(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, T, View<T, Cpu>);                         \
  template void gather_product(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, View<const T, Cpu>,               \
                               const std::uint32_t*, T, View<T, Cpu>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
