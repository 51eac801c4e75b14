// Random directions: x -> (w_1.x, ..., w_m.x).
#pragma once

#include <fastntk/ntk_features.hpp>

#include <cstddef>
#include <cstdint>

#include "primitives.hpp"

namespace fastntk {

/// `automatic` takes structured directions from this many inputs on: below, a matrix product is as cheap as the transforms,
/// and the mixing of short blocks shows in the mean.
inline constexpr std::size_t structured_from = 33;

/// m directions in d dimensions, every one of law N(0, I) unless they are on a sphere.
///   gaussian    independent
///   sphere      independent and uniform on the sphere of radius sqrt(d)
///   gibbs       the same law, by the Gibbs sampler (modified_directions.hpp): sqrt(d) w/|w| of Z21 Eq. 15
///   structured  blocks of n = 2^k >= d directions, orthogonal to one another: three times a random rotation of the
///               coordinate pairs (i, i + n/2) and a Hadamard transform, in O(n log n) a block (after Yu et al. 2016,
///               "Orthogonal random features", who flip signs instead). Sign flips alone would put sparse and integer data
///               on a lattice, with many projections at exactly 0, where the dual activation is singular. Lengths are chi_n,
///               so that the law of each direction is Gaussian up to the quality of the mixing.
template <Real T, Backend B>
class DirectionSet {
 public:
  /// `sweeps` is that of the Gibbs sampler.
  DirectionSet(const B& backend, Directions kind, std::size_t d, std::size_t m, std::uint64_t seed, std::size_t sweeps = 10);

  /// These directions, the rows of `directions` (m, d).
  DirectionSet(const B& backend, View<const T, B> directions);

  std::size_t in_features() const { return d_; }
  std::size_t size() const { return m_; }

  /// The products are computed in panels of this many directions.
  std::size_t panel() const { return panel_; }

  /// Of structured directions, as rotated_hadamard() takes them block after block; null for others.
  const T* rotation() const { return rotation_.data(); }
  const T* length() const { return length_.data(); }

  /// Rows of a tile, for a map with this many outputs.
  std::size_t tile_rows(const B& backend, std::size_t out_features) const;

  /// x (rows, d) -> out (rows, out.cols): f of the products with the directions first, first + 1, ..., where `first` is a
  /// multiple of panel() and out.cols is panel(), or less at the end.
  void apply(Tile<B>& tile, View<const T, B> x, std::size_t first, const Activation<T>& f, View<T, B> out) const;

 private:
  void draw_blocks(const B& backend, std::uint64_t seed);

  std::size_t d_;
  std::size_t m_;
  std::size_t panel_;
  ProjectionMatrix<T, B> matrix_;  // of all but structured ones
  Buffer<T, B> rotation_;          // structured: for each block and stage, n/2 cosines and n/2 sines, times sqrt(2)
  Buffer<T, B> length_;            // structured: of every direction, times the transforms' normalisation
};

/// x (rows, d) -> out (rows, size()): the products with all directions.
template <Real T, Backend B>
void project_all(Tile<B>& tile, const DirectionSet<T, B>& directions, View<const T, B> x, View<T, B> out) {
  const std::size_t panel = directions.panel();
  for (std::size_t first = 0; first < out.cols; first += panel)
    directions.apply(tile, x, first, {}, out.col_block(first, out.cols - first < panel ? out.cols - first : panel));
}

}  // namespace fastntk
