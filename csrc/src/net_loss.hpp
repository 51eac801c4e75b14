// The loss scale |kappa f - y|^2/2 + alpha |W - D|^2/2 of a network.
#pragma once

#include <fastntk/memory.hpp>

#include <cstddef>
#include <vector>

#include "primitives.hpp"
#include "tile.hpp"

namespace fastntk {

/// squares[r] = |a_r - b_r|^2, or |a_r|^2 where b has no data.
template <Real T, Backend B>
void distance_squares(Tile<B>& tile, View<const T, B> a, View<const T, B> b, T* squares) {
  if (!b.data) return row_squares<T, B>(tile, a, squares);
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> difference = tile.template scratch<T>(a.rows, a.cols);
  multiply<T, B>(tile, a, {}, 1, false, difference);
  multiply<T, B>(tile, b, {}, -1, true, difference);
  row_squares<T, B>(tile, difference, squares);
}

/// Elements of a part whose squares are added up in T, few enough that they add up well.
constexpr std::size_t square_part = 512;
constexpr std::size_t square_parts(std::size_t size) { return (size + square_part - 1) / square_part; }

/// squares[p] = the squares of part p of a - b, or of a where b is null, added up.
template <Real T, Backend B>
void part_squares(Tile<B>& tile, const T* a, const T* b, std::size_t size, T* squares) {
  const auto part = [&](std::size_t first, std::size_t rows, std::size_t cols) {
    const auto at = [&](const T* from) { return from ? View<const T, B>(from + first, rows, cols) : View<const T, B>(); };
    distance_squares<T, B>(tile, at(a), at(b), squares + first / square_part);
  };
  const std::size_t whole = size / square_part, rest = size % square_part;
  if (whole > 0) part(0, whole, square_part);
  if (rest > 0) part(size - rest, 1, rest);
}

/// Both norms, as squares of parts of the vectors: these are computed in T where the vectors are, and added up in double on
/// the host.
template <Real T, Backend B>
class LossTerms {
 public:
  /// At most `residuals` elements of kappa f - y, and `weight_parts` parts of the weights. The memory is the tile's.
  LossTerms(Tile<B>& tile, std::size_t residuals, std::size_t weight_parts)
      : backend_(tile.backend()),
        weight_parts_(weight_parts),
        squares_(static_cast<T*>(tile.allocate((weight_parts + square_parts(residuals)) * sizeof(T)))) {}

  /// out = kappa f - y, whose rows are contiguous.
  void residual(Tile<B>& tile, T kappa, View<const T, B> f, View<const T, B> y, View<T, B> out) {
    multiply<T, B>(tile, f, {}, kappa, false, out);
    multiply<T, B>(tile, y, {}, -1, true, out);
    part_squares<T, B>(tile, out.data, nullptr, out.rows * out.cols, squares_ + weight_parts_);
    residual_parts_ = square_parts(out.rows * out.cols);
  }

  /// The squares of the parts of W - D, for the caller to fill. They count even where alpha is 0: then weights that are not
  /// finite make a loss of NaN, also where f is not affected by them.
  T* weights() { return squares_; }

  /// Waits for the squares.
  double loss(double scale, double alpha) const {
    std::vector<T> squares(weight_parts_ + residual_parts_);
    copy_out(backend_, squares_, squares.size() * sizeof(T), squares.data());
    double weights = 0, residuals = 0;
    for (std::size_t i = 0; i < squares.size(); ++i)
      (i < weight_parts_ ? weights : residuals) += static_cast<double>(squares[i]);
    return scale * residuals / 2 + alpha * weights / 2;
  }

 private:
  B backend_;
  std::size_t weight_parts_, residual_parts_ = 0;
  T* squares_;
};

}  // namespace fastntk
