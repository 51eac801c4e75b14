#include <fastntk/exact.hpp>
#include <fastntk/gradient_features.hpp>
#include <fastntk/rng.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "check.hpp"

using namespace fastntk;

namespace {

using Rows = std::vector<std::vector<double>>;

std::vector<double> normals(std::size_t count, std::uint64_t seed) {
  const rng::Draws draws{seed, rng::Stream::normal};
  std::vector<double> x(count);
  for (std::size_t i = 0; i < count; ++i) x[i] = draws.normal(i);
  return x;
}

template <class T>
std::vector<T> features(const GradientFeaturesParams& params, const std::vector<T>& x, int threads = 1) {
  const std::size_t n = x.size() / params.in_features;
  std::vector<T> z(n * params.out_features);
  GradientFeatures<T>(params, Cpu{threads})(View<const T>(x.data(), n, params.in_features),
                                            View<T>(z.data(), n, params.out_features));
  return z;
}

/// The network of the header, weight by weight: a slow function of all its weights, in float64.
struct Network {
  GradientFeaturesParams p;  // resolved
  std::size_t height = 1, width = 1, channels, q = 1;
  std::vector<Rows> w;  // w[l][unit]: as many as inputs, of a CNN by position in the neighbourhood and channel
  std::vector<double> last;

  explicit Network(const GradientFeaturesParams& params)
      : p(resolved_gradient_features(params)), channels(p.in_features + (p.bias != 0)) {
    if (p.architecture == Architecture::cnn) {
      height = p.image.height;
      width = p.image.width;
      channels = p.image.channels;
      q = p.filter_size;
    }
    for (std::size_t l = 0; l < p.depth; ++l) {
      const rng::Draws draws{rng::child_seed(p.seed, 1 + l), rng::Stream::normal};
      const std::size_t inputs = q * q * (l == 0 ? channels : p.width);
      w.emplace_back(p.width, std::vector<double>(inputs));
      for (std::size_t o = 0; o < p.width; ++o)
        for (std::size_t i = 0; i < inputs; ++i) w[l][o][i] = draws.normal(o * ((inputs + 1) / 2 * 2) + i);
    }
    const bool mean = p.architecture == Architecture::mlp || p.pooling == Pooling::gap;
    const rng::Draws draws{rng::child_seed(p.seed, 1 + p.depth), rng::Stream::sign};
    last.resize(mean ? p.width : height * width * p.width);
    for (std::size_t i = 0; i < last.size(); ++i) last[i] = draws.sign(i);
  }

  double operator()(std::vector<double> h) const {
    if (p.bias != 0) h.push_back(p.bias);
    std::size_t in = channels;
    const auto r = static_cast<long>(q / 2);
    for (const Rows& layer : w) {
      std::vector<double> next(height * width * p.width);
      for (std::size_t i = 0; i < height; ++i)
        for (std::size_t j = 0; j < width; ++j)
          for (std::size_t o = 0; o < p.width; ++o) {
            double z = 0;
            for (std::size_t a = 0; a < q; ++a)
              for (std::size_t b = 0; b < q; ++b) {
                const long y = static_cast<long>(i + a) - r, x = static_cast<long>(j + b) - r;
                if (y < 0 || x < 0 || y >= static_cast<long>(height) || x >= static_cast<long>(width)) continue;
                for (std::size_t c = 0; c < in; ++c)
                  z += layer[o][(a * q + b) * in + c] *
                       h[(static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x)) * in + c];
              }
            next[(i * width + j) * p.width + o] =
                std::sqrt(2 / static_cast<double>(p.width)) / static_cast<double>(q) * std::max(z, 0.0);
          }
      h = next;
      in = p.width;
    }
    double sum = 0;
    for (std::size_t k = 0; k < h.size(); ++k) sum += last[k % last.size()] * h[k];
    const double pixels = static_cast<double>(height * width);
    return sum / (last.size() == p.width ? pixels : std::sqrt(pixels));
  }

