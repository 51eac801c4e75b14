// The exact convolutional NTK, in seconds per pair of images and in one thread, against evaluating the recursion's functions
// alone: relu_ntk of as many cosines as a pair has pairs of positions.
#include <fastntk/cntk.hpp>
#include <fastntk/exact.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "bench.hpp"

namespace {

using fastntk::CntkParams;
using fastntk::Cpu;
using fastntk::ImageShape;
using fastntk::Pooling;
using fastntk::View;

constexpr std::size_t depth = 3;

// out[p][p'] = the mean of in over the 3 x 3 neighbourhoods of p and p', zeros outside the image.
std::vector<double> means(std::ptrdiff_t size, const std::vector<double>& in) {
  std::vector<double> out(in.size());
  const auto pixels = size * size;
  for (std::ptrdiff_t p = 0; p < pixels; ++p)
    for (std::ptrdiff_t o = 0; o < pixels; ++o) {
      double sum = 0;
      for (std::ptrdiff_t a = -1; a <= 1; ++a)
        for (std::ptrdiff_t b = -1; b <= 1; ++b) {
          const auto inside = [&](std::ptrdiff_t pixel) {
            return pixel / size + a >= 0 && pixel / size + a < size && pixel % size + b >= 0 && pixel % size + b < size;
          };
          const std::ptrdiff_t shift = a * size + b;
          if (inside(p) && inside(o)) sum += in[static_cast<std::size_t>((p + shift) * pixels + o + shift)];
        }
      out[static_cast<std::size_t>(p * pixels + o)] = sum / 9;
    }
  return out;
}

// Theta of two images without flags by its definition, filter size 3, with N and Pi divided by 9: sums become means.
template <class T>
double reference(const ImageShape& image, Pooling pooling, const T* y, const T* z) {
  const std::size_t pixels = image.pixels();
  const auto size = static_cast<std::ptrdiff_t>(image.height);
  const auto products = [&](const T* a, const T* b) {
    std::vector<double> out(pixels * pixels);
    for (std::size_t p = 0; p < pixels; ++p)
      for (std::size_t o = 0; o < pixels; ++o)
        for (std::size_t c = 0; c < image.channels; ++c)
          out[p * pixels + o] +=
              static_cast<double>(a[p * image.channels + c]) * static_cast<double>(b[o * image.channels + c]);
    return out;
  };
  std::vector<double> left = products(y, y), right = products(z, z), kernel = products(y, z), gradient(kernel.size());
  for (std::size_t layer = 1; layer <= depth; ++layer) {
    // The kernel of an image with itself: of use are its equal positions, the squared norms.
    left = means(size, left);
    right = means(size, right);
    kernel = means(size, kernel);
    for (std::size_t p = 0; p < pixels; ++p)
      for (std::size_t o = 0; o < pixels; ++o) {
        const std::size_t at = p * pixels + o;
        const double r = std::sqrt(left[p * pixels + p] * right[o * pixels + o]);
        const double cosine = std::clamp(kernel[at] / r, -1.0, 1.0);
        const double open = std::acos(-cosine) / std::acos(-1.0);
        kernel[at] = r * (std::sqrt((1 - cosine) * (1 + cosine)) / std::acos(-1.0) + cosine * open);
        gradient[at] = gradient[at] * open + (layer < depth ? kernel[at] : 0);
      }
    if (layer < depth) gradient = means(size, gradient);
  }
  double sum = 0;
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t o = 0; o < pixels; ++o)
      if (pooling == Pooling::gap || p == o) sum += gradient[p * pixels + o];
  const auto positions = static_cast<double>(pixels);
  return sum / (pooling == Pooling::gap ? positions * positions : positions);
}

template <class T>
void measure(std::size_t size, Pooling pooling, std::size_t n, bool diagonal) {
  const ImageShape image{size, size, 3};
  const CntkParams params{.image = image, .depth = depth, .pooling = pooling};
  const std::size_t pairs = diagonal ? n : n * n;
  const bench::Array<T> memory(2 * n * image.features());
  const View<const T> x(memory.data(), n, image.features());
  const View<const T> y = diagonal ? x : View<const T>(memory.data() + n * image.features(), n, image.features());
  bench::Array<T> out(pairs);
  const auto compute = [&] {
    if (diagonal)
      fastntk::cntk_pairs<T>(Cpu{1}, x, x, params, View<T>(out.data(), n, 1));
    else
      fastntk::cntk_kernel<T>(Cpu{1}, x, y, params, View<T>(out.data(), n, n));
  };
  compute();
  const double expected = reference(image, pooling, x.row(0), y.row(0));
  const double error = std::abs(static_cast<double>(out[0]) / expected - 1);
  bench::require(error <= (sizeof(T) == 4 ? 5e-6 : 1e-11), "cntk: relative error " + std::to_string(error));

  const std::size_t positions = image.pixels() * (pooling == Pooling::gap ? image.pixels() : 1);
  const bench::Array<T> cosine(positions);
  bench::Array<T> value(positions);
  const auto functions = [&] {
    fastntk::relu_ntk<T>(Cpu{1}, View<const T>(cosine.data(), 1, positions), depth, View<T>(value.data(), 1, positions));
  };
  auto times = bench::alternate({compute, functions}, 11, 5e-3);
  for (double& seconds : times[0]) seconds /= static_cast<double>(pairs);
  bench::print({.op = std::string(diagonal ? "cntk_pairs of x with itself" : "cntk_kernel") +
                      (pooling == Pooling::gap ? ", gap" : ", no pooling"),
                .dtype = sizeof(T) == 4 ? "float32" : "float64",
                .shape = std::to_string(size) + "x" + std::to_string(size) + "x3",
                .times = times[0],
                .work = 1,
                .unit = "s",
                .floor = "relu_ntk depth 3 of as many pairs of positions",
                .floor_times = times[1],
                .floor_work = 1,
                .note = "per pair; depth 3, filter_size 3"});
}

template <class T>
void measure_all() {
  measure<T>(32, Pooling::gap, 4, false);
  measure<T>(32, Pooling::gap, 4, true);
  measure<T>(8, Pooling::gap, 16, false);
  measure<T>(32, Pooling::none, 64, false);
}

}  // namespace

int main() {
  measure_all<float>();
  measure_all<double>();
}
