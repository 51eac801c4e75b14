// Exact columns beside sketched ones: what the sketches of kernels of the cosine have in common.
#pragma once

#include <fastntk/dot_product_sketch.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sketch_graph.hpp"
#include "sketch_input.hpp"

namespace fastntk {

/// The kernel constant + linear a + remainder(a) of the cosine a, whose first two terms stand in columns of their own.
struct KernelSketchParams {
  std::size_t in_features, out_features;
  double bias;
  bool homogeneous;
  bool exact_diagonal;
  double constant;   ///< 1 column unless it is 0; without linear term a single column is shared
  double linear;     ///< a column per input (and bias) unless it is 0
  double remainder;  ///< at the cosine 1
  SketchBase base;
  std::size_t base_width;  ///< of CountSketches
  std::uint64_t seed;
};

/// Whether columns of its own for the linear term, one per input and `columns` with the constant's, make the error of
/// out_features columns less: linear and remainder are these parts of the kernel at the cosine 1.
inline bool linear_columns_pay(std::size_t out_features, std::size_t columns, double linear, double remainder) {
  if (remainder <= 0) return out_features >= columns;
  // At the cosine 0 the error of m columns is their part of the kernel over sqrt(m): (linear + remainder)/sqrt(m) against
  // remainder/sqrt(m - columns). Cosines of data are larger, where the exact columns' zero error gains less than the fewer
  // others lose: on MNIST the two meet at a third more columns, in the Frobenius as in the spectral norm, at depths 1 and 3.
  constexpr double later = 1.35;
  const double all = (linear + remainder) * (linear + remainder);
  const double equal = static_cast<double>(columns) * all / (all - remainder * remainder);
  return linear > 0 ? static_cast<double>(out_features) >= later * equal : out_features > columns;
}

/// Whoever makes one declares the values of the graph, of which the output has random_columns() entries.
template <Real T, Backend B>
class KernelSketch {
 public:
  KernelSketch(const KernelSketchParams& params, const B& backend);

  SketchGraph<T, B>& graph() { return graph_; }
  /// Bases for the factors of a power: the first ones of one half independent of those of the other, or without error.
  std::vector<ValueId> leaves(std::size_t count) const;
  /// weight * the cosine itself.
  SketchTerm linear_term(double weight) const;
  bool has_linear() const { return linear_columns_ > 0; }
  std::size_t random_columns() const { return params_.out_features - exact_columns_; }

  std::size_t tile_rows(const B& backend) const;

  /// One tile: x (rows, in_features), dense or sparse -> out (rows, out_features).
  template <class Rows>
  void apply(Tile<B>& tile, Rows x, View<T, B> out) const;

 private:
  KernelSketchParams params_;
  bool shared_;  // one column for everything
  std::size_t linear_columns_, exact_columns_;
  SketchInput<T, B> input_;
  SketchGraph<T, B> graph_;
  std::vector<ValueId> bases_;
};

/// factor[r] = what unit rows' features are multiplied by: the norm, or, unless homogeneous, 1, and 0 for zero rows; and
/// with `square`, the sums of the squares of these features, what makes their sum of squares `target`.
template <Real T, Backend B>
void row_factors(Tile<B>& tile, std::size_t rows, const T* norm, bool homogeneous, const T* square, T target, T* factor);

}  // namespace fastntk
