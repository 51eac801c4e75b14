#include <fastntk/fwht.hpp>
#include <fastntk/rng.hpp>
#include <fastntk/srht.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "fwht_reference.hpp"

namespace {

using fastntk::Cpu;
using fastntk::View;
using fwht_reference::butterflies;

// Uniform in [-1, 1), with some zeros of both signs.
template <class T>
T draw(std::uint64_t index) {
  const fastntk::rng::Block bits = fastntk::rng::Draws{11, fastntk::rng::Stream::normal}.bits(index);
  if (bits[2] % 64 == 0) return T(0);
  if (bits[2] % 64 == 1) return -T(0);
  return static_cast<T>(2 * fastntk::rng::Draws::unit_interval(bits[0], bits[1]) - 1);
}

template <class T>
std::vector<T> draw_many(std::size_t count) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = draw<T>(i);
  return values;
}

template <class T>
bool same_bits(const T* a, const T* b, std::size_t count) {
  return std::memcmp(a, b, count * sizeof(T)) == 0;
}

// Rows of length n at every kind of address: `offset` elements past an aligned one, `gap` elements apart, in place or not.
// Whatever lies between the rows must stay as it was.
template <class T>
void compare(std::size_t rows, std::size_t n, std::size_t offset, std::size_t gap, T scale, bool in_place) {
  const std::size_t stride = n + gap;
  const std::vector<T> input = draw_many<T>(offset + rows * stride);
  std::vector<T> expected = input;
  for (std::size_t r = 0; r < rows; ++r) {
    T* const row = expected.data() + offset + r * stride;
    for (std::size_t j = 0; j < n; ++j) row[j] *= scale;
    butterflies(row, n);
  }
  std::vector<T> output = input;
  const View<T> out(output.data() + offset, rows, n, stride);
  const View<const T> in(in_place ? out.data : input.data() + offset, rows, n, stride);
  fastntk::fwht<T>(Cpu{1}, in, out, scale);
  if (!CHECK(same_bits(output.data(), expected.data(), output.size())))
    std::cout << "  rows " << rows << ", n " << n << ", offset " << offset << ", gap " << gap << ", in place " << in_place
              << "\n";
}

template <class T>
void compare_all_layouts() {
  for (std::size_t n = 1; n <= std::size_t{1} << 13; n *= 2)
    for (const std::size_t rows : {1u, 2u, 3u, 21u})
      for (const std::size_t offset : {0u, 1u, 5u})
        for (const std::size_t gap : {0u, 3u, 16u})
          for (const bool in_place : {false, true}) compare<T>(rows, n, offset, gap, T(0.3), in_place);
}

TEST(equals_the_dense_matrix) {
  for (std::size_t n = 1; n <= 256; n *= 2) {
    // Integers: every sum is exact.
    std::vector<float> x(3 * n);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(static_cast<int>(i * 7919 % 2001) - 1000);
    std::vector<float> out(3 * n);
    fastntk::fwht<float>(Cpu{1}, View<const float>(x.data(), 3, n), View<float>(out.data(), 3, n));
    for (std::size_t r = 0; r < 3; ++r)
      for (std::size_t i = 0; i < n; ++i) {
        float sum = 0;
        for (std::size_t j = 0; j < n; ++j) sum += std::popcount(i & j) % 2 == 0 ? x[r * n + j] : -x[r * n + j];
        CHECK(out[r * n + i] == sum);
      }
  }
}

TEST(has_the_bits_of_the_textbook_loop_float) { compare_all_layouts<float>(); }
TEST(has_the_bits_of_the_textbook_loop_double) { compare_all_layouts<double>(); }

// Rows beyond every cache level take other paths.
TEST(has_the_bits_of_the_textbook_loop_long_rows) {
  for (int log2_n = 14; log2_n <= 20; ++log2_n) {
    compare<float>(2, std::size_t{1} << log2_n, 0, 0, 1.0f, true);
    compare<float>(1, std::size_t{1} << log2_n, 1, 0, 0.5f, false);
    compare<double>(2, std::size_t{1} << log2_n, 1, 3, 1.0, true);
  }
  compare<float>(1, std::size_t{1} << 24, 0, 0, 1.0f, true);
}

