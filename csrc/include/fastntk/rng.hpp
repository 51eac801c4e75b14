// Counter-based randomness: every draw is a pure function of (seed, stream, index).
//
// The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// Because nothing is carried from draw to draw, results do not depend on threads, batches or backends. Signs and integers
// are the same everywhere; normals are computed in double and agree up to the rounding of log, sin and cos.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

#if defined(__CUDACC__)
#define FASTNTK_HD __host__ __device__
#else
#define FASTNTK_HD
#endif

namespace fastntk::rng {

using Block = std::array<std::uint32_t, 4>;

/// Philox4x32-10: 128 random bits from a 128-bit counter and a 64-bit key.
FASTNTK_HD constexpr Block philox(Block counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// What a draw is for. The numbers are part of the definition of every sketch: never reuse or renumber one.
enum class Stream : std::uint32_t {
  child_seed = 1,
  sign = 2,
  sample = 3,
  bucket = 4,
  bucket_sign = 5,
  normal = 6,
  chi_square = 7,
  holdout = 8,
  angle = 9,
  modified = 10,
  landmark = 11,
  row_order = 12,
  gibbs = 13,
};

/// One family of draws: all indices of one stream under one seed.
struct Draws {
  std::uint64_t seed;
  Stream stream;

  /// 128 bits at `index`; `attempt` tells the tries of a rejection method apart.
  FASTNTK_HD constexpr Block bits(std::uint64_t index, std::uint32_t attempt = 0) const {
    return philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                   static_cast<std::uint32_t>(stream), attempt},
                  {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  }

  /// 64 bits at `index`.
  FASTNTK_HD constexpr std::uint64_t word64(std::uint64_t index, std::uint32_t attempt = 0) const {
    const Block b = bits(index, attempt);
    return std::uint64_t{b[0]} | std::uint64_t{b[1]} << 32;
  }

  /// 32 signs, one bit each (1 means minus): bit `i % 32` of word `i / 32` is the sign of element `i`.
  FASTNTK_HD constexpr std::uint32_t sign_word(std::uint64_t word) const { return bits(word / 4)[word % 4]; }

  /// The sign of element `index`: +1 or -1.
  FASTNTK_HD constexpr int sign(std::uint64_t index) const { return (sign_word(index / 32) >> index % 32 & 1u) ? -1 : 1; }

  /// An unbiased integer in [0, bound), bound >= 1 (Lemire's multiplication with rejection, ACM TOMACS 29, 2019).
  FASTNTK_HD constexpr std::uint32_t integer(std::uint64_t index, std::uint32_t bound) const {
    const std::uint32_t threshold = (0u - bound) % bound;
    for (std::uint32_t attempt = 0;; ++attempt) {
      for (const std::uint32_t word : bits(index, attempt)) {
        const std::uint64_t product = std::uint64_t{word} * bound;
        if (static_cast<std::uint32_t>(product) >= threshold) return static_cast<std::uint32_t>(product >> 32);
      }
    }
  }

  /// A uniform draw in (0, 1], from 53 bits: never 0, and 1 by rounding with probability 2^-53.
  FASTNTK_HD static double unit_interval(std::uint32_t low, std::uint32_t high) {
    const std::uint64_t mantissa = (std::uint64_t{high} << 32 | low) >> 11;
    return (static_cast<double>(mantissa) + 0.5) * 0x1p-53;
  }

  /// Two independent standard normals from one block (Box and Muller 1958).
  FASTNTK_HD static std::array<double, 2> normal_pair(const Block& b) {
    const double radius = std::sqrt(-2.0 * std::log(unit_interval(b[0], b[1])));
    const double angle = 2.0 * std::numbers::pi * unit_interval(b[2], b[3]);
    return {radius * std::cos(angle), radius * std::sin(angle)};
  }

  /// The standard normal of element `index`; elements 2k and 2k+1 share a block.
  FASTNTK_HD double normal(std::uint64_t index) const { return normal_pair(bits(index / 2))[index % 2]; }

  /// A chi-square draw with `degrees` >= 1 degrees of freedom (Marsaglia and Tsang, ACM TOMS 26, 2000).
  FASTNTK_HD double chi_square(std::uint64_t index, double degrees) const {
    // The method needs a shape of at least 1; below it, gamma(a) = gamma(a + 1) * U^(1/a).
    const double shape = degrees / 2;
    const double raised = shape < 1 ? shape + 1 : shape;
    const double d = raised - 1.0 / 3;
    const double c = 1 / std::sqrt(9 * d);
    for (std::uint32_t attempt = 0;; ++attempt) {
      const double x = normal_pair(bits(index, 2 * attempt))[0];
      const Block spare = bits(index, 2 * attempt + 1);
      const double v = (1 + c * x) * (1 + c * x) * (1 + c * x);
      if (v <= 0) continue;
      if (std::log(unit_interval(spare[0], spare[1])) < 0.5 * x * x + d - d * v + d * std::log(v)) {
        const double boost = shape < 1 ? std::pow(unit_interval(spare[2], spare[3]), 1 / shape) : 1.0;
        return 2 * d * v * boost;
      }
    }
  }
};

/// The seed of part `index` of an operator: independent of its parent's draws and of its siblings'.
FASTNTK_HD constexpr std::uint64_t child_seed(std::uint64_t seed, std::uint64_t index) {
  return Draws{seed, Stream::child_seed}.word64(index);
}

}  // namespace fastntk::rng
