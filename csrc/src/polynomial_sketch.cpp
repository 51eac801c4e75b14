#include "polynomial_sketch.hpp"

#include <algorithm>
#include <cmath>

#include "tiling.hpp"

namespace fastntk {

template <Real T, Backend B>
PolynomialSketch<T, B>::PolynomialSketch(const B& backend, std::size_t in_features, const std::vector<double>& coefficients,
                                         std::size_t power_features, std::size_t out_features, PolySketchBase base,
                                         std::uint64_t seed)
    : coefficients_(coefficients),
      powers_({.in_features = in_features,
               .degree = std::max<std::size_t>(coefficients.size() - 1, 1),
               .out_features = power_features,
               .seed = rng::child_seed(seed, 1),
               .base = base},
              backend),
      sum_({.in_features = (powers_.params.degree + 1) * power_features,
            .out_features = out_features,
            .seed = rng::child_seed(seed, 2),
            .replacement = true},
           backend) {
  coefficients_.resize(powers_.params.degree + 1, 0.0);
}

template <Real T, Backend B>
std::size_t PolynomialSketch<T, B>::scratch_width() const {
  return sum_.params.in_features + sum_.length + padded(powers_.params.in_features);
}

template <Real T, Backend B>
void PolynomialSketch<T, B>::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t m = powers_.params.out_features;
  const View<T, B> sum = tile.template scratch<T>(x.rows, sum_.params.in_features);
  std::vector<View<T, B>> parts;
  for (std::size_t j = 0; j < coefficients_.size(); ++j) parts.push_back(sum.col_block(j * m, m));
  powers_.powers(tile, x, parts);
  T* const factor = tile.template scratch<T>(1, x.rows).data;
  for (std::size_t j = 0; j < parts.size(); ++j) {
    const T root = static_cast<T>(std::sqrt(coefficients_[j]));
    for_each(tile, x.rows, [=] FASTNTK_FORMULA(std::size_t r) { factor[r] = root; });
    scale_rows<T, B>(tile, factor, parts[j], parts[j]);
  }
  sum_.apply(tile, sum, out);
}

template class PolynomialSketch<float, FASTNTK_BACKEND>;
template class PolynomialSketch<double, FASTNTK_BACKEND>;

}  // namespace fastntk
