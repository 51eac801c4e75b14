// The CPU kernels: one table of functions per element type and instruction set, chosen once at start (dispatch.hpp).
//
// Kernels see raw pointers and process several rows a call, so that the indirect call costs nothing. They are compiled once
// per instruction set from the same text (kernels/*.hpp), and nothing but the table leaves those files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastntk::cpu {

template <class T>
struct Kernels {
  /// out[r] = scale * H * (signs o pad(in[r])) for rows r, H of size n = 2^log2_n, pad from d <= n entries with zeros.
  /// `signs` holds one bit per element (1: minus), or is null. `in` may be `out` where the strides agree.
  void (*hadamard)(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* signs, T scale,
                   T* out, std::size_t out_stride, int log2_n);

  /// Three times sign and transform, out[r][j] = radius[j] * (H S3 H S2 H S1 pad(in[r]))[j] for j < cols <= n.
  /// `signs` holds the bits of S1, S2 and S3, `sign_words` words each.
  void (*structured)(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* signs,
                     std::size_t sign_words, const T* radius, T* out, std::size_t out_stride, std::size_t cols, int log2_n);

  /// out[r][j] = scale * in[r][index[j]], j < m.
  void (*gather)(std::size_t rows, const T* in, std::size_t in_stride, const std::uint32_t* index, T scale, T* out,
                 std::size_t out_stride, std::size_t m);

  /// out[r][j] = scale * a[r][index_a[j]] * b[r][index_b[j]], j < m.
  void (*gather_product)(std::size_t rows, const T* a, std::size_t a_stride, const std::uint32_t* index_a, const T* b,
                         std::size_t b_stride, const std::uint32_t* index_b, T scale, T* out, std::size_t out_stride,
                         std::size_t m);

  /// CountSketch of dense rows: see BucketTable in src/primitives.hpp. `sums` is scratch of m elements.
  void (*count_sketch_dense)(std::size_t rows, const T* in, std::size_t in_stride, std::size_t rounds,
                             const std::size_t* round_sizes, const std::uint32_t* columns, const T* weights,
                             const std::uint32_t* rank, T* sums, T* out, std::size_t out_stride, std::size_t m);

  /// CountSketch of sparse rows, column j having the entries (bucket, weight)[j * s .. j * s + s).
  void (*count_sketch_sparse)(std::size_t rows, const T* values, const std::int32_t* columns, const std::int64_t* row_starts,
                              const std::uint32_t* bucket, const T* weight, std::size_t s, T* out, std::size_t out_stride,
                              std::size_t m);
};

/// The chosen table.
template <class T>
const Kernels<T>& kernels();

}  // namespace fastntk::cpu
