// Model files: a safetensors file whose metadata say in JSON which model its tensors belong to.
//
//   __metadata__.fastntk   the JSON text: "format" is "fastntk-model", "version" 3, and "class", "params", "map", ...
//   __metadata__.checksum  16 hexadecimal digits: the 64-bit checksum of the whole file with these digits taken as zeros
#pragma once

#include <fastntk/convert.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fastntk {

/// An array of numbers of a file, row-major, aligned to 64 bytes; copies share the memory.
struct ModelTensor {
  Number number = Number::uint8;
  std::vector<std::size_t> shape;
  std::size_t bytes = 0;
  std::shared_ptr<void> data;
};

/// What a model file holds, whatever the class of the model.
class ModelFile {
 public:
  static constexpr std::uint64_t version = 3;

  /// Reads a file. All sizes are checked against the length of the file before any is used, and memory before it is taken;
  /// the file is read once. Without `with_state` the tensors "state.*", which only fits to be continued need, are checked
  /// and left out. Throws ModelFileError if the file cannot be read, is damaged, or is no model file of this version;
  /// OutOfMemory if its tensors need more memory than is available.
  static ModelFile read(const std::filesystem::path& path, bool with_state = true);

  /// Reads `size` bytes of a stream, which are the whole file. Throws likewise.
  static ModelFile read(std::istream& in, std::uint64_t size, bool with_state = true);

  /// The JSON text of the metadata.
  const std::string& text() const { return text_; }
  const std::map<std::string, ModelTensor>& tensors() const { return tensors_; }

 private:
  std::string text_;
  std::map<std::string, ModelTensor> tensors_;
};

}  // namespace fastntk
