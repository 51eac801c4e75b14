// A strict reader of JSON texts (RFC 8259) that come from anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fastntk {

/// A value of a JSON text. Strings are valid UTF-8, numbers those of the grammar; no object has two members of one name.
class Json {
 public:
  enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

  static constexpr std::size_t most_depth = 32;   ///< of arrays and objects inside one another
  static constexpr std::size_t most_digits = 64;  ///< characters of a number
  /// In a text, arrays and objects counted too: a value of two characters takes 120 bytes here.
  static constexpr std::size_t most_values = std::size_t{1} << 19;

  Json() = default;

  /// Throws ModelFileError, which tells the place, on anything that is not one value with whitespace around it, on a name
  /// that comes twice in an object, and beyond the limits above.
  static Json parse(std::string_view text);

  Kind kind() const { return kind_; }
  bool boolean() const { return boolean_; }                         ///< of a boolean
  const std::string& string() const { return string_; }             ///< of a string; of a number its characters
  const std::vector<Json>& items() const { return values_; }        ///< of an array
  const std::vector<std::string>& names() const { return names_; }  ///< of an object, ascending; items() are the values
  /// The member of that name, or null.
  const Json* find(std::string_view name) const;

  /// Where the value stands in the text: its characters from `begin` to before `end`.
  std::size_t begin() const { return begin_; }
  std::size_t end() const { return end_; }

 private:
  friend class JsonParser;

  Kind kind_ = Kind::null;
  bool boolean_ = false;
  std::string string_;
  std::vector<std::string> names_;
  std::vector<Json> values_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// A text of anybody's for a message: what a terminal could act on, and bytes that are no UTF-8, become \xNN, and of more
/// than `most` bytes the rest becomes "...".
std::string printable(std::string_view text, std::size_t most = 80);

}  // namespace fastntk
