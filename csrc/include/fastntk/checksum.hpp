// The 64-bit checksum of states and model files; in these it is that of the file with the checksum's digits as zeros.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace fastntk {

/// A 64-bit hash of bytes that come in pieces. Every step is a bijection of the running value, so that bytes that differ in
/// one word never agree. What is left of the last word counts as zeros.
class Checksum {
 public:
  /// Of `size` bytes in all.
  explicit Checksum(std::uint64_t size) : hash_(0xcbf29ce484222325u ^ size) {}

  void add(const char* bytes, std::size_t size) {
    std::size_t at = 0;
    if (waiting_ > 0) at = keep(bytes, std::min(size, sizeof word_ - waiting_));
    for (; size - at >= sizeof word_; at += sizeof word_) {
      std::uint64_t word;
      std::memcpy(&word, bytes + at, sizeof word);
      step(word);
    }
    if (at < size) keep(bytes + at, size - at);
  }

  std::uint64_t value() const {
    Checksum last = *this;
    if (waiting_ > 0) last.step(word_);
    return last.hash_;
  }

 private:
  // Puts bytes into the word that waits for more; returns their number.
  std::size_t keep(const char* bytes, std::size_t size) {
    std::memcpy(reinterpret_cast<char*>(&word_) + waiting_, bytes, size);
    waiting_ += size;
    if (waiting_ == sizeof word_) {
      step(word_);
      word_ = 0;
      waiting_ = 0;
    }
    return size;
  }
  void step(std::uint64_t word) { hash_ = std::rotl((hash_ ^ word) * 0x9e3779b97f4a7c15u, 29); }

  std::uint64_t hash_;
  std::uint64_t word_ = 0;
  std::size_t waiting_ = 0;
};

/// Of bytes that are all there.
inline std::uint64_t checksum(const char* bytes, std::size_t size) {
  Checksum sum(size);
  sum.add(bytes, size);
  return sum.value();
}

}  // namespace fastntk
