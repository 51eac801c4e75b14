// The inside of GradientFeatures: one network for each architecture.
#pragma once

#include <fastntk/gradient_features.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "gradient_entries.hpp"
#include "gradient_primitives.hpp"
#include "primitives.hpp"
#include "projection.hpp"

namespace fastntk {

/// Entries of one layer's gradient: columns [first, first + count) of the features.
template <Backend B>
struct LayerColumns {
  LayerColumns() = default;
  LayerColumns(const B& backend, const LayerShare& layer_share, const MatrixEntries& entries)
      : share(layer_share), output(backend, entries.output), input(backend, entries.input) {}

  template <Real T>
  View<T, B> of(View<T, B> features) const {
    return features.col_block(share.first, share.count);
  }

  LayerShare share;
  Buffer<std::uint32_t, B> output, input;
};

/// The weights from h_{l-1} to h_l, or, of a CNN, from the q^2 pixels of a neighbourhood.
template <Real T, Backend B>
struct GradientLayer {
  ProjectionMatrix<T, B> forward;   // h_{l-1} W_l^T
  ProjectionMatrix<T, B> backward;  // delta_l W_l; empty in the first layer, whose input is not trained
  LayerColumns<B> columns;
};

/// All weights of a network, and the entries of their gradients that become columns. `positions` is 1, or q^2.
template <Real T, Backend B>
struct GradientNet {
  GradientNet(const GradientFeaturesParams& params, std::size_t in_channels, std::size_t positions, std::size_t outputs,
              const B& backend);

  std::size_t width;
  std::vector<GradientLayer<T, B>> layers;
  Buffer<T, B> last;             // a: random signs
  LayerColumns<B> last_columns;  // `output` counts the entries of a
};

/// Gradients of f(x) = a.h_L, h_l = sqrt(2/width) ReLU(W_l h_{l-1}): dW_l = delta_l h_{l-1}^T.
template <Real T, Backend B>
class MlpGradient {
 public:
  MlpGradient(const GradientFeaturesParams& params, std::size_t d, const B& backend);
  std::size_t tile_rows(const B& backend) const;

  /// x (rows, d) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;

 private:
  GradientNet<T, B> net_;
  std::size_t d_;
};

/// The same of a convolutional network: dW_l is the sum over pixels of delta_l times the neighbourhood in h_{l-1}.
template <Real T, Backend B>
class CnnGradient {
 public:
  CnnGradient(const GradientFeaturesParams& params, const B& backend);
  std::size_t tile_rows(const B& backend) const;

  /// x (rows, pixels * channels) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;

  /// square[r] = Theta(x_r, x_r), without pooling.
  void diagonal(Tile<B>& tile, View<const T, B> x, T* square) const;

 private:
  void convolve(Tile<B>& tile, View<const T, B> images, std::size_t channels, const ProjectionMatrix<T, B>& w,
                const Activation<T>& f, View<T, B> out) const;

  Neighbourhoods shape_;
  std::size_t channels_, depth_;
  Pooling pooling_;
  GradientNet<T, B> net_;
  Buffer<T, B> pixel_weight_;  // of |x_ij|^2 in Theta(x, x), without pooling
};

template <Real T, Backend B>
struct GradientFeatures<T, B>::State {
  State(const GradientFeaturesParams& params, const B& backend);

  /// One tile: x (rows, in_features) -> out (rows, out_features).
  void apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const;
  std::size_t tile_rows(const B& run) const { return mlp ? mlp->tile_rows(run) : cnn->tile_rows(run); }

  GradientFeaturesParams params;  // resolved
  std::optional<MlpGradient<T, B>> mlp;
  std::optional<CnnGradient<T, B>> cnn;
};

}  // namespace fastntk
