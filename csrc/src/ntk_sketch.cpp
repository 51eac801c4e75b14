#include "ntk_sketch.hpp"

#include <fastntk/kernel_series.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "layer_polynomials.hpp"
#include "relu_kernels.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

template <Real T>
void require_polynomials(const std::vector<std::vector<double>>& layers, std::size_t depth, const std::string& name) {
  require(layers.size() == depth, [&] {
    return "NtkSketch: " + name + " has " + std::to_string(layers.size()) +
           " polynomials; one for each of depth = " + std::to_string(depth) + " layers is needed";
  });
  for (const std::vector<double>& c : layers) {
    require(!c.empty(), [&] { return "NtkSketch: " + name + " has an empty polynomial"; });
    for (const double coefficient : c)
      require(std::isfinite(coefficient) && coefficient >= 0, [&] {
        return "NtkSketch: " + name + " has the coefficient " + std::to_string(coefficient) +
               "; finite numbers that are not negative are needed";
      });
    require_finite<T>(std::accumulate(c.begin(), c.end(), 0.0), "NtkSketch: the sum of the coefficients of " + name);
  }
}

/// Constant terms S_0(0), S_1(0), ... of the layers' input kernels.
std::vector<double> layer_constants(std::size_t depth) {
  std::vector<double> s(depth, 0.0);
  for (std::size_t l = 1; l < depth; ++l) s[l] = kappa1(s[l - 1]);
  return s;
}

DotProductSketchParams one_pass(const NtkSketchParams& p) {
  return {.in_features = p.in_features,
          .out_features = p.out_features,
          .coefficients = p.coefficients,
          .low_orders = p.low_orders,
          .diagonal = p.diagonal,
          .bias = p.bias,
          .homogeneous = true,
          .power_features = p.power_features,
          .base = p.base,
          .seed = p.seed};
}

template <Real T>
NtkSketchParams resolve_layerwise(NtkSketchParams p) {
  const std::size_t d = p.in_features + (p.bias != 0);
  if (p.low_orders == LowOrders::automatic) {
    const std::vector<double> c = ntk_polynomial(p.depth, 2);
    const bool exact = p.base != SketchBase::count_sketch && linear_columns_pay(p.out_features, 1 + d, c[1], c[2]);
    p.low_orders = exact ? LowOrders::exact : LowOrders::constant;
  }
  const std::size_t least = p.low_orders == LowOrders::exact ? d + 2 : p.low_orders == LowOrders::constant ? 2 : 1;
  require(p.out_features >= least, [&] {
    return "NtkSketch: out_features is " + std::to_string(p.out_features) + "; at least " + std::to_string(least) +
           (p.low_orders == LowOrders::exact ? " (the constant, one column per input, and one for the rest) are needed with "
                                               "low_orders 'exact'; use more, or low_orders 'auto'"
                                             : " (the constant and one for the rest) are needed with method 'layerwise'");
  });
  require(p.low_orders != LowOrders::exact || p.base != SketchBase::count_sketch, [] {
    return std::string("NtkSketch: base is 'count_sketch', which has no exact linear term; use low_orders 'constant'");
  });
  p.base = SketchInput<float, Cpu>::choose(p.base, d, p.out_features, p.low_orders != LowOrders::constant);
  if (p.diagonal == Diagonal::automatic)
    p.diagonal = p.low_orders == LowOrders::sampled ? Diagonal::sampled : Diagonal::exact;

  const bool sampled = p.low_orders == LowOrders::sampled;
  const std::vector<double> s = sampled ? std::vector<double>(p.depth, 0.0) : layer_constants(p.depth);
  require(p.degree >= 2 || (!p.kappa_1.empty() && !p.kappa_0.empty()), [&] {
    return "NtkSketch: degree is " + std::to_string(p.degree) + "; at least 2 is needed with method 'layerwise'";
  });
  const auto complete = [&](std::vector<std::vector<double>>& layers, ReluDual kappa, const std::string& name) {
    if (layers.empty())
      for (std::size_t l = 0; l < p.depth; ++l) layers.push_back(taylor_around(kappa, s[l], p.degree));
    require_polynomials<T>(layers, p.depth, name);
  };
  complete(p.kappa_1, ReluDual::kappa_1, "kappa_1");
  complete(p.kappa_0, ReluDual::kappa_0, "kappa_0");
  for (const std::vector<double>& c : p.kappa_1)
    require(sampled || c[0] < 1, [&] {
      return "NtkSketch: kappa_1 has the constant coefficient " + std::to_string(c[0]) +
             "; less than 1 = kappa_1(1) is needed unless low_orders is 'sampled'";
    });

  const std::size_t inner = std::clamp<std::size_t>(padded(p.out_features) / 4, 256, 4096);
  const auto choose = [&](std::size_t& size, std::size_t of_sampled, std::size_t of_exact, const char* name) {
    if (size == 0) size = sampled ? of_sampled : of_exact;
    require_size(size, name);
  };
  choose(p.power_features, p.out_features, inner, "NtkSketch: power_features");
  choose(p.gate_features, p.out_features, inner, "NtkSketch: gate_features");
  choose(p.layer_features, p.out_features, inner, "NtkSketch: layer_features");
  choose(p.product_features, p.out_features, inner, "NtkSketch: product_features");
  return p;
}

