// A block of structured directions for many rows.
#include "rotated_hadamard.cuh"

#include <algorithm>
#include <cstddef>

#include "../src/primitives.hpp"
#include "runtime.cuh"

namespace fastntk {
namespace cuda {
namespace {

template <class T>
constexpr unsigned chunk_threads = sizeof(T) == 4 ? 256 : 128;
constexpr unsigned resident_blocks =
    2;  // 128 registers a thread, or 255 in double: room to fetch a stage's coefficients ahead

// A team has the rows of one chunk, and all teams of a block as many steps.
template <class T, class Chunk>
__global__ void __launch_bounds__(chunk_threads<T>, resident_blocks)
    rotated_hadamard_kernel(View<const T, Cuda> in, const T* rotation, const T* length, Activation<T> f, View<T, Cuda> out) {
  const int team = static_cast<int>(threadIdx.x) / Chunk::threads;
  const int teams = static_cast<int>(blockDim.x) / Chunk::threads;
  const int t = static_cast<int>(threadIdx.x) % Chunk::threads;
  const std::size_t first_row = (std::size_t{blockIdx.x} * teams + team) * Chunk::blocks;
  const int rows = first_row < in.rows ? static_cast<int>(min(in.rows - first_row, std::size_t{Chunk::blocks})) : 0;
  const int in_cols = static_cast<int>(in.cols);
  const int out_cols = static_cast<int>(out.cols);
  const T* const from = in.row(first_row);
  T* const to = out.row(first_row);
  T v[Chunk::values];
#pragma unroll
  for (int k = 0; k < Chunk::values; ++k) {
    const auto [block, base, offset] = Chunk::before(t, k);
    v[k] = block < rows && offset < in_cols - base ? (from + block * in.stride + base)[offset] : T(0);
  }
  Chunk::transform(v, rotation, 0, 0, shared_memory<T>() + team * Chunk::shared_size, t);
#pragma unroll
  for (int k = 0; k < Chunk::values; ++k) {
    const auto [block, base, offset] = Chunk::after(t, k);
    if (block < rows && offset < out_cols - base)
      (to + block * out.stride + base)[offset] = f(v[k] * (length + base)[offset]);
  }
}

template <class T>
struct RotateRow {
  View<const T, Cuda> in;
  const T* cosine;
  View<T, Cuda> out;
  __device__ void operator()(std::size_t r, std::size_t i) const {
    const std::size_t half = out.cols / 2;
    const T low = i < in.cols ? in(r, i) : T(0);
    const T high = i + half < in.cols ? in(r, i + half) : T(0);
    const T c = cosine[i];
    const T s = cosine[half + i];
    out(r, i) = c * low + s * high;
    out(r, i + half) = s * low - c * high;
  }
};

template <class T>
struct ScaleColumns {
  View<const T, Cuda> in;
  const T* length;
  Activation<T> f;
  View<T, Cuda> out;
  __device__ void operator()(std::size_t r, std::size_t i) const { out(r, i) = f(in(r, i) * length[i]); }
};

// f(r, j) for r < rows, j < cols.
template <class F>
__global__ void __launch_bounds__(256) for_row_parts_kernel(std::size_t cols, std::size_t parts, F f) {
  const std::size_t j = (blockIdx.x % parts) * blockDim.x + threadIdx.x;
  if (j < cols) f(blockIdx.x / parts, j);
}

template <class F>
void for_row_parts(const Cuda& backend, std::size_t rows, std::size_t cols, F f) {
  const std::size_t parts = (cols + 255) / 256;
  launch(backend, {rows * parts, 256}, for_row_parts_kernel<F>, cols, parts, f);
}

}  // namespace
}  // namespace cuda

template <Real T, Backend B>
void rotated_hadamard(Tile<B>& tile, View<const T, B> in, const T* rotation, const T* length, std::size_t n,
                      const Activation<T>& f, View<T, B> out) {
  const Cuda& backend = tile.backend();
  if (n <= cuda::longest_rotated_block) {
    cuda::with_rotated_chunk<T>(n, [&]<class Chunk>(Chunk) {
      const std::size_t teams = cuda::chunk_threads<T> / Chunk::threads;
      const std::size_t rows = teams * Chunk::blocks;
      cuda::launch(backend, {(in.rows + rows - 1) / rows, cuda::chunk_threads<T>, teams * Chunk::shared_size * sizeof(T)},
                   cuda::rotated_hadamard_kernel<T, Chunk>, in, rotation, length, f, out);
    });
    return;
  }
  // The transform of a long row's halves is that of two rows.
  const typename Tile<B>::Scope scope(tile);
  T* const memory = static_cast<T*>(tile.allocate(2 * in.rows * n * sizeof(T)));
  View<const T, B> from = in;
  for (int stage = 0; stage < 3; ++stage) {
    const View<T, B> to(memory + (stage % 2) * in.rows * n, in.rows, n);
    cuda::for_row_parts(backend, in.rows, n / 2, cuda::RotateRow<T>{from, rotation + stage * n, to});
    const View<T, B> halves(to.data, 2 * in.rows, n / 2);
    hadamard<T, B>(tile, halves, nullptr, T(1), halves);
    from = to;
  }
  cuda::for_row_parts(backend, out.rows, out.cols, cuda::ScaleColumns<T>{from, length, f, out});
}

#define FASTNTK_INSTANTIATE(T)                                                                                            \
  template void rotated_hadamard(Tile<Cuda>&, View<const T, Cuda>, const T*, const T*, std::size_t, const Activation<T>&, \
                                 View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
