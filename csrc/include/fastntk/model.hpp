// Predictions of models that Python's `save` wrote, without Python.
#pragma once

#include <fastntk/model_file.hpp>
#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace fastntk {

/// Of integers the second type is that of those from 2^63 on.
using ModelLabel = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;

/// What a file says of an NTKRegressor or NTKClassifier.
struct ModelInfo {
  std::string class_name;
  std::string fastntk;  ///< the version of the package that wrote the file
  std::size_t n_features_in = 0;
  std::size_t n_targets = 0;                  ///< columns of predict(); 1 for two classes
  bool one_target = false;                    ///< whether the targets of the fit had one dimension
  Number dtype = Number::float32;             ///< of the rows of the fit: float32 or float64
  std::vector<ModelLabel> classes;            ///< of an NTKClassifier, in the order of the columns
  std::vector<std::string> feature_names_in;  ///< if the rows of the fit had names
  std::string statistics;                     ///< of the rows of the fit, as JSON
};

/// Throws ModelFileError if the file is of another class, or what it says does not fit together.
ModelInfo model_info(const ModelFile& file);

/// Throws ModelFileError unless `text`, the JSON text of a file's "map", is of a map from `columns` to `features` columns
/// whose sizes are possible in a file. Makes nothing.
void require_model_map(const std::string& text, std::size_t columns, std::size_t features);

/// A fitted NTKRegressor or NTKClassifier: x -> Z(x) coef + intercept with the feature map Z. Copies share what they hold.
///
/// Z is any of Python's maps: the operators of this library, the standardisation before CntkSketch, directions drawn by
/// leverage, and NystroemNTK's landmarks.
template <Real T, Backend B = Cpu>
class Model {
 public:
  /// Throws like ModelFile::read(), ModelFileError too if it is no model that predicts here or a parameter does not fit,
  /// OutOfMemory if its map is too large, and BackendError without the backend. Sizes are checked before anything is made.
  static Model read(const std::filesystem::path& path, B backend = {});
  explicit Model(const ModelFile& file, B backend = {});

  const ModelInfo& info() const;

  /// x (n, n_features_in) -> out (n, n_targets): predictions of a regressor; of a classifier its decision function, the
  /// scores of the classes or, of two, that of the second. Rows go through the map in blocks of some 32 MB of features (on a
  /// device 256 MB), which with the map's workspace is all that is taken. Equal to Python's up to rounding, and equal in its
  /// bits for any number of threads and any split into calls on the CPU. Throws Error if a shape does not fit. Numbers are
  /// taken to be finite.
  void predict(View<const T, B> x, View<T, B> out) const;

  /// index[i] <- the class of row i, a number of info().classes, on the host. Throws Error likewise, or without classes.
  void classify(View<const T, B> x, std::int64_t* index) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