template <Real T>
NtkSketchParams resolve(NtkSketchParams p) {
  require_size(p.in_features, "NtkSketch: in_features");
  require_size(p.out_features, "NtkSketch: out_features");
  require_depth(p.depth, "NtkSketch: depth");
  require_at_most(p.degree + 1, 4096, "NtkSketch: degree + 1");
  require_finite<T>(p.bias, "NtkSketch: bias");
  if (p.method == SketchMethod::layerwise) return resolve_layerwise<T>(std::move(p));
  if (p.coefficients.empty()) p.coefficients = ntk_polynomial(p.depth, p.degree);
  return p;
}

// The layers with constant and linear term apart. S_l = s_0 + s_1 a + G and K_l = k_0 + k_1 a + Psi; with the polynomials
// sum_k C_k u^k of kappa_1 and sum_k E_k u^k of kappa_0 in u = (S_l - s_0)/(1 - s_0) = t_1 a + t_2 G,
//   S_{l+1} = C_0 + C_1 t_1 a + [C_1 t_2 G + sum_{k>1} C_k u^k],
//   K_{l+1} = k_0 E_0 + C_0 + (k_1 E_0 + (k_0 E_1 + C_1) t_1) a
//             + [E_0 Psi + (k_0 E_1 + C_1) t_2 G + sum_{k>1} (k_0 E_k + C_k) u^k + (k_1 a + Psi) sum_{k>0} E_k u^k].
// Only what stands in brackets is sketched.
template <Real T, Backend B>
class Layers {
 public:
  Layers(const NtkSketchParams& p, KernelSketch<T, B>& kernel) : p_(p), kernel_(kernel), graph_(kernel.graph()) {}

  void sketch() {
    for (std::size_t l = 0; l < p_.depth; ++l) layer(p_.kappa_1[l], p_.kappa_0[l], l + 1 == p_.depth);
  }

  /// Constant and linear term of K_L, without a sketch.
  static std::pair<double, double> low_orders(const NtkSketchParams& p) {
    Affine parts;
    for (std::size_t l = 0; l < p.depth; ++l) parts.advance(p.kappa_1[l], p.kappa_0[l]);
    return {parts.k0, parts.k1};
  }

 private:
  static double at(const std::vector<double>& c, std::size_t k) { return k < c.size() ? c[k] : 0; }

