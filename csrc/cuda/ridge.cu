// The state of ridge regression on a device: rows come in, products of blocks are added to the packed triangle.
//
// G = Z^T Z is computed by strips of rows, each from its first column to the diagonal: few large products, an eighth of
// whose work at most is above the diagonal. They go to scratch memory in the rows' precision, small enough to stay mostly in
// the second-level cache, and are added to the doubles from there.
#include <fastntk/convert.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <vector>

#include "../src/ridge_primitives.hpp"
#include "blas.cuh"
#include "ridge_tiles.cuh"
#include "runtime.cuh"
#include "staging.cuh"

namespace fastntk {
namespace {

using cuda::launch;
using cuda::blas::Transpose;

constexpr unsigned threads = 256;
constexpr unsigned columns_per_thread = 4;  // loads in flight
constexpr unsigned columns_per_block = threads * columns_per_thread;

constexpr std::size_t strip_rows = 1024;  // of G; whole tiles of every size
static_assert(strip_rows % TriangleTiles(4096).edge == 0);

// Rows of a block of floats that are made doubles at a time: 16 MB of them, which stay in the second-level cache.
std::size_t rows_in_double(std::size_t n) {
  return std::clamp<std::size_t>(std::bit_floor((std::size_t{1} << 21) / n), 32, RowBlock<float, Cuda>::capacity);
}

template <class T>
View<const T, Cuda> rows_of(const TriangleTiles& tiles, const RowBlock<T, Cuda>& block) {
  return View<const T, Cuda>(block.memory.data(), block.rows, tiles.n, block.stride(tiles));
}

// out = sqrt(weight) in of the chosen rows. Each block copies columns_per_block columns of one row.
template <class T, class U>
__global__ void __launch_bounds__(threads)
    copy_rows_kernel(View<const T, Cuda> in, ChosenRows<Cuda> rows, unsigned blocks_per_row, View<U, Cuda> out) {
  const unsigned r = blockIdx.x / blocks_per_row;
  const unsigned first = blockIdx.x % blocks_per_row * columns_per_block + threadIdx.x;
  const T* const from = in.row(rows.row(r));
  U* const to = out.row(r);
  const T root = rows.weight ? static_cast<T>(sqrt(rows.weight_of(r))) : T(1);
  T values[columns_per_thread];
#pragma unroll
  for (unsigned k = 0; k < columns_per_thread; ++k) {
    const unsigned c = first + k * threads;
    values[k] = c < in.cols ? from[c] : T(0);
  }
#pragma unroll
  for (unsigned k = 0; k < columns_per_thread; ++k) {
    const unsigned c = first + k * threads;
    if (c < in.cols) to[c] = static_cast<U>(root * values[k]);
  }
}

unsigned blocks_for(std::size_t columns) {
  return static_cast<unsigned>((columns + columns_per_block - 1) / columns_per_block);
}

template <class T, class U>
void copy_rows(const Cuda& backend, View<const T, Cuda> in, const ChosenRows<Cuda>& rows, View<U, Cuda> out) {
  const unsigned blocks = blocks_for(in.cols);
  launch(backend, {rows.count * blocks, threads}, copy_rows_kernel<T, U>, in, rows, blocks, out);
}

constexpr unsigned targets_at_once = 8, rows_at_once = 256;

// One thread adds the rows of a target one after the other, so that the sums do not depend on how rows arrive; all threads
// of the block bring them to shared memory.
__global__ void __launch_bounds__(threads) add_sums_kernel(View<const double, Cuda> y, ChosenRows<Cuda> rows, double* sums) {
  double* const values = cuda::shared_memory<double>();  // [rows_at_once][targets_at_once]
  double* const weights = values + rows_at_once * targets_at_once;
  const std::size_t first = std::size_t{blockIdx.x} * targets_at_once;
  const std::size_t mine = first + threadIdx.x;
  const bool adds = threadIdx.x < targets_at_once && mine < y.cols;
  double sum = adds ? sums[mine] : 0, square = adds ? sums[y.cols + mine] : 0;
  for (std::size_t begin = 0; begin < rows.count; begin += rows_at_once) {
    const unsigned count = rows.count - begin < rows_at_once ? static_cast<unsigned>(rows.count - begin) : rows_at_once;
#pragma unroll
    for (unsigned k = 0; k < targets_at_once; ++k) {
      const unsigned e = k * threads + threadIdx.x, r = e / targets_at_once;
      const std::size_t target = first + e % targets_at_once;
      if (r < count && target < y.cols) values[e] = y.row(rows.row(begin + r))[target];
    }
    if (threadIdx.x < count) weights[threadIdx.x] = rows.weight_of(begin + threadIdx.x);
    __syncthreads();
    if (adds) {
#pragma unroll 8
      for (unsigned r = 0; r < count; ++r) {
        const double value = values[r * targets_at_once + threadIdx.x], weight = weights[r];
        sum = __fma_rn(weight, value, sum);
        square = __fma_rn(weight * value, value, square);
      }
    }
    __syncthreads();
  }
  if (adds) {
    sums[mine] = sum;
    sums[y.cols + mine] = square;
  }
}
static_assert(rows_at_once == threads);

// gram += product, rows first_row, ... of which it holds from column 0 to the diagonal.
template <class T>
__global__ void __launch_bounds__(threads) add_strip_kernel(cuda::TriangleIndex index, View<const T, Cuda> product,
                                                            unsigned first_row, unsigned blocks_per_row, double* gram) {
  const unsigned r = blockIdx.x / blocks_per_row, row = first_row + r;
  const unsigned first = blockIdx.x % blocks_per_row * columns_per_block + threadIdx.x;
  double sum[columns_per_thread];
#pragma unroll
  for (unsigned k = 0; k < columns_per_thread; ++k) {
    const unsigned c = first + k * threads;
    sum[k] = c <= row ? gram[index(row, c)] + static_cast<double>(product(r, c)) : 0;
  }
#pragma unroll
  for (unsigned k = 0; k < columns_per_thread; ++k) {
    const unsigned c = first + k * threads;
    if (c <= row) gram[index(row, c)] = sum[k];
  }
}

template <class F, class T>
struct Assembly {
  const double* gram;
  View<const T, Cuda> product;  // of the waiting rows, as above; null if there are none
  const double* sums;
  double weight, diagonal;
  F* out;
  double* trace;  // its summands
};

template <class F, class T>
__global__ void __launch_bounds__(threads)
    assemble_kernel(cuda::TriangleIndex index, Assembly<F, T> s, unsigned first_row, unsigned blocks_per_row) {
  const unsigned r = blockIdx.x / blocks_per_row, row = first_row + r, end = index.columns(row);
  const unsigned first = blockIdx.x % blocks_per_row * columns_per_block + threadIdx.x;
  const double scaled = s.sums ? s.sums[row] / s.weight : 0;
#pragma unroll
  for (unsigned k = 0; k < columns_per_thread; ++k) {
    const unsigned c = first + k * threads;
    if (c >= end) continue;
    const std::size_t at = index(row, c);
    double total = 0;
    if (c <= row) {
      total = s.gram[at];
      if (s.product.data) total += static_cast<double>(s.product(r, c));
      if (s.sums) total -= scaled * s.sums[c];
    }
    if (c == row) {
      s.trace[row] = total;
      total += s.diagonal;
    }
    s.out[at] = static_cast<F>(total);
  }
}

// Calls body(first, rows, product) for the strips of Z^T Z: `product` has what is below and on the diagonal of G's rows
// first, ..., first + rows - 1, and is empty without rows in the block.
template <class T, class Body>
void for_strips(Tile<Cuda>& memory, const TriangleTiles& tiles, const RowBlock<T, Cuda>& block, Body&& body) {
  const Tile<Cuda>::Scope scope(memory);
  const View<const T, Cuda> z = rows_of(tiles, block);
  View<T, Cuda> product;
  if (z.rows > 0) product = memory.scratch<T>(std::min(strip_rows, tiles.n), tiles.n);
  for (std::size_t first = 0; first < tiles.n; first += strip_rows) {
    const std::size_t rows = std::min(strip_rows, tiles.n - first);
    if (z.rows > 0) {
      cuda::blas::gemm<T>(memory.backend(), Transpose::yes, Transpose::no, rows, first + rows, z.rows, 1, z.data + first,
                          z.stride, z.data, z.stride, 0, product.data, product.stride);
    }
    body(first, rows, View<const T, Cuda>(product));
  }
}

// Calls body(first, rows) for groups of rows of the block as doubles.
template <class T, class Body>
void for_rows_in_double(Tile<Cuda>& memory, const TriangleTiles& tiles, const RowBlock<T, Cuda>& block, Body&& body) {
  const View<const T, Cuda> z = rows_of(tiles, block);
  if (z.rows == 0) return;
  if constexpr (std::same_as<T, double>) {
    body(0, z);
  } else {
    const Tile<Cuda>::Scope scope(memory);
    const View<double, Cuda> copy = memory.scratch<double>(rows_in_double(tiles.n), tiles.n);
    for (std::size_t first = 0; first < z.rows; first += copy.rows) {
      const View<double, Cuda> some = copy.row_block(0, std::min(copy.rows, z.rows - first));
      copy_rows(memory.backend(), z, {.count = some.rows, .first = first}, some);
      body(first, View<const double, Cuda>(some));
    }
  }
}

}  // namespace

template <class T, Backend B>
const T* stage(Tile<B>& memory, const T* host, std::size_t count) {
  T* const copy = static_cast<T*>(memory.allocate(count * sizeof(T)));
  cuda::copy_in_queued(memory.backend(), host, count * sizeof(T), copy);
  return copy;
}

template <>
void run_in_order(const Cuda& earlier, const Cuda& later) {
  if (earlier.stream != later.stream || earlier.device != later.device) run_after(earlier, later);
}

template <>
void set_zero(const Cuda& backend, double* to, std::size_t count) {
  const cuda::DeviceGuard current(backend.device);
  cuda::check(cudaMemsetAsync(to, 0, count * sizeof(double), backend.stream), "clearing device memory");
}

template <>
void copy_numbers(const Cuda& backend, const double* from, std::size_t count, double* to) {
  const cuda::DeviceGuard current(backend.device);
  cuda::check(cudaMemcpyAsync(to, from, count * sizeof(double), cudaMemcpyDeviceToDevice, backend.stream),
              "a copy on the device");
}

template <>
void add_numbers(const Cuda& backend, const double* from, std::size_t count, double* to) {
  cuda::run_each(backend, count, [=] FASTNTK_FORMULA(std::size_t i) { to[i] += from[i]; });
}

template <>
void negate_numbers(const Cuda& backend, std::size_t count, double* to) {
  cuda::run_each(backend, count, [=] FASTNTK_FORMULA(std::size_t i) { to[i] = 0 - to[i]; });
}

template <Real T, Backend B>
void fill_block(const B& backend, const TriangleTiles& tiles, View<const T, B> z, const ChosenRows<B>& rows,
                RowBlock<T, B>& block) {
  const std::size_t stride = block.stride(tiles);
  copy_rows(backend, z, rows, View<T, B>(block.memory.data() + block.rows * stride, rows.count, tiles.n, stride));
}

template <>
void fill_right(const Cuda& backend, View<const double, Cuda> y, const ChosenRows<Cuda>& rows, View<double, Cuda> right) {
  cuda::run_each(backend, right.rows * right.cols, [=] FASTNTK_FORMULA(std::size_t e) {
    const std::size_t r = e / right.cols, k = e % right.cols;
    const double root = sqrt(rows.weight_of(r));
    right(r, k) = k == 0 ? root : root * y(rows.row(r), k - 1);
  });
}

template <>
void add_sums(const Cuda& backend, View<const double, Cuda> y, const ChosenRows<Cuda>& rows, double* sums) {
  const std::size_t blocks = (y.cols + targets_at_once - 1) / targets_at_once;
  const std::size_t shared = rows_at_once * (targets_at_once + 1) * sizeof(double);
  launch(backend, {blocks, threads, shared}, add_sums_kernel, y, rows, sums);
}

template <Real T, Backend B>
void read_block(const B& backend, const TriangleTiles& tiles, const RowBlock<T, B>& block, std::size_t first,
                View<T, B> out) {
  const View<const T, Cuda> from = rows_of(tiles, block).row_block(first, out.rows);
  const cuda::DeviceGuard current(backend.device);
  cuda::check(cudaMemcpy2DAsync(out.data, out.stride * sizeof(T), from.data, from.stride * sizeof(T), tiles.n * sizeof(T),
                                out.rows, cudaMemcpyDeviceToDevice, backend.stream),
              "a copy on the device");
}

template <>
struct ProductLibrary<Cuda>::State {
  cuda::blas::Session session;
};
template <>
ProductLibrary<Cuda>::ProductLibrary(const Cuda& backend) : state_(new State{cuda::blas::Session(backend)}) {}
template <>
ProductLibrary<Cuda>::~ProductLibrary() = default;

template <Real T, Backend B>
void prepare_products(Tile<B>& memory, const TriangleTiles& tiles) {
  {
    const typename Tile<B>::Scope scope(memory);
    memory.template scratch<T>(std::min(strip_rows, tiles.n), tiles.n);
  }
  const typename Tile<B>::Scope scope(memory);
  memory.template scratch<double>(rows_in_double(tiles.n), tiles.n);
}

template <Real T, Backend B>
void add_gram(Tile<B>& memory, const TriangleTiles& tiles, const RowBlock<T, B>& block, double* gram) {
  if (block.rows == 0) return;
  for_strips(memory, tiles, block, [&](std::size_t first, std::size_t rows, View<const T, B> product) {
    const unsigned blocks = blocks_for(first + rows);
    launch(memory.backend(), {rows * blocks, threads}, add_strip_kernel<T>, cuda::TriangleIndex(tiles), product,
           static_cast<unsigned>(first), blocks, gram);
  });
}

template <Real T, Backend B>
void add_cross(Tile<B>& memory, const TriangleTiles& tiles, const RowBlock<T, B>& block, View<const double, B> right,
               View<double, B> out) {
  for_rows_in_double(memory, tiles, block, [&](std::size_t first, View<const double, B> z) {
    cuda::blas::gemm<double>(memory.backend(), Transpose::yes, Transpose::no, tiles.n, right.cols, z.rows, 1, z.data,
                             z.stride, right.row(first), right.stride, 1, out.data, out.stride);
  });
}

template <Real T, Backend B>
void multiply_block(Tile<B>& memory, const TriangleTiles& tiles, const RowBlock<T, B>& block, View<const double, B> x,
                    View<double, B> out) {
  for_rows_in_double(memory, tiles, block, [&](std::size_t first, View<const double, B> z) {
    cuda::blas::gemm<double>(memory.backend(), Transpose::no, Transpose::no, z.rows, x.cols, tiles.n, 1, z.data, z.stride,
                             x.data, x.stride, 0, out.row(first), out.stride);
  });
}

template <Real F, Real T, Backend B>
double assemble(Tile<B>& memory, const TriangleTiles& tiles, const double* gram, const RowBlock<T, B>& block,
                const double* sums, double weight, double diagonal, F* out) {
  Buffer<double, B> traces(memory.backend(), tiles.n);
  for_strips(memory, tiles, block, [&](std::size_t first, std::size_t rows, View<const T, B> product) {
    const unsigned blocks = blocks_for(first + rows);
    const Assembly<F, T> assembly{gram, product, sums, weight, diagonal, out, traces.data()};
    launch(memory.backend(), {rows * blocks, threads}, assemble_kernel<F, T>, cuda::TriangleIndex(tiles), assembly,
           static_cast<unsigned>(first), blocks);
  });
  double trace = 0;
  for (const double part : traces.to_host()) trace += part;
  return trace;
}

// Every tile below the diagonal is used twice, as it is and transposed. Products that are computed at once go to different
// rows of the result: in a column of tiles they do as the tiles are, and in a row of tiles transposed.
template <>
void multiply_gram(Tile<Cuda>& memory, const TriangleTiles& tiles, const double* gram, View<const double, Cuda> x,
                   View<double, Cuda> out) {
  const Cuda& backend = memory.backend();
  const std::size_t edge = tiles.edge, full = tiles.n / edge, last = tiles.side - 1, t = x.cols;
  cuda::run_each(backend, out.rows * t, [=] FASTNTK_FORMULA(std::size_t e) { out(e / t, e % t) = 0; });
  const auto add = [&](Transpose op, std::size_t i, std::size_t j, std::size_t from, std::size_t to) {
    cuda::blas::gemm<double>(backend, op, Transpose::no, tiles.size(to), t, tiles.size(from), 1, gram + tiles.offset(i, j),
                             tiles.size(j), x.row(tiles.first(from)), x.stride, 1, out.row(tiles.first(to)), out.stride);
  };
  for (std::size_t j = 0; j < tiles.side; ++j) {
    if (j < full) {
      cuda::add_products(memory, {Transpose::no, Transpose::no, edge, t, edge, edge, x.stride, out.stride}, 1.0, full - j,
                         [=] FASTNTK_FORMULA(std::size_t e) {
                           return cuda::Operands<double>{gram + tiles.offset(j + e, j), x.row(j * edge),
                                                         out.row((j + e) * edge)};
                         });
    }
    if (last == full) add(Transpose::no, last, j, j, last);
  }
  for (std::size_t i = 0; i < tiles.side; ++i) {
    cuda::add_products(memory, {Transpose::yes, Transpose::no, edge, t, tiles.size(i), edge, x.stride, out.stride}, 1.0, i,
                       [=] FASTNTK_FORMULA(std::size_t j) {
                         return cuda::Operands<double>{gram + tiles.offset(i, j), x.row(i * edge), out.row(j * edge)};
                       });
    add(Transpose::yes, i, i, i, i);
  }
  // Both took the diagonal tiles, which are lower triangles; their own diagonals have counted twice.
  const cuda::TriangleIndex index(tiles);
  cuda::run_each(backend, out.rows * t, [=] FASTNTK_FORMULA(std::size_t e) {
    const std::size_t r = e / t, c = e % t;
    out(r, c) -= gram[index(static_cast<unsigned>(r), static_cast<unsigned>(r))] * x(r, c);
  });
}

#define FASTNTK_INSTANTIATE(T)                                                                                        \
  template void fill_block(const Cuda&, const TriangleTiles&, View<const T, Cuda>, const ChosenRows<Cuda>&,           \
                           RowBlock<T, Cuda>&);                                                                       \
  template void read_block(const Cuda&, const TriangleTiles&, const RowBlock<T, Cuda>&, std::size_t, View<T, Cuda>);  \
  template void prepare_products<T>(Tile<Cuda>&, const TriangleTiles&);                                               \
  template void add_gram(Tile<Cuda>&, const TriangleTiles&, const RowBlock<T, Cuda>&, double*);                       \
  template void add_cross(Tile<Cuda>&, const TriangleTiles&, const RowBlock<T, Cuda>&, View<const double, Cuda>,      \
                          View<double, Cuda>);                                                                        \
  template void multiply_block(Tile<Cuda>&, const TriangleTiles&, const RowBlock<T, Cuda>&, View<const double, Cuda>, \
                               View<double, Cuda>);                                                                   \
  template double assemble(Tile<Cuda>&, const TriangleTiles&, const double*, const RowBlock<T, Cuda>&, const double*, \
                           double, double, float*);                                                                   \
  template double assemble(Tile<Cuda>&, const TriangleTiles&, const double*, const RowBlock<T, Cuda>&, const double*, \
                           double, double, double*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE
template const double* stage(Tile<Cuda>&, const double*, std::size_t);
template const std::size_t* stage(Tile<Cuda>&, const std::size_t*, std::size_t);

}  // namespace fastntk
