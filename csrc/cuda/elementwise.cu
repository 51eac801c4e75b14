// Scaling of rows, sums of their squares, and transposition: one pass over memory each.
#include <algorithm>
#include <cstddef>

#include "../src/primitives.hpp"
#include "reduce.cuh"
#include "runtime.cuh"

namespace fastntk {
namespace cuda {
namespace {

constexpr int entries_a_thread = 4;  // independent, in flight at the same time

// A block has a part of one row.
template <class T>
__global__ void __launch_bounds__(256)
    scale_rows_kernel(const T* factor, View<const T, Cuda> in, View<T, Cuda> out, std::size_t parts) {
  const std::size_t row = blockIdx.x / parts;
  const std::size_t first = (blockIdx.x % parts) * entries_a_thread * blockDim.x + threadIdx.x;
  const T scale = factor[row];
  T value[entries_a_thread];
#pragma unroll
  for (int i = 0; i < entries_a_thread; ++i) {
    const std::size_t j = first + i * blockDim.x;
    if (j < out.cols) value[i] = scale * in(row, j);
  }
#pragma unroll
  for (int i = 0; i < entries_a_thread; ++i) {
    const std::size_t j = first + i * blockDim.x;
    if (j < out.cols) out(row, j) = value[i];
  }
}

template <class T>
__global__ void __launch_bounds__(256) row_squares_kernel(View<const T, Cuda> in, T* square) {
  const T* const row = in.row(blockIdx.x);
  T sum = 0;
  for (std::size_t j = threadIdx.x; j < in.cols; j += blockDim.x) sum += row[j] * row[j];
  sum = block_sum(sum, shared_memory<T>());
  if (threadIdx.x == 0) square[blockIdx.x] = sum;
}

// Tiles of 32 x 32 entries pass through shared memory, whose rows have one entry more than banks.
constexpr int edge = 32;
constexpr int tile_threads = 256;

template <class T>
__global__ void __launch_bounds__(tile_threads)
    transpose_kernel(View<const T, Cuda> in, View<T, Cuda> out, bool above_diagonal) {
  const std::size_t tiles = (in.cols + edge - 1) / edge;
  const std::size_t first_row = blockIdx.x / tiles * edge;
  const std::size_t first_col = blockIdx.x % tiles * edge;
  if (above_diagonal && first_row > first_col) return;
  T* const tile = shared_memory<T>();
  const int x = static_cast<int>(threadIdx.x) % edge;
  const int y = static_cast<int>(threadIdx.x) / edge;
  for (int k = y; k < edge; k += tile_threads / edge)
    if (first_row + k < in.rows && first_col + x < in.cols) tile[k * (edge + 1) + x] = in(first_row + k, first_col + x);
  __syncthreads();
  for (int k = y; k < edge; k += tile_threads / edge) {
    const std::size_t i = first_row + x;
    const std::size_t j = first_col + k;
    if (i < in.rows && j < in.cols && (!above_diagonal || i < j)) out(j, i) = tile[x * (edge + 1) + k];
  }
}

}  // namespace
}  // namespace cuda

template <Real T, Backend B>
void scale_rows(Tile<B>& tile, const T* factor, View<const T, B> in, View<T, B> out) {
  const auto threads = static_cast<unsigned>(std::clamp<std::size_t>((out.cols + 31) / 32 * 32, 32, 256));
  const std::size_t part = std::size_t{threads} * cuda::entries_a_thread;
  const std::size_t parts = (out.cols + part - 1) / part;
  cuda::launch(tile.backend(), {out.rows * parts, threads}, cuda::scale_rows_kernel<T>, factor, in, out, parts);
}

template <Real T, Backend B>
void row_squares(Tile<B>& tile, View<const T, B> in, T* square) {
  const unsigned threads = in.cols <= 512 ? 32 : 256;
  cuda::launch(tile.backend(), {in.rows, threads, threads / 32 * sizeof(T)}, cuda::row_squares_kernel<T>, in, square);
}

template <Real T, Backend B>
void transpose(Tile<B>& tile, View<const T, B> in, View<T, B> out, bool above_diagonal) {
  const std::size_t tiles = ((in.rows + cuda::edge - 1) / cuda::edge) * ((in.cols + cuda::edge - 1) / cuda::edge);
  cuda::launch(tile.backend(), {tiles, cuda::tile_threads, cuda::edge * (cuda::edge + 1) * sizeof(T)},
               cuda::transpose_kernel<T>, in, out, above_diagonal);
}

#define FASTNTK_INSTANTIATE(T)                                                         \
  template void scale_rows(Tile<Cuda>&, const T*, View<const T, Cuda>, View<T, Cuda>); \
  template void row_squares(Tile<Cuda>&, View<const T, Cuda>, T*);                     \
  template void transpose(Tile<Cuda>&, View<const T, Cuda>, View<T, Cuda>, bool);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
