// What the features of a pixel and the columns made of them are: constants of src/pixel_primitives.hpp and the CPU's
// kernels.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>

namespace fastntk {

/// Entries of a pixel's vector that stay together when it is rotated.
inline constexpr std::size_t fold_group = 16;

/// Below this a mean square is taken for 0: its inverse would overflow.
template <Real T>
inline constexpr T least_mean_square = std::numeric_limits<T>::min();

/// The features of kappa_1 and of kappa_0 at a pixel, without those of their constants, from projections z_1, ..., z_degree
/// of its patch, side by side in blocks of m columns; u_j[c] = z_j[c] + mean * offset[j][c], over the root of its mean
/// square over c (0 where that is below least_mean_square):
///   relu        f_1[c] = sqrt(2) max(u_1[c], 0) - 1/sqrt(pi), f_0[c] = sign(u_1[c])/sqrt(2), sign(0) = 0
///   otherwise   f_k[c] = the sum over j of kappa_k[j][c] * u_1[c] ... u_j[c]
template <Real T>
struct PixelFeatures {
  bool relu;
  std::size_t degree;
  const T* offset;    // (degree, m), or null: 0
  const T* kappa_1;   // (degree, m), if not relu
  const T* kappa_0;   // (degree, m), if not relu
  const T* constant;  // (m)
};

/// How pool_columns() makes column l * m + c, l < blocks, of a pixel's vectors psi, phi and gate:
///   linear[.] psi[c] + last[.] phi[c] + product[.] psi[(c + shift[l]) mod m] gate[c],
/// with the column's own weights; `signs`, if not null, has a bit for each column and pixel, which turns the sign of all
/// three: bit column % 32 of word pixel * words + column / 32. Without psi (and gate) or phi (no data) their terms are 0.
template <Real T>
struct PoolColumns {
  const std::uint32_t* shift;  // (blocks), multiples of fold_group below m
  const T* linear;             // (columns), each
  const T* product;
  const T* last;
  const std::uint32_t* signs;
  std::size_t words;
};

}  // namespace fastntk
