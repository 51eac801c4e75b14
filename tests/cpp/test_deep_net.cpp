#include <fastntk/exact.hpp>
#include <fastntk/nets.hpp>
#include <fastntk/rng.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "../../csrc/src/net_batches.hpp"
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

/// Says which network failed.
void print(const DeepNetParams& p) {
  std::cout << "d " << p.in_features << " widths";
  for (const std::size_t width : p.widths) std::cout << " " << width;
  std::cout << (p.doubled ? " doubled" : "") << "\n";
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
    if (!CHECK(near(predict(net, x, p.outputs).values, expected, 1e-13))) print(p);

    DeepNet<float> narrow(p);
    const Vector all = weights_of(net);
    set_weights(narrow, std::vector<float>(all.begin(), all.end()));
    Matrix<float> rows(x.rows, x.cols);
    std::copy(x.values.begin(), x.values.end(), rows.values.begin());
    if (!CHECK(near(predict(narrow, rows, p.outputs).values, expected, 1e-4))) print(p);
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
      if (!CHECK(near(found, net_reference::loss_gradient(reference, training, start, x, y, all_rows(9)), 1e-12))) print(p);
    }
}

/// `n` rows all of whose units are at least `margin` from their kinks.
Matrix<double> rows_away_from_kinks(const Deep& net, std::size_t n, std::size_t d, double margin) {
  const Matrix<double> candidates = random_rows<double>(40 * n, d, 8);
  Matrix<double> x(n, d);
  std::size_t found = 0;
  for (std::size_t i = 0; i < candidates.rows && found < n; ++i) {
    const Vector row = net_reference::row_of(candidates, i);
    if (net.margin(row) > margin) std::copy(row.begin(), row.end(), &x(found++, 0));
  }
  CHECK(found == n);
  return x;
}

