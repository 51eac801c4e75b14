// Which rows a training step takes, and in which order a pass over all of them goes.
#pragma once

#include <fastntk/memory.hpp>
#include <fastntk/rng.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "net_primitives.hpp"
#include "tile.hpp"

namespace fastntk {

/// The rows of a step, and n/b of n rows and b of them.
template <Real T, Backend B>
struct NetBatch {
  View<const T, B> x, y;
  double scale;
};

/// The order of n rows in a pass: a random permutation (Fisher and Yates) that is a function of the seed and the pass.
inline std::vector<std::uint32_t> row_order(std::uint64_t seed, std::uint64_t pass, std::size_t n) {
  const rng::Draws draws{seed, rng::Stream::row_order};
  std::vector<std::uint32_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = static_cast<std::uint32_t>(i);
  for (std::size_t i = 0; i + 1 < n; ++i)
    std::swap(order[i], order[i + draws.integer(pass * n + i, static_cast<std::uint32_t>(n - i))]);
  return order;
}

/// Cuts passes over rows into batches of b, the last of which may be short. Step number t is the same whatever came before.
template <Real T, Backend B>
class NetBatches {
 public:
  /// All rows in their own order if `batch_size` is 0 or n.
  NetBatches(const B& backend, std::uint64_t seed, std::size_t batch_size, View<const T, B> x, View<const T, B> y)
      : backend_(backend), seed_(seed), size_(batch_size > 0 ? batch_size : x.rows), x_(x), y_(y) {
    if (size_ == x.rows) return;
    x_rows_ = Buffer<T, B>(backend, size_ * x.cols);
    y_rows_ = Buffer<T, B>(backend, size_ * y.cols);
  }

  /// Of a step, at most.
  std::size_t most_rows() const { return size_; }

  /// Valid until the next call.
  NetBatch<T, B> at(std::uint64_t step) {
    const std::size_t n = x_.rows;
    if (size_ == n) return {x_, y_, 1};
    const std::size_t steps_of_pass = (n + size_ - 1) / size_;
    const std::uint64_t pass = step / steps_of_pass;
    if (order_.size() == 0 || pass != pass_) {
      order_ = Buffer<std::uint32_t, B>(backend_, row_order(seed_, pass, n));
      pass_ = pass;
    }
    const std::size_t begin = static_cast<std::size_t>(step % steps_of_pass) * size_;
    const std::size_t rows = std::min(size_, n - begin);
    const View<T, B> x(x_rows_.data(), rows, x_.cols), y(y_rows_.data(), rows, y_.cols);
    for_tiles<B>(backend_, rows, rows_per_tile, [&](Tile<B>& tile, RowRange r) {
      const std::uint32_t* const index = order_.data() + begin + r.begin;
      gather_rows<T, B>(tile, x_, index, x.row_block(r.begin, r.count));
      gather_rows<T, B>(tile, y_, index, y.row_block(r.begin, r.count));
    });
    return {x, y, static_cast<double>(n) / static_cast<double>(rows)};
  }

 private:
  static constexpr std::size_t rows_per_tile = std::same_as<B, Cpu> ? 256 : std::size_t{1} << 20;

  B backend_;
  std::uint64_t seed_;
  std::size_t size_;
  View<const T, B> x_, y_;
  Buffer<T, B> x_rows_, y_rows_;
  Buffer<std::uint32_t, B> order_;  // of pass_
  std::uint64_t pass_ = 0;
};

}  // namespace fastntk
