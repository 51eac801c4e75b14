#include "ridge.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "change_stream.hpp"
#include "tile.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

void require_size(std::size_t value, const char* name) {
  require_positive(value, name);
  require(value <= most_ridge_columns, [&] {
    return std::string(name) + " is " + std::to_string(value) + "; at most " + std::to_string(most_ridge_columns) +
           " is possible";
  });
}

const RidgeStateParams& checked(const RidgeStateParams& params) {
  require_size(params.n_features, "RidgeState: n_features");
  require_size(params.n_targets, "RidgeState: n_targets");
  return params;
}

/// total + 1 + 1 + ..., rounded after each sum.
double add_ones(double total, std::size_t count) {
  const double end = total + static_cast<double>(count);
  if (total == std::floor(total) && end <= 0x1p53) return end;
  for (; count > 0; --count) total += 1;
  return total;
}

}  // namespace

template <Backend B>
RidgeState<B>::State::State(const RidgeStateParams& p, B b)
    : params(checked(p)),
      backend(b),
      tiles(p.n_features),
      right_cols(1 + p.n_targets),
      gram(backend, tiles.elements()),
      cross(backend, p.n_features * right_cols),
      sums(backend, 2 * p.n_targets),
      block(std::in_place_type<RowBlock<float, B>>, backend, tiles),
      right(backend, RowBlock<float, B>::capacity * right_cols) {
  clear();
}

template <Backend B>
void RidgeState<B>::State::flush(Tile<B>& memory) {
  std::visit(
      [&]<class T>(RowBlock<T, B>& rows_of) {
        if (rows_of.rows == 0) return;
        prepare_products<T>(memory, tiles);
        add_gram(memory, tiles, rows_of, gram.data());
        add_cross(memory, tiles, rows_of, std::as_const(*this).right_rows(0, rows_of.rows),
                  View<double, B>(cross.data(), params.n_features, right_cols));
        rows_of.rows = 0;
      },
      block);
}

template <Backend B>
RidgeState<B>::RidgeState(const RidgeStateParams& params, B backend) : state_(std::make_unique<State>(params, backend)) {}
template <Backend B>
RidgeState<B>::RidgeState(std::unique_ptr<State> state) : state_(std::move(state)) {}
template <Backend B>
RidgeState<B>::~RidgeState() = default;
template <Backend B>
RidgeState<B>::RidgeState(RidgeState&&) noexcept = default;
template <Backend B>
RidgeState<B>& RidgeState<B>::operator=(RidgeState&&) noexcept = default;

template <Backend B>
void RidgeState<B>::run_on(const B& backend) {
  change_stream(state_->backend, backend, "RidgeState");
}

template <Backend B>
template <Real T>
void RidgeState<B>::update(View<const T, B> z, View<const double, B> y, const double* sample_weight) {
  State& s = *state_;
  require_shape(z, z.rows, s.params.n_features, "RidgeState: z");
  require_shape(y, z.rows, s.params.n_targets, "RidgeState: y");
  for (std::size_t i = 0; sample_weight && i < z.rows; ++i) {
    require(sample_weight[i] >= 0 && std::isfinite(sample_weight[i]), [&] {
      return "RidgeState: sample_weight[" + std::to_string(i) + "] is " + std::to_string(sample_weight[i]) +
             "; weights are finite and not negative";
    });
  }

  Tile<B> memory(s.backend);
  const ProductLibrary<B> library(s.backend);
  ChosenRows<B> rows{z.rows};
  double total_weight = s.total_weight;
  std::vector<std::size_t> source;
  std::vector<double> weight;
  if (!sample_weight) {
    total_weight = add_ones(total_weight, z.rows);
  } else {
    source.reserve(z.rows);
    weight.reserve(z.rows);
    for (std::size_t i = 0; i < z.rows; ++i) {
      if (sample_weight[i] == 0) continue;
      source.push_back(i);
      weight.push_back(sample_weight[i]);
      total_weight += sample_weight[i];
    }
    rows = {source.size(), stage(memory, source.data(), source.size()), stage(memory, weight.data(), weight.size())};
  }
  if (rows.count == 0) return;

  // All that can fail for lack of memory comes before the first change.
  const RowBlock<T, B>* const present = std::get_if<RowBlock<T, B>>(&s.block);
  if ((present ? present->rows : 0) + rows.count >= RowBlock<T, B>::capacity) prepare_products<T>(memory, s.tiles);
  s.template block_of<T>(memory);

  add_sums(s.backend, y, rows, s.sums.data());
  s.template append<T>(memory, rows.count, [&](std::size_t first, std::size_t count, RowBlock<T, B>& block) {
    fill_block(s.backend, s.tiles, z, rows.part(first, count), block);
    fill_right(s.backend, y, rows.part(first, count), s.right_rows(block.rows, count));
  });
  s.total_weight = total_weight;
  s.rows += rows.count;
}