  /// Central differences, layer after layer. f is piecewise linear in every single weight: they are exact but for rounding.
  std::vector<double> gradient(const std::vector<double>& x) {
    std::vector<double> out;
    const auto differentiate = [&](double& weight) {
      constexpr double step = 1e-6;
      const double value = weight;
      weight = value + step;
      const double above = (*this)(x);
      weight = value - step;
      out.push_back((above - (*this)(x)) / (2 * step));
      weight = value;
    };
    for (Rows& layer : w)
      for (std::vector<double>& row : layer)
        for (double& weight : row) differentiate(weight);
    for (double& weight : last) differentiate(weight);
    return out;
  }
};

std::vector<GradientFeaturesParams> small_networks() {
  std::vector<GradientFeaturesParams> all;
  for (const std::size_t depth : {1, 2, 3, 4}) {
    for (const std::size_t d : {1, 5})
      for (const double bias : {0.0, 0.7})
        all.push_back({.in_features = d, .out_features = 1, .depth = depth, .width = 3, .bias = bias, .seed = depth});
    for (const std::size_t q : {1, 3})
      for (const Pooling pooling : {Pooling::gap, Pooling::none})
        if (depth < 4)
          all.push_back({.in_features = 5 * 4 * 2,
                         .out_features = 1,
                         .depth = depth,
                         .architecture = Architecture::cnn,
                         .width = 4,
                         .image = {5, 4, 2},
                         .filter_size = q,
                         .pooling = pooling,
                         .seed = depth});
  }
  for (GradientFeaturesParams& p : all) p.diagonal = Diagonal::sampled;
  return all;
}

std::string name_of(const GradientFeaturesParams& p) {
  return std::string(p.architecture == Architecture::mlp ? "mlp" : "cnn") + " depth " + std::to_string(p.depth) + " D " +
         std::to_string(p.out_features) + " width " + std::to_string(p.width) + " q " + std::to_string(p.filter_size) +
         " pooling " + std::to_string(static_cast<int>(p.pooling)) + " bias " + std::to_string(p.bias);
}

std::size_t number_of_weights(const GradientFeaturesParams& p) { return gradient_parameters(resolved_gradient_features(p)); }

}  // namespace

// With as many columns as weights the features are the gradient.
TEST(all_entries_are_the_gradient) {
  for (GradientFeaturesParams p : small_networks()) {
    p.out_features = number_of_weights(p);
    const std::vector<double> x = normals(2 * p.in_features, 9);
    const std::vector<double> z = features(p, x);
    Network network(p);
    for (std::size_t r = 0; r < 2; ++r) {
      const auto begin = x.begin() + static_cast<std::ptrdiff_t>(r * p.in_features);
      const std::vector<double> expected = network.gradient({begin, begin + static_cast<std::ptrdiff_t>(p.in_features)});
      if (!CHECK(expected.size() == p.out_features)) return;
      // Values of f below 100 have roundings of 1e-14, which the step divides by 2e-6.
      for (std::size_t j = 0; j < p.out_features; ++j)
        if (!CHECK_CLOSE(z[r * p.out_features + j], expected[j], 1e-7)) {
          std::cout << name_of(p) << " row " << r << " column " << j << "\n";
          break;
        }
    }
  }
}

