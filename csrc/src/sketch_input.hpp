// What the sketches of kernels of the cosine are made from: the unit rows of dense or sparse input, and vectors with their
// inner products.
#pragma once

#include <fastntk/dot_product_sketch.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "count_sketch.hpp"
#include "directions.hpp"
#include "primitives.hpp"

namespace fastntk {

/// A tile of input: unit rows (x, bias)/norm where they are kept, norms, and the bases: the rotated rows, or the parts of a
/// CountSketch and then, sqrt(parts) times as long, all of it.
template <Real T, Backend B>
struct SketchRows {
  View<const T, B> unit;
  const T* norm;
  std::vector<View<const T, B>> bases;
};

template <Real T, Backend B>
class SketchInput {
 public:
  /// Independent CountSketches, so that products of two have no bias. Higher powers take them more than once, which biases
  /// these by O(1/width); each more would cost every non-zero another visit to memory.
  static constexpr std::size_t parts = 2;

  /// The inner products of rotated rows have no error. CountSketches have `width` entries each.
  SketchInput(const B& backend, std::size_t in_features, double bias, SketchBase base, std::size_t width,
              std::uint64_t seed);

  /// Which base: CountSketches where rows are longer than what the sketch needs, unless they have to be there in full.
  static SketchBase choose(SketchBase wanted, std::size_t d, std::size_t out_features, bool in_full);

  std::size_t base_width() const { return width_; }
  bool is_rotation() const { return sketches_.s == 0; }

  /// Elements of scratch memory a row.
  std::size_t scratch_width() const;

  /// One tile, in scratch memory that stays the caller's.
  SketchRows<T, B> read(Tile<B>& tile, View<const T, B> x) const;
  SketchRows<T, B> read(Tile<B>& tile, CsrView<T, B> x) const;

 private:
  SketchRows<T, B> of_unit_rows(Tile<B>& tile, View<const T, B> unit, const T* norm) const;
  SketchRows<T, B> of_sparse_rows(Tile<B>& tile, CsrView<T, B> x) const;
  std::vector<View<const T, B>> bases(View<const T, B> sketched) const;

  std::size_t in_features_, d_;  // without and with the bias column
  T bias_;
  std::size_t width_;
  Buffer<T, B> rotation_, length_;  // as rotated_hadamard() takes them
  SketchMatrix<T, B> in_full_;      // the identity: makes sparse rows dense
  SketchMatrix<T, B> sketches_;     // one below the other: a non-zero finds all its entries in one place
};

}  // namespace fastntk
