// The sketch of a polynomial kernel the way Z21 does it.
#pragma once

#include <fastntk/poly_sketch.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "poly_sketch.hpp"
#include "srht.hpp"

namespace fastntk {

/// S (+)_j sqrt(c_j) Q(x^(j) (x) e1^(p-j)), an SRHT of the direct sum of PolySketches of all powers (Z21 Equations 7 and 8,
/// Remark 1): E<.(x), .(z)> = sum_j c_j <x, z>^j.
template <Real T, Backend B>
class PolynomialSketch {
 public:
  PolynomialSketch(const B& backend, std::size_t in_features, const std::vector<double>& coefficients,
                   std::size_t power_features, std::size_t out_features, PolySketchBase base, std::uint64_t seed);

  /// Elements of scratch memory a row.
  std::size_t scratch_width() const;

  /// x (rows, in_features) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;

 private:
  std::vector<double> coefficients_;
  typename PolySketch<T, B>::State powers_;
  typename Srht<T, B>::State sum_;
};

}  // namespace fastntk
