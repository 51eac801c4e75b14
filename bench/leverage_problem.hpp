// The problem that chains of the leverage sampler are measured on, on both backends.
#pragma once

#include <fastntk/rng.hpp>

#include <cmath>
#include <cstddef>

#include "bench.hpp"

namespace bench {

inline Array<double> normal_rows(std::size_t n, std::size_t d) {
  Array<double> x(n * d);
  const fastntk::rng::Draws draws{1, fastntk::rng::Stream::normal};
  for (std::size_t i = 0; i < n * d; ++i) x[i] = draws.normal(i) / std::sqrt(static_cast<double>(d));
  return x;
}

// As (K + lambda I)^-1 is, of a kernel of rank one: the form of a pattern is what is left of a sum of many terms.
inline Array<double> regularised_inverse(std::size_t n) {
  Array<double> a(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) a[i * n + j] = (i == j ? 1.0 : 0.0) - 0.99 / static_cast<double>(n);
  return a;
}

}  // namespace bench
