// The backend contract for the training of networks: products with matrices that change from step to step, and what is done
// to their entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "tile.hpp"

namespace fastntk {

enum class Transposed : bool { no, yes };

/// c = alpha op(a) op(b) + beta c by the BLAS of the backend, on the thread or the stream of the tile; op(a) is (c.rows, k),
/// op(b) is (k, c.cols). With beta 0, c may be uninitialised. Equal shapes give equal bits.
template <Real T, Backend B>
void gemm(Tile<B>& tile, Transposed op_a, Transposed op_b, T alpha, View<const T, B> a, View<const T, B> b, T beta,
          View<T, B> c);

/// Holds what the library behind gemm() needs, for the calls of the tiles that run while it lives: on the CPU it keeps BLAS
/// to one thread for each tile.
template <Backend B>
class GemmLibrary {
 public:
  explicit GemmLibrary(const B& backend);
  ~GemmLibrary();
  GemmLibrary(const GemmLibrary&) = delete;
  GemmLibrary& operator=(const GemmLibrary&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Words of a row of mask bits.
constexpr std::size_t mask_words(std::size_t cols) { return (cols + 31) / 32; }

/// Mask bits of a matrix (rows, cols), uninitialised, in scratch memory.
template <Backend B>
View<std::uint32_t, B> mask_scratch(Tile<B>& tile, std::size_t rows, std::size_t cols) {
  const std::size_t words = mask_words(cols);
  return View<std::uint32_t, B>(static_cast<std::uint32_t*>(tile.allocate(rows * words * sizeof(std::uint32_t))), rows,
                                words);
}

/// h <- scale ReLU(h), and bit j % 32 of mask[r][j / 32] says whether h[r][j] was positive; other bits of the last word are
/// 0. NaN counts as positive and stays: a network whose weights are not finite must not look as if they were.
template <Real T, Backend B>
void relu_forward(Tile<B>& tile, T scale, View<T, B> h, View<std::uint32_t, B> mask);

/// delta <- scale delta where the mask is set, else 0.
template <Real T, Backend B>
void mask_rows(Tile<B>& tile, View<const std::uint32_t, B> mask, T scale, View<T, B> delta);

/// out[r] = in[index[r]]: rows of a mini-batch.
template <Real T, Backend B>
void gather_rows(Tile<B>& tile, View<const T, B> in, const std::uint32_t* index, View<T, B> out);

}  // namespace fastntk
