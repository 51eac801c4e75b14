// The inside of DeepNet.
#pragma once

#include <fastntk/memory.hpp>
#include <fastntk/nets.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "net_layers.hpp"
#include "net_primitives.hpp"
#include "tile.hpp"

namespace fastntk {

/// Rows on their way through all layers of all copies and back. What they leave behind is scratch memory of `workspace`:
/// twice the widths of all layers a row, or once without the way back.
template <Real T, Backend B>
class NetPass {
 public:
  NetPass(Tile<B>& workspace, const NetLayers& layers, const T* weights, View<const T, B> x, bool with_backward);

  /// Computes h_1, ..., h_L, and f (n, outputs) from them.
  void forward(View<T, B> f);

  /// Computes delta_l, the derivative of <upstream, f> by W_l h_{l-1}: upstream (n, q) belongs to the first q outputs. It is
  /// to live as long as the pass is used.
  void backward(View<const T, B> upstream);

  /// to = keep W + pull D + factor (the derivative of <upstream, f> by all weights): rows of all weights. D may be null.
  void add_gradient(T factor, T keep, const T* d, T pull, T* to) const;

  /// out = the inner products of the gradients of the first output at these rows and at some of `other`; upstream of both
  /// is a column of ones.
  void kernel(Tile<B>& tile, const NetPass& other, RowRange rows, RowRange cols, View<T, B> out) const;

 private:
  struct Copy {
    std::vector<View<T, B>> h, delta;  // h[l] is h_{l+1}, delta[l] is delta_{l+1}
    std::vector<View<std::uint32_t, B>> mask;
  };
  View<const T, B> input(const Copy& copy, std::size_t l) const { return l == 0 ? x_ : View<const T, B>(copy.h[l - 1]); }
  /// The derivative by the outputs of layer l.
  View<const T, B> upstream_of(std::size_t copy, std::size_t l) const {
    return l == layers_.depth() ? upstream_ : View<const T, B>(copies_[copy].delta[l]);
  }
  View<const T, B> weights(std::size_t copy, std::size_t l) const { return layers_.weights<B>(weights_, copy, l); }

  B backend_;
  const NetLayers& layers_;
  const T* weights_;
  View<const T, B> x_, upstream_;
  std::vector<Copy> copies_;
};

template <Real T, Backend B>
struct DeepNet<T, B>::State {
  State(const DeepNetParams& params, const B& backend);

  B backend;
  NetLayers layers;
  Buffer<T, B> weights, start;
  Buffer<T, B> previous;      // weights before the last step, if there was one
  bool has_previous = false;  // since the weights were set
};

}  // namespace fastntk
