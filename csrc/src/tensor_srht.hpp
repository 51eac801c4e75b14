// The inside of TensorSrht, for the operators built on it.
#pragma once

#include <fastntk/tensor_srht.hpp>

#include <cstdint>

#include "primitives.hpp"

namespace fastntk {

template <Real T, Backend B>
struct TensorSrht<T, B>::State {
  State(const TensorSrhtParams& params, const B& backend);

  /// One tile: x (rows, in_features_1), y (rows, in_features_2) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<const T, B> y, View<T, B> out) const;

  /// The steps of apply, for those who reuse a transformed factor: H D1 x (rows, length_1), H D2 y (rows, length_2), and the
  /// product of their samples. A factor that is the same for all rows may have stride 0.
  void transform_first(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;
  void transform_second(Tile<B>& tile, View<const T, B> y, View<T, B> out) const;
  void combine(Tile<B>& tile, View<const T, B> first, View<const T, B> second, View<T, B> out) const;

  /// transform_second and combine in one; `out` may be y.
  void transform_and_combine(Tile<B>& tile, View<const T, B> first, View<const T, B> y, View<T, B> out) const;

  T scale() const;  // of the samples' product

  TensorSrhtParams params;
  std::size_t length_1;  // of the two transforms
  std::size_t length_2;
  SignBits<B> signs_1;
  SignBits<B> signs_2;
  Buffer<std::uint32_t, B> sample_1;
  Buffer<std::uint32_t, B> sample_2;
};

}  // namespace fastntk
