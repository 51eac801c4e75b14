// The transform of rows of float and double.
#include "../src/primitives.hpp"
#include "hadamard_rows.cuh"

namespace fastntk {

template <Real T, Backend B>
void hadamard(Tile<B>& tile, View<const T, B> in, const std::uint32_t* signs, T scale, View<T, B> out) {
  const int log2_n = std::countr_zero(out.cols);
  const cuda::Source<T> source{in.data, in.rows, in.stride, in.cols, signs, scale};
  const auto with_vectors = [&](auto v) {
    if (out.cols * sizeof(T) <= cuda::transform_bytes_on_chip(tile.backend().device)) {
      cuda::transform_rows<v, T>(tile.backend(), source, {out.data, out.rows, out.stride}, log2_n);
    } else {
      cuda::transform_long_rows<v>(tile.backend(), source, out, log2_n);
    }
  };
  if (cuda::in_vectors(in.data, in.stride, in.cols) && cuda::in_vectors(out.data, out.stride, out.cols)) {
    with_vectors(std::integral_constant<int, cuda::log2_pack<T>>{});
  } else {
    with_vectors(std::integral_constant<int, 0>{});
  }
}

template void hadamard(Tile<Cuda>&, View<const float, Cuda>, const std::uint32_t*, float, View<float, Cuda>);
template void hadamard(Tile<Cuda>&, View<const double, Cuda>, const std::uint32_t*, double, View<double, Cuda>);

}  // namespace fastntk
