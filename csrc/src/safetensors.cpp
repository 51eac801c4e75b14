#include "safetensors.hpp"

#include <fastntk/error.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "json_fields.hpp"

namespace fastntk {
namespace {

using Word = std::pair<std::string_view, Number>;
constexpr std::array numbers = {Word("F64", Number::float64), Word("F32", Number::float32), Word("I64", Number::int64),
                                Word("I32", Number::int32),   Word("I16", Number::int16),   Word("I8", Number::int8),
                                Word("U64", Number::uint64),  Word("U32", Number::uint32),  Word("U16", Number::uint16),
                                Word("U8", Number::uint8)};

constexpr std::size_t most_dimensions = 32;

[[noreturn]] void refuse(const std::string& name, const std::string& what) {
  throw ModelFileError("tensor '" + printable(name) + "' " + what);
}

// The bytes of a tensor, without overflow.
std::uint64_t bytes_of(const SafetensorsEntry& tensor) {
  std::uint64_t bytes = bytes_of(tensor.number);
  for (const std::size_t size : tensor.shape) {
    if (size != 0 && bytes > std::numeric_limits<std::uint64_t>::max() / size) refuse(tensor.name, "has too many numbers");
    bytes *= size;
  }
  return bytes;
}

SafetensorsEntry entry(const std::string& name, const Json& value) {
  JsonFields fields(value, "tensor '" + printable(name) + "'");
  SafetensorsEntry out;
  out.name = name;
  out.number = fields.choice<Number>("dtype", numbers);
  const std::vector<std::uint64_t> shape = fields.integers("shape"), offsets = fields.integers("data_offsets");
  fields.finish();
  if (shape.size() > most_dimensions) refuse(name, "has more than " + std::to_string(most_dimensions) + " dimensions");
  if (offsets.size() != 2) refuse(name, "has " + std::to_string(offsets.size()) + " data_offsets; 2 are needed");
  out.shape.assign(shape.begin(), shape.end());
  out.begin = offsets[0];
  out.end = offsets[1];
  return out;
}

// Tensors in the order of their data follow one another without gaps, and end where the data ends.
void require_cover(const std::vector<SafetensorsEntry>& tensors, std::uint64_t data_bytes) {
  std::uint64_t at = 0;
  for (const SafetensorsEntry& tensor : tensors) {
    if (tensor.begin != at)
      refuse(tensor.name, "begins at byte " + std::to_string(tensor.begin) + " of the data; " + std::to_string(at) +
                              ", where the one before ends, is needed");
    if (tensor.end < tensor.begin || tensor.end > data_bytes)
      refuse(tensor.name, "ends at byte " + std::to_string(tensor.end) + " of " + std::to_string(data_bytes));
    const std::uint64_t needed = bytes_of(tensor);
    if (tensor.end - tensor.begin != needed)
      refuse(tensor.name,
             "has " + std::to_string(tensor.end - tensor.begin) + " bytes; its shape needs " + std::to_string(needed));
    if (tensor.begin % bytes_of(tensor.number) != 0) refuse(tensor.name, "is not aligned to its numbers");
    at = tensor.end;
  }
  if (at != data_bytes)
    throw ModelFileError("there are " + std::to_string(data_bytes) + " bytes of data; the tensors have " +
                         std::to_string(at));
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes) {
  if (!text.starts_with('{')) throw ModelFileError("the header does not begin with '{'");
  const Json header = Json::parse(text);
  SafetensorsHeader out;
  for (std::size_t i = 0; i < header.names().size(); ++i) {
    const std::string& name = header.names()[i];
    const Json& value = header.items()[i];
    if (name != "__metadata__") {
      out.tensors.push_back(entry(name, value));
      continue;
    }
    JsonFields metadata(value, name);
    for (const std::string& key : value.names()) metadata.string(key);
    out.metadata = value;
  }
  // Empty ones come before those that begin where they are.
  std::ranges::sort(out.tensors, {}, [](const SafetensorsEntry& t) { return std::pair(t.begin, t.end); });
  require_cover(out.tensors, data_bytes);
  return out;
}

}  // namespace fastntk
