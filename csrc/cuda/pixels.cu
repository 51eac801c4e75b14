// Features of pixels: the primitives of src/pixel_primitives.hpp. Each reads and writes a field once; what is read several
// times comes from the caches.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

#include "../src/pixel_primitives.hpp"
#include "arithmetic.cuh"
#include "columns.cuh"
#include "hadamard_chunk.cuh"
#include "platform.cuh"
#include "runtime.cuh"

namespace fastntk {
namespace {

constexpr unsigned block_threads = 256;

/// Neighbouring pixels whose patches a thread adds up at one place of their vectors: they share its weights.
constexpr unsigned run_pixels = 8;

/// Neighbouring entries, read and written at once: 16 bytes, or one entry where rows are not aligned to that.
template <class T, unsigned size>
struct alignas(size * sizeof(T)) Entries {
  T v[size];
};

// A block has several runs of neighbouring pixels, or one; `lanes` threads walk over a run's m entries. A pixel's m entries
// are read from memory and m are written; the second-level cache gives (run_pixels + q - 1) q / run_pixels times m, 3.75 for
// q = 3. A pixel serves the q patches of its row that it is in from the first level, to which block_threads * size of its
// entries come together.
template <class T, unsigned size>
__global__ void __launch_bounds__(block_threads, 2)
    fold_patches_kernel(PatchBand band, View<const T, Cuda> in, PatchFold<T> fold, View<T, Cuda> out, unsigned lanes,
                        std::size_t runs) {
  using Pack = Entries<T, size>;
  // Numbers of vectors, of which no device holds 2^32.
  const unsigned run = blockIdx.x * (blockDim.x / lanes) + threadIdx.x / lanes;
  if (run >= runs) return;
  const auto out_width = static_cast<unsigned>(band.width), count = static_cast<unsigned>(band.count);
  const unsigned runs_across = (out_width + run_pixels - 1) / run_pixels;
  const unsigned out_line = run / runs_across, first = run % runs_across * run_pixels;
  const unsigned image = out_line / count, top = static_cast<unsigned>(band.first) + out_line % count;
  const auto m = static_cast<unsigned>(in.cols), q = static_cast<unsigned>(band.q), pad = static_cast<unsigned>(band.pad);
  const auto in_height = static_cast<unsigned>(band.in.height), in_width = static_cast<unsigned>(band.in.width);

  for (unsigned c = threadIdx.x % lanes * size; c < m; c += lanes * size) {
    Pack sum[run_pixels] = {};
    for (unsigned a = 0; a < q; ++a) {
      const unsigned i = top + a - pad;  // wraps above the image, as columns do to its left
      if (i >= in_height) continue;
      const T* const line = in.row(band.in.row(image, i, 0));
      for (unsigned b = 0; b < q; ++b) {
        const unsigned k = a * q + b, left = first + b - pad;
        const Pack weight = *reinterpret_cast<const Pack*>(fold.weight + std::size_t{k} * m + c);
        const unsigned rotated = c + fold.shift[k];
        const T* const from = line + (rotated < m ? rotated : rotated - m);
#pragma unroll
        for (unsigned p = 0; p < run_pixels; ++p) {
          if (left + p >= in_width) continue;
          const Pack x = *reinterpret_cast<const Pack*>(from + (left + p) * in.stride);
#pragma unroll
          for (unsigned e = 0; e < size; ++e) sum[p].v[e] += weight.v[e] * x.v[e];
        }
      }
    }
#pragma unroll
    for (unsigned p = 0; p < run_pixels; ++p)
      if (first + p < out_width)
        *reinterpret_cast<Pack*>(out.row(std::size_t{out_line} * out_width + first + p) + c) = sum[p];
  }
}

template <unsigned size, Real T>
void fold_patches_by(const Cuda& backend, const PatchBand& band, View<const T, Cuda> in, const PatchFold<T>& fold,
                     View<T, Cuda> out) {
  const auto lanes = static_cast<unsigned>(std::min<std::size_t>(in.cols / size, block_threads));
  const unsigned runs_a_block = block_threads / lanes;
  const std::size_t runs = band.in.images * band.count * ((band.width + run_pixels - 1) / run_pixels);
  cuda::launch(backend, {(runs + runs_a_block - 1) / runs_a_block, lanes * runs_a_block}, fold_patches_kernel<T, size>, band,
               in, fold, out, lanes, runs);
}

/// Pixels of a block that makes features: they share the constants.
constexpr unsigned feature_pixels = 4;

// First a warp each for the mean squares of the pixels' projections, then a thread for an entry of all pixels. With degree
// * m entries of z, m of phi and of gate go through memory; z comes twice, at best from the first-level cache the second
// time, and a pixel's share of the constants, 3 degree * m / feature_pixels, from there as well.
template <class T>
__global__ void __launch_bounds__(block_threads)
    pixel_features_kernel(PixelFeatures<T> f, View<const T, Cuda> z, const T* mean, const T* norm, T scale_1, T scale_0,
                          View<T, Cuda> phi, View<T, Cuda> gate) {
  T* const inverse = cuda::shared_memory<T>();  // of the roots of the mean squares
  const auto degree = static_cast<unsigned>(f.degree);
  const auto m = static_cast<unsigned>(z.cols) / degree;
  const std::size_t first = std::size_t{blockIdx.x} * feature_pixels;
  // What is beyond the last pixel is the last pixel again, and not written.
  const auto row_of = [&](unsigned p) { return first + p < z.rows ? first + p : z.rows - 1; };
  const bool shifted = mean && f.offset;

  const unsigned lane = threadIdx.x % 32;
  for (unsigned pair = threadIdx.x / 32; pair < feature_pixels * degree; pair += block_threads / 32) {
    const std::size_t row = row_of(pair / degree);
    const unsigned block = pair % degree * m;
    const T shift = shifted ? mean[row] : T(0);
    T square = 0;
    for (unsigned c = lane; c < m; c += 32) {
      const T u = shifted ? z(row, block + c) + shift * f.offset[block + c] : z(row, block + c);
      square += u * u;
    }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) square += __shfl_xor_sync(cuda::whole_warp, square, distance);
    const auto count = static_cast<T>(m);
    if (lane == 0) inverse[pair] = square >= count * least_mean_square<T> ? std::sqrt(count / square) : T(0);
  }
  __syncthreads();

