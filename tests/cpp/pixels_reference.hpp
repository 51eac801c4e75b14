// The primitives for features of pixels by their definitions, in double and entry by entry. `expect_X` is what X of
// csrc/src/pixel_primitives.hpp, or gradient_primitives.hpp, should give.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

#include "../../csrc/src/gradient_primitives.hpp"
#include "../../csrc/src/pixel_primitives.hpp"
#include "sketches.hpp"

namespace pixels {

using fastntk::Field;
using fastntk::Neighbourhoods;
using fastntk::PatchBand;
using sketches::Matrix;

/// A matrix without data: what primitives may do without.
inline Matrix<double> nothing() { return Matrix<double>(0, 0); }

/// All neighbourhoods of all images.
inline Matrix<double> expect_neighbourhoods(const Neighbourhoods& shape, std::size_t channels,
                                            const Matrix<double>& images) {
  const std::size_t q = shape.q, pad = shape.pad;
  Matrix<double> out(0, q * q * channels);
  for (std::size_t b = 0; b < images.rows; ++b)
    for (std::size_t i = 0; i + q <= shape.height + 2 * pad; ++i)
      for (std::size_t j = 0; j + q <= shape.width + 2 * pad; ++j, ++out.rows)
        for (std::size_t y = i; y < i + q; ++y)
          for (std::size_t x = j; x < j + q; ++x)
            for (std::size_t c = 0; c < channels; ++c) {
              const bool inside = y >= pad && y < shape.height + pad && x >= pad && x < shape.width + pad;
              out.values.push_back(inside ? images(b, ((y - pad) * shape.width + x - pad) * channels + c) : 0);
            }
  return out;
}

/// The vectors of a whole field: that of image b at (i, j) in row (b * height + i) * width + j.
inline std::size_t whole_row(const Field& field, std::size_t image, std::size_t i, std::size_t j) {
  return (image * field.height + i) * field.width + j;
}

inline Matrix<double> expect_fold_patches(const PatchBand& band, const Matrix<double>& whole,
                                          const std::vector<std::uint32_t>& shift, const Matrix<double>& weight) {
  const std::size_t m = whole.cols;
  Matrix<double> out(band.rows(), m);
  for (std::size_t b = 0; b < band.in.images; ++b)
    for (std::size_t i = 0; i < band.count; ++i)
      for (std::size_t j = 0; j < band.width; ++j)
        for (std::size_t k = 0; k < band.q * band.q; ++k) {
          const std::size_t y = band.first + i + k / band.q, x = j + k % band.q;
          if (y < band.pad || y >= band.in.height + band.pad || x < band.pad || x >= band.in.width + band.pad) continue;
          const std::size_t from = whole_row(band.in, b, y - band.pad, x - band.pad);
          for (std::size_t c = 0; c < m; ++c)
            out((b * band.count + i) * band.width + j, c) += weight(k, c) * whole(from, (c + shift[k]) % m);
        }
  return out;
}

/// What pixel_features() takes, in double.
struct Features {
  bool relu;
  std::size_t degree, m;
  Matrix<double> offset, kappa_1, kappa_0, constant;  // offset may be without data
  double scale_1, scale_0;
};

struct PhiAndGate {
  Matrix<double> phi, gate;
};

/// `mean` may be empty.
inline PhiAndGate expect_pixel_features(const Features& f, const Matrix<double>& z, const std::vector<double>& mean,
                                        const std::vector<double>& norm) {
  const std::size_t m = f.m;
  PhiAndGate out{Matrix<double>(z.rows, m), Matrix<double>(z.rows, m)};
  for (std::size_t p = 0; p < z.rows; ++p) {
    Matrix<double> u(f.degree, m);
    for (std::size_t j = 0; j < f.degree; ++j) {
      double square = 0;
      for (std::size_t c = 0; c < m; ++c) {
        u(j, c) = z(p, j * m + c);
        if (!mean.empty() && !f.offset.values.empty()) u(j, c) += mean[p] * f.offset(j, c);
        square += u(j, c) * u(j, c) / static_cast<double>(m);
      }
      for (std::size_t c = 0; c < m; ++c) u(j, c) = square == 0 ? 0 : u(j, c) / std::sqrt(square);
    }
    for (std::size_t c = 0; c < m; ++c) {
      double f_1 = 0, f_0 = 0;
      if (f.relu) {
        f_1 = std::numbers::sqrt2 * std::max(u(0, c), 0.0) - std::numbers::inv_sqrtpi;
        f_0 = static_cast<double>((u(0, c) > 0) - (u(0, c) < 0)) / std::numbers::sqrt2;
      } else {
        double product = 1;
        for (std::size_t j = 0; j < f.degree; ++j) {
          product *= u(j, c);
          f_1 += f.kappa_1(j, c) * product;
          f_0 += f.kappa_0(j, c) * product;
        }
      }
      out.phi(p, c) = norm[p] * f.scale_1 * (f_1 + f.constant(0, c));
      out.gate(p, c) = f.scale_0 * f_0;
    }
  }
  return out;
}

inline Matrix<double> expect_add_combinations(const Matrix<double>& coefficient, const Matrix<double>& vectors,
                                              Matrix<double> io) {
  for (std::size_t p = 0; p < io.rows; ++p)
    for (std::size_t j = 0; j < coefficient.cols; ++j)
      for (std::size_t c = 0; c < io.cols; ++c) io(p, c) += coefficient(p, j) * vectors(j, c);
  return io;
}

inline Matrix<double> expect_mix_features(const Matrix<double>& psi, const Matrix<double>& phi, const Matrix<double>& gate,
                                          double scale, const Matrix<double>& sign_phi, const Matrix<double>& sign_product) {
  Matrix<double> out(psi.rows, psi.cols);
  for (std::size_t p = 0; p < psi.rows; ++p)
    for (std::size_t c = 0; c < psi.cols; ++c)
      out(p, c) = scale * psi(p, c) + sign_phi(0, c) * phi(p, c) + sign_product(0, c) * psi(p, c) * gate(p, c);
  return out;
}

/// What pool_columns() takes, in double.
struct Columns {
  std::vector<std::uint32_t> shift;
  Matrix<double> linear, product, last;
  std::vector<std::uint32_t> signs;  // or empty
  std::size_t words;
};

/// psi and gate, or phi, may be without data. `out` is what the sums are added to.
inline Matrix<double> expect_pool_columns(const Columns& columns, std::size_t m, std::size_t first_pixel, std::size_t pixels,
                                          const Matrix<double>& psi, const Matrix<double>& phi, const Matrix<double>& gate,
                                          Matrix<double> out) {
  for (std::size_t b = 0; b < out.rows; ++b)
    for (std::size_t k = 0; k < pixels; ++k)
      for (std::size_t column = 0; column < out.cols; ++column) {
        const std::size_t c = column % m, row = b * pixels + k;
        double value = 0;
        if (!psi.values.empty()) {
          value += columns.linear(0, column) * psi(row, c);
          value += columns.product(0, column) * psi(row, (c + columns.shift[column / m]) % m) * gate(row, c);
        }
        if (!phi.values.empty()) value += columns.last(0, column) * phi(row, c);
        const bool minus = !columns.signs.empty() &&
                           ((columns.signs[(first_pixel + k) * columns.words + column / 32] >> (column % 32)) & 1) != 0;
        out(b, column) += minus ? -value : value;
      }
  return out;
}

}  // namespace pixels
