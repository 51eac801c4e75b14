// Random features of the neural tangent kernel of fully connected ReLU networks.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace fastntk {

/// How random directions are drawn. `automatic` takes structured ones where they measured as good as Gaussian ones. `gibbs`
/// is the leverage-modified law of Z21 Eq. 15 by its Gibbs sampler (modified_directions.hpp): only w/|w| counts, so that its
/// features have the law of those of `sphere`, with d/(d + 2) of the second moment of `gaussian`. `given` are the caller's
/// (GivenDirections).
enum class Directions { automatic, gaussian, structured, sphere, gibbs, given };

/// Which part of the kernel's power series is kept exactly instead of being sampled.
///   exact     constant and linear term (1 + in_features columns)
///   constant  the constant term (1 column; none if there is only one)
///   sampled   none: the layered construction of Z21 Algorithm 2
enum class LowOrders { automatic, exact, constant, sampled };

/// Whether rows are scaled to the known norm sqrt(Theta(x, x)).
enum class Diagonal { automatic, exact, sampled };

struct NtkRandomFeaturesParams {
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  std::size_t depth = 1;
  Directions directions = Directions::automatic;
  LowOrders low_orders = LowOrders::automatic;
  Diagonal diagonal = Diagonal::automatic;
  /// Value of a constant column appended to the input: a first-layer bias. 0 means none, and then Z(cx) = c Z(x), c > 0.
  double bias = 0;
  std::uint64_t seed = 0;
  /// Sizes of the layered construction in every layer, m_0 and m_1 of Z21 Algorithm 2; m_s = out_features - m_1. 0 means
  /// those with the smallest variance.
  std::size_t step_features = 0;
  std::size_t relu_features = 0;
  /// Of the Gibbs sampler, for each direction.
  std::size_t sweeps = 10;
};

/// Directions of any law q, such as the ridge leverage of data (leverage.hpp), for the layered construction of depth 1: what
/// its features are multiplied by makes them estimates under N(0, I) (L20 Definition 3.2).
template <Real T, Backend B = Cpu>
struct GivenDirections {
  /// (m_1 + m_0, d), where d counts the bias column too: those of the ReLU features, then those of the step features.
  View<const T, B> directions;
  /// (1, m_1 + m_0), p(w)/q(w): positive and finite.
  View<const T, B> weights;
};

/// m_0 and m_1 of the layered construction's last layer with these parameters, of which only sizes and depth count; see
/// NtkRandomFeatures::sizes().
std::pair<std::size_t, std::size_t> layered_sizes(const NtkRandomFeaturesParams& params);

/// x -> Z(x) with E<Z(x), Z(y)> = Theta(x, y), the depth-L ReLU NTK (Z21 Definition 1).
template <Real T, Backend B = Cpu>
class NtkRandomFeatures {
 public:
  /// Throws Error if a size, the depth or sweeps is 0, bias is not finite in T, out_features is too small for `low_orders`,
  /// or sizes are given that leave no m_s or belong to another construction.
  explicit NtkRandomFeatures(const NtkRandomFeaturesParams& params, B backend = {});

  /// The map of directions that the caller has drawn, which are copied; params.directions is `given`, and low_orders
  /// `automatic` becomes `sampled`. Throws Error as above, or if the depth is not 1, low_orders is another or a shape does
  /// not fit sizes().
  NtkRandomFeatures(const NtkRandomFeaturesParams& params, const GivenDirections<T, B>& given, B backend = {});

  /// The same map, its constants shared, run by another backend: other threads, or another stream of the same device.
  NtkRandomFeatures on(const B& backend) const;

  /// x (n, in_features) -> out (n, out_features). A zero row gives a zero row (without bias). Throws Error if a shape does
  /// not fit.
  void operator()(View<const T, B> x, View<T, B> out) const;

  /// The parameters, every `automatic` replaced by what was chosen.
  const NtkRandomFeaturesParams& params() const;

  /// m_0 and m_1 of the layered construction's last layer, whose ReLU features are the first m_1 columns of the output;
  /// zeros for the others.
  std::pair<std::size_t, std::size_t> sizes() const;

  struct State;  // for the operators built on this one
  const State& state() const { return *state_; }

 private:
  B backend_;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