  T pixel_mean[feature_pixels], pixel_scale[feature_pixels];
#pragma unroll
  for (unsigned p = 0; p < feature_pixels; ++p) {
    pixel_mean[p] = shifted ? mean[row_of(p)] : T(0);
    pixel_scale[p] = phi.data ? norm[row_of(p)] * scale_1 : T(0);
  }
  for (unsigned c = threadIdx.x; c < m; c += block_threads) {
    T product[feature_pixels], f_1[feature_pixels] = {}, f_0[feature_pixels] = {};
#pragma unroll
    for (unsigned p = 0; p < feature_pixels; ++p) product[p] = 1;
    for (unsigned j = 0; j < degree; ++j) {
      const unsigned column = j * m + c;
      const T offset = shifted ? f.offset[column] : T(0);
      const T kappa_1 = !f.relu && phi.data ? f.kappa_1[column] : T(0);
      const T kappa_0 = !f.relu && gate.data ? f.kappa_0[column] : T(0);
#pragma unroll
      for (unsigned p = 0; p < feature_pixels; ++p) {
        product[p] *= (z(row_of(p), column) + pixel_mean[p] * offset) * inverse[p * degree + j];
        f_1[p] += kappa_1 * product[p];
        f_0[p] += kappa_0 * product[p];
      }
    }
    const T constant = phi.data ? f.constant[c] : T(0);
#pragma unroll
    for (unsigned p = 0; p < feature_pixels; ++p) {
      if (first + p >= z.rows) break;
      if (f.relu) {
        const T u = product[p];
        f_1[p] = std::numbers::sqrt2_v<T> * (u > 0 ? u : T(0)) - std::numbers::inv_sqrtpi_v<T>;
        f_0[p] = static_cast<T>((u > 0) - (u < 0)) * (std::numbers::sqrt2_v<T> / 2);
      }
      if (phi.data) phi(first + p, c) = pixel_scale[p] * (f_1[p] + constant);
      if (gate.data) gate(first + p, c) = scale_0 * f_0[p];
    }
  }
}

// Entries of a pixel, one thread's each; a block has several pixels, which share what belongs to a column. Combination moves
// 2m entries a pixel, Mixture 4m.

template <class T>
struct Combination {
  View<const T, Cuda> coefficient;
  const T* vector;
  View<T, Cuda> io;
  __device__ T operator()(std::size_t r, std::size_t c) const {
    T sum = io(r, c);
    for (std::size_t j = 0; j < coefficient.cols; ++j) sum += coefficient(r, j) * vector[j * io.cols + c];
    return sum;
  }
};

template <class T>
struct Mixture {
  struct Signs {
    std::size_t c;
    T phi, product;
  };
  struct Column {
    const T *sign_phi, *sign_product;
    __device__ Signs operator()(std::size_t c) const { return {c, sign_phi[c], sign_product[c]}; }
  };
  View<const T, Cuda> psi, phi, gate;
  T scale;
  __device__ T operator()(std::size_t r, const Signs& sign) const {
    const T value = psi(r, sign.c);
    return scale * value + sign.phi * phi(r, sign.c) + sign.product * value * gate(r, sign.c);
  }
};

// A thread has the columns c, m + c, ... of an image, `blocks` of them, and walks over the pixels. For every column and
// pixel (3 + blocks) / blocks entries come from the second-level cache, four at one block, and no more from memory than m
// entries of psi, phi and gate; and 1/32 of a word of signs.
template <class T, unsigned blocks>
__global__ void __launch_bounds__(block_threads)
    pool_columns_kernel(PoolColumns<T> columns, std::size_t first_pixel, std::size_t pixels, View<const T, Cuda> psi,
                        View<const T, Cuda> phi, View<const T, Cuda> gate, std::size_t m, View<T, Cuda> out) {
  const std::size_t thread = std::size_t{blockIdx.x} * block_threads + threadIdx.x;
  const std::size_t columns_across = (out.cols + blocks * m - 1) / (blocks * m) * m;
  const std::size_t image = thread / columns_across;
  if (image >= out.rows) return;
  const std::size_t c = thread % m;
  const std::size_t first = thread % columns_across / m * blocks;

  // Beyond the last column a thread has column 0 again, and writes nothing.
  std::size_t column[blocks], rotated[blocks];
  T linear[blocks], product[blocks], last[blocks], sum[blocks];
#pragma unroll
  for (unsigned l = 0; l < blocks; ++l) {
    const std::size_t own = (first + l) * m + c;
    column[l] = own < out.cols ? own : 0;
    rotated[l] = (c + columns.shift[column[l] / m]) % m;
    linear[l] = psi.data ? columns.linear[column[l]] : T(0);
    product[l] = psi.data ? columns.product[column[l]] : T(0);
    last[l] = phi.data ? columns.last[column[l]] : T(0);
    sum[l] = own < out.cols ? out(image, own) : T(0);
  }
#pragma unroll 8
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    const std::size_t row = image * pixels + pixel;
    const std::size_t words = (first_pixel + pixel) * columns.words;
    const T at_psi = psi.data ? psi(row, c) : T(0);
    const T at_gate = psi.data ? gate(row, c) : T(0);
    const T at_phi = phi.data ? phi(row, c) : T(0);
#pragma unroll
    for (unsigned l = 0; l < blocks; ++l) {
      const T partner = psi.data ? psi(row, rotated[l]) : T(0);
      const std::uint32_t word = columns.signs ? columns.signs[words + column[l] / 32] : 0;
      // Bits must not depend on how many columns a thread has, and so not on where the compiler would round a product.
      const T value = cuda::multiply_add(product[l], partner * at_gate,
                                         cuda::multiply_add(linear[l], at_psi, cuda::rounded_product(last[l], at_phi)));
      sum[l] += cuda::flipped(value, word, static_cast<unsigned>(column[l] % 32));
    }
  }
#pragma unroll
  for (unsigned l = 0; l < blocks; ++l)
    if ((first + l) * m + c < out.cols) out(image, column[l]) = sum[l];
}

