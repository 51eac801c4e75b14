// What LeverageFunction does with the products of its vectors and matrices: formulas over a tile, with sums in double.
#pragma once

#include <cmath>
#include <cstddef>

#include "primitives.hpp"

namespace fastntk::forms {

/// Columns of a product that one call of a formula takes.
inline constexpr std::size_t lanes = 16;

/// z <- cos(z) or sin(z).
template <Real T, Backend B>
void apply_wave(Tile<B>& tile, bool sine, View<T, B> z) {
  const std::size_t blocks = (z.cols + lanes - 1) / lanes;
  for_each(tile, z.rows * blocks, [=] FASTNTK_FORMULA(std::size_t i) {
    const std::size_t first = i % blocks * lanes;
    const std::size_t count = z.cols - first < lanes ? z.cols - first : lanes;
    T* const u = z.row(i / blocks) + first;
    for (std::size_t j = 0; j < count; ++j) u[j] = sine ? std::sin(u[j]) : std::cos(u[j]);
  });
}

template <Backend B>
void set_to_zero(Tile<B>& tile, View<double, B> sums) {
  for_each(tile, sums.rows * sums.cols, [=] FASTNTK_FORMULA(std::size_t i) { sums(i / sums.cols, i % sums.cols) = 0; });
}

/// sums += product.
template <Real T, Backend B>
void add_to_sums(Tile<B>& tile, View<const T, B> product, View<double, B> sums) {
  const std::size_t blocks = (product.cols + lanes - 1) / lanes;
  for_each(tile, product.rows * blocks, [=] FASTNTK_FORMULA(std::size_t i) {
    const std::size_t first = i % blocks * lanes;
    const T* const from = product.row(i / blocks) + first;
    double* const to = sums.row(i / blocks) + first;
    const std::size_t count = product.cols - first < lanes ? product.cols - first : lanes;
    if (count == lanes) {
      FASTNTK_UNROLL
      for (std::size_t j = 0; j < lanes; ++j) to[j] += static_cast<double>(from[j]);
    } else {
      for (std::size_t j = 0; j < count; ++j) to[j] += static_cast<double>(from[j]);
    }
  });
}

/// sums[r][b] += the sum over column block b of product[r] o v[r].
template <Real T, Backend B>
void add_dots(Tile<B>& tile, View<const T, B> product, View<const T, B> v, View<double, B> sums) {
  const std::size_t blocks = (product.cols + lanes - 1) / lanes;
  for_each(tile, product.rows * blocks, [=] FASTNTK_FORMULA(std::size_t i) {
    const std::size_t first = i % blocks * lanes;
    const T* const a = product.row(i / blocks) + first;
    const T* const b = v.row(i / blocks) + first;
    const std::size_t count = product.cols - first < lanes ? product.cols - first : lanes;
    double sum = 0;
    for (std::size_t j = 0; j < count; ++j) sum += static_cast<double>(a[j]) * static_cast<double>(b[j]);
    sums(i / blocks, i % blocks) += sum;
  });
}

/// total[r] += the sum of row r.
template <Backend B>
void add_row_sums(Tile<B>& tile, View<const double, B> sums, double* total) {
  for_each(tile, sums.rows, [=] FASTNTK_FORMULA(std::size_t r) {
    double sum = 0;
    for (std::size_t j = 0; j < sums.cols; ++j) sum += sums(r, j);
    total[r] += sum;
  });
}

/// total[c] += square[r] - |sums[r]|^2 for the rows r = c, c + directions, ..., in this order.
template <Backend B>
void add_remainders(Tile<B>& tile, const double* square, View<const double, B> sums, std::size_t directions, double* total) {
  const View<double, B> left = tile.template scratch<double>(1, sums.rows);
  for_each(tile, sums.rows, [=] FASTNTK_FORMULA(std::size_t r) {
    double sum = 0;
    for (std::size_t j = 0; j < sums.cols; ++j) sum += sums(r, j) * sums(r, j);
    left(0, r) = square[r] - sum;
  });
  for_each(tile, directions, [=] FASTNTK_FORMULA(std::size_t c) {
    for (std::size_t r = c; r < left.cols; r += directions) total[c] += left(0, r);
  });
}

template <Real T, Backend B>
void finish_forms(Tile<B>& tile, const double* total, double factor, View<T, B> out) {
  for_each(tile, out.rows, [=] FASTNTK_FORMULA(std::size_t c) {
    const double value = factor * total[c];
    out(c, 0) = static_cast<T>(value < 0 ? 0 : value);
  });
}

}  // namespace fastntk::forms
