// Chunks of rows, as the transform's kernels read and write them, and the launches that have a chunk for every row.
#pragma once

#include <fastntk/error.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "../src/tiling.hpp"
#include "arithmetic.cuh"
#include "hadamard.cuh"
#include "half.cuh"
#include "runtime.cuh"

namespace fastntk::cuda {

/// Rows that a kernel transforms: zeros follow their `cols` elements, bit j % 32 of signs[j / 32] (null: none) turns the
/// sign of column j, and everything is multiplied by `scale`.
template <class S>
struct Source {
  const S* data;
  std::size_t rows;
  std::size_t stride;
  std::size_t cols;
  const std::uint32_t* signs;
  Accumulator<S> scale;
};

template <class S>
struct Target {
  S* data;
  std::size_t rows;
  std::size_t stride;
};

/// Whether rows of `length` elements from `data` on, `stride` apart, consist of aligned vectors of 16 bytes.
template <class S>
bool in_vectors(const S* data, std::size_t stride, std::size_t length) {
  return (reinterpret_cast<std::uintptr_t>(data) | stride * sizeof(S) | length * sizeof(S)) % 16 == 0;
}

/// x = a chunk in layout L, read in vectors of 2^v elements: element e is from[step(e)], or 0 unless inside(e). The steps of
/// disjoint bits of e add up.
template <class L, int v, class S, class Step, class Inside>
__device__ inline void load(Accumulator<S> (&x)[n_values], const S* from, unsigned thread, const Step& step,
                            const Inside& inside) {
  constexpr unsigned width = 1u << std::min(L::low_bits, v);
  const unsigned position = L::position(thread);
  const S* const base = from + step(position);
#pragma unroll
  for (unsigned i = 0; i < n_values; i += width) {
    Pack<S, width> pack{};
    if (inside(position | L::offset(i))) pack = *reinterpret_cast<const Pack<S, width>*>(base + step(L::offset(i)));
#pragma unroll
    for (unsigned k = 0; k < width; ++k) x[i + k] = widen(pack.values[k]);
  }
}

/// The reverse.
template <class L, int v, class S, class Step, class Inside>
__device__ inline void store(const Accumulator<S> (&x)[n_values], S* to, unsigned thread, const Step& step,
                             const Inside& inside) {
  constexpr unsigned width = 1u << std::min(L::low_bits, v);
  const unsigned position = L::position(thread);
  S* const base = to + step(position);
#pragma unroll
  for (unsigned i = 0; i < n_values; i += width) {
    Pack<S, width> pack;
#pragma unroll
    for (unsigned k = 0; k < width; ++k) pack.values[k] = narrow<S>(x[i + k]);
    if (inside(position | L::offset(i))) *reinterpret_cast<Pack<S, width>*>(base + step(L::offset(i))) = pack;
  }
}

/// Turns the signs of x in layout L; element e is in column e % 2^log2_n.
template <class L, int v, int log2_n, class T>
__device__ inline void turn_signs(T (&x)[n_values], const std::uint32_t* signs, unsigned thread) {
  constexpr unsigned width = 1u << std::min({L::low_bits, v, log2_n});
  const unsigned position = L::position(thread);
#pragma unroll
  for (unsigned i = 0; i < n_values; i += width) {
    const unsigned col = (position | L::offset(i)) & ((1u << log2_n) - 1);
    const std::uint32_t word = signs[col / 32] >> (col % 32);
#pragma unroll
    for (unsigned k = 0; k < width; ++k) x[i + k] = flipped(x[i + k], word, k);
  }
}

/// The chunk that holds rows of 2^log2_n elements, one or several.
template <int log2_n>
constexpr int chunk_of = std::max(log2_n, log2_warp_chunk);

/// The rows of a chunk, from row `first` on; or, of a longer row, the columns from `col` on.
template <int log2_n>
struct ChunkRows {
  static constexpr unsigned count = 1u << (chunk_of<log2_n> - log2_n);
  std::size_t first;
  std::size_t col = 0;

