// Model files as strings: made, repaired and read, for tests of the reader and for its fuzzer.
#pragma once

#include <fastntk/checksum.hpp>
#include <fastntk/model_file.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>

namespace model_files {

/// What a text of JSON is inside a string of JSON.
inline std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

/// A file of a header, which is padded, and data; whatever they say.
inline std::string safetensors(std::string header, const std::string& data) {
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = header.size();
  std::string out(sizeof length, '\0');
  std::memcpy(out.data(), &length, sizeof length);
  return out + header + data;
}

/// The header of a file; empty if its length is not that of one.
inline std::string_view header_of(std::string_view file) {
  std::uint64_t length = 0;
  if (file.size() < sizeof length) return {};
  std::memcpy(&length, file.data(), sizeof length);
  if (length > file.size() - sizeof length) return {};
  return file.substr(sizeof length, static_cast<std::size_t>(length));
}

/// Puts the right digits after "checksum", if there are 16 characters in quotes.
inline void fix_checksum(std::string& file) {
  constexpr std::string_view key = "\"checksum\":\"";
  constexpr std::size_t digits = 16;
  const std::string_view header = header_of(file);
  const std::size_t place = header.find(key);
  if (place == std::string_view::npos || header.size() - place < key.size() + digits) return;
  const std::size_t at = sizeof(std::uint64_t) + place + key.size();
  file.replace(at, digits, digits, '0');
  std::uint64_t sum = fastntk::checksum(file.data(), file.size());
  for (std::size_t i = digits; i-- > 0; sum /= 16) file[at + i] = "0123456789abcdef"[sum % 16];
}

/// A sound file: the JSON text of a model, and tensors as the header has them, beginning with a comma.
inline std::string model(const std::string& text, const std::string& tensors = "", const std::string& data = "") {
  std::string out =
      safetensors(R"({"__metadata__":{"checksum":"0000000000000000","fastntk":)" + quoted(text) + "}" + tensors + "}", data);
  fix_checksum(out);
  return out;
}

inline fastntk::ModelFile read(const std::string& file, bool with_state = true) {
  std::istringstream in(file);
  return fastntk::ModelFile::read(in, file.size(), with_state);
}

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace model_files
