// Transforms of whole rows of any length: kernels and their launches.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>

#include "../src/tile.hpp"
#include "hadamard_chunk.cuh"
#include "runtime.cuh"

namespace fastntk::cuda {

/// Rows that no block holds are first transformed in pieces of this length.
constexpr int log2_long_piece = 12;

/// A row has a block's threads or, up to 1024 elements, a warp's.
template <int log2_n>
constexpr unsigned transform_threads = log2_n <= log2_warp_chunk ? 128 : chunk_threads<chunk_of<log2_n>>;

/// out = the transform of rows of 2^log2_n elements or, if a row has 2^log2_pieces > 1 of them, of its pieces. `in` may be
/// `out`.
template <class S, int v, int log2_n>
__global__ void __launch_bounds__(transform_threads<log2_n>, blocks_of<Accumulator<S>>(transform_threads<log2_n>, v == 0))
    transform_kernel(Source<S> in, Target<S> out, int log2_pieces) {
  using T = Accumulator<S>;
  using Transform = RowTransform<T, v, chunk_of<log2_n>>;
  if constexpr (log2_n != log2_long_piece) log2_pieces = 0;
  const ChunkOwner<T, chunk_of<log2_n>> owner;
  const std::size_t piece = owner.number & ((std::size_t{1} << log2_pieces) - 1);
  const ChunkRows<log2_n> rows{(owner.number >> log2_pieces) * ChunkRows<log2_n>::count, piece << log2_n};
  if (rows.first >= in.rows) return;
  T x[n_values];
  rows.template load<typename Transform::First, v>(x, in, owner.thread);
  Transform::run(x, owner.shared, owner.thread, log2_n);
  rows.template store<typename Transform::Last, v>(x, out, owner.thread);
}

// Levels of a long row between elements 2^done apart and more. A block takes 2^levels elements of as many neighbouring
// columns as fill a chunk, at least 32 of them.
constexpr int column_chunk = 13;
constexpr int most_column_levels = column_chunk - log2_values;

template <class T, int v>
__global__ void __launch_bounds__(chunk_threads<column_chunk>, blocks_of<T>(chunk_threads<column_chunk>, true))
    column_kernel(View<T, Cuda> rows, int log2_n, int done, int levels) {
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
  T* const to = rows.row(row) + corner;
  T x[n_values];
  load<First, 0, T>(x, to, threadIdx.x, step, inside);
  transform<v, Phase<First, log2_values, log2_warp_chunk>, Phase<Last, log2_warp_chunk, column_chunk>>(
      x, shared_memory<T>(), threadIdx.x, log2_width, column_chunk);
  store<Last, v>(x, to, threadIdx.x, step, inside);
}

template <class S, int v, int log2_n>
void launch_transform(const Cuda& backend, const Source<S>& in, const Target<S>& out, int log2_pieces = 0) {
  const Grid grid = chunk_grid<Accumulator<S>, log2_n>(backend, in.rows << log2_pieces, transform_threads<log2_n>);
  launch(backend, grid, transform_kernel<S, v, log2_n>, in, out, log2_pieces);
}

/// Rows that a block holds, in vectors of 2^v elements.
template <int v, class S>
void transform_rows(const Cuda& backend, const Source<S>& in, const Target<S>& out, int log2_n) {
  with_constant<v, log2_longest<Accumulator<S>>>(log2_n,
                                                 [&](auto constant) { launch_transform<S, v, constant>(backend, in, out); });
}

/// Rows that no block holds: pieces of neighbours, then the levels between these, in several passes through memory.
template <int v, class T>
void transform_long_rows(const Cuda& backend, const Source<T>& in, View<T, Cuda> out, int log2_n) {
  launch_transform<T, v, log2_long_piece>(backend, in, {out.data, out.rows, out.stride}, log2_n - log2_long_piece);
  const Grid grid{out.rows << (log2_n - column_chunk), chunk_threads<column_chunk>, sizeof(T) << column_chunk};
  for (int done = log2_long_piece; done < log2_n;) {
    const int rest = log2_n - done;
    const int passes = (rest + most_column_levels - 1) / most_column_levels;
    const int levels = (rest + passes - 1) / passes;
    launch(backend, grid, column_kernel<T, v>, out, log2_n, done, levels);
    done += levels;
  }
}

}  // namespace fastntk::cuda
