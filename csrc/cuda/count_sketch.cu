// CountSketch. Every output has one owner, who adds its entries in the order of the columns, as the CPU does: no atomics,
// and the CPU's bits.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "../src/primitives.hpp"
#include "arithmetic.cuh"
#include "runtime.cuh"

namespace fastntk {

namespace {

using cuda::launch;
using cuda::rounded_product;
using cuda::whole_warp;

constexpr unsigned block_threads = 256;

// Dense rows go through shared memory a few at a time, column by column: as many rows as an access of 16 bytes takes, and
// so many columns that three blocks share a multiprocessor.
constexpr std::size_t access_bytes = 16;
constexpr std::size_t most_columns = 4096;
template <class T>
constexpr int rows_of_block = access_bytes / sizeof(T);

template <class T>
struct alignas(access_bytes) Column {
  T row[rows_of_block<T>];
};

// An entry of the table by buckets: the column, and a sign.
constexpr std::uint32_t minus = std::uint32_t{1} << 31;

// A thread owns every 256th bucket. `chunk` columns at a time stand in shared memory or, `staged` false, all columns are
// read where they are.
template <class T, bool staged>
__global__ void __launch_bounds__(block_threads)
    dense_kernel(View<const T, Cuda> in, const std::uint32_t* starts, const std::uint32_t* columns, T scale,
                 std::size_t chunk, View<T, Cuda> out) {
  constexpr int n = rows_of_block<T>;
  Column<T>* const shared = cuda::shared_memory<Column<T>>();
  const std::size_t first_row = std::size_t{blockIdx.x} * n;
  const T* x[n];
#pragma unroll
  for (int r = 0; r < n; ++r) x[r] = in.row(first_row + r < in.rows ? first_row + r : in.rows - 1);
  for (std::size_t begin = 0; begin < in.cols; begin += chunk, starts += out.cols) {
    if constexpr (staged) {
      const std::size_t count = chunk < in.cols - begin ? chunk : in.cols - begin;
      if (begin > 0) __syncthreads();
      for (std::size_t j = threadIdx.x; j < count; j += block_threads) {
        Column<T> column;
#pragma unroll
        for (int r = 0; r < n; ++r) column.row[r] = x[r][begin + j];
        shared[j] = column;
      }
      __syncthreads();
    }
    for (std::size_t b = threadIdx.x; b < out.cols; b += block_threads) {
      Column<T> sum = {};
      if (begin > 0) {
#pragma unroll
        for (int r = 0; r < n; ++r)
          if (first_row + r < out.rows) sum.row[r] = out(first_row + r, b);
      }
      const std::uint32_t end = starts[b + 1];
      for (std::uint32_t e = starts[b]; e < end; ++e) {
        const std::uint32_t entry = columns[e];
        const T weight = entry & minus ? -scale : scale;
        const std::size_t j = entry & ~minus;
        Column<T> column;
        if constexpr (staged) {
          column = shared[j];
        } else {
#pragma unroll
          for (int r = 0; r < n; ++r) column.row[r] = x[r][j];
        }
#pragma unroll
        for (int r = 0; r < n; ++r) sum.row[r] += rounded_product(weight, column.row[r]);
      }
#pragma unroll
      for (int r = 0; r < n; ++r)
        if (first_row + r < out.rows) out(first_row + r, b) = sum.row[r];
    }
  }
}

// A warp takes a sparse row, 32 entries at a time; lanes that meet in a bucket add one after the other. The sums stand in
// shared memory or, where few warps would share a multiprocessor, in the output.
constexpr std::size_t sums_bytes = 48 << 10;

template <class T, bool in_shared>
__global__ void __launch_bounds__(block_threads)
    sparse_kernel(CsrView<T, Cuda> in, const std::uint32_t* bucket, const T* weight, std::size_t s, View<T, Cuda> out) {
  const unsigned warp = threadIdx.x / 32;
  const unsigned lane = threadIdx.x % 32;
  const std::size_t row = std::size_t{blockIdx.x} * (blockDim.x / 32) + warp;
  if (row >= in.rows) return;
  T* const sums = in_shared ? cuda::shared_memory<T>() + warp * out.cols : out.row(row);
  for (std::size_t j = lane; j < out.cols; j += 32) sums[j] = 0;
  __syncwarp();
  const std::int64_t end = in.row_starts[row + 1];
  for (std::int64_t begin = in.row_starts[row]; begin < end; begin += 32) {
    const bool active = begin + lane < end;
    const std::size_t first = active ? static_cast<std::size_t>(in.columns[begin + lane]) * s : 0;
    const T value = active ? in.values[begin + lane] : T(0);
    for (std::size_t b = 0; b < s; ++b) {
      const std::uint32_t to = active ? bucket[first + b] : ~std::uint32_t{0};
      const T product = active ? rounded_product(weight[first + b], value) : T(0);
      const int before = __popc(__match_any_sync(whole_warp, to) & ((1u << lane) - 1));
      for (int turn = 0; __any_sync(whole_warp, active && before >= turn); ++turn) {
        if (active && before == turn) sums[to] += product;
        __syncwarp();
      }
    }
  }
  if constexpr (in_shared) {
    for (std::size_t j = lane; j < out.cols; j += 32) out(row, j) = sums[j];
  }
}

}  // namespace

template <Real T, Backend B>
SketchMatrix<T, B>::SketchMatrix(const B& backend, std::size_t m, std::size_t nnz, Buffer<std::uint32_t, B> rows,
                                 Buffer<T, B> weights)
    : s(nnz), bucket(std::move(rows)), weight(std::move(weights)) {
  const std::vector<std::uint32_t> row = bucket.to_host();
  const std::vector<T> value = weight.to_host();
  const std::size_t d = row.size() / s;
  // Many chunks of few entries would take more memory than the entries.
  const std::size_t chunks = m <= 4 * most_columns * s ? (d + most_columns - 1) / most_columns : 1;
  chunk = (d + chunks - 1) / chunks;
  scale = std::abs(value[0]);

  std::vector<std::uint32_t> start(chunks * m + 1), entry(row.size());
  const auto place = [&](std::size_t e) -> std::uint32_t& { return start[e / s / chunk * m + row[e]]; };
  for (std::size_t e = 0; e < row.size(); ++e) ++place(e);
  std::uint32_t before = 0;
  for (std::uint32_t& count : start) before += std::exchange(count, before);
  for (std::size_t e = 0; e < row.size(); ++e)
    entry[place(e)++] = static_cast<std::uint32_t>(e / s % chunk) | (value[e] < 0 ? minus : 0);
  // Each start has moved to the end, the next one's start.
  std::rotate(start.begin(), start.end() - 1, start.end());
  start[0] = 0;
  starts = Buffer<std::uint32_t, B>(backend, start);
  columns = Buffer<std::uint32_t, B>(backend, entry);
}

template <Real T, Backend B>
void count_sketch(Tile<B>& tile, View<const T, B> in, const SketchMatrix<T, B>& matrix, View<T, B> out) {
  const std::size_t blocks = (in.rows + rows_of_block<T> - 1) / rows_of_block<T>;
  const bool staged = matrix.chunk <= most_columns;
  launch(tile.backend(), {blocks, block_threads, staged ? matrix.chunk * access_bytes : 0},
         staged ? dense_kernel<T, true> : dense_kernel<T, false>, in, matrix.starts.data(), matrix.columns.data(),
         matrix.scale, matrix.chunk, out);
}

template <Real T, Backend B>
void count_sketch(Tile<B>& tile, CsrView<T, B> in, const SketchMatrix<T, B>& matrix, View<T, B> out) {
  const std::size_t bytes = out.cols * sizeof(T);
  const bool in_shared = bytes <= sums_bytes;
  const std::size_t warps = in_shared ? std::clamp<std::size_t>(sums_bytes / bytes, 1, block_threads / 32) : 8;
  launch(tile.backend(), {(in.rows + warps - 1) / warps, static_cast<unsigned>(32 * warps), in_shared ? warps * bytes : 0},
         in_shared ? sparse_kernel<T, true> : sparse_kernel<T, false>, in, matrix.bucket.data(), matrix.weight.data(),
         matrix.s, out);
}

#define FASTNTK_INSTANTIATE(T)                                                                               \
  template struct SketchMatrix<T, Cuda>;                                                                     \
  template void count_sketch(Tile<Cuda>&, View<const T, Cuda>, const SketchMatrix<T, Cuda>&, View<T, Cuda>); \
  template void count_sketch(Tile<Cuda>&, CsrView<T, Cuda>, const SketchMatrix<T, Cuda>&, View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
