// Projections by random matrices.
#include <array>
#include <cmath>

#include "../src/primitives.hpp"
#include "for_each.cuh"
#include "gemm.cuh"

namespace fastntk {
namespace {

// out (d, cols) = the normals of primitives.hpp. They are computed in double, as on the CPU, and rounded once.
template <Real T>
void draw_normals(const Cuda& backend, std::uint64_t seed, std::size_t d, std::size_t cols, bool on_sphere, T* out) {
  const rng::Draws draws{seed, rng::Stream::normal};
  const std::size_t pairs = (d + 1) / 2;
  Tile<Cuda> tile(backend);
  double* const scale = tile.scratch<double>(1, cols).data;
  for_each(tile, cols, [=] FASTNTK_FORMULA(std::size_t j) {
    double square = 0;
    if (on_sphere)
      for (std::size_t i = 0; i < pairs; ++i) {
        const std::array<double, 2> w = rng::Draws::normal_pair(draws.bits(j * pairs + i));
        square += w[0] * w[0];
        if (2 * i + 1 < d) square += w[1] * w[1];
      }
    scale[j] = on_sphere ? std::sqrt(static_cast<double>(d) / square) : 1;
  });
  for_each(tile, pairs * cols, [=] FASTNTK_FORMULA(std::size_t index) {
    const std::size_t i = index / cols;
    const std::size_t j = index % cols;
    const std::array<double, 2> w = rng::Draws::normal_pair(draws.bits(j * pairs + i));
    out[2 * i * cols + j] = static_cast<T>(w[0] * scale[j]);
    if (2 * i + 1 < d) out[(2 * i + 1) * cols + j] = static_cast<T>(w[1] * scale[j]);
  });
}

// out (d, cols) = columns (cols, d), transposed.
template <Real T>
void set_columns(const Cuda& backend, View<const T, Cuda> columns, T* out) {
  Tile<Cuda> tile(backend);
  for_each(tile, columns.rows * columns.cols,
           [=] FASTNTK_FORMULA(std::size_t index) { out[index] = columns(index % columns.rows, index / columns.rows); });
}

// The emit() of the product: an entry's activation, on the way to memory.
template <Real T>
struct StoreActivation {
  Activation<T> f;
  View<T, Cuda> out;
  __device__ void operator()(std::size_t i, std::size_t j, T value) const { out(i, j) = f(value); }
};

}  // namespace

template <Real T, Backend B>
ProjectionMatrix<T, B>::ProjectionMatrix(const B& backend, std::uint64_t seed, std::size_t d, std::size_t cols,
                                         bool on_sphere)
    : d_(d), cols_(cols), entries_(backend, d * cols) {
  draw_normals<T>(backend, seed, d, cols, on_sphere, entries_.data());
}

template <Real T, Backend B>
ProjectionMatrix<T, B>::ProjectionMatrix(const B& backend, View<const T, B> columns)
    : d_(columns.cols), cols_(columns.rows), entries_(backend, columns.cols * columns.rows) {
  set_columns<T>(backend, columns, entries_.data());
}

template <Real T, Backend B>
void project(Tile<B>& tile, View<const T, B> x, const ProjectionMatrix<T, B>& w, std::size_t first, const Activation<T>& f,
             View<T, B> out) {
  const View<const T, B> columns(w.data() + first, w.rows(), out.cols, w.cols());
  cuda::gemm<cuda::WideGemm<T>>(tile.backend(), x, columns, StoreActivation<T>{f, out});
}

#define FASTNTK_INSTANTIATE(T)                                                                           \
  template class ProjectionMatrix<T, Cuda>;                                                              \
  template void project(Tile<Cuda>&, View<const T, Cuda>, const ProjectionMatrix<T, Cuda>&, std::size_t, \
                        const Activation<T>&, View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
