#include "poly_sketch.hpp"

#include <algorithm>
#include <bit>

#include "tiling.hpp"

namespace fastntk {

template <Real T, Backend B>
PolySketch<T, B>::State::State(const PolySketchParams& p, B b)
    : params(p), backend(b), leaves(std::bit_ceil(std::max<std::size_t>(p.degree, 1))) {
  require_positive(p.in_features, "PolySketch: in_features");
  require_positive(p.degree, "PolySketch: degree");
  require_positive(p.out_features, "PolySketch: out_features");
  const std::size_t m = p.out_features;
  for (std::size_t v = 1; v < leaves; ++v)
    nodes_.emplace_back(TensorSrhtParams{m, m, m, rng::child_seed(p.seed, v)}, b);
  for (std::size_t k = 0; k < leaves; ++k) {
    const std::uint64_t seed = rng::child_seed(p.seed, leaves + k);
    if (p.base == PolySketchBase::srht) {
      base_.emplace_back(std::in_place_index<0>, SrhtParams{p.in_features, m, seed}, b);
    } else {
      base_.emplace_back(std::in_place_index<1>, CountSketchParams{p.in_features, m, seed}, b);
    }
  }

  // The values of the tree where every leaf holds e1 do not depend on the data.
  std::vector<T> host_e1(p.in_features, T(0));
  host_e1[0] = 1;
  const Buffer<T, B> e1(std::move(host_e1));
  unit_root_ = Buffer<T, B>(m);
  transformed_units_ = Buffer<T, B>(leaves * padded(m));
  for_tiles<B>(b, 1, 1, [&](Tile<B>& tile, RowRange) {
    const View<T, B> units = tile.template scratch<T>(2 * leaves, m);
    const View<T, B> left = tile.template scratch<T>(1, padded(m));
    for (std::size_t k = 0; k < leaves; ++k)
      sketch_leaf(tile, k, {e1.data(), 1, p.in_features}, units.row_block(leaves + k, 1));
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

// The tree over one tile. In x^(j) (x) e1^(p-j) the first j leaves hold x, so that every node is all x, all e1, or on the path
// from leaf j - 1 to the root. All-x values are computed once, with the transforms of those that are left children; an all-e1
// sibling is a constant row; and a power costs one climb along its path.
template <Real T, Backend B>
struct PolySketch<T, B>::State::Tree {
  Tree(const State& s, Tile<B>& t, const std::vector<View<const T, B>>& factors)
      : state(s), tile(t), rows(factors[0].rows), m(s.params.out_features), length(padded(m)) {
    full.resize(2 * state.leaves);
    left_transform.resize(state.leaves);
    for (std::size_t v = 2 * state.leaves - 1; v > 1; --v) {
      if (last_leaf(v) > factors.size()) continue;
      full[v] = tile.template scratch<T>(rows, m);
      if (v >= state.leaves) {
        state.sketch_leaf(tile, v - state.leaves, factors[v - state.leaves], full[v]);
      } else {
        const typename Tile<B>::Scope scope(tile);
        const View<T, B> right = tile.template scratch<T>(rows, length);
        state.node(v).transform_second(tile, full[2 * v + 1], right);
        state.node(v).combine(tile, left_transform[v], right, full[v]);
      }
      if (v % 2 == 0) {
        left_transform[v / 2] = tile.template scratch<T>(rows, length);
        state.node(v / 2).transform_first(tile, full[v], left_transform[v / 2]);
      }
    }
  }

  // The sketch of the first j factors and e1 in place of the others, j >= 1, for a tree of at least two leaves.
  void power(std::size_t j, View<T, B> out) const {
    const typename Tile<B>::Scope scope(tile);
    const View<T, B> mixed = tile.template scratch<T>(rows, m);
    const View<T, B> transformed = tile.template scratch<T>(rows, length);
    std::size_t v = state.leaves + j - 1;
    while (v / 2 > 1 && last_leaf(v / 2) == j) v /= 2;  // climb while all leaves below hold x
    for (View<T, B> value = full[v]; v > 1; v /= 2) {
      const auto& parent = state.node(v / 2);
      const View<T, B> target = v / 2 == 1 ? out : mixed;
      if (v % 2 == 1) {
        parent.transform_second(tile, value, transformed);
        parent.combine(tile, left_transform[v / 2], transformed, target);
      } else {
        const View<const T, B> unit(state.transformed_units_.data() + v / 2 * length, rows, length, 0);
        if (value.data != full[v].data) parent.transform_first(tile, value, transformed);
        parent.combine(tile, value.data == full[v].data ? left_transform[v / 2] : transformed, unit, target);
      }
      value = target;
    }
  }

  // One past the last leaf below node v.
  std::size_t last_leaf(std::size_t v) const {
    const std::size_t level = std::bit_floor(v);
    return (v - level + 1) * (state.leaves / level);
  }

  const State& state;
  Tile<B>& tile;
  std::size_t rows, m, length;
  std::vector<View<T, B>> full;            // values of the nodes below the root whose leaves all hold x
  std::vector<View<T, B>> left_transform;  // of each inner node whose left child is such a node
};

template <Real T, Backend B>
void PolySketch<T, B>::State::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  tensor(tile, std::vector<View<const T, B>>(params.degree, x), out);
}

template <Real T, Backend B>
void PolySketch<T, B>::State::tensor(Tile<B>& tile, const std::vector<View<const T, B>>& factors, View<T, B> out) const {
  if (leaves == 1) return sketch_leaf(tile, 0, factors[0], out);
  const typename Tile<B>::Scope scope(tile);
  Tree(*this, tile, factors).power(params.degree, out);
}

template <Real T, Backend B>
void PolySketch<T, B>::State::powers(Tile<B>& tile, View<const T, B> x, const std::vector<View<T, B>>& out) const {
  const typename Tile<B>::Scope scope(tile);
  copy<T, B>(tile, View<const T, B>(unit_root_.data(), x.rows, params.out_features, 0), out[0]);
  if (leaves == 1) return sketch_leaf(tile, 0, x, out[1]);
  const Tree tree(*this, tile, std::vector<View<const T, B>>(params.degree, x));
  for (std::size_t j = 1; j <= params.degree; ++j) tree.power(j, out[j]);
}

template <Real T, Backend B>
PolySketch<T, B>::PolySketch(const PolySketchParams& params, B backend)
    : state_(std::make_shared<State>(params, backend)) {}

template <Real T, Backend B>
const PolySketchParams& PolySketch<T, B>::params() const {
  return state_->params;
}

namespace {

// A tree keeps about three matrices a node; below 8 rows a tile, calls would cost more than the cache saves.
template <Real T>
std::size_t tree_tile_rows(const PolySketchParams& p) {
  return std::max<std::size_t>(rows_per_tile<T>(padded(p.in_features) + 3 * p.degree * padded(p.out_features)), 8);
}

}  // namespace

template <Real T, Backend B>
void PolySketch<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  tensor(std::vector<View<const T, B>>(state_->params.degree, x), out);
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
  for_tiles<B>(state_->backend, out.rows, tree_tile_rows<T>(p), [&](Tile<B>& tile, RowRange r) {
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
  for_tiles<B>(state_->backend, x.rows, tree_tile_rows<T>(p), [&](Tile<B>& tile, RowRange r) {
    std::vector<View<T, B>> block;
    for (const View<T, B>& z : out) block.push_back(z.row_block(r.begin, r.count));
    state_->powers(tile, x.row_block(r.begin, r.count), block);
  });
}

template class PolySketch<float, FASTNTK_BACKEND>;
template class PolySketch<double, FASTNTK_BACKEND>;

}  // namespace fastntk
