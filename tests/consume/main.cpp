// Uses the library as a stranger would, and checks what it gives: returns 0 only if everything is right.
#include <fastntk/fastntk.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numbers>
#include <vector>

namespace {

int failures = 0;

void check(bool condition, const char* what) {
  std::printf("%s: %s\n", condition ? "ok" : "WRONG", what);
  if (!condition) ++failures;
}

// Without replacement and with as many outputs as the transform is long, SRHT is sqrt(1/n) H D x in some order.
void srht_is_a_permuted_transform() {
  constexpr std::size_t d = 13, n = 16;
  std::vector<float> x(d), z(n);
  for (std::size_t j = 0; j < d; ++j) x[j] = std::cos(static_cast<float>(j));
  const fastntk::Srht<float> srht({.in_features = d, .out_features = n, .seed = 7, .replacement = false}, fastntk::Cpu{1});
  srht({x.data(), 1, d}, {z.data(), 1, n});

  const fastntk::rng::Draws signs{7, fastntk::rng::Stream::sign};
  std::vector<double> expected(n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j)
      expected[i] += (std::popcount(i & j) % 2 ? -1 : 1) * signs.sign(j) * static_cast<double>(x[j]) / std::sqrt(double(n));
  std::sort(z.begin(), z.end());
  std::sort(expected.begin(), expected.end());
  // log2(n) = 4 additions and one product per value, of numbers whose absolute values sum to at most sqrt(n) |x|_inf.
  const double tolerance = 5 * std::numeric_limits<float>::epsilon() * std::sqrt(double(n));
  bool equal = true;
  for (std::size_t i = 0; i < n; ++i) equal = equal && std::abs(static_cast<double>(z[i]) - expected[i]) <= tolerance;
  check(equal, "Srht equals the transform written out");
}

// Theta(x, y) = |x||y| (kappa_1(c) + c kappa_0(c)) for depth 1, c the cosine.
double ntk(double c) {
  const double angle = std::acos(c);
  const double pi = std::numbers::pi;
  return (std::sqrt(1 - c * c) + c * (pi - angle)) / pi + c * (pi - angle) / pi;
}

// The README's example; a row of the result has the norm of Theta(x, x) = 2 |x|^2.
void readme_example() {
  std::vector<float> x(1000 * 784, 1.0f), z(1000 * 4096);
  const fastntk::NtkRandomFeatures<float> map({.in_features = 784, .out_features = 4096, .seed = 7}, fastntk::Cpu{});
  map({x.data(), 1000, 784}, {z.data(), 1000, 4096});
  double square = 0;
  for (std::size_t j = 0; j < 4096; ++j) square += static_cast<double>(z[j]) * static_cast<double>(z[j]);
  // 4096 squares summed in float.
  check(std::abs(square / (2 * 784) - 1) < 4096 * std::numeric_limits<float>::epsilon(),
        "the README's example has the exact norm");
}

void features_approximate_the_kernel() {
  constexpr std::size_t d = 2, m = 16384;
  const float c = 0.6f;
  const std::vector<float> x = {1, 0, c, std::sqrt(1 - c * c)};
  std::vector<float> z(2 * m);
  const fastntk::NtkRandomFeatures<float> map({.in_features = d,
                                               .out_features = m,
                                               .depth = 1,
                                               .directions = fastntk::Directions::gaussian,
                                               .low_orders = fastntk::LowOrders::sampled,
                                               .diagonal = fastntk::Diagonal::sampled,
                                               .seed = 7});
  map({x.data(), 2, d}, {z.data(), 2, m});
  double product = 0;
  for (std::size_t j = 0; j < m; ++j) product += static_cast<double>(z[j]) * static_cast<double>(z[m + j]);
  // One direction contributes 2 relu(g)relu(h) + 2 c step(g)step(h), g and h standard normals: a standard deviation of at
  // most sqrt(6) + sqrt(2) < 4. At least m / 4 independent directions, five standard errors.
  check(std::abs(product - ntk(static_cast<double>(c))) <= 5 * 4 / std::sqrt(m / 4.0),
        "NtkRandomFeatures approximates the kernel written out");
}

// A file that Python's save() wrote, used without Python.
void saved_models_predict() {
  const auto model = fastntk::Model<float>::read(CONSUME_MODEL, fastntk::Cpu{});
  const std::size_t d = model.info().n_features_in, t = model.info().n_targets;
  std::vector<float> x(3 * d, 0.0f), y(3 * t);
  std::fill_n(x.begin(), d, 1.0f);
  model.predict({x.data(), 3, d}, {y.data(), 3, t});
  bool equal = true, differs = false;
  for (std::size_t j = 0; j < t; ++j) {
    equal = equal && y[t + j] == y[2 * t + j];
    differs = differs || y[j] != y[t + j];
  }
  check(equal && differs, "a saved model predicts equal rows equally, and others not");
  bool thrown = false;
  try {
    fastntk::ModelFile::read("/nonexistent/model.safetensors");
  } catch (const fastntk::ModelFileError& error) {
    thrown = true;
    std::printf("    %s\n", error.what());
  }
  check(thrown, "a file that is not there throws fastntk::ModelFileError");
}

void bad_arguments_are_errors() {
  std::vector<float> x(8), z(8);
  bool thrown = false;
  try {
    const fastntk::Srht<float> srht({.in_features = 8, .out_features = 8, .seed = 1});
    srht({x.data(), 1, 7}, {z.data(), 1, 8});
  } catch (const fastntk::Error& error) {
    thrown = true;
    std::printf("    %s\n", error.what());
  }
  check(thrown, "a wrong shape throws fastntk::Error");
}

#if FASTNTK_HAS_CUDA
// The README's example; each row is the one that the CPU gives.
void readme_example_on_a_gpu() {
  std::vector<float> x(1000 * 784, 1.0f), z(1000 * 4096);
  CUstream_st* const stream = nullptr;
  const fastntk::Cuda gpu{.device = 0, .stream = stream};
  const fastntk::NtkRandomFeatures<float, fastntk::Cuda> map({.in_features = 784, .out_features = 4096, .seed = 7}, gpu);
  fastntk::Array<float, fastntk::Cuda> in(gpu, 1000, 784), out(gpu, 1000, 4096);
  fastntk::copy_in(gpu, x.data(), x.size() * sizeof(float), in.view().data);
  map(in.view(), out.view());
  fastntk::copy_out(gpu, out.view().data, z.size() * sizeof(float), z.data());

  std::vector<float> expected(4096);
  const fastntk::NtkRandomFeatures<float> host_map({.in_features = 784, .out_features = 4096, .seed = 7});
  host_map({x.data(), 1, 784}, {expected.data(), 1, 4096});
  bool equal = true;
  // Some thousand sums, products and roundings of functions, of numbers at most as large as the row.
  const double tolerance = 4096 * std::numeric_limits<float>::epsilon() * std::sqrt(2 * 784.0);
  for (std::size_t i = 0; i < z.size(); ++i)
    equal = equal && std::abs(static_cast<double>(z[i]) - static_cast<double>(expected[i % 4096])) <= tolerance;
  check(equal, "the README's example on a GPU gives the CPU's rows");
}

// Where there is no GPU a program with the backend starts, and says what is missing.
void a_missing_gpu_is_an_error() {
  bool thrown = false;
  try {
    const fastntk::Srht<float, fastntk::Cuda> srht({.in_features = 8, .out_features = 8, .seed = 1});
  } catch (const fastntk::BackendError& error) {
    thrown = true;
    std::printf("    %s\n", error.what());
  }
  check(thrown, "without a GPU fastntk::BackendError is thrown");
}
#endif

void config_describes_the_build() {
  const fastntk::Config config = fastntk::config();
  std::printf("    fastntk %s, %s, %s, %s, %d threads, CUDA: %s\n", config.version.c_str(), config.compiler.c_str(),
              config.instruction_set.c_str(), config.blas.c_str(), config.threads, config.cuda_status.c_str());
  check(!config.version.empty() && config.threads >= 1, "config() describes the build");
  check(config.cuda == bool{FASTNTK_HAS_CUDA}, "FASTNTK_HAS_CUDA is what config() says");
}

}  // namespace

int main() {
  srht_is_a_permuted_transform();
  features_approximate_the_kernel();
  readme_example();
  saved_models_predict();
  bad_arguments_are_errors();
  config_describes_the_build();
#if FASTNTK_HAS_CUDA
  if (fastntk::config().cuda_status == "ready") {
    readme_example_on_a_gpu();
  } else {
    a_missing_gpu_is_an_error();
  }
#endif
  return failures == 0 ? 0 : 1;
}
