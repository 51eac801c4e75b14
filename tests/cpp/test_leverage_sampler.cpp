// LeverageSampler: its pieces against q/p by definition, its law against quadrature.
#include <fastntk/leverage.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include "../../csrc/src/gibbs_moves.hpp"
#include "check.hpp"
#include "leverage_reference.hpp"
#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using fastntk::Error;
using fastntk::FeatureFamily;
using fastntk::GibbsChains;
using fastntk::GibbsModel;
using fastntk::GibbsMoves;
using fastntk::LeverageInverse;
using fastntk::LeverageSampler;
using fastntk::LeverageSamplerParams;
using fastntk::Tile;
using fastntk::View;
using sketches::Matrix;

constexpr FeatureFamily relu_families[] = {FeatureFamily::arc_cosine_0, FeatureFamily::arc_cosine_1, FeatureFamily::ntk,
                                           FeatureFamily::relu_ntk};
constexpr GibbsMoves all_moves[] = {GibbsMoves::coordinates, GibbsMoves::lines, GibbsMoves::circles};
constexpr double epsilon = std::numeric_limits<double>::epsilon();

bool possible(GibbsMoves moves, std::size_t d) { return moves != GibbsMoves::circles || d > 1; }

// Rows with all that is special: equal ones, proportional ones of both signs, a zero one, and zero entries of both
// signs.
Matrix<double> special_rows(std::size_t n, std::size_t d) {
  Matrix<double> x = sketches::random_rows<double>(n, d, 10 * n + d);
  const auto set = [&](std::size_t to, std::size_t from, double factor) {
    for (std::size_t k = 0; k < d; ++k) x(to, k) = factor * x(from, k);
  };
  if (n >= 7) {
    set(1, 0, 1);
    set(2, 0, 3);
    set(3, 0, -2);
    set(4, 0, 0);
    x(5, 0) = -0.0;
    x(6, 0) = 0;
  }
  return x;
}

struct Problem {
  Problem(FeatureFamily of, Matrix<double> rows, double alpha = 0.1)
      : family(of), x(std::move(rows)), inverse(leverage::regularised_inverse(leverage::kernel(of, x), alpha)) {}

  LeverageSampler<> sampler(LeverageSamplerParams p, int threads = 0) const {
    p.family = family;
    return LeverageSampler<>(p, x.view(), inverse.view(), Cpu{threads});
  }
  leverage::Forms value(const Matrix<double>& w, std::size_t j = 0) const {
    return leverage::reference(family, 1, LeverageInverse::exact, x, inverse, w, j);
  }

  FeatureFamily family;
  Matrix<double> x, inverse;
};

struct Sample {
  Matrix<double> w, ratio;
};

Sample draw(const LeverageSampler<>& sampler, std::size_t m, std::size_t d) {
  Sample s{Matrix<double>(m, d), Matrix<double>(m, 1)};
  sampler(s.w.view(), s.ratio.view());
  return s;
}

// Chains as a sampler has them, whose single steps can be looked at.
struct Walk {
  Walk(const Problem& problem, GibbsMoves moves, std::size_t count, std::uint64_t seed)
      : model(cpu, problem.family, moves == GibbsMoves::circles, problem.x.view(), problem.inverse.view()),
        chains(
            fastntk::take_chains<Cpu>(memory, model, {.family = problem.family, .moves = moves, .seed = seed}, 0, count)) {
    fastntk::start_chains<Cpu>(cpu, model, chains, count);
  }
  Matrix<double> w(std::size_t c) const {
    Matrix<double> row(1, chains.dim);
    std::copy_n(chains.w.row(c), chains.dim, row.values.begin());
    return row;
  }

  Cpu cpu;
  GibbsModel<Cpu> model;
  Tile<Cpu> memory{cpu};
  GibbsChains<Cpu> chains;
};

