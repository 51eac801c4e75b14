// The CPU kernels: one table of functions per element type and instruction set, chosen once at start (dispatch.hpp).
//
// Kernels see raw pointers and process several rows a call, so that the indirect call costs nothing. They are compiled once
// per instruction set from the same text (kernels/*.hpp), and nothing but the table leaves those files.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../src/cntk_plan.hpp"
#include "../src/pixel_features.hpp"
#include "../src/relu_kernels.hpp"

namespace fastntk::cpu {

/// Bytes of a panel's row in project(): the same on every instruction set, since the panels are packed before one is chosen.
constexpr std::size_t projection_panel_bytes = 192;

/// Elements of scratch for structured directions from transforms of length n: two long rows, or twice a few short ones.
constexpr std::size_t rotated_work(std::size_t n) { return 2 * (n < 4096 ? 4096 : n); }

/// Elements of scratch for a CountSketch of dense rows into m buckets: a vector for each, if that leaves the second-level
/// cache room for the rest.
template <class T>
constexpr std::size_t count_sketch_work(std::size_t m) {
  return m <= 8192 ? 64 / sizeof(T) * m : 0;
}

template <class T>
struct Kernels {
  /// out[r] = scale * H * (signs o pad(in[r])) for rows r, H of size n = 2^log2_n, pad from d <= n entries with zeros.
  /// `signs` holds one bit per element (1: minus), or is null. `in` may be `out` where the strides agree.
  void (*hadamard)(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* signs, T scale,
                   T* out, std::size_t out_stride, int log2_n);

  /// out[r][j] = scale * in[r][index[j]], j < m.
  void (*gather)(std::size_t rows, const T* in, std::size_t in_stride, const std::uint32_t* index, T scale, T* out,
                 std::size_t out_stride, std::size_t m);

  /// out[r][j] = scale * a[r][index_a[j]] * b[r][index_b[j]], j < m.
  void (*gather_product)(std::size_t rows, const T* a, std::size_t a_stride, const std::uint32_t* index_a, const T* b,
                         std::size_t b_stride, const std::uint32_t* index_b, T scale, T* out, std::size_t out_stride,
                         std::size_t m);

  /// CountSketch of dense rows, column j having the entries (bucket, weight)[j * s .. j * s + s). `sums` is scratch of
  /// count_sketch_work<T>(m), aligned to 64 bytes.
  void (*count_sketch_dense)(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d,
                             const std::uint32_t* bucket, const T* weight, std::size_t s, T* sums, T* out,
                             std::size_t out_stride, std::size_t m);

  /// CountSketch of sparse rows, column j having the entries (bucket, weight)[j * s .. j * s + s).
  void (*count_sketch_sparse)(std::size_t rows, const T* values, const std::int32_t* columns, const std::int64_t* row_starts,
                              const std::uint32_t* bucket, const T* weight, std::size_t s, T* out, std::size_t out_stride,
                              std::size_t m);

  /// out[r] = in[r] with the entry `bias` appended (unless it is 0), over its norm, then zeros up to `cols`; zero rows stay.
  void (*unit_rows)(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, T bias, T* out,
                    std::size_t out_stride, std::size_t cols, T* norm);

  /// Signed gaps of the cosines of unit rows u and v: see src/primitives.hpp. `d` is a multiple of 64 bytes.
  void (*signed_gaps)(std::size_t rows, std::size_t cols, const T* cosine, std::size_t cosine_stride, const T* u,
                      std::size_t u_stride, const T* v, std::size_t v_stride, std::size_t d, T near_positive,
                      T near_negative, T* out, std::size_t out_stride);

  /// The kernel of signed gaps, with the norms where these are not null: see src/primitives.hpp.
  void (*relu_kernel)(ReluKernel kind, std::size_t depth, std::size_t rows, std::size_t cols, const T* gap,
                      std::size_t gap_stride, const T* row_norm, const T* col_norm, T* out, std::size_t out_stride);

  /// out[j][i] = in[i][j], for all entries or only those with i < j.
  void (*transpose)(std::size_t rows, std::size_t cols, const T* in, std::size_t in_stride, T* out, std::size_t out_stride,
                    bool above_diagonal);

  /// out += in.
  void (*add)(std::size_t rows, std::size_t cols, const T* in, std::size_t in_stride, T* out, std::size_t out_stride);

  /// A block of structured directions: see src/primitives.hpp. `work` is scratch of rotated_work(n).
  void (*rotated_hadamard)(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const T* rotation,
                           const T* length, T* out, std::size_t out_stride, std::size_t cols, int log2_n, T* work);

