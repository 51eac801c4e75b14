// Predictions, the dual solver, and what else the estimators need of dense rows.
#include <fastntk/linear.hpp>

#include <fastntk/error.hpp>
#include <fastntk/memory.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "../src/primitives.hpp"
#include "../src/tile.hpp"
#include "../src/tiling.hpp"
#include "blas.cuh"
#include "for_each.cuh"

namespace fastntk {

template <Real T>
void linear_map(const Cuda& backend, View<const T, Cuda> z, View<const T, Cuda> coef, View<const T, Cuda> intercept,
                View<T, Cuda> out) {
  require_shape(coef, z.cols, coef.cols, "linear_map: coef");
  require_shape(intercept, 1, coef.cols, "linear_map: intercept");
  require_shape(out, z.rows, coef.cols, "linear_map: out");
  if (out.rows == 0 || out.cols == 0) return;
  Tile<Cuda> tile(backend);
  for_each(tile, out.rows * out.cols, [=] FASTNTK_FORMULA(std::size_t e) {
    const std::size_t c = e % out.cols;
    out(e / out.cols, c) = intercept(0, c);
  });
  using cuda::blas::Transpose;
  cuda::blas::gemm<T>(backend, Transpose::no, Transpose::no, out.rows, out.cols, z.cols, 1, z.data, z.stride, coef.data,
                      coef.stride, 1, out.data, out.stride);
}

template <Real T>
void solve_positive_definite(const Cuda& backend, double alpha, View<T, Cuda> k, View<T, Cuda> y) {
  require(alpha >= 0 && std::isfinite(alpha), [&] {
    return "solve_positive_definite: alpha is " + std::to_string(alpha) + "; a finite number, not negative, is needed";
  });
  require_shape(k, k.rows, k.rows, "solve_positive_definite: k");
  require_shape(y, k.rows, y.cols, "solve_positive_definite: y");
  if (k.rows == 0) return;
  using namespace cuda::blas;
  const std::size_t n = k.rows;
  Tile<Cuda> tile(backend);
  const std::size_t work_size = potrf_work<T>(backend, n, k.stride);
  T* const work = static_cast<T*>(tile.allocate(work_size * sizeof(T)));
  Buffer<int, Cuda> info(backend, std::vector<int>(2));
  for_each(tile, n, [=] FASTNTK_FORMULA(std::size_t i) { k(i, i) += static_cast<T>(alpha); });
  potrf<T>(backend, n, k.data, k.stride, work, work_size, info.data());
  // The library may let a NaN pass.
  int* const not_positive = info.data() + 1;
  for_each(tile, n, [=] FASTNTK_FORMULA(std::size_t i) {
    if (!(k(i, i) > 0 && k(i, i) <= std::numeric_limits<T>::max())) *not_positive = 1;
  });
  const std::vector<int> failed = info.to_host();
  require(failed[0] == 0 && failed[1] == 0, [&] {
    return "solve_positive_definite: alpha is " + std::to_string(alpha) +
           "; k + alpha I is not positive definite, and a larger alpha is needed";
  });
  trsm<T>(backend, Side::left, Transpose::no, n, y.cols, k.data, k.stride, y.data, y.stride);
  trsm<T>(backend, Side::left, Transpose::yes, n, y.cols, k.data, k.stride, y.data, y.stride);
  finish(backend);
}

template <Real T>
void largest_entry(const Cuda& backend, View<const T, Cuda> scores, std::int64_t* index) {
  Tile<Cuda> tile(backend);
  for_each(tile, scores.rows, [=] FASTNTK_FORMULA(std::size_t i) {
    std::size_t best = 0;
    for (std::size_t c = 1; c < scores.cols; ++c) {
      if (scores(i, c) > scores(i, best)) best = c;
    }
    index[i] = scores.cols == 1 ? scores(i, 0) > 0 : static_cast<std::int64_t>(best);
  });
}

template <Real T>
void row_squares(const Cuda& backend, View<const T, Cuda> z, T* square) {
  Tile<Cuda> tile(backend);
  row_squares(tile, z, square);
}

#define FASTNTK_INSTANTIATE(T)                                                                                         \
  template void linear_map(const Cuda&, View<const T, Cuda>, View<const T, Cuda>, View<const T, Cuda>, View<T, Cuda>); \
  template void solve_positive_definite(const Cuda&, double, View<T, Cuda>, View<T, Cuda>);                            \
  template void largest_entry(const Cuda&, View<const T, Cuda>, std::int64_t*);                                        \
  template void row_squares(const Cuda&, View<const T, Cuda>, T*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
