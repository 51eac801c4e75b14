#include <fastntk/checksum.hpp>
#include <fastntk/error.hpp>
#include <fastntk/host_memory.hpp>
#include <fastntk/model_file.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <istream>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "json_fields.hpp"
#include "safetensors.hpp"

namespace fastntk {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian, and read as they are");

constexpr std::size_t piece = 1 << 20;  // bytes that are read at a time
constexpr std::size_t checksum_digits = 16;

/// The bytes of a file, one after the other, and their checksum.
class Input {
 public:
  Input(std::istream& in, std::uint64_t size) : in_(in), size_(size), sum_(size) {}

  /// Reads bytes that do not enter the checksum yet.
  void read(char* to, std::size_t size) {
    in_.read(to, static_cast<std::streamsize>(size));
    at_ += static_cast<std::uint64_t>(in_.gcount());
    if (static_cast<std::size_t>(in_.gcount()) != size)
      throw ModelFileError("it ends after " + std::to_string(at_) + " of " + std::to_string(size_) + " bytes");
  }
  void read_summed(char* to, std::size_t size) {
    for (std::size_t done = 0; done < size; done += piece) {
      const std::size_t some = std::min(piece, size - done);
      read(to + done, some);
      sum_.add(to + done, some);
    }
  }
  void skip_summed(std::uint64_t size) {
    std::string scratch(static_cast<std::size_t>(std::min<std::uint64_t>(piece, size)), '\0');
    for (std::uint64_t done = 0; done < size; done += piece)
      read_summed(scratch.data(), static_cast<std::size_t>(std::min<std::uint64_t>(piece, size - done)));
  }
  void add(const char* bytes, std::size_t size) { sum_.add(bytes, size); }
  std::uint64_t checksum() const { return sum_.value(); }

 private:
  std::istream& in_;
  std::uint64_t size_;
  std::uint64_t at_ = 0;
  Checksum sum_;
};

void require_available(std::uint64_t bytes) {
  constexpr std::uint64_t looked_up_from = 1 << 24;
  if (bytes < looked_up_from) return;
  const std::optional<std::uint64_t> available = host_memory().available;
  if (available && bytes > *available)
    throw OutOfMemory("its tensors take " + std::to_string(bytes) + " bytes; " + std::to_string(*available) +
                      " bytes of memory are available");
}

std::string read_header(Input& in, std::uint64_t size) {
  if (size < safetensors_prefix)
    throw ModelFileError("it has " + std::to_string(size) + " bytes; the length of its header alone takes " +
                         std::to_string(safetensors_prefix));
  std::uint64_t length = 0;
  in.read(reinterpret_cast<char*>(&length), sizeof length);
  if (length > size - safetensors_prefix || length > safetensors_longest_header || length % safetensors_prefix != 0)
    throw ModelFileError("its header has " + std::to_string(length) + " bytes; a multiple of 8, at most the " +
                         std::to_string(size - safetensors_prefix) + " bytes that follow and " +
                         std::to_string(safetensors_longest_header) + ", is needed");
  in.add(reinterpret_cast<const char*>(&length), sizeof length);
  std::string text(static_cast<std::size_t>(length), '\0');
  in.read(text.data(), text.size());
  return text;
}

/// The stored checksum; its digits become zeros in `header`.
std::uint64_t take_checksum(const Json& metadata, std::string& header) {
  const Json* const stored = metadata.find("checksum");
  if (!stored) throw ModelFileError("its metadata have no checksum: it is a safetensors file, and no model of fastntk's");
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  // As it stands in the text, without escapes.
  const bool sound = stored->kind() == Json::Kind::string && stored->end() - stored->begin() == checksum_digits + 2 &&
                     stored->string().size() == checksum_digits && std::ranges::all_of(stored->string(), is_digit);
  if (!sound) throw ModelFileError("__metadata__.checksum is not 16 lower-case hexadecimal digits");
  std::fill_n(header.begin() + static_cast<std::ptrdiff_t>(stored->begin() + 1), checksum_digits, '0');
  std::uint64_t out = 0;
  for (const char c : stored->string()) out = out << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  return out;
}

ModelTensor read_tensor(Input& in, const SafetensorsEntry& entry) {
  const auto bytes = static_cast<std::size_t>(entry.end - entry.begin);
  constexpr std::align_val_t alignment{64};
  void* const memory = ::operator new(std::max<std::size_t>(bytes, 1), alignment, std::nothrow);
  if (!memory)
    throw OutOfMemory("there is no memory for tensor '" + printable(entry.name) + "' of " + std::to_string(bytes) +
                      " bytes");
  std::shared_ptr<void> data(memory, [](void* p) { ::operator delete(p, alignment); });
  in.read_summed(static_cast<char*>(memory), bytes);
  return {entry.number, entry.shape, bytes, std::move(data)};
}

void require_format(const std::string& text) {
  const Json header = Json::parse(text);
  JsonFields fields(header, "fastntk");
  if (fields.string("format") != "fastntk-model")
    throw ModelFileError("fastntk.format is '" + printable(fields.string("format")) + "'; 'fastntk-model' is needed");
  if (fields.integer("version") != ModelFile::version)
    throw ModelFileError("fastntk.version is " + std::to_string(fields.integer("version")) + "; this library reads " +
                         std::to_string(ModelFile::version));
}

}  // namespace

ModelFile ModelFile::read(std::istream& stream, std::uint64_t size, bool with_state) {
  Input in(stream, size);
  std::string header = read_header(in, size);
  const SafetensorsHeader found = parse_safetensors_header(header, size - safetensors_prefix - header.size());
  if (found.metadata.kind() != Json::Kind::object)
    throw ModelFileError("it has no metadata: it is a safetensors file, and no model of fastntk's");
  const std::uint64_t stored = take_checksum(found.metadata, header);
  JsonFields metadata(found.metadata, "__metadata__");  // others may have added theirs
  ModelFile out;
  out.text_ = metadata.string("fastntk");
  in.add(header.data(), header.size());

  const auto wanted = [&](const SafetensorsEntry& entry) { return with_state || !entry.name.starts_with("state."); };
  std::uint64_t bytes = 0;
  for (const SafetensorsEntry& entry : found.tensors)
    if (wanted(entry)) bytes += entry.end - entry.begin;
  require_available(bytes);
  for (const SafetensorsEntry& entry : found.tensors) {
    if (wanted(entry)) {
      out.tensors_.emplace(entry.name, read_tensor(in, entry));
    } else {
      in.skip_summed(entry.end - entry.begin);
    }
  }
  if (in.checksum() != stored) throw ModelFileError("its checksum does not agree: it is damaged");
  require_format(out.text_);
  return out;
}

ModelFile ModelFile::read(const std::filesystem::path& path, bool with_state) {
  constexpr std::size_t longest_path = 4096;
  const std::string name = printable(path.string(), longest_path) + ": ";
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) throw ModelFileError(name + "it cannot be read: " + error.message());
  std::ifstream file(path, std::ios::binary);
  if (!file) throw ModelFileError(name + "it cannot be opened");
  try {
    return read(file, size, with_state);
  } catch (const ModelFileError& damage) {
    throw ModelFileError(name + damage.what());
  } catch (const OutOfMemory& large) {
    throw OutOfMemory(name + large.what());
  }
}

}  // namespace fastntk
