#include <fastntk/error.hpp>
#include <fastntk/model.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "json_fields.hpp"
#include "model_params.hpp"

namespace fastntk {
namespace {

ModelLabel label_of(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::boolean:
      return value.boolean();
    case Json::Kind::string:
      return value.string();
    case Json::Kind::number:
      break;
    default:
      throw ModelFileError("a class is neither string, number nor boolean");
  }
  const std::string& digits = value.string();
  std::int64_t whole = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), whole);
  if (error == std::errc() && end == digits.data() + digits.size()) return whole;
  std::uint64_t large = 0;
  const auto [large_end, large_error] = std::from_chars(digits.data(), digits.data() + digits.size(), large);
  if (large_error == std::errc() && large_end == digits.data() + digits.size()) return large;
  return json_real(value, "a class");
}

std::vector<ModelLabel> labels_of(const Json& classes) {
  std::vector<ModelLabel> out;
  if (classes.kind() == Json::Kind::null) return out;
  if (classes.kind() != Json::Kind::array || classes.items().empty())
    throw ModelFileError("fastntk.classes is no list of labels");
  for (const Json& item : classes.items()) out.push_back(label_of(item));
  std::vector<ModelLabel> sorted = out;
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end()) throw ModelFileError("fastntk.classes has a label twice");
  return out;
}

std::vector<std::string> names_of(const Json& names, std::size_t count) {
  std::vector<std::string> out;
  if (names.kind() == Json::Kind::null) return out;
  if (names.kind() != Json::Kind::array) throw ModelFileError("fastntk.feature_names_in is no list of names");
  for (const Json& name : names.items()) {
    if (name.kind() != Json::Kind::string) throw ModelFileError("a name in fastntk.feature_names_in is no string");
    out.push_back(name.string());
  }
  if (out.size() != count)
    throw ModelFileError("fastntk.feature_names_in has " + std::to_string(out.size()) + " names for " +
                         std::to_string(count) + " columns");
  return out;
}

}  // namespace

ModelInfo model_info(const ModelFile& file) {
  const Json header = Json::parse(file.text());
  JsonFields fields(header, "fastntk");
  ModelInfo out;
  out.class_name = fields.string("class");
  const bool classifier = out.class_name == "NTKClassifier";
  if (!classifier && out.class_name != "NTKRegressor")
    throw ModelFileError("it is a model of class '" + printable(out.class_name) +
                         "'; NTKRegressor and NTKClassifier predict here");
  out.fastntk = fields.string("fastntk");
  out.n_features_in = fields.size("n_features_in");
  if (out.n_features_in == 0) throw ModelFileError("fastntk.n_features_in is 0");
  using Word = std::pair<std::string_view, Number>;
  constexpr std::array dtypes = {Word("float32", Number::float32), Word("float64", Number::float64)};
  out.dtype = fields.choice<Number>("dtype", dtypes);
  out.classes = labels_of(fields.value("classes"));
  out.feature_names_in = names_of(fields.value("feature_names_in"), out.n_features_in);
  const Json& statistics = fields.value("statistics");
  out.statistics = file.text().substr(statistics.begin(), statistics.end() - statistics.begin());

  const auto coef = file.tensors().find("coef");
  if (coef == file.tensors().end() || coef->second.shape.size() != 2)
    throw ModelFileError("it has no tensor 'coef' of two dimensions");
  out.n_targets = coef->second.shape[1];
  if (out.n_targets == 0) throw ModelFileError("tensor 'coef' has no columns");
  if (classifier == out.classes.empty()) throw ModelFileError("classes and class '" + out.class_name + "' do not fit");
  if (classifier) {
    if (out.n_targets != (out.classes.size() == 2 ? 1 : out.classes.size()))
      throw ModelFileError("tensor 'coef' has " + std::to_string(out.n_targets) + " columns for " +
                           std::to_string(out.classes.size()) + " classes");
  } else {
    out.one_target = fields.boolean("one_target");
  }
  return out;
}

void require_model_map(const std::string& text, std::size_t columns, std::size_t features) {
  const Json map = Json::parse(text);
  const MapParams params = map_params(JsonFields(map, "map"));
  if (in_features(params) != columns || out_features(params) != features)
    throw ModelFileError("its map is one from " + std::to_string(in_features(params)) + " columns to " +
                         std::to_string(out_features(params)) + " features; the model's has " + std::to_string(columns) +
                         " and " + std::to_string(features));
}

ModelParams model_params(const ModelFile& file) {
  ModelInfo info = model_info(file);
  const Json header = Json::parse(file.text());
  MapParams map = map_params(JsonFields(header, "fastntk").object("map"));
  if (in_features(map) != info.n_features_in)
    throw ModelFileError("its map takes rows of " + std::to_string(in_features(map)) +
                         " columns; fastntk.n_features_in is " + std::to_string(info.n_features_in));
  // The coefficients, which are there, bound what the map may take.
  const std::size_t features = file.tensors().at("coef").shape[0];
  if (out_features(map) != features)
    throw ModelFileError("its map has " + std::to_string(out_features(map)) + " features; tensor 'coef' has " +
                         std::to_string(features) + " rows");
  return {std::move(info), std::move(map)};
}

}  // namespace fastntk
