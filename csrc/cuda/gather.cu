// Samples of rows in memory, products of rows and of samples, and copies.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../src/primitives.hpp"
#include "columns.cuh"
#include "hadamard_sample.cuh"

namespace fastntk {

namespace cuda {
namespace {

struct SampledColumn {
  const std::uint32_t* index;
  __device__ std::uint32_t operator()(std::size_t j) const { return index[j]; }
};

struct ColumnPair {
  std::uint32_t a, b;
};

struct SampledPair {
  const std::uint32_t* a;
  const std::uint32_t* b;
  __device__ ColumnPair operator()(std::size_t j) const { return {a[j], b[j]}; }
};

template <class T>
struct Copied {
  View<const T, Cuda> in;
  __device__ T operator()(std::size_t r, std::size_t j) const { return in(r, j); }
};

template <class T, bool with_b, bool with_sum>
struct Product {
  View<const T, Cuda> a, b;
  T scale;
  View<T, Cuda> out;
  __device__ T operator()(std::size_t r, std::size_t j) const {
    T value = scale * a(r, j);
    if constexpr (with_b) value *= b(r, j);
    if constexpr (with_sum) value += out(r, j);
    return value;
  }
};

template <class T>
struct Scaled {
  View<const T, Cuda> in;
  T scale;
  __device__ T operator()(std::size_t r, std::uint32_t j) const { return scale * in(r, j); }
};

template <class T>
struct ScaledProduct {
  View<const T, Cuda> a, b;
  T scale;
  __device__ T operator()(std::size_t r, ColumnPair j) const { return scale * a(r, j.a) * b(r, j.b); }
};

}  // namespace
}  // namespace cuda

template <Real T, Backend B>
void gather(Tile<B>& tile, View<const T, B> in, const std::uint32_t* index, T scale, View<T, B> out) {
  cuda::fill_columns(tile.backend(), out, cuda::SampledColumn{index}, cuda::Scaled<T>{in, scale});
}

template <Real T, Backend B>
void gather_product(Tile<B>& tile, View<const T, B> a, const std::uint32_t* index_a, View<const T, B> b,
                    const std::uint32_t* index_b, T scale, View<T, B> out) {
  if (cuda::product_on_chip(tile.backend(), a, index_a, b, index_b, scale, out)) return;
  cuda::fill_columns(tile.backend(), out, cuda::SampledPair{index_a, index_b}, cuda::ScaledProduct<T>{a, b, scale});
}

template <Real T, Backend B>
void multiply(Tile<B>& tile, View<const T, B> a, View<const T, B> b, T scale, bool add, View<T, B> out) {
  const auto run = [&]<bool with_b, bool with_sum>(std::bool_constant<with_b>, std::bool_constant<with_sum>) {
    cuda::fill_columns(tile.backend(), out, cuda::SameColumn{}, cuda::Product<T, with_b, with_sum>{a, b, scale, out});
  };
  const auto with = [&](auto factor) { return add ? run(factor, std::true_type{}) : run(factor, std::false_type{}); };
  b.data ? with(std::true_type{}) : with(std::false_type{});
}

template <Real T, Backend B>
void copy(Tile<B>& tile, View<const T, B> in, View<T, B> out) {
  cuda::fill_columns(tile.backend(), out, cuda::SameColumn{}, cuda::Copied<T>{in});
}

#define FASTNTK_INSTANTIATE(T)                                                                              \
  template void gather(Tile<Cuda>&, View<const T, Cuda>, const std::uint32_t*, T, View<T, Cuda>);           \
  template void gather_product(Tile<Cuda>&, View<const T, Cuda>, const std::uint32_t*, View<const T, Cuda>, \
                               const std::uint32_t*, T, View<T, Cuda>);                                     \
  template void multiply(Tile<Cuda>&, View<const T, Cuda>, View<const T, Cuda>, T, bool, View<T, Cuda>);    \
  template void copy(Tile<Cuda>&, View<const T, Cuda>, View<T, Cuda>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