// Along one weight the loss is a parabola as long as no unit switches, so that a central difference is exact up to the
// rounding of the loss, some 1e-15 of its size of up to a thousand, over the step.
TEST(gradients_are_central_differences_of_the_loss) {
  constexpr double step = 1e-5;
  for (const DeepNetParams& p : nets()) {
    if (p.in_features == 1 || p.widths.size() == 1) continue;
    for (const bool decay_to_start : {false, true}) {
      DeepNet<double> net(p, Cpu{1});
      const Vector weights = other_weights(net);
      set_weights(net, weights);
      const NetTraining training{.kappa = 0.7, .alpha = 0.3, .decay_to_start = decay_to_start};
      const Matrix<double> x = rows_away_from_kinks(Deep(p, weights), 4, p.in_features, 100 * step);
      const Matrix<double> y = random_rows<double>(4, p.outputs, 9);
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
      if (!CHECK(near(found, expected, 1e-7))) print(p);
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
    if (!CHECK(near(of_both.values, expected, 1e-12)) || !CHECK(near(of_x.values, symmetric, 1e-12))) print(p);
  }
}

std::vector<std::vector<std::size_t>> full_batches(std::size_t steps, std::size_t n) {
  return std::vector<std::vector<std::size_t>>(steps, all_rows(n));
}

/// The batches of the steps first, first + 1, ...
std::vector<std::vector<std::size_t>> batches_of(const NetTraining& t, std::size_t first, std::size_t steps, std::size_t n) {
  if (t.batch_size == 0 || t.batch_size == n) return full_batches(steps, n);
  std::vector<std::vector<std::size_t>> batches;
  const std::size_t per_pass = (n + t.batch_size - 1) / t.batch_size;
  for (std::size_t step = first; step < first + steps; ++step) {
    const std::vector<std::uint32_t> order = row_order(t.seed, step / per_pass, n);
    const auto [begin, count] = batch_rows(n, per_pass, step % per_pass);
    const auto first_row = order.begin() + static_cast<std::ptrdiff_t>(begin);
    batches.emplace_back(first_row, first_row + static_cast<std::ptrdiff_t>(count));
  }
  return batches;
}

TEST(training_is_gradient_descent) {
  constexpr std::size_t n = 7, first = 2, steps = 6;
  for (const DeepNetParams& p : nets())
    for (const std::size_t batch : {0, 3})
      for (const bool decay_to_start : {false, true}) {
        const NetTraining training{
            .kappa = 0.8, .alpha = 0.5, .decay_to_start = decay_to_start, .step_size = 0.01, .batch_size = batch, .seed = 4};
        const Matrix<double> x = random_rows<double>(n, p.in_features), y = random_rows<double>(n, p.outputs, 2);
        DeepNet<double> net(p);
        const Vector start = weights_of(net);
        Deep reference(p, start);
        const Vector losses = net_reference::train(reference, training, start, x, y, batches_of(training, first, steps, n));
        const NetProgress progress = net.train(training, first, steps, x.view(), y.view());
        CHECK(progress.steps == steps && !progress.diverged);
        if (!CHECK(near(progress.loss, losses, 1e-12)) || !CHECK(near(weights_of(net), reference.weights, 1e-12))) print(p);
        const double drift = net.drift();
        CHECK(drift > 0 && drift <= std::sqrt(static_cast<double>(start.size())) * largest(start));
      }
}

TEST(drift_is_the_largest_of_a_neuron) {
  const DeepNetParams p{.in_features = 3, .widths = {4, 5}, .outputs = 2};
  DeepNet<double> net(p);
  const Vector start = weights_of(net);
  // The first weight of each neuron's row: W_1 (4, 3), W_2 (5, 4), v (2, 5).
  for (const std::size_t row : {0, 9, 12, 28, 32, 37}) {
    Vector moved = start;
    for (double& value : moved) value += 0.01;
    moved[row] += 3;
    moved[row + 1] -= 4;
    set_weights(net, moved);
    CHECK_CLOSE(net.drift(), 5, 0.03);
  }
}

// Blocks of products, tiles of weights, and masks at their edges: more rows, units and weights than one has.
TEST(same_bits_for_any_threads_and_a_run_in_two) {
  for (const bool doubled : {false, true}) {
    const DeepNetParams p{.in_features = 20, .widths = {600, 150}, .outputs = 2, .doubled = doubled, .seed = 2};
    constexpr std::size_t n = 530;
    const Matrix<float> x = random_rows<float>(n, 20), y = random_rows<float>(n, 2, 2);
    for (const std::size_t batch : {0, 300}) {
      const NetTraining training{.alpha = 0.1, .decay_to_start = true, .step_size = 1e-4, .batch_size = batch, .seed = 1};
      std::vector<float> expected, grad;
      std::vector<double> losses;
      Matrix<float> kernel(n, n), outputs(n, 2);
      for (const int threads : {1, 2, 3, 4}) {
        DeepNet<float> net(p, Cpu{threads});
        NetProgress progress = net.train(training, 0, threads == 3 ? 3 : 5, x.view(), y.view());
        if (threads == 3) {
          const NetProgress rest = net.train(training, 3, 2, x.view(), y.view());
          progress.loss.insert(progress.loss.end(), rest.loss.begin(), rest.loss.end());
        }
        Matrix<float> found(n, n);
        net.kernel(x.view(), x.view(), found.view());
        if (threads == 1) {
          expected = weights_of(net);
          losses = progress.loss;
          grad = gradient(net, training, x, y);
          kernel = found;
          outputs = predict(net, x, 2);
        }
        CHECK(weights_of(net) == expected);
        CHECK(progress.loss == losses);
        CHECK(gradient(net, training, x, y) == grad);
        CHECK(found == kernel);
        CHECK(predict(net, x, 2) == outputs);
        for (std::size_t i = 0; i < n; ++i)
          for (std::size_t j = 0; j < i; ++j) CHECK(found(i, j) == found(j, i));
      }
    }
  }
}

// And agree with the definition there, with rows that are longer than they seem.
TEST(large_nets) {
  const DeepNetParams p{.in_features = 5, .widths = {300, 40}, .doubled = true, .seed = 2};
  constexpr std::size_t n = 300;
  const NetTraining training{.alpha = 0.1, .decay_to_start = true, .step_size = 1e-3};
  Matrix<double> wide = random_rows<double>(n, 8);
  const Matrix<double> y = random_rows<double>(n, 1, 2);
  const View<const double> rows = wide.view().col_block(0, 5);
  Matrix<double> x(n, 5);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < 5; ++j) x(i, j) = wide(i, j);
  DeepNet<double> net(p);
  const Vector start = weights_of(net);
  Deep reference(p, start);
  net_reference::train(reference, training, start, x, y, full_batches(2, n));
  net.train(training, 0, 2, rows, y.view());
  CHECK(near(weights_of(net), reference.weights, 1e-12));
  Matrix<double> kernel(n, 7);
  net.kernel(rows, rows.row_block(1, 7), kernel.view());
  for (const std::size_t i : {0, 150, 299})
    for (std::size_t j = 0; j < 7; ++j)
      CHECK_CLOSE(kernel(i, j),
                  net_reference::kernel(reference, net_reference::row_of(x, i), net_reference::row_of(x, j + 1)), 1e-11);
}