  // The constants and slopes of S_l and K_l.
  struct Affine {
    double s0 = 0, s1 = 1, k0 = 0, k1 = 1;
    double t1() const { return s1 / (1 - s0); }
    double t2() const { return 1 / (1 - s0); }
    void advance(const std::vector<double>& c, const std::vector<double>& e) {
      k1 = k1 * e[0] + (k0 * at(e, 1) + at(c, 1)) * t1();
      k0 = k0 * e[0] + c[0];
      s1 = at(c, 1) * t1();
      s0 = c[0];
    }
  };

  // Terms, and their values at the cosine 1.
  struct Sum {
    std::vector<SketchTerm> terms;
    std::vector<double> sizes;
    void add(const SketchTerm& term, double size) {
      if (size <= 0) return;
      terms.push_back(term);
      sizes.push_back(size);
    }
    double size() const { return std::accumulate(sizes.begin(), sizes.end(), 0.0); }
  };

  void layer(const std::vector<double>& c, const std::vector<double>& e, bool is_last) {
    const double t1 = parts_.t1(), t2 = parts_.t2(), k0 = parts_.k0, k1 = parts_.k1;
    const std::size_t degree = std::max({c.size(), e.size(), std::size_t{3}}) - 1;
    std::vector<ValueId> leaves = kernel_.leaves(degree);
    ValueId psi = leaves.back();  // k_1 a + Psi
    if (g_ != no_value) {
      psi = graph_.join({{.left = leaves.back(), .weight = k1}, {.left = psi_, .weight = 1}});
      leaves.assign(degree, graph_.join({{.left = leaves[0], .weight = t1}, {.left = g_, .weight = t2}}));
    }
    PowerTree<T, B> powers(graph_, leaves, p_.power_features);

    Sum gate_rest, s, k;
    for (std::size_t j = 2; j < e.size(); ++j)
      if (e[j] > 0) gate_rest.add(powers.term(j, e[j]), e[j]);
    std::vector<SketchTerm> gate;
    if (at(e, 1) > 0) gate.push_back({.left = leaves[0], .weight = e[1]});
    if (!gate_rest.terms.empty()) {
      const ValueId rest = graph_.value(p_.gate_features);
      graph_.divide(rest, 0, p_.gate_features, gate_rest.terms, gate_rest.sizes);
      gate.push_back({.left = rest, .weight = 1});
    }

    const double g_weight = (k0 * at(e, 1) + at(c, 1)) * t2;
    if (g_ != no_value) {
      s.add({.left = g_, .weight = at(c, 1) * t2}, at(c, 1) * t2 * g_size_);
      k.add({.left = psi_, .weight = e[0]}, e[0] * psi_size_);
      k.add({.left = g_, .weight = g_weight}, g_weight * g_size_);
    }
    for (std::size_t j = 2; j <= degree; ++j) {
      const double weight = k0 * at(e, j) + at(c, j);
      if (weight > 0) k.add(powers.term(j, weight), weight);
      if (!is_last && at(c, j) > 0) s.add(powers.term(j, c[j]), c[j]);
    }
    if (!gate.empty()) {
      const double size = (k1 + psi_size_) * (at(e, 1) + gate_rest.size());
      k.add({.left = psi, .weight = 1, .right = graph_.join(gate)}, size);
    }
    parts_.advance(c, e);
    g_size_ = s.size();
    psi_size_ = k.size();
    if (is_last) {
      if (!kernel_.has_linear()) k.add(kernel_.linear_term(parts_.k1), parts_.k1);
      const std::size_t columns = kernel_.random_columns();
      graph_.divide(graph_.value(columns), 0, columns, k.terms, k.sizes);
    } else {
      g_ = graph_.value(p_.layer_features);
      graph_.divide(g_, 0, p_.layer_features, s.terms, s.sizes);
      psi_ = graph_.value(p_.product_features);
      graph_.divide(psi_, 0, p_.product_features, k.terms, k.sizes);
    }
  }

