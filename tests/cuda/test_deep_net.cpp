// DeepNet on the device against the CPU's.
#include <fastntk/nets.hpp>

#include <cmath>
#include <cstddef>
#include <iostream>
#include <limits>
#include <vector>

#include "device.hpp"

namespace {

using namespace fastntk;
using device::DeviceMatrix;
using device::Guarded;
using sketches::Matrix;
using sketches::random_rows;

std::vector<DeepNetParams> nets() {
  std::vector<DeepNetParams> all;
  for (const std::vector<std::size_t>& widths : std::vector<std::vector<std::size_t>>{{1}, {40}, {33, 70, 5}})
    for (const bool doubled : {false, true})
      all.push_back({.in_features = 7, .widths = widths, .outputs = doubled ? 1u : 3u, .doubled = doubled, .seed = 3});
  return all;
}

template <class T, class B>
Matrix<T> weights_of(const DeepNet<T, B>& net) {
  if constexpr (std::is_same_v<B, Cuda>) {
    DeviceMatrix<T> all(1, net.parameters());
    net.get_weights(all.view());
    return all.to_host();
  } else {
    Matrix<T> all(1, net.parameters());
    net.get_weights(all.view());
    return all;
  }
}

/// |found - expected| <= tolerance |expected|.
template <class T>
bool near(const Matrix<T>& found, const Matrix<T>& expected, double tolerance) {
  double square = 0, difference = 0;
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    const auto a = static_cast<double>(found.values[i]), b = static_cast<double>(expected.values[i]);
    square += b * b;
    difference += (a - b) * (a - b);
  }
  const bool holds = difference <= tolerance * tolerance * square;
  if (!holds) std::cout << "off by " << std::sqrt(difference / square) << "\n";
  return holds;
}

// Some hundred roundings a step. A unit so near to 0 that one of them switches it is as improbable as in
// test_gradient_features.cpp.
template <class T>
void check_nets() {
  constexpr std::size_t n = 50, steps = 4;
  const double tolerance = sizeof(T) == 8 ? 1e-12 : 1e-4;
  const Matrix<T> x = random_rows<T>(n, 7), z = random_rows<T>(9, 7, 3);
  for (const DeepNetParams& p : nets())
    for (const std::size_t batch : {0, 16}) {
      const Matrix<T> y = random_rows<T>(n, p.outputs, 2);
      const NetTraining training{
          .kappa = 0.8, .alpha = 0.5, .decay_to_start = batch > 0, .step_size = 0.002, .batch_size = batch, .seed = 4};
      DeepNet<T> net(p);
      DeepNet<T, Cuda> found(p);
      CHECK(near(weights_of(found), weights_of(net), tolerance));

      Guarded<T> near_x(x, 3), near_y(y, 2), near_z(z, 1);
      const NetProgress progress = net.train(training, 1, steps, x.view(), y.view());
      const NetProgress on_device = found.train(training, 1, steps, near_x.view(), near_y.view());
      CHECK(on_device.steps == steps && !on_device.diverged);
      for (std::size_t i = 0; i < steps; ++i) CHECK_CLOSE(on_device.loss[i], progress.loss[i], tolerance * progress.loss[i]);
      CHECK(near(weights_of(found), weights_of(net), tolerance));
      CHECK_CLOSE(found.drift(), net.drift(), tolerance * 10);

      Matrix<T> grad(1, net.parameters()), outputs(n, p.outputs), kernel(n, 9), square(n, n);
      DeviceMatrix<T> near_grad(1, net.parameters());
      Guarded<T> near_outputs(outputs, 3), near_kernel(kernel, 3), near_square(square, 3);
      const double loss = net.gradient(training, x.view(), y.view(), grad.view());
      CHECK_CLOSE(found.gradient(training, near_x.view(), near_y.view(), near_grad.view()), loss, tolerance * loss);
      CHECK(near(near_grad.to_host(), grad, 10 * tolerance));
      net.predict(x.view(), outputs.view());
      found.predict(near_x.view(), near_outputs.view());
      CHECK(near(near_outputs.to_host(), outputs, 10 * tolerance));
      net.kernel(x.view(), z.view(), kernel.view());
      found.kernel(near_x.view(), near_z.view(), near_kernel.view());
      CHECK(near(near_kernel.to_host(), kernel, 10 * tolerance));
      net.kernel(x.view(), x.view(), square.view());
      found.kernel(near_x.view(), near_x.view(), near_square.view());
      CHECK(near(near_square.to_host(), square, 10 * tolerance));
    }
}

TEST(nets_agree_with_the_cpu) {
  check_nets<float>();
  check_nets<double>();
}

