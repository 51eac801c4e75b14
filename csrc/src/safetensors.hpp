// The header of a safetensors file (https://huggingface.co/docs/safetensors): what it says of its tensors, checked.
//
// A file is the length of the header (64 bits, little-endian), the header, and the tensors' data. The header is a JSON
// object: the tensors by name, each with dtype, shape and data_offsets (its begin and end within the data), and
// __metadata__, strings by name.
#pragma once

#include <fastntk/convert.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "json.hpp"

namespace fastntk {

struct SafetensorsEntry {
  std::string name;
  Number number = Number::uint8;
  std::vector<std::size_t> shape;
  std::uint64_t begin = 0;  ///< within the data
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  Json metadata;                          ///< an object of strings, or null
  std::vector<SafetensorsEntry> tensors;  ///< in the order of their data, which they cover without gaps
};

/// Bytes before the header, and the longest header: the format allows 100 MB, of which a model of hundreds of thousands of
/// columns with names needs a few.
inline constexpr std::uint64_t safetensors_prefix = 8;
inline constexpr std::uint64_t safetensors_longest_header = std::uint64_t{1} << 24;

/// What `text` says of `data_bytes` bytes of data. Throws ModelFileError if it is not such a header, has a dtype, an offset
/// or a size that does not fit, or tensors that overlap, leave gaps or are not aligned to their numbers' size.
SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes);

}  // namespace fastntk