  /// z <- g(z), square[r] += its squares; cubic[side][power][segment] as in DualActivation.
  void (*dual_features)(std::size_t rows, std::size_t cols, const T* cubic, int first_octave, bool even, T* z,
                        std::size_t stride, T* square);

  /// z <- scale * max(z, 0), and z <- scale * 1(z > 0).
  void (*relu)(std::size_t rows, std::size_t cols, T scale, T* z, std::size_t stride);
  void (*step)(std::size_t rows, std::size_t cols, T scale, T* z, std::size_t stride);

  /// out[r] = factor[r] * in[r].
  void (*scale_rows)(std::size_t rows, std::size_t cols, const T* factor, const T* in, std::size_t in_stride, T* out,
                     std::size_t out_stride);

  /// out[r] (+)= scale * a[r] o b[r], or scale * a[r] where b is null.
  void (*multiply)(std::size_t rows, std::size_t cols, const T* a, std::size_t a_stride, const T* b, std::size_t b_stride,
                   T scale, bool add, T* out, std::size_t out_stride);

  /// square[r] = the sum of the squares of in[r].
  void (*row_squares)(std::size_t rows, std::size_t cols, const T* in, std::size_t in_stride, T* square);

  /// out[j] = scale * the sum over t < length of a[a_start[j] + t] * b[b_start[j] + t], j < count.
  void (*dots)(std::size_t count, const T* a, const std::size_t* a_start, const T* b, const std::size_t* b_start,
               std::size_t length, T scale, T* out);

  /// out[r] = x[r] W for W (d, cols) in panels of projection_panel_bytes: panel p holds, row after row, the columns
  /// p * width .. (p + 1) * width, width = projection_panel_bytes / sizeof(T), with zeros beyond the last.
  void (*project)(std::size_t rows, const T* x, std::size_t x_stride, std::size_t d, const T* panels, T* out,
                  std::size_t out_stride, std::size_t cols);

  /// Features of pixels: see src/pixel_primitives.hpp. `taps` are a row's `area` inputs, null outside of the image.
  void (*fold_patches)(std::size_t rows, const T* const* taps, std::size_t area, std::size_t m, const std::uint32_t* shift,
                       const T* weight, T* out, std::size_t out_stride);
  void (*pixel_features)(const PixelFeatures<T>& features, std::size_t rows, std::size_t m, T* z, std::size_t z_stride,
                         const T* mean, const T* norm, T scale_1, T scale_0, T* phi, std::size_t phi_stride, T* gate,
                         std::size_t gate_stride);
  void (*add_combinations)(std::size_t rows, std::size_t terms, const T* coefficient, std::size_t coefficient_stride,
                           const T* vector, T* io, std::size_t stride, std::size_t m);
  void (*mix_features)(std::size_t rows, std::size_t m, const T* psi, std::size_t psi_stride, const T* phi,
                       std::size_t phi_stride, const T* gate, std::size_t gate_stride, T scale, const T* sign_phi,
                       const T* sign_product, T* out, std::size_t out_stride);
  /// Of one image.
  void (*pool_columns)(const PoolColumns<T>& columns, std::size_t first_pixel, std::size_t pixels, std::size_t m,
                       const T* psi, std::size_t psi_stride, const T* phi, std::size_t phi_stride, const T* gate,
                       std::size_t gate_stride, T* out, std::size_t cols);

  /// See src/net_primitives.hpp.
  void (*relu_forward)(std::size_t rows, std::size_t cols, T scale, T* h, std::size_t stride, std::uint32_t* mask,
                       std::size_t mask_stride);
  void (*mask_rows)(std::size_t rows, std::size_t cols, const std::uint32_t* mask, std::size_t mask_stride, T scale,
                    T* delta, std::size_t stride);

  /// See src/leverage_primitives.hpp: patterns of 1 or 2 vectors each, of 1 where `passed` is null.
  void (*passed_products)(std::size_t rows, std::size_t cols, std::size_t patterns, std::size_t vectors,
                          const double* matrix, std::size_t matrix_stride, std::size_t first, const std::uint32_t* rank,
                          std::size_t rank_stride, const double* before, std::size_t before_stride, const double* after,
                          std::size_t after_stride, double* base, std::size_t base_stride, double* passed,
                          std::size_t passed_stride);

  /// Theta of two images as src/cntk_primitives.hpp says, with scratch of cntk_bytes(), aligned to 64.
  double (*cntk_theta)(const CntkPlan& plan, const double* left, const double* right, void* work);
  std::size_t (*cntk_bytes)(const CntkPlan& plan);
};

/// The chosen table.
template <class T>
const Kernels<T>& kernels();

}  // namespace fastntk::cpu
