// The convolutional NTK by its definition (Arora et al. 2019; Z21 Section 4), all pairs of positions at once, in long
// double.
#pragma once

#include <fastntk/cntk.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>
#include <vector>

#include "check.hpp"
#include "sketches.hpp"

namespace cntk {

using fastntk::CntkParams;
using fastntk::Padding;
using fastntk::Pooling;
using sketches::Matrix;
using Number = long double;

/// The sizes of a layer's image.
struct Size {
  std::size_t height, width;
  std::size_t pixels() const { return height * width; }
};

/// The positions of a filter at (i, j) of the next layer that are inside the image, as a number per tap; no_pixel outside.
constexpr std::size_t no_pixel = static_cast<std::size_t>(-1);
inline std::vector<std::size_t> filter_at(Size size, std::size_t i, std::size_t j, const CntkParams& p) {
  std::vector<std::size_t> taps;
  const std::size_t half = p.padding == Padding::same ? p.filter_size / 2 : 0;
  for (std::size_t a = 0; a < p.filter_size; ++a)
    for (std::size_t b = 0; b < p.filter_size; ++b) {
      const bool inside = i + a >= half && i + a - half < size.height && j + b >= half && j + b - half < size.width;
      taps.push_back(inside ? (i + a - half) * size.width + (j + b - half) : no_pixel);
    }
  return taps;
}

inline Size after_convolution(Size size, const CntkParams& p) {
  if (p.padding == Padding::same) return size;
  return {size.height - (p.filter_size - 1), size.width - (p.filter_size - 1)};
}

/// out[ij][i'j'] = the sum over the filter of in[i+a, j+b][i'+a, j'+b].
inline std::vector<Number> filter_sums(Size size, const std::vector<Number>& in, const CntkParams& p) {
  const Size next = after_convolution(size, p);
  std::vector<std::vector<std::size_t>> taps;
  for (std::size_t i = 0; i < next.height; ++i)
    for (std::size_t j = 0; j < next.width; ++j) taps.push_back(filter_at(size, i, j, p));
  std::vector<Number> out;
  for (const auto& left : taps)
    for (const auto& right : taps) {
      Number sum = 0;
      for (std::size_t t = 0; t < left.size(); ++t)
        if (left[t] != no_pixel && right[t] != no_pixel) sum += in[left[t] * size.pixels() + right[t]];
      out.push_back(sum);
    }
  return out;
}

template <class T>
Number theta(const T* y, const T* z, const CntkParams& p) {
  Size size{p.image.height, p.image.width};
  const auto q2 = static_cast<Number>(p.filter_size * p.filter_size);
  const auto with_bias = [&](const T* x) {
    std::vector<std::vector<Number>> pixels;
    for (std::size_t k = 0; k < size.pixels(); ++k) {
      pixels.emplace_back(x + k * p.image.channels, x + (k + 1) * p.image.channels);
      pixels.back().push_back(static_cast<Number>(static_cast<T>(p.bias)));
    }
    return pixels;
  };
  const auto dot = [](const std::vector<Number>& a, const std::vector<Number>& b) {
    Number sum = 0;
    for (std::size_t c = 0; c < a.size(); ++c) sum += a[c] * b[c];
    return sum;
  };
  const auto left = with_bias(y), right = with_bias(z);
  std::vector<Number> norm_left, norm_right, kernel;
  for (std::size_t k = 0; k < size.pixels(); ++k) {
    norm_left.push_back(q2 * dot(left[k], left[k]));
    norm_right.push_back(q2 * dot(right[k], right[k]));
    for (std::size_t l = 0; l < size.pixels(); ++l) kernel.push_back(dot(left[k], right[l]));
  }
  std::vector<Number> gradient = filter_sums(size, p.train_first ? kernel : std::vector<Number>(kernel.size()), p);

  for (std::size_t layer = 1; layer <= p.depth; ++layer) {
    const Size next = after_convolution(size, p);
    const auto norms = [&](const std::vector<Number>& in) {
      std::vector<Number> out;
      for (std::size_t i = 0; i < next.height; ++i)
        for (std::size_t j = 0; j < next.width; ++j) {
          Number sum = 0;
          for (const std::size_t k : filter_at(size, i, j, p)) sum += k == no_pixel ? 0 : in[k];
          out.push_back(sum / q2);
        }
      return out;
    };
    norm_left = norms(norm_left);
    norm_right = norms(norm_right);
    const std::vector<Number> sums = filter_sums(size, kernel, p);
    kernel.assign(sums.size(), 0);
    std::vector<Number> derivative(sums.size(), 0);
    for (std::size_t k = 0; k < next.pixels(); ++k)
      for (std::size_t l = 0; l < next.pixels(); ++l) {
        const std::size_t at = k * next.pixels() + l;
        const Number r = std::sqrt(norm_left[k]) * std::sqrt(norm_right[l]);
        if (r == 0) continue;
        Number c = std::clamp(sums[at] / r, Number(-1), Number(1));
        if (1 - std::abs(c) < 1e-17L) c = std::copysign(Number(1), c);  // rounding alone
        const Number open = std::numbers::pi_v<Number> - std::acos(c);
        kernel[at] = r / q2 * (std::sqrt((1 - c) * (1 + c)) + c * open) / std::numbers::pi_v<Number>;
        derivative[at] = open / std::numbers::pi_v<Number> / q2;
      }
    for (std::size_t at = 0; at < gradient.size(); ++at) {
      gradient[at] *= derivative[at];
      if (layer < p.depth || p.train_last) gradient[at] += kernel[at];
    }
    size = next;
    if (layer < p.depth) gradient = filter_sums(size, gradient, p);
  }

  Number total = 0;
  for (std::size_t k = 0; k < size.pixels(); ++k)
    for (std::size_t l = 0; l < size.pixels(); ++l)
      if (p.pooling == Pooling::gap || k == l) total += gradient[k * size.pixels() + l];
  const auto pixels = static_cast<Number>(size.pixels());
  return total / (p.pooling == Pooling::gap ? pixels * pixels : pixels);
}

inline std::string describe(const CntkParams& p) {
  return std::to_string(p.image.height) + "x" + std::to_string(p.image.width) + "x" + std::to_string(p.image.channels) +
         " depth " + std::to_string(p.depth) + " filter " + std::to_string(p.filter_size) +
         (p.padding == Padding::same ? " same" : " valid") + (p.pooling == Pooling::gap ? " gap" : " none") +
         (p.train_first ? " first" : "") + (p.train_last ? " last" : "") + " bias " + std::to_string(p.bias);
}

/// Checks a kernel matrix of x with itself, relative to its diagonal, which no entry exceeds.
template <class T>
void check_definition(const Matrix<T>& x, const Matrix<T>& found, const CntkParams& params, double tolerance) {
  std::vector<double> diagonal;
  for (std::size_t i = 0; i < x.rows; ++i)
    diagonal.push_back(std::sqrt(static_cast<double>(theta(x.view().row(i), x.view().row(i), params))));
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      const auto expected = static_cast<double>(theta(x.view().row(i), x.view().row(j), params));
      if (!CHECK_CLOSE(found(i, j), expected, tolerance * diagonal[i] * diagonal[j])) {
        check::fail(describe(params).c_str(), static_cast<int>(i), "of this kernel, with image " + std::to_string(j));
        return;
      }
    }
}

/// All flags and poolings of a network.
template <class Call>
void for_flags(CntkParams params, Call&& call) {
  for (const Pooling pooling : {Pooling::gap, Pooling::none})
    for (const int flags : {0, 1, 2, 3}) {
      params.pooling = pooling;
      params.train_first = flags % 2 == 1;
      params.train_last = flags >= 2;
      if (params.depth > 1 || flags > 0) call(params);
    }
}

template <class T>
Matrix<T> rows_of(const Matrix<T>& x, std::size_t begin, std::size_t count) {
  Matrix<T> part(count, x.cols);
  std::copy_n(x.values.begin() + static_cast<std::ptrdiff_t>(begin * x.cols), part.values.size(), part.values.begin());
  return part;
}

}  // namespace cntk
