#include <fastntk/nets.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "../../csrc/src/net_batches.hpp"
#include "sketches.hpp"

using namespace fastntk;
using sketches::Matrix;

namespace {

template <class To, class From>
Matrix<To> converted(const Matrix<From>& x) {
  Matrix<To> out(x.rows, x.cols);
  for (std::size_t i = 0; i < x.values.size(); ++i) out.values[i] = static_cast<To>(x.values[i]);
  return out;
}

/// Gradient descent by its definition (L20 sections B and E), in float64, one entry at a time.
struct Network {
  Matrix<double> start, w, out;

  Matrix<double> outputs(const Matrix<double>& x) const {
    Matrix<double> f(x.rows, out.cols);
    for (std::size_t i = 0; i < x.rows; ++i)
      for (std::size_t r = 0; r < w.rows; ++r) {
        const double h = std::max(sketches::dot(w, r, x, i), 0.0);
        for (std::size_t c = 0; c < out.cols; ++c) f(i, c) += h * out(r, c);
      }
    return f;
  }

  /// The loss of some rows, their part `scale` times, and its gradient.
  double loss(const NetTraining& t, const Matrix<double>& x, const Matrix<double>& y, double scale,
              Matrix<double>* gradient) const {
    Matrix<double> residual = outputs(x);
    double value = 0;
    for (std::size_t e = 0; e < residual.values.size(); ++e) {
      residual.values[e] = t.kappa * residual.values[e] - y.values[e];
      value += scale * residual.values[e] * residual.values[e] / 2;
    }
    for (std::size_t r = 0; r < w.rows; ++r)
      for (std::size_t j = 0; j < w.cols; ++j) {
        const double away = w(r, j) - (t.decay_to_start ? start(r, j) : 0);
        value += t.alpha * away * away / 2;
        (*gradient)(r, j) = t.alpha * away;
      }
    for (std::size_t i = 0; i < x.rows; ++i)
      for (std::size_t r = 0; r < w.rows; ++r) {
        if (sketches::dot(w, r, x, i) <= 0) continue;
        double slope = 0;
        for (std::size_t c = 0; c < out.cols; ++c) slope += scale * t.kappa * residual(i, c) * out(r, c);
        for (std::size_t j = 0; j < w.cols; ++j) (*gradient)(r, j) += slope * x(i, j);
      }
    return value;
  }

  double step(const NetTraining& t, const Matrix<double>& x, const Matrix<double>& y, double scale) {
    Matrix<double> gradient(w.rows, w.cols);
    const double value = loss(t, x, y, scale, &gradient);
    for (std::size_t e = 0; e < w.values.size(); ++e) w.values[e] -= t.step_size * gradient.values[e];
    return value;
  }

  /// Step number `step` of a training with batches.
  double batch_step(const NetTraining& t, std::size_t step, const Matrix<double>& x, const Matrix<double>& y) {
    const std::size_t n = x.rows, b = t.batch_size;
    if (b == 0 || b == n) return this->step(t, x, y, 1);
    const std::size_t steps = (n + b - 1) / b;
    const auto [first, rows] = batch_rows(n, steps, step % steps);
    const std::vector<std::uint32_t> order = row_order(t.seed, step / steps, n);
    Matrix<double> bx(rows, x.cols), by(rows, y.cols);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t j = 0; j < x.cols; ++j) bx(r, j) = x(order[first + r], j);
      for (std::size_t j = 0; j < y.cols; ++j) by(r, j) = y(order[first + r], j);
    }
    return this->step(t, bx, by, static_cast<double>(n) / static_cast<double>(rows));
  }
};

