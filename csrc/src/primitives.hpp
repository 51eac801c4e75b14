// The backend contract, part 2: the primitives, which each backend implements once.
//
// All work on the rows of one tile, and queue their work in the tile's order (on its thread, or on its stream).
#pragma once

#include <fastntk/count_sketch.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "activation.hpp"
#include "draws.hpp"
#include "dual_activation.hpp"
#include "relu_kernels.hpp"
#include "tile.hpp"

namespace fastntk {

/// out = scale * H * (signs o pad(in)), row by row: in has d <= n columns, out has n = 2^k. `signs` may be null.
/// `in` and `out` may be the same view.
template <Real T, Backend B>
void hadamard(Tile<B>& tile, View<const T, B> in, const std::uint32_t* signs, T scale, View<T, B> out);

/// out[r][j] = scale * hadamard(in)[r][index[j]], the transform of length n as above: SRHT. `out` and `in` do not overlap.
template <Real T, Backend B>
void hadamard_gather(Tile<B>& tile, View<const T, B> in, const std::uint32_t* signs, std::size_t n,
                     const std::uint32_t* index, T scale, View<T, B> out);

/// out[r][j] = scale * other[r][index_other[j]] * hadamard(in)[r][index[j]]: the product of a TensorSRHT one of whose
/// factors has been transformed before. `other` may have stride 0, one row for all; `out` may overlap `in`, but not `other`.
template <Real T, Backend B>
void hadamard_gather_product(Tile<B>& tile, View<const T, B> other, const std::uint32_t* index_other, View<const T, B> in,
                             const std::uint32_t* signs, std::size_t n, const std::uint32_t* index, T scale, View<T, B> out);

/// One factor of a TensorSRHT: rows, the signs and the length of their transform, and its sample.
template <Real T, Backend B>
struct TensorFactor {
  View<const T, B> rows;
  const std::uint32_t* signs;
  std::size_t length;
  const std::uint32_t* sample;
};

/// out[r][j] = scale * hadamard(a)[r][a.sample[j]] * hadamard(b)[r][b.sample[j]]. `out` may overlap the rows.
template <Real T, Backend B>
void tensor_srht(Tile<B>& tile, const TensorFactor<T, B>& a, const TensorFactor<T, B>& b, T scale, View<T, B> out);

/// Whether hadamard_gather() of transforms of length n, or tensor_srht() of these two lengths, takes no scratch memory.
template <Real T, Backend B>
bool samples_on_chip(const B& backend, std::size_t n);
template <Real T, Backend B>
bool samples_on_chip(const B& backend, std::size_t n_a, std::size_t n_b);

/// out[r][j] = scale * in[r][index[j]].
template <Real T, Backend B>
void gather(Tile<B>& tile, View<const T, B> in, const std::uint32_t* index, T scale, View<T, B> out);

/// out[r][j] = scale * a[r][index_a[j]] * b[r][index_b[j]].
template <Real T, Backend B>
void gather_product(Tile<B>& tile, View<const T, B> a, const std::uint32_t* index_a, View<const T, B> b,
                    const std::uint32_t* index_b, T scale, View<T, B> out);

/// out = scale * a o b, or, `add`, out += scale * a o b; without b (no data) all its entries are 1. `out` does not overlap
/// the factors.
template <Real T, Backend B>
void multiply(Tile<B>& tile, View<const T, B> a, View<const T, B> b, T scale, bool add, View<T, B> out);

/// out = in; an input of stride 0 is one row for all.
template <Real T, Backend B>
void copy(Tile<B>& tile, View<const T, B> in, View<T, B> out);

/// The matrix of a CountSketch, stored the way count_sketch() reads it fastest.
template <Real T, Backend B>
struct SketchMatrix {
  SketchMatrix() = default;
  /// m rows; column j has the entries (rows, weights)[j * nnz .. j * nnz + nnz), all weights of the same size.
  SketchMatrix(const B& backend, std::size_t m, std::size_t nnz, Buffer<std::uint32_t, B> rows, Buffer<T, B> weights);

