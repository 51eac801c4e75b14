// What the training of networks needs besides the other primitives: BLAS, one thread for each tile, and two kernels.
#include <algorithm>

#include "../src/net_primitives.hpp"
#include "blas.hpp"
#include "kernels.hpp"

namespace fastntk {

template <Real T, Backend B>
void gemm(Tile<B>&, Transposed op_a, Transposed op_b, T alpha, View<const T, B> a, View<const T, B> b, T beta,
          View<T, B> c) {
  using cpu::blas::Transpose;
  const auto of = [](Transposed op) { return op == Transposed::yes ? Transpose::yes : Transpose::no; };
  const std::size_t k = op_a == Transposed::yes ? a.rows : a.cols;
  // A row that stands alone may have any stride; BLAS wants one that would hold it.
  const auto stride = [](std::size_t rows, std::size_t cols, std::size_t s) { return rows > 1 ? s : std::max(s, cols); };
  cpu::blas::gemm<T>(of(op_a), of(op_b), c.rows, c.cols, k, alpha, a.data, stride(a.rows, a.cols, a.stride), b.data,
                     stride(b.rows, b.cols, b.stride), beta, c.data, stride(c.rows, c.cols, c.stride));
}

template <>
struct GemmLibrary<Cpu>::State {
  cpu::blas::SingleThread single;
};
template <>
GemmLibrary<Cpu>::GemmLibrary(const Cpu&) : state_(std::make_unique<State>()) {}
template <>
GemmLibrary<Cpu>::~GemmLibrary() = default;

template <Real T, Backend B>
void relu_forward(Tile<B>&, T scale, View<T, B> h, View<std::uint32_t, B> mask) {
  cpu::kernels<T>().relu_forward(h.rows, h.cols, scale, h.data, h.stride, mask.data, mask.stride);
}

template <Real T, Backend B>
void mask_rows(Tile<B>&, View<const std::uint32_t, B> mask, T scale, View<T, B> delta) {
  cpu::kernels<T>().mask_rows(delta.rows, delta.cols, mask.data, mask.stride, scale, delta.data, delta.stride);
}

template <Real T, Backend B>
void gather_rows(Tile<B>&, View<const T, B> in, const std::uint32_t* index, View<T, B> out) {
  for (std::size_t r = 0; r < out.rows; ++r) std::copy_n(in.row(index[r]), out.cols, out.row(r));
}

#define FASTNTK_INSTANTIATE(T)                                                                                        \
  template void gemm(Tile<Cpu>&, Transposed, Transposed, T, View<const T, Cpu>, View<const T, Cpu>, T, View<T, Cpu>); \
  template void relu_forward(Tile<Cpu>&, T, View<T, Cpu>, View<std::uint32_t, Cpu>);                                  \
  template void mask_rows(Tile<Cpu>&, View<const std::uint32_t, Cpu>, T, View<T, Cpu>);                               \
  template void gather_rows(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, View<T, Cpu>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