// The mean over seeds is the kernel of the limit up to less than 1/width. Six standard errors, with 15 degrees of freedom,
// of 21 entries in two cases: p = 1e-3.
TEST(mean_kernel_is_near_that_of_the_limit) {
  constexpr std::size_t n = 6, d = 8;
  constexpr std::size_t seeds = 16, width = check::sanitized ? 256 : 2048;
  Matrix<double> x = random_rows<double>(n, d);
  for (std::size_t i = 0; i < n; ++i) {
    const double norm = std::sqrt(sketches::dot(x, i, x, i));
    for (std::size_t j = 0; j < d; ++j) x(i, j) /= norm;
  }
  Matrix<float> rows(n, d);
  std::copy(x.values.begin(), x.values.end(), rows.values.begin());
  const View<const double> exact = std::as_const(x).view();
  for (const std::size_t depth : {1, 2}) {
    Matrix<double> limit(n, n);
    ntk_kernel<double, Cpu>(Cpu{}, exact, exact, {.depth = depth}, limit.view());
    std::vector<Vector> samples(n * n);
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
      const DeepNet<float> net({.in_features = d,
                                .widths = std::vector<std::size_t>(depth, width),
                                .doubled = seed % 2 == 1,
                                .seed = 100 + seed});
      Matrix<float> found(n, n);
      net.kernel(std::as_const(rows).view(), std::as_const(rows).view(), found.view());
      for (std::size_t e = 0; e < n * n; ++e) samples[e].push_back(found.values[e]);
    }
    for (std::size_t e = 0; e < n * n; ++e) {
      const sketches::Moments moments(samples[e]);
      if (!CHECK(std::abs(moments.mean - limit.values[e]) <= 6 * moments.mean_error + 1.0 / width))
        std::cout << "depth " << depth << " entry " << e << ": " << moments.mean << " +- " << moments.mean_error << ", not "
                  << limit.values[e] << "\n";
      // Else this would say little; 2.6 in place of 4 was measured for the diagonal.
      CHECK(moments.mean_error < 4 * limit(0, 0) / std::sqrt(static_cast<double>(seeds * width)));
    }
  }
}

/// Of unit rows and targets of a smooth function.
struct Problem {
  Problem(std::size_t n, std::size_t d) : x(random_rows<double>(n, d)), y(n, 1) {
    for (std::size_t i = 0; i < n; ++i) {
      const double norm = std::sqrt(sketches::dot(x, i, x, i));
      for (std::size_t j = 0; j < d; ++j) x(i, j) /= norm;
      y(i, 0) = std::sin(3 * x(i, 0)) + x(i, 1);
    }
  }
  Matrix<double> x, y;
};

/// |u - v|/|v|.
double distance(const Vector& u, const Vector& v) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    difference += (u[i] - v[i]) * (u[i] - v[i]);
    norm += v[i] * v[i];
  }
  return std::sqrt(difference / norm);
}

// With decay to the start the net follows the kernel's gradient descent, u <- u + eta (kappa^2 Theta (y - u) - alpha u), the
// closer the wider it is: 16 times the width, a quarter of the distance. Eight groups of 5 seeds had ratios of .22 to .35
// and distances of .034 to .045 at the larger width.
TEST(wide_nets_follow_their_kernel) {
  constexpr std::size_t n = 20, d = 5, depth = 2, steps = 60;
  const Problem problem(n, d);
  const NetTraining training{.kappa = 0.9, .alpha = 1, .decay_to_start = true, .step_size = 0.02};
  Matrix<double> theta(n, n);
  const View<const double> x = problem.x.view(), y = problem.y.view();
  ntk_kernel<double, Cpu>(Cpu{}, x, x, {.depth = depth}, theta.view());
  Vector u(n);
  for (std::size_t step = 0; step < steps; ++step) {
    Vector next = u;
    for (std::size_t i = 0; i < n; ++i) {
      next[i] -= training.step_size * training.alpha * u[i];
      for (std::size_t j = 0; j < n; ++j)
        next[i] += training.step_size * training.kappa * training.kappa * theta(i, j) * (y(j, 0) - u[j]);
    }
    u = next;
  }
  const auto distance_at = [&](std::size_t width) {
    double squares = 0;
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      DeepNet<double> net({.in_features = d, .widths = {width, width}, .doubled = true, .seed = seed});
      net.train(training, 0, steps, x, y);
      Vector found = predict(net, problem.x, 1).values;
      for (double& value : found) value *= training.kappa;
      squares += distance(found, u) * distance(found, u);
    }
    return std::sqrt(squares / 5);
  };
  const double narrow = distance_at(32), wide = distance_at(512);
  if (!CHECK(wide < 0.4 * narrow) || !CHECK(wide < 0.06)) std::cout << narrow << " -> " << wide << "\n";
}

