// Random features of kernels of the cosine.
#pragma once

#include <fastntk/kernel_series.hpp>
#include <fastntk/ntk_features.hpp>
#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fastntk {

struct DotProductFeaturesParams {
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  KernelSeriesParams kernel = {};
  /// automatic, structured or gaussian.
  Directions directions = Directions::automatic;
  /// `sampled` keeps no term exactly. Columns of a term that the kernel has not are 0.
  LowOrders low_orders = LowOrders::automatic;
  Diagonal diagonal = Diagonal::automatic;
  /// Value of a constant column appended to the input. 0 means none.
  double bias = 0;
  /// Whether the kernel is |x||y| k(cos), or k(cos) alone. Zero rows have a kernel of 0 either way.
  bool homogeneous = true;
  std::uint64_t seed = 0;
};

/// x -> Z(x) with E<Z(x), Z(y)> = |x||y| k(cos(x, y)), or k(cos), for a power series k with coefficients that are not
/// negative. One projection and one evaluation of the dual activation a column, whatever the depth. The activation of a
/// polynomial is one too, of the same degree, and has heavy tails: the variance of a column grows as 9^degree if the
/// polynomial's last coefficients are large, and features of the kernels whose series goes on are better by far.
template <Real T, Backend B = Cpu>
class DotProductFeatures {
 public:
  /// Throws Error if a size is 0, the kernel is none (kernel_series.hpp), bias is not finite in T, directions are of another
  /// kind, or out_features is too small for `low_orders`.
  explicit DotProductFeatures(const DotProductFeaturesParams& params, B backend = {});

  /// The same map, its constants shared, run by another backend: other threads, or another stream of the same device.
  DotProductFeatures on(const B& backend) const;

  /// x (n, in_features) -> out (n, out_features). A zero row gives a zero row (without bias). Throws Error if a shape does
  /// not fit.
  void operator()(View<const T, B> x, View<T, B> out) const;

  /// The parameters, every `automatic` replaced by what was chosen.
  const DotProductFeaturesParams& params() const;

  struct State;  // for the operators built on this one
  const State& state() const { return *state_; }

 private:
  B backend_;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