// A chain's curve before it moves.
struct Curve {
  Curve(const Walk& walk, std::size_t c, std::size_t move)
      : circle(walk.chains.on_circle()), start(walk.w(c)), v(1, start.cols) {
    const std::size_t d = start.cols;
    if (walk.chains.moves == GibbsMoves::coordinates) {
      v(0, move % d) = 1;
    } else {
      std::copy_n(walk.chains.v.row(c), d, v.values.begin());
    }
    const double shadow = circle ? 0 : sketches::dot(start, 0, v, 0);
    for (std::size_t k = 0; k < d; ++k) start(0, k) -= shadow * v(0, k);
  }
  Matrix<double> at(double t) const {
    Matrix<double> w = start;
    for (std::size_t k = 0; k < w.cols; ++k)
      w(0, k) = circle ? std::cos(t) * start(0, k) + std::sin(t) * v(0, k) : start(0, k) + t * v(0, k);
    return w;
  }
  bool circle;
  Matrix<double> start, v;
};

// The forms of all pieces of a chain's curve against q/p at a point inside: the rounding of n changes of sums of n terms.
template <class Pieces>
void check_pieces(const Problem& problem, const Walk& walk, const Curve& curve, std::size_t c) {
  const GibbsChains<Cpu>& chains = walk.chains;
  const std::size_t n = chains.rows;
  for (const bool other : {false, true}) {
    if (other && !chains.on_circle()) break;
    auto place = chains.first_place(c, other);
    for (std::size_t k = 0; k <= n; ++k) {
      const double from = k == 0 ? Pieces::first_end().at : chains.end[0](c, k - 1);
      const double to = k == n ? Pieces::last_end().at : chains.end[0](c, k);
      // Not where the pattern at the point is a matter of rounding.
      if (to - from > 1e-9 && std::min(std::abs(from), std::abs(to)) < 30) {
        const double t = (std::max(from, -30.0) + std::min(to, 30.0)) / 2;
        const Matrix<double> w = curve.at(other ? t + std::numbers::pi : t);
        const leverage::Forms expected = problem.value(w);
        double value;
        if constexpr (std::same_as<Pieces, fastntk::LinePieces>) {
          value = Pieces::value(place.form, t);
        } else {
          value = Pieces::value(place.form, Pieces::end(t));
        }
        CHECK_CLOSE(value, expected.value, 1e-11 * (1 + expected.magnitude) * static_cast<double>(1 + n));
        CHECK((expected.magnitude == 0) == (place.active == 0));
        if (place.active == 0) CHECK(value == 0);
      }
      if (k < n) place.pass(chains.change_of(c, k, other), (other ? -1 : 1) * chains.turn(c, k));
    }
  }
}

TEST(pieces_have_the_forms_of_their_patterns) {
  for (const FeatureFamily family : relu_families)
    for (const GibbsMoves moves : all_moves)
      for (const std::size_t n : {1, 2, 9, 40})
        for (const std::size_t d : {1, 2, 5}) {
          if (!possible(moves, d)) continue;
          const Problem problem(family, special_rows(n, d));
          const std::size_t count = 6;
          Walk walk(problem, moves, count, n + d);
          for (std::size_t move = 0; move < 4; ++move) {
            fastntk::set_curves<Cpu>(walk.cpu, walk.model, walk.chains, count, move);
            fastntk::multiply_patterns<Cpu>(walk.cpu, walk.model, walk.chains, count, true);
            std::vector<Curve> curves;
            for (std::size_t c = 0; c < count; ++c) curves.emplace_back(walk, c, move);
            fastntk::draw_moves<Cpu>(walk.cpu, walk.chains, count, move);
            for (std::size_t c = 0; c < count; ++c)
              // What a move leaves of its curve is all but w.
              if (moves == GibbsMoves::circles) {
                check_pieces<fastntk::CirclePieces>(problem, walk, curves[c], c);
              } else {
                check_pieces<fastntk::LinePieces>(problem, walk, curves[c], c);
              }
          }
        }
}

// Kolmogorov and Smirnov: sqrt(n) D exceeds 2.65 with probability 2 exp(-2 * 2.65^2) = 1.6e-6, so that any of the less than
// 300 comparisons here fails by chance with probability 5e-4.
constexpr double exceeded = 2.65;

bool uniform(std::vector<double> sample) {
  std::sort(sample.begin(), sample.end());
  const auto n = static_cast<double>(sample.size());
  double distance = 0;
  for (std::size_t i = 0; i < sample.size(); ++i)
    distance = std::max({distance, static_cast<double>(i + 1) / n - sample[i], sample[i] - static_cast<double>(i) / n});
  return std::sqrt(n) * distance < exceeded;
}

