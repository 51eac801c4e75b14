// How large the map of a model file may be. Random matrices are functions of the seed, so that a few words of a header can
// ask for any amount of them: what they would take is estimated from the sizes, before anything is made.
#include <fastntk/error.hpp>

#include <algorithm>
#include <concepts>
#include <string>
#include <variant>

#include "directions.hpp"
#include "model_params.hpp"

namespace fastntk {
namespace {

constexpr double most_columns = 1 << 26;            // of rows
constexpr double most_features = 1 << 24;           // of a map, and of the sketches inside; a RidgeState holds as many
constexpr double most_depth = 4096;                 // layers
constexpr double most_sweeps = 4096;                // of the Gibbs sampler
constexpr double most_numbers = 2147483648.0;       // that a map draws or stores, estimated from above
constexpr double most_sampled = 64 * most_numbers;  // normals of the Gibbs sampler, over all sweeps

void require_most(double value, double most, const std::string& what) {
  if (value > most)
    throw ModelFileError("its map has " + what + " of " + std::to_string(static_cast<long long>(std::min(value, 9e18))) +
                         "; at most " + std::to_string(static_cast<long long>(most)) + " is possible in a file");
}

template <class... Sizes>
double sum(Sizes... sizes) {
  return (0.0 + ... + static_cast<double>(sizes));
}

template <class... Sizes>
double product(Sizes... sizes) {
  return (1.0 * ... * static_cast<double>(sizes));
}

template <class... Sizes>
void require_inner(Sizes... sizes) {
  (require_most(static_cast<double>(sizes), most_features, "a size inside"), ...);
}

void require_layers(std::size_t depth) { require_most(static_cast<double>(depth), most_depth, "a depth"); }

bool dense(Directions directions, double d) {
  return directions == Directions::automatic ? d < static_cast<double>(structured_from)
                                             : directions != Directions::structured;
}

// Each is what the operator of these parameters draws and stores, and no less.
double numbers_of(const NtkRandomFeaturesParams& p) {
  require_inner(p.step_features, p.relu_features);
  require_layers(p.depth);
  require_most(static_cast<double>(p.sweeps), most_sweeps, "a number of sweeps");
  const double d = sum(p.in_features, 1), m = sum(p.step_features, p.relu_features, p.out_features);
  if (p.directions == Directions::gibbs) require_most(d * m * sum(p.sweeps), most_sampled, "a number of samples");
  return (dense(p.directions, d) ? d * m : d) + product(p.depth, 8, m);
}

double numbers_of(const NtkSketchParams& p) {
  require_inner(p.power_features, p.gate_features, p.layer_features, p.product_features);
  require_layers(p.depth);
  std::size_t terms = std::max(p.degree, p.coefficients.size());
  for (const auto* const lists : {&p.kappa_1, &p.kappa_0})
    for (const std::vector<double>& list : *lists) terms = std::max(terms, list.size());
  const double inside = sum(p.power_features, p.gate_features, p.layer_features, p.product_features, p.out_features);
  return sum(p.in_features) + product(p.method == SketchMethod::layerwise ? p.depth : 1, sum(terms, 1), inside);
}

double numbers_of(const DotProductFeaturesParams& p) {
  require_layers(p.kernel.depth);
  const double d = sum(p.in_features, 1);
  return dense(p.directions, d) ? product(d, p.out_features) : sum(d, p.out_features);
}

double numbers_of(const DotProductSketchParams& p) {
  require_inner(p.power_features);
  return sum(p.in_features) + product(p.coefficients.size(), sum(p.power_features, p.out_features));
}

double numbers_of(const GradientFeaturesParams& p) {
  require_inner(p.width);
  require_layers(p.depth);
  const bool cnn = p.architecture == Architecture::cnn;
  const double area = cnn ? product(p.filter_size, p.filter_size) : 1;
  // Without a width it is chosen from the number of features, which the weights are to be as many as.
  if (p.width == 0) return product(area, sum(p.out_features, p.in_features));
  return area * sum(product(cnn ? sum(p.image.channels) : sum(p.in_features, 1), p.width),
                    product(sum(p.depth) - 1, p.width, p.width)) +
         (cnn ? product(p.image.height, p.image.width, p.width) : sum(p.width));
}

double numbers_of(const ImageMapParams& p) {
  const CntkParams& kernel = p.sketch.kernel;
  require_inner(p.sketch.width);
  require_layers(kernel.depth);
  const double pixels = product(kernel.image.height, kernel.image.width);
  const double area = product(kernel.filter_size, kernel.filter_size);
  const double width = std::max(64.0, sum(p.sketch.width));
  return pixels * width + product(kernel.depth, area, width) + product(pixels, kernel.image.channels, 8);
}

double numbers_of(const LandmarkMapParams& p) {
  require_layers(p.kernel.depth);
  return sum(p.in_features, p.out_features);  // the rest are tensors of the file
}

}  // namespace

void require_possible(const MapParams& params) {
  require_most(static_cast<double>(in_features(params)), most_columns, "rows");
  require_most(static_cast<double>(out_features(params)), most_features, "a number of features");
  require_most(std::visit([](const auto& p) { return numbers_of(p); }, params), most_numbers, "a number of random numbers");
}

}  // namespace fastntk
