// Arrays of other libraries: conversion, checks, order between streams.
#include <fastntk/convert.hpp>
#include <fastntk/half.hpp>
#include <fastntk/memory.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <limits>
#include <string>
#include <utility>

#include "../src/tile.hpp"
#include "half.cuh"
#include "runtime.cuh"

namespace fastntk {
namespace {

constexpr unsigned threads = 256;
constexpr std::size_t most_dimensions = 8;

std::size_t blocks_for(std::size_t work) { return (work + threads - 1) / threads; }

// --- conversion ---

// One byte: any but 0 is true.
struct Boolean {
  std::uint8_t byte;

  template <Real T>
  constexpr explicit operator T() const {
    return byte != 0 ? T(1) : T(0);
  }
};

// Axes of a strided array, the last first, joined where their steps fit.
struct Axes {
  std::array<std::size_t, most_dimensions> length;
  std::array<std::ptrdiff_t, most_dimensions> stride;
  int count;
};

Axes joined_axes(const StridedArray& x) {
  Axes axes{{}, {}, 0};
  for (std::size_t k = x.shape.size(); k-- > 0;) {
    if (x.shape[k] == 1) continue;
    const auto last = static_cast<std::size_t>(axes.count) - 1;
    if (axes.count > 0 && x.strides[k] == axes.stride[last] * static_cast<std::ptrdiff_t>(axes.length[last])) {
      axes.length[last] *= x.shape[k];
      continue;
    }
    require(static_cast<std::size_t>(axes.count) < most_dimensions, [&] {
      return "an array of " + std::to_string(x.shape.size()) + " dimensions that cannot be merged; at most " +
             std::to_string(most_dimensions) + " are possible";
    });
    axes.length[static_cast<std::size_t>(axes.count)] = x.shape[k];
    axes.stride[static_cast<std::size_t>(axes.count)] = x.strides[k];
    ++axes.count;
  }
  return axes;
}

/// The offset in x of its element number i in row-major order. Divisions of 32 bits take half the time of 64.
template <class Index>
__device__ std::ptrdiff_t offset_of(const Axes& axes, Index i) {
  std::ptrdiff_t offset = 0;
  for (int k = 0; k < static_cast<int>(most_dimensions); ++k) {
    if (k + 1 >= axes.count) {
      if (k < axes.count) offset += static_cast<std::ptrdiff_t>(i) * axes.stride[static_cast<std::size_t>(k)];
      break;
    }
    const auto length = static_cast<Index>(axes.length[static_cast<std::size_t>(k)]);
    const Index rest = i / length;
    offset += static_cast<std::ptrdiff_t>(i - rest * length) * axes.stride[static_cast<std::size_t>(k)];
    i = rest;
  }
  return offset;
}

template <class Out, class In>
__device__ Out converted(In value) {
  if constexpr (std::is_same_v<In, Out>) {
    return value;
  } else if constexpr (SixteenBit<In>) {
    return static_cast<Out>(cuda::widen(value));
  } else if constexpr (std::integral<Out>) {
    using Limits = std::numeric_limits<Out>;
    return std::cmp_less(value, Limits::min())      ? Limits::min()
           : std::cmp_greater(value, Limits::max()) ? Limits::max()
                                                    : static_cast<Out>(value);
  } else {
    return static_cast<Out>(value);
  }
}

template <class In, class Out, class Index>
__global__ void __launch_bounds__(threads) convert_kernel(const In* x, Axes axes, Index count, Out* out) {
  const std::size_t place = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (place >= count) return;
  const auto i = static_cast<Index>(place);
  out[i] = converted<Out>(x[offset_of(axes, i)]);
}

template <class In, class Out>
void convert_to(const Cuda& backend, const StridedArray& x, std::size_t count, Out* out) {
  const Axes axes = joined_axes(x);
  const auto* const data = static_cast<const In*>(x.data);
  const cuda::Grid grid{blocks_for(count), threads};
  if (count <= std::numeric_limits<std::uint32_t>::max()) {
    cuda::launch(backend, grid, convert_kernel<In, Out, std::uint32_t>, data, axes, static_cast<std::uint32_t>(count), out);
  } else {
    cuda::launch(backend, grid, convert_kernel<In, Out, std::uint64_t>, data, axes, std::uint64_t{count}, out);
  }
}

template <class In>
void convert_from(const Cuda& backend, const StridedArray& x, std::size_t count, Number to, void* out) {
  if (to == x.number) {
    convert_to<In, In>(backend, x, count, static_cast<In*>(out));
  } else if (to == Number::float32) {
    convert_to<In, float>(backend, x, count, static_cast<float*>(out));
  } else if (to == Number::float64) {
    convert_to<In, double>(backend, x, count, static_cast<double*>(out));
  } else {
    if constexpr (std::integral<In>) {
      if (to == Number::int32) return convert_to<In, std::int32_t>(backend, x, count, static_cast<std::int32_t*>(out));
      if (to == Number::int64) return convert_to<In, std::int64_t>(backend, x, count, static_cast<std::int64_t*>(out));
    }
    throw Error("an array can be converted to float32 and float64 only, and integers to int32 and int64");
  }
}

// --- checks ---

constexpr unsigned long long nowhere = std::numeric_limits<unsigned long long>::max();

// By the bits, which no compiler option can argue away: those of infinity and above.
__device__ bool is_bad(float x, bool nan_only) {
  return (__float_as_uint(x) & 0x7fffffffu) > (nan_only ? 0x7f800000u : 0x7f7fffffu);
}
__device__ bool is_bad(double x, bool nan_only) {
  return (__double_as_longlong(x) & 0x7fffffffffffffff) > (nan_only ? 0x7ff0000000000000 : 0x7fefffffffffffff);
}

/// Sixteen bytes of an aligned row at a time; four of them are on their way before the first is looked at.
template <class T>
struct alignas(16) Pack {
  static constexpr unsigned size = 16 / sizeof(T);
  T value[size];
};

/// *first = the least row-major index of a bad entry among those of a dense vector, `nowhere` if there is none.
template <class T>
__global__ void __launch_bounds__(threads)
    scan_packs_kernel(const T* x, std::size_t count, bool nan_only, unsigned long long* first) {
  constexpr unsigned unrolled = 4;
  using P = Pack<T>;
  const std::size_t packs = count / P::size;
  const std::size_t begin = std::size_t{blockIdx.x} * blockDim.x * unrolled + threadIdx.x;
  P loaded[unrolled];
  for (unsigned u = 0; u < unrolled; ++u) {
    const std::size_t pack = begin + u * threads;
    if (pack < packs) {
      loaded[u] = reinterpret_cast<const P*>(x)[pack];
    } else {
      for (unsigned e = 0; e < P::size; ++e)
        loaded[u].value[e] = pack == packs && e < count % P::size ? x[pack * P::size + e] : T(0);
    }
  }
  unsigned long long bad = nowhere;
  for (unsigned u = unrolled; u-- > 0;) {
    for (unsigned e = P::size; e-- > 0;) {
      if (is_bad(loaded[u].value[e], nan_only)) bad = (begin + u * threads) * P::size + e;
    }
  }
  // Bad entries are rare, and after the first the rest of the answer does not matter for speed.
  if (bad != nowhere) atomicMin(first, bad);
}

/// The same for rows at a distance, one entry per thread.
template <class T>
__global__ void __launch_bounds__(threads)
    scan_rows_kernel(View<const T, Cuda> x, bool nan_only, unsigned long long* first) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= x.rows * x.cols) return;
  const std::size_t row = i / x.cols;
  if (is_bad(x(row, i - row * x.cols), nan_only)) atomicMin(first, static_cast<unsigned long long>(i));
}