// The distribution function of a density on [from, to] that is smooth between `breaks`: Simpson's rule on parts of each
// piece.
class Distribution {
 public:
  Distribution(const std::function<double(double)>& density, std::vector<double> breaks, double from, double to,
               std::size_t parts) {
    breaks.insert(breaks.end(), {from, to});
    std::erase_if(breaks, [&](double t) { return !(t >= from && t <= to); });
    std::sort(breaks.begin(), breaks.end());
    at_.push_back(from);
    below_.push_back(0);
    for (std::size_t b = 0; b + 1 < breaks.size(); ++b) {
      const double step = (breaks[b + 1] - breaks[b]) / static_cast<double>(parts);
      if (step < 1e-12) continue;
      for (std::size_t i = 0; i < parts; ++i) {
        const double l = breaks[b] + static_cast<double>(i) * step;
        // Just inside, for the ends belong to the next piece's pattern.
        const double mass =
            step / 6 * (density(l + 1e-9 * step) + 4 * density(l + step / 2) + density(l + (1 - 1e-9) * step));
        at_.push_back(l + step);
        below_.push_back(below_.back() + mass);
      }
    }
  }
  double operator()(double t) const {
    const std::size_t i = static_cast<std::size_t>(std::upper_bound(at_.begin(), at_.end(), t) - at_.begin());
    if (i == 0) return 0;
    if (i == at_.size()) return 1;
    const double share = (t - at_[i - 1]) / (at_[i] - at_[i - 1]);
    return (below_[i - 1] + share * (below_[i] - below_[i - 1])) / below_.back();
  }

 private:
  std::vector<double> at_, below_;
};

double normal_density(double t) { return std::exp(-t * t / 2); }

// One move's law, given where it starts: the shares of the mass below the places drawn are uniform. Each chain has its own
// curve, and q/p on it is the definition's.
TEST(a_move_follows_the_law_on_its_curve) {
  for (const FeatureFamily family : relu_families)
    for (const GibbsMoves moves : all_moves)
      for (const std::size_t d : {1, 3}) {
        if (!possible(moves, d)) continue;
        const Problem problem(family, special_rows(8, d));
        const std::size_t count = check::repetitions(400), move = 1;
        Walk walk(problem, moves, count, 3);
        fastntk::move_chains<Cpu>(walk.cpu, walk.model, walk.chains, count, 0);
        fastntk::set_curves<Cpu>(walk.cpu, walk.model, walk.chains, count, move);
        std::vector<Curve> curves;
        for (std::size_t c = 0; c < count; ++c) curves.emplace_back(walk, c, move);
        fastntk::multiply_patterns<Cpu>(walk.cpu, walk.model, walk.chains, count, true);
        fastntk::draw_moves<Cpu>(walk.cpu, walk.chains, count, move);
        std::vector<double> shares;
        for (std::size_t c = 0; c < count; ++c) {
          const Curve& curve = curves[c];
          std::vector<double> breaks;
          for (std::size_t i = 0; i < problem.x.rows; ++i) {
            const double a = sketches::dot(problem.x, i, curve.start, 0), b = sketches::dot(problem.x, i, curve.v, 0);
            const double angle = std::atan2(-a, b);
            if (!curve.circle && b != 0) breaks.push_back(-a / b);
            if (curve.circle)
              for (const double turn : {-1, 0, 1, 2}) breaks.push_back(angle + turn * std::numbers::pi);
          }
          const auto density = [&](double t) {
            return problem.value(curve.at(t)).value * (curve.circle ? 1 : normal_density(t));
          };
          const double end = curve.circle ? 2 * std::numbers::pi : 8;
          const Distribution below(density, breaks, curve.circle ? 0 : -8, end, 16);
          const Matrix<double> w = walk.w(c);
          double place = sketches::dot(w, 0, curve.v, 0);
          if (curve.circle) {
            place = std::atan2(place, sketches::dot(w, 0, curve.start, 0));
            if (place < 0) place += 2 * std::numbers::pi;
          }
          shares.push_back(below(place));
          // The rest of w is where it was.
          if (!curve.circle)
            for (std::size_t k = 0; k < d; ++k)
              CHECK_CLOSE(w(0, k), curve.start(0, k) + place * curve.v(0, k), 64 * epsilon * (1 + std::abs(place)));
        }
        CHECK(uniform(shares));
      }
}

