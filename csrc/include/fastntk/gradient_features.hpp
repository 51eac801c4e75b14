// Gradient features: the gradient of a random ReLU network of finite width at initialisation (GradRF).
#pragma once

#include <fastntk/images.hpp>
#include <fastntk/ntk_features.hpp>
#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fastntk {

/// A fully connected network, or a convolutional one with stride 1 and zero padding that keeps the image's size.
enum class Architecture { mlp, cnn };

struct GradientFeaturesParams {
  std::size_t in_features = 0;  // of the CNN: height * width * channels
  std::size_t out_features = 0;
  std::size_t depth = 1;
  Architecture architecture = Architecture::mlp;
  /// Units of every hidden layer, or channels; 0 takes the default of resolved_gradient_features().
  std::size_t width = 0;
  /// MLP only: value of a constant column appended to the input. 0 means none, and then Z(cx) = c Z(x), c > 0.
  double bias = 0;
  /// `automatic` is exact where the diagonal costs nothing: for the MLP, and for the CNN without pooling.
  Diagonal diagonal = Diagonal::automatic;
  ImageShape image = {};        // CNN only
  std::size_t filter_size = 3;  // CNN only, odd
  Pooling pooling = Pooling::gap;
  std::uint64_t seed = 0;
};

/// The parameters, the width and every `automatic` replaced by what is chosen. Throws Error like GradientFeatures.
GradientFeaturesParams resolved_gradient_features(const GradientFeaturesParams& params);

/// The number of weights of the network, the first and the last layer's included. `params` are resolved.
std::size_t gradient_parameters(const GradientFeaturesParams& params);

/// x -> out_features entries of the gradient of f(x) with respect to all weights, where h_0 = x,
/// h_l = sqrt(2/width) ReLU(W_l h_{l-1}) and f(x) = a.h_L, W_l of independent normals and a of random signs, whose
/// squares are 1 where those of normals vary. Of the CNN, W_l acts on the q x q neighbourhood of each pixel and is scaled
/// by 1/q, and f is the mean over pixels of a.h_L or, without pooling, pixels^{-1/2} times the sum over pixels of
/// a_ij.h_L,ij.
///
/// The entries are spread evenly over the layers, over the units of a layer and over their inputs, and scaled so that their
/// inner products have the mean of those of the whole gradient: Theta(x, y) of the NTK (Z21 Definition 1), or of the CNTK
/// with first and last layer trained, exactly for depth 1 and up to O(1/width) beyond.
template <Real T, Backend B = Cpu>
class GradientFeatures {
 public:
  /// Throws Error if a size or the depth is 0, the network has fewer parameters than out_features, bias is not finite in T
  /// or not 0 for a CNN, the image does not fit in_features, the filter is even or larger than the image, or the diagonal is
  /// to be exact with pooling.
  explicit GradientFeatures(const GradientFeaturesParams& params, B backend = {});

  /// The same map, its constants shared, run by another backend: other threads, or another stream of the same device.
  GradientFeatures on(const B& backend) const;

  /// x (n, in_features) -> out (n, out_features). A zero row gives a zero row (without bias). Throws Error if a shape does
  /// not fit.
  void operator()(View<const T, B> x, View<T, B> out) const;

  /// The parameters, the width and every `automatic` replaced by what was chosen.
  const GradientFeaturesParams& params() const;

  struct State;
  const State& state() const { return *state_; }

 private:
  B backend_;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
