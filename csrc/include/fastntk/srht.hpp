// The subsampled randomised Hadamard transform.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fastntk {

struct SrhtParams {
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  std::uint64_t seed = 0;
  /// Sample the transformed coordinates with replacement; without, out_features may not exceed the padded input length.
  bool replacement = true;
};

/// x -> sqrt(1/m) P H D x (Ailon and Chazelle 2009; Z21 section 1.3): random signs D, zero padding to a power of two,
/// Hadamard matrix H, sample P of m = out_features coordinates. Linear, and unbiased: E<Sx, Sz> = <x, z>.
template <Real T, Backend B = Cpu>
class Srht {
 public:
  /// Throws Error if in_features or out_features is 0, or too large for sampling without replacement.
  explicit Srht(const SrhtParams& params, B backend = {});

  /// The same map, its constants shared, run by another backend: other threads, or another stream of the same device.
  Srht on(const B& backend) const;

  /// x (n, in_features) -> out (n, out_features). Throws Error if a shape does not fit.
  void operator()(View<const T, B> x, View<T, B> out) const;

  const SrhtParams& params() const;

  struct State;  // for the operators built on this one
  const State& state() const { return *state_; }

 private:
  B backend_;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
