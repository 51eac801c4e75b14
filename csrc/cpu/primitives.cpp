// The primitives on the CPU: each hands its tile to the kernel of the chosen instruction set.
#include "../src/primitives.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels.hpp"

namespace fastntk {
namespace {

// z <- f(z), while z is in the cache.
template <Real T>
void activate(const Activation<T>& f, View<T, Cpu> z) {
  using Kind = typename Activation<T>::Kind;
  if (f.kind == Kind::relu) cpu::kernels<T>().relu(z.rows, z.cols, f.scale, z.data, z.stride);
  if (f.kind == Kind::step) cpu::kernels<T>().step(z.rows, z.cols, f.scale, z.data, z.stride);
}

// The columns of a matrix of so many in whole panels, and where column j of it starts, of d entries a panel's width apart.
template <Real T>
std::size_t panelled_columns(std::size_t cols) {
  constexpr std::size_t step = ProjectionMatrix<T, Cpu>::column_step;
  static_assert(step * sizeof(T) == cpu::projection_panel_bytes);
  return (cols + step - 1) / step * step;
}
template <Real T>
T* panelled_column(T* panels, std::size_t d, std::size_t j) {
  constexpr std::size_t step = ProjectionMatrix<T, Cpu>::column_step;
  return panels + j / step * step * d + j % step;
}

}  // namespace

template <Real T, Backend B>
void hadamard(Tile<B>&, View<const T, B> in, const std::uint32_t* signs, T scale, View<T, B> out) {
  cpu::kernels<T>().hadamard(in.rows, in.data, in.stride, in.cols, signs, scale, out.data, out.stride,
                             std::countr_zero(out.cols));
}

template <Real T, Backend B>
void gather(Tile<B>&, View<const T, B> in, const std::uint32_t* index, T scale, View<T, B> out) {
  cpu::kernels<T>().gather(in.rows, in.data, in.stride, index, scale, out.data, out.stride, out.cols);
}

template <Real T, Backend B>
void gather_product(Tile<B>&, View<const T, B> a, const std::uint32_t* index_a, View<const T, B> b,
                    const std::uint32_t* index_b, T scale, View<T, B> out) {
  cpu::kernels<T>().gather_product(a.rows, a.data, a.stride, index_a, b.data, b.stride, index_b, scale, out.data, out.stride,
                                   out.cols);
}

template <Real T, Backend B>
bool samples_on_chip(const B&, std::size_t) {
  return false;
}
template <Real T, Backend B>
bool samples_on_chip(const B&, std::size_t, std::size_t) {
  return false;
}

template <Real T, Backend B>
void hadamard_gather(Tile<B>& tile, View<const T, B> in, const std::uint32_t* signs, std::size_t n,
                     const std::uint32_t* index, T scale, View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> transformed = tile.template scratch<T>(in.rows, n);
  hadamard<T, B>(tile, in, signs, T(1), transformed);
  gather<T, B>(tile, transformed, index, scale, out);
}

template <Real T, Backend B>
void hadamard_gather_product(Tile<B>& tile, View<const T, B> other, const std::uint32_t* index_other, View<const T, B> in,
                             const std::uint32_t* signs, std::size_t n, const std::uint32_t* index, T scale,
                             View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> transformed = tile.template scratch<T>(in.rows, n);
  hadamard<T, B>(tile, in, signs, T(1), transformed);
  gather_product<T, B>(tile, other, index_other, transformed, index, scale, out);
}

template <Real T, Backend B>
void tensor_srht(Tile<B>& tile, const TensorFactor<T, B>& a, const TensorFactor<T, B>& b, T scale, View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> first = tile.template scratch<T>(a.rows.rows, a.length);
  hadamard<T, B>(tile, a.rows, a.signs, T(1), first);
  hadamard_gather_product<T, B>(tile, first, a.sample, b.rows, b.signs, b.length, b.sample, scale, out);
}

template <Real T, Backend B>
void copy(Tile<B>&, View<const T, B> in, View<T, B> out) {
  for (std::size_t i = 0; i < out.rows; ++i) std::copy_n(in.row(i), out.cols, out.row(i));
}

template <Real T, Backend B>
SketchMatrix<T, B>::SketchMatrix(const B&, std::size_t, std::size_t nnz, Buffer<std::uint32_t, B> rows, Buffer<T, B> weights)
    : s(nnz), bucket(std::move(rows)), weight(std::move(weights)) {}

template <Real T, Backend B>
void count_sketch(Tile<B>& tile, View<const T, B> in, const SketchMatrix<T, B>& matrix, View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  T* const sums = tile.template scratch<T>(1, cpu::count_sketch_work<T>(out.cols)).data;
  cpu::kernels<T>().count_sketch_dense(in.rows, in.data, in.stride, in.cols, matrix.bucket.data(), matrix.weight.data(),
                                       matrix.s, sums, out.data, out.stride, out.cols);
}

template <Real T, Backend B>
void count_sketch(Tile<B>&, CsrView<T, B> in, const SketchMatrix<T, B>& matrix, View<T, B> out) {
  cpu::kernels<T>().count_sketch_sparse(in.rows, in.values, in.columns, in.row_starts, matrix.bucket.data(),
                                        matrix.weight.data(), matrix.s, out.data, out.stride, out.cols);
}

template <Real T, Backend B>
void transpose(Tile<B>&, View<const T, B> in, View<T, B> out, bool above_diagonal) {
  cpu::kernels<T>().transpose(in.rows, in.cols, in.data, in.stride, out.data, out.stride, above_diagonal);
}

template <Real T, Backend B>
void unit_rows(Tile<B>&, View<const T, B> in, T bias, View<T, B> out, T* norm) {
  cpu::kernels<T>().unit_rows(in.rows, in.data, in.stride, in.cols, bias, out.data, out.stride, out.cols, norm);
}

template <Real T, Backend B>
void signed_gaps(Tile<B>&, View<const T, B> cosine, View<const T, B> u, View<const T, B> v, const NearPairs& near,
                 View<T, B> gap) {
  cpu::kernels<T>().signed_gaps(cosine.rows, cosine.cols, cosine.data, cosine.stride, u.data, u.stride, v.data, v.stride,
                                u.cols, static_cast<T>(near.positive), static_cast<T>(near.negative), gap.data, gap.stride);
}

template <Real T, Backend B>
void relu_kernel(Tile<B>&, ReluKernel kind, std::size_t depth, View<const T, B> gap, const T* row_norm, const T* col_norm,
                 View<T, B> out) {
  cpu::kernels<T>().relu_kernel(kind, depth, gap.rows, gap.cols, gap.data, gap.stride, row_norm, col_norm, out.data,
                                out.stride);
}

template <Real T, Backend B>
ProjectionMatrix<T, B>::ProjectionMatrix(const B& backend, std::uint64_t seed, std::size_t d, std::size_t cols,
                                         bool on_sphere)
    : d_(d), cols_(cols), entries_(backend, panelled_columns<T>(cols) * d) {
  const rng::Draws draws{seed, rng::Stream::normal};
  const std::size_t even_d = (d + 1) / 2 * 2;
  std::fill_n(entries_.data(), entries_.size(), T(0));
  for_host_blocks(cols, 64, [&](std::size_t begin, std::size_t end) {
    std::vector<double> w(even_d);
    for (std::size_t j = begin; j < end; ++j) {
      double square = 0;
      for (std::size_t i = 0; i < even_d; i += 2) {
        const auto pair = rng::Draws::normal_pair(draws.bits((j * even_d + i) / 2));
        w[i] = pair[0];
        w[i + 1] = pair[1];
      }
      for (std::size_t i = 0; i < d; ++i) square += w[i] * w[i];
      const double scale = on_sphere ? std::sqrt(static_cast<double>(d) / square) : 1;
      T* const into = panelled_column(entries_.data(), d, j);
      for (std::size_t i = 0; i < d; ++i) into[i * column_step] = static_cast<T>(w[i] * scale);
    }
  });
}

template <Real T, Backend B>
ProjectionMatrix<T, B>::ProjectionMatrix(const B& backend, View<const T, B> columns)
    : d_(columns.cols), cols_(columns.rows), entries_(backend, panelled_columns<T>(cols_) * d_) {
  std::fill_n(entries_.data(), entries_.size(), T(0));
  for_host_blocks(cols_, 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t j = begin; j < end; ++j)
      for (std::size_t i = 0; i < d_; ++i) panelled_column(entries_.data(), d_, j)[i * column_step] = columns(j, i);
  });
}

