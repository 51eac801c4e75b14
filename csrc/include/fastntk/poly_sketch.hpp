// PolySketch: the sketch of high-degree tensor powers.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace fastntk {

enum class PolySketchBase { srht, count_sketch };

struct PolySketchParams {
  std::size_t in_features = 0;
  std::size_t degree = 1;
  std::size_t out_features = 0;
  std::uint64_t seed = 0;
  PolySketchBase base = PolySketchBase::srht;
};

/// Q^p: a binary tree over 2^ceil(log2 p) leaves (Ahle et al. 2020; Z21 Lemma 1): a base sketch d -> m at each leaf,
/// TensorSRHT m x m -> m at each inner node, and e1 where the degree leaves a leaf without a factor. Linear in the tensor,
/// and unbiased: E<Q(x^p), Q(z^p)> = <x, z>^p.
template <Real T, Backend B = Cpu>
class PolySketch {
 public:
  /// Throws Error if a size or the degree is 0.
  explicit PolySketch(const PolySketchParams& params, B backend = {});

  /// The same map, its constants shared, run by another backend: other threads, or another stream of the same device.
  PolySketch on(const B& backend) const;

  /// x (n, in_features) -> out (n, out_features): the sketch of x^(p). Throws Error if a shape does not fit.
  void operator()(View<const T, B> x, View<T, B> out) const;

  /// factors[k] (n, in_features), k < degree -> out (n, out_features): the sketch of factors[0] (x) ... (x) factors[p-1].
  void tensor(const std::vector<View<const T, B>>& factors, View<T, B> out) const;

  /// x (n, in_features) -> out[j] (n, out_features), j = 0..degree: the sketch of x^(j) (x) e1^(p-j). Nodes that see only x
  /// or only e1 are computed once (Z21 Lemma 1, part 2); the first j leaves hold x.
  void powers(View<const T, B> x, const std::vector<View<T, B>>& out) const;

  const PolySketchParams& params() const;

  struct State;  // for the operators built on this one
  const State& state() const { return *state_; }

 private:
  B backend_;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
