// Members of a JSON object as numbers, names and lists, each checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.hpp"

namespace fastntk {

/// Reads an object's members, each of which has to be there and of its type; all of this throws ModelFileError, which names
/// the member and says what it is and what is needed.
class JsonFields {
 public:
  /// `path` is what messages call the object. The value outlives this.
  JsonFields(const Json& object, std::string path);

  const Json& value(std::string_view name);
  JsonFields object(std::string_view name);
  bool boolean(std::string_view name);
  std::uint64_t integer(std::string_view name);  ///< from 0 to 2^64 - 1
  std::size_t size(std::string_view name);       ///< below 2^31
  double real(std::string_view name);            ///< finite
  const std::string& string(std::string_view name);
  std::vector<std::uint64_t> integers(std::string_view name);
  std::vector<double> reals(std::string_view name);
  std::vector<std::vector<double>> lists_of_reals(std::string_view name);

  /// One of a few names for values of E.
  template <class E>
  E choice(std::string_view name, std::span<const std::pair<std::string_view, E>> choices) {
    const std::string& found = string(name);
    std::string allowed;
    for (const auto& [word, meaning] : choices) {
      if (word == found) return meaning;
      allowed += (allowed.empty() ? "'" : ", '") + std::string(word) + "'";
    }
    fail_choice(name, found, allowed);
  }

  /// Throws ModelFileError if there are members that were not asked for.
  void finish() const;

 private:
  [[noreturn]] void fail(std::string_view name, const std::string& found, const std::string& needed) const;
  [[noreturn]] void fail_choice(std::string_view name, const std::string& found, const std::string& allowed) const;
  const Json& value(std::string_view name, Json::Kind kind);

  const Json& object_;
  std::string path_;
  std::vector<std::string> asked_;
};

/// The characters of a JSON number as a finite double; throws ModelFileError, which calls it `name`.
double json_real(const Json& number, const std::string& name);

}  // namespace fastntk
