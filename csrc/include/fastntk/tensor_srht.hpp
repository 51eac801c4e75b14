// TensorSRHT: the degree-2 sketch.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fastntk {

struct TensorSrhtParams {
  std::size_t in_features_1 = 0;
  std::size_t in_features_2 = 0;
  std::size_t out_features = 0;
  std::uint64_t seed = 0;
};

/// T(x (x) y)_r = sqrt(1/m) (H D1 x)_{i_r} (H D2 y)_{j_r} with independent samples i and j (Ahle et al. 2020, Definition 15;
/// Z21 section 1.3). Linear in the tensor, and unbiased: E<T(x (x) y), T(z (x) w)> = <x, z><y, w>.
template <Real T, Backend B = Cpu>
class TensorSrht {
 public:
  /// Throws Error if a size is 0.
  explicit TensorSrht(const TensorSrhtParams& params, B backend = {});

  /// The same map, its constants shared, run by another backend: other threads, or another stream of the same device.
  TensorSrht on(const B& backend) const;

  /// x (n, in_features_1), y (n, in_features_2) -> out (n, out_features). Throws Error if a shape does not fit.
  void operator()(View<const T, B> x, View<const T, B> y, View<T, B> out) const;

  const TensorSrhtParams& params() const;

  struct State;  // for the operators built on this one
  const State& state() const { return *state_; }

 private:
  B backend_;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