// Fewer columns are different entries in their order. Layers have even shares of the columns, as far as they have so many
// weights, and their units have too; an entry's square is scaled by (weights of the layer)/(its columns).
TEST(fewer_columns_are_entries_of_the_gradient) {
  constexpr std::size_t n = 20;
  for (GradientFeaturesParams p : small_networks()) {
    if (p.in_features == 1) continue;
    const std::size_t weights = number_of_weights(p);
    p.out_features = weights;
    const std::vector<double> x = normals(n * p.in_features, 4);
    const std::vector<double> all = features(p, x);
    const Network network(p);
    std::vector<std::size_t> units, inputs;
    for (const Rows& layer : network.w) {
      units.push_back(layer.size());
      inputs.push_back(layer[0].size());
    }
    units.push_back(network.last.size());
    inputs.push_back(1);

    for (const std::size_t columns : {p.depth + 1, weights / 3, weights - 1}) {
      // The level to which all layers are filled.
      std::vector<std::size_t> counts(p.depth + 1);
      for (std::size_t left = columns; left > 0;)
        for (std::size_t l = 0; l <= p.depth && left > 0; ++l)
          if (counts[l] < units[l] * inputs[l]) ++counts[l], --left;
      p.out_features = columns;
      const std::vector<double> z = features(p, x);
      std::size_t column = 0, first = 0;
      for (std::size_t l = 0; l <= p.depth; ++l) {
        std::size_t entry = 0, found = 0;
        std::vector<std::size_t> of_unit(units[l]);
        bool dead = false;  // entries that are 0 look alike
        const auto same = [&](double scale) {
          bool zero = true, equal = true;
          for (std::size_t r = 0; r < n; ++r) {
            const double g = all[r * weights + first + entry];
            zero = zero && g == 0;
            equal = equal && std::abs(scale * g - z[r * columns + column]) <= 1e-12;
          }
          dead = dead || zero;
          return equal;
        };
        // One more or less than the level: which layers have the remainder is not fixed.
        const std::size_t level = counts[l];
        for (const std::size_t count : {level, level + 1, level - 1}) {
          if (count == 0 || count > units[l] * inputs[l]) continue;
          const std::size_t start = column;
          const double scale = std::sqrt(static_cast<double>(units[l] * inputs[l]) / static_cast<double>(count));
          std::fill(of_unit.begin(), of_unit.end(), 0);
          for (entry = 0, found = 0; entry < units[l] * inputs[l] && found < count && column < columns; ++entry)
            if (same(scale)) ++of_unit[entry / inputs[l]], ++found, ++column;
          if (found == count) break;
          column = start;
        }
        CHECK(found > 0);
        if (!dead)
          CHECK(*std::max_element(of_unit.begin(), of_unit.end()) <= *std::min_element(of_unit.begin(), of_unit.end()) + 1);
        first += units[l] * inputs[l];
      }
      if (!CHECK(column == columns)) std::cout << name_of(p) << ": found " << column << "\n";
    }
  }
}

// Depth 1 is unbiased for every width and number of columns. 8 rows, 36 entries in 36 cases: 1296 entries, whose normal
// means leave 5 standard errors with probability 8e-4 in all.
TEST(mean_gram_is_the_kernel) {
  constexpr std::size_t n = 8, d = 6;
  const int seeds = check::repetitions(4000);
  std::vector<double> x = normals(n * d, 1);
  for (std::size_t j = 0; j < d; ++j) x[d + j] = -x[j];
  for (const std::size_t width : {0, 1, 9, 40})
    for (const double bias : {0.0, 0.5})
      for (const std::size_t columns : {1, 2, 5, 8, 30}) {
        GradientFeaturesParams p{
            .in_features = d, .out_features = columns, .width = width, .bias = bias, .diagonal = Diagonal::sampled};
        if (width > 0 && number_of_weights({.in_features = d, .out_features = 1, .width = width}) < columns) continue;
        std::vector<double> kernel(n * n), sum(n * n), square(n * n);
        const View<const double> rows(x.data(), n, d);
        ntk_kernel<double, Cpu>(Cpu{}, rows, rows, {.depth = 1, .bias = bias}, View<double>(kernel.data(), n, n));
        for (int s = 0; s < seeds; ++s) {
          p.seed = 77 + static_cast<std::uint64_t>(s);
          const std::vector<double> z = features(p, x);
          for (std::size_t i = 0; i < n * n; ++i) {
            double product = -kernel[i];
            for (std::size_t k = 0; k < columns; ++k) product += z[i / n * columns + k] * z[i % n * columns + k];
            sum[i] += product;
            square[i] += product * product;
          }
        }
        for (std::size_t i = 0; i < n * n; ++i) {
          const double mean = sum[i] / seeds;
          const double error = std::sqrt(std::max(square[i] / seeds - mean * mean, 0.0) / (seeds - 1));
          if (!CHECK(std::abs(mean) <= 5 * error + 1e-12))
            std::cout << name_of(p) << " entry " << i << ": mean " << mean << " standard error " << error << "\n";
        }
      }
}

