// SRHT in one thread, against moving its bytes once and against its transforms alone.
#include <fastntk/fwht.hpp>
#include <fastntk/rng.hpp>
#include <fastntk/srht.hpp>

#include <bit>
#include <cmath>
#include <string>

#include "bench.hpp"

namespace {

using fastntk::Cpu;
using fastntk::View;

template <class T>
constexpr const char* dtype = sizeof(T) == 4 ? "float32" : "float64";

// The first outputs of the first row, from the definition.
template <class T>
void check(View<const T> x, View<const T> out, std::uint64_t seed) {
  const fastntk::rng::Draws signs{seed, fastntk::rng::Stream::sign}, sample{seed, fastntk::rng::Stream::sample};
  const auto n = static_cast<std::uint32_t>(std::bit_ceil(x.cols));
  for (std::size_t j = 0; j < std::min<std::size_t>(out.cols, 20); ++j) {
    const std::uint32_t i = sample.integer(j, n);
    double sum = 0, magnitude = 0;
    for (std::uint32_t k = 0; k < x.cols; ++k) {
      const double term = (std::popcount(i & k) % 2 == 0 ? 1 : -1) * signs.sign(k) * static_cast<double>(x(0, k));
      sum += term;
      magnitude += std::abs(term);
    }
    const double root = std::sqrt(static_cast<double>(out.cols));
    const double eps = (sizeof(T) == 4 ? 0x1p-24 : 0x1p-53) * (std::countr_zero(n) + 2);
    bench::require(std::abs(static_cast<double>(out(0, j)) - sum / root) <= eps * magnitude / root, "srht: wrong value");
  }
}

template <class T>
void measure(std::size_t rows, std::size_t d, std::size_t m) {
  const std::size_t n = std::bit_ceil(d);
  bench::Array<T> x(rows * d), out(rows * m), work(rows * n), bytes(rows * (d + m));
  const fastntk::Srht<T> op({d, m, 1}, Cpu{1});
  const View<const T> in(x.data(), rows, d);
  const View<T> result(out.data(), rows, m);
  op(in, result);
  check<T>(in, result, 1);
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(n)));
  const auto times = bench::alternate({[&] { op(in, result); }, [&] { bench::scale(bytes.data(), bytes.size(), T(1)); },
                                       [&] { fastntk::fwht<T>(Cpu{1}, View<T>(work.data(), rows, n), scale); }});
  const double moved = static_cast<double>((d + m) * rows * sizeof(T));
  const std::string shape = std::to_string(rows) + "x" + std::to_string(d) + " -> " + std::to_string(m);
  bench::print({.op = "srht",
                .dtype = dtype<T>,
                .shape = shape,
                .times = times[0],
                .work = moved,
                .unit = "GB/s",
                .floor = "in-place scale",
                .floor_times = times[1],
                .floor_work = 2 * moved});
  bench::print({.op = "srht",
                .dtype = dtype<T>,
                .shape = shape,
                .times = times[0],
                .work = 1,
                .unit = "s",
                .floor = "its transforms alone",
                .floor_times = times[2],
                .floor_work = 1});
}

}  // namespace

int main() {
  for (const std::size_t m : {256u, 1024u, 4096u}) measure<float>(128, 1024, m);
  measure<float>(128, 784, 1024);
  measure<float>(16, 16384, 4096);
  measure<float>(8192, 1024, 1024);
  measure<double>(64, 1024, 1024);
}
