#include "poly_sketch.hpp"

#include <algorithm>
#include <bit>

#include "tiling.hpp"

namespace fastntk {

namespace {

const PolySketchParams& checked(const PolySketchParams& p) {
  require_size(p.in_features, "PolySketch: in_features");
  require_size(p.degree, "PolySketch: degree");
  require_size(p.out_features, "PolySketch: out_features");
  return p;
}

std::size_t depth_of(std::size_t v) { return static_cast<std::size_t>(std::bit_width(v)) - 1; }

}  // namespace

template <Real T, Backend B>
PolySketch<T, B>::State::State(const PolySketchParams& p, const B& backend)
    : params(checked(p)), leaves(std::bit_ceil(p.degree)) {
  const std::size_t m = p.out_features;
  for (std::size_t v = 1; v < leaves; ++v)
    nodes_.emplace_back(TensorSrhtParams{m, m, m, rng::child_seed(p.seed, v)}, backend);
  for (std::size_t k = 0; k < leaves; ++k) {
    const std::uint64_t seed = rng::child_seed(p.seed, leaves + k);
    if (p.base == PolySketchBase::srht) {
      base_.emplace_back(std::in_place_index<0>, SrhtParams{p.in_features, m, seed}, backend);
    } else {
      base_.emplace_back(std::in_place_index<1>, CountSketchParams{p.in_features, m, seed}, backend);
    }
  }

  // The values of the tree where every leaf holds e1 do not depend on the data.
  std::vector<T> host_e1(p.in_features, T(0));
  host_e1[0] = 1;
  const Buffer<T, B> e1(backend, host_e1);
  unit_root_ = Buffer<T, B>(backend, m);
  transformed_units_ = Buffer<T, B>(backend, leaves * padded(m));
  for_tiles<B>(backend, 1, 1, [&](Tile<B>& tile, RowRange) {
    const View<T, B> units = tile.template scratch<T>(2 * leaves, m);
    const View<T, B> left = tile.template scratch<T>(1, padded(m));
    for (std::size_t k = 0; k < leaves; ++k)
      sketch_leaf(tile, k, View<const T, B>(e1.data(), 1, p.in_features), units.row_block(leaves + k, 1));
    for (std::size_t v = leaves - 1; v > 0; --v) {
      const View<T, B> right(transformed_units_.data() + v * padded(m), 1, padded(m));
      node(v).transform_first(tile, units.row_block(2 * v, 1), left);
      node(v).transform_second(tile, units.row_block(2 * v + 1, 1), right);
      node(v).combine(tile, left, right, units.row_block(v, 1));
    }
    copy<T, B>(tile, units.row_block(1, 1), View<T, B>(unit_root_.data(), 1, m));
  });
}

template <Real T, Backend B>
void PolySketch<T, B>::State::sketch_leaf(Tile<B>& tile, std::size_t k, View<const T, B> x, View<T, B> out) const {
  std::visit([&](const auto& base) { base.apply(tile, x, out); }, base_[k]);
}

// The tree over one tile, filled leaf by leaf from the left, the way a binary counter counts: a node is complete with its
// right child, and of the complete nodes only those are needed further that wait, as left children, for their siblings. So
// there is one transformed value a level, however many leaves.
template <Real T, Backend B>
struct PolySketch<T, B>::State::Tree {
  Tree(const State& s, Tile<B>& t, std::size_t rows)
      : state(s), tile(t), length(padded(s.params.out_features)), transformed(t.template scratch<T>(rows, length)) {
    for (std::size_t depth = 0; depth < depth_of(s.leaves); ++depth) left.push_back(t.template scratch<T>(rows, length));
  }

  // Puts x into the next leaf. `out` gets the value of the highest node that this completes.
  void add(View<const T, B> x, View<T, B> out) {
    state.sketch_leaf(tile, filled, x, out);
    for (v = state.leaves + filled++; v > 1 && v % 2 == 1; v /= 2) join_left(v / 2, out);
    if (v > 1) state.node(v / 2).transform_first(tile, out, left[depth_of(v / 2)]);
  }

  // `out`, as add() left it, becomes the sketch with e1 in all leaves that are not filled: on the way from the completed
  // node to the root every right sibling is a constant.
  void close(View<T, B> out) const {
    for (std::size_t u = v; u > 1; u /= 2) {
      if (u % 2 == 1) {
        join_left(u / 2, out);
        continue;
      }
      if (u != v) state.node(u / 2).transform_first(tile, out, transformed);
      const View<const T, B> unit(state.transformed_units_.data() + u / 2 * length, out.rows, length, 0);
      state.node(u / 2).combine(tile, u == v ? left[depth_of(u / 2)] : transformed, unit, out);
    }
  }

  // The value of node `parent`, from its left child's transform and from its right child's value in `out`, to `out`.
  void join_left(std::size_t parent, View<T, B> out) const {
    state.node(parent).transform_and_combine(tile, left[depth_of(parent)], out, out);
  }