  std::size_t s = 0;                // entries of a column
  Buffer<std::uint32_t, B> bucket;  // of entry b of column j, at j * s + b
  Buffer<T, B> weight;              // likewise
  // On a device also the entries of each bucket b among the columns [c * chunk, (c + 1) * chunk), in their order: `columns`,
  // counted from c * chunk and with the sign in the highest bit, from starts[c * m + b] on.
  std::size_t chunk = 0;
  Buffer<std::uint32_t, B> starts, columns;
  T scale = 0;
};

/// out = CountSketch of dense rows: the entries are added to their buckets one by one, in the order of their columns.
template <Real T, Backend B>
void count_sketch(Tile<B>& tile, View<const T, B> in, const SketchMatrix<T, B>& matrix, View<T, B> out);

/// The same of sparse rows, in the order of a row's entries.
template <Real T, Backend B>
void count_sketch(Tile<B>& tile, CsrView<T, B> in, const SketchMatrix<T, B>& matrix, View<T, B> out);

/// Rows and columns of a tile of a kernel matrix: on the CPU whole vectors of row_products(), and small enough for a
/// second-level cache; on a device enough to fill the chip.
template <Backend B>
std::size_t kernel_tile_edge(const B& backend);

/// Whether a tile of a kernel matrix is best computed where it is to stand, instead of in scratch memory: a device's cache
/// takes it either way.
template <Backend B>
constexpr bool kernel_tiles_in_place = std::same_as<B, Cuda>;

/// Rows of one side of an inner product, stored for row_products() in scratch memory of the tile.
template <Real T, Backend B>
struct PackedRows {
  PackedRows(Tile<B>& tile, View<const T, B> v);
  std::size_t rows, cols;
  T* data;
};

/// out[i][j] = <u_i, v_j>, summed in short sums, so that the float32 error is 1e-7 |u_i||v_j| (rms) up to d = 10^5 and
/// beyond. A product depends on its two rows only, not on their place, their company or which of them is u.
template <Real T, Backend B>
void row_products(Tile<B>& tile, View<const T, B> u, const PackedRows<T, B>& v, View<T, B> out);

/// out[j][i] = in[i][j], for all entries or, `above_diagonal`, only those with i < j (then `out` may be `in`).
template <Real T, Backend B>
void transpose(Tile<B>& tile, View<const T, B> in, View<T, B> out, bool above_diagonal);

/// out[i] = (in[i], bias)/norm[i], padded with zeros to out's columns; no bias column where bias is 0. A zero row stays
/// zero, with norm 0.
template <Real T, Backend B>
void unit_rows(Tile<B>& tile, View<const T, B> in, T bias, View<T, B> out, T* norm);

/// gap[i][j] = 1 - |a| with the sign of a = cosine[i][j] = <u_i, v_j>, u and v unit rows padded to whole 64 bytes. Where
/// that is below near.positive (a > 0) or near.negative, it is |u_i - v_j|^2/2 or |u_i + v_j|^2/2, which has not lost the
/// angle to rounding. `gap` may be `cosine`. Without rows (`u` and `v` empty, near 0) all gaps come from the cosines.
template <Real T, Backend B>
void signed_gaps(Tile<B>& tile, View<const T, B> cosine, View<const T, B> u, View<const T, B> v, const NearPairs& near,
                 View<T, B> gap);

/// out[i][j] = row_norm[i] * col_norm[j] * kernel(gap[i][j]), and kappa_0 without the norms, but 0 for zero rows. Null norms
/// count as 1. `out` may be `gap`.
template <Real T, Backend B>
void relu_kernel(Tile<B>& tile, ReluKernel kind, std::size_t depth, View<const T, B> gap, const T* row_norm,
                 const T* col_norm, View<T, B> out);

/// A matrix stored the way project() reads it fastest.
template <Real T, Backend B>
class ProjectionMatrix {
 public:
  /// project() takes columns from a multiple of this on, and this many at a time at best: on the CPU what leaves the row's
  /// part of the output in cache, on a device all.
  static constexpr std::size_t column_step = std::same_as<B, Cpu> ? 192 / sizeof(T) : 1;
  static constexpr std::size_t panel = std::same_as<B, Cpu> ? 8 * column_step : std::size_t{1} << 31;

