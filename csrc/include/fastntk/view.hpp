// Backends, and views of matrices whose memory space is part of the type.
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>

struct CUstream_st;  // the driver's: cudaStream_t points to it

namespace fastntk {

/// Runs on the host. `threads = 0` means all processors this process may use (affinity and OMP_NUM_THREADS are obeyed).
struct Cpu {
  int threads = 0;
};

/// Runs on an NVIDIA GPU, on a stream that the caller owns: `stream` is a cudaStream_t of `device` (null: its default
/// stream). Calls queue their work there and return; constructors and what returns numbers to the host wait for it. Works
/// where the library was built with CUDA; elsewhere nothing links that uses it.
struct Cuda {
  int device = 0;
  CUstream_st* stream = nullptr;
  /// Bytes of workspace that a call may take: with less, more but smaller batches of rows give the same bits. 0 means an
  /// eighth of the device's memory.
  std::size_t max_memory = 0;
};

template <class B>
concept Backend = std::same_as<B, Cpu> || std::same_as<B, Cuda>;

template <class T>
concept Real = std::same_as<std::remove_const_t<T>, float> || std::same_as<std::remove_const_t<T>, double>;

/// A row-major matrix that somebody else owns, in the memory of backend `B`: element (i, j) is `data[i * stride + j]`.
/// A view of another memory space does not convert, and a pointer becomes a device view only where its type is named, so a
/// host matrix cannot reach a device operator. Which of several devices holds the data is not part of the type and is not
/// checked: arrays must be on the operator's device.
template <class T, Backend B = Cpu>
struct View {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  constexpr View() = default;
  constexpr explicit(!std::same_as<B, Cpu>) View(T* elements, std::size_t n_rows, std::size_t n_cols)
      : View(elements, n_rows, n_cols, n_cols) {}
  constexpr explicit(!std::same_as<B, Cpu>) View(T* elements, std::size_t n_rows, std::size_t n_cols, std::size_t row_stride)
      : data(elements), rows(n_rows), cols(n_cols), stride(row_stride) {}

  template <class U>
    requires std::same_as<const U, T>
  constexpr View(View<U, B> other) : View(other.data, other.rows, other.cols, other.stride) {}

  constexpr T* row(std::size_t i) const { return data + i * stride; }
  constexpr T& operator()(std::size_t i, std::size_t j) const { return data[i * stride + j]; }
  constexpr View block(std::size_t first_row, std::size_t n_rows, std::size_t first_col, std::size_t n_cols) const {
    return View(data + first_row * stride + first_col, n_rows, n_cols, stride);
  }
  constexpr View row_block(std::size_t first, std::size_t count) const { return block(first, count, 0, cols); }
  constexpr View col_block(std::size_t first, std::size_t count) const { return block(0, rows, first, count); }
};

}  // namespace fastntk
