// Model files as containers: what a sound one holds, and that every way in which one is not is refused.
#include <fastntk/error.hpp>
#include <fastntk/model_file.hpp>
#include <fastntk/rng.hpp>

#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "check.hpp"
#include "model_files.hpp"

namespace {

using fastntk::ModelFile;
using fastntk::ModelFileError;
using fastntk::Number;

const std::string text = R"({"format":"fastntk-model","version":3,"a":"\"é\""})";
const std::string tensors = R"(,"w":{"dtype":"F64","shape":[2,1],"data_offsets":[0,16]},)"
                            R"("state.x":{"dtype":"U8","shape":[3],"data_offsets":[20,23]},)"
                            R"("none":{"dtype":"F32","shape":[0,5],"data_offsets":[20,20]},)"
                            R"("i":{"dtype":"I32","shape":[],"data_offsets":[16,20]})";

std::string data() {
  const double w[] = {1.5, -2};
  const std::int32_t i = 7;
  std::string out(23, '\1');
  std::memcpy(out.data(), w, sizeof w);
  std::memcpy(out.data() + sizeof w, &i, sizeof i);
  return out;
}

bool refused(const std::string& file, const std::string& why = "") {
  return check::throws<ModelFileError>([&] { model_files::read(file); }, why);
}

TEST(a_sound_file) {
  const ModelFile file = model_files::read(model_files::model(text, tensors, data()));
  CHECK(file.text() == text);
  CHECK(file.tensors().size() == 4);
  const fastntk::ModelTensor& w = file.tensors().at("w");
  CHECK(w.number == Number::float64 && w.shape == std::vector<std::size_t>({2, 1}) && w.bytes == 16);
  CHECK(static_cast<const double*>(w.data.get())[1] == -2);
  const fastntk::ModelTensor& i = file.tensors().at("i");
  CHECK(i.number == Number::int32 && i.shape.empty() && *static_cast<const std::int32_t*>(i.data.get()) == 7);
  CHECK(file.tensors().at("none").bytes == 0);
  CHECK(file.tensors().at("state.x").bytes == 3);
}

TEST(the_state_can_stay_out) {
  std::string sound = model_files::model(text, tensors, data());
  CHECK(!model_files::read(sound, false).tensors().contains("state.x"));
  CHECK(model_files::read(sound, false).tensors().size() == 3);
  sound.back() ^= 1;  // a byte of the state
  CHECK(check::throws<ModelFileError>([&] { model_files::read(sound, false); }, "checksum"));
}

TEST(every_truncation_is_refused) {
  const std::string sound = model_files::model(text, tensors, data());
  for (std::size_t size = 0; size < sound.size(); ++size) CHECK(refused(sound.substr(0, size)));
  CHECK(refused(sound + '\0'));
}

TEST(every_flipped_bit_is_refused) {
  const std::string sound = model_files::model(text, tensors, data());
  for (std::size_t bit = 0; bit < 8 * sound.size(); ++bit) {
    std::string flipped = sound;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    CHECK(refused(flipped));
  }
}

TEST(changed_words_are_refused) {
  const std::string sound = model_files::model(text, tensors, data());
  const fastntk::rng::Draws draws{1, fastntk::rng::Stream::sign};
  for (std::uint64_t trial = 0; trial < 2000; ++trial) {
    std::string changed = sound;
    const std::uint64_t word = draws.word64(2 * trial);
    const std::size_t at = draws.word64(2 * trial + 1) % (sound.size() - sizeof word + 1);
    std::memcpy(changed.data() + at, &word, sizeof word);
    CHECK(changed == sound || refused(changed));
  }
}

TEST(the_longest_header) {
  constexpr std::size_t longest = std::size_t{1} << 24;
  std::string header(model_files::header_of(model_files::model(text)));
  for (const std::size_t size : {longest, longest + 8}) {
    header.resize(size, ' ');
    std::string file = model_files::safetensors(header, "");
    model_files::fix_checksum(file);
    if (size == longest) {
      CHECK(model_files::read(file).text() == text);
    } else {
      CHECK(refused(file, "16777216, is needed"));
    }
  }
}

TEST(lengths_of_the_header) {
  for (const std::uint64_t length : {std::uint64_t{7}, std::uint64_t{1} << 40, ~std::uint64_t{0}, ~std::uint64_t{7}}) {
    std::string file = model_files::model(text);
    std::memcpy(file.data(), &length, sizeof length);
    CHECK(refused(file, "its header has " + std::to_string(length) + " bytes"));
  }
}

TEST(headers_that_are_none) {
  CHECK(refused(model_files::safetensors("", ""), "does not begin with '{'"));
  CHECK(refused(model_files::safetensors("[]", ""), "does not begin with '{'"));
  CHECK(refused(model_files::safetensors(" {}", ""), "does not begin with '{'"));
  CHECK(refused(model_files::safetensors("{}", ""), "has no metadata"));
  CHECK(refused(model_files::safetensors(R"({"__metadata__":{}})", ""), "have no checksum"));
  CHECK(refused(model_files::safetensors(R"({"__metadata__":{"a":1}})", ""), "__metadata__.a is a number; a string"));
  CHECK(refused(model_files::safetensors(R"({"__metadata__":{"checksum":"0"}})", ""), "16 lower-case"));
  CHECK(refused(model_files::safetensors(R"({"__metadata__":{"checksum":"000000000000000A"}})", ""), "16 lower-case"));
  CHECK(refused(model_files::safetensors(R"({"__metadata__":{"checksum":"\u0030000000000000000"}})", ""), "16 lower-case"));
  CHECK(refused(model_files::safetensors(R"({"__metadata__":{"checksum":"0000000000000000"}})", ""), "has no fastntk"));
}

