// Transforms of whole rows of any length: kernels and their launches.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>

#include "../src/tile.hpp"
#include "hadamard.cuh"
#include "runtime.cuh"

namespace fastntk::cuda {

/// The longest rows that a block holds: 128 KiB of shared memory.
template <class T>
constexpr int log2_longest = sizeof(T) == 4 ? 15 : 14;

/// Longer rows are first transformed in pieces of this length.
constexpr int log2_long_piece = 12;

/// Threads of a block that holds a chunk, or whose warps hold one each.
template <int chunk>
constexpr unsigned chunk_threads = chunk == log2_warp_chunk ? 128 : 1u << (chunk - log2_values);

/// Blocks that a multiprocessor should hold: 32 elements and addresses take 64 registers of 4 bytes, or twice as many.
template <class T, int chunk>
constexpr unsigned chunk_blocks = std::max<std::size_t>(4096 / sizeof(T) / chunk_threads<chunk>, 1);

/// A chunk's threads, and which chunk of the grid it is.
template <class T, int chunk>
struct ChunkOwner {
  static constexpr bool is_warp = chunk == log2_warp_chunk;
  unsigned thread = is_warp ? threadIdx.x % 32 : threadIdx.x;
  std::size_t number = is_warp ? std::size_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32 : blockIdx.x;
  T* shared = shared_memory<T>() + (is_warp ? threadIdx.x / 32 << chunk : 0);
};

/// The chunk that holds rows of 2^log2_n elements.
template <int log2_n>
constexpr int chunk_of = std::max(log2_n, log2_warp_chunk);

/// out = the transform of rows of 2^log2_n elements or, if a row has 2^log2_pieces > 1 of them, of its pieces. `in` may be
/// `out`.
template <class S, class R, int v, int log2_n>
__global__ void __launch_bounds__(chunk_threads<chunk_of<log2_n>>, chunk_blocks<Accumulator<S>, chunk_of<log2_n>>)
    transform_kernel(Source<S> in, Target<R> out, int log2_pieces) {
  using T = Accumulator<S>;
  constexpr int chunk = chunk_of<log2_n>;
  using Transform = RowTransform<T, v, chunk>;
  if constexpr (log2_n != log2_long_piece) log2_pieces = 0;
  const ChunkOwner<T, chunk> owner;
  const std::size_t piece = owner.number & ((std::size_t{1} << log2_pieces) - 1);
  const ChunkRows<chunk, log2_n> rows{owner.number >> log2_pieces << (chunk - log2_n), piece << log2_n};
  if (rows.first >= in.rows) return;
  T x[n_values];
  rows.template load<typename Transform::First, v>(x, in, owner.thread);
  Transform::run(x, owner.shared, owner.thread, log2_n);
  rows.template store<typename Transform::Last, std::min(v, log2_pack<R>)>(x, out, owner.thread);
}

// Levels of a long row between elements 2^done apart and more. A block takes 2^levels elements of as many neighbouring
// columns as fill a chunk, at least 32 of them.
constexpr int column_chunk = 13;
constexpr int most_column_levels = column_chunk - log2_values;

template <class T, class S, int v>
__global__ void __launch_bounds__(chunk_threads<column_chunk>, chunk_blocks<T, column_chunk>)
    column_kernel(View<const T, Cuda> in, View<S, Cuda> out, int log2_n, int done, int levels) {
  using First = Layout<0, log2_warp_chunk>;
  using Last = Layout<v, column_chunk>;
  const int log2_width = column_chunk - levels;  // of the columns
  const std::size_t block = blockIdx.x;
  const std::size_t row = block >> (log2_n - column_chunk);
  const std::size_t number = block & ((std::size_t{1} << (log2_n - column_chunk)) - 1);
  const std::size_t left = number & ((std::size_t{1} << (done - log2_width)) - 1);
  const std::size_t group = number >> (done - log2_width);
  const std::size_t corner = group << (done + levels) | left << log2_width;
  const auto step = [=](unsigned e) { return std::size_t{e >> log2_width} << done | (e & ((1u << log2_width) - 1)); };
  const auto inside = [](unsigned) { return true; };
  T x[n_values];
  load<First, 0>(x, in.row(row) + corner, threadIdx.x, step, inside);
  transform<v, Phase<First, log2_values, log2_warp_chunk>, Phase<Last, log2_warp_chunk, column_chunk>>(
      x, shared_memory<T>(), threadIdx.x, log2_width, column_chunk);
  store<Last, v>(x, out.row(row) + corner, threadIdx.x, step, inside);
}

/// Blocks and their shared memory for `chunks` chunks of T. Warps are spread over blocks where there are few of them.
template <class T, int chunk>
Grid chunk_grid(const Cuda& backend, std::size_t chunks) {
  if constexpr (chunk > log2_warp_chunk) return {chunks, chunk_threads<chunk>, sizeof(T) << chunk};
  const auto most = static_cast<std::size_t>(limits(backend.device).multiprocessors) * (chunk_threads<chunk> / 32);
  const std::size_t warps = chunks < most ? 1 : chunk_threads<chunk> / 32;
  return {(chunks + warps - 1) / warps, static_cast<unsigned>(32 * warps), warps * (sizeof(T) << chunk)};
}

template <class S, class R, int v, int log2_n>
void launch_transform(const Cuda& backend, const Source<S>& in, const Target<R>& out, int log2_pieces = 0) {
  constexpr int chunk = chunk_of<log2_n>;
  constexpr std::size_t rows_per_chunk = std::size_t{1} << (chunk - log2_n);
  const std::size_t chunks = (in.rows + rows_per_chunk - 1) / rows_per_chunk << log2_pieces;
  launch(backend, chunk_grid<Accumulator<S>, chunk>(backend, chunks), transform_kernel<S, R, v, log2_n>, in, out, log2_pieces);
}

/// Rows that no block holds: pieces of neighbours, then the levels between these, in several passes through memory. What
/// lies between the passes is in `work`.
template <int v, class S>
void transform_long_rows(const Cuda& backend, const Source<S>& in, View<Accumulator<S>, Cuda> work, View<S, Cuda> out) {
  using T = Accumulator<S>;
  constexpr int w = std::min(v, log2_pack<T>);
  const int log2_n = std::countr_zero(out.cols);
  launch_transform<S, T, v, log2_long_piece>(backend, in, {work.data, work.rows, work.stride}, log2_n - log2_long_piece);
  const Grid grid{out.rows << (log2_n - column_chunk), chunk_threads<column_chunk>, sizeof(T) << column_chunk};
  for (int done = log2_long_piece; done < log2_n;) {
    const int rest = log2_n - done;
    const int passes = (rest + most_column_levels - 1) / most_column_levels;
    const int levels = (rest + passes - 1) / passes;
    if (passes == 1) {
      launch(backend, grid, column_kernel<T, S, w>, work, out, log2_n, done, levels);
    } else {
      launch(backend, grid, column_kernel<T, T, w>, work, work, log2_n, done, levels);
    }
    done += levels;
  }
}

/// out = scale * H * (signs o pad(in)); see primitives.hpp.
template <class S>
void transform_rows(Tile<Cuda>& tile, View<const S, Cuda> in, const std::uint32_t* signs, Accumulator<S> scale,
                    View<S, Cuda> out) {
  using T = Accumulator<S>;
  const Cuda& backend = tile.backend();
  const Source<S> source{in.data, in.rows, in.stride, in.cols, signs, scale};
  const Target<S> target{out.data, out.rows, out.stride};
  const auto with_vectors = [&](auto v) {
    const int log2_n = std::countr_zero(out.cols);
    if (log2_n <= log2_longest<T>) {
      with_constant<v, log2_longest<T>>(
          log2_n, [&](auto constant) { launch_transform<S, S, v, constant>(backend, source, target); });
    } else if constexpr (SixteenBit<S>) {
      const Tile<Cuda>::Scope scope(tile);
      transform_long_rows<v>(backend, source, tile.scratch<T>(in.rows, out.cols), out);
    } else {
      transform_long_rows<v>(backend, source, out, out);
    }
  };
  if (in_vectors(in.data, in.stride, in.cols) && in_vectors(out.data, out.stride, out.cols)) {
    with_vectors(std::integral_constant<int, log2_pack<S>>{});
  } else {
    with_vectors(std::integral_constant<int, 0>{});
  }
}

}  // namespace fastntk::cuda
