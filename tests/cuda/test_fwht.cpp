// The transforms of the device against the textbook loop.
#include <fastntk/fwht.hpp>
#include <fastntk/half.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "../../csrc/src/primitives.hpp"
#include "device.hpp"

namespace {

using device::Matrix;
using fastntk::BFloat16;
using fastntk::Buffer;
using fastntk::Cuda;
using fastntk::Half;
using fastntk::Tile;
using fastntk::View;

// Its tree of additions is part of the transform's definition: results are compared bit by bit.
template <class T>
void butterflies(T* x, std::size_t n) {
  for (std::size_t h = 1; h < n; h *= 2)
    for (std::size_t i = 0; i < n; i += 2 * h)
      for (std::size_t j = i; j < i + h; ++j) {
        const T a = x[j];
        const T b = x[j + h];
        x[j] = a + b;
        x[j + h] = a - b;
      }
}

// Rows of length n whose first element is `offset` elements past an aligned address, `gap` elements apart.
struct Layout {
  std::size_t rows, n, d, offset, gap;
  bool in_place;
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

  const Cuda cuda;
  const Buffer<std::uint32_t, Cuda> signs(
      cuda, host_signs ? std::vector<std::uint32_t>(host_signs, host_signs + (l.n + 31) / 32) : std::vector<std::uint32_t>());
  Buffer<T, Cuda> in(cuda, input);
  Buffer<T, Cuda> separate(cuda, l.in_place ? std::vector<T>() : std::vector<T>(expected.size(), T(7)));
  Buffer<T, Cuda>& out = l.in_place ? in : separate;
  Tile<Cuda> tile(cuda);
  fastntk::hadamard<T, Cuda>(tile, {in.data() + l.offset, l.rows, l.d, in_stride}, host_signs ? signs.data() : nullptr, scale,
                             {out.data() + l.offset, l.rows, l.n, out_stride});
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
    compare<T>({3, n, n / 2 + 1, 0, 0, false}, signs.data(), T(1));          // odd
    compare<T>({3, n, n - n / 4 + (n > 8 ? 4 : 0), 0, 0, false}, signs.data(), T(1));  // whole vectors
  }
}

TEST(has_the_bits_of_the_textbook_loop_float) { compare_all_layouts<float>(); }
TEST(has_the_bits_of_the_textbook_loop_double) { compare_all_layouts<double>(); }

// Rows that no block holds: in pieces, and the levels between these.
TEST(has_the_bits_of_the_textbook_loop_long_rows) {
  for (const int log2_n : {16, 17, 21}) {
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

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
