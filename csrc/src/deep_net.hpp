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
  /// For passes of at most so many rows.
  NetPass(Tile<B>& workspace, const NetLayers& layers, std::size_t rows, bool with_backward);

  /// Computes h_1, ..., h_L, and f (n, outputs) from them. The weights and x are to stay as long as the pass is used.
  void forward(const T* weights, View<const T, B> x, View<T, B> f);

  /// Computes delta_l, the derivative of <upstream, f> by W_l h_{l-1}: upstream (n, q) belongs to the first q outputs. It is
  /// to stay too.
  void backward(View<const T, B> upstream);

  /// to = keep W + pull D + factor (the derivative of <upstream, f> by W): rows of all weights. D may be null with pull 0.
  void add_gradient(T factor, T keep, const T* d, T pull, T* to) const;

  /// out = the inner products of the gradients of the first output at these rows and at some of `other`; upstream of both
  /// is a column of ones.
  void kernel(Tile<B>& tile, const NetPass& other, RowRange rows, RowRange cols, View<T, B> out) const;

 private:
  struct Copy {
    std::vector<View<T, B>> h, delta;  // h[l] is h_{l+1}, delta[l] is delta_{l+1}
    std::vector<View<std::uint32_t, B>> mask;
  };
  View<const T, B> input(const Copy& copy, std::size_t l) const {
    return l == 0 ? x_ : View<const T, B>(copy.h[l - 1].row_block(0, x_.rows));
  }
  /// The derivative by the outputs of layer l.
  View<const T, B> derivative(const Copy& copy, std::size_t l) const {
    return l == layers_.depth() ? upstream_ : View<const T, B>(copy.delta[l].row_block(0, x_.rows));
  }
  View<const T, B> weights(std::size_t copy, std::size_t l) const { return layers_.weights<B>(weights_, copy, l); }

  B backend_;
  const NetLayers& layers_;
  std::vector<Copy> copies_;
  const T* weights_ = nullptr;
  View<const T, B> x_, upstream_;
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
