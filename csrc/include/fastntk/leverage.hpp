// Ridge leverage scores of random features, and directions drawn by them (L20 section 3.1).
//
// A kernel K(x, z) = E_w <phi(x, w), phi(z, w)>, w ~ p = N(0, I), has the ridge leverage function (L20 Definition 3.1)
//   q(w) = p(w) tr[Phi(w)^T (K + lambda I)^-1 Phi(w)],   Phi(w) = (phi(x_1, w), ..., phi(x_n, w))^T,
// whose integral is the statistical dimension s = tr[(K + lambda I)^-1 K]. Directions of the law q/s give the best bound on
// the features needed (L20 Theorem 3.3).
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fastntk {

/// The features phi(x, w) and their kernel K(x, z); a is the cosine of x and z, Step(0) = 0.
///   arc_cosine_0  sqrt(2) Step(w.x): kappa_0(a)
///   arc_cosine_1  sqrt(2) ReLU(w.x): |x||z| kappa_1(a)
///   ntk           x Step(w.x): <x, z> kappa_0(a)/2, the kernel of L20, whose networks train their first layer
///   relu_ntk      sqrt(2) (ReLU(w.x), x Step(w.x)): |x||z| K_1(a), the NTK of depth 1
///   fourier       exp(i w.x), as (cos(w.x), sin(w.x)): exp(-|x - z|^2/2)
enum class FeatureFamily { arc_cosine_0, arc_cosine_1, ntk, relu_ntk, fourier };

struct LeverageParams {
  FeatureFamily family = FeatureFamily::ntk;
  double alpha = 1;  // lambda
};

/// What stands for (K + lambda I)^-1.
///   exact     itself (n, n), symmetric
///   features  U (n, D), with (K + lambda I)^-1 = (I - U U^T)/lambda: for K = Z Z^T, U = Z (Z^T Z + lambda I)^-1/2
enum class LeverageInverse { exact, features };

/// q/p, the ridge leverage function without its density: w (m, d) -> out (m, 1), never negative. Its mean under p is s.
template <Real T, Backend B = Cpu>
class LeverageFunction {
 public:
  /// x (n, d), and the matrix that stands for (K + lambda I)^-1. Both are copied. Throws Error if a shape does not fit,
  /// alpha is not positive and finite, or n, d or D is 0.
  LeverageFunction(const LeverageParams& params, LeverageInverse kind, View<const T, B> x, View<const T, B> matrix,
                   const B& backend = {});
  LeverageFunction on(const B& backend) const;

  /// A value does not depend on the place and company of its direction. With `exact` it takes O(n^2) operations, with
  /// `features` O(n D), or O(n d D) in the families whose features have x as a factor. Rounding leaves a relative error of
  /// about eps |K|/lambda, eps the precision of `matrix`.
  void operator()(View<const T, B> w, View<T, B> out) const;

 private:
  struct State;
  explicit LeverageFunction(std::shared_ptr<const State> state, const B& backend);
  std::shared_ptr<const State> state_;
  B backend_;
};

/// What a move of the Gibbs sampler changes. Along each of these curves the rows' patterns Step(w.x_i) are constant between
/// at most 2n break points, so that the law on it is known in closed form, and is drawn exactly.
///   coordinates  one coordinate of w after the other, given the rest
///   lines        w + t v for a uniformly random direction v
///   circles      the great circle through w and a uniformly random direction, |w| fixed; then |w| given the direction
enum class GibbsMoves { coordinates, lines, circles };

struct LeverageSamplerParams {
  FeatureFamily family = FeatureFamily::ntk;
  GibbsMoves moves = GibbsMoves::circles;
  /// Direction j comes from chain j % chains; 0 means a chain for each direction, which is then independent of the others.
  std::size_t chains = 0;
  /// The number of the first chain, by which its draws are found: a call for many chains may be cut into calls for some.
  std::size_t first_chain = 0;
  /// Moves that a chain makes first, and then before each of its directions.
  std::size_t burn_in = 32;
  std::size_t thinning = 8;
  std::uint64_t seed = 0;
};

/// Draws directions of the law q/s of one of the ReLU families (all but fourier) by exact-conditional Gibbs sampling.
template <Backend B = Cpu>
class LeverageSampler {
 public:
  /// x (n, d), inverse (n, n) = (K + lambda I)^-1, symmetric; both are copied, the inverse once for each form that q/p is
  /// made of (two in relu_ntk). Throws Error if a shape does not fit, n or d is 0, thinning is 0, all rows are zero (then q
  /// is 0), moves is circles and d is 1, or the family is fourier.
  LeverageSampler(const LeverageSamplerParams& params, View<const double, B> x, View<const double, B> inverse,
                  const B& backend = {});
  LeverageSampler on(const B& backend) const;

  /// directions (m, d) and their q/p, ratio (m, 1), positive. Draws are functions of the seed, the chain and the move: bits
  /// do not depend on the number of threads, and those of a chain not on how many there are. A move takes O(n^2 + n d)
  /// operations of a chain, for which chains, up to 64 together on a CPU, share reading (K + lambda I)^-1: few chains cost
  /// more each. Throws Error if a shape does not fit, or a chain would make 2^32 moves or more.
  void operator()(View<double, B> directions, View<double, B> ratio) const;

 private:
  struct State;
  explicit LeverageSampler(std::shared_ptr<const State> state, const B& backend);
  std::shared_ptr<const State> state_;
  B backend_;
};

}  // namespace fastntk