template <Backend B>
void RidgeState<B>::merge(const RidgeState& other) {
  State& s = *state_;
  const State& o = *other.state_;
  require_same_sizes(s.params, o.params);
  if (&other == this || !same_memory(o.backend, s.backend)) return merge_bytes(other.to_bytes());

  run_in_order(o.backend, s.backend);
  std::vector<double> residue = sum_of_residues(s.residue, o.residue);
  std::visit(
      [&]<class T>(const RowBlock<T, B>& from) {
        Tile<B> memory(s.backend);
        const ProductLibrary<B> library(s.backend);
        View<T, B> z;
        if (from.rows > 0) {
          z = memory.template scratch<T>(ridge_rows_at_once, s.params.n_features);
          prepare_products<T>(memory, s.tiles);
        }
        if (from.rows > 0 || s.rows == 0) s.template block_of<T>(memory);
        add_numbers(s.backend, o.gram.data(), o.gram.size(), s.gram.data());
        add_numbers(s.backend, o.cross.data(), o.cross.size(), s.cross.data());
        add_numbers(s.backend, o.sums.data(), o.sums.size(), s.sums.data());
        for (std::size_t r = 0; r < from.rows; r += ridge_rows_at_once) {
          const std::size_t rows = std::min(ridge_rows_at_once, from.rows - r);
          read_block(s.backend, s.tiles, from, r, z.row_block(0, rows));
          s.template append_rows<T>(memory, z.row_block(0, rows), o.right_rows(r, rows));
        }
      },
      o.block);
  s.total_weight += o.total_weight;
  s.rows += o.rows;
  s.residue = std::move(residue);
  run_in_order(s.backend, o.backend);
}

template <Backend B>
void RidgeState<B>::State::clear() {
  for (Buffer<double, B>* const zeros : {&gram, &cross, &sums}) set_zero(backend, zeros->data(), zeros->size());
  std::visit([](auto& rows_of) { rows_of.rows = 0; }, block);
  total_weight = 0;
  rows = 0;
  residue.clear();
}

template <Backend B>
void RidgeState<B>::trim() {
  std::visit(
      [](auto& rows_of) {
        if (rows_of.rows == 0) rows_of.memory = {};
      },
      state_->block);
}

template <Backend B>
std::uint64_t RidgeState<B>::rows() const {
  return state_->rows;
}

template <Backend B>
double RidgeState<B>::total_weight() const {
  return state_->total_weight;
}

template <Backend B>
std::vector<double> RidgeState<B>::target_sums() const {
  return state_->sums.to_host();
}

template <Backend B>
const RidgeStateParams& RidgeState<B>::params() const {
  return state_->params;
}

template class RidgeState<FASTNTK_BACKEND>;
#define FASTNTK_INSTANTIATE(T)                                                                                           \
  template void RidgeState<FASTNTK_BACKEND>::update(View<const T, FASTNTK_BACKEND>, View<const double, FASTNTK_BACKEND>, \
                                                    const double*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