template <unsigned blocks, Real T>
void pool_columns_by(const Cuda& backend, const PoolColumns<T>& columns, std::size_t first_pixel, std::size_t pixels,
                     View<const T, Cuda> psi, View<const T, Cuda> phi, View<const T, Cuda> gate, View<T, Cuda> out) {
  const std::size_t m = psi.data ? psi.cols : phi.cols;
  const std::size_t threads = out.rows * ((out.cols + blocks * m - 1) / (blocks * m)) * m;
  cuda::launch(backend, {(threads + block_threads - 1) / block_threads, block_threads}, pool_columns_kernel<T, blocks>,
               columns, first_pixel, pixels, psi, phi, gate, m, out);
}

}  // namespace

template <Real T, Backend B>
void fold_patches(Tile<B>& tile, const PatchBand& band, View<const T, B> in, const PatchFold<T>& fold, View<T, B> out) {
  const auto aligned = [](const T* data, std::size_t stride) { return cuda::in_vectors(data, stride, 0); };
  if (aligned(in.data, in.stride) && aligned(out.data, out.stride) && aligned(fold.weight, 0))
    fold_patches_by<16 / sizeof(T)>(tile.backend(), band, in, fold, out);
  else
    fold_patches_by<1>(tile.backend(), band, in, fold, out);
}

