#include <fastntk/rng.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <set>
#include <vector>

#include "check.hpp"
#include "sketches.hpp"

namespace {

using fastntk::rng::Block;
using fastntk::rng::child_seed;
using fastntk::rng::Draws;
using fastntk::rng::philox;
using fastntk::rng::Stream;
using sketches::Moments;

constexpr std::uint32_t all_ones = 0xffffffffu;

TEST(philox_gives_the_known_answers_of_random123) {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
  CHECK(philox({all_ones, all_ones, all_ones, all_ones}, {all_ones, all_ones}) ==
        Block{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
  CHECK(philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}) ==
        Block{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
  static_assert(philox({0, 0, 0, 0}, {0, 0})[0] == 0x6627e8d5u, "a draw is a constant expression");
}

// The place of seed, stream, index and attempt in counter and key is part of the definition of every sketch.
TEST(a_draw_is_the_philox_block_of_its_seed_stream_index_and_attempt) {
  const std::uint64_t seed = 0x299f31d0a4093822u;
  const std::uint64_t index = 0x85a308d3243f6a88u;
  const Draws draws{seed, Stream::sample};
  CHECK(draws.bits(index, 7) == philox({0x243f6a88u, 0x85a308d3u, 3, 7}, {0xa4093822u, 0x299f31d0u}));
  const Block b = draws.bits(index);
  CHECK(b == draws.bits(index, 0));
  CHECK(draws.word64(index) == (std::uint64_t{b[0]} | std::uint64_t{b[1]} << 32));
  CHECK(child_seed(seed, index) == Draws{seed, Stream::child_seed}.word64(index));
}

TEST(streams_have_the_numbers_that_sketches_are_defined_by) {
  const std::array order{Stream::child_seed, Stream::sign,       Stream::sample,  Stream::bucket, Stream::bucket_sign,
                         Stream::normal,     Stream::chi_square, Stream::holdout, Stream::angle,  Stream::modified};
  for (std::size_t i = 0; i < order.size(); ++i) CHECK(static_cast<std::size_t>(order[i]) == i + 1);
}

TEST(signs_are_the_bits_of_their_words) {
  const Draws draws{5, Stream::sign};
  for (std::uint64_t i = 0; i < 300; ++i) {
    const std::uint32_t word = draws.sign_word(i / 32);
    CHECK(word == draws.bits(i / 128)[i / 32 % 4]);
    CHECK(draws.sign(i) == ((word >> i % 32 & 1u) ? -1 : 1));
  }
}

// Sums of n = 2^20 signs have standard deviation sqrt(n), and so do the sums of products at a lag: 4.5 of them are exceeded
// with probability 7e-6 each.
TEST(signs_are_balanced_and_uncorrelated) {
  const Draws draws{1, Stream::sign};
  constexpr std::int64_t n = 1 << 20;
  std::vector<int> sign(n);
  for (std::uint64_t w = 0; w < n / 32; ++w) {
    const std::uint32_t word = draws.sign_word(w);
    for (std::uint64_t b = 0; b < 32; ++b) sign[w * 32 + b] = (word >> b & 1u) ? -1 : 1;
  }
  for (const std::size_t lag : {0u, 1u, 2u, 31u, 32u, 64u, 128u, 129u}) {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i + lag < n; ++i) sum += lag == 0 ? sign[i] : sign[i] * sign[i + lag];
    CHECK(std::abs(static_cast<double>(sum)) <= 4.5 * std::sqrt(static_cast<double>(n)));
  }
}

// Chi-square of n draws over k cells has mean k - 1 and variance below 2k; by its normal limit 6 standard deviations are
// exceeded with probability below 1e-6, the skewness sqrt(8/k) included for k >= 2 (Laurent and Massart: P(X > k + 2
// sqrt(kt) + 2t) <= e^-t, with t = 15: 3e-7).
bool uniform_over_cells(const std::vector<double>& count, double draws) {
  const double k = static_cast<double>(count.size()) - 1;
  const double expected = draws / (k + 1);
  double chi_square = 0;
  for (const double c : count) chi_square += (c - expected) * (c - expected) / expected;
  return chi_square <= k + 2 * std::sqrt(15 * k) + 30;
}

TEST(integers_are_uniform) {
  for (const std::uint32_t bound : {2u, 3u, 5u, 7u, 10u, 64u, 1000u}) {
    const Draws draws{bound, Stream::sample};
    const std::size_t n = 400 * bound;
    std::vector<double> count(bound);
    for (std::uint64_t i = 0; i < n; ++i) ++count[draws.integer(i, bound)];
    CHECK(uniform_over_cells(count, static_cast<double>(n)));
  }
}

// For a bound of 3 * 2^30, the multiplication without rejection would give the multiples of three twice the weight of the
// others, and a word modulo the bound the first third of the range: 230 standard deviations in either case. The cells are
// sixths of the range and, in them, remainders.
TEST(integers_are_unbiased_for_bounds_near_the_word_size) {
  for (const std::uint32_t bound : {3u << 30, (1u << 31) + 1, all_ones}) {
    const Draws draws{9, Stream::sample};
    constexpr std::size_t n = 1 << 20;
    std::vector<double> count(18);
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::uint32_t value = draws.integer(i, bound);
      if (!CHECK(value < bound)) break;
      ++count[3 * static_cast<std::size_t>(std::uint64_t{value} * 6 / bound) + value % 3];
    }
    CHECK(uniform_over_cells(count, n));
  }
}

TEST(integers_below_one_are_zero_and_powers_of_two_never_reject) {
  const Draws draws{2, Stream::sample};
  for (std::uint64_t i = 0; i < 100; ++i) {
    CHECK(draws.integer(i, 1) == 0);
    CHECK(draws.integer(i, 1u << 31) == draws.bits(i)[0] >> 1);
  }
}

TEST(unit_interval_keeps_53_bits_and_normals_are_finite) {
  CHECK(Draws::unit_interval(0, 0) == 0x1p-54);
  CHECK(Draws::unit_interval(1u << 11, 0) == 3 * 0x1p-54);
  CHECK(Draws::unit_interval(all_ones, all_ones) <= 1);
  // The largest and smallest radius of Box and Muller are finite.
  for (const double normal : Draws::normal_pair({0, 0, 0, 0})) CHECK(std::abs(normal) < 8.7);
  for (const double normal : Draws::normal_pair({all_ones, all_ones, 0, 0})) CHECK(normal == 0);
}

// Kolmogorov and Smirnov: sqrt(n) D exceeds 2.65 with probability 2 exp(-2 * 2.65^2) = 1.6e-6.
template <class Cdf>
bool follows(std::vector<double> sample, Cdf&& cdf) {
  std::sort(sample.begin(), sample.end());
  const double n = static_cast<double>(sample.size());
  double distance = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double p = cdf(sample[i]);
    distance = std::max({distance, p - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - p});
  }
  return std::sqrt(n) * distance <= 2.65;
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

TEST(normals_have_their_law) {
  const Draws draws{3, Stream::normal};
  constexpr std::size_t n = 1 << 18;
  std::vector<double> sample(n);
  for (std::uint64_t i = 0; i < n; ++i) sample[i] = draws.normal(i);
  CHECK(follows(sample, normal_cdf));
  // Powers 1..6 have means 0, 1, 0, 3, 0, 15 and variances 1, 2, 15, 96, 945, 10170.
  const double mean[] = {0, 1, 0, 3, 0, 15};
  const double variance[] = {1, 2, 15, 96, 945, 10170};
  for (int power = 1; power <= 6; ++power) {
    double sum = 0;
    for (const double x : sample) sum += std::pow(x, power);
    CHECK_CLOSE(sum / n, mean[power - 1], 4.5 * std::sqrt(variance[power - 1] / n));
  }
  // The two of a pair, and neighbouring pairs, are uncorrelated, and so are their squares (variance 4 of the product).
  for (const std::size_t lag : {1u, 2u, 3u}) {
    double product = 0, squares = 0;
    for (std::size_t i = 0; i + lag < n; ++i) {
      product += sample[i] * sample[i + lag];
      squares += (sample[i] * sample[i] - 1) * (sample[i + lag] * sample[i + lag] - 1);
    }
    CHECK(std::abs(product) <= 4.5 * std::sqrt(static_cast<double>(n)));
    CHECK(std::abs(squares) <= 4.5 * 2 * std::sqrt(static_cast<double>(n)));
  }
}

TEST(normals_share_a_block_two_by_two) {
  const Draws draws{4, Stream::normal};
  for (std::uint64_t k = 0; k < 20; ++k) {
    const auto pair = Draws::normal_pair(draws.bits(k));
    CHECK(draws.normal(2 * k) == pair[0] && draws.normal(2 * k + 1) == pair[1]);
  }
}

TEST(chi_squares_have_their_moments) {
  for (const double degrees : {1.0, 1.5, 2.0, 3.0, 10.0, 784.0, 1e5}) {
    const Draws draws{17, Stream::chi_square};
    std::vector<double> sample(1 << 16);
    for (std::uint64_t i = 0; i < sample.size(); ++i) sample[i] = draws.chi_square(i, degrees);
    const Moments m(sample);
    CHECK_CLOSE(m.mean, degrees, 4.5 * m.mean_error);
    CHECK_CLOSE(m.variance, 2 * degrees, 4.5 * m.variance_error);
    CHECK(*std::min_element(sample.begin(), sample.end()) > 0);
    // Wilson and Hilferty's normal form is exact enough where the degrees are many; with two the law is exponential, with
    // one the square of a normal.
    if (degrees == 2) CHECK(follows(sample, [](double x) { return -std::expm1(-x / 2); }));
    if (degrees == 1) CHECK(follows(sample, [](double x) { return std::erf(std::sqrt(x / 2)); }));
    const double c = 2 / (9 * degrees);
    if (degrees >= 784)
      CHECK(follows(sample, [&](double x) { return normal_cdf((std::cbrt(x / degrees) - 1 + c) / std::sqrt(c)); }));
  }
}

TEST(seeds_streams_and_children_do_not_collide) {
  std::set<std::uint64_t> words;
  std::size_t drawn = 0;
  for (std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32, child_seed(0, 0), child_seed(0, 1)})
    for (std::uint32_t stream = 1; stream <= 10; ++stream)
      for (std::uint64_t index : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32, ~std::uint64_t{0}})
        for (std::uint32_t attempt : {0u, 1u}) {
          words.insert(Draws{seed, static_cast<Stream>(stream)}.word64(index, attempt));
          ++drawn;
        }
  CHECK(words.size() == drawn);
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
