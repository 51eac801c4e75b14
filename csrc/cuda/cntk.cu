// The convolutional NTK of pairs of images: the recursion of src/cntk.hpp. A block takes one offset after another of a pair,
// whose maps stay in its shared memory, and all its threads a layer's positions.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "../src/cntk_primitives.hpp"
#include "../src/relu_kernels.hpp"
#include "for_each.cuh"
#include "reduce.cuh"
#include "relu_scalars.cuh"
#include "runtime.cuh"

namespace fastntk {
namespace {

#include "../src/relu_recursion.hpp"

#include "../src/cntk_gap.hpp"

constexpr unsigned block_threads = 128;

/// A block's maps, in shared memory or in scratch: Gamma^(h), Pi^(h-1) kappa_0 + Gamma^(h), and the sums over filters' rows.
template <class T>
struct Maps {
  double *kernel, *kernel_sums;
  T *gradient, *gradient_sums;

  static constexpr std::size_t bytes_per_position = 2 * (sizeof(double) + sizeof(T));
  __device__ Maps(double* memory, std::size_t positions)
      : kernel(memory),
        kernel_sums(kernel + positions),
        gradient(reinterpret_cast<T*>(kernel_sums + positions)),
        gradient_sums(gradient + positions) {}
};

/// How blocks share the work: `groups` of them take the offsets of a pair, an offset and its opposite together, in turn.
struct Work {
  RowPairs pairs;
  std::size_t cols;          // of the matrix of pairs
  unsigned offsets;          // of a pair
  unsigned groups;           // of a pair's blocks
  std::size_t positions;     // of a map
  std::size_t first, count;  // blocks of this launch
  double share;              // 1/q^2
  double* scratch;           // of their maps, where these do not fit shared memory
};

/// A filter's taps along one axis of a map.
struct Taps {
  unsigned count, before, distance;

  __device__ Taps(const CntkPlan& plan, unsigned size, unsigned step)
      : count(static_cast<unsigned>(plan.taps(size))),
        before(static_cast<unsigned>(plan.taps_before(size)) * step),
        distance(step) {}

  // Their sum around position p of the n that a map has.
  template <class M>
  __device__ M sum(const M* map, unsigned p, unsigned n) const {
    M total = 0;
    unsigned at = p - before;  // wraps before the first position
    for (unsigned tap = 0; tap < count; ++tap, at += distance)
      if (at < n) total += map[at];
    return total;
  }
};

/// The positions p = thread, thread + threads, ... of a map, with their row and column.
struct Place {
  unsigned p, row, col;