struct Problem {
  Problem(std::size_t n, std::size_t d, std::size_t m, std::size_t k)
      : x(sketches::random_rows<double>(n, d, 11)),
        y(sketches::random_rows<double>(n, k, 12)),
        start(sketches::random_rows<double>(m, d, 13)),
        out(sketches::random_rows<double>(m, k, 14)) {
    for (double& value : out.values) value /= std::sqrt(static_cast<double>(m));
    // Rows that come twice, also with other targets; and what float holds exactly.
    for (std::size_t j = 0; n > 2 && j < d; ++j) x(n - 1, j) = x(0, j);
    for (Matrix<double>* const matrix : {&x, &y, &start, &out}) *matrix = converted<double>(converted<float>(*matrix));
  }
  Network network() const { return {start, start, out}; }
  template <class T>
  TwoLayerNet<T> net(int threads = 1) const {
    return TwoLayerNet<T>(converted<T>(start).view(), converted<T>(out).view(), Cpu{threads});
  }

  Matrix<double> x, y, start, out;
};

template <class T>
Matrix<T> weights(const TwoLayerNet<T>& net) {
  Matrix<T> w(net.width(), net.in_features());
  net.get_weights(w.view());
  return w;
}

template <class T>
NetProgress train(TwoLayerNet<T>& net, const NetTraining& t, std::size_t first, std::size_t steps, const Problem& p) {
  return net.train(t, first, steps, converted<T>(p.x).view(), converted<T>(p.y).view());
}

template <class T>
double largest_difference(const Matrix<T>& a, const Matrix<double>& b) {
  double largest = 0;
  for (std::size_t e = 0; e < b.values.size(); ++e)
    largest = std::max(largest, std::abs(static_cast<double>(a.values[e]) - b.values[e]));
  return largest;
}

struct Case {
  std::size_t n, d, m, k, batch;
};
// More rows than a block of them has, more units than a panel, batches that do not divide the rows.
constexpr Case cases[] = {{1, 1, 1, 1, 0},      {2, 1, 3, 1, 1},      {7, 3, 5, 2, 3},     {40, 6, 300, 1, 0},
                          {530, 17, 300, 3, 0}, {600, 3, 40, 1, 525}, {60, 45, 300, 2, 25}};

template <class T>
void check_training(double tolerance) {
  for (const Case& c : cases)
    for (const bool to_start : {false, true})
      for (const double alpha : {0.0, 0.3}) {
        const Problem p(c.n, c.d, c.m, c.k);
        const NetTraining t{.kappa = 0.7,
                            .alpha = alpha,
                            .decay_to_start = to_start,
                            .step_size = 0.5 / static_cast<double>(c.n + 1),
                            .batch_size = c.batch,
                            .seed = 3};
        Network network = p.network();
        TwoLayerNet<T> net = p.net<T>(3);
        constexpr std::size_t steps = 9;
        const NetProgress progress = train(net, t, 0, steps, p);
        CHECK(progress.steps == steps && !progress.diverged && progress.loss.size() == steps);
        for (std::size_t i = 0; i < steps; ++i) {
          const double loss = network.batch_step(t, i, p.x, p.y);
          CHECK_CLOSE(progress.loss[i], loss, tolerance * (1 + loss));
        }
        if (!CHECK(largest_difference(weights(net), network.w) <= tolerance))
          std::cout << "n " << c.n << " m " << c.m << " alpha " << alpha << " to start " << to_start << ": "
                    << largest_difference(weights(net), network.w) << "\n";
        if (c.m > 1) CHECK(largest_difference(weights(net), p.start) > 1e-4);  // else the unit may be dead

        Matrix<T> f(c.n, c.k);
        net.predict(converted<T>(p.x).view(), f.view());
        CHECK(largest_difference(f, network.outputs(p.x)) <= tolerance);
        double drift = 0;
        for (std::size_t r = 0; r < c.m; ++r) {
          double square = 0;
          for (std::size_t j = 0; j < c.d; ++j) square += std::pow(network.w(r, j) - p.start(r, j), 2);
          drift = std::max(drift, std::sqrt(square));
        }
        CHECK_CLOSE(net.drift(), drift, tolerance * std::sqrt(static_cast<double>(c.d)));
      }
}

}  // namespace

