// Draws per second: Philox blocks against scaling as many bytes in place, signs, integers, normals and chi-squares against
// the Philox blocks that they are made of.
#include <fastntk/rng.hpp>

#include <cmath>
#include <cstdint>
#include <string>

#include "bench.hpp"

namespace {

using fastntk::rng::Draws;
using fastntk::rng::Stream;

constexpr std::size_t blocks = std::size_t{1} << 14;

void check() {
  bench::require(fastntk::rng::philox({0, 0, 0, 0}, {0, 0})[0] == 0x6627e8d5u, "philox: wrong known answer");
  // The mean of n normals has the standard deviation 1/sqrt(n), that of n signs too: six of them.
  constexpr std::size_t n = 100000;
  double normals = 0, signs = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    normals += Draws{1, Stream::normal}.normal(i);
    signs += Draws{1, Stream::sign}.sign(i);
  }
  bench::require(std::abs(normals) <= 6 * std::sqrt(n) && std::abs(signs) <= 6 * std::sqrt(n), "draws: wrong mean");
}

/// `draw(i)` makes `per_block` draws from block i.
template <class Out, class Draw>
void measure(const std::string& op, std::size_t per_block, Draw&& draw) {
  bench::Array<std::uint32_t> words(4 * blocks);
  bench::Array<double> values(4 * blocks);
  const auto philox = [&] {
    const Draws draws{1, Stream::sign};
    for (std::size_t i = 0; i < blocks; ++i) {
      const auto b = draws.bits(i);
      for (std::size_t k = 0; k < 4; ++k) words[4 * i + k] = b[k];
    }
  };
  const auto times = bench::alternate({[&] {
                                         for (std::size_t i = 0; i < blocks; ++i) draw(i, values.data());
                                       },
                                       philox});
  bench::print({.op = op,
                .dtype = sizeof(Out) == 8 ? "float64" : "uint32",
                .shape = std::to_string(blocks * per_block),
                .times = times[0],
                .work = static_cast<double>(blocks * per_block),
                .unit = "Gdraws/s",
                .floor = "Philox blocks",
                .floor_times = times[1],
                .floor_work = static_cast<double>(blocks * per_block)});
}

void measure_philox() {
  bench::Array<std::uint32_t> words(4 * blocks);
  bench::Array<float> bytes(4 * blocks);
  const auto times = bench::alternate({[&] {
                                         const Draws draws{1, Stream::sign};
                                         for (std::size_t i = 0; i < blocks; ++i) {
                                           const auto b = draws.bits(i);
                                           for (std::size_t k = 0; k < 4; ++k) words[4 * i + k] = b[k];
                                         }
                                       },
                                       [&] { bench::scale(bytes.data(), bytes.size(), 1.0f); }});
  bench::print({.op = "philox (32 signs a word)",
                .dtype = "uint32",
                .shape = std::to_string(4 * blocks),
                .times = times[0],
                .work = 16.0 * blocks,
                .unit = "GB/s",
                .floor = "in-place scale",
                .floor_times = times[1],
                .floor_work = 32.0 * blocks,
                .note = std::to_string(128e-9 * blocks / bench::median(times[0])) + " Gsigns/s"});
}

}  // namespace

int main() {
  check();
  measure_philox();
  measure<double>("normals", 2, [](std::size_t i, double* out) {
    const auto pair = Draws::normal_pair(Draws{1, Stream::normal}.bits(i));
    out[2 * i] = pair[0];
    out[2 * i + 1] = pair[1];
  });
  measure<double>("chi-squares, 784 degrees", 1,
                  [](std::size_t i, double* out) { out[i] = Draws{1, Stream::chi_square}.chi_square(i, 784); });
  measure<std::uint32_t>("integers below 1000", 1,
                         [](std::size_t i, double* out) { out[i] = Draws{1, Stream::sample}.integer(i, 1000); });
}
