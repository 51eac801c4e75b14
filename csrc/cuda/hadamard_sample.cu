// Samples of transformed rows, which stay on chip.
#include "hadamard_sample.cuh"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../src/primitives.hpp"
#include "hadamard_chunk.cuh"

namespace fastntk {

namespace cuda {
namespace {

/// Rows to take samples of, from their transforms or, `transformed`, from themselves.
template <class T>
struct Factor {
  Factor(View<const T, Cuda> in, const std::uint32_t* signs, const std::uint32_t* index, bool is_transformed)
      : rows{in.data, in.rows, in.stride, in.cols, signs, T(1)},
        sample(index),
        transformed(is_transformed),
        vectors(in_vectors(in.data, in.stride, in.cols)) {}

  Source<T> rows;
  const std::uint32_t* sample;
  bool transformed;
  bool vectors;  // whether the rows may be read in them
};

/// Several rows share a block's reads of the samples' indices.
template <int log2_n>
constexpr unsigned sample_threads = log2_n <= log2_warp_chunk ? 128 : std::max(chunk_threads<chunk_of<log2_n>>, 256u);

/// out[r][j] = scale * (the factors' samples number j of row r); a product has two factors. `out` may overlap the rows: a
/// block writes its rows after it has read them. A multiple of 32 threads, a power of two, are on a row at a time.
template <class T, int log2_n, bool is_product>
__global__ void __launch_bounds__(sample_threads<log2_n>, blocks_of<T>(sample_threads<log2_n>, false, is_product ? 2 : 1))
    sample_kernel(Factor<T> a, Factor<T> b, T scale, View<T, Cuda> out, unsigned row_threads) {
  constexpr int chunk = chunk_of<log2_n>;
  constexpr int v = log2_pack<T>;
  using Transform = RowTransform<T, v, chunk>;
  const ChunkOwner<T, chunk> owner;
  const ChunkRows<log2_n> rows{owner.number * ChunkRows<log2_n>::count};
  const std::size_t buffer = std::size_t{blockDim.x} * n_values;
  const auto put = [&](const Factor<T>& factor, T* shared) {
    T x[n_values];
    if (factor.vectors) {
      rows.template load<typename Transform::First, v>(x, factor.rows, owner.thread);
    } else {
      rows.template load<typename Transform::First, 0>(x, factor.rows, owner.thread);
    }
    if (factor.transformed) {
      write_shared<typename Transform::First, v>(x, shared, owner.thread);
    } else {
      Transform::run(x, shared, owner.thread, log2_n);
      write_shared<typename Transform::Last, v>(x, shared, owner.thread);
    }
  };
  put(a, owner.shared);
  if constexpr (is_product) put(b, owner.shared + buffer);
  __syncthreads();

  const std::size_t block_rows = buffer >> log2_n;
  const std::size_t first = blockIdx.x * block_rows;
  const auto end = static_cast<unsigned>(std::min(out.rows - first, block_rows));
  const T* const x = shared_memory<T>();
  const T* const y = x + buffer;
  const unsigned step = blockDim.x / row_threads;
  for (std::size_t j = threadIdx.x % row_threads; j < out.cols; j += row_threads) {
    const unsigned p = place<T, v>(a.sample[j]);
    const unsigned q = is_product ? place<T, v>(b.sample[j]) : 0;
#pragma unroll 4
    for (unsigned r = threadIdx.x / row_threads; r < end; r += step) {
      const unsigned row = place<T, v>(r << log2_n);
      T value = scale * x[row ^ p];
      if constexpr (is_product) value *= y[row ^ q];
      out(first + r, j) = value;
    }
  }
}

/// The rows that these kernels are for: not so short that nobody needs them fast, nor too long for a block to hold them.
constexpr int log2_shortest_sampled = 5;
template <class T, bool is_product>
constexpr int log2_longest_sampled = is_product ? log2_longest<T> - 1 : log2_longest<T>;

template <class T, bool is_product>
bool stays_on_chip(const Cuda& backend, std::size_t n) {
  return n >> log2_shortest_sampled > 0 && (is_product ? 2 : 1) * n * sizeof(T) <= transform_bytes_on_chip(backend.device);
}

template <class T, bool is_product>
void launch_sample(const Cuda& backend, const Factor<T>& a, const Factor<T>& b, std::size_t n, T scale, View<T, Cuda> out) {
  with_constant<log2_shortest_sampled, log2_longest_sampled<T, is_product>>(std::countr_zero(n), [&](auto log2_n) {
    const Grid grid = chunk_grid<T, log2_n>(backend, out.rows, sample_threads<log2_n>, is_product ? 2 : 1);
    const auto row_threads = static_cast<unsigned>(std::clamp<std::size_t>(std::bit_ceil(out.cols), 32, grid.threads));
    launch(backend, grid, sample_kernel<T, log2_n, is_product>, a, b, scale, out, row_threads);
  });
}

}  // namespace

template <Real T>
bool product_on_chip(const Cuda& backend, View<const T, Cuda> a, const std::uint32_t* index_a, View<const T, Cuda> b,
                     const std::uint32_t* index_b, T scale, View<T, Cuda> out) {
  const std::size_t n = std::bit_ceil(std::max(a.cols, b.cols));
  constexpr std::size_t read_at_once = 32;  // bytes of memory, however few are asked for
  if (!stays_on_chip<T, true>(backend, n) || out.cols * read_at_once < n * sizeof(T)) return false;
  launch_sample<T, true>(backend, {a, nullptr, index_a, true}, {b, nullptr, index_b, true}, n, scale, out);
  return true;
}

template bool product_on_chip(const Cuda&, View<const float, Cuda>, const std::uint32_t*, View<const float, Cuda>,
                              const std::uint32_t*, float, View<float, Cuda>);
template bool product_on_chip(const Cuda&, View<const double, Cuda>, const std::uint32_t*, View<const double, Cuda>,
                              const std::uint32_t*, double, View<double, Cuda>);

}  // namespace cuda

template <Real T, Backend B>
bool samples_on_chip(const B& backend, std::size_t n) {
  return cuda::stays_on_chip<T, false>(backend, n);
}

template <Real T, Backend B>
bool samples_on_chip(const B& backend, std::size_t n_a, std::size_t n_b) {
  return n_a == n_b && cuda::stays_on_chip<T, true>(backend, n_a);
}

template <Real T, Backend B>
void hadamard_gather(Tile<B>& tile, View<const T, B> in, const std::uint32_t* signs, std::size_t n,
                     const std::uint32_t* index, T scale, View<T, B> out) {
  if (samples_on_chip<T>(tile.backend(), n)) {
    const cuda::Factor<T> a(in, signs, index, false);
    return cuda::launch_sample<T, false>(tile.backend(), a, a, n, scale, out);
  }
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> transformed = tile.template scratch<T>(in.rows, n);
  hadamard<T, B>(tile, in, signs, T(1), transformed);
  gather<T, B>(tile, transformed, index, scale, out);
}

template <Real T, Backend B>
void hadamard_gather_product(Tile<B>& tile, View<const T, B> other, const std::uint32_t* index_other, View<const T, B> in,
                             const std::uint32_t* signs, std::size_t n, const std::uint32_t* index, T scale,
                             View<T, B> out) {
  if (cuda::stays_on_chip<T, true>(tile.backend(), n) && other.cols <= n) {
    return cuda::launch_sample<T, true>(tile.backend(), cuda::Factor<T>(other, nullptr, index_other, true),
                                        cuda::Factor<T>(in, signs, index, false), n, scale, out);
  }
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> transformed = tile.template scratch<T>(in.rows, n);
  hadamard<T, B>(tile, in, signs, T(1), transformed);
  gather_product<T, B>(tile, other, index_other, transformed, index, scale, out);
}

template <Real T, Backend B>
void tensor_srht(Tile<B>& tile, const TensorFactor<T, B>& a, const TensorFactor<T, B>& b, T scale, View<T, B> out) {
  if (samples_on_chip<T>(tile.backend(), a.length, b.length)) {
    return cuda::launch_sample<T, true>(tile.backend(), cuda::Factor<T>(a.rows, a.signs, a.sample, false),
                                        cuda::Factor<T>(b.rows, b.signs, b.sample, false), a.length, scale, out);
  }
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> first = tile.template scratch<T>(a.rows.rows, a.length);
  hadamard<T, B>(tile, a.rows, a.signs, T(1), first);
  hadamard_gather_product<T, B>(tile, first, a.sample, b.rows, b.signs, b.length, b.sample, scale, out);
}

#define FASTNTK_INSTANTIATE(T)                                                                                             \
  template bool samples_on_chip<T>(const Cuda&, std::size_t);                                                              \
  template bool samples_on_chip<T>(const Cuda&, std::size_t, std::size_t);                                                 \
  template void hadamard_gather(Tile<Cuda>&, View<const T, Cuda>, const std::uint32_t*, std::size_t, const std::uint32_t*, \
                                T, View<T, Cuda>);                                                                         \
  template void hadamard_gather_product(Tile<Cuda>&, View<const T, Cuda>, const std::uint32_t*, View<const T, Cuda>,       \
                                        const std::uint32_t*, std::size_t, const std::uint32_t*, T, View<T, Cuda>);        \
  template void tensor_srht(Tile<Cuda>&, const TensorFactor<T, Cuda>&, const TensorFactor<T, Cuda>&, T, View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
