// The dual activation of projections, and whole rows of features with structured directions in one pass.
//
// dual_rows() keeps a row in registers until its norm is known. Per block of n = 1024 float directions, which a warp has:
//
//                                         instructions of a warp   128-byte wavefronts
//   input                                                   32                     32
//   3 stages: coefficients, rotation                    3 x 96                 3 x 32
//             9 levels                                 3 x 288
//             two changes of layout                     3 x 80                3 x 128
//   lengths, activation with 4 look-ups, square            560                    160
//   scaling and output                                      80                     32
//   together                                              2070                    700
//
// A multiprocessor issues four instructions and moves one wavefront (shared memory and first-level cache) a cycle, so that
// wavefronts are the bound: 700 cycles for 4 KiB of output, which an H100 writes in about 315 (3 TB/s over 132
// multiprocessors at 1.75 GHz). The steps one by one would write and read these 4 KiB five times over. The coefficients, 16
// KiB a block, stay in the first-level cache as far as it goes (128 KiB for 8192 directions) and in the second beyond.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "../src/primitives.hpp"
#include "reduce.cuh"
#include "rotated_hadamard.cuh"
#include "runtime.cuh"

namespace fastntk {
namespace cuda {
namespace {

// The table of a dual activation in shared memory. Segments are banks; the sides, if they differ, are half of the banks
// apart, so that the frequent segments of both, those around |u| = 1, rarely meet.
template <class T>
struct Table {
  static constexpr int segments = static_cast<int>(DualActivation::segments);
  static constexpr int side = 48, power = 80, size = 4 * power;

  const T* cubic;
  int negative;  // how far the cubics of the negative side are: 0 if both sides are equal

  /// Copies `from`, [side][power][segment]; complete after the block's next barrier.
  __device__ Table(const T* from, bool even, T* shared) : cubic(shared), negative(even ? 0 : side) {
    for (int i = static_cast<int>(threadIdx.x); i < 8 * segments; i += static_cast<int>(blockDim.x))
      shared[i / segments % 4 * power + i / (4 * segments) * side + i % segments] = from[i];
  }

  // The half-octave of |u| from its bits, exponent and first bit of the mantissa; and -1 for negative u.
  __device__ static int half_octave(float u) {
    return (__float_as_int(u) >> 22 & 0x1ff) - 2 * (127 + DualActivation::first_octave);
  }
  __device__ static int half_octave(double u) {
    return static_cast<int>(__double_as_longlong(u) >> 51 & 0xfff) - 2 * (1023 + DualActivation::first_octave);
  }
  __device__ static int sign_mask(float u) { return __float_as_int(u) >> 31; }
  __device__ static int sign_mask(double u) { return static_cast<int>(__double_as_longlong(u) >> 63); }

