// The FWHT out of place and out of all caches, against a copy within the device's memory.
#include <fastntk/fwht.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda_bench.hpp"

namespace {

using bench::cuda::Session;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::Half;
using fastntk::View;

template <class S>
constexpr const char* dtype = sizeof(S) == 8   ? "float64"
                              : sizeof(S) == 4 ? "float32"
                                               : "float16";
// What sums are kept in.
template <class S>
using Sum = std::conditional_t<sizeof(S) == 8, double, float>;

template <class S>
void check(const Session& session, View<const S, Cuda> x, View<const S, Cuda> out) {
  using T = Sum<S>;
  const double eps = sizeof(T) == 8 ? 0x1p-53 : 0x1p-24;
  const double rounding = sizeof(S) == 2 ? 0x1p-11 : 0;  // of the result
  for (const std::size_t r : {std::size_t{0}, x.rows - 1}) {
    const std::vector<S> row = session.to_host(x.row_block(r, 1)), found = session.to_host(out.row_block(r, 1));
    std::vector<T> expected(row.size());
    double magnitude = 0;
    for (std::size_t j = 0; j < row.size(); ++j) {
      expected[j] = static_cast<T>(row[j]);
      magnitude += std::abs(static_cast<double>(expected[j]));
    }
    fastntk::fwht<T>(Cpu{1}, View<T>(expected.data(), 1, expected.size()));
    // Each of the two transforms adds one rounding per level.
    const double tolerance = 2 * std::log2(static_cast<double>(row.size())) * eps * magnitude;
    for (std::size_t j = 0; j < row.size(); ++j) {
      const double value = static_cast<double>(expected[j]);
      bench::require(
          std::abs(static_cast<double>(static_cast<T>(found[j])) - value) <= tolerance + rounding * std::abs(value),
          "fwht: wrong value");
    }
  }
}

template <class S>
void measure(const Session& session, const std::vector<int>& sizes) {
  const int largest = *std::max_element(sizes.begin(), sizes.end());
  const std::size_t elements = session.size(std::size_t{1} << 27, std::size_t{1} << std::max(13, largest));
  const auto x = session.random<S>(elements);
  fastntk::Buffer<S, Cuda> out(session.backend(), elements);
  for (const int log2_n : sizes) {
    const std::size_t n = std::size_t{1} << log2_n;
    // A small run needs few rows of each length only.
    const std::size_t rows = session.size(elements / n, std::max<std::size_t>(1, (std::size_t{1} << 13) / n));
    const View<const S, Cuda> in(x.data(), rows, n);
    const View<S, Cuda> result(out.data(), rows, n);
    // Sixteen bits do not hold sums of 2^20 values; the orthonormal transform's they do.
    const Sum<S> scale = sizeof(S) == 2 ? Sum<S>(1) / static_cast<Sum<S>>(std::sqrt(static_cast<double>(n))) : Sum<S>(1);
    fastntk::fwht<S>(session.backend(), in, result, Sum<S>(1));
    check<S>(session, in, result);
    const std::size_t bytes = rows * n * sizeof(S);
    const auto times = session.alternate({[&] { fastntk::fwht<S>(session.backend(), in, result, scale); },
                                          [&] { session.copy(x.data(), out.data(), bytes); }});
    bench::print({.op = "fwht",
                  .backend = "cuda",
                  .dtype = dtype<S>,
                  .shape = std::to_string(rows) + "x2^" + std::to_string(log2_n),
                  .times = times[0],
                  .work = 2.0 * static_cast<double>(bytes),
                  .unit = "GB/s",
                  .floor = "device copy",
                  .floor_times = times[1],
                  .floor_work = 2.0 * static_cast<double>(bytes)});
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Session session(argc, argv);
  if (session.small()) {
    // Each kernel at a size or two.
    measure<float>(session, {1, 4, 6, 9, 10, 11, 12, 13, 14, 15, 16});
    measure<Half>(session, {2, 6, 8, 10, 13, 15});
    measure<double>(session, {3, 7, 10, 13, 14});
    return 0;
  }
  measure<float>(session, {2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20});
  measure<Half>(session, {4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
  measure<double>(session, {6, 8, 10, 12, 13, 14, 16, 18, 20});
}
