// TensorSRHT in one thread, against moving its bytes once and against its two transforms alone.
#include <fastntk/fwht.hpp>
#include <fastntk/rng.hpp>
#include <fastntk/tensor_srht.hpp>

#include <bit>
#include <cmath>
#include <string>

#include "bench.hpp"

namespace {

using fastntk::Cpu;
using fastntk::View;

template <class T>
constexpr const char* dtype = sizeof(T) == 4 ? "float32" : "float64";

struct Factor {
  double value, magnitude;
};

// (H D v)_i of the first row, i the sample number j.
template <class T>
Factor factor(View<const T> v, std::size_t j, std::uint64_t seed) {
  const fastntk::rng::Draws signs{seed, fastntk::rng::Stream::sign}, sample{seed, fastntk::rng::Stream::sample};
  const std::uint32_t i = sample.integer(j, static_cast<std::uint32_t>(std::bit_ceil(v.cols)));
  Factor f{};
  for (std::uint32_t k = 0; k < v.cols; ++k) {
    const double term = (std::popcount(i & k) % 2 == 0 ? 1 : -1) * signs.sign(k) * static_cast<double>(v(0, k));
    f.value += term;
    f.magnitude += std::abs(term);
  }
  return f;
}

template <class T>
void check(View<const T> x, View<const T> y, View<const T> out, std::uint64_t seed) {
  const double root = std::sqrt(static_cast<double>(out.cols));
  const double eps = (sizeof(T) == 4 ? 0x1p-24 : 0x1p-53) * (2 * std::countr_zero(std::bit_ceil(x.cols)) + 4);
  for (std::size_t j = 0; j < std::min<std::size_t>(out.cols, 20); ++j) {
    const Factor a = factor(x, j, fastntk::rng::child_seed(seed, 1)), b = factor(y, j, fastntk::rng::child_seed(seed, 2));
    bench::require(
        std::abs(static_cast<double>(out(0, j)) - a.value * b.value / root) <= eps * a.magnitude * b.magnitude / root,
        "tensor_srht: wrong value");
  }
}

template <class T>
void measure(std::size_t rows, std::size_t n, std::size_t m) {
  bench::Array<T> x(rows * n), y(rows * n), out(rows * m), work(2 * rows * n), bytes(rows * (2 * n + m));
  const fastntk::TensorSrht<T> op({n, n, m, 1}, Cpu{1});
  const View<const T> first(x.data(), rows, n), second(y.data(), rows, n);
  const View<T> result(out.data(), rows, m);
  op(first, second, result);
  check<T>(first, second, result, 1);
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(n)));
  const auto times =
      bench::alternate({[&] { op(first, second, result); }, [&] { bench::scale(bytes.data(), bytes.size(), T(1)); },
                        [&] { fastntk::fwht<T>(Cpu{1}, View<T>(work.data(), 2 * rows, n), scale); }});
  const double moved = static_cast<double>(bytes.size() * sizeof(T));
  const std::string shape = std::to_string(rows) + "x(2x" + std::to_string(n) + ") -> " + std::to_string(m);
  bench::print({.op = "tensor_srht",
                .dtype = dtype<T>,
                .shape = shape,
                .times = times[0],
                .work = moved,
                .unit = "GB/s",
                .floor = "in-place scale",
                .floor_times = times[1],
                .floor_work = 2 * moved});
  bench::print({.op = "tensor_srht",
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
  for (const std::size_t n : {256u, 1024u, 4096u}) measure<float>(64, n, n);
  measure<float>(64, 1024, 4096);
  measure<float>(8192, 1024, 1024);
  measure<double>(64, 1024, 1024);
}
