// The packed triangle on a device: where its elements are, and products of many of its tiles at once.
#pragma once

#include <bit>
#include <cstddef>

#include "../src/ridge_tiles.hpp"
#include "../src/tile.hpp"
#include "blas.cuh"
#include "for_each.cuh"
#include "runtime.cuh"

namespace fastntk::cuda {

/// Calls f(i) for i < count, each on a thread.
template <class F>
void run_each(const Cuda& backend, std::size_t count, F f) {
  launch(backend, {(count + for_each_threads - 1) / for_each_threads, for_each_threads}, for_each_kernel<F>, count, f);
}

/// Finds the elements of the packed triangle.
struct TriangleIndex {
  explicit TriangleIndex(const TriangleTiles& t) : tiles(t), shift(static_cast<unsigned>(std::countr_zero(t.edge))) {}

  /// The place of element (row, col) of the matrix, row / edge >= col / edge.
  __host__ __device__ std::size_t operator()(unsigned row, unsigned col) const {
    const unsigned i = row >> shift, j = col >> shift, within = (1u << shift) - 1;
    const unsigned left = static_cast<unsigned>(tiles.n) - (i << shift), rows = left < within + 1 ? left : within + 1;
    const std::size_t tile = tiles.edge * (tiles.edge * tiles.index(i, 0) + std::size_t{j} * rows);
    return tile + std::size_t{row & within} * (i == j ? rows : within + 1) + (col & within);
  }
  /// The columns that the tiles of this row hold, the upper part of the diagonal one included.
  __host__ __device__ unsigned columns(unsigned row) const {
    const unsigned end = ((row >> shift) + 1) << shift;
    return end < tiles.n ? end : static_cast<unsigned>(tiles.n);
  }

  TriangleTiles tiles;
  unsigned shift;
};

/// How gemm_batched() takes its matrices.
struct Product {
  blas::Transpose op_a, op_b;
  std::size_t m, n, k;
  std::size_t lda, ldb, ldc;
};

template <class F>
struct Operands {
  const F* a;
  const F* b;
  F* c;
};

template <class F, class Place>
__global__ void __launch_bounds__(for_each_threads)
    place_operands_kernel(std::size_t count, Place place, const F** a, const F** b, F** c) {
  const std::size_t e = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (e >= count) return;
  const Operands<F> operands = place(e);
  a[e] = operands.a;
  b[e] = operands.b;
  c[e] = operands.c;
}

/// c += sign op(a) op(b) for the `count` triples place(e), all at once.
template <class F, class Place>
void add_products(Tile<Cuda>& memory, const Product& p, F sign, std::size_t count, Place place) {
  if (count == 0 || p.m == 0 || p.n == 0) return;
  const Tile<Cuda>::Scope scope(memory);
  const auto pointers = [&] { return memory.allocate(count * sizeof(F*)); };
  const F** const a = static_cast<const F**>(pointers());
  const F** const b = static_cast<const F**>(pointers());
  F** const c = static_cast<F**>(pointers());
  const std::size_t blocks = (count + for_each_threads - 1) / for_each_threads;
  launch(memory.backend(), {blocks, for_each_threads}, place_operands_kernel<F, Place>, count, place, a, b, c);
  blas::gemm_batched<F>(memory.backend(), p.op_a, p.op_b, p.m, p.n, p.k, sign, a, p.lda, b, p.ldb, F(1), c, p.ldc, count);
}

}  // namespace fastntk::cuda