  const NtkSketchParams& p_;
  KernelSketch<T, B>& kernel_;
  SketchGraph<T, B>& graph_;
  Affine parts_;
  ValueId g_ = no_value, psi_ = no_value;  // sketches of G and Psi, 0 before the first layer
  double g_size_ = 0, psi_size_ = 0;       // at the cosine 1
};

template <Real T, Backend B>
KernelSketch<T, B> layerwise(const NtkSketchParams& p, const B& backend) {
  const auto [constant, linear] = Layers<T, B>::low_orders(p);
  const bool exact = p.low_orders == LowOrders::exact;
  const double at_one = static_cast<double>(p.depth) + 1;
  KernelSketch<T, B> kernel({.in_features = p.in_features,
                             .out_features = p.out_features,
                             .bias = p.bias,
                             .homogeneous = true,
                             .exact_diagonal = p.diagonal == Diagonal::exact,
                             .constant = constant,
                             .linear = exact ? linear : 0,
                             .remainder = std::max(0.0, at_one - constant - (exact ? linear : 0)),
                             .base = p.base,
                             .base_width = padded(p.out_features) / 4,
                             .seed = p.seed},
                            backend);
  Layers<T, B>(p, kernel).sketch();
  return kernel;
}

template <Real T, Backend B>
std::variant<typename DotProductSketch<T, B>::State, KernelSketch<T, B>, LayeredSketch<T, B>> make(const NtkSketchParams& p,
                                                                                                   const B& backend) {
  if (p.method == SketchMethod::one_pass) return typename DotProductSketch<T, B>::State(one_pass(p), backend);
  if (p.low_orders == LowOrders::sampled) return LayeredSketch<T, B>(p, backend);
  return layerwise<T>(p, backend);
}

}  // namespace

template <Real T, Backend B>
NtkSketch<T, B>::State::State(const NtkSketchParams& given, const B& backend)
    : params(resolve<T>(given)), sketch_(make<T>(params, backend)) {
  if (const auto* polynomial = std::get_if<0>(&sketch_)) {
    params.low_orders = polynomial->params.low_orders;
    params.diagonal = polynomial->params.diagonal;
    params.power_features = polynomial->params.power_features;
    params.base = polynomial->params.base;
  }
}

template <Real T, Backend B>
std::size_t NtkSketch<T, B>::State::tile_rows(const B& run) const {
  return std::visit([&](const auto& sketch) { return sketch.tile_rows(run); }, sketch_);
}

template <Real T, Backend B>
template <class Rows>
void NtkSketch<T, B>::State::apply(Tile<B>& tile, Rows x, View<T, B> out) const {
  std::visit([&](const auto& sketch) { sketch.apply(tile, x, out); }, sketch_);
}

template <Real T, Backend B>
NtkSketch<T, B>::NtkSketch(const NtkSketchParams& params, B backend)
    : backend_(backend), state_(std::make_shared<State>(params, backend)) {
  finish(backend);
}

template <Real T, Backend B>
NtkSketch<T, B> NtkSketch<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "NtkSketch: on");
  NtkSketch other = *this;
  other.backend_ = backend;
  return other;
}

template <Real T, Backend B>
const NtkSketchParams& NtkSketch<T, B>::params() const {
  return state_->params;
}

template <Real T, Backend B>
void NtkSketch<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.in_features, "NtkSketch: x");
  require_shape(out, x.rows, state_->params.out_features, "NtkSketch: out");
  for_tiles<B>(backend_, x.rows, state_->tile_rows(backend_), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template <Real T, Backend B>
void NtkSketch<T, B>::operator()(CsrView<T, B> x, View<T, B> out) const {
  require_columns(x.cols, state_->params.in_features, "NtkSketch: x");
  require_shape(out, x.rows, state_->params.out_features, "NtkSketch: out");
  for_tiles<B>(backend_, x.rows, state_->tile_rows(backend_), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class NtkSketch<float, FASTNTK_BACKEND>;
template class NtkSketch<double, FASTNTK_BACKEND>;

}  // namespace fastntk
