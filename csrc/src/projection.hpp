// Products with many columns of a ProjectionMatrix.
#pragma once

#include <algorithm>
#include <cstddef>

#include "primitives.hpp"

namespace fastntk {

/// out = f(x W) for the first out.cols columns of W, all of them as a rule.
template <Real T, Backend B>
void project_all(Tile<B>& tile, View<const T, B> x, const ProjectionMatrix<T, B>& w, const Activation<T>& f,
                 View<T, B> out) {
  constexpr std::size_t panel = ProjectionMatrix<T, B>::panel;
  for (std::size_t first = 0; first < out.cols; first += panel)
    project<T, B>(tile, x, w, first, f, out.col_block(first, std::min(panel, out.cols - first)));
}

}  // namespace fastntk
