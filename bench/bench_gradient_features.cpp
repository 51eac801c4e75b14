// GradientFeatures against the matrix products of its forward and backward pass alone; and, in the note, its error beside
// those of the narrowest network and of NtkRandomFeatures with as many columns.
#include <fastntk/gradient_features.hpp>
#include <fastntk/ntk_features.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "feature_map.hpp"

using namespace fastntk;

namespace {

struct Product {
  std::size_t m, n, k;
};

std::string digits(double x) {
  char text[16];
  std::snprintf(text, sizeof text, "%.3f", x);
  return text;
}

void compare(const GradientFeatures<float>& map, const bench::Array<float>& x, std::size_t rows, bench::Array<float>& z,
             const std::vector<Product>& products, const std::string& shape, const std::string& note) {
  std::size_t most_a = 0, most_b = 0, most_c = 0;
  double flops = 0;
  for (const Product& p : products) {
    most_a = std::max(most_a, p.m * p.k);
    most_b = std::max(most_b, p.k * p.n);
    most_c = std::max(most_c, p.m * p.n);
    flops += 2.0 * static_cast<double>(p.m * p.n) * static_cast<double>(p.k);
  }
  const bench::Array<float> a(most_a), b(most_b);
  bench::Array<float> c(most_c);
  const std::size_t d = map.params().in_features, width = map.params().out_features;
  const auto times = bench::alternate({[&] { map({x.data(), rows, d}, {z.data(), rows, width}); },
                                       [&] {
                                         for (const Product& p : products)
                                           bench::sgemm(p.m, p.n, p.k, a.data(), b.data(), c.data());
                                       }},
                                      11);
  bench::print({.op = "gradient_features",
                .dtype = "float32",
                .shape = shape,
                .times = times[0],
                .work = flops,
                .unit = "s",
                .floor = "sgemm of both passes",
                .floor_times = times[1],
                .floor_work = flops,
                .note = note});
}

void fully_connected(std::size_t depth) {
  constexpr std::size_t n = 2000, d = 784, columns = 4096;
  const bench::Array<float> x = bench::normal_rows(n * d);
  bench::Array<float> z(n * columns);
  const std::vector<double> kernel = bench::ntk_gram(x, d, depth);
  const auto error_of = [&](const auto& map) {
    map({x.data(), n, d}, {z.data(), n, columns});
    return bench::gram_error(z, columns, kernel);
  };
  GradientFeaturesParams params{.in_features = d, .out_features = columns, .depth = depth, .seed = 1};
  const GradientFeatures<float> map(params, Cpu{1});
  const double error = error_of(map);
  // Twice what was measured: the check is of the result, not of its luck.
  bench::require(error < 0.2, "gradient_features: the Gram matrix is off by " + std::to_string(error));
  const double random_error =
      error_of(NtkRandomFeatures<float>({.in_features = d, .out_features = columns, .depth = depth, .seed = 1}, Cpu{1}));
  // The narrowest network with so many weights.
  for (params.width = 1; gradient_parameters(params) < columns;) ++params.width;
  const double narrow_error = error_of(GradientFeatures<float>(params, Cpu{1}));

  const std::size_t m = map.params().width;
  std::vector<Product> products{{n, m, d}};
  for (std::size_t l = 1; l < depth; ++l) products.insert(products.end(), 2, {n, m, m});
  compare(map, x, n, z, products, "2000x784 -> 4096",
          "mlp, depth " + std::to_string(depth) + ", width " + std::to_string(m) + ", error " + digits(error) +
              ", of width " + std::to_string(params.width) + " " + digits(narrow_error) + ", of NtkRandomFeatures " +
              digits(random_error));
}

void convolutional(std::size_t depth) {
  constexpr std::size_t n = 8, columns = 4096;
  constexpr ImageShape image{32, 32, 3};
  constexpr std::size_t pixels = image.height * image.width, d = pixels * image.channels;
  const bench::Array<float> x = bench::normal_rows(n * d);
  bench::Array<float> z(n * columns);
  const GradientFeatures<float> map({.in_features = d,
                                     .out_features = columns,
                                     .depth = depth,
                                     .architecture = Architecture::cnn,
                                     .image = image,
                                     .seed = 1},
                                    Cpu{1});
  map({x.data(), n, d}, {z.data(), n, columns});
  double squares = 0;
  for (const float value : z.span()) squares += static_cast<double>(value) * static_cast<double>(value);
  bench::require(std::isfinite(squares) && squares > 0, "gradient_features: the features are not finite, or zero");
  const std::size_t m = map.params().width;
  std::vector<Product> products{{n * pixels, m, 9 * image.channels}};
  for (std::size_t l = 1; l < depth; ++l) products.insert(products.end(), 2, {n * pixels, m, 9 * m});
  compare(map, x, n, z, products, "8x32x32x3 -> 4096",
          "cnn, depth " + std::to_string(depth) + ", width " + std::to_string(m));
}

}  // namespace

int main() {
  fully_connected(1);
  fully_connected(3);
  convolutional(3);
}