// Weights and outputs are below 3 in size and sums of at most 600 terms below 1 in size; rounding errors of 9 steps that are
// contractions add up: 9 * 600 eps at most, in practice some 10 eps. No unit is so near to a kink that rounding could turn
// it.
TEST(training_is_gradient_descent) {
  check_training<double>(1e-13);
  check_training<float>(1e-5);
}

// The loss is piecewise quadratic: central differences are exact but for rounding, as long as no unit turns, which is
// checked.
TEST(gradient_is_that_of_the_loss) {
  constexpr double h = 1e-4;
  for (const std::size_t k : {1, 3})
    for (const bool to_start : {false, true}) {
      const Problem p(8, 4, 20, k);
      const NetTraining t{.kappa = 1.3, .alpha = 0.2, .decay_to_start = to_start};
      TwoLayerNet<double> net = p.net<double>();
      Matrix<double> w = sketches::random_rows<double>(20, 4, 21), gradient(20, 4), ignored(20, 4);
      for (std::size_t r = 0; r < w.rows; ++r)
        for (std::size_t i = 0; i < p.x.rows; ++i) CHECK(std::abs(sketches::dot(w, r, p.x, i)) > h);
      net.set_weights(w.view());
      const double loss = net.gradient(t, p.x.view(), p.y.view(), gradient.view());
      Network network = p.network();
      network.w = w;
      CHECK_CLOSE(loss, network.loss(t, p.x, p.y, 1, &ignored), 1e-13 * loss);
      double square = 0, error = 0;
      for (std::size_t e = 0; e < w.values.size(); ++e) {
        double value[2];
        for (const int side : {0, 1}) {
          Matrix<double> moved = w;
          moved.values[e] += side == 0 ? -h : h;
          net.set_weights(moved.view());
          value[side] = net.gradient(t, p.x.view(), p.y.view(), ignored.view());
        }
        const double difference = (value[1] - value[0]) / (2 * h);
        square += difference * difference;
        error += std::pow(difference - gradient.values[e], 2);
      }
      // Rounding: eps * loss/h = 1e-11 of gradients that are of the loss's size.
      CHECK(std::sqrt(error) <= 1e-9 * std::sqrt(square));
      // Taking it changed nothing, and one step of training goes along it.
      net.set_weights(w.view());
      net.train({.kappa = 1.3, .alpha = 0.2, .decay_to_start = to_start, .step_size = 0.5}, 0, 1, p.x.view(), p.y.view());
      const Matrix<double> after = weights(net);
      for (std::size_t e = 0; e < w.values.size(); ++e)
        CHECK_CLOSE(after.values[e], w.values[e] - 0.5 * gradient.values[e], 1e-13);
    }
}

template <class T>
void check_bits() {
  const Problem p(700, 5, 1500, 2);
  for (const std::size_t batch : {0, 150}) {
    const NetTraining t{
        .kappa = 0.9, .alpha = 0.1, .decay_to_start = batch > 0, .step_size = 1e-4, .batch_size = batch, .seed = 8};
    TwoLayerNet<T> one = p.net<T>(1);
    const NetProgress progress = train(one, t, 5, 8, p);
    const Matrix<T> w = weights(one), x = converted<T>(p.x);
    Matrix<T> f(700, 2), kernel(700, 700);
    one.predict(x.view(), f.view());
    one.kernel(x.view(), x.view(), kernel.view());
    for (const int threads : {2, 3, 4}) {
      TwoLayerNet<T> other = p.net<T>(threads);
      CHECK(train(other, t, 5, 8, p).loss == progress.loss);
      CHECK(weights(other) == w);
      Matrix<T> g(700, 2), h(700, 700);
      other.predict(x.view(), g.view());
      other.kernel(x.view(), x.view(), h.view());
      CHECK(g == f && h == kernel);
    }
    // Cut in two, on another network that gets the weights: what a checkpoint does.
    TwoLayerNet<T> first = p.net<T>(2), second = p.net<T>(1);
    std::vector<double> loss = train(first, t, 5, 3, p).loss;
    second.set_weights(weights(first).view());
    second.run_on(Cpu{3});
    const std::vector<double> rest = train(second, t, 8, 5, p).loss;
    loss.insert(loss.end(), rest.begin(), rest.end());
    CHECK(loss == progress.loss);
    CHECK(weights(second) == w);
  }
}