// Batches go the same way at equal time: the noise of a pass is of the order of a step's length. Six seeds had differences
// of .006 to .024.
TEST(batches_reach_what_all_rows_reach) {
  constexpr std::size_t n = 24, d = 5, steps = 240;
  const Problem problem(n, d);
  NetTraining training{.alpha = 1, .decay_to_start = true, .step_size = 0.004};
  Vector found[2];
  for (const int batches : {0, 1}) {
    training.batch_size = batches == 1 ? 8 : 0;
    DeepNet<double> net({.in_features = d, .widths = {128, 128}, .doubled = true, .seed = 1});
    net.train(training, 0, steps, problem.x.view(), problem.y.view());
    found[batches] = predict(net, problem.x, 1).values;
  }
  const double off = distance(found[1], found[0]);
  if (!CHECK(off < 0.05)) std::cout << off << "\n";
  CHECK(off > 0);
}

TEST(a_step_too_large_ends_with_the_last_finite_loss) {
  const DeepNetParams p{.in_features = 6, .widths = {32, 16}, .seed = 1};
  const Matrix<float> x = random_rows<float>(10, 6), y = random_rows<float>(10, 1, 2);
  const NetTraining training{.alpha = 0.1, .step_size = 30};
  DeepNet<float> net(p), again(p), in_two(p);
  const NetProgress progress = net.train(training, 0, 1000, x.view(), y.view());
  CHECK(progress.diverged);
  CHECK(progress.steps == progress.loss.size() && progress.steps > 1 && progress.steps < 1000);
  for (const double loss : progress.loss) CHECK(std::isfinite(loss));
  double loss;
  gradient(net, training, x, y, &loss);
  CHECK(loss == progress.loss.back());
  for (const float w : weights_of(net)) CHECK(std::isfinite(w));

  // One step less is a run to the same weights, and the next step is the one undone.
  const NetProgress before = again.train(training, 0, progress.steps - 1, x.view(), y.view());
  CHECK(!before.diverged);
  CHECK(weights_of(again) == weights_of(net));

  // The run may end just where the loss is no longer finite.
  CHECK(!in_two.train(training, 0, progress.steps, x.view(), y.view()).diverged);
  const NetProgress rest = in_two.train(training, progress.steps, 5, x.view(), y.view());
  CHECK(rest.diverged && rest.steps == 0);
  CHECK(weights_of(in_two) == weights_of(net));

  // Weights that were set have none before them, whatever was there.
  net.train({.step_size = 1e-6}, 0, 1, x.view(), y.view());
  std::vector<float> bad = weights_of(net);
  bad[3] = std::numeric_limits<float>::infinity();
  set_weights(net, bad);
  CHECK(net.train(training, 0, 5, x.view(), y.view()).diverged);
  CHECK(weights_of(net) == bad);
}

TEST(one_row_of_one_number) {
  DeepNet<double> net({.in_features = 1, .widths = {1}});
  set_weights<double>(net, {2, 3});  // f = 3 sqrt(2) ReLU(2 x)
  Matrix<double> x(1, 1), y(1, 1), out(1, 1);
  x(0, 0) = 0.5;
  y(0, 0) = 1;
  CHECK_CLOSE(predict(net, x, 1)(0, 0), 3 * std::sqrt(2.0), 1e-15);
  net.kernel(std::as_const(x).view(), std::as_const(x).view(), out.view());
  CHECK_CLOSE(out(0, 0), 3 * 3 * 2 * 0.25 + 2, 1e-14);
  CHECK(net.train({.step_size = 0.01}, 0, 1, x.view(), y.view()).steps == 1);
  const double residual = 3 * std::sqrt(2.0) - 1;
  const std::vector<double> weights = weights_of(net);
  CHECK_CLOSE(weights[0], 2 - 0.01 * residual * 3 * std::sqrt(2.0) * 0.5, 1e-14);
  CHECK_CLOSE(weights[1], 3 - 0.01 * residual * std::sqrt(2.0), 1e-14);

  x(0, 0) = -0.5;  // no unit is active
  CHECK(predict(net, x, 1)(0, 0) == 0);
  CHECK(net.train({.step_size = 0.01}, 0, 1, x.view(), y.view()).loss[0] == 0.5);
  CHECK(weights_of(net) == weights);
}