// All of the law where it has one dimension.
TEST(one_dimension) {
  for (const FeatureFamily family : relu_families) {
    const Problem problem(family, special_rows(9, 1));
    const auto density = [&](double t) {
      Matrix<double> w(1, 1);
      w(0, 0) = t;
      return problem.value(w).value * normal_density(t);
    };
    const Distribution below(density, {0.0}, -9, 9, 2000);
    for (const GibbsMoves moves : {GibbsMoves::coordinates, GibbsMoves::lines}) {
      const std::size_t m = check::repetitions(10000);
      // Exact at once.
      const Sample s = draw(problem.sampler({.moves = moves, .burn_in = 0, .thinning = 1, .seed = 1}), m, 1);
      std::vector<double> shares;
      for (const double t : s.w.values) shares.push_back(below(t));
      CHECK(uniform(shares));
    }
  }
}

// P(chi^2_k <= x) for even k.
double chi_square_below(double x, std::size_t k) {
  double term = std::exp(-x / 2), above = 0;
  for (std::size_t i = 0; i < k / 2; ++i) {
    above += term;
    term *= x / 2 / static_cast<double>(i + 1);
  }
  return 1 - above;
}

// All of the law in the plane: q/p at the angle t and |w| = r is S(t) + r^2 R(t), so that the angle's density is S + 2R, and
// given it r^2 is chi^2_2 or chi^2_4 with weights S and 2R.
TEST(two_dimensions) {
  for (const FeatureFamily family : relu_families) {
    const Problem problem(family, special_rows(9, 2));
    const auto value = [&](double t, double r) {
      Matrix<double> w(1, 2);
      w(0, 0) = r * std::cos(t);
      w(0, 1) = r * std::sin(t);
      return problem.value(w).value;
    };
    // From two radii: S + R and S + 4R.
    const auto relu = [&](double t) { return (value(t, 2) - value(t, 1)) / 3; };
    const auto step = [&](double t) { return value(t, 1) - relu(t); };
    std::vector<double> breaks;
    for (std::size_t i = 0; i < 9; ++i)
      for (const int turn : {-1, 0, 1})
        breaks.push_back(std::atan2(problem.x(i, 0), -problem.x(i, 1)) + turn * std::numbers::pi);
    const Distribution below([&](double t) { return step(t) + 2 * relu(t); }, breaks, -std::numbers::pi, std::numbers::pi,
                             200);

    for (const GibbsMoves moves : all_moves) {
      const std::size_t m = check::repetitions(5000);
      // Circles are exact at once here, the others soon.
      const std::size_t burn_in = moves == GibbsMoves::circles ? 0 : 25;
      const Sample s = draw(problem.sampler({.moves = moves, .burn_in = burn_in, .thinning = 1, .seed = 2}), m, 2);
      std::vector<double> angles, radii;
      for (std::size_t j = 0; j < m; ++j) {
        const double t = std::atan2(s.w(j, 1), s.w(j, 0)), square = s.w(j, 0) * s.w(j, 0) + s.w(j, 1) * s.w(j, 1);
        angles.push_back(below(t));
        const double from_step = step(t) / (step(t) + 2 * relu(t));
        radii.push_back(from_step * chi_square_below(square, 2) + (1 - from_step) * chi_square_below(square, 4));
      }
      CHECK(uniform(angles));
      CHECK(uniform(radii));
    }
  }
}

// The three kinds of moves have one law: means of a few functions agree within 5 standard errors.
TEST(moves_agree) {
  const std::size_t n = 30, d = 6, m = check::repetitions(1500);
  for (const FeatureFamily family : relu_families) {
    const Problem problem(family, special_rows(n, d));
    std::vector<std::vector<sketches::Moments>> found;
    for (const GibbsMoves moves : all_moves) {
      const Sample s = draw(problem.sampler({.moves = moves, .burn_in = 40, .thinning = 1, .seed = 4}), m, d);
      std::vector<double> first, square, ratio;
      for (std::size_t j = 0; j < m; ++j) {
        first.push_back(s.w(j, 0));
        square.push_back(sketches::dot(s.w, j, s.w, j));
        ratio.push_back(std::log(s.ratio(j, 0)));
      }
      found.push_back({sketches::Moments(first), sketches::Moments(square), sketches::Moments(ratio)});
    }
    for (std::size_t k = 0; k < 3; ++k)
      for (std::size_t f = 0; f < 3; ++f) {
        const sketches::Moments &a = found[k][f], &b = found[(k + 1) % 3][f];
        CHECK_CLOSE(a.mean, b.mean, 5 * std::hypot(a.mean_error, b.mean_error));
      }
  }
}

