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

/// Of the n places of an order, those of one of `count` batches: sizes differ by one at most.
inline RowRange batch_rows(std::size_t n, std::size_t count, std::size_t batch) {
  const std::size_t least = n / count, longer = n % count;
  return {batch * least + std::min(batch, longer), least + (batch < longer ? 1 : 0)};
}

/// Cuts passes over rows into batches of at most b, as few and as equal as can be: a much shorter one would count its rows
/// more than others, and its steps could be unstable. Step number t is the same whatever came before.
template <Real T, Backend B>
class NetBatches {
 public:
  /// All rows in their own order if `batch_size` is 0 or n.
  NetBatches(const B& backend, std::uint64_t seed, std::size_t batch_size, View<const T, B> x, View<const T, B> y)
      : backend_(backend), seed_(seed), count_(batch_size > 0 ? (x.rows + batch_size - 1) / batch_size : 1), x_(x), y_(y) {
    if (count_ == 1) return;
    x_rows_ = Buffer<T, B>(backend, most_rows() * x.cols);
    y_rows_ = Buffer<T, B>(backend, most_rows() * y.cols);
  }

  /// Of a step, at most.
  std::size_t most_rows() const { return (x_.rows + count_ - 1) / count_; }

  /// Valid until the next call.
  NetBatch<T, B> at(std::uint64_t step) {
    if (count_ == 1) return {x_, y_, 1};
    const std::size_t n = x_.rows;
    const std::uint64_t pass = step / count_;
    if (order_.size() == 0 || pass != pass_) {
      order_ = Buffer<std::uint32_t, B>(backend_, row_order(seed_, pass, n));
      pass_ = pass;
    }
    const RowRange batch = batch_rows(n, count_, static_cast<std::size_t>(step % count_));
    const View<T, B> x(x_rows_.data(), batch.count, x_.cols), y(y_rows_.data(), batch.count, y_.cols);
    for_tiles<B>(backend_, batch.count, rows_per_tile, [&](Tile<B>& tile, RowRange r) {
      const std::uint32_t* const index = order_.data() + batch.begin + r.begin;
      gather_rows<T, B>(tile, x_, index, x.row_block(r.begin, r.count));
      gather_rows<T, B>(tile, y_, index, y.row_block(r.begin, r.count));
    });
    return {x, y, static_cast<double>(n) / static_cast<double>(batch.count)};
  }

 private:
  static constexpr std::size_t rows_per_tile = std::same_as<B, Cpu> ? 256 : std::size_t{1} << 20;

  B backend_;
  std::uint64_t seed_;
  std::size_t count_;  // of the batches of a pass
  View<const T, B> x_, y_;
  Buffer<T, B> x_rows_, y_rows_;
  Buffer<std::uint32_t, B> order_;  // of pass_
  std::uint64_t pass_ = 0;
};

}  // namespace fastntk
