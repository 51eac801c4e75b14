// The FWHT in place, in the second-level cache and out of all caches, against scaling the same memory in place.
#include <fastntk/fwht.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench.hpp"

namespace {

using fastntk::Cpu;
using fastntk::View;

template <class T>
constexpr const char* dtype = sizeof(T) == 4 ? "float32" : "float64";

// H H = n I, and the first entry of a transformed row is its sum.
template <class T>
void check(View<T> x) {
  bench::Array<T> copy(x.rows * x.cols);
  std::copy_n(x.data, copy.size(), copy.data());
  fastntk::fwht<T>(Cpu{1}, x);
  double sum = 0;
  double magnitude = 0;
  for (std::size_t j = 0; j < x.cols; ++j) {
    sum += static_cast<double>(copy[j]);
    magnitude += std::abs(static_cast<double>(copy[j]));
  }
  const double eps = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;
  const double levels = std::log2(static_cast<double>(x.cols)) + 1;
  bench::require(std::abs(static_cast<double>(x(0, 0)) - sum) <= levels * eps * magnitude, "fwht: wrong first entry");
  fastntk::fwht<T>(Cpu{1}, x, static_cast<T>(1 / static_cast<double>(x.cols)));
  // Each level of the two transforms adds at most eps of the row's norm, to any entry.
  double norm = 0;
  for (std::size_t j = 0; j < x.cols; ++j) norm += static_cast<double>(copy[j]) * static_cast<double>(copy[j]);
  for (std::size_t j = 0; j < x.cols; ++j)
    bench::require(std::abs(static_cast<double>(x(0, j) - copy[j])) <= 2 * levels * eps * std::sqrt(norm),
                   "fwht: applied twice it is not the identity");
}

template <class T>
void measure(const std::string& where, std::size_t elements, int log2_n) {
  const std::size_t n = std::size_t{1} << log2_n;
  bench::Array<T> memory(elements);
  const View<T> x(memory.data(), elements / n, n);
  check(x);
  // The orthonormal transform keeps the values where they are, however often it is applied.
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(n)));
  const double bytes = 2.0 * static_cast<double>(elements * sizeof(T));
  const auto times =
      bench::alternate({[&] { fastntk::fwht<T>(Cpu{1}, x, scale); }, [&] { bench::scale(memory.data(), elements, T(1)); }});
  bench::print({.op = "fwht " + where,
                .dtype = dtype<T>,
                .shape = std::to_string(x.rows) + "x2^" + std::to_string(log2_n),
                .times = times[0],
                .work = bytes,
                .unit = "GB/s",
                .floor = "in-place scale",
                .floor_times = times[1],
                .floor_work = bytes});
}

template <class T>
void measure_all() {
  for (const int log2_n : {2, 4, 6, 8, 10, 12, 14, 16}) measure<T>("in L2", std::size_t{1} << 17, log2_n);
  for (const int log2_n : {4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24})
    measure<T>("64 MB", (std::size_t{1} << 26) / sizeof(T), std::min(log2_n, sizeof(T) == 4 ? 24 : 23));
}

}  // namespace

int main() {
  measure_all<float>();
  measure_all<double>();
}
