// The backend contract for ridge regression: what works on the packed triangle and on a block of rows.
//
// All arrays are in the memory of B, and work is queued in its order; what returns a number waits for it. Results do not
// depend on the number of threads: the work is cut by shape alone, and sums are taken in a fixed order.
#pragma once

#include <fastntk/memory.hpp>
#include <fastntk/view.hpp>

#include <concepts>
#include <cstddef>
#include <memory>

#include "ridge_tiles.hpp"
#include "tile.hpp"

namespace fastntk {

/// Some rows of a matrix and their weights, in the memory of B. Without `source` they are `count` consecutive rows from
/// `first` on, and without `weight` all weights are 1.
template <Backend B>
struct ChosenRows {
  std::size_t count = 0;
  const std::size_t* source = nullptr;
  const double* weight = nullptr;
  std::size_t first = 0;

  constexpr std::size_t row(std::size_t r) const { return source ? source[first + r] : first + r; }
  constexpr double weight_of(std::size_t r) const { return weight ? weight[first + r] : 1; }
  ChosenRows part(std::size_t begin, std::size_t part_count) const { return {part_count, source, weight, first + begin}; }
};

/// Rows that wait for their product, up to `capacity` of them. On the CPU they lie in panels, so that a tile's product reads
/// two contiguous arrays: panel j holds the rows' columns of tile column j. On a device they lie as a matrix.
template <Real T, Backend B>
struct RowBlock {
  static constexpr std::size_t capacity = 2048;

  RowBlock(const B& backend, const TriangleTiles& tiles) : memory(backend, capacity * stride(tiles)) {}

  /// Elements of a row; on a device, with what aligns the next one.
  static std::size_t stride(const TriangleTiles& tiles) {
    constexpr std::size_t aligned = std::same_as<B, Cuda> ? 128 / sizeof(T) : 1;
    return (tiles.n + aligned - 1) / aligned * aligned;
  }

  Buffer<T, B> memory;
  std::size_t rows = 0;
};

/// An array of the host for work on B that is queued now: on a device a copy in memory of the tile. The host's may change as
/// soon as that work is queued.
template <class T, Backend B>
const T* stage(Tile<B>& memory, const T* host, std::size_t count);

/// Work on `later` from now on comes after the work queued on `earlier` so far.
template <Backend B>
void run_in_order(const B& earlier, const B& later);

template <Backend B>
void set_zero(const B& backend, double* to, std::size_t count);

/// to = from, and to += from.
template <Backend B>
void copy_numbers(const B& backend, const double* from, std::size_t count, double* to);
template <Backend B>
void add_numbers(const B& backend, const double* from, std::size_t count, double* to);
/// to = 0 - to, which makes no zero negative.
template <Backend B>
void negate_numbers(const B& backend, std::size_t count, double* to);

/// Row block.rows + r of the block = sqrt(weight) z of the chosen row r. Does not change block.rows.
template <Real T, Backend B>
void fill_block(const B& backend, const TriangleTiles& tiles, View<const T, B> z, const ChosenRows<B>& rows,
                RowBlock<T, B>& block);

/// Row r of `right` (rows.count, 1 + targets) = sqrt(weight) (1, y) of the chosen row r.
template <Backend B>
void fill_right(const B& backend, View<const double, B> y, const ChosenRows<B>& rows, View<double, B> right);

/// sums (2, targets) += weight (y, y^2) of the chosen rows, one after the other.
template <Backend B>
void add_sums(const B& backend, View<const double, B> y, const ChosenRows<B>& rows, double* sums);

/// out = rows first, first + 1, ... of the block.
template <Real T, Backend B>
void read_block(const B& backend, const TriangleTiles& tiles, const RowBlock<T, B>& block, std::size_t first,
                View<T, B> out);

/// Takes the scratch memory of add_gram() and add_cross() once, so that with this tile they do not fail for lack of it.
template <Real T, Backend B>
void prepare_products(Tile<B>& memory, const TriangleTiles& tiles);

/// Holds what the library behind the products needs: while it lives, they do not fail for lack of that either.
template <Backend B>
class ProductLibrary {
 public:
  explicit ProductLibrary(const B& backend);
  ~ProductLibrary();
  ProductLibrary(const ProductLibrary&) = delete;
  ProductLibrary& operator=(const ProductLibrary&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// gram += Z^T Z for the rows Z of the block; the product is computed in T.
template <Real T, Backend B>
void add_gram(Tile<B>& memory, const TriangleTiles& tiles, const RowBlock<T, B>& block, double* gram);

/// out (n, right.cols) += Z^T right, in double.
template <Real T, Backend B>
void add_cross(Tile<B>& memory, const TriangleTiles& tiles, const RowBlock<T, B>& block, View<const double, B> right,
               View<double, B> out);

/// out (block.rows, x.cols) = Z x, in double.
template <Real T, Backend B>
void multiply_block(Tile<B>& memory, const TriangleTiles& tiles, const RowBlock<T, B>& block, View<const double, B> x,
                    View<double, B> out);

/// out = gram + Z^T Z - sums sums^T / weight + diagonal I, rounded to F once; no sums if `sums` is null. Returns the trace
/// without `diagonal`.
template <Real F, Real T, Backend B>
double assemble(Tile<B>& memory, const TriangleTiles& tiles, const double* gram, const RowBlock<T, B>& block,
                const double* sums, double weight, double diagonal, F* out);

/// out = gram x.
template <Backend B>
void multiply_gram(Tile<B>& memory, const TriangleTiles& tiles, const double* gram, View<const double, B> x,
                   View<double, B> out);

/// In-place Cholesky factor; false if the matrix is not positive definite, and then `a` is spoilt.
template <Real F, Backend B>
bool cholesky(Tile<B>& memory, const TriangleTiles& tiles, F* a);

/// x (n, any) = (L L^T)^-1 x.
template <Real F, Backend B>
void cholesky_solve(Tile<B>& memory, const TriangleTiles& tiles, const F* l, View<F, B> x);

/// |L^-1|_F^2 = tr (L L^T)^-1; l becomes its inverse.
template <Real F, Backend B>
double inverse_norm(Tile<B>& memory, const TriangleTiles& tiles, F* l);

}  // namespace fastntk
