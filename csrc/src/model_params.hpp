// The parameters of a model's feature map, from the JSON of its file.
#pragma once

#include <fastntk/cntk_sketch.hpp>
#include <fastntk/dot_product_features.hpp>
#include <fastntk/dot_product_sketch.hpp>
#include <fastntk/exact.hpp>
#include <fastntk/gradient_features.hpp>
#include <fastntk/model.hpp>
#include <fastntk/ntk_features.hpp>
#include <fastntk/ntk_sketch.hpp>

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <variant>

#include "json_fields.hpp"

namespace fastntk {

/// What is done to images before they are mapped: nothing; (x - mean) o scale, by channels; W (x - mean).
enum class Standardisation { none, channels, whiten };

struct ImageMapParams {
  CntkSketchParams sketch;
  Standardisation standardize = Standardisation::none;
};

/// x -> K(x, S) W^T with zeros behind, for landmarks S and a lower triangular W.
struct LandmarkMapParams {
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  ReluKernelParams kernel = {};
  bool exact_diagonal = false;  ///< rows are scaled to squared norms Theta(x, x)
};

using MapParams = std::variant<NtkRandomFeaturesParams, NtkSketchParams, DotProductFeaturesParams, DotProductSketchParams,
                               GradientFeaturesParams, ImageMapParams, LandmarkMapParams>;

/// Reads the object "map" of a file. Throws ModelFileError if it names no operator of this library, has not exactly the
/// members of its parameters, or is not possible as below; their values are the operators' to check else.
MapParams map_params(JsonFields map);

/// What a file says of its model and of the model's map.
struct ModelParams {
  ModelInfo info;
  MapParams map;
};

/// Throws like model_info() and map_params(), and if the map's sizes do not fit the rest of the file.
ModelParams model_params(const ModelFile& file);

/// Throws ModelFileError if the sizes are beyond what a file may ask for: 2^26 columns, 2^24 features, 4096 layers and 2^31
/// random numbers. Makes nothing.
void require_possible(const MapParams& params);

std::size_t in_features(const MapParams& params);
std::size_t out_features(const MapParams& params);

/// The tensor of that name; throws ModelFileError without it, or if it is of another type or shape.
const ModelTensor& tensor_of(const ModelFile& file, const std::string& name, Number number,
                             std::initializer_list<std::size_t> shape);

/// The numbers of the tensor of that name, float32 or float64; throws ModelFileError likewise, or if one is not finite.
template <Real T>
std::span<const T> finite_numbers(const ModelFile& file, const std::string& name, std::initializer_list<std::size_t> shape);

/// Calls f(numbers) for the tensor of that name, floats or doubles as it has them; throws ModelFileError as above, or if a
/// number is not finite.
template <class F>
auto with_numbers(const ModelFile& file, const std::string& name, std::initializer_list<std::size_t> shape, F f) {
  const auto found = file.tensors().find(name);
  if (found != file.tensors().end() && found->second.number == Number::float32)
    return f(finite_numbers<float>(file, name, shape));
  return f(finite_numbers<double>(file, name, shape));
}

}  // namespace fastntk