TEST(no_rows) {
  const DeepNet<double> net({.in_features = 3, .widths = {4}});
  net.predict(View<const double>(nullptr, 0, 3), View<double>(nullptr, 0, 1));
  Matrix<double> x = random_rows<double>(2, 3);
  net.kernel(std::as_const(x).view(), View<const double>(nullptr, 0, 3), View<double>(nullptr, 2, 0));
}

TEST(bad_arguments_are_named) {
  const auto make = [](DeepNetParams p) { return [p] { DeepNet<float>{p}; }; };
  const std::size_t huge = std::size_t{1} << 40;
  CHECK(check::throws<Error>(make({.in_features = 0, .widths = {3}}), "in_features is 0"));
  CHECK(check::throws<Error>(make({.in_features = 3, .widths = {}}), "widths is empty"));
  CHECK(check::throws<Error>(make({.in_features = 3, .widths = {3, 0}}), "widths[1] is 0; at least 1"));
  CHECK(check::throws<Error>(make({.in_features = 3, .widths = {huge}}), "widths[0] is 1099511627776; at most"));
  CHECK(check::throws<Error>(make({.in_features = 3, .widths = {3}, .outputs = 0}), "outputs is 0"));
  const std::size_t large = (std::size_t{1} << 31) - 1;
  CHECK(check::throws<Error>(make({.in_features = large, .widths = {large, large}}), "more than 2^58 weights"));

  DeepNet<float> net({.in_features = 3, .widths = {4}, .outputs = 2});
  const std::vector<float> start = weights_of(net);
  const Matrix<float> x = random_rows<float>(5, 3), y = random_rows<float>(5, 2), other = random_rows<float>(5, 4);
  const auto train = [&](NetTraining training) { return [&, training] { net.train(training, 0, 1, x.view(), y.view()); }; };
  CHECK(check::throws<Error>(train({.alpha = -1, .step_size = 1}), "DeepNet: alpha is -1"));
  CHECK(check::throws<Error>(train({.kappa = NAN, .step_size = 1}), "DeepNet: kappa is nan"));
  CHECK(check::throws<Error>(train({.step_size = 0}), "DeepNet: step_size is 0"));
  CHECK(check::throws<Error>(train({.step_size = 1, .batch_size = 6}), "DeepNet: batch_size is 6; x has 5 rows"));
  const NetTraining training{.step_size = 0.1};
  CHECK(check::throws<Error>([&] { net.train(training, 0, 1, other.view(), y.view()); }, "x has shape (5, 4)"));
  CHECK(check::throws<Error>([&] { net.train(training, 0, 1, x.view(), x.view()); }, "y has shape (5, 3)"));
  CHECK(check::throws<Error>([&] { net.train(training, 0, 1, x.view().row_block(0, 0), y.view().row_block(0, 0)); },
                             "number of rows of x is 0"));
  Matrix<float> row(1, 21), out(5, 3);
  CHECK(check::throws<Error>([&] { net.gradient(training, x.view(), y.view(), row.view()); }, "grad has shape (1, 21)"));
  CHECK(check::throws<Error>([&] { net.predict(x.view(), out.view()); }, "out has shape (5, 3)"));
  CHECK(check::throws<Error>([&] { net.kernel(x.view(), other.view(), out.view()); }, "z has shape (5, 4)"));
  CHECK(check::throws<Error>([&] { net.set_weights(std::as_const(row).view()); }, "weights has shape (1, 21)"));
  CHECK(check::throws<Error>([&] { net.get_weights(row.view()); }, "out has shape (1, 21)"));
  CHECK(weights_of(net) == start);
  CHECK(net.train(training, 0, 3, x.view(), y.view()).steps == 3);
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