template <Real T, Backend B>
void pixel_features(Tile<B>& tile, const PixelFeatures<T>& features, View<T, B> z, const T* mean, const T* norm, T scale_1,
                    T scale_0, View<T, B> phi, View<T, B> gate) {
  cuda::launch(tile.backend(),
               {(z.rows + feature_pixels - 1) / feature_pixels, block_threads, feature_pixels * features.degree * sizeof(T)},
               pixel_features_kernel<T>, features, z, mean, norm, scale_1, scale_0, phi, gate);
}

template <Real T, Backend B>
void add_combinations(Tile<B>& tile, View<const T, B> coefficient, const T* vector, View<T, B> io) {
  cuda::fill_columns(tile.backend(), io, cuda::SameColumn{}, Combination<T>{coefficient, vector, io});
}

template <Real T, Backend B>
void mix_features(Tile<B>& tile, View<const T, B> psi, View<const T, B> phi, View<const T, B> gate, T scale,
                  const T* sign_phi, const T* sign_product, View<T, B> out) {
  cuda::fill_columns(tile.backend(), out, typename Mixture<T>::Column{sign_phi, sign_product},
                     Mixture<T>{psi, phi, gate, scale});
}

template <Real T, Backend B>
void pool_columns(Tile<B>& tile, const PoolColumns<T>& columns, std::size_t first_pixel, std::size_t pixels,
                  View<const T, B> psi, View<const T, B> phi, View<const T, B> gate, View<T, B> out) {
  // A thread with more columns reads less for each, where there are threads enough to hide how long that takes.
  constexpr unsigned together = 4;
  const std::size_t enough =
      std::size_t{2048} * static_cast<std::size_t>(cuda::limits(tile.backend().device).multiprocessors);
  if (out.rows * out.cols >= together * enough)
    pool_columns_by<together>(tile.backend(), columns, first_pixel, pixels, psi, phi, gate, out);
  else
    pool_columns_by<1>(tile.backend(), columns, first_pixel, pixels, psi, phi, gate, out);
}

#define FASTNTK_INSTANTIATE(T)                                                                                        \
  template void fold_patches(Tile<Cuda>&, const PatchBand&, View<const T, Cuda>, const PatchFold<T>&, View<T, Cuda>); \
  template void pixel_features(Tile<Cuda>&, const PixelFeatures<T>&, View<T, Cuda>, const T*, const T*, T, T,         \
                               View<T, Cuda>, View<T, Cuda>);                                                         \
  template void add_combinations(Tile<Cuda>&, View<const T, Cuda>, const T*, View<T, Cuda>);                          \
  template void mix_features(Tile<Cuda>&, View<const T, Cuda>, View<const T, Cuda>, View<const T, Cuda>, T, const T*, \
                             const T*, View<T, Cuda>);                                                                \
  template void pool_columns(Tile<Cuda>&, const PoolColumns<T>&, std::size_t, std::size_t, View<const T, Cuda>,       \
                             View<const T, Cuda>, View<const T, Cuda>, View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
