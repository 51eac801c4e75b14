// Products of matrices whose every entry is one sum in a fixed order: out = a b, a (m, k), b (k, n), both row-major.
//
// cuBLAS picks its kernel, and with it the order of a sum, by the shape of the call, and promises nothing about the entries
// of one call among themselves. A map whose bits must not depend on how rows are batched needs a product whose entry (i, j)
// depends on row i of a and column j of b only: here a chain of fused multiply-adds in the order of k, whatever the sizes
// and the tile. It is also the place where a formula meets the sums before they reach memory.
//
// The usual blocking: a block of 256 threads owns a tile of outputs, a warp a part of it (4 x 8 lanes), a lane `micro_rows`
// times `micro_cols` sums in registers. Per step of k a lane reads micro_rows + micro_cols entries from shared memory, in
// 16-byte pieces that the lanes of a row or column share, for micro_rows * micro_cols multiply-adds: with 8 x 8 floats 4
// wavefronts against 64 issue slots. The next `depth` steps come from memory into registers meanwhile. Inputs of any
// stride and alignment are read in whole 32-byte sectors; outputs leave through shared memory in whole rows of a warp.
#pragma once

#include <fastntk/view.hpp>

#include <algorithm>
#include <cstddef>

#include "arithmetic.cuh"
#include "runtime.cuh"

namespace fastntk::cuda {

/// The tile of a block. `terms` > 0 sums in parts of that many products, which are added up in their order: the error of a
/// long sum then grows with k / terms and terms instead of k. That takes the registers of a second set of sums.
template <class T, int lane_rows, int lane_cols, int terms_of_part = 0>
struct GemmShape {
  static constexpr int threads = 256;
  static constexpr int depth = 8;
  static constexpr int micro_rows = lane_rows, micro_cols = lane_cols;
  static constexpr int warp_rows = 4 * micro_rows, warp_cols = 8 * micro_cols;
  static constexpr int rows = 4 * warp_rows, cols = 2 * warp_cols;
  static constexpr int terms = terms_of_part;
  static_assert(terms % depth == 0);

  // Blocks whose registers fit a multiprocessor.
  static constexpr int sums = micro_rows * micro_cols * (terms > 0 ? 2 : 1);
  static constexpr int blocks = sizeof(T) == 4 && sums <= 64 ? 2 : 1;

