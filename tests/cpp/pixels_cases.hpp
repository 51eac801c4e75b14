// What the primitives for features of pixels are tested with on both backends.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "pixels_reference.hpp"
#include "sketches.hpp"

namespace pixels {

using sketches::integer_rows;

/// `count` rotations of m entries, in whole groups.
inline std::vector<std::uint32_t> shifts(std::size_t count, std::size_t m, std::uint64_t seed) {
  const fastntk::rng::Draws draws{seed, fastntk::rng::Stream::sample};
  const auto groups = static_cast<std::uint32_t>(m / fastntk::fold_group);
  std::vector<std::uint32_t> out(count);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = draws.integer(i, groups) * static_cast<std::uint32_t>(fastntk::fold_group);
  return out;
}

/// Calls check(shape, images, channels) for patches in small images: padded, not, and larger than the image.
template <class Check>
void for_neighbourhoods(const Check& check) {
  for (const std::size_t q : {1, 2, 3, 4, 5})
    for (std::size_t pad = 0; pad < q; ++pad)
      for (const std::size_t height : {1, 4, 5})
        for (const std::size_t width : {2, 3, 7})
          if (q <= std::min(height, width) + 2 * pad)
            check(Neighbourhoods{.height = height, .width = width, .q = q, .pad = pad}, 1 + height % 3, 1 + width % 3);
}

inline std::string describe(const Neighbourhoods& shape) {
  return "q " + std::to_string(shape.q) + ", pad " + std::to_string(shape.pad) + " of " + std::to_string(shape.height) +
         "x" + std::to_string(shape.width);
}

/// Bands of patches, and how long the vectors are.
struct FoldCase {
  PatchBand band;
  std::size_t m;
};

/// Padded or not, all rows at once or few of them, from all rows of the field or as many as they need.
inline std::vector<FoldCase> fold_cases() {
  std::vector<FoldCase> cases;
  for (const std::size_t q : {1, 2, 3, 5})
    for (const std::size_t pad : {std::size_t{0}, q / 2})
      for (const std::size_t height : {1, 2, 5, 8})
        for (const std::size_t width : {1, 3, 7, 9, 18}) {
          if (pad > 0 ? q % 2 == 0 : q > std::min(height, width)) continue;
          const std::size_t cut = q - 1 - 2 * pad, images = 1 + height % 3;
          const std::size_t m = width == 7 ? 512 : width == 18 ? 192 : 64;
          for (const std::size_t count : {std::size_t{1}, std::size_t{2}, height - cut})
            for (std::size_t first = 0; first < height - cut; first += count) {
              const std::size_t rows = std::min(count, height - cut - first);
              for (const std::size_t held : {std::min(height, count + q - 1), height}) {
                const Field field{.images = images, .height = height, .width = width, .held = held};
                cases.push_back({{.in = field, .q = q, .pad = pad, .first = first, .count = rows, .width = width - cut}, m});
              }
            }
        }
  const Field square{.images = 2, .height = 4, .width = 4, .held = 4};
  cases.push_back({{.in = square, .q = 3, .pad = 1, .first = 1, .count = 2, .width = 4}, 1024});
  return cases;
}

inline std::string describe(const FoldCase& c) {
  const PatchBand& band = c.band;
  return "q " + std::to_string(band.q) + ", pad " + std::to_string(band.pad) + " of " + std::to_string(band.in.height) +
         "x" + std::to_string(band.in.width) + ", " + std::to_string(band.count) + " rows from " +
         std::to_string(band.first) + ", held " + std::to_string(band.in.held) + ", m " + std::to_string(c.m);
}

/// The whole field with only the rows that the band needs, in their turn; NaN in the places of others.
inline Matrix<double> held_rows(const PatchBand& band, const Matrix<double>& whole) {
  const Field& field = band.in;
  Matrix<double> held(field.images * field.held * field.width, whole.cols);
  std::fill(held.values.begin(), held.values.end(), std::numeric_limits<double>::quiet_NaN());
  const std::size_t begin = band.first - std::min(band.first, band.pad);
  const std::size_t end = std::min(field.height, band.first + band.count + band.q - 1 - band.pad);
  CHECK(end - begin <= field.held);
  for (std::size_t b = 0; b < field.images; ++b)
    for (std::size_t i = begin; i < end; ++i)
      for (std::size_t j = 0; j < field.width; ++j)
        for (std::size_t c = 0; c < whole.cols; ++c) held(field.row(b, i, j), c) = whole(whole_row(field, b, i, j), c);
  return held;
}

/// Pixels for pixel_features(), the first of them 0 where there are several. The projections, means and norms are integers
/// times `size`; `mean` may be without data.
struct FeatureCase {
  FeatureCase(const Features& features, std::size_t rows, bool with_mean, double magnitude)
      : f(features),
        size(magnitude),
        z(integer_rows<double>(rows, f.degree * f.m, 8, 11)),
        mean(with_mean ? 1 : 0, rows),
        norm(1, rows) {
    if (rows > 1) std::fill_n(z.values.begin(), z.cols, 0.0);
    for (double& value : z.values) value *= size;
    for (std::size_t p = 0; p < rows; ++p) {
      norm(0, p) = size * static_cast<double>(p % 5);
      if (with_mean) mean(0, p) = size * static_cast<double>(p % 3);
    }
  }
  std::string name() const {
    return std::string(f.relu ? "relu" : "sketch") + " of degree " + std::to_string(f.degree) + ", m " +
           std::to_string(f.m) + ", rows " + std::to_string(z.rows) + ", size " + std::to_string(size);
  }
  /// A feature is a sum of `degree` products of as many factors, each of a relative error of a few eps; the normalised
  /// entries are below 4. Norms are below 5 sizes.
  double phi_tolerance(double eps) const { return tolerance(eps) * 5 * size * std::abs(f.scale_1); }
  double gate_tolerance(double eps) const { return tolerance(eps) * std::abs(f.scale_0); }

