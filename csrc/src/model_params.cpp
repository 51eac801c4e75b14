#include "model_params.hpp"

#include <fastntk/error.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <utility>

namespace fastntk {
namespace {

template <class E>
using Word = std::pair<std::string_view, E>;

constexpr std::array directions = {
    Word<Directions>("auto", Directions::automatic),        Word<Directions>("gaussian", Directions::gaussian),
    Word<Directions>("structured", Directions::structured), Word<Directions>("sphere", Directions::sphere),
    Word<Directions>("gibbs", Directions::gibbs),           Word<Directions>("given", Directions::given)};
constexpr std::array low_orders = {Word<LowOrders>("auto", LowOrders::automatic), Word<LowOrders>("exact", LowOrders::exact),
                                   Word<LowOrders>("constant", LowOrders::constant),
                                   Word<LowOrders>("sampled", LowOrders::sampled)};
constexpr std::array diagonals = {Word<Diagonal>("auto", Diagonal::automatic), Word<Diagonal>("exact", Diagonal::exact),
                                  Word<Diagonal>("sampled", Diagonal::sampled)};
constexpr std::array sketch_methods = {Word<SketchMethod>("one_pass", SketchMethod::one_pass),
                                       Word<SketchMethod>("layerwise", SketchMethod::layerwise)};
constexpr std::array sketch_bases = {Word<SketchBase>("auto", SketchBase::automatic),
                                     Word<SketchBase>("rotation", SketchBase::rotation),
                                     Word<SketchBase>("countsketch", SketchBase::count_sketch)};
constexpr std::array cosine_kernels = {Word<CosineKernel>("ntk", CosineKernel::ntk),
                                       Word<CosineKernel>("nngp", CosineKernel::nngp),
                                       Word<CosineKernel>("arc_cosine_0", CosineKernel::arc_cosine_0),
                                       Word<CosineKernel>("arc_cosine_1", CosineKernel::arc_cosine_1),
                                       Word<CosineKernel>("polynomial", CosineKernel::polynomial)};
constexpr std::array architectures = {Word<Architecture>("mlp", Architecture::mlp),
                                      Word<Architecture>("cnn", Architecture::cnn)};
constexpr std::array poolings = {Word<Pooling>("gap", Pooling::gap), Word<Pooling>("none", Pooling::none)};
constexpr std::array paddings = {Word<Padding>("same", Padding::same), Word<Padding>("valid", Padding::valid)};
constexpr std::array cntk_methods = {Word<CntkMethod>("sketch", CntkMethod::sketch),
                                     Word<CntkMethod>("random_features", CntkMethod::random_features)};

ImageShape image_shape(JsonFields fields) {
  const ImageShape out{fields.size("height"), fields.size("width"), fields.size("channels")};
  fields.finish();
  return out;
}

NtkRandomFeaturesParams ntk_random_features(JsonFields& map) {
  return {.in_features = map.size("in_features"),
          .out_features = map.size("out_features"),
          .depth = map.size("depth"),
          .directions = map.choice<Directions>("directions", directions),
          .low_orders = map.choice<LowOrders>("low_orders", low_orders),
          .diagonal = map.choice<Diagonal>("diagonal", diagonals),
          .bias = map.real("bias"),
          .seed = map.integer("seed"),
          .step_features = map.size("step_features"),
          .relu_features = map.size("relu_features"),
          .sweeps = map.size("sweeps")};
}

NtkSketchParams ntk_sketch(JsonFields& map) {
  return {.in_features = map.size("in_features"),
          .out_features = map.size("out_features"),
          .depth = map.size("depth"),
          .method = map.choice<SketchMethod>("method", sketch_methods),
          .degree = map.size("degree"),
          .low_orders = map.choice<LowOrders>("low_orders", low_orders),
          .diagonal = map.choice<Diagonal>("diagonal", diagonals),
          .bias = map.real("bias"),
          .coefficients = map.reals("coefficients"),
          .kappa_1 = map.lists_of_reals("kappa_1"),
          .kappa_0 = map.lists_of_reals("kappa_0"),
          .power_features = map.size("power_features"),
          .gate_features = map.size("gate_features"),
          .layer_features = map.size("layer_features"),
          .product_features = map.size("product_features"),
          .base = map.choice<SketchBase>("base", sketch_bases),
          .seed = map.integer("seed")};
}

DotProductFeaturesParams dot_product_features(JsonFields& map) {
  JsonFields series = map.object("kernel");
  KernelSeriesParams kernel{.kernel = series.choice<CosineKernel>("kernel", cosine_kernels),
                            .depth = series.size("depth"),
                            .coefficients = series.reals("coefficients")};
  series.finish();
  return {.in_features = map.size("in_features"),
          .out_features = map.size("out_features"),
          .kernel = std::move(kernel),
          .directions = map.choice<Directions>("directions", directions),
          .low_orders = map.choice<LowOrders>("low_orders", low_orders),
          .diagonal = map.choice<Diagonal>("diagonal", diagonals),
          .bias = map.real("bias"),
          .homogeneous = map.boolean("homogeneous"),
          .seed = map.integer("seed")};
}

DotProductSketchParams dot_product_sketch(JsonFields& map) {
  return {.in_features = map.size("in_features"),
          .out_features = map.size("out_features"),
          .coefficients = map.reals("coefficients"),
          .low_orders = map.choice<LowOrders>("low_orders", low_orders),
          .diagonal = map.choice<Diagonal>("diagonal", diagonals),
          .bias = map.real("bias"),
          .homogeneous = map.boolean("homogeneous"),
          .power_features = map.size("power_features"),
          .base = map.choice<SketchBase>("base", sketch_bases),
          .seed = map.integer("seed")};
}

GradientFeaturesParams gradient_features(JsonFields& map) {
  return {.in_features = map.size("in_features"),
          .out_features = map.size("out_features"),
          .depth = map.size("depth"),
          .architecture = map.choice<Architecture>("architecture", architectures),
          .width = map.size("width"),
          .bias = map.real("bias"),
          .diagonal = map.choice<Diagonal>("diagonal", diagonals),
          .image = image_shape(map.object("image")),
          .filter_size = map.size("filter_size"),
          .pooling = map.choice<Pooling>("pooling", poolings),
          .seed = map.integer("seed")};
}

CntkParams cntk(JsonFields kernel) {
  const CntkParams out{.image = image_shape(kernel.object("image")),
                       .depth = kernel.size("depth"),
                       .filter_size = kernel.size("filter_size"),
                       .padding = kernel.choice<Padding>("padding", paddings),
                       .pooling = kernel.choice<Pooling>("pooling", poolings),
                       .train_first = kernel.boolean("train_first"),
                       .train_last = kernel.boolean("train_last"),
                       .bias = kernel.real("bias")};
  kernel.finish();
  return out;
}

ImageMapParams cntk_sketch(JsonFields& map) {
  constexpr std::array kinds = {Word<Standardisation>("channels", Standardisation::channels),
                                Word<Standardisation>("whiten", Standardisation::whiten)};
  const bool none = map.value("standardize").kind() == Json::Kind::null;
  return {.sketch = {.out_features = map.size("out_features"),
                     .kernel = cntk(map.object("kernel")),
                     .method = map.choice<CntkMethod>("method", cntk_methods),
                     .kappa_1 = map.lists_of_reals("kappa_1"),
                     .kappa_0 = map.lists_of_reals("kappa_0"),
                     .diagonal = map.choice<Diagonal>("diagonal", diagonals),
                     .average_flips = map.boolean("average_flips"),
                     .width = map.size("width"),
                     .seed = map.integer("seed")},
          .standardize = none ? Standardisation::none : map.choice<Standardisation>("standardize", kinds)};
}

LandmarkMapParams nystroem(JsonFields& map) {
  return {.in_features = map.size("in_features"),
          .out_features = map.size("out_features"),
          .kernel = {.depth = map.size("depth"), .bias = map.real("bias")},
          .exact_diagonal = map.choice<Diagonal>("diagonal", diagonals) == Diagonal::exact};
}

using Reader = MapParams (*)(JsonFields&);

template <auto read>
constexpr Reader reader = [](JsonFields& map) -> MapParams { return read(map); };

constexpr std::array operators = {Word<Reader>("NtkRandomFeatures", reader<ntk_random_features>),
                                  Word<Reader>("NtkSketch", reader<ntk_sketch>),
                                  Word<Reader>("DotProductFeatures", reader<dot_product_features>),
                                  Word<Reader>("DotProductSketch", reader<dot_product_sketch>),
                                  Word<Reader>("GradientFeatures", reader<gradient_features>),
                                  Word<Reader>("CntkSketch", reader<cntk_sketch>),
                                  Word<Reader>("NystroemNtk", reader<nystroem>)};

std::string describe(const std::vector<std::size_t>& shape) {
  std::string out;
  for (const std::size_t size : shape) out += (out.empty() ? "" : ", ") + std::to_string(size);
  return "(" + out + ")";
}

}  // namespace

MapParams map_params(JsonFields map) {
  const Reader read = map.choice<Reader>("operator", operators);
  MapParams out = read(map);
  map.finish();
  require_possible(out);
  return out;
}

std::size_t in_features(const MapParams& params) {
  return std::visit(
      []<class P>(const P& p) {
        if constexpr (std::same_as<P, ImageMapParams>) {
          // Each is below 2^31.
          const ImageShape& image = p.sketch.kernel.image;
          const std::size_t pixels = image.pixels();
          const bool fits = pixels == 0 || image.channels < (std::size_t{1} << 53) / pixels;
          return fits ? pixels * image.channels : 0;
        } else {
          return p.in_features;
        }
      },
      params);
}

std::size_t out_features(const MapParams& params) {
  return std::visit(
      []<class P>(const P& p) {
        if constexpr (std::same_as<P, ImageMapParams>) {
          return p.sketch.out_features;
        } else {
          return p.out_features;
        }
      },
      params);
}

const ModelTensor& tensor_of(const ModelFile& file, const std::string& name, Number number,
                             std::initializer_list<std::size_t> shape) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) throw ModelFileError("it has no tensor '" + name + "'");
  const ModelTensor& tensor = found->second;
  if (tensor.number != number) throw ModelFileError("the numbers of tensor '" + name + "' are of another type than needed");
  if (!std::ranges::equal(tensor.shape, shape))
    throw ModelFileError("tensor '" + name + "' has shape " + describe(tensor.shape) + "; " + describe(shape) +
                         " is needed");
  return tensor;
}

template <Real T>
std::span<const T> finite_numbers(const ModelFile& file, const std::string& name, std::initializer_list<std::size_t> shape) {
  constexpr Number number = std::same_as<T, float> ? Number::float32 : Number::float64;
  const ModelTensor& tensor = tensor_of(file, name, number, shape);
  const std::span<const T> numbers(static_cast<const T*>(tensor.data.get()), tensor.bytes / sizeof(T));
  if (!std::ranges::all_of(numbers, [](T x) { return std::isfinite(x); }))
    throw ModelFileError("tensor '" + name + "' has a number that is not finite");
  return numbers;
}

template std::span<const float> finite_numbers(const ModelFile&, const std::string&, std::initializer_list<std::size_t>);
template std::span<const double> finite_numbers(const ModelFile&, const std::string&, std::initializer_list<std::size_t>);

}  // namespace fastntk
