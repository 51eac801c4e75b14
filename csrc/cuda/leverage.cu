// What the Gibbs sampler of leverage scores needs besides the other primitives, on a device.
#include "../src/leverage_primitives.hpp"

#include <algorithm>

#include "runtime.cuh"

namespace fastntk {
namespace {

using cuda::launch;

constexpr unsigned rank_threads = 256;

// A thread counts the keys before its own; the block's threads read the row's keys through shared memory, as many at a time.
__global__ void __launch_bounds__(rank_threads)
    rank_rows_kernel(View<const double, Cuda> key, View<std::uint32_t, Cuda> rank, View<std::uint32_t, Cuda> order) {
  double* const part = cuda::shared_memory<double>();
  const std::size_t blocks = (key.cols + rank_threads - 1) / rank_threads;
  const std::size_t c = blockIdx.x / blocks, i = blockIdx.x % blocks * rank_threads + threadIdx.x;
  const double* const keys = key.row(c);
  const double own = i < key.cols ? keys[i] : 0;
  std::uint32_t before = 0;
  for (std::size_t begin = 0; begin < key.cols; begin += rank_threads) {
    __syncthreads();
    if (begin + threadIdx.x < key.cols) part[threadIdx.x] = keys[begin + threadIdx.x];
    __syncthreads();
    const unsigned count = key.cols - begin < rank_threads ? static_cast<unsigned>(key.cols - begin) : rank_threads;
    for (unsigned j = 0; j < count; ++j) before += part[j] < own || (part[j] == own && begin + j < i);
  }
  if (i >= key.cols) return;
  rank(c, i) = before;
  order(c, before) = static_cast<std::uint32_t>(i);
}

// A block has the sums of these rows and vectors; a thread has one row's, of some vectors side by side.
constexpr unsigned product_rows = 64;
constexpr unsigned product_vectors = 16;
constexpr unsigned product_depth = 16;  // columns in shared memory at a time
constexpr unsigned product_threads = 256;
constexpr unsigned vectors_per_thread = product_vectors * product_rows / product_threads;

struct ProductPart {
  double rows[product_depth][product_rows + 1];
  double before[product_vectors][product_depth], difference[product_vectors][product_depth];
  std::uint32_t rank[product_vectors][product_depth];
};

// Row r of `rank` is of so many vectors: r * vectors and those after it.
template <unsigned vectors>
__global__ void __launch_bounds__(product_threads)
    passed_products_kernel(View<const double, Cuda> rows, std::size_t first, View<const std::uint32_t, Cuda> rank,
                           View<const double, Cuda> before, View<const double, Cuda> after, View<double, Cuda> base,
                           View<double, Cuda> passed) {
  ProductPart& part = *cuda::shared_memory<ProductPart>();
  const bool with_passed = passed.data != nullptr;
  const std::size_t row_blocks = (rows.rows + product_rows - 1) / product_rows;
  const std::size_t first_row = blockIdx.x % row_blocks * product_rows;
  const std::size_t first_vector = blockIdx.x / row_blocks * product_vectors;
  const unsigned r = threadIdx.x % product_rows, group = threadIdx.x / product_rows;
  constexpr unsigned patterns = vectors_per_thread / vectors;

  double base_sum[vectors_per_thread] = {}, change[vectors_per_thread] = {};
  std::uint32_t own_rank[patterns] = {};
#pragma unroll
  for (unsigned p = 0; p < patterns; ++p) {
    const std::size_t c = first_vector / vectors + group * patterns + p;
    if (with_passed && c < rank.rows && first_row + r < rows.rows) own_rank[p] = rank(c, first + first_row + r);
  }
  for (std::size_t begin = 0; begin < rows.cols; begin += product_depth) {
    __syncthreads();
    for (unsigned e = threadIdx.x; e < product_rows * product_depth; e += product_threads) {
      const unsigned i = e / product_depth, j = e % product_depth;
      const bool inside = first_row + i < rows.rows && begin + j < rows.cols;
      part.rows[j][i] = inside ? rows(first_row + i, begin + j) : 0;
    }
    for (unsigned e = threadIdx.x; e < product_vectors * product_depth; e += product_threads) {
      const unsigned c = e / product_depth, j = e % product_depth;
      const bool inside = first_vector + c < before.rows && begin + j < rows.cols;
      part.before[c][j] = inside ? before(first_vector + c, begin + j) : 0;
      if (with_passed) {
        part.difference[c][j] = inside ? after(first_vector + c, begin + j) - part.before[c][j] : 0;
        if (c % vectors == 0) part.rank[c / vectors][j] = inside ? rank((first_vector + c) / vectors, begin + j) : 0;
      }
    }
    __syncthreads();
    for (unsigned j = 0; j < product_depth; ++j) {
      const double value = part.rows[j][r];
#pragma unroll
      for (unsigned p = 0; p < patterns; ++p) {
        const unsigned pattern = group * patterns + p;
        const bool is_passed = with_passed && part.rank[pattern][j] < own_rank[p];
#pragma unroll
        for (unsigned v = 0; v < vectors; ++v) {
          base_sum[p * vectors + v] += value * part.before[pattern * vectors + v][j];
          if (is_passed) change[p * vectors + v] += value * part.difference[pattern * vectors + v][j];
        }
      }
    }
  }
#pragma unroll
  for (unsigned k = 0; k < vectors_per_thread; ++k) {
    const std::size_t c = first_vector + group * vectors_per_thread + k;
    if (c >= before.rows || first_row + r >= rows.rows) continue;
    base(c, first_row + r) = base_sum[k];
    if (with_passed) passed(c, first_row + r) = base_sum[k] + change[k];
  }
}

}  // namespace

template <>
void rank_rows(Tile<Cuda>& tile, View<const double, Cuda> key, View<std::uint32_t, Cuda> rank,
               View<std::uint32_t, Cuda> order) {
  const std::size_t blocks = (key.cols + rank_threads - 1) / rank_threads;
  launch(tile.backend(), {key.rows * blocks, rank_threads, rank_threads * sizeof(double)}, rank_rows_kernel, key, rank,
         order);
}

template <>
void passed_products(Tile<Cuda>& tile, View<const double, Cuda> rows, std::size_t first,
                     View<const std::uint32_t, Cuda> rank, View<const double, Cuda> before, View<const double, Cuda> after,
                     View<double, Cuda> base, View<double, Cuda> passed) {
  const std::size_t row_blocks = (rows.rows + product_rows - 1) / product_rows;
  const std::size_t vector_blocks = (before.rows + product_vectors - 1) / product_vectors;
  const bool in_pairs = passed.data && rank.rows < before.rows;
  launch(tile.backend(), {row_blocks * vector_blocks, product_threads, sizeof(ProductPart)},
         in_pairs ? passed_products_kernel<2> : passed_products_kernel<1>, rows, first, rank, before, after, base, passed);
}

}  // namespace fastntk
