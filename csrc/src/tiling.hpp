// Small helpers that every operator shares: tile sizes and shape checks.
#pragma once

#include <fastntk/error.hpp>
#include <fastntk/view.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>

#include "primitives.hpp"
#include "tile.hpp"

namespace fastntk {

/// Rows per tile, for a tile of `cols` columns of scratch and output.
template <Real T, Backend B>
std::size_t rows_per_tile(const B& backend, std::size_t cols) {
  const TileBudget budget = tile_budget(backend);
  return std::clamp<std::size_t>(budget.bytes / (sizeof(T) * std::max<std::size_t>(cols, 1)), 1, budget.most_rows);
}

/// Rows per tile of transforms of `length`, which need no scratch memory.
template <Real T, Backend B>
std::size_t rows_per_transform_tile(const B& backend, std::size_t length) {
  const TileBudget budget = tile_budget(backend);
  if (length * sizeof(T) <= budget.on_chip_bytes) return budget.most_rows;
  return rows_per_tile<T>(backend, length);
}

/// Rows per tile of samples of rows' transforms: one of `length` or, in a product, one of each length. Where a block holds
/// them, their number is free; else they stand in scratch memory.
template <Real T, Backend B, std::same_as<std::size_t>... Length>
std::size_t rows_per_sample_tile(const B& backend, Length... length) {
  if (samples_on_chip<T>(backend, length...)) return tile_budget(backend).most_rows;
  return rows_per_tile<T>(backend, (... + scratch_stride<T>(length)));
}

template <class T, Backend B>
void require_shape(View<T, B> view, std::size_t rows, std::size_t cols, const char* name) {
  require(view.rows == rows && view.cols == cols, [&] {
    return std::string(name) + " has shape (" + std::to_string(view.rows) + ", " + std::to_string(view.cols) + "); (" +
           std::to_string(rows) + ", " + std::to_string(cols) + ") is needed";
  });
}

/// Of sparse rows.
inline void require_columns(std::size_t found, std::size_t needed, const char* name) {
  require(found == needed, [&] {
    return std::string(name) + " has " + std::to_string(found) + " columns; " + std::to_string(needed) + " are needed";
  });
}

/// Whether y is x, so that a matrix between their rows is symmetric.
template <class T, Backend B>
bool same_rows(View<T, B> x, View<T, B> y) {
  return x.data == y.data && x.rows == y.rows && x.stride == y.stride;
}

template <Backend B>
bool same_memory(const B& a, const B& b) {
  if constexpr (std::same_as<B, Cuda>) {
    return a.device == b.device;
  } else {
    return true;
  }
}

/// Constants in the memory of `a` serve `b` too.
template <Backend B>
void require_same_memory(const B& a, const B& b, const char* name) {
  if constexpr (std::same_as<B, Cuda>) {
    require(same_memory(a, b), [&] {
      return std::string(name) + ": the backend's device is " + std::to_string(b.device) + "; the constants are on device " +
             std::to_string(a.device);
    });
  }
}

/// A parameter that a computation in T uses as a T, where a larger double would be inf.
template <Real T>
void require_finite(double value, const std::string& name) {
  constexpr double largest = std::numeric_limits<T>::max();
  require(std::abs(value) <= largest, [&] {
    std::ostringstream message;  // std::to_string() would write all digits of a large number
    message << name << " is " << value << "; a finite number is needed";
    if (std::isfinite(value)) message << ", in " << (sizeof(T) == 4 ? "float32" : "float64") << " of at most " << largest;
    return message.str();
  });
}

inline void require_positive(std::size_t value, const char* name) {
  require(value > 0, [&] { return std::string(name) + " is 0; at least 1 is needed"; });
}

inline void require_at_most(std::size_t value, std::size_t largest, const char* name) {
  require_positive(value, name);
  require(value <= largest, [&] {
    return std::string(name) + " is " + std::to_string(value) + "; at most " + std::to_string(largest) + " is possible";
  });
}

/// Sizes are positive and, because positions are stored in 32 bits and gathered as signed ones, at most 2^31 - 1.
inline void require_size(std::size_t value, const char* name) {
  require_at_most(value, std::numeric_limits<std::int32_t>::max(), name);
}

/// Layers are computed one after the other: a depth beyond this is a mistake, and would never end.
inline void require_depth(std::size_t value, const char* name) { require_at_most(value, 65536, name); }

/// The length of a transform that holds `d` entries.
inline std::size_t padded(std::size_t d) { return std::bit_ceil(d); }

}  // namespace fastntk
