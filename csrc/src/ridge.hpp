// The inside of RidgeState.
#pragma once

#include <fastntk/error.hpp>
#include <fastntk/ridge.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ridge_primitives.hpp"

namespace fastntk {

/// Of features, and of targets: keeps every size of a state within 64 bits, and those of BLAS within 32.
constexpr std::size_t most_ridge_columns = std::size_t{1} << 24;

/// Of a waiting block, when it is copied by way of ordinary rows.
constexpr std::size_t ridge_rows_at_once = 64;

struct RidgeHeader;
class ByteReader;

/// Throws Error unless another state has the sizes that are needed.
inline void require_same_sizes(const RidgeStateParams& needed, const RidgeStateParams& other) {
  require(other.n_features == needed.n_features && other.n_targets == needed.n_targets, [&] {
    const auto text = [](const RidgeStateParams& p) {
      return std::to_string(p.n_features) + " features and " + std::to_string(p.n_targets) + " targets";
    };
    return "RidgeState: the other state has " + text(other) + "; " + text(needed) + " are needed";
  });
}

/// The residue of a state that is two others together.
inline std::vector<double> sum_of_residues(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> out(std::max(a.size(), b.size()));
  for (const std::vector<double>* const part : {&a, &b})
    std::transform(part->begin(), part->end(), out.begin(), out.begin(), std::plus<>());
  return out;
}

template <Backend B>
struct RidgeState<B>::State {
  State(const RidgeStateParams& params, B backend);

  std::size_t waiting() const {
    return std::visit([](const auto& rows_of) { return rows_of.rows; }, block);
  }
  /// Of elements of the waiting rows.
  std::size_t element_bytes() const {
    return std::visit([]<class T>(const RowBlock<T, B>&) { return sizeof(T); }, block);
  }
  View<double, B> right_rows(std::size_t first, std::size_t count) {
    return View<double, B>(right.data() + first * right_cols, count, right_cols);
  }
  View<const double, B> right_rows(std::size_t first, std::size_t count) const {
    return View<const double, B>(right.data() + first * right_cols, count, right_cols);
  }

  /// The waiting block, for elements T, with memory for rows: one of the other type is added first, full or not.
  template <Real T>
  RowBlock<T, B>& block_of(Tile<B>& memory);

  /// Lets fill(first, count, block) put `count` rows behind those that wait, until all are there; adds every block that gets
  /// full. The block is one for elements T.
  template <Real T, class Fill>
  void append(Tile<B>& memory, std::size_t count, Fill fill);

  /// The same with rows and right sides that have their weights already.
  template <Real T>
  void append_rows(Tile<B>& memory, View<const T, B> z, View<const double, B> right);

  /// Adds the rows of a saved state of these sizes, whose header was checked and whose payload the reader is at, behind
  /// those that are there, or before them: then the rows that wait, if both have such, are of the same precision.
  void add_saved(const RidgeHeader& header, const ByteReader& reader, bool before);
  template <Real T>  // that of the saved rows that wait
  void add_saved(const RidgeHeader& header, ByteReader reader, bool before);

  /// The saved state; on the host the large sums may stay where they are.
  std::vector<RidgePiece> saved(bool in_place) const;

  /// Adds the waiting block to gram and cross and empties it. The caller has a ProductLibrary.
  void flush(Tile<B>& memory);

  /// Forgets all rows.
  void clear();

  /// The sums of positive terms, on the host: the weight, the squares of each target and of each column.
  std::vector<double> positive_sums() const;

  /// The residue without the rows of another state of these sizes. Throws Error if they cannot all be among those of this
  /// one.
  std::vector<double> residue_without(const State& other) const;

  RidgeStateParams params;
  B backend;
  TriangleTiles tiles;
  std::size_t right_cols;   // 1 + n_targets: the right side of a row is sqrt(w) (1, y)
  Buffer<double, B> gram;   // Z^T Z without the waiting rows
  Buffer<double, B> cross;  // Z^T (1, Y) likewise, (n_features, right_cols)
  Buffer<double, B> sums;   // of w y and of w y^2 over all rows, (2, n_targets)
  double total_weight = 0;
  std::uint64_t rows = 0;
  // Bounds of what rows that were removed have left in positive_sums() by rounding; empty if there were none.
  std::vector<double> residue;
  std::variant<RowBlock<float, B>, RowBlock<double, B>> block;
  Buffer<double, B> right;  // right sides of the waiting rows
};

template <Backend B>
template <Real T>
RowBlock<T, B>& RidgeState<B>::State::block_of(Tile<B>& memory) {
  if (!std::holds_alternative<RowBlock<T, B>>(block)) {
    RowBlock<T, B> empty(backend, tiles);
    flush(memory);
    block = std::move(empty);
  }
  RowBlock<T, B>& rows_of = std::get<RowBlock<T, B>>(block);
  if (!rows_of.memory.data()) rows_of = RowBlock<T, B>(backend, tiles);
  return rows_of;
}

template <Backend B>
template <Real T, class Fill>
void RidgeState<B>::State::append(Tile<B>& memory, std::size_t count, Fill fill) {
  RowBlock<T, B>& rows_of = std::get<RowBlock<T, B>>(block);
  for (std::size_t done = 0;;) {
    if (rows_of.rows == rows_of.capacity) flush(memory);
    if (done == count) return;
    const std::size_t part = std::min(count - done, rows_of.capacity - rows_of.rows);
    fill(done, part, rows_of);
    rows_of.rows += part;
    done += part;
  }
}

template <Backend B>
template <Real T>
void RidgeState<B>::State::append_rows(Tile<B>& memory, View<const T, B> z, View<const double, B> rights) {
  append<T>(memory, z.rows, [&](std::size_t first, std::size_t count, RowBlock<T, B>& rows_of) {
    fill_block<T, B>(backend, tiles, z, {.count = count, .first = first}, rows_of);
    copy_numbers(backend, rights.row(first), count * right_cols, right_rows(rows_of.rows, count).data);
  });
}

}  // namespace fastntk
