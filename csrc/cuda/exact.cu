// The ReLU kernels of unit rows: the signed gaps of their cosines, and the recursion in these.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../src/primitives.hpp"
#include "gemm.cuh"
#include "relu_scalars.cuh"
#include "runtime.cuh"

namespace fastntk {

namespace {

#include "../src/relu_recursion.hpp"

using cuda::launch;

// An elementwise pass: a warp takes a strip of a row, a lane every 32nd of its elements.
constexpr int strip_pairs = 4;
constexpr std::size_t strip = 32 * strip_pairs;
constexpr unsigned strip_threads = 256;

struct Strips {
  std::size_t of_row, count;

  Strips(std::size_t rows, std::size_t cols) : of_row((cols + strip - 1) / strip), count(rows * of_row) {}
  cuda::Grid grid() const { return {(count + strip_threads / 32 - 1) / (strip_threads / 32), strip_threads}; }
};

template <class T>
__global__ void __launch_bounds__(strip_threads) gaps_kernel(Strips strips, View<const T, Cuda> cosine, View<T, Cuda> gap) {
  const std::size_t index = std::size_t{blockIdx.x} * (strip_threads / 32) + threadIdx.x / 32;
  if (index >= strips.count) return;
  const std::size_t row = index / strips.of_row;
  const std::size_t begin = index % strips.of_row * strip + threadIdx.x % 32;
  T a[strip_pairs];
  FASTNTK_UNROLL
  for (int i = 0; i < strip_pairs; ++i) a[i] = begin + 32 * i < cosine.cols ? cosine(row, begin + 32 * i) : T(0);
  FASTNTK_UNROLL
  for (int i = 0; i < strip_pairs; ++i)
    if (begin + 32 * i < cosine.cols) gap(row, begin + 32 * i) = signed_gap<T>(a[i]);
}

template <class T, ReluKernel kind>
__global__ void __launch_bounds__(strip_threads) relu_pairs_kernel(Strips strips, std::size_t depth, View<const T, Cuda> gap,
                                                                   const T* row_norm, const T* col_norm, View<T, Cuda> out) {
  const std::size_t index = std::size_t{blockIdx.x} * (strip_threads / 32) + threadIdx.x / 32;
  if (index >= strips.count) return;
  const std::size_t row = index / strips.of_row;
  const std::size_t begin = index % strips.of_row * strip + threadIdx.x % 32;
  T s[strip_pairs];
  T value[strip_pairs];
  FASTNTK_UNROLL
  for (int i = 0; i < strip_pairs; ++i) s[i] = begin + 32 * i < gap.cols ? gap(row, begin + 32 * i) : T(0);
  relu_kernel_of<T, kind>(depth, s, value);
  const T norm = row_norm ? row_norm[row] : T(1);
  FASTNTK_UNROLL
  for (int i = 0; i < strip_pairs; ++i) {
    const std::size_t col = begin + 32 * i;
    if (col >= gap.cols) continue;
    const T other = col_norm ? col_norm[col] : T(1);
    if constexpr (kind == ReluKernel::arc_cosine_0)
      out(row, col) = norm == 0 || other == 0 ? T(0) : value[i];
    else
      out(row, col) = value[i] * (norm * other);
  }
}

// Near pairs are few or, in data of one kind, most. A warp takes 32 columns of some rows and sums the squares of a pair's
// differences with all lanes, four pairs that share u at a time; the block's warps read the same 32 rows v at about the same
// time, so that the first-level cache serves all but one of them.
constexpr int near_rows_of_warp = 4;
constexpr int near_warps = 8;
constexpr int near_batch = 4;
constexpr std::size_t near_rows = near_rows_of_warp * near_warps;

template <class T>
__device__ inline cuda::Piece<T> load_piece(const T* from, bool aligned) {
  if (aligned) return *reinterpret_cast<const cuda::Piece<T>*>(from);
  cuda::Piece<T> piece;
  FASTNTK_UNROLL
  for (int i = 0; i < cuda::Piece<T>::size; ++i) piece.v[i] = from[i];
  return piece;
}

// |u - sign_k v_k|^2, in all lanes; d is a whole number of pieces. Long rows are summed in blocks, as on the CPU.
template <class T>
__device__ inline void squared_distances(const T* u, const T* const (&v)[near_batch], const T (&sign)[near_batch],
                                         std::size_t d, bool aligned, T (&out)[near_batch]) {
  using Piece = cuda::Piece<T>;
  constexpr std::size_t step = 32 * Piece::size;
  constexpr std::size_t block = 16 * step;
  T total[near_batch] = {};
  for (std::size_t begin = 0; begin < d; begin += block) {
    const std::size_t end = begin + block < d ? begin + block : d;
    T sum[near_batch] = {};
    for (std::size_t j = begin + threadIdx.x % 32 * Piece::size; j < end; j += step) {
      const Piece a = load_piece(u + j, aligned);
      FASTNTK_UNROLL
      for (int k = 0; k < near_batch; ++k) {
        const Piece b = load_piece(v[k] + j, aligned);
        FASTNTK_UNROLL
        for (int i = 0; i < Piece::size; ++i) {
          const T difference = a.v[i] - sign[k] * b.v[i];
          sum[k] = cuda::multiply_add(difference, difference, sum[k]);
        }
      }
    }
    FASTNTK_UNROLL
    for (int k = 0; k < near_batch; ++k) total[k] += sum[k];
  }
  FASTNTK_UNROLL
  for (int k = 0; k < near_batch; ++k) {
    FASTNTK_UNROLL
    for (int half = 16; half > 0; half /= 2) total[k] += __shfl_xor_sync(cuda::whole_warp, total[k], half);
    out[k] = total[k];
  }
}

template <class T>
__global__ void __launch_bounds__(32 * near_warps)
    signed_gaps_kernel(View<const T, Cuda> cosine, View<const T, Cuda> u, View<const T, Cuda> v, T near_positive,
                       T near_negative, bool aligned, View<T, Cuda> gap) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const auto row_blocks = static_cast<unsigned>((gap.rows + near_rows - 1) / near_rows);
  const std::size_t first_row = std::size_t{blockIdx.x % row_blocks} * near_rows + threadIdx.x / 32;
  const std::size_t first_col = std::size_t{blockIdx.x / row_blocks} * 32;
  const std::size_t col = first_col + lane;
  T s[near_rows_of_warp];
  FASTNTK_UNROLL
  for (int i = 0; i < near_rows_of_warp; ++i) {
    const std::size_t row = first_row + i * near_warps;
    s[i] = row < gap.rows && col < gap.cols ? signed_gap<T>(cosine(row, col)) : T(0);
  }
  FASTNTK_UNROLL
  for (int i = 0; i < near_rows_of_warp; ++i) {
    const std::size_t row = first_row + i * near_warps;
    const bool inside = row < gap.rows && col < gap.cols;
    const bool near = inside && magnitude(s[i]) < (is_negative(s[i]) ? near_negative : near_positive);
    for (unsigned todo = __ballot_sync(cuda::whole_warp, near); todo != 0;) {
      int from[near_batch];
      const T* near_row[near_batch];
      T sign[near_batch];
      T distance[near_batch];
      FASTNTK_UNROLL
      for (int k = 0; k < near_batch; ++k) {
        from[k] = __ffs(static_cast<int>(todo)) - 1;
        near_row[k] = v.row(first_col + from[k]);
        sign[k] = std::copysign(T(1), __shfl_sync(cuda::whole_warp, s[i], from[k]));
        // The last one fills the batch.
        const unsigned rest = todo & (todo - 1);
        if (rest != 0 || k == near_batch - 1) todo = rest;
      }
      squared_distances(u.row(row), near_row, sign, u.cols, aligned, distance);
      FASTNTK_UNROLL
      for (int k = 0; k < near_batch; ++k)
        if (lane == from[k]) s[i] = sign[k] * (distance[k] / 2);
    }
    if (inside) gap(row, col) = s[i];
  }
}

}  // namespace

