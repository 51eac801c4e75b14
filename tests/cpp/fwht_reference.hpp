// The transform that results are compared with.
#pragma once

#include <cstddef>

namespace fwht_reference {

/// The textbook loop. Its tree of additions is part of the transform's definition: results are compared bit by bit.
template <class T>
void butterflies(T* x, std::size_t n) {
  for (std::size_t h = 1; h < n; h *= 2)
    for (std::size_t i = 0; i < n; i += 2 * h)
      for (std::size_t j = i; j < i + h; ++j) {
        const T a = x[j];
        const T b = x[j + h];
        x[j] = a + b;
        x[j + h] = a - b;
      }
}

}  // namespace fwht_reference
