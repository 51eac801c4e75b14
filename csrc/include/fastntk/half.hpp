// Floating-point numbers of 16 bits, as storage: arithmetic is done in float.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>

namespace fastntk {

/// IEEE 754 binary16. Conversion from float rounds to nearest, ties to even; beyond 65504 it gives infinity.
struct Half {
  std::uint16_t bits;

  Half() = default;
  constexpr explicit Half(float x) : bits(rounded(std::bit_cast<std::uint32_t>(x))) {}
  constexpr explicit operator float() const {
    const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
    const std::uint32_t magnitude = bits & 0x7fffu;
    if (magnitude < 0x0400) {  // zero and subnormals: multiples of 2^-24
      return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24f));
    }
    constexpr std::uint32_t rebias = (127 - 15) << 23;
    const std::uint32_t widened = (magnitude << 13) + rebias;
    return std::bit_cast<float>(sign | (magnitude < 0x7c00 ? widened : widened + rebias));
  }

 private:
  static constexpr std::uint16_t rounded(std::uint32_t x) {
    const std::uint32_t sign = x >> 16 & 0x8000u;
    const std::uint32_t magnitude = x & 0x7fffffffu;
    std::uint32_t result = 0;
    if (magnitude > 0x7f800000) {
      result = 0x7e00;
    } else if (magnitude >= 0x47800000) {  // 2^16
      result = 0x7c00;
    } else if (magnitude < 0x38800000) {
      // Below 2^-14 results are multiples of 2^-24, the spacing of the floats around 1/2.
      result = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
    } else {
      result = (magnitude - 0x38000000 + 0x0fff + (magnitude >> 13 & 1)) >> 13;
    }
    return static_cast<std::uint16_t>(sign | result);
  }
};

/// The upper 16 bits of a float. Conversion from float rounds to nearest, ties to even.
struct BFloat16 {
  std::uint16_t bits;

  BFloat16() = default;
  constexpr explicit BFloat16(float x) : bits(rounded(std::bit_cast<std::uint32_t>(x))) {}
  constexpr explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

 private:
  static constexpr std::uint16_t rounded(std::uint32_t x) {
    if ((x & 0x7fffffffu) > 0x7f800000) return static_cast<std::uint16_t>(x >> 16 | 0x40);
    return static_cast<std::uint16_t>((x + 0x7fff + (x >> 16 & 1)) >> 16);
  }
};

template <class S>
concept SixteenBit = std::same_as<std::remove_const_t<S>, Half> || std::same_as<std::remove_const_t<S>, BFloat16>;

}  // namespace fastntk
