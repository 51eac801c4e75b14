// Sketches of dot-product kernels: polynomials of the cosine of two rows.
#pragma once

#include <fastntk/count_sketch.hpp>
#include <fastntk/ntk_features.hpp>
#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace fastntk {

/// What a sketch is made of.
///   rotation      the unit rows themselves, rotated at random
///   count_sketch  two CountSketches of them, in time proportional to the non-zeros; degrees above 2 take these more than
///                 once, which biases them by O(1/out_features); low_orders sampled sketches dense rows with it
///   automatic     the latter where rows are much longer than the sketch
enum class SketchBase { automatic, rotation, count_sketch };

struct DotProductSketchParams {
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  /// c_0, c_1, ..., c_p of P(a) = sum_k c_k a^k: finite, and not negative.
  std::vector<double> coefficients = {};
  /// exact keeps constant and linear term (1 + in_features columns), constant the constant (1 column); columns of terms that
  /// are 0 are left out. sampled is Z21 Remark 1: PolySketches of all powers, and an SRHT of their direct sum.
  LowOrders low_orders = LowOrders::automatic;
  /// exact scales the sketched columns of every row so that its squared norm is |x|^2 P(1).
  Diagonal diagonal = Diagonal::automatic;
  double bias = 0;                 ///< value of a constant column appended to the input; 0 means none
  bool homogeneous = true;         ///< the kernel is |x||z| P(cos); if not, P(cos), and 0 for zero rows
  std::size_t power_features = 0;  ///< entries of the powers' sketches inside; 0: chosen from the sizes
  SketchBase base = SketchBase::automatic;
  std::uint64_t seed = 0;
};

/// x -> Z(x) with E<Z(x), Z(z)> = |x||z| P(<x, z>/(|x||z|)), but for the scaling that `diagonal` exact does.
template <Real T, Backend B = Cpu>
class DotProductSketch {
 public:
  /// Throws Error if a size is 0, there are no coefficients or bad ones, bias is not finite in T, or out_features is too
  /// small for `low_orders`.
  explicit DotProductSketch(const DotProductSketchParams& params, B backend = {});

  /// The same map, its constants shared, run by another backend: other threads, or another stream of the same device.
  DotProductSketch on(const B& backend) const;

  /// x (n, in_features) -> out (n, out_features). A zero row gives a zero row (without bias). Throws Error if a shape does
  /// not fit; the column indices and row starts of a sparse x are the caller's to check, and no column may occur twice in a
  /// row.
  void operator()(View<const T, B> x, View<T, B> out) const;
  void operator()(CsrView<T, B> x, View<T, B> out) const;

  /// The parameters, everything automatic replaced by what was chosen.
  const DotProductSketchParams& params() const;

  struct State;  // for the operators built on this one
  const State& state() const { return *state_; }

 private:
  B backend_;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
