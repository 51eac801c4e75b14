// Unit rows, and the inner products of rows.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "../src/primitives.hpp"
#include "gemm.cuh"
#include "reduce.cuh"
#include "runtime.cuh"

namespace fastntk {

namespace {

using cuda::launch;

// A block a row. The norm is taken of the row scaled by a power of two, so that it neither overflows nor vanishes.
template <class T>
__global__ void __launch_bounds__(1024) unit_rows_kernel(View<const T, Cuda> in, T bias, View<T, Cuda> out, T* norm) {
  double* const shared = cuda::shared_memory<double>();
  const T* const x = in.row(blockIdx.x);
  T* const u = out.row(blockIdx.x);
  T largest = std::abs(bias);
  for (std::size_t j = threadIdx.x; j < in.cols; j += blockDim.x) {
    const T size = std::abs(x[j]);
    largest = size > largest ? size : largest;
  }
  const double top = cuda::block_reduce(static_cast<double>(largest), shared, cuda::Larger());
  int exponent = 0;
  if (top > 0 && top - top == 0) exponent = std::ilogb(top);
  const double down = std::ldexp(1.0, exponent < -1000 ? 1000 : -exponent);

  double square = threadIdx.x == 0 ? (bias * down) * (bias * down) : 0;
  for (std::size_t j = threadIdx.x; j < in.cols; j += blockDim.x) square += (x[j] * down) * (x[j] * down);
  const double length = std::sqrt(cuda::block_sum(square, shared + blockDim.x / 32));

  if (threadIdx.x == 0) norm[blockIdx.x] = static_cast<T>(length / down);
  const double shrink = length == 0 ? 0 : 1 / length;
  const std::size_t d = in.cols + (bias != 0);
  for (std::size_t j = threadIdx.x; j < out.cols; j += blockDim.x) {
    const double value = j < in.cols ? x[j] : j < d ? bias : T(0);
    u[j] = static_cast<T>((value * down) * shrink);
  }
}

// A product is the sum of products over groups of this many columns, and a group the sum of parts of 128 (float).
constexpr std::size_t group_terms = 4096;
template <class T>
using ProductShape = cuda::GemmShape<T, 8, sizeof(T) == 4 ? 8 : 4, sizeof(T) == 4 ? 128 : 0>;

template <class T>
struct AddEntry {
  View<T, Cuda> out;
  __device__ void operator()(std::size_t i, std::size_t j, T value) const { out(i, j) += value; }
};

std::size_t packed_stride(std::size_t rows) { return (rows + 15) / 16 * 16; }

}  // namespace

// As many of the products' blocks, in two rounds, as the device has multiprocessors.
template <>
std::size_t kernel_tile_edge(const Cuda& backend) {
  const int blocks = 2 * cuda::limits(backend.device).multiprocessors;
  return static_cast<std::size_t>(std::sqrt(static_cast<double>(blocks))) * ProductShape<float>::rows;
}

template <Real T, Backend B>
PackedRows<T, B>::PackedRows(Tile<B>& tile, View<const T, B> v)
    : rows(v.rows), cols(v.cols), data(tile.template scratch<T>(1, v.cols * packed_stride(v.rows)).data) {
  transpose<T, B>(tile, v, View<T, B>(data, cols, rows, packed_stride(rows)), false);
}

template <Real T, Backend B>
void row_products(Tile<B>& tile, View<const T, B> u, const PackedRows<T, B>& v, View<T, B> out) {
  const View<const T, B> columns(v.data, v.cols, v.rows, packed_stride(v.rows));
  for (std::size_t begin = 0; begin < v.cols; begin += group_terms) {
    const std::size_t count = std::min(group_terms, v.cols - begin);
    const View<const T, B> a = u.col_block(begin, count);
    const View<const T, B> b = columns.row_block(begin, count);
    if (begin == 0)
      cuda::gemm<ProductShape<T>>(tile.backend(), a, b, cuda::StoreEntry<T>{out});
    else
      cuda::gemm<ProductShape<T>>(tile.backend(), a, b, AddEntry<T>{out});
  }
}

template <Real T, Backend B>
void unit_rows(Tile<B>& tile, View<const T, B> in, T bias, View<T, B> out, T* norm) {
  // By the length alone, on which the order of the sum depends.
  const std::size_t warps = std::clamp<std::size_t>(in.cols / 1024, 1, 32);
  launch(tile.backend(), {in.rows, static_cast<unsigned>(32 * warps), 2 * warps * sizeof(double)}, unit_rows_kernel<T>, in,
         bias, out, norm);
}

#define FASTNTK_INSTANTIATE(T)                                                                             \
  template struct PackedRows<T, Cuda>;                                                                     \
  template void row_products(Tile<Cuda>&, View<const T, Cuda>, const PackedRows<T, Cuda>&, View<T, Cuda>); \
  template void unit_rows(Tile<Cuda>&, View<const T, Cuda>, T, View<T, Cuda>, T*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
