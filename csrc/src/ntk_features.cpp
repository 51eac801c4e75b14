#include "ntk_features.hpp"

#include <algorithm>
#include <cmath>

#include "dual_activation.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// Below this many inputs a matrix product is as cheap as the transforms, and the mixing of short blocks shows in the mean.
constexpr std::size_t structured_from = 33;

// The linear term takes d columns from the random ones. It pays from this multiple of 1 + d columns on; measured as spectral
// and Frobenius error on MNIST (d = 784).
constexpr std::size_t exact_from(std::size_t depth) { return depth == 1 ? 2 : 3; }

NtkRandomFeaturesParams resolve(NtkRandomFeaturesParams p) {
  require_size(p.in_features, "NtkRandomFeatures: in_features");
  require_size(p.out_features, "NtkRandomFeatures: out_features");
  require_depth(p.depth, "NtkRandomFeatures: depth");
  require(std::isfinite(p.bias),
          [&] { return "NtkRandomFeatures: bias is " + std::to_string(p.bias) + "; a finite number is needed"; });
  const std::size_t d = p.in_features + (p.bias != 0);
  if (p.directions == Directions::automatic)
    p.directions = d >= structured_from ? Directions::structured : Directions::gaussian;
  if (p.low_orders == LowOrders::automatic)
    p.low_orders = p.out_features >= exact_from(p.depth) * (1 + d) ? LowOrders::exact : LowOrders::constant;
  if (p.diagonal == Diagonal::automatic)
    p.diagonal = p.low_orders == LowOrders::sampled ? Diagonal::sampled : Diagonal::exact;
  // A single column holds the whole series under the dual activation; Algorithm 2 has two parts.
  const std::size_t least = p.low_orders == LowOrders::exact ? d + 2 : p.low_orders == LowOrders::sampled ? 2 : 1;
  require(p.out_features >= least, [&] {
    return "NtkRandomFeatures: out_features is " + std::to_string(p.out_features) + "; at least " + std::to_string(least) +
           (p.low_orders == LowOrders::exact
                ? " (the constant, one column per input, and one random column) are needed with "
                  "low_orders 'exact'; use more, or low_orders 'auto'"
                : " are needed");
  });
  return p;
}

}  // namespace

template <Real T, Backend B>
DualFeatures<T, B>::DualFeatures(const NtkRandomFeaturesParams& p, std::size_t d, const B& backend)
    : exact_columns_(p.low_orders == LowOrders::exact ? 1 + d
                     : p.out_features > 1             ? 1
                                                      : 0),
      exact_diagonal_(p.diagonal == Diagonal::exact),
      // Directions on the sphere get a chi_d length here: the dual activation is made for normal projections.
      directions_(backend, p.directions == Directions::structured ? Directions::structured : Directions::gaussian, d,
                  p.out_features - exact_columns_, rng::child_seed(p.seed, 1)) {
  const DualActivation g = dual_activation(p.depth, std::min<std::size_t>(exact_columns_, 2));
  constant_ = static_cast<T>(std::sqrt(g.low_order[0]));
  linear_ = static_cast<T>(std::sqrt(g.low_order[1]));
  remainder_ = static_cast<T>(g.remainder);
  g_ = DualTable<T, B>(backend, g);
}

template <Real T, Backend B>
std::size_t DualFeatures<T, B>::tile_rows(const B& backend) const {
  // In one pass only the input, and its unit rows, are read again.
  if (in_one_pass(backend)) return rows_per_tile<T>(backend, 2 * directions_.in_features());
  return directions_.tile_rows(backend, exact_columns_ + directions_.size());
}

template <Real T, Backend B>
void DualFeatures<T, B>::apply(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const {
  if (!in_one_pass(tile.backend())) return apply_in_steps(tile, unit, norm, out);
  const DualRows<T, B> features{.n = directions_.panel(),
                                .m = directions_.size(),
                                .rotation = directions_.rotation(),
                                .length = directions_.length(),
                                .g = &g_,
                                .exact_columns = exact_columns_,
                                .exact_diagonal = exact_diagonal_,
                                .constant = constant_,
                                .linear = linear_,
                                .remainder = remainder_};
  dual_rows<T, B>(tile, features, unit, norm, out);
}

template <Real T, Backend B>
void DualFeatures<T, B>::apply_in_steps(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t rows = out.rows;
  const std::size_t m = directions_.size();
  T* const square = tile.template scratch<T>(1, rows).data;
  for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { square[r] = 0; });

  const View<T, B> random = out.col_block(exact_columns_, m);
  for (std::size_t first = 0; first < m; first += directions_.panel()) {
    const View<T, B> panel = random.col_block(first, std::min(directions_.panel(), m - first));
    directions_.apply(tile, unit, first, {}, panel);
    dual_features<T, B>(tile, g_, panel, square);
  }

  // Scaling the random columns alone leaves the exact ones exact.
  T* const scale = tile.template scratch<T>(1, rows).data;
  const bool exact_diagonal = exact_diagonal_;
  const T target = remainder_;
  const T mean_scale = static_cast<T>(1 / std::sqrt(static_cast<double>(m)));
  for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) {
    scale[r] = norm[r] * (exact_diagonal && square[r] > 0 ? std::sqrt(target / square[r]) : mean_scale);
  });
  scale_rows<T, B>(tile, scale, random, random);

  if (exact_columns_ == 0) return;
  const T constant = constant_;
  for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { out(r, 0) = constant * norm[r]; });
  if (exact_columns_ > 1) {
    const T linear = linear_;
    for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { scale[r] = linear * norm[r]; });
    scale_rows<T, B>(tile, scale, unit, out.col_block(1, unit.cols));
  }
}