  __device__ explicit Place(unsigned stride) : p(threadIdx.x), row(p / stride), col(p % stride) {}
  __device__ void advance(unsigned stride) {
    p += block_threads;
    row += block_threads / stride;
    col += block_threads % stride;
    if (col >= stride) {
      col -= stride;
      ++row;
    }
  }
};

// The sum of Pi^(L) over the pairs of positions at one offset, of which every thread returns its part. `left` and `right`
// are the images from the first position on that has a partner, in rows and columns of which both have so many. The maps
// have rows of `stride`: as many zeros stand between two of them as a filter reaches beyond one.
template <class T>
__device__ __forceinline__ double offset_sum(const CntkPlan& plan, double share, const double* left, const double* right,
                                             unsigned rows, unsigned cols, const Maps<T>& maps) {
  const auto width = static_cast<unsigned>(plan.width), shrink = static_cast<unsigned>(plan.shrink());
  const unsigned stride = cols + static_cast<unsigned>(plan.taps_before(cols));
  const Taps down(plan, rows, stride), across(plan, cols, 1);

  unsigned n = rows * stride;
  for (Place place(stride); place.p < n; place.advance(stride)) {
    double sum = 0;
    if (place.col < cols) {
      std::size_t at = std::size_t{place.row} * width + place.col;
      for (unsigned c = 0; c < plan.channels; ++c, at += plan.pixels()) sum += left[at] * right[at];
    }
    maps.kernel[place.p] = sum;
  }
  __syncthreads();

  bool has_gradient = plan.train_first, own_gradient = false;
  double total = 0;
  for (unsigned layer = 1; layer <= plan.depth; ++layer) {
    const bool last = layer == plan.depth;
    const unsigned before = n;
    const unsigned layer_cols = cols - layer * shrink;
    n = (rows - layer * shrink) * stride;
    for (unsigned p = threadIdx.x; p < n; p += block_threads) {
      maps.kernel_sums[p] = down.sum(maps.kernel, p, before);
      if (own_gradient) maps.gradient_sums[p] = down.sum(maps.gradient, p, before);
    }
    __syncthreads();
    for (Place place(stride); place.p < n; place.advance(stride)) {
      double kernel = 0;
      T gradient = 0;
      if (place.col < layer_cols) {
        const std::size_t at = plan.root_map(layer) + std::size_t{place.row} * width + place.col;
        const double r = left[at] * right[at];
        const double mean = share * across.sum(maps.kernel_sums, place.p, n);
        const T narrow_r = static_cast<T>(r);
        const T e = cntk_gap<T>(static_cast<T>(r - std::abs(mean)), narrow_r);
        const T w = std::sqrt(e);
        const bool negative = std::signbit(mean);
        if (!last || plan.train_last)
          kernel = (negative ? 0.0 : r) + r * static_cast<double>(kappa_1_change<T>(w, e, negative));
        if (has_gradient && narrow_r > 0) {
          const T turn = angle<T>(w, e);
          gradient =
              own_gradient ? static_cast<T>(share) * across.sum(maps.gradient_sums, place.p, n) : static_cast<T>(mean);
          gradient *= negative ? turn : 1 - turn;
        }
        gradient += static_cast<T>(kernel);
      }
      if (last) {
        total += has_gradient ? static_cast<double>(gradient) : kernel;
      } else {
        maps.kernel[place.p] = kernel;
        maps.gradient[place.p] = gradient;
      }
    }
    __syncthreads();
    own_gradient = has_gradient;
    has_gradient = true;
  }
  return total;
}

template <class T>
__global__ void __launch_bounds__(block_threads, 4)
    theta_kernel(CntkPlan plan, Work work, View<const double, Cuda> x, View<const double, Cuda> y, double* parts) {
  const std::size_t index = work.first + blockIdx.x;
  const std::size_t pair = index / work.groups;
  const std::size_t row = work.pairs == RowPairs::equal_rows ? pair : pair / work.cols;
  const std::size_t col = work.pairs == RowPairs::equal_rows ? pair : pair % work.cols;
  if (work.pairs == RowPairs::from_diagonal && row > col) return;
  double* const shared = cuda::shared_memory<double>();
  const std::size_t map_doubles = Maps<T>::bytes_per_position / sizeof(double) * work.positions;
  const Maps<T> maps(work.scratch ? work.scratch + blockIdx.x * map_doubles : shared + block_threads / 32, work.positions);

  const double* const left = x.row(row);
  const double* const right = y.row(col);
  const bool same = left == right;
  const auto rows = static_cast<unsigned>(plan.height_at(plan.depth)), height = static_cast<unsigned>(plan.height);
  const auto width = static_cast<unsigned>(plan.width);
  double total = 0;
  // Offsets (0, 0), (1, 0), ..., (rows - 1, 0), and then, for dj = 1, 2, ..., (0, dj), ..., (rows - 1, dj) and (-1, dj), ...
  for (unsigned offset = static_cast<unsigned>(index % work.groups); offset < work.offsets; offset += work.groups) {
    const unsigned turn = offset < rows ? offset : (offset - rows) % (2 * rows - 1);
    const unsigned dj = offset < rows ? 0 : (offset - rows) / (2 * rows - 1) + 1;
    const unsigned down = turn < rows ? turn : 0, up = turn < rows ? 0 : turn - rows + 1;
    const std::size_t above = std::size_t{up} * width, below = std::size_t{down} * width + dj;
    double sum = 0;
    const int sides = offset == 0 || same ? 1 : 2;
    for (int side = 0; side < sides; ++side)
      sum += offset_sum(plan, work.share, left + (side == 0 ? above : below), right + (side == 0 ? below : above),
                        height - down - up, width - dj, maps);
    total += offset > 0 && same ? sum + sum : sum;
  }
  const double whole = cuda::block_sum(total, shared);
  if (threadIdx.x == 0) parts[index] = whole;
}

}  // namespace

template <Real T, Backend B>
void cntk_theta(Tile<B>& tile, const CntkPlan& plan, View<const double, B> x, View<const double, B> y, RowPairs pairs,
                View<double, B> theta) {
  const std::size_t pair_cols = pairs == RowPairs::equal_rows ? 1 : y.rows;
  const std::size_t count = x.rows * pair_cols;
  if (count == 0) return;
  const typename Tile<B>::Scope scope(tile);
  const std::size_t rows = plan.height_at(plan.depth), cols = plan.width_at(plan.depth);
  Work work{};
  work.pairs = pairs;
  work.cols = y.rows;
  work.offsets = plan.gap ? static_cast<unsigned>(rows + (2 * rows - 1) * (cols - 1)) : 1;
  work.share = 1 / static_cast<double>(plan.filter_size * plan.filter_size);
  // The order of the sums depends on it: a number of the images' size alone.
  work.groups = work.offsets < 32 ? work.offsets : 32;
  work.positions = (plan.height * (plan.width + plan.taps_before(plan.width)) + 1) / 2 * 2;
  const std::size_t blocks = count * work.groups;
  double* const parts = tile.template scratch<double>(1, blocks).data;

  const std::size_t map_bytes = work.positions * Maps<T>::bytes_per_position;
  std::size_t shared_bytes = block_threads / 32 * sizeof(double);
  const bool on_chip = shared_bytes + map_bytes <= cuda::limits(tile.backend().device).shared_bytes;
  work.count = blocks;
  if (on_chip) {
    shared_bytes += map_bytes;
  } else {
    // Scratch for as many blocks as a tile has room for, one launch after another.
    const std::size_t in_flight = tile_budget(tile.backend()).bytes / map_bytes;
    work.count = std::clamp<std::size_t>(in_flight, 1, blocks);
    work.scratch = static_cast<double*>(tile.allocate(work.count * map_bytes));
  }
  for (work.first = 0; work.first < blocks; work.first += work.count) {
    const std::size_t now = blocks - work.first < work.count ? blocks - work.first : work.count;
    cuda::launch(tile.backend(), {now, block_threads, shared_bytes}, theta_kernel<T>, plan, work, x, y, parts);
  }

  const std::size_t groups = work.groups;
  const double positions = static_cast<double>(rows) * static_cast<double>(cols);
  const double share = 1 / (plan.gap ? positions * positions : positions);
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t pair) {
    const std::size_t i = pair / pair_cols, j = pair % pair_cols;
    if (pairs == RowPairs::from_diagonal && i > j) return;
    double sum = 0;
    for (std::size_t group = 0; group < groups; ++group) sum += parts[pair * groups + group];
    theta(i, j) = share * sum;
  });
}

template void cntk_theta<float>(Tile<Cuda>&, const CntkPlan&, View<const double, Cuda>, View<const double, Cuda>, RowPairs,
                                View<double, Cuda>);
template void cntk_theta<double>(Tile<Cuda>&, const CntkPlan&, View<const double, Cuda>, View<const double, Cuda>, RowPairs,
                                 View<double, Cuda>);

}  // namespace fastntk
