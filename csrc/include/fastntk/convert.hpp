// Arrays of other libraries in a device's memory: any numbers in any layout become dense rows of float or double, are
// checked, and ordered between streams.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace fastntk {

/// The types of numbers that such arrays hold. A boolean is one byte.
enum class Number : std::uint8_t {
  boolean,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float16,
  bfloat16,
  float32,
  float64,
};

constexpr std::size_t bytes_of(Number number) {
  switch (number) {
    case Number::boolean:
    case Number::int8:
    case Number::uint8:
      return 1;
    case Number::int16:
    case Number::uint16:
    case Number::float16:
    case Number::bfloat16:
      return 2;
    case Number::int32:
    case Number::uint32:
    case Number::float32:
      return 4;
    default:
      return 8;
  }
}

/// An array of any layout in a device's memory; strides count elements, and may be zero or negative.
struct StridedArray {
  const void* data = nullptr;
  Number number = Number::float32;
  std::vector<std::size_t> shape;
  std::vector<std::ptrdiff_t> strides;
};

/// out = x in row-major order, converted to `to`: float32, float64 or the type of x, and integers also to int32 and int64,
/// whose limits they are clamped to. `out` and x do not overlap. Throws Error on another type, or if x has more than 8
/// dimensions that cannot be merged.
void convert(const Cuda& backend, const StridedArray& x, Number to, void* out);

/// The place of an entry that is NaN or infinite.
struct BadEntry {
  std::size_t row;
  std::size_t col;
  bool nan;
};

enum class Bad { nan_or_infinite, nan };

/// The first bad entry of x in row-major order, if there is one. Waits for the answer.
template <Real T>
std::optional<BadEntry> first_bad(const Cuda& backend, View<const T, Cuda> x, Bad what = Bad::nan_or_infinite);

/// out[i] = x[index[i]], index in the device's memory and below x.rows (which is the caller's to check). Throws Error if the
/// columns differ.
template <Real T>
void take_rows(const Cuda& backend, View<const T, Cuda> x, const std::int64_t* index, View<T, Cuda> out);

/// Whether these are the columns and row starts of a matrix in compressed sparse rows: starts ascend from 0 to `entries`,
/// and columns are in [0, cols). Waits for the answer.
bool csr_is_well_formed(const Cuda& backend, const std::int32_t* columns, std::size_t entries,
                        const std::int64_t* row_starts, std::size_t rows, std::size_t cols);

/// What is queued on `later` from now on runs after what is queued on `earlier` so far.
void run_after(const Cuda& earlier, const Cuda& later);

/// The device whose memory `data` points into. Throws Error if it points to no device's memory.
int device_of(const void* data);

}  // namespace fastntk
