// Cholesky factor, solution and inverse on tiles.
//
// A task computes one tile from start to end, and waits for the tiles it needs. Tasks are handed out in an order in which
// each needs earlier ones only, so some thread can always go on; every tile adds its products in the order of k, whichever
// thread computes it.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "../src/ridge_primitives.hpp"
#include "blas.hpp"
#include "thread_pool.hpp"

namespace fastntk {
namespace {

using cpu::blas::Side;
using cpu::blas::Transpose;

// Which tiles are finished.
class Finished {
 public:
  explicit Finished(const TriangleTiles& tiles)
      : tiles_(tiles), flags_(std::make_unique<std::atomic<int>[]>(tiles.count())) {}
  void wait_for(std::size_t i, std::size_t j) const { flags_[tiles_.index(i, j)].wait(0, std::memory_order_acquire); }
  void mark(std::size_t i, std::size_t j) {
    std::atomic<int>& flag = flags_[tiles_.index(i, j)];
    flag.store(1, std::memory_order_release);
    flag.notify_all();
  }

 private:
  const TriangleTiles tiles_;
  std::unique_ptr<std::atomic<int>[]> flags_;
};

template <class F>
bool factor_diagonal_tile(std::size_t n, F* a) {
  if (!cpu::blas::potrf<F>(n, a, n)) return false;
  for (std::size_t r = 0; r < n; ++r) {
    // Some libraries let a NaN pass.
    if (!(a[r * n + r] > 0) || !std::isfinite(a[r * n + r])) return false;
  }
  return true;
}

}  // namespace

// By columns: L_ij = (A_ij - sum_{k<j} L_ik L_jk^T) L_jj^-T.
template <Real F, Backend B>
bool cholesky(Tile<B>& memory, const TriangleTiles& tiles, F* a) {
  const cpu::blas::SingleThread single;
  std::vector<std::pair<std::size_t, std::size_t>> where;
  where.reserve(tiles.count());
  for (std::size_t j = 0; j < tiles.side; ++j)
    for (std::size_t i = j; i < tiles.side; ++i) where.emplace_back(i, j);

  Finished finished(tiles);
  std::atomic<bool> failed = false;
  cpu::parallel_for(memory.backend().threads, where.size(), [&](std::size_t t, int) {
    const auto [i, j] = where[t];
    const std::size_t m = tiles.size(i), n = tiles.size(j);
    F* tile = a + tiles.offset(i, j);
    for (std::size_t k = 0; k < j && !failed; ++k) {
      finished.wait_for(i, k);
      finished.wait_for(j, k);
      const F* left = a + tiles.offset(i, k);
      if (i == j) {
        cpu::blas::syrk<F>(Transpose::no, n, tiles.edge, -1, left, tiles.edge, 1, tile, n);
      } else {
        cpu::blas::gemm<F>(Transpose::no, Transpose::yes, m, n, tiles.edge, -1, left, tiles.edge, a + tiles.offset(j, k),
                           tiles.edge, 1, tile, n);
      }
    }
    if (i == j) {
      if (!failed && !factor_diagonal_tile(n, tile)) failed = true;
    } else {
      finished.wait_for(j, j);
      if (!failed) cpu::blas::trsm<F>(Side::right, Transpose::yes, m, n, a + tiles.offset(j, j), n, tile, n);
    }
    finished.mark(i, j);
  });
  return !failed;
}

template <Real F, Backend B>
void cholesky_solve(Tile<B>& memory, const TriangleTiles& tiles, const F* l, View<F, B> x) {
  const cpu::blas::SingleThread single;
  const auto rows = [&](std::size_t i) { return x.row(tiles.first(i)); };
  for (std::size_t j = 0; j < tiles.side; ++j) {
    const std::size_t n = tiles.size(j);
    cpu::blas::trsm<F>(Side::left, Transpose::no, n, x.cols, l + tiles.offset(j, j), n, rows(j), x.stride);
    cpu::parallel_for(memory.backend().threads, tiles.side - j - 1, [&](std::size_t t, int) {
      const std::size_t i = j + 1 + t;
      cpu::blas::gemm<F>(Transpose::no, Transpose::no, tiles.size(i), x.cols, n, -1, l + tiles.offset(i, j), n, rows(j),
                         x.stride, 1, rows(i), x.stride);
    });
  }
  for (std::size_t j = tiles.side; j-- > 0;) {
    const std::size_t n = tiles.size(j);
    cpu::blas::trsm<F>(Side::left, Transpose::yes, n, x.cols, l + tiles.offset(j, j), n, rows(j), x.stride);
    cpu::parallel_for(memory.backend().threads, j, [&](std::size_t i, int) {
      cpu::blas::gemm<F>(Transpose::yes, Transpose::no, tiles.edge, x.cols, n, -1, l + tiles.offset(j, i), tiles.edge,
                         rows(j), x.stride, 1, rows(i), x.stride);
    });
  }
}

// By rows: X_ij = -L_ii^-1 sum_{j<=k<i} L_ik X_kj and X_ii = L_ii^-1. X_ij takes the place of L_ij, which only X_ij' with
// j' <= j still read, so it is written once (i, j - 1) is finished.
template <Real F, Backend B>
double inverse_norm(Tile<B>& memory, const TriangleTiles& tiles, F* l) {
  const cpu::blas::SingleThread single;
  std::vector<std::pair<std::size_t, std::size_t>> where;
  where.reserve(tiles.count());
  for (std::size_t i = 0; i < tiles.side; ++i)
    for (std::size_t j = 0; j <= i; ++j) where.emplace_back(i, j);

  const int threads = memory.backend().threads > 0 ? memory.backend().threads : cpu::available_threads();
  const typename Tile<B>::Scope scope(memory);
  const std::size_t scratch_size = tiles.edge * tiles.edge;
  F* const scratch = static_cast<F*>(memory.allocate(static_cast<std::size_t>(threads) * scratch_size * sizeof(F)));
  Finished finished(tiles);
  std::vector<double> norms(tiles.count());
  cpu::parallel_for(threads, where.size(), [&](std::size_t t, int worker) {
    const auto [i, j] = where[t];
    const std::size_t m = tiles.size(i), n = tiles.size(j);
    F* tile = l + tiles.offset(i, j);
    F* x = scratch + static_cast<std::size_t>(worker) * scratch_size;
    for (std::size_t k = j; k < i; ++k) {
      finished.wait_for(k, j);
      cpu::blas::gemm<F>(Transpose::no, Transpose::no, m, n, tiles.edge, -1, l + tiles.offset(i, k), tiles.edge,
                         l + tiles.offset(k, j), n, k > j, x, n);
    }
    if (i > j) cpu::blas::trsm<F>(Side::left, Transpose::no, m, n, l + tiles.offset(i, i), m, x, n);
    if (j > 0) finished.wait_for(i, j - 1);
    if (i == j) {
      cpu::blas::trtri<F>(n, tile, n);
    } else {
      std::copy_n(x, m * n, tile);
    }
    double norm = 0;
    for (std::size_t e = 0; e < m * n; ++e) norm += static_cast<double>(tile[e]) * static_cast<double>(tile[e]);
    norms[t] = norm;
    finished.mark(i, j);
  });
  double total = 0;
  for (const double norm : norms) total += norm;
  return total;
}

#define FASTNTK_INSTANTIATE(F)                                                       \
  template bool cholesky(Tile<Cpu>&, const TriangleTiles&, F*);                      \
  template void cholesky_solve(Tile<Cpu>&, const TriangleTiles&, const F*, View<F>); \
  template double inverse_norm(Tile<Cpu>&, const TriangleTiles&, F*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