  Features f;
  double size;
  Matrix<double> z, mean, norm;

 private:
  double tolerance(double eps) const {
    const auto degree = static_cast<double>(f.degree);
    return 8 * eps * std::pow(4.0, degree) * degree;
  }
};

/// Calls check(FeatureCase).
template <class Check>
void for_feature_cases(const Check& check) {
  const auto drawn = [](std::size_t count, std::size_t m, std::uint64_t seed) {
    Matrix<double> values = integer_rows<double>(count, m, 4, seed);
    for (double& value : values.values) value /= 4;
    return values;
  };
  for (const std::size_t m : {64, 192, 1024})
    for (const std::size_t rows : {1, 2, 7})
      for (const bool with_offset : {false, true})
        for (const bool with_mean : {false, true})
          for (const double size : {1.0, 0x1p50, 0x1p-50}) {
            const auto offset = [&](std::size_t degree) { return with_offset ? drawn(degree, m, 21) : nothing(); };
            Features f{.relu = true,
                       .degree = 1,
                       .m = m,
                       .offset = offset(1),
                       .kappa_1 = nothing(),
                       .kappa_0 = nothing(),
                       .constant = drawn(1, m, 22),
                       .scale_1 = 0.5,
                       .scale_0 = 0.25};
            check(FeatureCase(f, rows, with_mean, size));
            f.relu = false;
            for (const std::size_t degree : {1, 2, 3, 6}) {
              f.degree = degree;
              f.offset = offset(degree);
              f.kappa_1 = drawn(degree, m, 23);
              f.kappa_0 = drawn(degree, m, 24);
              check(FeatureCase(f, rows, with_mean, size));
            }
          }
}

/// Pixels for pool_columns(), which are added to `before`. psi and gate, or phi, may be without data.
struct PoolCase {
  Columns columns;
  std::size_t m, first_pixel, pixels;
  Matrix<double> psi, phi, gate, before;
  std::string name() const {
    return std::to_string(before.cols) + " columns, m " + std::to_string(m) + ", images " + std::to_string(before.rows) +
           (psi.values.empty() ? "" : ", psi") + (phi.values.empty() ? "" : ", phi") +
           (columns.signs.empty() ? "" : ", signs");
  }
  Matrix<double> expected() const { return expect_pool_columns(columns, m, first_pixel, pixels, psi, phi, gate, before); }
};

/// Calls check(PoolCase): with signs and without, of psi and gate, of phi, and of all.
template <class Check>
void for_pool_cases(std::size_t columns, std::size_t m, std::size_t images, std::size_t first_pixel, const Check& check) {
  const std::size_t pixels = 1 + columns % 9, words = (columns + 31) / 32 + 1;
  std::vector<std::uint32_t> signs((first_pixel + pixels) * words);
  const fastntk::rng::Draws draws{58, fastntk::rng::Stream::sign};
  for (std::size_t i = 0; i < signs.size(); ++i) signs[i] = draws.bits(i)[0];
  const auto field = [&](bool given, std::uint64_t seed) {
    return given ? integer_rows<double>(images * pixels, m, 8, seed) : nothing();
  };
  for (const bool with_signs : {false, true})
    for (const auto& [with_psi, with_phi] : {std::pair{true, false}, {false, true}, {true, true}})
      check(PoolCase{.columns = {.shift = shifts((columns + m - 1) / m, m, columns),
                                 .linear = integer_rows<double>(1, columns, 2, 51),
                                 .product = integer_rows<double>(1, columns, 2, 52),
                                 .last = integer_rows<double>(1, columns, 2, 53),
                                 .signs = with_signs ? signs : std::vector<std::uint32_t>(),
                                 .words = words},
                     .m = m,
                     .first_pixel = first_pixel,
                     .pixels = pixels,
                     .psi = field(with_psi, 54),
                     .phi = field(with_phi, 55),
                     .gate = field(with_psi, 56),
                     .before = integer_rows<double>(images, columns, 8, 57)});
}

}  // namespace pixels