template <Real T, Backend B>
void project(Tile<B>&, View<const T, B> x, const ProjectionMatrix<T, B>& w, std::size_t first, const Activation<T>& f,
             View<T, B> out) {
  cpu::kernels<T>().project(x.rows, x.data, x.stride, x.cols, w.data() + first * w.rows(), out.data, out.stride, out.cols);
  activate(f, out);
}

template <Real T, Backend B>
void rotated_hadamard(Tile<B>& tile, View<const T, B> in, const T* rotation, const T* length, std::size_t n,
                      const Activation<T>& f, View<T, B> out) {
  const typename Tile<B>::Scope scope(tile);
  cpu::kernels<T>().rotated_hadamard(in.rows, in.data, in.stride, in.cols, rotation, length, out.data, out.stride, out.cols,
                                     std::countr_zero(n), tile.template scratch<T>(1, cpu::rotated_work(n)).data);
  activate(f, out);
}

template <Real T, Backend B>
void dual_features(Tile<B>&, const DualTable<T, B>& g, View<T, B> z, T* square) {
  cpu::kernels<T>().dual_features(z.rows, z.cols, g.cubic.data(), DualActivation::first_octave, g.even, z.data, z.stride,
                                  square);
}

// The steps find a tile's rows in the cache: nothing is gained.
template <Real T, Backend B>
bool has_dual_rows(const B&, std::size_t, std::size_t) {
  return false;
}
template <Real T, Backend B>
void dual_rows(Tile<B>&, const DualRows<T, B>&, View<const T, B>, const T*, View<T, B>) {}

