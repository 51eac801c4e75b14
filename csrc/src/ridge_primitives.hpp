// The backend contract for ridge regression: what works on the packed triangle and on a block of rows.
//
// The triangle and the block are in the memory of B. All else (sums, right-hand sides, solutions) is small and on the host.
// Results do not depend on the number of threads: the work is cut by shape alone, and sums are taken in a fixed order.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <memory>

#include "ridge_tiles.hpp"

namespace fastntk {

/// Memory of B for the large arrays, aligned to 64 bytes and uninitialised.
template <Backend B>
void* allocate_large(std::size_t bytes);
template <Backend B>
void free_large(void* memory);

template <class T, Backend B>
class LargeArray {
 public:
  explicit LargeArray(std::size_t size) : data_(static_cast<T*>(allocate_large<B>(size * sizeof(T)))), size_(size) {}
  T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* memory) const { free_large<B>(memory); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t size_;
};

template <Backend B>
void set_zero(const B& backend, const LargeArray<double, B>& array);

/// Rows that wait for their product, up to `capacity` of them: panel j holds their columns of tile column j, row-major, so
/// that a tile's product reads two contiguous arrays.
template <Real T, Backend B>
struct RowBlock {
  static constexpr std::size_t capacity = 2048;

  explicit RowBlock(const TriangleTiles& tiles) : memory(capacity * tiles.n) {}
  T* panel(const TriangleTiles& tiles, std::size_t j) const { return memory.data() + capacity * tiles.first(j); }

  LargeArray<T, B> memory;
  std::size_t rows = 0;
};

/// Row block.rows + r of the block = root_weight[r] * z[source[r]], r < count. Does not change block.rows.
template <Real T, Backend B>
void fill_block(const B& backend, const TriangleTiles& tiles, View<const T, B> z, const std::size_t* source,
                const double* root_weight, std::size_t count, RowBlock<T, B>& block);

/// out = rows first, first + 1, ... of the block.
template <Real T, Backend B>
void read_block(const B& backend, const TriangleTiles& tiles, const RowBlock<T, B>& block, std::size_t first,
                View<T, B> out);

/// gram += Z^T Z for the rows Z of the block; the product is computed in T.
template <Real T, Backend B>
void add_gram(const B& backend, const TriangleTiles& tiles, const RowBlock<T, B>& block, double* gram);

/// out (n, right.cols) += Z^T right, in double.
template <Real T, Backend B>
void add_cross(const B& backend, const TriangleTiles& tiles, const RowBlock<T, B>& block, View<const double> right,
               View<double> out);

/// out (block.rows, x.cols) = Z x, in double.
template <Real T, Backend B>
void multiply_block(const B& backend, const TriangleTiles& tiles, const RowBlock<T, B>& block, View<const double> x,
                    View<double> out);

/// out = gram + Z^T Z - sums sums^T / weight + diagonal I, rounded to F once; no sums if `sums` is null. Returns the trace
/// without `diagonal`.
template <Real F, Real T, Backend B>
double assemble(const B& backend, const TriangleTiles& tiles, const double* gram, const RowBlock<T, B>& block,
                const double* sums, double weight, double diagonal, F* out);

/// out = gram x.
template <Backend B>
void multiply_gram(const B& backend, const TriangleTiles& tiles, const double* gram, View<const double> x, View<double> out);

/// a += b, of tiles.elements() numbers.
template <Backend B>
void add_triangle(const B& backend, const TriangleTiles& tiles, const double* b, double* a);

/// In-place Cholesky factor; false if the matrix is not positive definite, and then `a` is spoilt.
template <Real F, Backend B>
bool cholesky(const B& backend, const TriangleTiles& tiles, F* a);

/// x (n, any) = (L L^T)^-1 x.
template <Real F, Backend B>
void cholesky_solve(const B& backend, const TriangleTiles& tiles, const F* l, View<F> x);

/// |L^-1|_F^2 = tr (L L^T)^-1; l becomes its inverse.
template <Real F, Backend B>
double inverse_norm(const B& backend, const TriangleTiles& tiles, F* l);

}  // namespace fastntk
