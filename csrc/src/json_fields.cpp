#include "json_fields.hpp"

#include <fastntk/error.hpp>

#include <algorithm>
#include <charconv>

namespace fastntk {
namespace {

const char* name_of(Json::Kind kind) {
  constexpr const char* names[] = {"null", "a boolean", "a number", "a string", "an array", "an object"};
  return names[static_cast<std::size_t>(kind)];
}

std::uint64_t json_integer(const Json& number, const std::string& name) {
  std::uint64_t out = 0;
  const std::string& digits = number.string();
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (number.kind() != Json::Kind::number || error != std::errc() || end != digits.data() + digits.size())
    throw ModelFileError(name + " is " + (number.kind() == Json::Kind::number ? digits : name_of(number.kind())) +
                         "; an integer from 0 to 2^64 - 1 is needed");
  return out;
}

std::vector<double> json_reals(const Json& array, const std::string& name) {
  if (array.kind() != Json::Kind::array)
    throw ModelFileError(name + " is " + name_of(array.kind()) + "; an array is needed");
  std::vector<double> out;
  out.reserve(array.items().size());
  for (const Json& item : array.items()) out.push_back(json_real(item, "a number of " + name));
  return out;
}

}  // namespace

double json_real(const Json& number, const std::string& name) {
  double out = 0;
  const std::string& digits = number.string();
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (number.kind() != Json::Kind::number || error != std::errc() || end != digits.data() + digits.size())
    throw ModelFileError(name + " is " + (number.kind() == Json::Kind::number ? digits : name_of(number.kind())) +
                         "; a number in the range of double is needed");
  return out;
}

JsonFields::JsonFields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (object.kind() != Json::Kind::object)
    throw ModelFileError(path_ + " is " + name_of(object.kind()) + "; an object is needed");
}

void JsonFields::fail(std::string_view name, const std::string& found, const std::string& needed) const {
  throw ModelFileError(path_ + "." + std::string(name) + " is " + found + "; " + needed + " is needed");
}

void JsonFields::fail_choice(std::string_view name, const std::string& found, const std::string& allowed) const {
  fail(name, std::string("'").append(printable(found)).append("'"), std::string("one of ").append(allowed));
}

const Json& JsonFields::value(std::string_view name) {
  const Json* const found = object_.find(name);
  if (!found) throw ModelFileError(path_ + " has no " + std::string(name));
  asked_.emplace_back(name);
  return *found;
}

const Json& JsonFields::value(std::string_view name, Json::Kind kind) {
  const Json& found = value(name);
  if (found.kind() != kind) fail(name, name_of(found.kind()), name_of(kind));
  return found;
}

JsonFields JsonFields::object(std::string_view name) { return {value(name), path_ + "." + std::string(name)}; }

bool JsonFields::boolean(std::string_view name) { return value(name, Json::Kind::boolean).boolean(); }

std::uint64_t JsonFields::integer(std::string_view name) {
  return json_integer(value(name), path_ + "." + std::string(name));
}

std::size_t JsonFields::size(std::string_view name) {
  const std::uint64_t found = integer(name);
  if (found >= std::uint64_t{1} << 31) fail(name, std::to_string(found), "less than 2^31");
  return static_cast<std::size_t>(found);
}

double JsonFields::real(std::string_view name) { return json_real(value(name), path_ + "." + std::string(name)); }

const std::string& JsonFields::string(std::string_view name) { return value(name, Json::Kind::string).string(); }

std::vector<std::uint64_t> JsonFields::integers(std::string_view name) {
  std::vector<std::uint64_t> out;
  for (const Json& item : value(name, Json::Kind::array).items())
    out.push_back(json_integer(item, "a number of " + path_ + "." + std::string(name)));
  return out;
}

std::vector<double> JsonFields::reals(std::string_view name) {
  return json_reals(value(name), path_ + "." + std::string(name));
}

std::vector<std::vector<double>> JsonFields::lists_of_reals(std::string_view name) {
  std::vector<std::vector<double>> out;
  for (const Json& item : value(name, Json::Kind::array).items())
    out.push_back(json_reals(item, "an item of " + path_ + "." + std::string(name)));
  return out;
}

void JsonFields::finish() const {
  for (const std::string& name : object_.names())
    if (std::ranges::find(asked_, name) == asked_.end())
      throw ModelFileError(path_ + " has " + printable(name) + ", which this version does not know");
}

}  // namespace fastntk