TEST(deep_networks_approach_the_kernel_with_their_width) {
  constexpr std::size_t n = 30, d = 10;
  const std::vector<double> x = normals(n * d, 5);
  std::vector<double> kernel(n * n);
  const View<const double> rows(x.data(), n, d);
  ntk_kernel<double, Cpu>(Cpu{}, rows, rows, {.depth = 3, .bias = 0.5}, View<double>(kernel.data(), n, n));
  const auto error = [&](std::size_t columns) {
    double difference = 0, norm = 0;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      const std::vector<double> z =
          features({.in_features = d, .out_features = columns, .depth = 3, .bias = 0.5, .seed = seed}, x);
      for (std::size_t i = 0; i < n * n; ++i) {
        double product = 0;
        for (std::size_t k = 0; k < columns; ++k) product += z[i / n * columns + k] * z[i % n * columns + k];
        difference += (product - kernel[i]) * (product - kernel[i]);
        norm += kernel[i] * kernel[i];
      }
    }
    return std::sqrt(difference / norm);
  };
  const double wide = error(2048);
  // 50 groups of 4 seeds had a mean of .100 and a standard deviation of .007.
  CHECK(wide < 0.15);
  // The error falls as the root of the columns, 4-fold; a half is spare for the luck of 4 seeds: .36 in the same groups.
  CHECK(error(128) > 2 * wide);
}

TEST(exact_diagonal_is_exact) {
  const std::vector<double> x = normals(6 * 10, 2);
  for (const std::size_t depth : {1, 3})
    for (const double bias : {0.0, 0.5}) {
      const std::vector<double> z = features({.in_features = 10, .out_features = 100, .depth = depth, .bias = bias}, x);
      for (std::size_t i = 0; i < 6; ++i) {
        double square = 0, norm = bias * bias;
        for (std::size_t j = 0; j < 100; ++j) square += z[i * 100 + j] * z[i * 100 + j];
        for (std::size_t j = 0; j < 10; ++j) norm += x[i * 10 + j] * x[i * 10 + j];
        CHECK_CLOSE(square, static_cast<double>(depth + 1) * norm, 1e-12 * square);
      }
    }
}

TEST(homogeneous_and_zero_at_zero) {
  for (GradientFeaturesParams p : small_networks()) {
    if (p.bias != 0) continue;
    for (const Diagonal diagonal : {Diagonal::sampled, Diagonal::automatic}) {
      p.diagonal = diagonal;
      p.out_features = 7;
      p.width = 0;
      const std::vector<double> values = normals(3 * p.in_features, 3);
      std::vector<float> x(values.begin(), values.end());
      std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(p.in_features), p.in_features, 0.0f);
      std::vector<float> scaled = x;
      for (float& value : scaled) value *= 0x1p60f;  // a power of two scales without rounding
      const std::vector<float> z = features(p, x), large = features(p, scaled);
      for (std::size_t i = 0; i < z.size(); ++i) CHECK(large[i] == 0x1p60f * z[i]);
      for (std::size_t j = 0; j < 7; ++j) CHECK(z[7 + j] == 0);
    }
  }
}

