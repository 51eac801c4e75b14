// Cholesky factor, solution and inverse on packed tiles. Each step is one product of many tiles at once, which fills the
// device; nothing is read back before the end.
#include <fastntk/memory.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "../src/ridge_primitives.hpp"
#include "blas.cuh"
#include "reduce.cuh"
#include "ridge_tiles.cuh"
#include "runtime.cuh"

namespace fastntk {
namespace {

using cuda::launch;
using cuda::Operands;
using cuda::blas::Side;
using cuda::blas::Transpose;

constexpr unsigned threads = 256;

template <class T>
T* take(Tile<Cuda>& memory, std::size_t count) {
  return static_cast<T*>(memory.allocate(count * sizeof(T)));
}

struct Pair {
  std::size_t i, j;
};

// The pair number e of (0, 0), (1, 0), (1, 1), (2, 0), ...
__host__ __device__ inline Pair pair_of(std::size_t e) {
  std::size_t i = static_cast<std::size_t>((sqrt(8.0 * static_cast<double>(e) + 1) - 1) / 2);
  if (i * (i + 1) / 2 > e) --i;
  if ((i + 1) * (i + 2) / 2 <= e) ++i;
  return {i, e - i * (i + 1) / 2};
}

// Below tile (k, k) in column k, from or to a matrix of `edge` columns.
template <class F>
void copy_panel(const Cuda& backend, const TriangleTiles& tiles, std::size_t k, F* a, F* panel, bool to_panel) {
  const std::size_t edge = tiles.edge, top = tiles.first(k + 1);
  const cuda::TriangleIndex index(tiles);
  cuda::run_each(backend, (tiles.n - top) * edge, [=] FASTNTK_FORMULA(std::size_t e) {
    F& packed = a[index(static_cast<unsigned>(top + e / edge), static_cast<unsigned>(k * edge + e % edge))];
    F& plain = panel[e];
    (to_panel ? plain : packed) = to_panel ? packed : plain;
  });
}

// Each block does a row: x = -s for the row's tiles, and the sum of the squares.
template <class F>
__global__ void __launch_bounds__(threads)
    store_inverse_kernel(cuda::TriangleIndex index, View<const F, Cuda> s, std::size_t first, F* x, double* squares) {
  const std::size_t r = blockIdx.x;
  double square = 0;
  for (std::size_t c = threadIdx.x; c < s.cols; c += threads) {
    const F value = -s(r, c);
    x[index(static_cast<unsigned>(first + r), static_cast<unsigned>(c))] = value;
    square += static_cast<double>(value) * static_cast<double>(value);
  }
  square = cuda::block_sum(square, cuda::shared_memory<double>());
  if (threadIdx.x == 0) squares[first + r] = square;
}

}  // namespace

// By columns of tiles, right-looking: L_ik = A_ik L_kk^-T for i > k, and A_ij -= L_ik L_jk^T for i >= j > k.
template <Real F, Backend B>
bool cholesky(Tile<B>& memory, const TriangleTiles& tiles, F* a) {
  const typename Tile<B>::Scope scope(memory);
  const B& backend = memory.backend();
  const std::size_t edge = tiles.edge, full = tiles.n / edge, last = tiles.side - 1;
  const std::size_t work_size = std::max(cuda::blas::potrf_work<F>(backend, tiles.size(0), tiles.size(0)),
                                         cuda::blas::potrf_work<F>(backend, tiles.size(last), tiles.size(last)));
  F* const work = take<F>(memory, work_size);
  F* const panel = take<F>(memory, tiles.n * edge);
  Buffer<int, B> failed(backend, std::vector<int>(tiles.side + 1));
  for (std::size_t k = 0; k < tiles.side; ++k) {
    const std::size_t m = tiles.size(k);
    F* const diagonal = a + tiles.offset(k, k);
    cuda::blas::potrf<F>(backend, m, diagonal, m, work, work_size, failed.data() + k);
    if (k == last) break;
    copy_panel(backend, tiles, k, a, panel, true);
    cuda::blas::trsm<F>(backend, Side::right, Transpose::yes, tiles.n - tiles.first(k + 1), edge, diagonal, edge, panel,
                        edge);
    copy_panel(backend, tiles, k, a, panel, false);
    const std::size_t next = k + 1, below = full - next;
    cuda::add_products(memory, {Transpose::no, Transpose::yes, edge, edge, edge, edge, edge, edge}, F(-1),
                       below * (below + 1) / 2, [=] FASTNTK_FORMULA(std::size_t e) {
                         const Pair p = pair_of(e);
                         return Operands<F>{panel + p.i * edge * edge, panel + p.j * edge * edge,
                                            a + tiles.offset(next + p.i, next + p.j)};
                       });
    if (last == full) {
      const std::size_t rows = tiles.size(last);
      const F* const lowest = panel + below * edge * edge;
      cuda::add_products(memory, {Transpose::no, Transpose::yes, rows, edge, edge, edge, edge, edge}, F(-1), below,
                         [=] FASTNTK_FORMULA(std::size_t j) {
                           return Operands<F>{lowest, panel + j * edge * edge, a + tiles.offset(last, next + j)};
                         });
      cuda::blas::syrk<F>(backend, Transpose::no, rows, edge, -1, lowest, edge, 1, a + tiles.offset(last, last), rows);
    }
  }
  // The library may let a NaN pass.
  const cuda::TriangleIndex index(tiles);
  int* const not_positive = failed.data() + tiles.side;
  cuda::run_each(backend, tiles.n, [=] FASTNTK_FORMULA(std::size_t r) {
    const F value = a[index(static_cast<unsigned>(r), static_cast<unsigned>(r))];
    if (!(value > 0 && value <= std::numeric_limits<F>::max())) *not_positive = 1;
  });
  const std::vector<int> flags = failed.to_host();
  return std::all_of(flags.begin(), flags.end(), [](int flag) { return flag == 0; });
}

template <Real F, Backend B>
void cholesky_solve(Tile<B>& memory, const TriangleTiles& tiles, const F* l, View<F, B> x) {
  const B& backend = memory.backend();
  const std::size_t edge = tiles.edge, full = tiles.n / edge, last = tiles.side - 1;
  const auto divide = [&](Transpose op, std::size_t j) {
    const std::size_t m = tiles.size(j);
    cuda::blas::trsm<F>(backend, Side::left, op, m, x.cols, l + tiles.offset(j, j), m, x.row(tiles.first(j)), x.stride);
  };
  for (std::size_t j = 0; j < tiles.side; ++j) {
    divide(Transpose::no, j);
    if (j == last) break;
    cuda::add_products(memory, {Transpose::no, Transpose::no, edge, x.cols, edge, edge, x.stride, x.stride}, F(-1),
                       full - j - 1, [=] FASTNTK_FORMULA(std::size_t e) {
                         const std::size_t i = j + 1 + e;
                         return Operands<F>{l + tiles.offset(i, j), x.row(j * edge), x.row(i * edge)};
                       });
    if (last == full) {
      cuda::blas::gemm<F>(backend, Transpose::no, Transpose::no, tiles.size(last), x.cols, edge, -1,
                          l + tiles.offset(last, j), edge, x.row(j * edge), x.stride, 1, x.row(last * edge), x.stride);
    }
  }
  for (std::size_t j = tiles.side; j-- > 0;) {
    divide(Transpose::yes, j);
    cuda::add_products(memory, {Transpose::yes, Transpose::no, edge, x.cols, tiles.size(j), edge, x.stride, x.stride}, F(-1),
                       j, [=] FASTNTK_FORMULA(std::size_t i) {
                         return Operands<F>{l + tiles.offset(j, i), x.row(j * edge), x.row(i * edge)};
                       });
  }
}

// By rows of tiles: X_ij = -L_ii^-1 S_j with S_j = sum_{j<=k<i} L_ik X_kj, and X_ii = -L_ii^-1 (-I).
template <Real F, Backend B>
double inverse_norm(Tile<B>& memory, const TriangleTiles& tiles, F* l) {
  const typename Tile<B>::Scope scope(memory);
  const B& backend = memory.backend();
  const std::size_t edge = tiles.edge;
  const View<F, B> scratch = memory.template scratch<F>(std::min(edge, tiles.n), tiles.n);
  Buffer<double, B> squares(backend, tiles.n);
  for (std::size_t i = 0; i < tiles.side; ++i) {
    const std::size_t m = tiles.size(i), before = tiles.first(i);
    const View<F, B> s = scratch.block(0, m, 0, before + m);
    cuda::run_each(backend, s.rows * s.cols, [=] FASTNTK_FORMULA(std::size_t e) {
      const std::size_t r = e / s.cols, c = e % s.cols;
      s(r, c) = c == before + r ? F(-1) : F(0);
    });
    for (std::size_t k = 0; k < i; ++k) {
      cuda::add_products(memory, {Transpose::no, Transpose::no, m, edge, edge, edge, edge, s.stride}, F(1), k + 1,
                         [=] FASTNTK_FORMULA(std::size_t j) {
                           return Operands<F>{l + tiles.offset(i, k), l + tiles.offset(k, j), s.data + j * edge};
                         });
    }
    cuda::blas::trsm<F>(backend, Side::left, Transpose::no, m, s.cols, l + tiles.offset(i, i), m, s.data, s.stride);
    launch(backend, {m, threads, threads / 32 * sizeof(double)}, store_inverse_kernel<F>, cuda::TriangleIndex(tiles),
           View<const F, B>(s), before, l, squares.data());
  }
  double total = 0;
  for (const double square : squares.to_host()) total += square;
  return total;
}

#define FASTNTK_INSTANTIATE(F)                                                              \
  template bool cholesky(Tile<Cuda>&, const TriangleTiles&, F*);                            \
  template void cholesky_solve(Tile<Cuda>&, const TriangleTiles&, const F*, View<F, Cuda>); \
  template double inverse_norm(Tile<Cuda>&, const TriangleTiles&, F*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