  ProjectionMatrix() = default;
  /// `cols` independent columns of d standard normals, or, `on_sphere`, each of them scaled to length sqrt(d). The normals
  /// of column j have the indices j * d', j * d' + 1, ... (d' = d rounded up to even), so that columns do not depend on how
  /// many there are.
  ProjectionMatrix(const B& backend, std::uint64_t seed, std::size_t d, std::size_t cols, bool on_sphere);
  /// The columns are the rows of `columns` (cols, d).
  ProjectionMatrix(const B& backend, View<const T, B> columns);
  const T* data() const { return entries_.data(); }
  std::size_t rows() const { return d_; }
  std::size_t cols() const { return cols_; }

 private:
  std::size_t d_ = 0;
  std::size_t cols_ = 0;
  Buffer<T, B> entries_;  // on the CPU in panels of column_step columns, row by row; on a device row by row
};

/// out = f(x W) for the out.cols columns of W from `first` on. A row's result does not depend on its place or company.
template <Real T, Backend B>
void project(Tile<B>& tile, View<const T, B> x, const ProjectionMatrix<T, B>& w, std::size_t first, const Activation<T>& f,
             View<T, B> out);

/// A block of n structured directions (directions.hpp): out[r][j] = f(length[j] * (three times rotation and transform of
/// in[r])[j]), in (rows, d <= n), out (rows, cols <= n). `rotation` has 3n elements: per stage n/2 cosines and n/2 sines,
/// times sqrt(2).
template <Real T, Backend B>
void rotated_hadamard(Tile<B>& tile, View<const T, B> in, const T* rotation, const T* length, std::size_t n,
                      const Activation<T>& f, View<T, B> out);

/// The table of a dual activation in the memory of B.
template <Real T, Backend B>
struct DualTable {
  DualTable() = default;
  DualTable(const B& backend, const DualActivation& g) : even(g.cubic[0] == g.cubic[1]) {
    std::vector<T> flat;
    for (const auto& side : g.cubic)
      for (const auto& power : side)
        for (const double coefficient : power) flat.push_back(static_cast<T>(coefficient));
    cubic = Buffer<T, B>(backend, flat);
  }
  Buffer<T, B> cubic;  // [side][power][segment]
  bool even = false;   // whether both sides are equal
};

/// z <- g(z), and square[r] += the sum of the squares of row r.
template <Real T, Backend B>
void dual_features(Tile<B>& tile, const DualTable<T, B>& g, View<T, B> z, T* square);

/// The constants of DualFeatures (dual_features.hpp) with structured directions: m of them in blocks of n, rotations and
/// lengths as rotated_hadamard() takes them block by block, and the factors of the columns.
template <Real T, Backend B>
struct DualRows {
  std::size_t n, m;
  const T* rotation;
  const T* length;
  const DualTable<T, B>* g;
  std::size_t exact_columns;
  bool exact_diagonal;
  T constant, linear, remainder;
};

/// DualFeatures::apply() in one pass over memory, for the sizes that a backend has it for; the reference is
/// DualFeatures::apply_in_steps(). unit (rows, d <= n) with the rows' norms -> out (rows, exact_columns + m).
template <Real T, Backend B>
bool has_dual_rows(const B& backend, std::size_t n, std::size_t m);
template <Real T, Backend B>
void dual_rows(Tile<B>& tile, const DualRows<T, B>& features, View<const T, B> unit, const T* norm, View<T, B> out);

/// out[r] = factor[r] * in[r]; `in` may be `out`.
template <Real T, Backend B>
void scale_rows(Tile<B>& tile, const T* factor, View<const T, B> in, View<T, B> out);

/// square[r] = the sum of the squares of row r.
template <Real T, Backend B>
void row_squares(Tile<B>& tile, View<const T, B> in, T* square);

}  // namespace fastntk