template <Real T, Backend B>
LayeredFeatures<T, B>::LayeredFeatures(const NtkRandomFeaturesParams& p, std::size_t d, const B& backend)
    : m_s_(p.out_features / 2),
      m_1_(p.out_features - m_s_),
      exact_diagonal_(p.diagonal == Diagonal::exact),
      diagonal_(static_cast<T>(p.depth + 1)) {
  std::size_t phi = d;
  std::size_t psi = d;
  for (std::size_t layer = 0; layer < p.depth; ++layer) {
    const std::uint64_t seed = rng::child_seed(p.seed, 1 + layer);
    layers_.push_back({DirectionSet<T, B>(backend, p.directions, phi, m_s_, rng::child_seed(seed, 1)),
                       DirectionSet<T, B>(backend, p.directions, phi, m_1_, rng::child_seed(seed, 2)),
                       typename TensorSrht<T, B>::State({m_s_, psi, m_s_, rng::child_seed(seed, 3)}, backend)});
    phi = m_1_;
    psi = m_1_ + m_s_;
  }
}

template <Real T, Backend B>
std::size_t LayeredFeatures<T, B>::tile_rows(const B& backend) const {
  return layers_.back().relu.tile_rows(backend, 4 * padded(m_1_ + m_s_));
}

template <Real T, Backend B>
void LayeredFeatures<T, B>::apply(Tile<B>& tile, View<const T, B> unit, const T* norm, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t rows = out.rows;
  using Kind = typename Activation<T>::Kind;
  const auto features_of = [&](View<const T, B> x, const DirectionSet<T, B>& directions, Kind kind, View<T, B> z) {
    const Activation<T> f{kind, static_cast<T>(std::sqrt(2 / static_cast<double>(z.cols)))};
    for (std::size_t first = 0; first < z.cols; first += directions.panel())
      directions.apply(tile, x, first, f, z.col_block(first, std::min(directions.panel(), z.cols - first)));
  };
  const View<T, B> step_features = tile.template scratch<T>(rows, m_s_);
  const View<T, B> psi = tile.template scratch<T>(rows, m_1_ + m_s_);
  const View<T, B> relu_features = tile.template scratch<T>(rows, m_1_);

  View<const T, B> previous_phi = unit;
  View<const T, B> previous_psi = unit;
  for (const Layer& layer : layers_) {
    features_of(previous_phi, layer.step, Kind::step, step_features);
    features_of(previous_phi, layer.relu, Kind::relu, relu_features);
    // The last layer's output stays where the product's transforms have read its input from: they copy it first.
    layer.product.apply(tile, step_features, previous_psi, psi.col_block(m_1_, m_s_));
    copy<T, B>(tile, relu_features, psi.col_block(0, m_1_));
    previous_phi = psi.col_block(0, m_1_);
    previous_psi = psi;
  }

  T* const factor = tile.template scratch<T>(1, rows).data;
  if (exact_diagonal_) {
    row_squares<T, B>(tile, psi, factor);
    const T target = diagonal_;
    for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) {
      factor[r] = factor[r] > 0 ? norm[r] * std::sqrt(target / factor[r]) : T(0);
    });
  } else {
    for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) { factor[r] = norm[r]; });
  }
  scale_rows<T, B>(tile, factor, psi, out);
}

template <Real T, Backend B>
NtkRandomFeatures<T, B>::State::State(const NtkRandomFeaturesParams& p, const B& backend) : params(resolve(p)) {
  const std::size_t d = params.in_features + (params.bias != 0);
  if (params.low_orders == LowOrders::sampled) {
    layered.emplace(params, d, backend);
  } else {
    dual.emplace(params, d, backend);
  }
}

template <Real T, Backend B>
void NtkRandomFeatures<T, B>::State::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> unit = tile.template scratch<T>(x.rows, params.in_features + (params.bias != 0));
  T* const norm = tile.template scratch<T>(1, x.rows).data;
  unit_rows<T, B>(tile, x, static_cast<T>(params.bias), unit, norm);
  if (dual) {
    dual->apply(tile, unit, norm, out);
  } else {
    layered->apply(tile, unit, norm, out);
  }
}

template <Real T, Backend B>
NtkRandomFeatures<T, B>::NtkRandomFeatures(const NtkRandomFeaturesParams& params, B backend)
    : backend_(backend), state_(std::make_shared<State>(params, backend)) {
  finish(backend);
}

template <Real T, Backend B>
NtkRandomFeatures<T, B> NtkRandomFeatures<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "NtkRandomFeatures: on");
  NtkRandomFeatures other = *this;
  other.backend_ = backend;
  return other;
}

template <Real T, Backend B>
const NtkRandomFeaturesParams& NtkRandomFeatures<T, B>::params() const {
  return state_->params;
}

template <Real T, Backend B>
void NtkRandomFeatures<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.in_features, "NtkRandomFeatures: x");
  require_shape(out, x.rows, state_->params.out_features, "NtkRandomFeatures: out");
  for_tiles<B>(backend_, x.rows, state_->tile_rows(backend_), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class DualFeatures<float, FASTNTK_BACKEND>;
template class DualFeatures<double, FASTNTK_BACKEND>;
template class NtkRandomFeatures<float, FASTNTK_BACKEND>;
template class NtkRandomFeatures<double, FASTNTK_BACKEND>;

}  // namespace fastntk