TEST(a_run_in_two_on_another_stream_has_the_same_bits) {
  const DeepNetParams p{.in_features = 7, .widths = {70, 33}, .doubled = true, .seed = 2};
  const NetTraining training{.alpha = 0.1, .step_size = 0.002, .batch_size = 16, .seed = 1};
  const DeviceMatrix<float> x(random_rows<float>(50, 7)), y(random_rows<float>(50, 1, 2));
  DeepNet<float, Cuda> net(p), again(p);
  net.train(training, 0, 5, x.view(), y.view());
  again.train(training, 0, 3, x.view(), y.view());
  again.run_on(Cuda{.max_memory = 1 << 20});
  again.train(training, 3, 2, x.view(), y.view());
  CHECK(weights_of(again) == weights_of(net));
}

TEST(a_step_too_large_ends_with_the_last_finite_loss) {
  const DeepNetParams p{.in_features = 7, .widths = {32, 16}, .seed = 1};
  const NetTraining training{.alpha = 0.1, .step_size = 30};
  const DeviceMatrix<float> x(random_rows<float>(10, 7)), y(random_rows<float>(10, 1, 2));
  DeepNet<float, Cuda> net(p), again(p);
  const NetProgress progress = net.train(training, 0, 1000, x.view(), y.view());
  CHECK(progress.diverged && progress.steps > 1 && progress.steps == progress.loss.size());
  again.train(training, 0, progress.steps - 1, x.view(), y.view());
  CHECK(weights_of(again) == weights_of(net));
}

TEST(too_little_memory_leaves_the_net_as_it_was) {
  DeepNet<float, Cuda> net({.in_features = 7, .widths = {64}, .seed = 1}, Cuda{.max_memory = 1 << 16});
  const Matrix<float> before = weights_of(net);
  const DeviceMatrix<float> x(random_rows<float>(4000, 7)), y(random_rows<float>(4000, 1, 2));
  NetTraining training{.step_size = 1e-5};
  CHECK(check::throws<OutOfMemory>([&] { net.train(training, 0, 1, x.view(), y.view()); }, ""));
  CHECK(weights_of(net) == before);
  training.batch_size = 50;
  CHECK(net.train(training, 0, 2, x.view(), y.view()).steps == 2);
}

// Several passes and tiles, of which those below the diagonal are mirrored.
TEST(outputs_and_kernels_in_little_memory) {
  const DeepNetParams p{.in_features = 7, .widths = {64, 20}, .doubled = true, .seed = 1};
  constexpr std::size_t n = 150;
  const Matrix<double> x = random_rows<double>(n, 7);
  const DeepNet<double> net(p);
  DeepNet<double, Cuda> found(p);
  found.run_on(Cuda{.max_memory = std::size_t{1} << 19});
  const DeviceMatrix<double> near_x(x);
  Guarded<double> near_outputs(Matrix<double>(n, 1), 3), near_kernel(Matrix<double>(n, n), 3),
      near_part(Matrix<double>(n, 99), 1);
  found.predict(near_x.view(), near_outputs.view());
  for (const double value : near_outputs.to_host().values) CHECK(std::abs(value) < 1e-12);  // the copies are equal
  Matrix<double> kernel(n, n), part(n, 99);
  net.kernel(x.view(), x.view(), kernel.view());
  net.kernel(x.view(), x.view().row_block(9, 99), part.view());
  found.kernel(near_x.view(), near_x.view(), near_kernel.view());
  found.kernel(near_x.view(), near_x.view().row_block(9, 99), near_part.view());
  const Matrix<double> whole = near_kernel.to_host();
  CHECK(near(whole, kernel, 1e-12));
  CHECK(near(near_part.to_host(), part, 1e-12));
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) CHECK(whole(i, j) == whole(j, i));
}

TEST(a_net_stays_on_its_device) {
  DeepNet<float, Cuda> net({.in_features = 7, .widths = {8}});
  CHECK(check::throws<Error>([&] { net.run_on(Cuda{.device = 1}); }, "DeepNet: the backend's device is 1"));
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(no_failure_is_dropped) {
  const DeepNetParams p{.in_features = 7, .widths = {16, 8}, .doubled = true, .seed = 1};
  const Matrix<float> x = random_rows<float>(10, 7), y = random_rows<float>(10, 1, 2);
  device::fail_every_call([&] {
    const DeviceMatrix<float> near_x(x), near_y(y);
    DeviceMatrix<float> kernel(10, 10);
    DeepNet<float, Cuda> net(p);
    net.train({.alpha = 0.1, .step_size = 0.01, .batch_size = 4}, 0, 2, near_x.view(), near_y.view());
    net.kernel(near_x.view(), near_x.view(), kernel.view());
    CHECK(std::isfinite(kernel.to_host()(0, 0)));
    CHECK(std::isfinite(net.drift()));
  });
}
#endif

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
