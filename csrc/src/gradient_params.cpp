// What a gradient map is to be: sizes, checked.
#include <fastntk/gradient_features.hpp>

#include <algorithm>
#include <string>

#include "tiling.hpp"

namespace fastntk {
namespace {

// Sizes are below 2^31, so that a product of two fits; sums and products of more stop here.
constexpr std::size_t most = std::size_t{1} << 62;
std::size_t add(std::size_t a, std::size_t b) { return std::min(a + b, most); }
std::size_t multiply(std::size_t a, std::size_t b) { return b > 0 && a > most / b ? most : a * b; }

std::size_t filter_area(const GradientFeaturesParams& p) {
  return p.architecture == Architecture::cnn ? p.filter_size * p.filter_size : 1;
}

std::string shape_of(const ImageShape& s) {
  return "(" + std::to_string(s.height) + ", " + std::to_string(s.width) + ", " + std::to_string(s.channels) + ")";
}

void require_image(const GradientFeaturesParams& p) {
  const ImageShape& s = p.image;
  for (const std::size_t size : {s.height, s.width, s.channels})
    require(size > 0 && size <= p.in_features, [&] {
      return "GradientFeatures: image is " + shape_of(s) + " (height, width, channels); sizes from 1 on with a product of " +
             std::to_string(p.in_features) + ", in_features, are needed";
    });
  require(multiply(multiply(s.height, s.width), s.channels) == p.in_features, [&] {
    return "GradientFeatures: image is " + shape_of(s) + " (height, width, channels); a product of " +
           std::to_string(p.in_features) + ", in_features, is needed";
  });
  require(p.filter_size % 2 == 1 && p.filter_size <= std::min(s.height, s.width), [&] {
    return "GradientFeatures: filter_size is " + std::to_string(p.filter_size) +
           "; an odd number of at most the image's height and width, " + std::to_string(std::min(s.height, s.width)) +
           ", is needed";
  });
  require(p.bias == 0, [&] { return "GradientFeatures: bias is " + std::to_string(p.bias) + "; a CNN has none (0)"; });
  require(p.diagonal != Diagonal::exact || p.pooling == Pooling::none, [] {
    return std::string("GradientFeatures: diagonal is 'exact', which a CNN with pooling 'gap' does not have; use 'sampled'");
  });
}

// So wide that the last layer, which has fewest weights, takes its even share of the columns whole. The narrowest network of
// D weights has D/d units in the first layer, all columns of a unit share its fluctuation, and the error is that of so few.
// Still wider networks cost more and gain little. Convolutions of many channels to as many are dear, so that deep CNNs stop
// at a width from which on the error fell slowly.
std::size_t default_width(const GradientFeaturesParams& p) {
  constexpr std::size_t most_channels = 128;
  const std::size_t share = (p.out_features + p.depth) / (p.depth + 1);
  GradientFeaturesParams net = p;
  net.width = p.architecture == Architecture::cnn && p.depth > 1 ? std::min(share, most_channels) : share;
  while (gradient_parameters(net) < p.out_features) net.width *= 2;
  return net.width;
}

}  // namespace

std::size_t gradient_parameters(const GradientFeaturesParams& p) {
  const std::size_t width = p.width;
  const bool cnn = p.architecture == Architecture::cnn;
  const std::size_t area = filter_area(p);
  const std::size_t first = multiply(area * (cnn ? p.image.channels : p.in_features + (p.bias != 0)), width);
  const std::size_t inner = multiply(p.depth - 1, multiply(area, multiply(width, width)));
  const std::size_t outputs = cnn && p.pooling == Pooling::none ? multiply(p.image.height * p.image.width, width) : width;
  return add(add(first, inner), outputs);
}

GradientFeaturesParams resolved_gradient_features(const GradientFeaturesParams& params) {
  GradientFeaturesParams p = params;
  require_size(p.in_features, "GradientFeatures: in_features");
  require_size(p.out_features, "GradientFeatures: out_features");
  require_depth(p.depth, "GradientFeatures: depth");
  require_finite<double>(p.bias, "GradientFeatures: bias");
  const bool cnn = p.architecture == Architecture::cnn;
  if (cnn) require_image(p);
  if (p.width == 0) p.width = default_width(p);
  require_size(p.width, "GradientFeatures: width");
  // Positions in a layer's weights are stored in 32 bits.
  if (cnn) {
    const std::size_t channels = std::max(p.width, p.image.channels);
    require_size(multiply(filter_area(p), channels), "GradientFeatures: inputs of a layer");
    require_size(multiply(p.image.height * p.image.width, channels), "GradientFeatures: outputs of a layer");
  }
  const std::size_t parameters = gradient_parameters(p);
  require(parameters >= p.out_features, [&] {
    return "GradientFeatures: width is " + std::to_string(p.width) + ", which gives the network " +
           std::to_string(parameters) + " parameters; at least out_features, " + std::to_string(p.out_features) +
           ", are needed: use a larger one, or the default";
  });
  if (p.diagonal == Diagonal::automatic) p.diagonal = cnn && p.pooling == Pooling::gap ? Diagonal::sampled : Diagonal::exact;
  return p;
}

}  // namespace fastntk
