// The byte format of RidgeState: header, payload, checksum.
#pragma once

#include <fastntk/checksum.hpp>
#include <fastntk/memory.hpp>
#include <fastntk/ridge.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ridge_tiles.hpp"

namespace fastntk {

/// What precedes the payload; little-endian, as every machine that this library is built for.
struct RidgeHeader {
  static constexpr std::uint64_t magic_value = 0x4547444952544e46;  // "FNTRIDGE"
  /// A state from which rows were removed has a residue, which precedes the rest of the payload.
  static constexpr std::uint64_t plain_version = 1, residue_version = 2;

  std::uint64_t magic = magic_value;
  std::uint64_t version = plain_version;
  std::uint64_t tile_edge = 0;
  std::uint64_t block_capacity = 0;
  std::uint64_t n_features = 0;
  std::uint64_t n_targets = 0;
  std::uint64_t rows = 0;
  std::uint64_t waiting = 0;        // rows in the block
  std::uint64_t element_bytes = 0;  // of the block
  double total_weight = 0;

  std::size_t residue_size() const { return version == residue_version ? 1 + n_targets + n_features : 0; }
  /// Of header and payload; for sizes that were checked.
  std::size_t size() const {
    const std::size_t doubles =
        residue_size() + TriangleTiles(n_features).elements() + (n_features + waiting) * (1 + n_targets) + 2 * n_targets;
    return sizeof(RidgeHeader) + doubles * sizeof(double) + waiting * n_features * element_bytes;
  }
};
static_assert(std::endian::native == std::endian::little && sizeof(RidgeHeader) == 80);

/// Writes pieces; what follows each other is one piece, but for what is not copied.
class ByteWriter {
 public:
  explicit ByteWriter(std::size_t size) : sum_(size) {}
  /// Bytes that are about to be written.
  void reserve(std::size_t size) { next_.reserve(size); }
  template <class T>
  void write(const T* values, std::size_t count) {
    next_.append(reinterpret_cast<const char*>(values), count * sizeof(T));
    sum_.add(next_.data() + next_.size() - count * sizeof(T), count * sizeof(T));
  }
  /// Values in the memory of B.
  template <class T, Backend B>
  void write(const B& backend, const T* values, std::size_t count) {
    const std::size_t at = next_.size();
    next_.resize(at + count * sizeof(T));
    if (count > 0) copy_out(backend, values, count * sizeof(T), next_.data() + at);
    sum_.add(next_.data() + at, count * sizeof(T));
  }
  /// Values of the host that stay where they are.
  template <class T>
  void refer(const T* values, std::size_t count) {
    end_piece();
    RidgePiece& piece = pieces_.emplace_back();
    piece.elsewhere = std::string_view(reinterpret_cast<const char*>(values), count * sizeof(T));
    sum_.add(piece.elsewhere.data(), piece.elsewhere.size());
  }
  std::vector<RidgePiece> finish() && {
    const std::uint64_t hash = sum_.value();
    next_.append(reinterpret_cast<const char*>(&hash), sizeof hash);
    end_piece();
    return std::move(pieces_);
  }

 private:
  void end_piece() {
    if (!next_.empty()) pieces_.push_back({std::exchange(next_, {}), {}});
  }

  Checksum sum_;
  std::string next_;
  std::vector<RidgePiece> pieces_;
};

/// Reads what ByteWriter wrote, cut anywhere. The caller has compared the sizes.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::string_view> pieces) : pieces_(pieces) {
    for (const std::string_view piece : pieces) size_ += piece.size();
  }
  /// Of all pieces.
  std::size_t size() const { return size_; }
  template <class T>
  void read(T* values, std::size_t count) {
    read(Cpu{}, values, count);
  }
  /// Into the memory of B.
  template <class T, Backend B>
  void read(const B& backend, T* values, std::size_t count) {
    char* to = reinterpret_cast<char*>(values);
    next(count * sizeof(T), [&](std::string_view part) {
      copy_in(backend, part.data(), part.size(), to);
      to += part.size();
    });
  }
  void skip(std::size_t bytes) {
    next(bytes, [](std::string_view) {});
  }
  /// Of all pieces, from their beginning.
  bool checksum_agrees() const {
    ByteReader all(pieces_);
    std::uint64_t stored;
    Checksum sum(size_ - sizeof stored);
    all.next(size_ - sizeof stored, [&](std::string_view part) { sum.add(part.data(), part.size()); });
    all.read(&stored, 1);
    return sum.value() == stored;
  }

 private:
  /// Calls take(part) for the parts of what comes next.
  template <class Take>
  void next(std::size_t bytes, Take take) {
    while (bytes > 0) {
      const std::string_view part = pieces_[piece_].substr(at_, bytes);
      if (!part.empty()) take(part);
      bytes -= part.size();
      at_ += part.size();
      if (at_ == pieces_[piece_].size()) {
        ++piece_;
        at_ = 0;
      }
    }
  }

  std::span<const std::string_view> pieces_;
  std::size_t size_ = 0, piece_ = 0, at_ = 0;
};

}  // namespace fastntk