TEST(same_bits_for_any_threads_and_runs) {
  check_bits<float>();
  check_bits<double>();
}

template <class T>
void check_divergence() {
  const Problem p(30, 4, 100, 1);
  for (const std::size_t batch : {0, 7}) {
    const NetTraining t{.alpha = 0.01, .step_size = 500, .batch_size = batch};
    TwoLayerNet<T> net = p.net<T>();
    const NetProgress progress = train(net, t, 0, 10000, p);
    if (!CHECK(progress.diverged && progress.steps > 1 && progress.steps < 10000)) return;
    CHECK(progress.loss.size() == progress.steps);
    for (const double loss : progress.loss) CHECK(std::isfinite(loss));
    // The weights are those before the last step.
    TwoLayerNet<T> shorter = p.net<T>();
    CHECK(!train(shorter, t, 0, progress.steps - 1, p).diverged);
    CHECK(weights(shorter) == weights(net));
    // Step by step: the last one is undone by the call after it.
    TwoLayerNet<T> single = p.net<T>();
    for (std::size_t i = 0; i < progress.steps; ++i) CHECK(!train(single, t, i, 1, p).diverged);
    CHECK(!(weights(single) == weights(net)));
    const NetProgress last = train(single, t, progress.steps, 1, p);
    CHECK(last.diverged && last.steps == 0 && last.loss.empty());
    CHECK(weights(single) == weights(net));
    // It can go on with smaller steps.
    NetTraining small = t;
    small.step_size = 1e-4;
    net.set_weights(converted<T>(p.start).view());
    const NetProgress after = train(net, small, 0, 50, p);
    CHECK(!after.diverged && (batch > 0 || after.loss.back() < after.loss.front()));
  }
}

TEST(a_step_that_diverges_is_undone) {
  check_divergence<float>();
  check_divergence<double>();
}

// Also where 1 - alpha eta is between two numbers of type T.
template <class T>
void check_rest() {
  const Problem p(4, 5, 40, 1);
  const Matrix<T> x(4, 5), y(4, 1);                          // zero rows: nothing but decay moves the weights
  const double ulp = std::numeric_limits<T>::epsilon() / 2;  // below 1
  for (const double ulps : {1.5, 2.5, 7.25}) {
    TwoLayerNet<T> net = p.net<T>();
    net.train({.alpha = 1, .decay_to_start = true, .step_size = ulps * ulp}, 0, 300, x.view(), y.view());
    CHECK(weights(net) == converted<T>(p.start));
  }
}

TEST(weights_that_decay_to_the_start_stay_there) {
  check_rest<float>();
  check_rest<double>();
}

// Weights that are not finite are noticed even if no output is affected: -inf on positive rows is inactive.
TEST(weights_that_are_not_finite) {
  Problem p(6, 2, 40, 1);
  for (double& value : p.x.values) value = std::abs(value);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()})
    for (const double alpha : {0.0, 0.5}) {
      Matrix<double> w = p.start;
      w(33, 0) = bad;
      TwoLayerNet<double> net = p.net<double>();
      train(net, {.step_size = 0.1}, 0, 1, p);
      net.set_weights(w.view());
      const NetProgress progress = train(net, {.alpha = alpha, .step_size = 0.1}, 0, 5, p);
      CHECK(progress.diverged && progress.steps == 0);
      CHECK(weights(net) == w);  // those that were set: there were none before
    }
  TwoLayerNet<double> net = p.net<double>();
  p.y(2, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK(train(net, {.step_size = 0.1}, 0, 5, p).diverged);
  CHECK(weights(net) == p.start);
}

