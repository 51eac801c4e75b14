#include "json.hpp"

#include <fastntk/error.hpp>

#include <algorithm>
#include <utility>

namespace fastntk {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  const std::uint32_t lead = 0xFF00u >> (more + 1) & 0xFFu;  // as many ones as there are bytes
  out += static_cast<char>(lead | code >> 6 * more);
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80u | (code >> 6 * i & 0x3Fu));
}

// The length of the UTF-8 sequence that `text` begins with, which is no ASCII character; 0 if it is none, is longer than it
// needs to be, or is half of a surrogate pair.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(0);
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  std::uint32_t code = first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  const bool in_range = code >= (length == 4 ? 0x10000u : length == 3 ? 0x800u : 0x80u) && code < 0x110000;
  return in_range && !surrogate ? length : 0;
}

}  // namespace

class JsonParser {
 public:
  explicit JsonParser(std::string_view text) : text_(text) {}

  Json document() {
    Json value = this->value(0);
    skip_space();
    if (at_ < text_.size()) fail("one value is allowed, and there is more");
    return value;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw ModelFileError("JSON text, byte " + std::to_string(at_) + ": " + what);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool take_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  Json value(std::size_t depth) {
    skip_space();
    if (++values_ > Json::most_values) fail("there are too many values");
    Json out;
    out.begin_ = at_;
    const char c = peek();
    if (c == '{' || c == '[') {
      if (depth >= Json::most_depth) fail("arrays and objects are nested too deeply");
      ++at_;
      c == '{' ? members(out, depth) : items(out, depth);
    } else if (c == '"') {
      out.kind_ = Json::Kind::string;
      out.string_ = string();
    } else if (c == '-' || is_digit(c)) {
      out.kind_ = Json::Kind::number;
      out.string_ = number();
    } else if (take_word("true") || take_word("false")) {
      out.kind_ = Json::Kind::boolean;
      out.boolean_ = c == 't';
    } else if (!take_word("null")) {
      fail("a value is needed");
    }
    out.end_ = at_;
    return out;
  }

  void items(Json& out, std::size_t depth) {
    out.kind_ = Json::Kind::array;
    skip_space();
    if (take(']')) return;
    do {
      out.values_.push_back(value(depth + 1));
      skip_space();
    } while (take(','));
    if (!take(']')) fail("',' or ']' is needed");
  }

  void members(Json& out, std::size_t depth) {
    out.kind_ = Json::Kind::object;
    skip_space();
    if (take('}')) return;
    std::vector<std::pair<std::string, Json>> found;
    do {
      skip_space();
      if (peek() != '"') fail("a name is needed");
      std::string name = string();
      skip_space();
      if (!take(':')) fail("':' is needed");
      found.emplace_back(std::move(name), value(depth + 1));
      skip_space();
    } while (take(','));
    if (!take('}')) fail("',' or '}' is needed");
    const auto name_of = [](const auto& member) -> const std::string& { return member.first; };
    std::ranges::sort(found, {}, name_of);
    if (std::ranges::adjacent_find(found, {}, name_of) != found.end()) fail("an object has a name twice");
    for (auto& [name, value] : found) {
      out.names_.push_back(std::move(name));
      out.values_.push_back(std::move(value));
    }
  }

  std::string number() {
    const std::size_t first = at_;
    take('-');
    if (!take('0')) digits();
    if (take('.')) digits();
    if (take('e') || take('E')) {
      if (!take('-')) take('+');
      digits();
    }
    if (at_ - first > Json::most_digits) fail("a number is too long");
    return std::string(text_.substr(first, at_ - first));
  }

  void digits() {
    if (!is_digit(peek())) fail("a digit is needed");
    while (is_digit(peek())) ++at_;
  }

  std::string string() {
    std::string out;
    ++at_;
    while (!take('"')) {
      if (at_ >= text_.size()) fail("a string does not end");
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c < 0x20) fail("a control character in a string");
      if (c == '\\') {
        ++at_;
        escape(out);
      } else if (c < 0x80) {
        out += text_[at_++];
      } else {
        const std::size_t length = utf8_length(text_.substr(at_));
        if (length == 0) fail("no UTF-8");
        out += text_.substr(at_, length);
        at_ += length;
      }
    }
    return out;
  }

  void escape(std::string& out) {
    constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    const std::size_t which = at_ < text_.size() ? letters.find(text_[at_]) : std::string_view::npos;
    if (which != std::string_view::npos) {
      ++at_;
      out += meanings[which];
      return;
    }
    if (!take('u')) fail("an unknown escape");
    std::uint32_t code = hexadecimal();
    if (code >= 0xDC00 && code < 0xE000) fail("half of a surrogate pair");
    if (code >= 0xD800 && code < 0xDC00) {
      const std::uint32_t low = take_word("\\u") ? hexadecimal() : 0;
      if (low < 0xDC00 || low >= 0xE000) fail("half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(code, out);
  }

  std::uint32_t hexadecimal() {
    constexpr std::string_view lower = "0123456789abcdef", upper = "0123456789ABCDEF";
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      std::size_t digit = at_ < text_.size() ? lower.find(text_[at_]) : std::string_view::npos;
      if (digit == std::string_view::npos && at_ < text_.size()) digit = upper.find(text_[at_]);
      if (digit == std::string_view::npos) fail("four hexadecimal digits are needed");
      code = code << 4 | static_cast<std::uint32_t>(digit);
      ++at_;
    }
    return code;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t values_ = 0;
};

Json Json::parse(std::string_view text) { return JsonParser(text).document(); }

const Json* Json::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(names_, name);
  if (found == names_.end() || *found != name) return nullptr;
  return &values_[static_cast<std::size_t>(found - names_.begin())];
}

std::string printable(std::string_view text, std::size_t most) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (std::size_t at = 0, length = 1; at < text.size(); at += length) {
    if (out.size() >= most) return out + "...";
    const auto c = static_cast<unsigned char>(text[at]);
    length = c < 0x80 ? 1 : utf8_length(text.substr(at));
    // Control characters are those of ASCII, and U+0080 to U+009F. U+2028 to U+202E and U+2066 to U+2069 begin lines, or
    // turn the direction of the writing.
    const std::string_view sequence = text.substr(at, length);
    const bool control =
        c < 0x20 || c == 0x7F || (length == 2 && c == 0xC2 && static_cast<unsigned char>(text[at + 1]) < 0xA0);
    const bool turns = (sequence >= "\u2028" && sequence <= "\u202E") || (sequence >= "\u2066" && sequence <= "\u2069");
    if (length > 0 && !control && !turns) {
      out += sequence;
      continue;
    }
    length = std::max<std::size_t>(length, 1);
    for (const char each : text.substr(at, length)) {
      const auto byte = static_cast<unsigned char>(each);
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 0xF];
    }
  }
  return out;
}

}  // namespace fastntk