TEST(metadata_of_others) {
  std::string file = model_files::safetensors(
      R"({"__metadata__":{"checksum":"0000000000000000","fastntk":)" + model_files::quoted(text) + R"(,"format":"np"}})",
      "");
  model_files::fix_checksum(file);
  CHECK(model_files::read(file).text() == text);
}

// With the right checksum, which must not be what keeps bad sizes out.
TEST(tensors_that_do_not_fit) {
  const auto one = [](const char* dtype, const char* shape, const char* offsets) {
    return std::string(R"(,"t":{"dtype":")") + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const auto refuses = [&](const std::string& header, std::size_t bytes, const char* why) {
    return refused(model_files::model(text, header, std::string(bytes, '\0')), why);
  };
  CHECK(!refuses(one("F32", "[2]", "[0,8]"), 8, ""));
  CHECK(refuses(one("F31", "[2]", "[0,8]"), 8, "dtype is 'F31'"));
  CHECK(refuses(one("BF16", "[4]", "[0,8]"), 8, "dtype is 'BF16'"));
  CHECK(refuses(one("F32", "[3]", "[0,8]"), 8, "has 8 bytes; its shape needs 12"));
  CHECK(refuses(one("F32", "[2]", "[0,8]"), 9, "there are 9 bytes of data; the tensors have 8"));
  CHECK(refuses(one("F32", "[2]", "[0,8]"), 7, "ends at byte 8 of 7"));
  CHECK(refuses(one("F32", "[2]", "[4,12]"), 12, "begins at byte 4"));
  CHECK(refuses(one("F32", "[2]", "[8,0]"), 8, "begins at byte 8"));
  CHECK(refuses(one("F32", "[2]", "[0,8,8]"), 8, "3 data_offsets"));
  CHECK(refuses(one("F32", "[-2]", "[0,8]"), 8, "is -2; an integer"));
  CHECK(refuses(one("F32", "[2.0]", "[0,8]"), 8, "is 2.0; an integer"));
  CHECK(refuses(one("F32", "2", "[0,8]"), 8, "shape is a number; an array"));
  CHECK(refuses(one("F32", "[4294967296,4294967296]", "[0,0]"), 0, "too many numbers"));
  CHECK(refuses(one("F32", "[18446744073709551615]", "[0,18446744073709551615]"), 8, ""));
  CHECK(refuses(one("U8", "[18446744073709551615]", "[0,18446744073709551615]"), 8, "ends at byte"));
  CHECK(refuses(one("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), 1,
                "more than 32 dimensions"));
  CHECK(refuses(R"(,"t":[1])", 0, "tensor 't' is an array; an object"));
  CHECK(refuses(R"(,"t":{"dtype":"U8","shape":[0]})", 0, "tensor 't' has no data_offsets"));
  CHECK(refuses(R"(,"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1})", 0, "tensor 't' has x"));
  const std::string first = R"(,"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]})";
  CHECK(refuses(first + one("U8", "[3]", "[2,5]"), 5, "begins at byte 2 of the data; 3"));
  CHECK(refuses(first + one("U8", "[3]", "[4,7]"), 7, "begins at byte 4 of the data; 3"));
  CHECK(refuses(first + one("U8", "[3]", "[0,3]"), 6, "begins at byte 0 of the data; 3"));
  CHECK(refuses(first + one("F32", "[1]", "[3,7]"), 7, "is not aligned"));
  CHECK(refuses(first + first, 3, "has a name twice"));
}

// Many pieces of a read, and large enough for memory to be looked up.
TEST(large_tensors) {
  constexpr std::size_t bytes = (1 << 24) + 13;
  std::string values(bytes, '\1');
  values.back() = '\2';
  const std::string size = std::to_string(bytes);
  const std::string header = R"(,"w":{"dtype":"U8","shape":[)" + size + R"(],"data_offsets":[0,)" + size + "]}";
  const fastntk::ModelFile file = model_files::read(model_files::model(text, header, values));
  CHECK(file.tensors().at("w").bytes == bytes);
  CHECK(std::memcmp(file.tensors().at("w").data.get(), values.data(), bytes) == 0);
}

// Before a byte of them is read: the stream ends after the header.
TEST(tensors_larger_than_memory) {
  const std::string size = std::to_string(std::uint64_t{1} << 60);
  const std::string header = R"(,"w":{"dtype":"U8","shape":[)" + size + R"(],"data_offsets":[0,)" + size + "]}";
  const std::string file = model_files::model(text, header);
  std::istringstream in(file);
  CHECK(check::throws<fastntk::OutOfMemory>([&] { ModelFile::read(in, file.size() + (std::uint64_t{1} << 60)); },
                                            "its tensors take 1152921504606846976 bytes; "));
}

TEST(texts_of_other_formats) {
  CHECK(refused(model_files::model("{}"), "fastntk has no format"));
  CHECK(refused(model_files::model("[]"), "fastntk is an array; an object"));
  CHECK(refused(model_files::model("{"), "JSON text, byte"));
  CHECK(refused(model_files::model(R"({"format":"x","version":3})"), "format is 'x'"));
  CHECK(refused(model_files::model(R"({"format":"fastntk-model","version":4})"), "version is 4; this library reads 3"));
}

TEST(files_that_cannot_be_read) {
  const auto read = [](const char* path) { return [=] { ModelFile::read(path); }; };
  CHECK(check::throws<ModelFileError>(read("/nonexistent/model"), "/nonexistent/model: it cannot be read"));
  CHECK(check::throws<ModelFileError>(read("/"), "/: it cannot be read"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