TEST(many_short_rows) {
  for (std::size_t n = 1; n <= 64; n *= 2) {
    compare<float>(1001, n, 1, 0, 1.0f, true);
    compare<double>(1001, n, 0, 0, 3.0, false);
  }
}

// The SRHT loads with signs and zero padding, and its definition gives every intermediate value:
// out_r = scale * (H D pad(x))_{i_r}, signs and samples from the public generator.
template <class T>
void compare_srht(std::size_t d, std::size_t m) {
  constexpr std::uint64_t seed = 5;
  constexpr std::size_t rows = 5;
  const std::size_t n = std::bit_ceil(d);
  const std::size_t stride = d + 1;
  const std::vector<T> x = draw_many<T>(rows * stride);
  std::vector<T> out(rows * m);
  const fastntk::Srht<T> sketch({.in_features = d, .out_features = m, .seed = seed}, Cpu{1});
  sketch(View<const T>(x.data(), rows, d, stride), View<T>(out.data(), rows, m));
  const fastntk::rng::Draws signs{seed, fastntk::rng::Stream::sign};
  const fastntk::rng::Draws sample{seed, fastntk::rng::Stream::sample};
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(m)));
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<T> row(n);
    for (std::size_t j = 0; j < d; ++j) row[j] = signs.sign(j) < 0 ? -x[r * stride + j] : x[r * stride + j];
    butterflies(row.data(), n);
    std::vector<T> expected(m);
    for (std::size_t j = 0; j < m; ++j) expected[j] = scale * row[sample.integer(j, static_cast<std::uint32_t>(n))];
    if (!CHECK(same_bits(out.data() + r * m, expected.data(), m)))
      std::cout << "  d " << d << ", m " << m << ", row " << r << "\n";
  }
}

TEST(signs_and_padding) {
  for (const std::size_t d : {1u,  2u,   3u,   5u,   7u,   8u,   9u,   15u,   16u,   17u,   31u,   33u,    63u,
                              64u, 100u, 129u, 255u, 300u, 511u, 784u, 1024u, 3000u, 4095u, 5000u, 20000u, 70000u}) {
    compare_srht<float>(d, 37);
    compare_srht<double>(d, 64);
  }
}

TEST(same_bits_for_any_threads_and_batches) {
  for (const std::size_t n : {4u, 64u, 1024u, 16384u}) {
    const std::size_t rows = (std::size_t{1} << 19) / n + 1;
    const std::vector<float> x = draw_many<float>(rows * n);
    const View<const float> in(x.data(), rows, n);
    std::vector<float> expected(rows * n);
    fastntk::fwht<float>(Cpu{1}, in, View<float>(expected.data(), rows, n));
    for (const int threads : {2, 3, 4, 8}) {
      std::vector<float> out(rows * n);
      fastntk::fwht<float>(Cpu{threads}, in, View<float>(out.data(), rows, n));
      CHECK(same_bits(out.data(), expected.data(), out.size()));
    }
    std::vector<float> out(rows * n);
    const View<float> batches(out.data(), rows, n);
    for (std::size_t begin = 0, count = 1; begin < rows; begin += count, count = std::min(2 * count + 1, rows - begin))
      fastntk::fwht<float>(Cpu{1}, in.row_block(begin, count), batches.row_block(begin, count));
    CHECK(same_bits(out.data(), expected.data(), out.size()));
  }
}

TEST(no_rows_is_no_work) { fastntk::fwht<float>(Cpu{1}, View<float>(nullptr, 0, 8)); }

TEST(bad_shapes_are_named) {
  std::vector<float> x(64);
  const auto transform = [&](std::size_t cols, std::size_t out_rows, std::size_t out_cols) {
    fastntk::fwht<float>(Cpu{1}, View<const float>(x.data(), 2, cols), View<float>(x.data(), out_rows, out_cols));
  };
  CHECK(check::throws<fastntk::Error>([&] { transform(12, 2, 12); }, "x has 12 columns; a power of two is needed"));
  CHECK(check::throws<fastntk::Error>([&] { transform(0, 2, 0); }, "x has 0 columns"));
  CHECK(check::throws<fastntk::Error>([&] { transform(8, 2, 16); }, "out has shape (2, 16); (2, 8) is needed"));
  CHECK(check::throws<fastntk::Error>([&] { transform(8, 1, 8); }, "out has shape (1, 8); (2, 8) is needed"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