  // A stored column of a is shifted by 16 bytes against the one before, so that the stores of a sector's 8 columns meet no
  // bank twice.
  static constexpr int a_stride = rows + static_cast<int>(16 / sizeof(T));
  static constexpr int buffer = depth * (a_stride + cols);
  static constexpr int staged = 8 * 4 * warp_cols;  // four rows of every warp
  static constexpr std::size_t shared_bytes = sizeof(T) * static_cast<std::size_t>(std::max(2 * buffer, staged));
};

template <class T>
using WideGemm = GemmShape<T, 8, sizeof(T) == 4 ? 8 : 4>;

template <class T>
struct alignas(16) Piece {
  static constexpr int size = 16 / sizeof(T);
  T v[size];
};

/// emit(i, j, value) is called once for every output; the lanes of a warp have neighbouring j.
template <class T, class Shape, class Emit>
__global__ void __launch_bounds__(Shape::threads, Shape::blocks)
    gemm_kernel(View<const T, Cuda> a, View<const T, Cuda> b, Emit emit) {
  constexpr int depth = Shape::depth;
  constexpr int piece = Piece<T>::size;
  constexpr int a_loads = Shape::rows * depth / Shape::threads;
  constexpr int b_loads = Shape::cols * depth / Shape::threads;
  constexpr int a_pieces = Shape::micro_rows / piece;
  constexpr int b_pieces = Shape::micro_cols / piece;
  T* const shared = shared_memory<T>();

  // Tiles of one column follow each other: those in flight share their part of b.
  const auto row_tiles = static_cast<unsigned>((a.rows + Shape::rows - 1) / Shape::rows);
  const unsigned row_tile = blockIdx.x % row_tiles;
  const unsigned col_tile = blockIdx.x / row_tiles;
  const int thread = static_cast<int>(threadIdx.x);

  // Everything that an entry's address needs beyond one pointer for a and one for b is 32 bits wide: the sums need the
  // registers. Rows and columns outside the matrices are bits that are off.
  const int a_k = thread % depth;
  const int a_row = thread / depth;
  const int b_col = thread % Shape::cols;
  const int b_k = thread / Shape::cols;
  constexpr int a_step = Shape::threads / depth;
  constexpr int b_step = Shape::threads / Shape::cols;
  const std::size_t first_row = std::size_t{row_tile} * Shape::rows;
  const std::size_t first_col = std::size_t{col_tile} * Shape::cols;
  const T* a_from = a.data + (first_row + a_row) * a.stride + a_k;
  const T* b_from = b.data + b_k * b.stride + first_col + b_col;
  unsigned a_inside = 0;
  for (int i = 0; i < a_loads; ++i) a_inside |= (first_row + a_row + i * a_step < a.rows ? 1u : 0u) << i;
  const bool b_inside = first_col + b_col < b.cols;
  const int terms = static_cast<int>(a.cols);
  T a_next[a_loads];
  T b_next[b_loads];
  const auto fetch = [&](int k) {
#pragma unroll
    for (int i = 0; i < a_loads; ++i)
      a_next[i] = (a_inside >> i & 1u) && k + a_k < terms ? a_from[i * a_step * a.stride] : T(0);
#pragma unroll
    for (int i = 0; i < b_loads; ++i)
      b_next[i] = b_inside && k + b_k + i * b_step < terms ? b_from[i * b_step * b.stride] : T(0);
    a_from += depth;
    b_from += depth * b.stride;
  };
  const auto put = [&](T* buffer) {
#pragma unroll
    for (int i = 0; i < a_loads; ++i) buffer[a_k * Shape::a_stride + a_row + i * a_step] = a_next[i];
    T* const b_buffer = buffer + depth * Shape::a_stride;
#pragma unroll
    for (int i = 0; i < b_loads; ++i) b_buffer[(b_k + i * b_step) * Shape::cols + b_col] = b_next[i];
  };

  const int warp = thread / 32;
  const int lane = thread % 32;
  const int warp_row = warp / 2 * Shape::warp_rows;
  const int warp_col = warp % 2 * Shape::warp_cols;
  const int lane_row = lane / 8;
  const int lane_col = lane % 8;
  T sum[Shape::micro_rows][Shape::micro_cols] = {};
  [[maybe_unused]] T total[Shape::terms > 0 ? Shape::micro_rows : 1][Shape::terms > 0 ? Shape::micro_cols : 1] = {};

  fetch(0);
  put(shared);
  __syncthreads();
  for (int k = 0; k < terms; k += depth) {
    const bool more = k + depth < terms;
    if (more) fetch(k + depth);
    const T* const buffer = shared + (k / depth % 2) * Shape::buffer;
    const T* const a_part = buffer + warp_row + lane_row * piece;
    const T* const b_part = buffer + depth * Shape::a_stride + warp_col + lane_col * piece;
#pragma unroll 2  // more would fetch ahead into registers that there are not
    for (int step = 0; step < depth; ++step) {
      Piece<T> u[a_pieces];
      Piece<T> v[b_pieces];
#pragma unroll
      for (int p = 0; p < a_pieces; ++p)
        u[p] = *reinterpret_cast<const Piece<T>*>(a_part + step * Shape::a_stride + p * 4 * piece);
#pragma unroll
      for (int p = 0; p < b_pieces; ++p)
        v[p] = *reinterpret_cast<const Piece<T>*>(b_part + step * Shape::cols + p * 8 * piece);
#pragma unroll
      for (int i = 0; i < Shape::micro_rows; ++i)
#pragma unroll
        for (int j = 0; j < Shape::micro_cols; ++j)
          sum[i][j] = multiply_add(u[i / piece].v[i % piece], v[j / piece].v[j % piece], sum[i][j]);
    }
    if constexpr (Shape::terms > 0) {
      if ((k + depth) % Shape::terms == 0) {
#pragma unroll
        for (int i = 0; i < Shape::micro_rows; ++i)
#pragma unroll
          for (int j = 0; j < Shape::micro_cols; ++j) {
            total[i][j] += sum[i][j];
            sum[i][j] = 0;
          }
      }
    }
    if (more) put(shared + ((k / depth + 1) % 2) * Shape::buffer);
    __syncthreads();
  }

  // Row i of every lane row at a time: four rows of the warp.
  T* const stage = shared + warp * 4 * Shape::warp_cols;
#pragma unroll
  for (int i = 0; i < Shape::micro_rows; ++i) {
#pragma unroll
    for (int p = 0; p < b_pieces; ++p) {
      Piece<T> v;
#pragma unroll
      for (int j = 0; j < piece; ++j) {
        v.v[j] = sum[i][p * piece + j];
        if constexpr (Shape::terms > 0) v.v[j] += total[i][p * piece + j];
      }
      *reinterpret_cast<Piece<T>*>(stage + lane_row * Shape::warp_cols + (p * 8 + lane_col) * piece) = v;
    }
    __syncwarp();
#pragma unroll
    for (int part = 0; part < 4 * Shape::warp_cols / 32; ++part) {
      const int entry = part * 32 + lane;
      const std::size_t row =
          std::size_t{row_tile} * Shape::rows + warp_row + (i / piece * 4 + entry / Shape::warp_cols) * piece + i % piece;
      const std::size_t col = std::size_t{col_tile} * Shape::cols + warp_col + entry % Shape::warp_cols;
      if (row < a.rows && col < b.cols) emit(row, col, stage[entry]);
    }
    __syncwarp();
  }
}

/// Calls emit(i, j, (a b)[i][j]) on the device, for all outputs.
template <class Shape, class T, class Emit>
void gemm(const Cuda& backend, View<const T, Cuda> a, View<const T, Cuda> b, Emit emit) {
  const std::size_t row_tiles = (a.rows + Shape::rows - 1) / Shape::rows;
  const std::size_t col_tiles = (b.cols + Shape::cols - 1) / Shape::cols;
  launch(backend, {row_tiles * col_tiles, Shape::threads, Shape::shared_bytes}, gemm_kernel<T, Shape, Emit>, a, b, emit);
}

/// The emit() of a plain product.
template <class T>
struct StoreEntry {
  View<T, Cuda> out;
  __device__ void operator()(std::size_t i, std::size_t j, T value) const { out(i, j) = value; }
};

}  // namespace fastntk::cuda