  /// x = the elements in layout L, with signs and scale.
  template <class L, int v, class S>
  __device__ void load(Accumulator<S> (&x)[n_values], const Source<S>& in, unsigned thread) const {
    cuda::load<L, v>(x, in.data + first * in.stride + col, thread, step(in.stride), inside(in.rows, in.cols));
    if (in.signs) turn_signs<L, v, log2_n>(x, in.signs + col / 32, thread);
#pragma unroll
    for (unsigned i = 0; i < n_values; ++i) x[i] = rounded_product(x[i], in.scale);
  }

  template <class L, int v, class S>
  __device__ void store(const Accumulator<S> (&x)[n_values], const Target<S>& out, unsigned thread) const {
    const std::size_t all = col + (1u << log2_n);
    cuda::store<L, v>(x, out.data + first * out.stride + col, thread, step(out.stride), inside(out.rows, all));
  }

 private:
  __device__ static auto step(std::size_t stride) {
    return [=](unsigned e) { return (e >> log2_n) * stride + (e & ((1u << log2_n) - 1)); };
  }
  __device__ auto inside(std::size_t rows, std::size_t cols) const {
    const auto left = first < rows ? static_cast<unsigned>(std::min<std::size_t>(rows - first, count)) : 0;
    const auto width = col < cols && left > 0 ? static_cast<unsigned>(std::min<std::size_t>(cols - col, 1u << log2_n)) : 0;
    return [=](unsigned e) { return (e & ((1u << log2_n) - 1)) < width && (count == 1 || e >> log2_n < left); };
  }
};

/// Threads of a chunk, and one chunk's threads among a block's.
template <int chunk>
constexpr unsigned chunk_threads = 1u << (chunk - log2_values);

template <class T, int chunk>
struct ChunkOwner {
  unsigned thread = threadIdx.x % chunk_threads<chunk>;
  std::size_t number = std::size_t{blockIdx.x} * (blockDim.x / chunk_threads<chunk>)+threadIdx.x / chunk_threads<chunk>;
  T* shared = shared_memory<T>() + (threadIdx.x / chunk_threads<chunk> << chunk);
};

/// Blocks that a multiprocessor should hold, as far as its shared memory allows: a thread's elements with their addresses
/// take 64 registers of 4 bytes or, read one by one, 80, or twice as many. `buffers` times the elements' size is the shared
/// memory.
template <class T>
constexpr unsigned blocks_of(unsigned threads, bool one_by_one, unsigned buffers = 1) {
  const unsigned by_registers = (one_by_one ? 3072 : 4096) / sizeof(T) / threads;
  const unsigned by_shared_memory = (227u << 10) / (buffers * n_values * sizeof(T) * threads);
  return std::max(std::min(by_registers, by_shared_memory), 1u);
}

/// A launch for `rows` rows of 2^log2_n elements of T, `buffers` times a chunk of shared memory for each, in blocks of
/// `threads`; of a chunk's threads where there are few.
template <class T, int log2_n>
Grid chunk_grid(const Cuda& backend, std::size_t rows, unsigned threads, std::size_t buffers = 1) {
  constexpr int chunk = chunk_of<log2_n>;
  const std::size_t chunks = (rows + ChunkRows<log2_n>::count - 1) / ChunkRows<log2_n>::count;
  const DeviceLimits& device = limits(backend.device);
  const std::size_t chunk_bytes = buffers * (sizeof(T) << chunk);
  const std::size_t most =
      std::min<std::size_t>(threads / chunk_threads<chunk>, std::bit_floor(device.shared_bytes / chunk_bytes));
  const bool few = chunks < most * static_cast<std::size_t>(device.multiprocessors);
  const std::size_t per_block = few ? 1 : most;
  return {(chunks + per_block - 1) / per_block, static_cast<unsigned>(per_block) * chunk_threads<chunk>,
          per_block * chunk_bytes};
}

/// The longest rows that a block holds where it has the most shared memory.
template <class T>
constexpr int log2_longest = std::countr_zero(most_transform_bytes_on_chip / sizeof(T));

/// Calls f with a constant equal to `value`, of [from, to].
template <int from, int to, class F>
void with_constant(int value, const F& f) {
  if (value == from) return f(std::integral_constant<int, from>{});
  if constexpr (from < to) return with_constant<from + 1, to>(value, f);
  throw Error("no kernel transforms rows of 2^" + std::to_string(value) + " elements");
}

}  // namespace fastntk::cuda
