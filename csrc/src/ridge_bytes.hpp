// The byte format of RidgeState: header, payload, checksum.
#pragma once

#include <fastntk/memory.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "checksum.hpp"
#include "ridge_tiles.hpp"

namespace fastntk {

/// What precedes the payload; little-endian, as every machine that this library is built for.
struct RidgeHeader {
  static constexpr std::uint64_t magic_value = 0x4547444952544e46;  // "FNTRIDGE"
  static constexpr std::uint64_t current_version = 1;

  std::uint64_t magic = magic_value;
  std::uint64_t version = current_version;
  std::uint64_t tile_edge = 0;
  std::uint64_t block_capacity = 0;
  std::uint64_t n_features = 0;
  std::uint64_t n_targets = 0;
  std::uint64_t rows = 0;
  std::uint64_t waiting = 0;        // rows in the block
  std::uint64_t element_bytes = 0;  // of the block
  double total_weight = 0;

  /// Of header and payload; for sizes that were checked.
  std::size_t size() const {
    const std::size_t doubles =
        TriangleTiles(n_features).elements() + (n_features + waiting) * (1 + n_targets) + 2 * n_targets;
    return sizeof(RidgeHeader) + doubles * sizeof(double) + waiting * n_features * element_bytes;
  }
};
static_assert(std::endian::native == std::endian::little && sizeof(RidgeHeader) == 80);

class ByteWriter {
 public:
  explicit ByteWriter(std::size_t size) { bytes_.reserve(size + sizeof(std::uint64_t)); }
  template <class T>
  void write(const T* values, std::size_t count) {
    bytes_.append(reinterpret_cast<const char*>(values), count * sizeof(T));
  }
  /// Values in the memory of B.
  template <class T, Backend B>
  void write(const B& backend, const T* values, std::size_t count) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + count * sizeof(T));
    if (count > 0) copy_out(backend, values, count * sizeof(T), bytes_.data() + at);
  }
  std::string finish() && {
    const std::uint64_t hash = checksum(bytes_.data(), bytes_.size());
    write(&hash, 1);
    return std::move(bytes_);
  }

 private:
  std::string bytes_;
};

/// Reads what ByteWriter wrote. The caller has compared the sizes.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
  template <class T>
  void read(T* values, std::size_t count) {
    if (count > 0) std::memcpy(values, bytes_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
  }
  /// Into the memory of B.
  template <class T, Backend B>
  void read(const B& backend, T* values, std::size_t count) {
    if (count > 0) copy_in(backend, bytes_.data() + at_, count * sizeof(T), values);
    at_ += count * sizeof(T);
  }
  bool checksum_agrees() const {
    std::uint64_t stored;
    const std::string_view body = bytes_.substr(0, bytes_.size() - sizeof stored);
    std::memcpy(&stored, body.data() + body.size(), sizeof stored);
    return checksum(body.data(), body.size()) == stored;
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace fastntk