// Also after hundreds of sweeps: nothing is carried on for longer than a sweep.
TEST(ratios_are_those_of_the_directions) {
  for (const FeatureFamily family : relu_families)
    for (const GibbsMoves moves : all_moves)
      for (const std::size_t n : {1, 9, 40}) {
        const std::size_t d = 4, m = 12;
        const Problem problem(family, special_rows(n, d));
        const std::size_t thinning = n == 9 ? 501 : 3;
        const Sample s =
            draw(problem.sampler({.moves = moves, .chains = 2, .burn_in = 1, .thinning = thinning, .seed = 5}), m, d);
        for (std::size_t j = 0; j < m; ++j) {
          const leverage::Forms expected = problem.value(s.w, j);
          CHECK(s.ratio(j, 0) > 0);
          CHECK_CLOSE(s.ratio(j, 0), expected.value, 1e-13 * expected.magnitude);
        }
      }
}

// Rows in a quarter plane: from the opposite one no row is active.
TEST(nothing_is_drawn_where_no_row_is_active) {
  Matrix<double> x(3, 2);
  x.values = {1, 0.1, 0.1, 1, 1, 1};
  for (const FeatureFamily family : relu_families) {
    const Problem problem(family, x);
    for (const GibbsMoves moves : all_moves) {
      const Sample s = draw(problem.sampler({.moves = moves, .burn_in = 3, .thinning = 1, .seed = 6}), 2000, 2);
      for (std::size_t j = 0; j < 2000; ++j) CHECK(problem.value(s.w, j).magnitude > 0);
      // Nor does a chain start there, from where a curve may have no mass at all.
      const Walk walk(problem, moves, 100, 7);
      for (std::size_t c = 0; c < 100; ++c) CHECK(problem.value(walk.w(c)).magnitude > 0);
    }
  }
}

TEST(same_bits_for_any_threads_and_number_of_directions) {
  for (const FeatureFamily family : relu_families)
    for (const GibbsMoves moves : all_moves) {
      const std::size_t n = 150, d = 5;
      const Problem problem(family, special_rows(n, d));
      const LeverageSamplerParams p{.moves = moves, .burn_in = 2, .thinning = 3, .seed = 7};
      const Sample whole = draw(problem.sampler(p, 1), 150, d);
      for (const int threads : {2, 3, 4}) {
        const Sample again = draw(problem.sampler(p).on(Cpu{threads}), 150, d);
        CHECK(again.w == whole.w);
        CHECK(again.ratio == whole.ratio);
      }
      for (const std::size_t few : {1, 7, 70}) {
        const Sample head = draw(problem.sampler(p), few, d);
        CHECK(std::equal(head.w.values.begin(), head.w.values.end(), whole.w.values.begin()));
        CHECK(std::equal(head.ratio.values.begin(), head.ratio.values.end(), whole.ratio.values.begin()));
      }
      LeverageSamplerParams rest = p;
      rest.first_chain = 70;
      const Sample tail = draw(problem.sampler(rest), 80, d);
      CHECK(std::equal(tail.w.values.begin(), tail.w.values.end(), whole.w.values.begin() + 70 * d));
    }
}