  __device__ T operator()(T u) const {
    const int segment = min(max(half_octave(u), 0), segments - 1);
    const T* const c = cubic + segment + (sign_mask(u) & negative);
    const T v = u < 0 ? -u : u;
    return c[0] + v * (c[power] + v * (c[2 * power] + v * c[3 * power]));
  }
};

template <class T>
__global__ void __launch_bounds__(256) dual_features_kernel(const T* cubic, bool even, View<T, Cuda> z, T* square) {
  T* const shared = shared_memory<T>();
  const Table<T> g(cubic, even, shared);
  __syncthreads();
  T* const row = z.row(blockIdx.x);
  T sum = 0;
  for (std::size_t j = threadIdx.x; j < z.cols; j += blockDim.x) {
    const T value = g(row[j]);
    row[j] = value;
    sum += value * value;
  }
  sum = block_sum(sum, shared + Table<T>::size);
  if (threadIdx.x == 0) square[blockIdx.x] += sum;
}

template <class T>
struct RowsOnChip {
  int d, m, blocks, rounds;
  const T* rotation;
  const T* length;
  const T* cubic;
  bool even, exact_diagonal;
  std::size_t exact_columns;
  T constant, linear, remainder, mean_scale;
};

// Threads of a block at most, with 128 registers each, or 255 in double.
template <class T>
constexpr int row_threads = sizeof(T) == 4 ? 512 : 256;

template <class T>
constexpr int sums_of_warps = row_threads<T> / 32;

/// Shared memory before the chunks': the table, and the warps' sums of two rows.
template <class T>
constexpr int row_shared = Table<T>::size + 2 * sums_of_warps<T>;

/// A block has one row at a time. Its teams have a chunk each, or several in `rounds`, of which they leave all but the last
/// in shared memory.
template <class T, class Chunk>
__global__ void __launch_bounds__(row_threads<T>, 1)
    dual_rows_kernel(RowsOnChip<T> f, View<const T, Cuda> unit, const T* norm, View<T, Cuda> out) {
  T* const shared = shared_memory<T>();
  const Table<T> g(f.cubic, f.even, shared);
  __syncthreads();
  const int team = static_cast<int>(threadIdx.x) / Chunk::threads;
  const int teams = static_cast<int>(blockDim.x) / Chunk::threads;
  const int t = static_cast<int>(threadIdx.x) % Chunk::threads;
  T* sums = shared + Table<T>::size;
  T* const other_sums = sums + sums_of_warps<T>;
  int turn = 0;

  for (std::size_t row = blockIdx.x; row < unit.rows; row += gridDim.x, turn ^= 1) {
    const T* const from = unit.row(row);
    T v[Chunk::values];
    T sum = 0;
#pragma unroll 1
    for (int round = 0; round < f.rounds; ++round) {
      const int chunk = round * teams + team;
#pragma unroll
      for (int k = 0; k < Chunk::values; ++k) {
        const auto [block, base, offset] = Chunk::before(t, k);
        v[k] = offset < f.d - base ? (from + base)[offset] : T(0);
      }
      // Chunks and blocks beyond the last one compute it again, and are left out below.
      const int first_block = min(chunk * Chunk::blocks, f.blocks - 1);
      const std::size_t block_stride = Chunk::stages * Chunk::n;
      T* const memory = shared + row_shared<T> + chunk * Chunk::shared_size;
      Chunk::transform(v, f.rotation + first_block * block_stride, static_cast<int>(block_stride),
                       f.blocks - 1 - first_block, memory, t);
      const T* const length = f.length + chunk * Chunk::size + t;
      const int count = f.m - chunk * Chunk::size - t;
#pragma unroll
      for (int k = 0; k < Chunk::values; ++k) {
        constexpr int step = Chunk::threads;
        v[k] = k * step < count ? g(v[k] * length[k * step]) : T(0);
        sum += v[k] * v[k];
      }
      if (round + 1 < f.rounds) Chunk::put_strided(v, memory, t);
    }
    const T square = block_sum(sum, turn ? other_sums : sums);

    const T row_norm = norm[row];
    const T scale = row_norm * (f.exact_diagonal && square > 0 ? std::sqrt(f.remainder / square) : f.mean_scale);
    T* const to = out.row(row);
#pragma unroll 1
    for (int round = f.rounds - 1;; --round) {
      const int chunk = round * teams + team;
      const int count = f.m - chunk * Chunk::size - t;
      T* const random = to + f.exact_columns + chunk * Chunk::size + t;
#pragma unroll
      for (int k = 0; k < Chunk::values; ++k) {
        constexpr int step = Chunk::threads;
        if (k * step < count) random[k * step] = scale * v[k];
      }
      if (round == 0) break;
      Chunk::get_strided(v, shared + row_shared<T> + (chunk - teams) * Chunk::shared_size, t);
    }
    if (f.exact_columns > 0 && threadIdx.x == 0) to[0] = f.constant * row_norm;
    if (f.exact_columns > 1) {
      const T factor = f.linear * row_norm;
      for (int j = static_cast<int>(threadIdx.x); j < f.d; j += static_cast<int>(blockDim.x)) to[1 + j] = factor * from[j];
    }
  }
}

/// How the teams of a block share the chunks of a row.
struct Shares {
  int teams, rounds;
  std::size_t shared_bytes;
};

template <class T, class Chunk>
Shares share_chunks(std::size_t m) {
  const auto chunks = static_cast<int>((m + Chunk::size - 1) / Chunk::size);
  constexpr int most_teams = row_threads<T> / Chunk::threads;
  const int rounds = (chunks + most_teams - 1) / most_teams;
  const int teams = (chunks + rounds - 1) / rounds;
  const auto places = static_cast<std::size_t>(teams) * static_cast<std::size_t>(rounds);
  return {teams, rounds, (row_shared<T> + places * Chunk::shared_size) * sizeof(T)};
}

}  // namespace
}  // namespace cuda

template <Real T, Backend B>
void dual_features(Tile<B>& tile, const DualTable<T, B>& g, View<T, B> z, T* square) {
  const unsigned threads = z.cols <= 512 ? 32 : 256;
  const std::size_t shared = cuda::Table<T>::size + threads / 32;
  cuda::launch(tile.backend(), {z.rows, threads, shared * sizeof(T)}, cuda::dual_features_kernel<T>, g.cubic.data(), g.even,
               z, square);
}

template <Real T, Backend B>
bool has_dual_rows(const B& backend, std::size_t n, std::size_t m) {
  // A chunk has 1024 directions or more: where blocks are shorter and few, most of it would be empty.
  constexpr std::size_t least = 512;
  constexpr std::size_t most = std::size_t{1} << 20;
  if (n > cuda::longest_rotated_block || m > most || (n <= least && m < least)) return false;
  bool fits = false;
  cuda::with_rotated_chunk<T>(n, [&]<class Chunk>(Chunk) {
    fits = cuda::share_chunks<T, Chunk>(m).shared_bytes <= cuda::limits(backend.device).shared_bytes;
  });
  return fits;
}

template <Real T, Backend B>
void dual_rows(Tile<B>& tile, const DualRows<T, B>& features, View<const T, B> unit, const T* norm, View<T, B> out) {
  const Cuda& backend = tile.backend();
  const auto m = static_cast<int>(features.m);
  const auto n = static_cast<int>(features.n);
  const std::size_t most_blocks = 16 * static_cast<std::size_t>(cuda::limits(backend.device).multiprocessors);
  cuda::with_rotated_chunk<T>(features.n, [&]<class Chunk>(Chunk) {
    const cuda::Shares shares = cuda::share_chunks<T, Chunk>(features.m);
    const cuda::RowsOnChip<T> f{.d = static_cast<int>(unit.cols),
                                .m = m,
                                .blocks = (m + n - 1) / n,
                                .rounds = shares.rounds,
                                .rotation = features.rotation,
                                .length = features.length,
                                .cubic = features.g->cubic.data(),
                                .even = features.g->even,
                                .exact_diagonal = features.exact_diagonal,
                                .exact_columns = features.exact_columns,
                                .constant = features.constant,
                                .linear = features.linear,
                                .remainder = features.remainder,
                                .mean_scale = static_cast<T>(1 / std::sqrt(static_cast<double>(m)))};
    cuda::launch(
        backend,
        {std::min(unit.rows, most_blocks), static_cast<unsigned>(shares.teams * Chunk::threads), shares.shared_bytes},
        cuda::dual_rows_kernel<T, Chunk>, f, unit, norm, out);
  });
}

#define FASTNTK_INSTANTIATE(T)                                                            \
  template void dual_features(Tile<Cuda>&, const DualTable<T, Cuda>&, View<T, Cuda>, T*); \
  template bool has_dual_rows<T>(const Cuda&, std::size_t, std::size_t);                  \
  template void dual_rows(Tile<Cuda>&, const DualRows<T, Cuda>&, View<const T, Cuda>, const T*, View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
