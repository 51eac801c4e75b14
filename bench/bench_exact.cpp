// The exact kernels against the matrix product that a feature map of 4096 columns costs, in one thread.
#include <fastntk/exact.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "bench.hpp"
#include "sgemm.hpp"

namespace {

using fastntk::Cpu;
using fastntk::View;

constexpr std::size_t n = 2000;
constexpr std::size_t d = 784;

long double pi() { return std::acos(-1.0L); }

// K_L of two rows by its definition (Z21 Definition 1), in the angle, which keeps its digits where the cosine is near 1.
template <class T>
long double reference(const T* x, const T* y, std::size_t depth) {
  long double xx = 0, yy = 0, difference = 0, sum = 0;
  for (std::size_t j = 0; j < d; ++j) {
    xx += static_cast<long double>(x[j]) * x[j];
    yy += static_cast<long double>(y[j]) * y[j];
  }
  for (std::size_t j = 0; j < d; ++j) {
    const long double u = x[j] / std::sqrt(xx), v = y[j] / std::sqrt(yy);
    difference += (u - v) * (u - v);
    sum += (u + v) * (u + v);
  }
  long double angle = 2 * std::atan2(std::sqrt(difference), std::sqrt(sum));
  long double delta = 2 * std::sin(angle / 2) * std::sin(angle / 2), k = 1 - delta;
  for (std::size_t l = 0; l < depth; ++l) {
    k *= 1 - angle / pi();
    delta = std::max(delta - (std::sin(angle) - angle * std::cos(angle)) / pi(), 0.0L);
    angle = 2 * std::asin(std::sqrt(delta / 2));
    k += 1 - delta;
  }
  return std::sqrt(xx * yy) * k;
}

// The largest error over a sample of pairs, relative to (L + 1)|x||y|.
template <class T>
double largest_error(View<const T> x, View<const T> kernel, std::size_t depth) {
  double worst = 0;
  const auto compare = [&](std::size_t i, std::size_t j) {
    const double scale = std::sqrt(static_cast<double>(kernel(i, i)) * static_cast<double>(kernel(j, j)));
    const auto error = static_cast<double>(std::abs(kernel(i, j) - reference(x.row(i), x.row(j), depth)));
    worst = std::max(worst, error / scale);
  };
  for (std::size_t i = 0; i < n; ++i) {
    compare(i, i);
    compare(i, (i + n / 2) % n);
    compare(i, (i * 37 + 11) % n);
  }
  return worst;
}

// Rows around a mean (cosine near 1/(1 + spread^2)); the second half repeats the first with noise of falling size.
template <class T>
bench::Array<T> rows(double spread) {
  bench::Array<T> x(n * d);
  for (T& value : x.span()) value = static_cast<T>(1 + spread * std::sqrt(3.0) * static_cast<double>(value));
  for (std::size_t i = n / 2; i < n; ++i) {
    const double size = i < n - 8 ? std::pow(10.0, -8 * static_cast<double>(i - n / 2) / static_cast<double>(n / 2)) : 0;
    for (std::size_t j = 0; j < d; ++j)
      x[i * d + j] = static_cast<T>(x[(i - n / 2) * d + j] + size * static_cast<double>(x[i * d + j]));
  }
  return x;
}

template <class T>
void measure(const std::string& data, double spread, std::size_t depth, bool is_float) {
  const bench::Array<T> memory = rows<T>(spread);
  const View<const T> x(memory.data(), n, d);
  bench::Array<T> kernel(n * n);
  const auto compute = [&] { fastntk::ntk_kernel<T>(Cpu{1}, x, x, {.depth = depth}, View<T>(kernel.data(), n, n)); };
  compute();
  const double error = largest_error<T>(x, View<const T>(kernel.data(), n, n), depth);
  bench::require(error <= (is_float ? 2e-6 : 1e-12), "ntk_kernel: error " + std::to_string(error));
  char note[64];
  std::snprintf(note, sizeof note, "%s rows; largest relative error %.1e", data.c_str(), error);
  const bench::Array<float> a(n * d), b(d * 8192);
  bench::Array<float> c(n * 8192);
  const auto times = bench::alternate({compute, [&] { bench::sgemm(n, 8192, d, a.data(), b.data(), c.data()); }}, 5);
  bench::print({.op = "ntk_kernel depth " + std::to_string(depth),
                .dtype = is_float ? "float32" : "float64",
                .shape = "2000x784",
                .times = times[0],
                .work = 1,
                .unit = "s",
                .floor = "sgemm 2000x784x8192",
                .floor_times = times[1],
                .floor_work = 1,
                .note = note});
}

// Elementwise, against scaling the same memory in place.
template <class T>
void measure_elementwise(std::size_t depth, bool is_float) {
  constexpr std::size_t count = std::size_t{1} << 20;
  bench::Array<T> cosine(count), out(count);
  const auto times = bench::alternate(
      {[&] { fastntk::relu_ntk<T>(Cpu{1}, View<const T>(cosine.data(), 1, count), depth, View<T>(out.data(), 1, count)); },
       [&] { bench::scale(cosine.data(), count, T(1)); }});
  for (std::size_t i = 0; i < count; i += 1001) {
    T row[2 * d] = {};
    row[0] = 1;
    row[d] = cosine[i];
    row[d + 1] = std::sqrt((1 - cosine[i]) * (1 + cosine[i]));
    const double expected = static_cast<double>(reference(row, row + d, depth));
    bench::require(
        std::abs(static_cast<double>(out[i]) - expected) <= (is_float ? 1e-6 : 1e-13) * (static_cast<double>(depth) + 1),
        "relu_ntk: wrong value");
  }
  bench::print({.op = "relu_ntk depth " + std::to_string(depth),
                .dtype = is_float ? "float32" : "float64",
                .shape = "2^20",
                .times = times[0],
                .work = 2.0 * count * sizeof(T),
                .unit = "GB/s",
                .floor = "in-place scale",
                .floor_times = times[1],
                .floor_work = 2.0 * count * sizeof(T)});
}

}  // namespace

int main() {
  for (const std::size_t depth : {1u, 3u, 32u}) {
    measure<float>("spread", 3, depth, true);
    measure<float>("close", 0.3, depth, true);
    measure<float>("very close", 0.03, depth, true);
  }
  for (const std::size_t depth : {1u, 3u}) measure<double>("spread", 3, depth, false);
  for (const std::size_t depth : {1u, 3u}) {
    measure_elementwise<float>(depth, true);
    measure_elementwise<double>(depth, false);
  }
}