template <class T>
void check_kernel(double tolerance) {
  for (const Case& c : {Case{1, 1, 1, 1, 0}, Case{300, 6, 700, 1, 0}, Case{20, 3, 50, 4, 0}}) {
    const Problem p(c.n, c.d, c.m, c.k);
    const Matrix<T> x = converted<T>(p.x), z = converted<T>(sketches::random_rows<float>(c.n + 9, c.d, 31));
    const TwoLayerNet<T> net = p.net<T>(3);
    const auto check = [&](const Matrix<T>& left, const Matrix<T>& right, const Matrix<T>& found) {
      std::vector<double> weight(c.m);
      for (std::size_t r = 0; r < c.m; ++r)
        for (std::size_t o = 0; o < c.k; ++o) weight[r] += p.out(r, o) * p.out(r, o) / static_cast<double>(c.k);
      const auto active = [&](const Matrix<T>& rows) {
        const Matrix<double> exact = converted<double>(rows);
        Matrix<double> a(rows.rows, c.m);
        for (std::size_t i = 0; i < rows.rows; ++i)
          for (std::size_t r = 0; r < c.m; ++r) a(i, r) = sketches::dot(exact, i, p.start, r) > 0;
        return a;
      };
      const Matrix<double> a = active(left), b = active(right);
      for (std::size_t i = 0; i < left.rows; ++i)
        for (std::size_t j = 0; j < right.rows; ++j) {
          double common = 0;
          for (std::size_t r = 0; r < c.m; ++r) common += weight[r] * a(i, r) * b(j, r);
          if (!CHECK_CLOSE(found(i, j), common * sketches::dot(left, i, right, j), tolerance)) return;
        }
    };
    Matrix<T> of_x(c.n, c.n), of_z(c.n, z.rows), of_some(c.n, c.n);
    net.kernel(x.view(), x.view(), of_x.view());
    net.kernel(x.view(), z.view(), of_z.view());
    net.kernel(x.view(), z.view().row_block(0, c.n), of_some.view());
    check(x, x, of_x);
    check(x, z, of_z);
    Matrix<T> some(c.n, c.d);
    std::copy_n(z.values.begin(), some.values.size(), some.values.begin());
    check(x, some, of_some);
    for (std::size_t i = 0; i < c.n; ++i)
      for (std::size_t j = 0; j < i; ++j) CHECK(of_x(i, j) == of_x(j, i));
  }
}

// The sum of the weights is below 1 and <x, z> at most d: roundings of 700 terms in the order of a BLAS, at most 700 eps d,
// in practice some eps d.
TEST(kernel_is_its_definition) {
  check_kernel<float>(1e-5);
  check_kernel<double>(1e-14);
}

TEST(rows_with_gaps_and_no_rows) {
  const Problem p(20, 3, 50, 2);
  TwoLayerNet<double> net = p.net<double>();
  Matrix<double> wide(20, 5), found(20, 4), expected(20, 2), gradient(50, 3), wide_gradient(50, 7);
  for (std::size_t i = 0; i < 20; ++i)
    for (std::size_t j = 0; j < 3; ++j) wide(i, j) = p.x(i, j);
  net.predict(p.x.view(), expected.view());
  net.predict(wide.view().col_block(0, 3), found.view().col_block(0, 2));
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(found(i, 0) == expected(i, 0) && found(i, 1) == expected(i, 1));
    CHECK(found(i, 2) == 0 && found(i, 3) == 0);
  }
  net.set_weights(sketches::random_rows<double>(50, 3, 41).view());
  const NetTraining t{.alpha = 0.3, .decay_to_start = true};
  const double loss = net.gradient(t, p.x.view(), p.y.view(), gradient.view());
  CHECK(net.gradient(t, wide.view().col_block(0, 3), p.y.view(), wide_gradient.view().col_block(1, 3)) == loss);
  for (std::size_t r = 0; r < 50; ++r)
    for (std::size_t j = 0; j < 7; ++j) CHECK(wide_gradient(r, j) == (j >= 1 && j < 4 ? gradient(r, j - 1) : 0));
  net.predict(View<const double>(nullptr, 0, 3), View<double>(nullptr, 0, 2));
  net.kernel(View<const double>(nullptr, 0, 3), p.x.view(), View<double>(nullptr, 0, 20));
  net.kernel(p.x.view(), View<const double>(nullptr, 0, 3), View<double>(nullptr, 20, 0));
}