  const State& state;
  Tile<B>& tile;
  std::size_t length;            // of the nodes' transforms
  View<T, B> transformed;        // of a node above the completed one
  std::vector<View<T, B>> left;  // by the parent's depth: the transform of the complete left child that waits there
  std::size_t filled = 0;        // leaves
  std::size_t v = 0;             // the highest node that the last leaf completed
};

template <Real T, Backend B>
void PolySketch<T, B>::State::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  Tree tree(*this, tile, x.rows);
  for (std::size_t k = 0; k < params.degree; ++k) tree.add(x, out);
  tree.close(out);
}

template <Real T, Backend B>
void PolySketch<T, B>::State::tensor(Tile<B>& tile, const std::vector<View<const T, B>>& factors, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  Tree tree(*this, tile, out.rows);
  for (const View<const T, B>& x : factors) tree.add(x, out);
  tree.close(out);
}

template <Real T, Backend B>
void PolySketch<T, B>::State::powers(Tile<B>& tile, View<const T, B> x, const std::vector<View<T, B>>& out) const {
  const typename Tile<B>::Scope scope(tile);
  copy<T, B>(tile, View<const T, B>(unit_root_.data(), x.rows, params.out_features, 0), out[0]);
  Tree tree(*this, tile, x.rows);
  for (std::size_t j = 1; j <= params.degree; ++j) {
    tree.add(x, out[j]);
    tree.close(out[j]);
  }
}

template <Real T, Backend B>
PolySketch<T, B>::PolySketch(const PolySketchParams& params, B backend)
    : backend_(backend), state_(std::make_shared<State>(params, backend)) {
  finish(backend);
}

template <Real T, Backend B>
PolySketch<T, B> PolySketch<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "PolySketch: on");
  PolySketch other = *this;
  other.backend_ = backend;
  return other;
}

template <Real T, Backend B>
const PolySketchParams& PolySketch<T, B>::params() const {
  return state_->params;
}

namespace {

// A row takes its transform at a leaf, one transform a level and its output; but below 8 rows a tile, reading the operator's
// tables for them would cost more than the cache saves.
template <Real T, Backend B>
std::size_t tree_tile_rows(const B& backend, const PolySketchParams& p) {
  const std::size_t levels = depth_of(std::bit_ceil(p.degree));
  return std::max<std::size_t>(rows_per_tile<T>(backend, padded(p.in_features) + (levels + 2) * padded(p.out_features)), 8);
}

}  // namespace

template <Real T, Backend B>
void PolySketch<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  const PolySketchParams& p = state_->params;
  require_shape(x, x.rows, p.in_features, "PolySketch: x");
  require_shape(out, x.rows, p.out_features, "PolySketch: out");
  for_tiles<B>(backend_, x.rows, tree_tile_rows<T>(backend_, p), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template <Real T, Backend B>
void PolySketch<T, B>::tensor(const std::vector<View<const T, B>>& factors, View<T, B> out) const {
  const PolySketchParams& p = state_->params;
  require(factors.size() == p.degree, [&] {
    return "PolySketch: factors has " + std::to_string(factors.size()) + " entries; degree = " + std::to_string(p.degree) +
           " are needed";
  });
  for (const View<const T, B>& x : factors) require_shape(x, factors[0].rows, p.in_features, "PolySketch: x");
  require_shape(out, factors[0].rows, p.out_features, "PolySketch: out");
  for_tiles<B>(backend_, out.rows, tree_tile_rows<T>(backend_, p), [&](Tile<B>& tile, RowRange r) {
    std::vector<View<const T, B>> block;
    for (const View<const T, B>& x : factors) block.push_back(x.row_block(r.begin, r.count));
    state_->tensor(tile, block, out.row_block(r.begin, r.count));
  });
}

template <Real T, Backend B>
void PolySketch<T, B>::powers(View<const T, B> x, const std::vector<View<T, B>>& out) const {
  const PolySketchParams& p = state_->params;
  require_shape(x, x.rows, p.in_features, "PolySketch: x");
  require(out.size() == p.degree + 1, [&] {
    return "PolySketch: out has " + std::to_string(out.size()) + " entries; degree + 1 = " + std::to_string(p.degree + 1) +
           " are needed";
  });
  for (const View<T, B>& z : out) require_shape(z, x.rows, p.out_features, "PolySketch: out");
  for_tiles<B>(backend_, x.rows, tree_tile_rows<T>(backend_, p), [&](Tile<B>& tile, RowRange r) {
    std::vector<View<T, B>> block;
    for (const View<T, B>& z : out) block.push_back(z.row_block(r.begin, r.count));
    state_->powers(tile, x.row_block(r.begin, r.count), block);
  });
}

template class PolySketch<float, FASTNTK_BACKEND>;
template class PolySketch<double, FASTNTK_BACKEND>;

}  // namespace fastntk
