// TwoLayerNet on the device against the CPU's.
#include <fastntk/nets.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iostream>
#include <limits>
#include <utility>
#include <vector>

#include "device.hpp"
#include "stream.hpp"

namespace {

using namespace fastntk;
using device::DeviceMatrix;
using device::Guarded;
using sketches::Matrix;
using sketches::random_rows;

template <class T>
struct Problem {
  Problem(std::size_t n, std::size_t d, std::size_t m, std::size_t k)
      : x(random_rows<T>(n, d, 1)),
        y(random_rows<T>(n, k, 2)),
        start(random_rows<T>(m, d, 3)),
        out(random_rows<T>(m, k, 4)) {
    for (T& value : out.values) value /= static_cast<T>(std::sqrt(static_cast<double>(m)));
  }
  TwoLayerNet<T> host() const { return TwoLayerNet<T>(start.view(), out.view(), Cpu{2}); }
  TwoLayerNet<T, Cuda> on_device(std::size_t gap, const Cuda& backend = {}) const {
    const DeviceMatrix<T> w(start, gap, backend), o(out, gap, backend);
    return TwoLayerNet<T, Cuda>(w.view(), o.view(), backend);
  }
  Matrix<T> x, y, start, out;
};

template <class T>
Matrix<T> weights(const TwoLayerNet<T, Cuda>& net, std::size_t gap = 0) {
  Guarded<T> w(Matrix<T>(net.width(), net.in_features()), gap);
  net.get_weights(w.view());
  return w.to_host();
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

// Some hundred roundings a step. That one of them turns a unit has the chance of 1e-12 a unit and row in double, of 1e-5 in
// float, where it would change the outputs by 1e-7 still.
template <class T>
void check_nets() {
  const double tolerance = sizeof(T) == 8 ? 1e-12 : 1e-4;
  for (const std::size_t k : {1, 3})
    for (const std::size_t batch : {0, 20})
      for (const bool to_start : {false, true}) {
        const std::size_t gap = k;
        const Problem<T> p(50, 6, 75, k);
        const NetTraining t{
            .kappa = 0.8, .alpha = 0.2, .decay_to_start = to_start, .step_size = 0.01, .batch_size = batch, .seed = 4};
        TwoLayerNet<T> host = p.host();
        TwoLayerNet<T, Cuda> net = p.on_device(gap);
        const DeviceMatrix<T> x(p.x, gap), y(p.y, gap);
        const NetProgress expected = host.train(t, 2, 6, p.x.view(), p.y.view());
        const NetProgress found = net.train(t, 2, 6, x.view(), y.view());
        CHECK(found.steps == 6 && !found.diverged);
        for (std::size_t i = 0; i < 6; ++i) CHECK_CLOSE(found.loss[i], expected.loss[i], tolerance * expected.loss[i]);
        Matrix<T> w(75, 6), f(50, k), h(50, 50), gradient(75, 6);
        host.get_weights(w.view());
        CHECK(near(weights(net, gap), w, tolerance));
        CHECK_CLOSE(net.drift(), host.drift(), tolerance * host.drift());
        // From here on at equal weights.
        host.set_weights(weights(net).view());
        host.predict(p.x.view(), f.view());
        host.kernel(p.x.view(), p.x.view(), h.view());
        const double loss = host.gradient(t, p.x.view(), p.y.view(), gradient.view());
        Guarded<T> device_f(Matrix<T>(50, k), gap), device_h(Matrix<T>(50, 50), gap), device_gradient(gradient, gap);
        net.predict(x.view(), device_f.view());
        net.kernel(x.view(), x.view(), device_h.view());
        CHECK_CLOSE(net.gradient(t, x.view(), y.view(), device_gradient.view()), loss, tolerance * loss);
        finish(Cuda{});
        CHECK(near(device_f.to_host(), f, tolerance));
        CHECK(near(device_h.to_host(), h, tolerance));
        CHECK(near(device_gradient.to_host(), gradient, tolerance));
      }
}

TEST(nets_agree_with_the_cpu) {
  check_nets<float>();
  check_nets<double>();
}

// More units than a panel of 32 MB has, and more rows than a block of them. Sums of some thousand terms.
TEST(large_nets_and_many_rows) {
  for (const auto& [n, m] : {std::pair<std::size_t, std::size_t>{4096, 1030}, {5000, 33}}) {
    const Problem<double> p(n, 2, m, 1);
    const NetTraining t{.alpha = 0.2, .decay_to_start = true, .step_size = 1e-4};
    TwoLayerNet<double> host = p.host();
    TwoLayerNet<double, Cuda> net = p.on_device(0);
    const DeviceMatrix<double> x(p.x), y(p.y);
    const NetProgress expected = host.train(t, 0, 2, p.x.view(), p.y.view());
    const NetProgress found = net.train(t, 0, 2, x.view(), y.view());
    for (std::size_t i = 0; i < 2; ++i) CHECK_CLOSE(found.loss[i], expected.loss[i], 1e-11 * expected.loss[i]);
    Matrix<double> w(m, 2), f(n, 1);
    host.get_weights(w.view());
    CHECK(near(weights(net), w, 1e-11));
    DeviceMatrix<double> device_f(n, 1);
    host.predict(p.x.view(), f.view());
    net.predict(x.view(), device_f.view());
    CHECK(near(device_f.to_host(), f, 1e-11));
  }
}

TEST(runs_in_parts_have_the_same_bits) {
  const Problem<float> p(40, 5, 70, 2);
  const NetTraining t{.alpha = 0.1, .step_size = 0.01, .batch_size = 15, .seed = 4};
  const DeviceMatrix<float> x(p.x), y(p.y);
  TwoLayerNet<float, Cuda> whole = p.on_device(0), parts = p.on_device(0);
  const std::vector<double> loss = whole.train(t, 0, 7, x.view(), y.view()).loss;
  const device::Stream stream;
  const std::vector<double> first = parts.train(t, 0, 4, x.view(), y.view()).loss;
  parts.run_on(stream.backend());
  const std::vector<double> second = parts.train(t, 4, 3, x.view(), y.view()).loss;
  parts.run_on(Cuda{});
  CHECK(std::equal(first.begin(), first.end(), loss.begin()) && std::equal(second.begin(), second.end(), loss.begin() + 4));
  CHECK(weights(parts) == weights(whole));
}

TEST(a_step_that_diverges_is_undone) {
  const Problem<float> p(20, 3, 40, 1);
  const NetTraining t{.step_size = 500};
  const DeviceMatrix<float> x(p.x), y(p.y);
  TwoLayerNet<float, Cuda> net = p.on_device(0), shorter = p.on_device(0);
  const NetProgress progress = net.train(t, 0, 1000, x.view(), y.view());
  if (!CHECK(progress.diverged && progress.steps > 1)) return;
  CHECK(!shorter.train(t, 0, progress.steps - 1, x.view(), y.view()).diverged);
  CHECK(weights(net) == weights(shorter));
}

// What of their matrices cuBLAS would not touch must not reach the result.
TEST(weights_that_are_not_finite) {
  const Problem<float> p(20, 3, 40, 1);
  const DeviceMatrix<float> x(p.x), y(p.y);
  Matrix<float> w = p.start;
  w(39, 1) = std::numeric_limits<float>::quiet_NaN();
  TwoLayerNet<float, Cuda> net = p.on_device(0);
  net.set_weights(DeviceMatrix<float>(w).view());
  CHECK(net.train({.step_size = 0.1}, 0, 3, x.view(), y.view()).diverged);
}

TEST(errors_and_no_rows) {
  const Problem<float> p(20, 3, 40, 1);
  const DeviceMatrix<float> x(p.x), y(p.y);
  TwoLayerNet<float, Cuda> net = p.on_device(0);
  CHECK(check::throws<Error>([&] { net.train({}, 0, 3, x.view(), y.view()); }, "step_size is 0"));
  CHECK(check::throws<Error>([&] { net.run_on(Cuda{.device = 1}); }, "device is 1"));
  net.predict(View<const float, Cuda>(nullptr, 0, 3), View<float, Cuda>(nullptr, 0, 1));
  net.kernel(View<const float, Cuda>(nullptr, 0, 3), x.view(), View<float, Cuda>(nullptr, 0, 20));
  CHECK(weights(net) == p.start);
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(no_failure_is_dropped) {
  const Problem<float> p(20, 3, 40, 1);
  const DeviceMatrix<float> x(p.x), y(p.y);
  device::fail_every_call([&] {
    TwoLayerNet<float, Cuda> net = p.on_device(0);
    CHECK(net.train({.step_size = 1e-3, .batch_size = 8}, 0, 3, x.view(), y.view()).steps == 3);
    DeviceMatrix<float> h(20, 20);
    net.kernel(x.view(), x.view(), h.view());
    CHECK(std::isfinite(h.to_host()(0, 0)) && net.drift() > 0);
  });
}
#endif

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
