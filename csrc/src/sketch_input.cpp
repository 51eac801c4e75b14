#include "sketch_input.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <numbers>
#include <utility>

#include "tiling.hpp"

namespace fastntk {
namespace {

constexpr std::size_t stages = 3;

// Shorter transforms would take more calls than work, and repeat few signs.
constexpr std::size_t least_width = 256;

// The identity as the matrix of a CountSketch.
template <Real T, Backend B>
SketchMatrix<T, B> identity(const B& backend, std::size_t d) {
  std::vector<std::uint32_t> rows(d);
  for (std::size_t i = 0; i < d; ++i) rows[i] = static_cast<std::uint32_t>(i);
  return {backend, d, 1, Buffer<std::uint32_t, B>(backend, rows), Buffer<T, B>(backend, std::vector<T>(d, T(1)))};
}

template <Real T, Backend B>
void fill(Tile<B>& tile, std::size_t count, T value, T* out) {
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t i) { out[i] = value; });
}

// Norms of sparse rows with the bias column, and `scale` over them. The squares of floats are within a double's range; rows
// of doubles are scaled by a power of two, as in unit_rows(), so that their norms neither overflow nor vanish.
template <Real T, Backend B>
void sparse_norms(Tile<B>& tile, CsrView<T, B> x, T bias, double scale, T* norm, T* inverse) {
  constexpr double most = std::numeric_limits<T>::max();
  for_each(tile, x.rows, [=] FASTNTK_FORMULA(std::size_t r) {
    const std::int64_t begin = x.row_starts[r], end = x.row_starts[r + 1];
    double down = 1;
    if (std::same_as<T, double>) {
      double largest = std::abs(bias);
      for (std::int64_t k = begin; k < end; ++k) {
        const double size = std::abs(x.values[k]);
        largest = size > largest ? size : largest;
      }
      const int exponent = largest > 0 ? std::ilogb(largest) : 0;
      down = std::ldexp(1.0, exponent < -1000 ? 1000 : -exponent);
    }
    double square = (bias * down) * (bias * down);
    for (std::int64_t k = begin; k < end; ++k) square += (x.values[k] * down) * (x.values[k] * down);
    const double length = std::sqrt(square);
    norm[r] = static_cast<T>(length / down);
    const double needed = length > 0 ? scale / length * down : 0;  // of subnormal rows more than there is
    inverse[r] = static_cast<T>(needed < most ? needed : most);
  });
}

// What column `column` of every row, with this value, adds to the rows' CountSketch.
template <Real T, Backend B>
void add_column(Tile<B>& tile, const SketchMatrix<T, B>& matrix, std::size_t column, T value, View<T, B> out) {
  const std::size_t s = matrix.s;
  const std::uint32_t* const bucket = matrix.bucket.data() + column * s;
  const T* const weight = matrix.weight.data() + column * s;
  for_each(tile, out.rows, [=] FASTNTK_FORMULA(std::size_t r) {
    for (std::size_t b = 0; b < s; ++b) out(r, bucket[b]) += value * weight[b];
  });
}

}  // namespace

template <Real T, Backend B>
SketchBase SketchInput<T, B>::choose(SketchBase wanted, std::size_t d, std::size_t out_features, bool in_full) {
  if (wanted != SketchBase::automatic) return wanted;
  return !in_full && padded(d) > 2 * padded(out_features) ? SketchBase::count_sketch : SketchBase::rotation;
}

template <Real T, Backend B>
SketchInput<T, B>::SketchInput(const B& backend, std::size_t in_features, double bias, SketchBase base, std::size_t width,
                               std::uint64_t seed)
    : in_features_(in_features), d_(in_features + (bias != 0)), bias_(static_cast<T>(bias)) {
  if (base == SketchBase::count_sketch) {
    width_ = std::max(padded(width), least_width);
    sketches_ = CountSketch<T, B>::State::draw(
        {.in_features = d_, .out_features = parts * width_, .seed = seed, .nnz_per_column = parts}, backend);
    return;
  }
  width_ = std::max(padded(d_), least_width);
  const rng::Draws angles{seed, rng::Stream::angle};
  const std::size_t half = width_ / 2;
  std::vector<T> rotation(stages * width_);
  for (std::size_t stage = 0; stage < stages; ++stage)
    for (std::size_t i = 0; i < half; ++i) {
      const rng::Block bits = angles.bits(stage * half + i);
      const double angle = 2 * std::numbers::pi * rng::Draws::unit_interval(bits[0], bits[1]);
      rotation[stage * width_ + i] = static_cast<T>(std::numbers::sqrt2 * std::cos(angle));
      rotation[stage * width_ + half + i] = static_cast<T>(std::numbers::sqrt2 * std::sin(angle));
    }
  rotation_ = Buffer<T, B>(backend, rotation);
  const double scale = std::pow(static_cast<double>(width_), -0.5 * static_cast<double>(stages));
  length_ = Buffer<T, B>(backend, std::vector<T>(width_, static_cast<T>(scale)));
  in_full_ = identity<T>(backend, in_features);
}