// Directions of a chain lie `thinning` moves apart, after burn_in: the same as one that moves as often at once.
TEST(chains_go_on_where_they_were) {
  const std::size_t d = 3;
  const Problem problem(FeatureFamily::relu_ntk, special_rows(12, d));
  for (const GibbsMoves moves : all_moves) {
    const Sample whole = draw(problem.sampler({.moves = moves, .chains = 3, .burn_in = 4, .thinning = 2, .seed = 8}), 8, d);
    for (std::size_t j = 0; j < 8; ++j) {
      const Sample alone =
          draw(problem.sampler({.moves = moves, .burn_in = 0, .thinning = 4 + 2 * (j / 3 + 1), .seed = 8}), 3, d);
      // From coordinate to coordinate alpha is carried on, and made anew where a direction is written.
      for (std::size_t k = 0; k < d; ++k)
        CHECK_CLOSE(whole.w(j, k), alone.w(j % 3, k), 1e-11 * (1 + std::abs(whole.w(j, k))));
    }
    const Sample many = draw(problem.sampler({.moves = moves, .chains = 100, .seed = 1}), 9, d);
    CHECK(many.w == draw(problem.sampler({.moves = moves, .seed = 1}), 9, d).w);
    CHECK(!(many.w == draw(problem.sampler({.moves = moves, .seed = 2}), 9, d).w));
  }
}

TEST(rows_may_be_apart) {
  const std::size_t n = 10, d = 3, m = 5, gap = 4;
  const Problem problem(FeatureFamily::ntk, special_rows(n, d));
  const Sample dense = draw(problem.sampler({}), m, d);
  const auto spread = [&](const Matrix<double>& from) {
    Matrix<double> to(from.rows, from.cols + gap);
    std::fill(to.values.begin(), to.values.end(), -7);
    for (std::size_t i = 0; i < from.rows; ++i) std::copy_n(&from.values[i * from.cols], from.cols, &to(i, 0));
    return to;
  };
  const Matrix<double> x = spread(problem.x), inverse = spread(problem.inverse);
  Matrix<double> w = spread(Matrix<double>(m, d)), ratio = spread(Matrix<double>(m, 1));
  const LeverageSampler<> sampler({}, x.view().col_block(0, d), inverse.view().col_block(0, n));
  sampler(w.view().col_block(0, d), ratio.view().col_block(0, 1));
  CHECK(w == spread(dense.w));
  CHECK(ratio == spread(dense.ratio));
  sampler(View<double>(nullptr, 0, d), View<double>(nullptr, 0, 1));
}

TEST(bad_parameters_are_named) {
  const Problem problem(FeatureFamily::ntk, special_rows(5, 2));
  const auto x = problem.x.view();
  const auto inverse = problem.inverse.view();
  const auto fails = [&](const LeverageSamplerParams& p, View<const double> rows, View<const double> matrix,
                         const char* part) {
    return check::throws<Error>([&] { LeverageSampler<>(p, rows, matrix); }, part);
  };
  CHECK(fails({.family = FeatureFamily::fourier}, x, inverse, "family is fourier"));
  CHECK(fails({.thinning = 0}, x, inverse, "thinning is 0"));
  CHECK(fails({}, x.row_block(0, 4), inverse, "inverse has shape (5, 5); (4, 4)"));
  CHECK(fails({}, x.row_block(0, 0), inverse, "the number of rows of x is 0"));
  CHECK(fails({}, x.col_block(0, 0), inverse, "the number of columns of x is 0"));
  CHECK(fails({.moves = GibbsMoves::circles}, x.col_block(0, 1), inverse, "x has 1 column"));
  const Matrix<double> zero(5, 2);
  CHECK(fails({}, zero.view(), inverse, "all rows of x are zero"));
  const LeverageSampler<> sampler({.chains = 1, .thinning = std::size_t{1} << 31}, x, inverse);
  Matrix<double> w(2, 2), ratio(2, 1), narrow(2, 1);
  CHECK(check::throws<Error>([&] { sampler(w.view(), ratio.view()); }, "less than 2^32 moves"));
  CHECK(check::throws<Error>([&] { sampler(narrow.view(), ratio.view()); }, "directions has shape (2, 1); (2, 2)"));
  CHECK(check::throws<Error>([&] { sampler(w.view(), w.view()); }, "ratio has shape (2, 2); (2, 1)"));
}

// Whatever the numbers are, a call ends.
TEST(not_a_number) {
  Problem problem(FeatureFamily::relu_ntk, special_rows(9, 3));
  problem.inverse(1, 1) = std::numeric_limits<double>::quiet_NaN();
  problem.x(2, 1) = std::numeric_limits<double>::infinity();
  for (const GibbsMoves moves : all_moves) CHECK(draw(problem.sampler({.moves = moves}), 3, 3).w.rows == 3);
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
