// Sketches of sums of products of kernels, as a graph of values that are made from one another.
//
// A value is a random vector v(x) with E<v(x), v(z)> = k(x, z) for some kernel k. One operation is enough: entries of the
// transforms H D a, D random signs, have E[(H D a(x))_i (H D a(z))_i] = <a(x), a(z)>, so that the elementwise product of two
// transforms with signs of their own is a sketch of the product of their kernels, and adding up such products, each with new
// signs, sketches the sum of the kernels without bias. This is TensorSRHT with whole transforms in place of sampled ones:
// nothing is gathered, and the columns of one block are as good as independent where the input has been rotated at random.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "primitives.hpp"

namespace fastntk {

using ValueId = std::size_t;
inline constexpr ValueId no_value = std::numeric_limits<ValueId>::max();

/// weight * <left><right>, the product of two values' inner products, which has the product of their kernels as its mean if
/// they are independent; or weight * <left> without `right`, which as the only term of as many columns as it has entries is
/// copied.
struct SketchTerm {
  ValueId left;
  double weight;
  ValueId right = no_value;
};

template <Real T, Backend B>
class SketchGraph {
 public:
  explicit SketchGraph(const B& backend, std::uint64_t seed) : backend_(backend), seed_(seed) {}

  /// A value that is given at every call, in the order of these declarations: they come first.
  ValueId input(std::size_t width);

  /// A value of this many entries, all of which steps have to set. The last one to be declared is the output, which is
  /// written to the caller's columns.
  ValueId value(std::size_t width);

  std::size_t width(ValueId value) const { return widths_[value]; }

  /// The entries [first, first + cols) of `target` become a sketch of the sum of the terms, or, `add`, are increased by it.
  void set(ValueId target, std::size_t first, std::size_t cols, const std::vector<SketchTerm>& terms, bool add = false);

  /// All entries of a new value: the terms in shared columns.
  ValueId sketch(std::size_t width, const std::vector<SketchTerm>& terms);

  /// The concatenation of values, times the roots of the weights.
  ValueId join(const std::vector<SketchTerm>& parts);

  /// Sketches the sum of the terms, dividing the columns between them in proportion to `size`, each term's value at the
  /// cosine 1: a term's error at the cosine 0 is size/sqrt(columns), so that this makes the error least. Terms that get but
  /// few columns share theirs. Without terms the columns are 0.
  void divide(ValueId target, std::size_t first, std::size_t cols, const std::vector<SketchTerm>& terms,
              const std::vector<double>& size);

  /// Elements of scratch memory a row.
  std::size_t scratch_width() const;

  void apply(Tile<B>& tile, const std::vector<View<const T, B>>& inputs, View<T, B> out) const;

 private:
  struct Factor {
    ValueId value;
    std::size_t length;       // of its transform
    std::size_t block_words;  // of signs
    SignBits<B> signs;
  };
  struct Step {
    ValueId target;
    std::size_t first, cols;
    T scale;
    bool add, plain;  // plain: a copy, without transforms
    Factor left, right;
  };

  Factor factor(ValueId value, std::size_t cols);
  void transform(Tile<B>& tile, const Factor& f, View<const T, B> in, std::size_t first, View<T, B> out) const;

  B backend_;
  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;  // factors so far
  std::size_t inputs_ = 0;
  std::vector<std::size_t> widths_;
  std::vector<Step> steps_;
};

/// The powers of a value's kernel, from a binary tree of products (PolySketch; Ahle et al. 2020) whose nodes are made when
/// they are first asked for.
template <Real T, Backend B>
class PowerTree {
 public:
  /// `leaves` has one value of the same kernel for each factor of the highest power: independent ones, or the same one more
  /// than once, which has powers of its inner products, and of their errors if they have any. Nodes have `width` entries.
  PowerTree(SketchGraph<T, B>& graph, std::vector<ValueId> leaves, std::size_t width)
      : graph_(&graph), leaves_(std::move(leaves)), width_(width) {}

  /// weight * the power q: one to leaves.size().
  SketchTerm term(std::size_t q, double weight) { return term(0, leaves_.size(), q, weight); }

 private:
  SketchTerm term(std::size_t first, std::size_t count, std::size_t q, double weight);
  ValueId node(std::size_t first, std::size_t count, std::size_t q);

  SketchGraph<T, B>* graph_;
  std::vector<ValueId> leaves_;
  std::size_t width_;
  std::map<std::array<std::size_t, 3>, ValueId> nodes_;  // by first leaf, number of leaves and power
};

}  // namespace fastntk
