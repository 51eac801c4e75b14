// Features of pixels, on the CPU.
#include "../src/pixel_primitives.hpp"

#include "kernels.hpp"

namespace fastntk {

template <Real T, Backend B>
void fold_patches(Tile<B>& tile, const PatchBand& band, View<const T, B> in, const PatchFold<T>& fold, View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t q = band.q, area = q * q;
  // A row of pixels at a time, whose patches are read again from the second-level cache.
  auto** const taps = static_cast<const T**>(tile.allocate(band.width * area * sizeof(const T*)));
  for (std::size_t b = 0; b < band.in.images; ++b)
    for (std::size_t i = 0; i < band.count; ++i) {
      for (std::size_t j = 0; j < band.width; ++j)
        for (std::size_t k = 0; k < area; ++k) {
          // Unsigned: positions before the image are beyond its end.
          const std::size_t y = band.first + i + k / q - band.pad;
          const std::size_t x = j + k % q - band.pad;
          taps[j * area + k] = y < band.in.height && x < band.in.width ? in.row(band.in.row(b, y, x)) : nullptr;
        }
      cpu::kernels<T>().fold_patches(band.width, taps, area, out.cols, fold.shift, fold.weight,
                                     out.row((b * band.count + i) * band.width), out.stride);
    }
}

template <Real T, Backend B>
void pixel_features(Tile<B>&, const PixelFeatures<T>& features, View<T, B> z, const T* mean, const T* norm, T scale_1,
                    T scale_0, View<T, B> phi, View<T, B> gate) {
  cpu::kernels<T>().pixel_features(features, z.rows, z.cols / features.degree, z.data, z.stride, mean, norm, scale_1,
                                   scale_0, phi.data, phi.stride, gate.data, gate.stride);
}

template <Real T, Backend B>
void add_combinations(Tile<B>&, View<const T, B> coefficient, const T* vector, View<T, B> io) {
  cpu::kernels<T>().add_combinations(io.rows, coefficient.cols, coefficient.data, coefficient.stride, vector, io.data,
                                     io.stride, io.cols);
}

template <Real T, Backend B>
void mix_features(Tile<B>&, View<const T, B> psi, View<const T, B> phi, View<const T, B> gate, T scale, const T* sign_phi,
                  const T* sign_product, View<T, B> out) {
  cpu::kernels<T>().mix_features(out.rows, out.cols, psi.data, psi.stride, phi.data, phi.stride, gate.data, gate.stride,
                                 scale, sign_phi, sign_product, out.data, out.stride);
}

template <Real T, Backend B>
void pool_columns(Tile<B>&, const PoolColumns<T>& columns, std::size_t first_pixel, std::size_t pixels, View<const T, B> psi,
                  View<const T, B> phi, View<const T, B> gate, View<T, B> out) {
  const std::size_t m = psi.data ? psi.cols : phi.cols;
  for (std::size_t b = 0; b < out.rows; ++b) {
    const auto of_image = [&](View<const T, B> v) { return v.data ? v.row(b * pixels) : nullptr; };
    cpu::kernels<T>().pool_columns(columns, first_pixel, pixels, m, of_image(psi), psi.stride, of_image(phi), phi.stride,
                                   of_image(gate), gate.stride, out.row(b), out.cols);
  }
}

#define FASTNTK_INSTANTIATE(T)                                                                                              \
  template void fold_patches(Tile<Cpu>&, const PatchBand&, View<const T, Cpu>, const PatchFold<T>&, View<T, Cpu>);          \
  template void pixel_features(Tile<Cpu>&, const PixelFeatures<T>&, View<T, Cpu>, const T*, const T*, T, T, View<T, Cpu>,   \
                               View<T, Cpu>);                                                                               \
  template void add_combinations(Tile<Cpu>&, View<const T, Cpu>, const T*, View<T, Cpu>);                                   \
  template void mix_features(Tile<Cpu>&, View<const T, Cpu>, View<const T, Cpu>, View<const T, Cpu>, T, const T*, const T*, \
                             View<T, Cpu>);                                                                                 \
  template void pool_columns(Tile<Cpu>&, const PoolColumns<T>&, std::size_t, std::size_t, View<const T, Cpu>,               \
                             View<const T, Cpu>, View<const T, Cpu>, View<T, Cpu>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
