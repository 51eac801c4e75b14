// The transforms of the device against the textbook loop.
#include <fastntk/fwht.hpp>
#include <fastntk/half.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "../../csrc/src/primitives.hpp"
#include "../cpp/fwht_reference.hpp"
#include "device.hpp"

namespace {

using device::Matrix;
using fastntk::BFloat16;
using fastntk::Buffer;
using fastntk::Cuda;
using fastntk::Half;
using fastntk::Tile;
using fastntk::View;
using fwht_reference::butterflies;

// Rows of length n whose first element is `offset` elements past an aligned address, `gap` elements apart.
struct Layout {
  std::size_t rows, n, d, offset, gap;
  bool in_place;
  int device = 0;
};

// What is compared: the transform of `d` elements with or without signs. Whatever lies around the rows must stay as it was.
template <class T>
void compare(const Layout& l, const std::uint32_t* host_signs, T scale) {
  const std::size_t in_stride = (l.in_place ? l.n : l.d) + l.gap;
  const std::size_t out_stride = l.n + l.gap;
  const std::vector<T> input = sketches::random_rows<T>(1, l.offset + l.rows * in_stride).values;
  std::vector<T> expected = l.in_place ? input : std::vector<T>(l.offset + l.rows * out_stride, T(7));
  for (std::size_t r = 0; r < l.rows; ++r) {
    std::vector<T> row(l.n);
    for (std::size_t j = 0; j < l.d; ++j) {
      const bool minus = host_signs && (host_signs[j / 32] >> (j % 32) & 1u);
      row[j] = scale * (minus ? -1 : 1) * input[l.offset + r * in_stride + j];
    }
    butterflies(row.data(), l.n);
    std::copy(row.begin(), row.end(), expected.begin() + static_cast<std::ptrdiff_t>(l.offset + r * out_stride));
  }

  const Cuda cuda{.device = l.device};
  const Buffer<std::uint32_t, Cuda> signs(cuda, host_signs
                                                    ? std::vector<std::uint32_t>(host_signs, host_signs + (l.n + 31) / 32)
                                                    : std::vector<std::uint32_t>());
  Buffer<T, Cuda> in(cuda, input);
  Buffer<T, Cuda> separate(cuda, l.in_place ? std::vector<T>() : std::vector<T>(expected.size(), T(7)));
  Buffer<T, Cuda>& out = l.in_place ? in : separate;
  Tile<Cuda> tile(cuda);
  const View<const T, Cuda> source(in.data() + l.offset, l.rows, l.d, in_stride);
  const View<T, Cuda> target(out.data() + l.offset, l.rows, l.n, out_stride);
  fastntk::hadamard<T, Cuda>(tile, source, host_signs ? signs.data() : nullptr, scale, target);
  const std::vector<T> found = out.to_host();
  if (!CHECK(std::memcmp(found.data(), expected.data(), found.size() * sizeof(T)) == 0))
    std::cout << "  rows " << l.rows << ", n " << l.n << ", d " << l.d << ", offset " << l.offset << ", gap " << l.gap
              << ", in place " << l.in_place << "\n";
}

std::vector<std::uint32_t> random_signs(std::size_t n) {
  std::vector<std::uint32_t> words((n + 31) / 32);
  const fastntk::rng::Draws draws{3, fastntk::rng::Stream::sign};
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = draws.sign_word(i);
  return words;
}

template <class T>
void compare_all_layouts() {
  for (int log2_n = 0; log2_n <= 15; ++log2_n) {
    const std::size_t n = std::size_t{1} << log2_n;
    const std::vector<std::uint32_t> signs = random_signs(n);
    // Several chunks of short rows, the last one not full, and more warps than the emulated device has room for at once.
    const std::size_t many = n <= 1024 ? 17 * (1024 / n) + 3 : 2;
    compare<T>({1, n, n, 0, 0, true}, nullptr, T(0.3));
    compare<T>({many, n, n, 0, 0, true}, nullptr, T(0.3));
    if (check::sanitized && log2_n > 13) continue;
    compare<T>({many, n, n, 0, 16, false}, signs.data(), T(0.3));
    compare<T>({3, n, n, 1, 0, true}, signs.data(), T(0.3));
    compare<T>({many, n, n, 0, 3, false}, nullptr, T(0.3));
    if (n < 4) continue;
    compare<T>({3, n, n / 2 + 1, 0, 0, false}, signs.data(), T(1));                    // odd
    compare<T>({3, n, n - n / 4 + (n > 8 ? 4 : 0), 0, 0, false}, signs.data(), T(1));  // whole vectors
  }
}

TEST(has_the_bits_of_the_textbook_loop_float) { compare_all_layouts<float>(); }
TEST(has_the_bits_of_the_textbook_loop_double) { compare_all_layouts<double>(); }

// Rows that no block holds: in pieces, and the levels between these.
TEST(has_the_bits_of_the_textbook_loop_long_rows) {
  for (const int log2_n : {16, 17, 20, 21}) {
    if (check::sanitized && log2_n > 17) continue;
    const std::size_t n = std::size_t{1} << log2_n;
    const std::vector<std::uint32_t> signs = random_signs(n);
    compare<float>({log2_n > 17 ? 1u : 2u, n, n, 0, 0, true}, nullptr, 0.3f);
    if (log2_n > 17) continue;
    compare<float>({2, n, n - 4500, 0, 4, false}, signs.data(), 1);
    compare<float>({1, n, n - 12345, 1, 3, false}, signs.data(), 1);
    compare<double>({2, n, n, 0, 0, true}, signs.data(), 0.3);
    compare<double>({1, n, n - 12345, 1, 0, false}, signs.data(), 1);
  }
  const std::size_t n = std::size_t{1} << 15;
  compare<double>({1, n, n, 0, 0, true}, nullptr, 1);
}

// Every number between two neighbours is rounded to one of them: the nearer one, or the even one.
template <class S>
void check_rounding(std::uint16_t infinity) {
  for (std::uint16_t bits = 0; bits < infinity; ++bits) {
    const auto next = static_cast<std::uint16_t>(bits + 1);
    const auto number = [](std::uint16_t b) { return static_cast<float>(std::bit_cast<S>(b)); };
    // What lies beyond the largest number would be the next one if the exponents went on.
    const float low = number(bits);
    const float high = next < infinity ? number(next) : 2 * low - number(static_cast<std::uint16_t>(bits - 1));
    const float middle = low + (high - low) / 2;
    if (std::isinf(high)) break;  // BFloat16's largest: float has no middle there
    const std::uint16_t even = bits % 2 == 0 ? bits : next;
    CHECK(S(low).bits == bits && S(-low).bits == (bits | 0x8000));
    CHECK(S(middle).bits == even);
    CHECK(S(std::nextafter(middle, low)).bits == bits && S(std::nextafter(middle, high)).bits == next);
  }
  CHECK(S(INFINITY).bits == infinity && std::isinf(static_cast<float>(S(INFINITY))));
  CHECK(std::isnan(static_cast<float>(S(NAN))));
}

TEST(sixteen_bits_round_to_nearest) {
  check_rounding<Half>(0x7c00);
  check_rounding<BFloat16>(0x7f80);
}

// Sums in float, rounded once.
template <class S>
void compare_sixteen_bits(std::size_t rows, std::size_t n, std::size_t gap, const Cuda& cuda = {}) {
  const std::size_t stride = n + gap;
  const float scale = 0.3f;
  std::vector<S> input(rows * stride);
  const Matrix<float> drawn = sketches::random_rows<float>(rows, stride);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = S(drawn.values[i]);
  std::vector<S> expected = input;
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<float> row(n);
    for (std::size_t j = 0; j < n; ++j) row[j] = static_cast<float>(input[r * stride + j]) * scale;
    butterflies(row.data(), n);
    for (std::size_t j = 0; j < n; ++j) expected[r * stride + j] = S(row[j]);
  }
  Buffer<S, Cuda> x(cuda, input);
  const View<S, Cuda> view(x.data(), rows, n, stride);
  fastntk::fwht<S>(cuda, view, view, scale);
  const std::vector<S> found = x.to_host();
  if (!CHECK(std::memcmp(found.data(), expected.data(), found.size() * sizeof(S)) == 0))
    std::cout << "  rows " << rows << ", n " << n << ", gap " << gap << "\n";
}

