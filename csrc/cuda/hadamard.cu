// The transform of rows of float and double.
#include "../src/primitives.hpp"
#include "hadamard_rows.cuh"

namespace fastntk {

template <Real T, Backend B>
void hadamard(Tile<B>& tile, View<const T, B> in, const std::uint32_t* signs, T scale, View<T, B> out) {
  cuda::transform_rows<T>(tile, in, signs, scale, out);
}

template void hadamard(Tile<Cuda>&, View<const float, Cuda>, const std::uint32_t*, float, View<float, Cuda>);
template void hadamard(Tile<Cuda>&, View<const double, Cuda>, const std::uint32_t*, double, View<double, Cuda>);

}  // namespace fastntk
