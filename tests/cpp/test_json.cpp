// The strict JSON reader: what RFC 8259 allows and nothing else, limits, and places of values.
#include <fastntk/error.hpp>

#include <string>
#include <vector>

#include "../../csrc/src/json.hpp"
#include "../../csrc/src/json_fields.hpp"
#include "check.hpp"

namespace {

using fastntk::Json;
using fastntk::JsonFields;
using fastntk::ModelFileError;

bool refused(const std::string& text, const std::string& why = "") {
  return check::throws<ModelFileError>([&] { Json::parse(text); }, why);
}

TEST(values_of_every_kind) {
  const std::string text = R"( {"b": [1, -2.5e3, true, false, null], "a": {"": "x"}} )";
  const Json value = Json::parse(text);
  CHECK(value.kind() == Json::Kind::object);
  CHECK(value.names() == std::vector<std::string>({"a", "b"}));
  CHECK(value.find("c") == nullptr && value.find("") == nullptr);
  CHECK(value.find("a")->find("")->string() == "x");
  const std::vector<Json>& items = value.find("b")->items();
  CHECK(items.size() == 5);
  CHECK(items[0].string() == "1" && items[1].string() == "-2.5e3");
  CHECK(items[2].boolean() && !items[3].boolean() && items[4].kind() == Json::Kind::null);
  const Json& array = *value.find("b");
  CHECK(text.substr(array.begin(), array.end() - array.begin()) == "[1, -2.5e3, true, false, null]");
}

TEST(strings_are_decoded) {
  CHECK(Json::parse(R"("\"\\\/\b\f\n\r\t")").string() == "\"\\/\b\f\n\r\t");
  CHECK(Json::parse(R"("\u0041\u00e9\u20AC\ud83d\ude00\u0000")").string() ==
        std::string("A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0", 11));
  const std::string utf8 =
      "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf";
  CHECK(Json::parse("\"" + utf8 + "\"").string() == utf8);
}

TEST(only_utf8_is_taken) {
  // A lone continuation, a short sequence, longer ones than needed, surrogates, beyond U+10FFFF, bytes that never occur.
  for (const char* bytes :
       {"\x80", "\xc3", "\xc3(", "\xe2\x82", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"})
    CHECK(refused(std::string("\"") + bytes + "\"", "no UTF-8"));
}

TEST(what_is_no_json_is_refused) {
  for (const char* text : {"",         " ",           "{",           "[",
                           "\"",       "[1,]",        "[,1]",        "[1 2]",
                           "{\"a\"}",  "{\"a\":}",    "{\"a\":1,}",  "{a:1}",
                           "{1:2}",    "tru",         "True",        "NaN",
                           "Infinity", "-Infinity",   "nul",         "'a'",
                           "[1]x",     "1 2",         "/**/1",       "01",
                           "-",        "+1",          ".5",          "1.",
                           "1e",       "1e+",         "0x10",        "--1",
                           "\"\\x\"",  "\"\\u12g4\"", "\"\\u123",    "\"\n\"",
                           "\"a\tb\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"",
                           "\"\\",     "]",           "}",           "\xef\xbb\xbf{}"})
    CHECK(refused(text, "JSON text, byte "));
  CHECK(refused(std::string("1\0", 2)));
}

TEST(names_come_once) {
  CHECK(refused(R"({"a": 1, "b": 2, "a": 3})", "has a name twice"));
  CHECK(refused(R"({"a": 1, "\u0061": 3})", "has a name twice"));
}

TEST(limits) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(!refused(nested(Json::most_depth)));
  CHECK(refused(nested(Json::most_depth + 1), "nested too deeply"));
  CHECK(refused(std::string(1000000, '['), "nested too deeply"));
  CHECK(!refused(std::string(Json::most_digits, '7')));
  CHECK(refused(std::string(Json::most_digits + 1, '7'), "too long"));
}

TEST(texts_for_messages) {
  CHECK(fastntk::printable("a \"b\" \xC3\xA9") == "a \"b\" \xC3\xA9");
  CHECK(fastntk::printable("\x1b[31m\n\x7f") == "\\x1b[31m\\x0a\\x7f");
  CHECK(fastntk::printable("\xC2\x9B") == "\\xc2\\x9b");
  CHECK(fastntk::printable("\xE2\x80\xAE") == "\\xe2\\x80\\xae");
  CHECK(fastntk::printable("\xFF\xC3") == "\\xff\\xc3");
  CHECK(fastntk::printable(std::string(80, 'x')) == std::string(80, 'x'));
  CHECK(fastntk::printable(std::string(81, 'x')) == std::string(80, 'x') + "...");
}

// Else a file of 100 MB takes gigabytes to refuse.
TEST(many_values) {
  std::string text = "[0";
  for (std::size_t i = 2; i < Json::most_values; ++i) text += ",0";
  CHECK(Json::parse(text + "]").items().size() == Json::most_values - 1);
  CHECK(check::throws<ModelFileError>([&] { Json::parse(text + ",0]"); }, "there are too many values"));
}

TEST(fields_are_checked) {
  const Json value = Json::parse(R"({"n": 18446744073709551615, "m": 9007199254740993, "x": -0.1e-3, "t": true, "s": "two",
                                    "l": [1, 2.5], "ll": [[], [1]], "i": [0, 7], "o": {"k": 1}, "big": 1e999,
                                    "negative": -1, "fraction": 1.5, "bad": [1, "2"]})");
  JsonFields fields(value, "it");
  CHECK(fields.integer("n") == 18446744073709551615u);
  CHECK(fields.real("x") == -0.1e-3);
  CHECK(fields.boolean("t"));
  CHECK(fields.reals("l") == std::vector<double>({1, 2.5}));
  CHECK(fields.lists_of_reals("ll") == std::vector<std::vector<double>>({{}, {1}}));
  CHECK(fields.integers("i") == std::vector<std::uint64_t>({0, 7}));
  CHECK(fields.object("o").size("k") == 1);
  using Word = std::pair<std::string_view, int>;
  constexpr std::array words = {Word("one", 1), Word("two", 2)};
  CHECK(fields.choice<int>("s", words) == 2);
  constexpr std::array others = {Word("one", 1), Word("three", 3)};
  const auto throws = [&](auto&& call, const char* why) { return check::throws<ModelFileError>(call, why); };
  CHECK(throws([&] { fields.choice<int>("s", others); }, "it.s is 'two'; one of 'one', 'three' is needed"));
  CHECK(throws([&] { fields.size("m"); }, "it.m is 9007199254740993; less than 2^31"));
  CHECK(throws([&] { fields.size("none"); }, "it has no none"));
  CHECK(throws([&] { fields.real("big"); }, "it.big is 1e999; a number in the range of double"));
  CHECK(throws([&] { fields.integer("negative"); }, "it.negative is -1; an integer"));
  CHECK(throws([&] { fields.integer("fraction"); }, "it.fraction is 1.5; an integer"));
  CHECK(throws([&] { fields.integer("s"); }, "it.s is a string; an integer"));
  CHECK(throws([&] { fields.reals("bad"); }, "a number of it.bad is a string"));
  CHECK(throws([&] { fields.reals("t"); }, "it.t is a boolean; an array"));
  CHECK(throws([&] { fields.object("l"); }, "it.l is an array; an object"));
  CHECK(throws([&] { fields.string("n"); }, "it.n is a number; a string"));
  fields.finish();

  JsonFields some(value, "it");
  some.integer("n");
  CHECK(throws([&] { some.finish(); }, "it has bad, which this version does not know"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
