// The exact convolutional NTK of a tile of images, for the kernel and for maps that are scaled to its diagonal.
//
// With N^(h) and Pi^(h), h < L, of Z21 Section 4 divided by q^2, its sums over filters of q x q positions are means:
//   N^(0) = |x|^2,  Gamma^(0) = <y, z>,  Pi^(0) = 0, or, train_first, mean Gamma^(0)
//   N^(h) = mean N^(h-1),  r = sqrt(N^(h)(y) N^(h)(z)),  c = mean Gamma^(h-1) / r,  Gamma^(h) = r kappa_1(c)
//   Pi^(h) = mean(Pi^(h-1) kappa_0(c) + Gamma^(h)),  but Pi^(L) = Pi^(L-1) kappa_0(c), plus Gamma^(L) with train_last.
// All of it happens at pairs of positions that are a fixed offset apart. So one offset comes after the other, and for each
// the maps are images, of the positions that have a partner, which stay in a first-level cache or in shared memory.
#pragma once

#include <fastntk/cntk.hpp>

#include <cstddef>
#include <string>

#include "cntk_primitives.hpp"
#include "tile.hpp"

namespace fastntk {

/// Throws Error, naming `caller`, if a size is 0 or does not fit or the kernel is zero.
CntkPlan cntk_plan(const CntkParams& params, const std::string& caller);

/// Images of a tile, ready for cntk_theta(): their unit rows' maps, and their norms.
template <Real T, Backend B>
struct CntkImages {
  View<double, B> maps;
  const T* norm;
};

/// The kernel of one network, for code that has a tile.
template <Real T, Backend B>
class CntkRecursion {
 public:
  /// Throws Error, naming `caller`, as <fastntk/cntk.hpp> says of params.
  CntkRecursion(const CntkParams& params, const std::string& caller);

  const CntkPlan& plan() const { return plan_; }

  /// theta[r] = Theta(x_r, y_r); half the work where y is the same view as x.
  void pairs(Tile<B>& tile, View<const T, B> x, View<const T, B> y, T* theta) const;

  /// In scratch memory of the tile, for x (n, height * width * channels).
  CntkImages<T, B> prepare(Tile<B>& tile, View<const T, B> x) const;

  /// Rows of a tile that take pairs() one round, or of a side of a block of the kernel matrix.
  std::size_t images_per_tile(const B& backend) const;

 private:
  CntkPlan plan_;
  CntkParams params_;
};

}  // namespace fastntk