__global__ void __launch_bounds__(threads)
    check_csr_kernel(const std::int32_t* columns, std::size_t entries, const std::int64_t* row_starts, std::size_t rows,
                     std::int64_t cols, unsigned* broken) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  bool fine = true;
  if (i < entries) fine = columns[i] >= 0 && columns[i] < cols;
  if (i < rows) fine = fine && row_starts[i] <= row_starts[i + 1];
  if (i == 0) fine = fine && row_starts[0] == 0 && row_starts[rows] == static_cast<std::int64_t>(entries);
  if (!fine) *broken = 1;
}

template <class T>
__global__ void __launch_bounds__(threads)
    take_rows_kernel(View<const T, Cuda> x, const std::int64_t* index, View<T, Cuda> out) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= out.rows * out.cols) return;
  const std::size_t row = i / out.cols, col = i - row * out.cols;
  out(row, col) = x(static_cast<std::size_t>(index[row]), col);
}

}  // namespace

void convert(const Cuda& backend, const StridedArray& x, Number to, void* out) {
  std::size_t count = 1;
  for (const std::size_t n : x.shape) count *= n;
  if (count == 0) return;
  switch (x.number) {
    case Number::boolean:
      return convert_from<Boolean>(backend, x, count, to, out);
    case Number::int8:
      return convert_from<std::int8_t>(backend, x, count, to, out);
    case Number::int16:
      return convert_from<std::int16_t>(backend, x, count, to, out);
    case Number::int32:
      return convert_from<std::int32_t>(backend, x, count, to, out);
    case Number::int64:
      return convert_from<std::int64_t>(backend, x, count, to, out);
    case Number::uint8:
      return convert_from<std::uint8_t>(backend, x, count, to, out);
    case Number::uint16:
      return convert_from<std::uint16_t>(backend, x, count, to, out);
    case Number::uint32:
      return convert_from<std::uint32_t>(backend, x, count, to, out);
    case Number::uint64:
      return convert_from<std::uint64_t>(backend, x, count, to, out);
    case Number::float16:
      return convert_from<Half>(backend, x, count, to, out);
    case Number::bfloat16:
      return convert_from<BFloat16>(backend, x, count, to, out);
    case Number::float32:
      return convert_from<float>(backend, x, count, to, out);
    case Number::float64:
      return convert_from<double>(backend, x, count, to, out);
  }
}

