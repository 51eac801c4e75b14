#include <fastntk/exact.hpp>
#include <fastntk/nets.hpp>
#include <fastntk/rng.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "net_reference.hpp"

using namespace fastntk;

namespace {

using net_reference::Deep;
using net_reference::Vector;
using sketches::Matrix;
using sketches::random_rows;

/// Narrow, of one row of weights, of whole words of a mask and a few more, deep, doubled, and of several outputs.
std::vector<DeepNetParams> nets() {
  std::vector<DeepNetParams> all;
  for (const std::size_t d : {1, 6})
    for (const std::vector<std::size_t>& widths :
         std::vector<std::vector<std::size_t>>{{1}, {9}, {32, 5}, {7, 33, 65}, {4, 3, 6, 5}})
      for (const bool doubled : {false, true})
        all.push_back({.in_features = d, .widths = widths, .outputs = d == 1 ? 1u : 3u, .doubled = doubled, .seed = 3});
  return all;
}

std::string name_of(const DeepNetParams& p) {
  std::string name = "d " + std::to_string(p.in_features) + " widths";
  for (const std::size_t width : p.widths) name += " " + std::to_string(width);
  return name + (p.doubled ? " doubled" : "") + "\n";
}

template <class T, class B>
std::vector<T> weights_of(const DeepNet<T, B>& net) {
  std::vector<T> all(net.parameters());
  net.get_weights(View<T>(all.data(), 1, all.size()));
  return all;
}

template <class T>
void set_weights(DeepNet<T>& net, const std::vector<T>& all) {
  net.set_weights(View<const T>(all.data(), 1, all.size()));
}

/// Not those at the start, and different for the copies.
template <class T>
std::vector<T> other_weights(const DeepNet<T>& net, std::uint64_t seed = 5) {
  const rng::Draws draws{seed, rng::Stream::normal};
  std::vector<T> all(net.parameters());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<T>(draws.normal(i));
  return all;
}

template <class T>
Matrix<T> predict(const DeepNet<T>& net, const Matrix<T>& x, std::size_t outputs) {
  Matrix<T> out(x.rows, outputs);
  net.predict(x.view(), out.view());
  return out;
}

template <class T>
std::vector<T> gradient(const DeepNet<T>& net, const NetTraining& training, const Matrix<T>& x, const Matrix<T>& y,
                        double* loss = nullptr) {
  std::vector<T> grad(net.parameters());
  const double value = net.gradient(training, x.view(), y.view(), View<T>(grad.data(), 1, grad.size()));
  if (loss) *loss = value;
  return grad;
}

std::vector<std::size_t> all_rows(std::size_t n) {
  std::vector<std::size_t> rows(n);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return rows;
}

double largest(const Vector& v) {
  double most = 0;
  for (const double value : v) most = std::max(most, std::abs(value));
  return most;
}

template <class A, class V>
bool near(const A& found, const V& expected, double tolerance) {
  double most = 0, difference = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(expected[i])));
    const double by = std::abs(static_cast<double>(found[i]) - static_cast<double>(expected[i]));
    if (!(by <= difference)) difference = by;  // NaN too
  }
  return found.size() == expected.size() && difference <= tolerance * most;
}

TEST(weights_at_the_start_are_normals_of_their_layer) {
  const DeepNetParams p{.in_features = 5, .widths = {4, 3}, .outputs = 2, .doubled = true, .seed = 11};
  const DeepNet<double> net(p);
  const std::vector<double> found = weights_of(net);
  Vector copy;
  std::size_t inputs = 5, layer = 0;
  for (const std::size_t outputs : {4, 3, 2}) {
    const rng::Draws draws{rng::child_seed(11, layer++), rng::Stream::normal};
    const std::size_t even = (inputs + 1) / 2 * 2;
    for (std::size_t o = 0; o < outputs; ++o)
      for (std::size_t i = 0; i < inputs; ++i) copy.push_back(draws.normal(o * even + i));
    inputs = outputs;
  }
  Vector expected = copy;
  expected.insert(expected.end(), copy.begin(), copy.end());
  CHECK(found == expected);
  CHECK(net.drift() == 0);

  const Matrix<double> x = random_rows<double>(7, 5);
  for (const double value : predict(net, x, 2).values) CHECK(value == 0);
}

