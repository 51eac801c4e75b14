#include "ntk_features.hpp"

#include <string>
#include <utility>

#include "tiling.hpp"

namespace fastntk {
namespace {

// The linear term takes d columns from the random ones. It pays from this multiple of 1 + d columns on; measured as spectral
// and Frobenius error on MNIST (d = 784).
constexpr std::size_t exact_from(std::size_t depth) { return depth == 1 ? 2 : 3; }

void resolve_sizes(NtkRandomFeaturesParams& p) {
  const auto require_sampled = [&](std::size_t size, const char* name) {
    if (size == 0) return;
    require_size(size, name);
    require(p.low_orders == LowOrders::sampled,
            [&] { return std::string(name) + " is " + std::to_string(size) + "; sizes belong to low_orders 'sampled'"; });
  };
  require_sampled(p.step_features, "NtkRandomFeatures: step_features (m_0)");
  require_sampled(p.relu_features, "NtkRandomFeatures: relu_features (m_1)");
  require_positive(p.sweeps, "NtkRandomFeatures: sweeps");
  require(p.relu_features < p.out_features, [&] {
    return "NtkRandomFeatures: relu_features (m_1) is " + std::to_string(p.relu_features) + "; less than out_features, " +
           std::to_string(p.out_features) + ", is needed";
  });
}

void resolve_given(NtkRandomFeaturesParams& p) {
  require(p.depth == 1, [&] {
    return "NtkRandomFeatures: depth is " + std::to_string(p.depth) + "; given directions are those of depth 1";
  });
  require(p.low_orders == LowOrders::automatic || p.low_orders == LowOrders::sampled,
          "NtkRandomFeatures: given directions need low_orders 'sampled' or 'auto'");
  p.low_orders = LowOrders::sampled;
}

template <Real T>
NtkRandomFeaturesParams resolve(NtkRandomFeaturesParams p) {
  require_size(p.in_features, "NtkRandomFeatures: in_features");
  require_size(p.out_features, "NtkRandomFeatures: out_features");
  require_depth(p.depth, "NtkRandomFeatures: depth");
  require_finite<T>(p.bias, "NtkRandomFeatures: bias");
  const std::size_t d = p.in_features + (p.bias != 0);
  if (p.directions == Directions::automatic)
    p.directions = d >= structured_from ? Directions::structured : Directions::gaussian;
  if (p.directions == Directions::given) resolve_given(p);
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
  resolve_sizes(p);
  return p;
}

}  // namespace

template <Real T, Backend B>
NtkRandomFeatures<T, B>::State::State(const NtkRandomFeaturesParams& p, const GivenDirections<T, B>* directions,
                                      const B& backend)
    : params(resolve<T>(p)) {
  const std::size_t d = params.in_features + (params.bias != 0);
  require((params.directions == Directions::given) == (directions != nullptr),
          "NtkRandomFeatures: given directions and params.directions 'given' belong together");
  if (directions) {
    const LayerSizes m = layer_sizes(params, 1);
    require_shape(directions->directions, m.m_1 + m.m_0, d, "NtkRandomFeatures: directions");
    require_shape(directions->weights, 1, m.m_1 + m.m_0, "NtkRandomFeatures: weights");
    layered.emplace(params, *directions, backend);
  } else if (params.low_orders == LowOrders::sampled) {
    layered.emplace(params, d, backend);
  } else {
    dual.emplace(dual_params(params, d), backend);
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
    : backend_(backend), state_(std::make_shared<State>(params, nullptr, backend)) {
  finish(backend);
}

template <Real T, Backend B>
NtkRandomFeatures<T, B>::NtkRandomFeatures(const NtkRandomFeaturesParams& params, const GivenDirections<T, B>& given,
                                           B backend)
    : backend_(backend), state_(std::make_shared<State>(params, &given, backend)) {
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
std::pair<std::size_t, std::size_t> NtkRandomFeatures<T, B>::sizes() const {
  return state_->layered ? layered_sizes(params()) : std::pair<std::size_t, std::size_t>{};
}

template <Real T, Backend B>
void NtkRandomFeatures<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.in_features, "NtkRandomFeatures: x");
  require_shape(out, x.rows, state_->params.out_features, "NtkRandomFeatures: out");
  for_tiles<B>(backend_, x.rows, state_->tile_rows(backend_), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class NtkRandomFeatures<float, FASTNTK_BACKEND>;
template class NtkRandomFeatures<double, FASTNTK_BACKEND>;

}  // namespace fastntk
