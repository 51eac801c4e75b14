// What the training of networks needs besides the other primitives: cuBLAS, and elementwise work on rows.
#include <algorithm>

#include "../src/net_primitives.hpp"
#include "blas.cuh"
#include "for_each.cuh"

namespace fastntk {
namespace cuda {
namespace {

constexpr unsigned mask_threads = 256;

// A warp has a word of the mask at a time, a lane a column.
template <class T>
__global__ void __launch_bounds__(mask_threads)
    relu_forward_kernel(T scale, View<T, Cuda> h, View<std::uint32_t, Cuda> mask, std::size_t words) {
  const std::size_t word = (std::size_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32;
  const std::size_t r = word / words, j = word % words * 32 + threadIdx.x % 32;
  bool active = false;
  if (r < h.rows && j < h.cols) {
    T& z = h(r, j);
    const T value = z;
    active = !(value <= 0);
    z = active ? scale * value : T(0);
  }
  const unsigned bits = __ballot_sync(whole_warp, active);
  if (r < h.rows && threadIdx.x % 32 == 0) mask(r, word % words) = bits;
}

}  // namespace
}  // namespace cuda

template <Real T, Backend B>
void gemm(Tile<B>& tile, Transposed op_a, Transposed op_b, T alpha, View<const T, B> a, View<const T, B> b, T beta,
          View<T, B> c) {
  using cuda::blas::Transpose;
  const auto of = [](Transposed op) { return op == Transposed::yes ? Transpose::yes : Transpose::no; };
  const std::size_t k = op_a == Transposed::yes ? a.rows : a.cols;
  const auto stride = [](std::size_t rows, std::size_t cols, std::size_t s) { return rows > 1 ? s : std::max(s, cols); };
  cuda::blas::gemm<T>(tile.backend(), of(op_a), of(op_b), c.rows, c.cols, k, alpha, a.data, stride(a.rows, a.cols, a.stride),
                      b.data, stride(b.rows, b.cols, b.stride), beta, c.data, stride(c.rows, c.cols, c.stride));
}

template <>
struct GemmLibrary<Cuda>::State {
  cuda::blas::Session session;
};
template <>
GemmLibrary<Cuda>::GemmLibrary(const Cuda& backend) : state_(new State{cuda::blas::Session(backend)}) {}
template <>
GemmLibrary<Cuda>::~GemmLibrary() = default;

template <Real T, Backend B>
void relu_forward(Tile<B>& tile, T scale, View<T, B> h, View<std::uint32_t, B> mask) {
  const std::size_t words = mask_words(h.cols);
  const std::size_t blocks = (h.rows * words * 32 + cuda::mask_threads - 1) / cuda::mask_threads;
  cuda::launch(tile.backend(), {blocks, cuda::mask_threads}, cuda::relu_forward_kernel<T>, scale, h, mask, words);
}

template <Real T, Backend B>
void mask_rows(Tile<B>& tile, View<const std::uint32_t, B> mask, T scale, View<T, B> delta) {
  for_each(tile, delta.rows * delta.cols, [=] FASTNTK_FORMULA(std::size_t index) {
    const std::size_t r = index / delta.cols, j = index % delta.cols;
    delta(r, j) = mask(r, j / 32) >> j % 32 & 1u ? scale * delta(r, j) : T(0);
  });
}

template <Real T, Backend B>
void gather_rows(Tile<B>& tile, View<const T, B> in, const std::uint32_t* index, View<T, B> out) {
  for_each(tile, out.rows * out.cols, [=] FASTNTK_FORMULA(std::size_t place) {
    const std::size_t r = place / out.cols, j = place % out.cols;
    out(r, j) = in(index[r], j);
  });
}

#define FASTNTK_INSTANTIATE(T)                                                                                            \
  template void gemm(Tile<Cuda>&, Transposed, Transposed, T, View<const T, Cuda>, View<const T, Cuda>, T, View<T, Cuda>); \
  template void relu_forward(Tile<Cuda>&, T, View<T, Cuda>, View<std::uint32_t, Cuda>);                                   \
  template void mask_rows(Tile<Cuda>&, View<const std::uint32_t, Cuda>, T, View<T, Cuda>);                                \
  template void gather_rows(Tile<Cuda>&, View<const T, Cuda>, const std::uint32_t*, View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
