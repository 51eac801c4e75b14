// The models in tests/data, which Python wrote, and what it predicted with them.
#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "../../csrc/src/safetensors.hpp"
#include "model_files.hpp"
#include "sketches.hpp"

namespace model_cases {

using sketches::Matrix;

inline const std::filesystem::path folder = std::filesystem::path(FASTNTK_TEST_DATA) / "model-3";

/// A safetensors file beside a model: the rows "x", the "scores" that Python gave, and their "tolerance".
struct Expected {
  explicit Expected(const std::string& name) : bytes(model_files::bytes_of(folder / (name + ".expected.safetensors"))) {
    const std::string_view text = model_files::header_of(bytes);
    first = sizeof(std::uint64_t) + text.size();
    header = fastntk::parse_safetensors_header(text, bytes.size() - first);
  }
  const fastntk::SafetensorsEntry* find(const std::string& name) const {
    for (const auto& entry : header.tensors)
      if (entry.name == name) return &entry;
    return nullptr;
  }
  template <class T>
  Matrix<T> matrix(const std::string& name) const {
    const fastntk::SafetensorsEntry& entry = *find(name);
    Matrix<T> out(entry.shape.at(0), entry.shape.at(1));
    std::memcpy(out.view().data, bytes.data() + first + entry.begin, entry.end - entry.begin);
    return out;
  }

  std::string bytes;
  std::size_t first;
  fastntk::SafetensorsHeader header;
};

/// Names of the models in the folder: those that predict here, or the others.
inline std::vector<std::string> names(bool predicted) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::filesystem::path expected = entry.path().stem();
    if (expected.extension() != ".expected") continue;
    const std::string name = expected.stem().string();
    if ((Expected(name).find("tolerance") != nullptr) == predicted) out.push_back(name);
  }
  return out;
}

}  // namespace model_cases
