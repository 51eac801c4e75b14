// The sizes of a DeepNet's layers, and where their weights are.
#pragma once

#include <fastntk/nets.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

namespace fastntk {

/// Of the row of all weights, layer l < depth() is W_{l+1}, layer depth() is v.
class NetLayers {
 public:
  /// Throws Error if a size is 0 or too large, or there are no widths.
  explicit NetLayers(const DeepNetParams& params);

  std::size_t depth() const { return sizes_.size() - 2; }
  std::size_t copies() const { return copies_; }
  std::size_t inputs(std::size_t l) const { return sizes_[l]; }
  std::size_t outputs(std::size_t l) const { return sizes_[l + 1]; }
  std::size_t parameters() const { return copies_ * first_.back(); }
  /// Of the hidden layers of all copies.
  std::size_t units() const;

  /// f = sum over copies of sign(copy) g_copy.
  double sign(std::size_t copy) const { return copies_ == 1 ? 1 : std::sqrt(0.5) * (copy == 0 ? 1 : -1); }
  /// h_{l+1} = scale(l) ReLU(W_{l+1} h_l).
  double scale(std::size_t l) const { return std::sqrt(2 / static_cast<double>(outputs(l))); }

  /// The weights of a layer, (outputs(l), inputs(l)).
  template <Backend B, class T>
  View<T, B> weights(T* all, std::size_t copy, std::size_t l) const {
    return View<T, B>(all + copy * first_.back() + first_[l], outputs(l), inputs(l));
  }

 private:
  std::size_t copies_;
  std::vector<std::size_t> sizes_;  // in_features, widths, outputs
  std::vector<std::size_t> first_;  // weight of each layer in a copy, and their number
};

}  // namespace fastntk