TEST(same_bits_for_any_threads_and_batches) {
  constexpr std::size_t n = check::sanitized ? 61 : 301;
  for (GradientFeaturesParams p : small_networks()) {
    if (p.in_features == 1 || p.depth == 2) continue;
    p.out_features = 333;
    p.width = 0;
    p.diagonal = Diagonal::automatic;
    const std::size_t d = p.in_features;
    const std::vector<double> values = normals(n * d, 6);
    const std::vector<float> x(values.begin(), values.end());
    const std::vector<float> whole = features(p, x);
    for (const int threads : {2, 4}) CHECK(features(p, x, threads) == whole);
    const GradientFeatures<float> map(p);
    constexpr std::size_t first = check::repetitions(n);
    for (const std::size_t batch : {std::size_t{1}, std::size_t{7}, n / 2}) {
      std::vector<float> z(first * 333);
      for (std::size_t begin = 0; begin < first; begin += batch) {
        const std::size_t rows = std::min(batch, first - begin);
        map({x.data() + begin * d, rows, d}, {z.data() + begin * 333, rows, 333});
      }
      if (!CHECK(std::equal(z.begin(), z.end(), whole.begin()))) std::cout << name_of(p) << " batch " << batch << "\n";
    }
  }
}

TEST(every_number_of_columns_and_a_default_width_for_each) {
  for (GradientFeaturesParams p : small_networks()) {
    const std::vector<double> x = normals(3 * p.in_features, 8);
    for (std::size_t columns = 1; columns < 40; columns += columns < 8 ? 1 : 7) {
      p.out_features = columns;
      p.width = 0;
      CHECK(number_of_weights(p) >= columns);
      for (const double value : features(p, x)) CHECK(std::isfinite(value));
    }
  }
  CHECK(resolved_gradient_features({.in_features = 784, .out_features = 4096}).width == 2048);
  CHECK(resolved_gradient_features({.in_features = 784, .out_features = 4096, .depth = 3}).width == 1024);
}

TEST(bad_parameters_are_named) {
  const auto make = [](GradientFeaturesParams p) { return [p] { GradientFeatures<float>{p}; }; };
  CHECK(check::throws<Error>(make({.in_features = 0, .out_features = 8}), "in_features"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 0}), "out_features"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8, .depth = 0}), "depth"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8, .bias = NAN}), "bias"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8, .bias = 1e39}), "bias is 1e+39; a finite number"));
  GradientFeatures<double>({.in_features = 4, .out_features = 8, .bias = 1e39});  // which float64 has
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 100, .width = 3}), "width is 3"));
  CHECK(check::throws<Error>(make({.in_features = 4, .out_features = 8, .width = std::size_t{1} << 40}), "width"));
  const GradientFeaturesParams cnn{
      .in_features = 24, .out_features = 8, .architecture = Architecture::cnn, .image = {4, 3, 2}};
  const auto with = [&](auto change) {
    GradientFeaturesParams p = cnn;
    change(p);
    return make(p);
  };
  using Params = GradientFeaturesParams;
  make(cnn)();
  CHECK(check::throws<Error>(with([](Params& p) { p.image = {}; }), "image is (0, 0, 0)"));
  CHECK(check::throws<Error>(with([](Params& p) { p.image = {4, 3, 3}; }), "image is (4, 3, 3)"));
  const std::size_t huge = std::size_t{1} << 63;
  CHECK(check::throws<Error>(with([&](Params& p) { p.image = {huge, 2, 24}; }), "image is"));
  CHECK(check::throws<Error>(with([](Params& p) { p.filter_size = 2; }), "filter_size is 2"));
  CHECK(check::throws<Error>(with([](Params& p) { p.filter_size = 0; }), "filter_size is 0"));
  CHECK(check::throws<Error>(with([](Params& p) { p.filter_size = 5; }), "at most the image's height and width, 3"));
  CHECK(check::throws<Error>(with([](Params& p) { p.bias = 1; }), "bias"));
  CHECK(check::throws<Error>(with([](Params& p) { p.diagonal = Diagonal::exact; }), "pooling 'gap'"));
  const GradientFeatures<float> map({.in_features = 4, .out_features = 8});
  std::vector<float> x(12), z(24);
  CHECK(check::throws<Error>([&] { map({x.data(), 4, 3}, {z.data(), 3, 8}); }, "x has shape (4, 3)"));
  CHECK(check::throws<Error>([&] { map({x.data(), 3, 4}, {z.data(), 2, 8}); }, "out has shape (2, 8)"));
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
