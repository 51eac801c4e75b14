#include "ridge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "change_stream.hpp"
#include "ridge_bytes.hpp"
#include "tile.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

constexpr std::size_t most = std::size_t{1}
                             << 24;  // keeps every size of a state within 64 bits, and those of BLAS within 32

// Of a waiting block, when it is copied by way of ordinary rows.
constexpr std::size_t rows_at_once = 64;

void require_size(std::size_t value, const char* name) {
  require_positive(value, name);
  require(value <= most, [&] {
    return std::string(name) + " is " + std::to_string(value) + "; at most " + std::to_string(most) + " is possible";
  });
}

const RidgeStateParams& checked(const RidgeStateParams& params) {
  require_size(params.n_features, "RidgeState: n_features");
  require_size(params.n_targets, "RidgeState: n_targets");
  return params;
}

void require_same_sizes(const RidgeStateParams& needed, const RidgeStateParams& other) {
  require(other.n_features == needed.n_features && other.n_targets == needed.n_targets, [&] {
    const auto text = [](const RidgeStateParams& p) {
      return std::to_string(p.n_features) + " features and " + std::to_string(p.n_targets) + " targets";
    };
    return "RidgeState: the other state has " + text(other) + "; " + text(needed) + " are needed";
  });
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
template <Real T>
RowBlock<T, B>& RidgeState<B>::State::block_of(Tile<B>& memory) {
  if (!std::holds_alternative<RowBlock<T, B>>(block)) {
    RowBlock<T, B> empty(backend, tiles);
    flush(memory);
    block = std::move(empty);
  }
  return std::get<RowBlock<T, B>>(block);
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
  if (&other == this || !same_memory(o.backend, s.backend)) return merge(from_bytes(other.to_bytes(), s.backend));

  run_in_order(o.backend, s.backend);
  std::visit(
      [&]<class T>(const RowBlock<T, B>& from) {
        Tile<B> memory(s.backend);
        const ProductLibrary<B> library(s.backend);
        View<T, B> z;
        if (from.rows > 0) {
          z = memory.template scratch<T>(rows_at_once, s.params.n_features);
          prepare_products<T>(memory, s.tiles);
        }
        if (from.rows > 0 || s.rows == 0) s.template block_of<T>(memory);
        add_numbers(s.backend, o.gram.data(), o.gram.size(), s.gram.data());
        add_numbers(s.backend, o.cross.data(), o.cross.size(), s.cross.data());
        add_numbers(s.backend, o.sums.data(), o.sums.size(), s.sums.data());
        for (std::size_t r = 0; r < from.rows; r += rows_at_once) {
          const std::size_t rows = std::min(rows_at_once, from.rows - r);
          read_block(s.backend, s.tiles, from, r, z.row_block(0, rows));
          s.template append<T>(memory, rows, [&](std::size_t first, std::size_t count, RowBlock<T, B>& block) {
            fill_block<T, B>(s.backend, s.tiles, z, {.count = count, .first = first}, block);
            copy_numbers(s.backend, o.right_rows(r + first, count).data, count * s.right_cols,
                         s.right_rows(block.rows, count).data);
          });
        }
      },
      o.block);
  s.total_weight += o.total_weight;
  s.rows += o.rows;
  run_in_order(s.backend, o.backend);
}

template <Backend B>
void RidgeState<B>::State::clear() {
  for (Buffer<double, B>* const zeros : {&gram, &cross, &sums}) set_zero(backend, zeros->data(), zeros->size());
  std::visit([](auto& rows_of) { rows_of.rows = 0; }, block);
  total_weight = 0;
  rows = 0;
}

template <Backend B>
std::vector<double> RidgeState<B>::State::squares_of_columns() const {
  std::vector<double> squares(params.n_features), tile(tiles.edge * tiles.edge);
  for (std::size_t i = 0; i < tiles.side; ++i) {
    const std::size_t size = tiles.size(i);
    copy_out(backend, gram.data() + tiles.offset(i, i), size * size * sizeof(double), tile.data());
    for (std::size_t r = 0; r < size; ++r) squares[tiles.first(i) + r] = tile[r * size + r];
  }
  std::visit(
      [&]<class T>(const RowBlock<T, B>& rows_of) {
        if (rows_of.rows == 0) return;
        Array<T, B> some(backend, rows_at_once, params.n_features);
        std::vector<T> near(rows_at_once * params.n_features);
        for (std::size_t first = 0; first < rows_of.rows; first += rows_at_once) {
          const View<T, B> some_rows = some.view().row_block(0, std::min(rows_at_once, rows_of.rows - first));
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
  return squares;
}

template <Backend B>
void RidgeState<B>::State::require_has(const State& o) const {
  const auto require_enough = [](bool enough, const char* what, double removed, double there) {
    require(enough, [&] {
      return "RidgeState: the rows to remove have " + std::string(what) + " " + std::to_string(removed) +
             ", but the state has " + std::to_string(there) + "; only rows that were added can be removed";
    });
  };
  const bool all = o.rows == rows;
  require_enough(o.rows <= rows, "a number of", static_cast<double>(o.rows), static_cast<double>(rows));
  // Sums of n terms, each of which is rounded, in two different orders.
  const double rounding = 2 * (static_cast<double>(rows) + 8) * std::numeric_limits<double>::epsilon();
  const auto can_be_left = [all](double there, double removed, double eps) {
    return !(there - removed < -eps * there) && (!all || !(there - removed > eps * there));
  };
  const double left = total_weight - o.total_weight;
  require_enough(all ? std::abs(left) <= rounding * total_weight : left > 0, "a total weight of", o.total_weight,
                 total_weight);
  const std::vector<double> there = sums.to_host(), removed = o.sums.to_host();
  for (std::size_t k = params.n_targets; k < there.size(); ++k) {
    require_enough(can_be_left(there[k], removed[k], rounding), "targets whose squares sum to", removed[k], there[k]);
  }
  // Rows of float may be among both, whose products are rounded to float within a block.
  const double of_products = std::min(2 * static_cast<double>(rows) + 8, 2.0 * RowBlock<float, B>::capacity + 8) *
                             static_cast<double>(std::numeric_limits<float>::epsilon());
  const std::vector<double> squares = squares_of_columns(), removed_squares = o.squares_of_columns();
  for (std::size_t c = 0; c < squares.size(); ++c) {
    require_enough(can_be_left(squares[c], removed_squares[c], rounding + of_products), "features whose squares sum to",
                   removed_squares[c], squares[c]);
  }
}

// With the signs of all sums changed, removing is adding.
template <Backend B>
void RidgeState<B>::subtract(const RidgeState& other) {
  State& s = *state_;
  const State& o = *other.state_;
  require_same_sizes(s.params, o.params);
  if (&other == this) return s.clear();
  if (!same_memory(o.backend, s.backend)) return subtract(from_bytes(other.to_bytes(), s.backend));
  run_in_order(o.backend, s.backend);
  s.require_has(o);
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
  run_in_order(s.backend, o.backend);
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

template <Backend B>
std::string RidgeState<B>::to_bytes() const {
  const State& s = *state_;
  const std::size_t waiting = s.waiting();
  RidgeHeader header;
  header.tile_edge = s.tiles.edge;
  header.block_capacity = RowBlock<float, B>::capacity;
  header.n_features = s.params.n_features;
  header.n_targets = s.params.n_targets;
  header.rows = s.rows;
  header.waiting = waiting;
  header.element_bytes = std::holds_alternative<RowBlock<double, B>>(s.block) ? sizeof(double) : sizeof(float);
  header.total_weight = s.total_weight;

  ByteWriter writer(header.size());
  writer.write(&header, 1);
  writer.write(s.backend, s.gram.data(), s.gram.size());
  writer.write(s.backend, s.cross.data(), s.cross.size());
  writer.write(s.backend, s.sums.data(), s.sums.size());
  writer.write(s.backend, s.right.data(), waiting * s.right_cols);
  std::visit(
      [&]<class T>(const RowBlock<T, B>& rows_of) {
        Array<T, B> some(s.backend, rows_at_once, s.params.n_features);
        for (std::size_t r = 0; r < waiting; r += rows_at_once) {
          const View<T, B> rows = some.view().row_block(0, std::min(rows_at_once, waiting - r));
          read_block(s.backend, s.tiles, rows_of, r, rows);
          writer.write(s.backend, rows.data, rows.rows * rows.cols);
        }
      },
      s.block);
  return std::move(writer).finish();
}

template <Backend B>
RidgeState<B> RidgeState<B>::from_bytes(std::string_view bytes, B backend) {
  RidgeHeader header;
  require(bytes.size() >= sizeof header + sizeof(std::uint64_t),
          [&] { return "RidgeState: bytes has " + std::to_string(bytes.size()) + " bytes, too few for a state"; });
  ByteReader reader(bytes);
  reader.read(&header, 1);
  require(header.magic == RidgeHeader::magic_value, "RidgeState: bytes is not a saved state (its first 8 bytes are wrong)");
  require(header.version == RidgeHeader::current_version, [&] {
    return "RidgeState: bytes has format version " + std::to_string(header.version) + "; this build reads version " +
           std::to_string(RidgeHeader::current_version);
  });
  // Before anything is allocated: sizes within limits, and the length that follows from them.
  require(header.n_features > 0 && header.n_features <= most && header.n_targets > 0 && header.n_targets <= most &&
              header.tile_edge == TriangleTiles(header.n_features).edge &&
              header.block_capacity == RowBlock<float, B>::capacity && header.waiting < RowBlock<float, B>::capacity &&
              header.waiting <= header.rows &&
              (header.element_bytes == sizeof(float) || header.element_bytes == sizeof(double)),
          "RidgeState: bytes is damaged (impossible sizes in its header)");
  require(bytes.size() == header.size() + sizeof(std::uint64_t), [&] {
    return "RidgeState: bytes has " + std::to_string(bytes.size()) + " bytes; its header tells of " +
           std::to_string(header.size() + sizeof(std::uint64_t));
  });
  require(reader.checksum_agrees(), "RidgeState: bytes is damaged (the checksum does not agree)");

  auto state = std::make_unique<State>(RidgeStateParams{header.n_features, header.n_targets}, backend);
  State& s = *state;
  s.rows = header.rows;
  s.total_weight = header.total_weight;
  reader.read(backend, s.gram.data(), s.gram.size());
  reader.read(backend, s.cross.data(), s.cross.size());
  reader.read(backend, s.sums.data(), s.sums.size());
  reader.read(backend, s.right.data(), header.waiting * s.right_cols);
  Tile<B> memory(backend);
  if (header.element_bytes == sizeof(double)) s.template block_of<double>(memory);
  std::visit(
      [&]<class T>(RowBlock<T, B>& rows_of) {
        Array<T, B> some(backend, rows_at_once, s.params.n_features);
        while (rows_of.rows < header.waiting) {
          const std::size_t count = std::min<std::size_t>(rows_at_once, header.waiting - rows_of.rows);
          const View<T, B> rows = some.view().row_block(0, count);
          reader.read(backend, rows.data, rows.rows * rows.cols);
          fill_block<T, B>(backend, s.tiles, rows, {.count = count}, rows_of);
          rows_of.rows += count;
        }
      },
      s.block);
  return RidgeState(std::move(state));
}

template class RidgeState<FASTNTK_BACKEND>;
#define FASTNTK_INSTANTIATE(T)                                                                                           \
  template void RidgeState<FASTNTK_BACKEND>::update(View<const T, FASTNTK_BACKEND>, View<const double, FASTNTK_BACKEND>, \
                                                    const double*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
