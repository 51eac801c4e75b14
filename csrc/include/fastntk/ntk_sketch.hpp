// Polynomial sketches of the neural tangent kernel of fully connected ReLU networks.
#pragma once

#include <fastntk/dot_product_sketch.hpp>
#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace fastntk {

/// one_pass sketches one polynomial in place of K_L (Z21 Remark 1), layerwise those of kappa_1 and kappa_0 layer by layer
/// (Z21 Algorithm 1): from depth 2 on with a bias of O(1/power_features + 1/layer_features), because the sketch of a layer
/// is multiplied by itself in the next.
enum class SketchMethod { one_pass, layerwise };

struct NtkSketchParams {
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  std::size_t depth = 1;
  SketchMethod method = SketchMethod::one_pass;
  std::size_t degree = 8;  ///< of the polynomials that are not given
  /// As in DotProductSketch. layerwise has the constant and the linear term of K_L in columns of their own at every depth,
  /// and sketches the remainder; sampled is Algorithm 1 as printed.
  LowOrders low_orders = LowOrders::automatic;
  Diagonal diagonal = Diagonal::automatic;
  double bias = 0;  ///< value of a constant column appended to the input, a first-layer bias; 0 means none
  /// Of one_pass: the polynomial, by default K_L's Taylor polynomial with the tail in the last coefficient, so that a = 1 is
  /// exact.
  std::vector<double> coefficients = {};
  /// Of layerwise: the polynomials of every layer, by default Taylor polynomials likewise. Coefficient k belongs to u^k,
  /// u = (S - s)/(1 - s), where S is the layer's input kernel S_{l-1}(a) and s its constant term S_{l-1}(0) (0 with
  /// low_orders sampled). The first two have to be the function's own value and slope where low orders are to be exact.
  std::vector<std::vector<double>> kappa_1 = {};
  std::vector<std::vector<double>> kappa_0 = {};
  // Entries of the sketches inside; 0: chosen from the sizes.
  std::size_t power_features = 0;    ///< of powers (Z21: m)
  std::size_t gate_features = 0;     ///< of kappa_0's (Z21: n_1)
  std::size_t layer_features = 0;    ///< of a layer's phi (Z21: r)
  std::size_t product_features = 0;  ///< of a layer's psi (Z21: s)
  SketchBase base = SketchBase::automatic;
  std::uint64_t seed = 0;
};

/// x -> Z(x) with <Z(x), Z(z)> close to Theta(x, z), the depth-L ReLU NTK (Z21 Definition 1): one_pass without bias but that
/// of the polynomial.
template <Real T, Backend B = Cpu>
class NtkSketch {
 public:
  /// Throws Error if a size or the depth is 0, coefficients are bad, bias is not finite in T, or out_features is too small
  /// for `low_orders`.
  explicit NtkSketch(const NtkSketchParams& params, B backend = {});

  /// The same map, its constants shared, run by another backend: other threads, or another stream of the same device.
  NtkSketch on(const B& backend) const;

  /// x (n, in_features) -> out (n, out_features), as DotProductSketch.
  void operator()(View<const T, B> x, View<T, B> out) const;
  void operator()(CsrView<T, B> x, View<T, B> out) const;

  /// The parameters, everything automatic replaced by what was chosen.
  const NtkSketchParams& params() const;

  struct State;  // for the operators built on this one
  const State& state() const { return *state_; }

 private:
  B backend_;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
