// Columns to mean 0 and variance 1, with means and deviations that are known.
#pragma once

#include <fastntk/view.hpp>

namespace fastntk {

/// out = (x - mean) o scale, row by row: x and out are (n, d), and may be the same view; mean and scale are (1, d), the
/// latter one over the deviation. Throws Error if a shape does not fit.
template <Real T, Backend B>
void standardize(const B& backend, View<const T, B> x, View<const T, B> mean, View<const T, B> scale, View<T, B> out);

}  // namespace fastntk