template <Real T, Backend B>
void scale_rows(Tile<B>&, const T* factor, View<const T, B> in, View<T, B> out) {
  cpu::kernels<T>().scale_rows(in.rows, in.cols, factor, in.data, in.stride, out.data, out.stride);
}

template <Real T, Backend B>
void multiply(Tile<B>&, View<const T, B> a, View<const T, B> b, T scale, bool add, View<T, B> out) {
  cpu::kernels<T>().multiply(out.rows, out.cols, a.data, a.stride, b.data, b.stride, scale, add, out.data, out.stride);
}

template <Real T, Backend B>
void row_squares(Tile<B>&, View<const T, B> in, T* square) {
  cpu::kernels<T>().row_squares(in.rows, in.cols, in.data, in.stride, square);
}

#define FASTNTK_INSTANTIATE(T)                                                                                              \
  template void hadamard(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, T, View<T, Cpu>);                            \
  template void hadamard_gather(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, std::size_t, const std::uint32_t*, T, \
                                View<T, Cpu>);                                                                              \
  template void hadamard_gather_product(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, View<const T, Cpu>,           \
                                        const std::uint32_t*, std::size_t, const std::uint32_t*, T, View<T, Cpu>);          \
  template void tensor_srht(Tile<Cpu>&, const TensorFactor<T, Cpu>&, const TensorFactor<T, Cpu>&, T, View<T, Cpu>);         \
  template void gather(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, T, View<T, Cpu>);                              \
  template void gather_product(Tile<Cpu>&, View<const T, Cpu>, const std::uint32_t*, View<const T, Cpu>,                    \
                               const std::uint32_t*, T, View<T, Cpu>);                                                      \
  template void rotated_hadamard(Tile<Cpu>&, View<const T, Cpu>, const T*, const T*, std::size_t, const Activation<T>&,     \
                                 View<T, Cpu>);                                                                             \
  template class ProjectionMatrix<T, Cpu>;                                                                                  \
  template void project(Tile<Cpu>&, View<const T, Cpu>, const ProjectionMatrix<T, Cpu>&, std::size_t, const Activation<T>&, \
                        View<T, Cpu>);                                                                                      \
  template bool samples_on_chip<T>(const Cpu&, std::size_t);                                                                \
  template bool samples_on_chip<T>(const Cpu&, std::size_t, std::size_t);                                                   \
  template bool has_dual_rows<T>(const Cpu&, std::size_t, std::size_t);                                                     \
  template void dual_rows(Tile<Cpu>&, const DualRows<T, Cpu>&, View<const T, Cpu>, const T*, View<T, Cpu>);                 \
  template void dual_features(Tile<Cpu>&, const DualTable<T, Cpu>&, View<T, Cpu>, T*);                                      \
  template void scale_rows(Tile<Cpu>&, const T*, View<const T, Cpu>, View<T, Cpu>);                                         \
  template void multiply(Tile<Cpu>&, View<const T, Cpu>, View<const T, Cpu>, T, bool, View<T, Cpu>);                        \
  template void row_squares(Tile<Cpu>&, View<const T, Cpu>, T*);                                                            \
  template void copy(Tile<Cpu>&, View<const T, Cpu>, View<T, Cpu>);                                                         \
  template struct SketchMatrix<T, Cpu>;                                                                                     \
  template void count_sketch(Tile<Cpu>&, View<const T, Cpu>, const SketchMatrix<T, Cpu>&, View<T, Cpu>);                    \
  template void count_sketch(Tile<Cpu>&, CsrView<T, Cpu>, const SketchMatrix<T, Cpu>&, View<T, Cpu>);                       \
  template void transpose(Tile<Cpu>&, View<const T, Cpu>, View<T, Cpu>, bool);                                              \
  template void unit_rows(Tile<Cpu>&, View<const T, Cpu>, T, View<T, Cpu>, T*);                                             \
  template void signed_gaps(Tile<Cpu>&, View<const T, Cpu>, View<const T, Cpu>, View<const T, Cpu>, const NearPairs&,       \
                            View<T, Cpu>);                                                                                  \
  template void relu_kernel(Tile<Cpu>&, ReluKernel, std::size_t, View<const T, Cpu>, const T*, const T*, View<T, Cpu>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