template <class S>
void compare_all_sixteen_bits() {
  for (std::size_t n = 1; n <= std::size_t{1} << 16; n *= 2) {
    compare_sixteen_bits<S>(n <= 1024 ? 5 * (1024 / n) + 1 : 2, n, 0);
    if (n <= 2048) compare_sixteen_bits<S>(3, n, 1);
  }
}

TEST(sums_of_half_in_float) { compare_all_sixteen_bits<Half>(); }
TEST(sums_of_bfloat16_in_float) { compare_all_sixteen_bits<BFloat16>(); }

#if defined(FASTNTK_EMULATE_CUDA)
// The second emulated device has 99 KB of shared memory for a block, as many graphics cards do.
TEST(less_shared_memory) {
  for (const std::size_t n : {std::size_t{1} << 12, std::size_t{1} << 14, std::size_t{1} << 15}) {
    if (check::sanitized && n > std::size_t{1} << 14) continue;
    compare<float>({3, n, n - 4, 0, 0, false, 1}, random_signs(n).data(), 0.3f);
    compare<double>({3, n, n, 0, 1, true, 1}, nullptr, 0.3);
  }
  compare_sixteen_bits<Half>(2, std::size_t{1} << 15, 0, {.device = 1});
}
#endif

TEST(errors_name_the_argument) {
  device::DeviceMatrix<float> x(3, 12), y(2, 8), z(2, 16);
  CHECK(check::throws<fastntk::Error>([&] { fastntk::fwht<float, Cuda>(Cuda(), x.view()); },
                                      "x has 12 columns; a power of two is needed"));
  CHECK(check::throws<fastntk::Error>([&] { fastntk::fwht<float, Cuda>(Cuda(), y.view(), z.view()); },
                                      "out has shape (2, 16); (2, 8) is needed"));
}

TEST(no_rows) { fastntk::fwht<float, Cuda>(Cuda(), View<float, Cuda>(nullptr, 0, 64)); }

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
