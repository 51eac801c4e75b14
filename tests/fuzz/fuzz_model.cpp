// A fuzz target for the reader of model files: any bytes give a model, ModelFileError or OutOfMemory. The checksum shields
// nothing: all inputs are read with the right one, too.
//
// With libFuzzer (clang, -DFASTNTK_LIBFUZZER=ON) this file is all; else driver.cpp runs it.
#include <fastntk/error.hpp>
#include <fastntk/model.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <variant>
#include <vector>

#include "../../csrc/src/model_params.hpp"
#include "../cpp/model_files.hpp"
#include "mutate.hpp"

namespace {

#if defined(FASTNTK_FUZZ_PREDICTIONS)
constexpr std::size_t predicted = 128, made = 4096;

// Whether a map of these parameters has sizes up to `side`, and is made in no time: those of a map are not bounded by those
// of the file, but by what model_params() calls possible.
bool small(const fastntk::MapParams& map, std::size_t side) {
  const auto all = [side](auto... sizes) { return (... && (sizes <= side)); };
  const bool rows = all(fastntk::in_features(map), fastntk::out_features(map));
  return rows && std::visit(
                     [&]<class P>(const P& p) {
                       if constexpr (std::same_as<P, fastntk::NtkRandomFeaturesParams>) {
                         return all(32 * p.depth, 8 * p.sweeps, p.step_features, p.relu_features);
                       } else if constexpr (std::same_as<P, fastntk::NtkSketchParams>) {
                         return all(32 * p.depth, 8 * p.degree, p.power_features, p.gate_features, p.layer_features,
                                    p.product_features);
                       } else if constexpr (std::same_as<P, fastntk::DotProductFeaturesParams>) {
                         return all(32 * p.kernel.depth, p.kernel.coefficients.size());
                       } else if constexpr (std::same_as<P, fastntk::DotProductSketchParams>) {
                         return all(p.power_features, p.coefficients.size());
                       } else if constexpr (std::same_as<P, fastntk::GradientFeaturesParams>) {
                         return all(32 * p.depth, p.width, p.filter_size);
                       } else if constexpr (std::same_as<P, fastntk::ImageMapParams>) {
                         return all(32 * p.sketch.kernel.depth, p.sketch.width, p.sketch.kernel.filter_size);
                       } else {
                         return all(32 * p.kernel.depth);
                       }
                     },
                     map);
}

void predict(const fastntk::ModelFile& file, const fastntk::ModelParams& params) {
  if (!small(params.map, made)) return;
  const fastntk::Model<float> model(file, fastntk::Cpu{1});
  const std::size_t d = params.info.n_features_in, t = params.info.n_targets;
  if (t > predicted || !small(params.map, predicted)) return;
  const std::vector<float> x(2 * d, 0.5f);
  std::vector<float> out(2 * t);
  model.predict({x.data(), 2, d}, {out.data(), 2, t});
}
#else
void predict(const fastntk::ModelFile&, const fastntk::ModelParams&) {}
#endif

void read(const std::string& bytes, bool with_state) {
  try {
    const fastntk::ModelFile file = model_files::read(bytes, with_state);
    const fastntk::ModelParams params = fastntk::model_params(file);
    fastntk::finite_numbers<double>(file, "coef", {fastntk::out_features(params.map), params.info.n_targets});
    fastntk::finite_numbers<double>(file, "intercept", {params.info.n_targets});
    predict(file, params);
  } catch (const fastntk::ModelFileError&) {
  } catch (const fastntk::OutOfMemory&) {
    // All other exceptions end the program.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  read(bytes, true);
  model_files::fix_checksum(bytes);
  read(bytes, size % 2 == 0);
  return 0;
}

#if defined(FASTNTK_LIBFUZZER)
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  if (seed % 4 == 0) return LLVMFuzzerMutate(data, size, most);
  const std::string mutated = fuzz::Mutator(seed).mutate(std::string(reinterpret_cast<const char*>(data), size));
  const std::size_t kept = std::min(mutated.size(), most);
  std::memcpy(data, mutated.data(), kept);
  return kept;
}
#endif
