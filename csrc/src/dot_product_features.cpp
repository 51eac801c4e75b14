#include "dot_product_features.hpp"

#include <array>
#include <cmath>
#include <string>

#include "dual_activation.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// c_0 and c_1. Maps are made often, and the activation is kept where the series is not.
std::array<double, 2> low_terms(const KernelSeriesParams& kernel) {
  if (kernel.kernel != CosineKernel::polynomial) return dual_activation(kernel.kernel, kernel.depth, 0).low_order;
  return dual_polynomial(kernel.coefficients, 0).low_order;
}

// As few columns as leave the linear term exact without a larger variance elsewhere: the remainder's variance falls as the
// square of what the linear term takes from it.
bool exact_pays(double at_one, const std::array<double, 2>& c, std::size_t d, std::size_t out_features) {
  const double rest = at_one - c[0];
  return out_features >= d + 2 && c[1] * static_cast<double>(out_features) > rest * static_cast<double>(1 + d);
}

std::size_t width(const DotProductFeaturesParams& p) { return p.in_features + (p.bias != 0); }

template <Real T>
DotProductFeaturesParams resolve(DotProductFeaturesParams p) {
  require_size(p.in_features, "DotProductFeatures: in_features");
  require_size(p.out_features, "DotProductFeatures: out_features");
  require_finite<T>(p.bias, "DotProductFeatures: bias");
  const std::size_t d = width(p);
  if (p.directions == Directions::automatic)
    p.directions = d >= structured_from ? Directions::structured : Directions::gaussian;
  require(p.directions == Directions::structured || p.directions == Directions::gaussian, [] {
    return std::string("DotProductFeatures: directions are of another kind than automatic, structured or gaussian");
  });
  const double at_one = kernel_at_one(p.kernel);  // which checks the kernel
  require_finite<T>(at_one, "DotProductFeatures: the sum of the coefficients");
  if (p.low_orders == LowOrders::automatic) {
    const std::array<double, 2> c = low_terms(p.kernel);
    p.low_orders = exact_pays(at_one, c, d, p.out_features) ? LowOrders::exact
                   : c[0] > 0                               ? LowOrders::constant
                                                            : LowOrders::sampled;
  }
  if (p.diagonal == Diagonal::automatic) p.diagonal = Diagonal::exact;
  require(p.low_orders != LowOrders::exact || p.out_features >= d + 2, [&] {
    return "DotProductFeatures: out_features is " + std::to_string(p.out_features) + "; at least " + std::to_string(d + 2) +
           " (the constant, one column per input, and one random column) are needed with low_orders 'exact'; use more, or "
           "low_orders 'auto'";
  });
  return p;
}

}  // namespace

template <Real T, Backend B>
DotProductFeatures<T, B>::State::State(const DotProductFeaturesParams& p, const B& backend)
    : params(resolve<T>(p)),
      features({.kernel = params.kernel,
                .in_features = width(params),
                .out_features = params.out_features,
                .directions = params.directions,
                .low_orders = params.low_orders,
                .diagonal = params.diagonal,
                .seed = params.seed},
               backend) {}

template <Real T, Backend B>
void DotProductFeatures<T, B>::State::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> unit = tile.template scratch<T>(x.rows, width(params));
  T* const norm = tile.template scratch<T>(1, x.rows).data;
  unit_rows<T, B>(tile, x, static_cast<T>(params.bias), unit, norm);
  if (!params.homogeneous)
    for_each(tile, x.rows, [=] FASTNTK_FORMULA(std::size_t r) { norm[r] = norm[r] > 0 ? T(1) : T(0); });
  features.apply(tile, unit, norm, out);
}

template <Real T, Backend B>
DotProductFeatures<T, B>::DotProductFeatures(const DotProductFeaturesParams& params, B backend)
    : backend_(backend), state_(std::make_shared<State>(params, backend)) {
  finish(backend);
}

template <Real T, Backend B>
DotProductFeatures<T, B> DotProductFeatures<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "DotProductFeatures: on");
  DotProductFeatures other = *this;
  other.backend_ = backend;
  return other;
}

template <Real T, Backend B>
const DotProductFeaturesParams& DotProductFeatures<T, B>::params() const {
  return state_->params;
}

template <Real T, Backend B>
void DotProductFeatures<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.in_features, "DotProductFeatures: x");
  require_shape(out, x.rows, state_->params.out_features, "DotProductFeatures: out");
  for_tiles<B>(backend_, x.rows, state_->tile_rows(backend_), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class DotProductFeatures<float, FASTNTK_BACKEND>;
template class DotProductFeatures<double, FASTNTK_BACKEND>;

}  // namespace fastntk