template <Real T>
std::optional<BadEntry> first_bad(const Cuda& backend, View<const T, Cuda> x, Bad what) {
  const bool nan_only = what == Bad::nan;
  const std::size_t count = x.rows * x.cols;
  if (count == 0) return std::nullopt;
  Tile<Cuda> tile(backend);
  auto* const found = static_cast<unsigned long long*>(tile.allocate(sizeof(unsigned long long)));
  const cuda::DeviceGuard current(backend.device);
  cuda::check(cudaMemsetAsync(found, 0xff, sizeof(*found), backend.stream), "clearing device memory");
  const bool dense = x.rows == 1 || x.stride == x.cols;
  if (dense && reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0) {
    const std::size_t packs = (count + Pack<T>::size - 1) / Pack<T>::size;
    cuda::launch(backend, {blocks_for((packs + 3) / 4), threads}, scan_packs_kernel<T>, x.data, count, nan_only, found);
  } else {
    cuda::launch(backend, {blocks_for(count), threads}, scan_rows_kernel<T>, x, nan_only, found);
  }
  unsigned long long first = nowhere;
  copy_out(backend, found, sizeof(first), &first);
  if (first == nowhere) return std::nullopt;
  const std::size_t row = first / x.cols, col = first % x.cols;
  T value{};
  copy_out(backend, x.row(row) + col, sizeof(value), &value);
  return BadEntry{row, col, value != value};
}

template <Real T>
void take_rows(const Cuda& backend, View<const T, Cuda> x, const std::int64_t* index, View<T, Cuda> out) {
  require(x.cols == out.cols, [&] {
    return "take_rows: out has " + std::to_string(out.cols) + " columns; as many as x, " + std::to_string(x.cols) +
           ", are needed";
  });
  cuda::launch(backend, {blocks_for(out.rows * out.cols), threads}, take_rows_kernel<T>, x, index, out);
}

bool csr_is_well_formed(const Cuda& backend, const std::int32_t* columns, std::size_t entries,
                        const std::int64_t* row_starts, std::size_t rows, std::size_t cols) {
  Tile<Cuda> tile(backend);
  auto* const found = static_cast<unsigned*>(tile.allocate(sizeof(unsigned)));
  const cuda::DeviceGuard current(backend.device);
  cuda::check(cudaMemsetAsync(found, 0, sizeof(*found), backend.stream), "clearing device memory");
  const std::size_t work = std::max({entries, rows, std::size_t{1}});
  cuda::launch(backend, {blocks_for(work), threads}, check_csr_kernel, columns, entries, row_starts, rows,
               static_cast<std::int64_t>(cols), found);
  unsigned broken = 0;
  copy_out(backend, found, sizeof(broken), &broken);
  return broken == 0;
}

void run_after(const Cuda& earlier, const Cuda& later) {
  cudaEvent_t event = nullptr;
  {
    const cuda::DeviceGuard current(earlier.device);
    cuda::check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
    const cudaError_t error = cudaEventRecord(event, earlier.stream);
    if (error != cudaSuccess) cudaEventDestroy(event);
    cuda::check(error, "marking a stream");
  }
  const cuda::DeviceGuard current(later.device);
  const cudaError_t error = cudaStreamWaitEvent(later.stream, event, 0);
  cudaEventDestroy(event);  // what waits for it still does
  cuda::check(error, "ordering two streams");
}

int device_of(const void* data) {
  cudaPointerAttributes attributes{};
  cuda::check(cudaPointerGetAttributes(&attributes, data), "asking where memory is");
  require(attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged,
          "the data pointer is not in the memory of a GPU");
  return attributes.device;
}

#define FASTNTK_INSTANTIATE(T)                                                       \
  template std::optional<BadEntry> first_bad(const Cuda&, View<const T, Cuda>, Bad); \
  template void take_rows(const Cuda&, View<const T, Cuda>, const std::int64_t*, View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