template <Real T, Backend B>
void signed_gaps(Tile<B>& tile, View<const T, B> cosine, View<const T, B> u, View<const T, B> v, const NearPairs& near,
                 View<T, B> gap) {
  if (u.cols == 0) {
    const Strips strips(gap.rows, gap.cols);
    launch(tile.backend(), strips.grid(), gaps_kernel<T>, strips, cosine, gap);
    return;
  }
  const auto aligned = [](View<const T, B> rows) {
    return reinterpret_cast<std::uintptr_t>(rows.data) % 16 == 0 && rows.stride * sizeof(T) % 16 == 0;
  };
  const std::size_t blocks = (gap.rows + near_rows - 1) / near_rows * ((gap.cols + 31) / 32);
  launch(tile.backend(), {blocks, 32 * near_warps}, signed_gaps_kernel<T>, cosine, u, v, static_cast<T>(near.positive),
         static_cast<T>(near.negative), aligned(u) && aligned(v), gap);
}

template <Real T, Backend B>
void relu_kernel(Tile<B>& tile, ReluKernel kind, std::size_t depth, View<const T, B> gap, const T* row_norm,
                 const T* col_norm, View<T, B> out) {
  const Strips strips(gap.rows, gap.cols);
  const auto run = kind == ReluKernel::ntk    ? relu_pairs_kernel<T, ReluKernel::ntk>
                   : kind == ReluKernel::nngp ? relu_pairs_kernel<T, ReluKernel::nngp>
                                              : relu_pairs_kernel<T, ReluKernel::arc_cosine_0>;
  launch(tile.backend(), strips.grid(), run, strips, depth, gap, row_norm, col_norm, out);
}

#define FASTNTK_INSTANTIATE(T)                                                                                            \
  template void signed_gaps(Tile<Cuda>&, View<const T, Cuda>, View<const T, Cuda>, View<const T, Cuda>, const NearPairs&, \
                            View<T, Cuda>);                                                                               \
  template void relu_kernel(Tile<Cuda>&, ReluKernel, std::size_t, View<const T, Cuda>, const T*, const T*, View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
