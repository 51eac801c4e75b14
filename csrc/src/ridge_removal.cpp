// Rows that leave a RidgeState, and what shows that they were never in it.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ridge.hpp"
#include "tile.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

/// A bound of the rounding of a sum of so many positive terms, in units of it, in any order and in any parts (Higham 2002,
/// section 4.2): twice as much as it can be.
double rounding_of_sum(std::uint64_t rows) {
  return 2 * (static_cast<double>(rows) + 8) * std::numeric_limits<double>::epsilon();
}

/// The same for products of a block of so many rows, which may be of float.
double rounding_of_products(std::uint64_t rows) {
  return (static_cast<double>(rows) + 8) * static_cast<double>(std::numeric_limits<float>::epsilon());
}

std::string text(double value) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.17g", value);
  return digits;
}

void require_enough(bool enough, const char* what, double removed, double there) {
  require(enough, [&] {
    return std::string("RidgeState: the rows to remove have ") + what + " " + text(removed) + ", but the state has " +
           text(there) + "; only rows that were added can be removed";
  });
}

}  // namespace

template <Backend B>
std::vector<double> RidgeState<B>::State::positive_sums() const {
  std::vector<double> out = sums.to_host();
  out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(params.n_targets));
  out.insert(out.begin(), total_weight);
  out.resize(1 + params.n_targets + params.n_features);
  double* const squares = &out[1 + params.n_targets];  // the diagonal of G
  std::vector<double> tile(tiles.edge * tiles.edge);
  for (std::size_t i = 0; i < tiles.side; ++i) {
    const std::size_t size = tiles.size(i);
    copy_out(backend, gram.data() + tiles.offset(i, i), size * size * sizeof(double), tile.data());
    for (std::size_t r = 0; r < size; ++r) squares[tiles.first(i) + r] = tile[r * size + r];
  }
  std::visit(
      [&]<class T>(const RowBlock<T, B>& rows_of) {
        if (rows_of.rows == 0) return;
        Array<T, B> some(backend, ridge_rows_at_once, params.n_features);
        std::vector<T> near(ridge_rows_at_once * params.n_features);
        for (std::size_t first = 0; first < rows_of.rows; first += ridge_rows_at_once) {
          const View<T, B> some_rows = some.view().row_block(0, std::min(ridge_rows_at_once, rows_of.rows - first));
          read_block(backend, tiles, rows_of, first, some_rows);
          copy_out(backend, some_rows.data, some_rows.rows * some_rows.cols * sizeof(T), near.data());
          for (std::size_t r = 0; r < some_rows.rows; ++r) {
            for (std::size_t c = 0; c < some_rows.cols; ++c) {
              const auto value = static_cast<double>(near[r * some_rows.cols + c]);
              squares[c] += value * value;
            }
          }
        }
      },
      block);
  return out;
}

// Of each positive sum S of n rows the state knows that its rounding is at most rounding_of_sum(n) S + residue, and
// rounding_of_products(block) S more if it is one of products. What the removal of rows adds to that, and what of it is not
// covered by the smaller sum that is left, goes into the residue.
template <Backend B>
std::vector<double> RidgeState<B>::State::residue_without(const State& o) const {
  require_enough(o.rows <= rows, "a number of", static_cast<double>(o.rows), static_cast<double>(rows));
  constexpr std::uint64_t capacity = RowBlock<float, B>::capacity;
  // A block may hold rows that were removed since.
  const auto rows_of_block = [&](const State& s) { return s.residue.empty() ? std::min(s.rows, capacity) : capacity; };
  const double in_ours = rounding_of_products(rows_of_block(*this)), in_theirs = rounding_of_products(rows_of_block(o));
  const bool all = o.rows == rows;
  const std::vector<double> there = positive_sums(), removed = o.positive_sums();
  std::vector<double> out = sum_of_residues(residue, o.residue);
  out.resize(there.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool is_target = i > 0 && i <= params.n_targets, is_column = i > params.n_targets;
    const char* const what = is_column   ? "features whose squares sum to"
                             : is_target ? "targets whose squares sum to"
                                         : "a total weight of";
    const double left = there[i] - removed[i];
    const double of_sums = out[i] + rounding_of_sum(rows) * there[i] + rounding_of_sum(o.rows) * removed[i];
    const double of_all = of_sums + (is_column ? in_ours * there[i] + in_theirs * removed[i] : 0);
    require_enough(!(left < -of_all) && !(all && left > of_all), what, removed[i], there[i]);
    require(i > 0 || all || !(left <= 0), [&] {
      return "RidgeState: the rows to remove have a total weight of " + text(removed[i]) + ", all that the state has, but " +
             std::to_string(rows - o.rows) + " rows would be left: other weights were added, or rounding has taken the rest";
    });

    const double of_difference = std::numeric_limits<double>::epsilon() * there[i];
    const double of_products = is_column ? 2 * rounding_of_products(capacity) * removed[i] : 0;  // when they came, and now
    out[i] = std::max(0.0, of_sums + of_difference + of_products - rounding_of_sum(rows - o.rows) * left);
  }
  return out;
}

// With the signs of all sums changed, removing is adding.
template <Backend B>
void RidgeState<B>::subtract(const RidgeState& other) {
  State& s = *state_;
  const State& o = *other.state_;
  require_same_sizes(s.params, o.params);
  if (&other == this) return s.clear();
  if (!same_memory(o.backend, s.backend)) return subtract(from_bytes(other.to_bytes(), s.backend));
  if (o.rows == 0) return;
  run_in_order(o.backend, s.backend);
  std::vector<double> residue = s.residue_without(o);
  if (o.rows == s.rows) return s.clear();

  std::visit(
      [&]<class T>(const RowBlock<T, B>& from) {
        Tile<B> memory(s.backend);
        const ProductLibrary<B> library(s.backend);
        if (from.rows > 0) prepare_products<T>(memory, s.tiles);
        const auto change_signs = [&] {
          for (Buffer<double, B>* const numbers : {&s.gram, &s.cross, &s.sums}) {
            negate_numbers(s.backend, numbers->size(), numbers->data());
          }
        };
        change_signs();
        add_numbers(s.backend, o.gram.data(), o.gram.size(), s.gram.data());
        add_numbers(s.backend, o.cross.data(), o.cross.size(), s.cross.data());
        add_numbers(s.backend, o.sums.data(), o.sums.size(), s.sums.data());
        add_gram(memory, s.tiles, from, s.gram.data());
        add_cross(memory, s.tiles, from, o.right_rows(0, from.rows),
                  View<double, B>(s.cross.data(), s.params.n_features, s.right_cols));
        change_signs();
      },
      o.block);
  s.total_weight -= o.total_weight;
  s.rows -= o.rows;
  s.residue = std::move(residue);
  run_in_order(s.backend, o.backend);
}

template void RidgeState<FASTNTK_BACKEND>::subtract(const RidgeState&);

}  // namespace fastntk
