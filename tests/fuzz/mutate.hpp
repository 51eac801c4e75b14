// Changes to model files that a reader should survive: of bytes, of the header's words, and of the JSON text inside it. The
// length of the header is put right again, so that the changes get past it.
#pragma once

#include <fastntk/rng.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../cpp/model_files.hpp"

namespace fuzz {

/// What is put in place of a word.
inline const std::vector<std::string_view> others = [] {
  constexpr std::string_view text =
      R"(0 1 2 3 -1 0.5 7 64 4096 65536 2147483647 2147483648 4294967296 9007199254740993 18446744073709551615 )"
      R"(18446744073709551616 1e308 1e999 -1e-400 1e-5 null true false [] {} [1,2] [true,null] ["a","b","c","d","e"] "" )"
      R"("auto" "exact" "F32" "U8" "\u00e9\ud83d\ude00\t" "\ud800" [ ] { } , :)";
  std::vector<std::string_view> out;
  for (std::size_t at = 0; at < text.size(); at += out.back().size() + 1)
    out.push_back(text.substr(at, std::min(text.find(' ', at), text.size()) - at));
  return out;
}();

/// A mutation is a function of the seed.
class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : draws_{seed, fastntk::rng::Stream::sign} {}

  std::string mutate(const std::string& file) {
    const std::string_view header = model_files::header_of(file);
    if (header.empty() || below(4) == 0) return bytes(file);
    std::string text(header), data = file.substr(sizeof(std::uint64_t) + header.size());
    switch (below(4)) {
      case 0:
        text = words(text);
        break;
      case 1:
        data = bytes(data);
        break;
      default:
        text = inside(text);
    }
    return model_files::safetensors(text, data);
  }

  /// Bytes changed, left out, put in or repeated.
  std::string bytes(std::string text) {
    const std::size_t at = below(text.size() + 1), size = std::min(below(9), text.size() - at);
    switch (below(5)) {
      case 0:
        text.erase(at, below(4) == 0 ? below(text.size() - at + 1) : size);
        break;
      case 1:
        text.insert(at, text.substr(at, size));
        break;
      case 2:
        text.insert(at, std::string(size, static_cast<char>(below(256))));
        break;
      case 3:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ 1 << below(8));
    }
    return text;
  }

  /// A word of a JSON text put in another's place, changed, left out or repeated.
  std::string words(const std::string& text) {
    std::vector<std::string_view> found = split(text);
    if (found.empty()) return text;
    const std::size_t i = below(found.size()), j = below(found.size());
    const std::string kept(found[j]);
    switch (below(5)) {
      case 0:
        found[i] = kept;
        break;
      case 1:
        found.erase(found.begin() + static_cast<std::ptrdiff_t>(i));
        break;
      case 2:
        found.insert(found.begin() + static_cast<std::ptrdiff_t>(i), kept);
        break;
      default:
        found[i] = others[below(others.size())];
    }
    std::string out;
    for (const std::string_view word : found) out += word;
    return out;
  }

 private:
  /// Below n > 0.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(draws_.word64(next_++) % n); }

  /// The same for the JSON text that stands in the header as a string.
  std::string inside(const std::string& text) {
    constexpr std::string_view key = "\"fastntk\":\"";
    const std::size_t place = text.find(key);
    if (place == std::string::npos) return words(text);
    const std::size_t begin = place + key.size() - 1;
    std::size_t end = begin + 1;
    while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
    if (end >= text.size()) return words(text);
    std::string inner;
    for (std::size_t i = begin + 1; i < end; ++i) inner += text[i] == '\\' ? text[++i] : text[i];
    inner = below(4) == 0 ? bytes(inner) : words(inner);
    return text.substr(0, begin) + model_files::quoted(inner) + text.substr(end + 1);
  }

  /// Strings, numbers and names, single signs, and what is between them.
  static std::vector<std::string_view> split(std::string_view text) {
    constexpr std::string_view signs = "[]{}:,\" ";
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = at + 1;
      if (text[at] == '"') {
        while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
        end = std::min(end + 1, text.size());
      } else if (signs.find(text[at]) == std::string_view::npos) {
        end = std::min(text.find_first_of(signs, at), text.size());
      }
      out.push_back(text.substr(at, end - at));
      at = end;
    }
    return out;
  }

  fastntk::rng::Draws draws_;
  std::uint64_t next_ = 0;
};

}  // namespace fuzz