// Each output is a sum of at most 65 products a layer, in another order: eps times a few hundred.
TEST(outputs_are_those_of_the_definition) {
  for (const DeepNetParams& p : nets()) {
    DeepNet<double> net(p);
    set_weights(net, other_weights(net));
    const Deep reference(p, weights_of(net));
    const Matrix<double> x = random_rows<double>(8, p.in_features);
    Vector expected;
    for (std::size_t i = 0; i < x.rows; ++i)
      for (const double value : reference.value(net_reference::row_of(x, i))) expected.push_back(value);
    if (!CHECK(near(predict(net, x, p.outputs).values, expected, 1e-13))) std::cout << name_of(p);

    DeepNet<float> narrow(p);
    const Vector all = weights_of(net);
    set_weights(narrow, std::vector<float>(all.begin(), all.end()));
    Matrix<float> rows(x.rows, x.cols);
    std::copy(x.values.begin(), x.values.end(), rows.values.begin());
    if (!CHECK(near(predict(narrow, rows, p.outputs).values, expected, 1e-4))) std::cout << name_of(p);
  }
}

TEST(gradients_are_those_of_the_definition) {
  for (const DeepNetParams& p : nets())
    for (const bool decay_to_start : {false, true}) {
      DeepNet<double> net(p);
      const Vector start = weights_of(net);
      set_weights(net, other_weights(net));
      const NetTraining training{.kappa = 0.7, .alpha = 0.3, .decay_to_start = decay_to_start};
      const Matrix<double> x = random_rows<double>(9, p.in_features), y = random_rows<double>(9, p.outputs, 2);
      const Deep reference(p, weights_of(net));
      double loss;
      const Vector found = gradient(net, training, x, y, &loss);
      const double expected = net_reference::loss(reference, training, start, x, y, all_rows(9));
      CHECK_CLOSE(loss, expected, 1e-12 * expected);
      if (!CHECK(near(found, net_reference::loss_gradient(reference, training, start, x, y, all_rows(9)), 1e-12)))
        std::cout << name_of(p);
    }
}

// Along one weight the loss is a parabola as long as no unit switches, so that a central difference is exact up to the
// rounding of the loss, about 1e-14, over the step.
TEST(gradients_are_central_differences_of_the_loss) {
  constexpr double step = 1e-6;
  for (DeepNetParams p : nets()) {
    if (p.in_features == 1 || p.widths.size() == 1) continue;
    for (const bool decay_to_start : {false, true}) {
      DeepNet<double> net(p);
      const Vector weights = other_weights(net);
      set_weights(net, weights);
      const NetTraining training{.kappa = 0.7, .alpha = 0.3, .decay_to_start = decay_to_start};
      const Matrix<double> x = random_rows<double>(4, p.in_features, 8), y = random_rows<double>(4, p.outputs, 9);
      for (std::size_t i = 0; i < x.rows; ++i) CHECK(Deep(p, weights).margin(net_reference::row_of(x, i)) > 100 * step);
      const Vector found = gradient(net, training, x, y);
      Vector expected;
      for (std::size_t k = 0; k < weights.size(); ++k) {
        double loss[2];
        for (const int side : {0, 1}) {
          Vector moved = weights;
          moved[k] += side == 1 ? step : -step;
          set_weights(net, moved);
          gradient(net, training, x, y, &loss[side]);
        }
        expected.push_back((loss[1] - loss[0]) / (2 * step));
      }
      if (!CHECK(near(found, expected, 1e-7))) std::cout << name_of(p);
    }
  }
}

TEST(kernel_is_that_of_the_gradients) {
  for (const DeepNetParams& p : nets()) {
    DeepNet<double> net(p);
    set_weights(net, other_weights(net));
    const Deep reference(p, weights_of(net));
    const Matrix<double> x = random_rows<double>(6, p.in_features), z = random_rows<double>(4, p.in_features, 2);
    Matrix<double> of_both(6, 4), of_x(6, 6);
    net.kernel(x.view(), z.view(), of_both.view());
    net.kernel(x.view(), x.view(), of_x.view());
    Vector expected, symmetric;
    for (std::size_t i = 0; i < 6; ++i) {
      for (std::size_t j = 0; j < 4; ++j)
        expected.push_back(net_reference::kernel(reference, net_reference::row_of(x, i), net_reference::row_of(z, j)));
      for (std::size_t j = 0; j < 6; ++j)
        symmetric.push_back(net_reference::kernel(reference, net_reference::row_of(x, i), net_reference::row_of(x, j)));
    }
    if (!CHECK(near(of_both.values, expected, 1e-12)) || !CHECK(near(of_x.values, symmetric, 1e-12)))
      std::cout << name_of(p);
  }
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