template <Real T, Backend B>
std::size_t SketchInput<T, B>::scratch_width() const {
  return is_rotation() ? 2 * d_ + width_ : d_ + parts * width_;
}

template <Real T, Backend B>
SketchRows<T, B> SketchInput<T, B>::read(Tile<B>& tile, View<const T, B> x) const {
  const View<T, B> unit = tile.template scratch<T>(x.rows, d_);
  T* const norm = tile.template scratch<T>(1, x.rows).data;
  unit_rows<T, B>(tile, x, bias_, unit, norm);
  return of_unit_rows(tile, unit, norm);
}

template <Real T, Backend B>
SketchRows<T, B> SketchInput<T, B>::read(Tile<B>& tile, CsrView<T, B> x) const {
  if (!is_rotation()) return of_sparse_rows(tile, x);
  const View<T, B> dense = tile.template scratch<T>(x.rows, in_features_);
  count_sketch<T, B>(tile, x, in_full_, dense);
  return read(tile, View<const T, B>(dense));
}

template <Real T, Backend B>
SketchRows<T, B> SketchInput<T, B>::of_unit_rows(Tile<B>& tile, View<const T, B> unit, const T* norm) const {
  SketchRows<T, B> rows{.unit = unit, .norm = norm, .bases = {}};
  if (is_rotation()) {
    const View<T, B> rotated = tile.template scratch<T>(unit.rows, width_);
    rotated_hadamard<T, B>(tile, unit, rotation_.data(), length_.data(), width_, {}, rotated);
    rows.bases = {rotated};
  } else {
    const View<T, B> sketched = tile.template scratch<T>(unit.rows, parts * width_);
    T* const factor = tile.template scratch<T>(1, unit.rows).data;
    count_sketch<T, B>(tile, unit, sketches_, sketched);
    fill<T, B>(tile, unit.rows, static_cast<T>(std::sqrt(static_cast<double>(parts))), factor);
    scale_rows<T, B>(tile, factor, sketched, sketched);
    rows.bases = bases(sketched);
  }
  return rows;
}

template <Real T, Backend B>
SketchRows<T, B> SketchInput<T, B>::of_sparse_rows(Tile<B>& tile, CsrView<T, B> x) const {
  T* const norm = tile.template scratch<T>(1, x.rows).data;
  T* const inverse = tile.template scratch<T>(1, x.rows).data;
  // Each of the sketches has entries +-1, in the matrix +-1/sqrt(parts).
  sparse_norms<T, B>(tile, x, bias_, std::sqrt(static_cast<double>(parts)), norm, inverse);
  const View<T, B> sketched = tile.template scratch<T>(x.rows, parts * width_);
  count_sketch<T, B>(tile, x, sketches_, sketched);
  if (bias_ != 0) add_column<T, B>(tile, sketches_, in_features_, bias_, sketched);
  scale_rows<T, B>(tile, inverse, sketched, sketched);
  return {.unit = {}, .norm = norm, .bases = bases(sketched)};
}

template <Real T, Backend B>
std::vector<View<const T, B>> SketchInput<T, B>::bases(View<const T, B> sketched) const {
  std::vector<View<const T, B>> views;
  for (std::size_t k = 0; k < parts; ++k) views.push_back(sketched.col_block(k * width_, width_));
  views.push_back(sketched);
  return views;
}

template class SketchInput<float, FASTNTK_BACKEND>;
template class SketchInput<double, FASTNTK_BACKEND>;

}  // namespace fastntk
