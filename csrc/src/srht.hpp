// The inside of Srht, for the operators built on it.
#pragma once

#include <fastntk/srht.hpp>

#include <cstdint>

#include "primitives.hpp"

namespace fastntk {

template <Real T, Backend B>
struct Srht<T, B>::State {
  State(const SrhtParams& params, const B& backend);

  /// One tile: x (rows, in_features) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;

  SrhtParams params;
  std::size_t length;  // of the transform
  SignBits<B> signs;
  Buffer<std::uint32_t, B> sample;
};

}  // namespace fastntk