TEST(errors_say_what_is_wrong) {
  const Problem p(6, 3, 10, 1);
  TwoLayerNet<float> net = p.net<float>();
  const Matrix<float> x = converted<float>(p.x), y = converted<float>(p.y), before = weights(net);
  const auto fails = [&](const NetTraining& t, const std::string& part) {
    return check::throws<Error>([&] { net.train(t, 0, 2, x.view(), y.view()); }, part);
  };
  constexpr double infinite = std::numeric_limits<double>::infinity();
  CHECK(fails({}, "step_size is 0"));
  CHECK(fails({.step_size = -1}, "step_size is -1"));
  CHECK(fails({.step_size = infinite}, "step_size is inf"));
  CHECK(fails({.step_size = 1e60}, "step_size is 1e+60"));
  CHECK(fails({.step_size = std::nan("")}, "step_size is nan"));
  CHECK(fails({.kappa = infinite, .step_size = 1}, "kappa is inf"));
  CHECK(fails({.alpha = -0.5, .step_size = 1}, "alpha is -0.5"));
  CHECK(fails({.alpha = infinite, .step_size = 1}, "alpha is inf"));
  CHECK(fails({.step_size = 1, .batch_size = 7}, "batch_size is 7; x has 6 rows"));
  Matrix<float> g(10, 3), wrong(10, 2), f(6, 1);
  CHECK(check::throws<Error>([&] { net.gradient({.alpha = -1}, x.view(), y.view(), g.view()); }, "alpha is -1"));
  CHECK(check::throws<Error>([&] { net.gradient({}, x.view(), y.view(), wrong.view()); }, "grad has shape (10, 2)"));
  CHECK(check::throws<Error>([&] { net.set_weights(wrong.view()); }, "weights has shape (10, 2)"));
  CHECK(check::throws<Error>([&] { net.predict(wrong.view(), f.view()); }, "x has shape (10, 2)"));
  CHECK(check::throws<Error>([&] { net.predict(x.view(), g.view()); }, "out has shape (10, 3)"));
  CHECK(check::throws<Error>([&] { net.kernel(x.view(), wrong.view(), g.view()); }, "z has shape (10, 2)"));
  CHECK(check::throws<Error>([&] { net.train({.step_size = 1}, 0, 1, x.view(), y.view().row_block(0, 5)); }, "y has shape"));
  const View<const float> none(nullptr, 0, 3), no_targets(nullptr, 0, 1);
  CHECK(check::throws<Error>([&] { net.train({.step_size = 1}, 0, 1, none, no_targets); }, "number of rows of x is 0"));
  const Matrix<float> w(0, 3), empty(10, 0), out(10, 1);
  CHECK(check::throws<Error>([&] { TwoLayerNet<float>(w.view(), w.view()); }, "the width, is 0"));
  CHECK(check::throws<Error>([&] { TwoLayerNet<float>(empty.view(), out.view()); }, "columns of start is 0"));
  CHECK(check::throws<Error>([&] { TwoLayerNet<float>(out.view(), empty.view()); }, "columns of out_weights is 0"));
  CHECK(check::throws<Error>([&] { TwoLayerNet<float>(out.view(), x.view()); }, "out_weights has shape (6, 3)"));
  CHECK(weights(net) == before);
  CHECK(!net.train({.step_size = 1e-3}, 0, 2, x.view(), y.view()).diverged);
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
