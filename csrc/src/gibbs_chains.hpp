// One move of many Gibbs chains, as formulas of a chain, or of a chain and a row of x.
//
// A move takes w along a curve on which w.x_i = alpha_i f(t) + beta_i g(t): on a line f = 1 and g = t, on a circle f = cos t
// and g = sin t. Each row changes its sign at most once, on a circle once in each half turn; the second half has the
// complement of the first one's patterns at the same angles, so that only one half is ranked and multiplied.
#pragma once

#include <fastntk/leverage.hpp>
#include <fastntk/rng.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>

#include "pattern_pieces.hpp"
#include "tile.hpp"

namespace fastntk {

/// What draws are for; each has a seed of its own.
enum class GibbsDraw : std::uint32_t { start, direction, choice, radius };

/// The vectors whose products with a form's matrix a move needs: the pattern itself, and what the ReLUs are made of on the
/// curve, alpha and beta of the active rows.
enum PatternVector : std::size_t { of_step, of_alpha, of_beta, pattern_vectors };

/// Views of what a batch of chains works on. C chains, n rows of x, d columns.
template <Backend B>
struct GibbsChains {
  GibbsMoves moves;
  bool has_step, has_relu;  // which forms q/p is made of
  std::size_t dim, rows;
  std::size_t first;  // the number of the chain of row 0
  std::uint64_t seed;

  View<double, B> w, v;  // (C, d)
  View<double, B> here;  // (C, 2): where w is on its line, and where it moves to
  // (C, n). alpha is w.x_i between moves.
  View<double, B> alpha, beta, key;
  View<std::uint32_t, B> rank, order;
  // The rows of alpha and of beta are in turn those of one matrix.
  View<double, B> before[pattern_vectors], after[pattern_vectors], base[pattern_vectors], passed[pattern_vectors];
  // In the order of the ranks: the ends of pieces, and by how much forms change there; the second four on the other half
  // of a circle.
  View<double, B> end[3], change[8];
  View<double, B> turn;  // +1 where a row becomes active, -1 where it ceases to be

  View<const double, B> columns;      // (d, n), x transposed
  View<const double, B> nonzero;      // (1, n), 1 for rows of x that are not zero
  View<const double, B> diagonal[2];  // (1, n), of the matrices of the step and of the ReLU form
  // (C, n), on circles: the products where all rows are active. Those of the step are of stride 0, one row for all chains.
  View<const double, B> step_total;
  View<double, B> relu_total[2];

  FASTNTK_FORMULA bool on_circle() const { return moves == GibbsMoves::circles; }

  FASTNTK_FORMULA rng::Draws draws(GibbsDraw what) const {
    return {rng::child_seed(seed, static_cast<std::uint64_t>(what)), rng::Stream::gibbs};
  }
  FASTNTK_FORMULA std::uint64_t index(std::size_t c, std::size_t move) const {
    return static_cast<std::uint64_t>(first + c) << 32 | static_cast<std::uint32_t>(move);
  }
  FASTNTK_FORMULA void normals(GibbsDraw what, std::size_t c, std::size_t move, double* out) const {
    const rng::Draws from = draws(what);
    for (std::size_t i = 0; i < dim; i += 2) {
      const auto pair = rng::Draws::normal_pair(from.bits(index(c, move), static_cast<std::uint32_t>(i / 2)));
      out[i] = pair[0];
      if (i + 1 < dim) out[i + 1] = pair[1];
    }
  }

  FASTNTK_FORMULA double dot(const double* a, const double* b) const {
    double sum = 0;
    for (std::size_t i = 0; i < dim; ++i) sum += a[i] * b[i];
    return sum;
  }

  FASTNTK_FORMULA void start(std::size_t c) const { normals(GibbsDraw::start, c, 0, w.row(c)); }

  /// q/p is positive where a row is active: if it is nowhere at w, it is so at -w.
  FASTNTK_FORMULA void turn_to_rows(std::size_t c) const {
    for (std::size_t i = 0; i < rows; ++i)
      if (alpha(c, i) > 0) return;
    for (std::size_t i = 0; i < rows; ++i) alpha(c, i) = -alpha(c, i);
    for (std::size_t i = 0; i < dim; ++i) w(c, i) = -w(c, i);
  }

  /// v: a random direction, of length 1 on a line; on a circle orthogonal to w and as long.
  FASTNTK_FORMULA void direct(std::size_t c, std::size_t move) const {
    double* const to = v.row(c);
    const double* const from = w.row(c);
    normals(GibbsDraw::direction, c, move, to);
    double length = 1;
    if (on_circle()) {
      const double square = dot(from, from);
      length = std::sqrt(square);
      // Once more: where v is nearly parallel to w, the first difference keeps few digits.
      for (int i = 0; i < 2; ++i) {
        const double shadow = dot(to, from) / square;
        for (std::size_t k = 0; k < dim; ++k) to[k] -= shadow * from[k];
      }
    }
    const double factor = length / std::sqrt(dot(to, to));
    for (std::size_t k = 0; k < dim; ++k) to[k] *= factor;
    here(c, 0) = on_circle() ? 0 : dot(to, from);
  }

  FASTNTK_FORMULA void take_coordinate(std::size_t c, std::size_t k) const { here(c, 0) = w(c, k); }
  FASTNTK_FORMULA void take_column(std::size_t c, std::size_t i, std::size_t k) const { beta(c, i) = columns(k, i); }

  /// Where row i changes its sign, and its entries of the vectors before and after.
  FASTNTK_FORMULA void set_break(std::size_t c, std::size_t i) const {
    double& a = alpha(c, i);
    const double b = beta(c, i);
    double s_before, s_after, at;
    if (on_circle()) {
      at = std::atan2(std::abs(a), a > 0 ? -b : b);
      s_before = a > 0 || (a == 0 && b > 0) ? 1 : 0;
      s_after = a < 0 || (a == 0 && b > 0) ? 1 : 0;
      if (a == 0) at = std::numbers::pi;
    } else {
      a -= b * here(c, 0);
      at = -a / b;
      s_before = b < 0 || (b == 0 && a > 0) ? 1 : 0;
      s_after = b > 0 || (b == 0 && a > 0) ? 1 : 0;
    }
    key(c, i) = at == at ? at : std::numeric_limits<double>::infinity();
    before[of_step](c, i) = s_before;
    after[of_step](c, i) = s_after;
    if (has_relu) {
      before[of_alpha](c, i) = s_before * a;
      after[of_alpha](c, i) = s_after * a;
      before[of_beta](c, i) = s_before * b;
      after[of_beta](c, i) = s_after * b;
    }
  }

  FASTNTK_FORMULA double jump(PatternVector p, std::size_t c, std::size_t i) const {
    return after[p](c, i) - before[p](c, i);
  }
  /// On the other half of a circle a pattern is its first half's less that of all rows.
  FASTNTK_FORMULA double product(const View<double, B>* of, PatternVector p, std::size_t c, std::size_t i,
                                 bool other) const {
    if (!other) return of[p](c, i);
    return of[p](c, i) - (p == of_step ? step_total(c, i) : relu_total[p - of_alpha](c, i));
  }

  /// By how much forms change where row i changes its sign, from the sums passed by then. On the other half of a circle both
  /// the jumps and the sums have the other sign, so that their product is the same formula.
  FASTNTK_FORMULA PieceForm change_at(std::size_t c, std::size_t i, bool other) const {
    PieceForm by;
    if (has_step) {
      const double e = jump(of_step, c, i);
      by.step = e * (2 * product(passed, of_step, c, i, other) + e * diagonal[0](0, i));
    }
    if (has_relu) {
      const double e_0 = jump(of_alpha, c, i), e_1 = jump(of_beta, c, i), square = diagonal[1](0, i);
      const double p_0 = product(passed, of_alpha, c, i, other), p_1 = product(passed, of_beta, c, i, other);
      by.c0 = e_0 * (2 * p_0 + e_0 * square);
      by.c1 = 2 * (e_0 * p_1 + e_1 * p_0 + e_0 * e_1 * square);
      by.c2 = e_1 * (2 * p_1 + e_1 * square);
    }
    return by;
  }

  FASTNTK_FORMULA void set_change(std::size_t c, std::size_t k) const {
    const std::size_t i = order(c, k);
    if (on_circle()) {
      // The mass of a step form takes no more of an end than the angle.
      const CirclePieces::End e = has_relu ? CirclePieces::end(key(c, i)) : CirclePieces::End{key(c, i), 0, 0};
      put_end(c, k, e.at, e.cos, e.sin);
    } else {
      const LinePieces::End e = LinePieces::end(key(c, i));
      put_end(c, k, e.at, e.tail, e.density);
    }
    turn(c, k) = jump(of_step, c, i);
    put_change(c, k, 0, change_at(c, i, false));
    if (on_circle()) put_change(c, k, 1, change_at(c, i, true));
  }
  FASTNTK_FORMULA void put_end(std::size_t c, std::size_t k, double at, double first_value, double second_value) const {
    end[0](c, k) = at;
    end[1](c, k) = first_value;
    end[2](c, k) = second_value;
  }
  FASTNTK_FORMULA void put_change(std::size_t c, std::size_t k, std::size_t half, const PieceForm& by) const {
    if (has_step) change[4 * half](c, k) = by.step;
    if (!has_relu) return;
    change[4 * half + 1](c, k) = by.c0;
    change[4 * half + 2](c, k) = by.c1;
    change[4 * half + 3](c, k) = by.c2;
  }
  FASTNTK_FORMULA PieceForm change_of(std::size_t c, std::size_t k, std::size_t half) const {
    PieceForm by;
    if (has_step) by.step = change[4 * half](c, k);
    if (has_relu) {
      by.c0 = change[4 * half + 1](c, k);
      by.c1 = change[4 * half + 2](c, k);
      by.c2 = change[4 * half + 3](c, k);
    }
    return by;
  }

  /// Forms, and how many rows are active: where none is, q vanishes, whatever rounding has left of the sums.
  struct Place {
    PieceForm form;
    double active = 0;
    FASTNTK_FORMULA void pass(const PieceForm& by, double turned) {
      form += by;
      active += turned;
      if (active == 0) form = {};
    }
  };

  /// Before all break points of the half.
  FASTNTK_FORMULA Place first_place(std::size_t c, bool other) const {
    Place place;
    PieceForm& f = place.form;
    for (std::size_t i = 0; i < rows; ++i) {
      const double step = before[of_step](c, i) - (other ? nonzero(0, i) : 0);
      place.active += std::abs(step);
      if (has_step) f.step += step * product(base, of_step, c, i, other);
      if (has_relu) {
        const double a = before[of_alpha](c, i) - (other ? alpha(c, i) : 0);
        const double b = before[of_beta](c, i) - (other ? beta(c, i) : 0);
        f.c0 += a * product(base, of_alpha, c, i, other);
        f.c1 += 2 * a * product(base, of_beta, c, i, other);
        f.c2 += b * product(base, of_beta, c, i, other);
      }
    }
    if (place.active == 0) f = {};
    return place;
  }

  /// A piece that was drawn, if any.
  template <class Pieces>
  struct Found {
    bool any = false, other = false;
    PieceForm form;
    typename Pieces::End from, to;
  };
  /// The sum of the pieces' masses up to the one that brings it to `target`, which is then found; those of both halves of a
  /// circle in turn.
  template <class Pieces>
  FASTNTK_FORMULA double scan(std::size_t c, Place place, Place other, double target, Found<Pieces>& found) const {
    using End = typename Pieces::End;
    double sum = 0;
    End from = Pieces::first_end();
    for (std::size_t k = 0; k <= rows; ++k) {
      const End to = k < rows ? End{end[0](c, k), end[1](c, k), end[2](c, k)} : Pieces::last_end();
      for (int half = 0; half < (on_circle() ? 2 : 1); ++half) {
        const PieceForm& form = half ? other.form : place.form;
        const double mass = Pieces::mass(form, from, to);
        if (!(mass > 0)) continue;
        sum += mass;
        if (sum >= target) {
          found = {true, half > 0, form, from, to};
          return sum;
        }
      }
      if (k == rows) break;
      place.pass(change_of(c, k, 0), turn(c, k));
      if (on_circle()) other.pass(change_of(c, k, 1), -turn(c, k));
      from = to;
    }
    return sum;
  }

  /// Draws a piece and a place in it; without any mass, which is but rounding, nothing is found.
  template <class Pieces>
  FASTNTK_FORMULA double draw(std::size_t c, std::size_t move, Found<Pieces>& found) const {
    const Place place = first_place(c, false);
    const Place other = on_circle() ? first_place(c, true) : Place();
    const double total_mass = scan<Pieces>(c, place, other, std::numeric_limits<double>::infinity(), found);
    const rng::Block bits = draws(GibbsDraw::choice).bits(index(c, move));
    if (!(total_mass > 0)) return 0;
    scan<Pieces>(c, place, other, rng::Draws::unit_interval(bits[0], bits[1]) * total_mass, found);
    if (!found.any) return 0;
    return place_in_piece<Pieces>(found.form, found.from, found.to, rng::Draws::unit_interval(bits[2], bits[3]));
  }

  FASTNTK_FORMULA void move_on_line(std::size_t c, std::size_t move) const {
    Found<LinePieces> found;
    const double t = draw<LinePieces>(c, move, found);
    here(c, 1) = found.any ? t : here(c, 0);
    const double by = here(c, 1) - here(c, 0);
    if (moves == GibbsMoves::coordinates) {
      w(c, move % dim) = here(c, 1);
    } else {
      for (std::size_t i = 0; i < dim; ++i) w(c, i) += by * v(c, i);
    }
  }

  FASTNTK_FORMULA void move_on_circle(std::size_t c, std::size_t move) const {
    Found<CirclePieces> found;
    const double angle = draw<CirclePieces>(c, move, found);
    if (!found.any) return;
    const CirclePieces::End e = CirclePieces::end(angle);
    const double sign = found.other ? -1 : 1;
    for (std::size_t i = 0; i < dim; ++i) w(c, i) = sign * (e.cos * w(c, i) + e.sin * v(c, i));
    // |w| given the direction: of the law chi_d where the form is that of the pattern, chi_(d+2) where it is that of the
    // ReLUs, which has |w|^2 as a factor, of mean d.
    const double square = dot(w.row(c), w.row(c)), d = static_cast<double>(dim);
    PieceForm relu = found.form;
    relu.step = 0;
    const double of_relu = d / square * CirclePieces::value(relu, e);
    const rng::Block bits = draws(GibbsDraw::choice).bits(index(c, move), 1);
    const bool from_step = rng::Draws::unit_interval(bits[0], bits[1]) * (found.form.step + of_relu) <= found.form.step;
    const double radius = draws(GibbsDraw::radius).chi_square(index(c, move), has_step && from_step ? d : d + 2);
    const double factor = std::sqrt(radius / square);
    for (std::size_t i = 0; i < dim; ++i) w(c, i) *= factor;
  }

  FASTNTK_FORMULA void follow(std::size_t c, std::size_t i) const { alpha(c, i) += beta(c, i) * here(c, 1); }

  /// The pattern at w.
  FASTNTK_FORMULA void set_pattern(std::size_t c, std::size_t i) const {
    const double a = alpha(c, i);
    before[of_step](c, i) = a > 0 ? 1 : 0;
    if (has_relu) before[of_alpha](c, i) = a > 0 ? a : 0;
  }
  /// q/p at w from the products with its pattern: positive, as nothing is drawn where q vanishes, and at least what rounding
  /// leaves of the terms.
  FASTNTK_FORMULA double ratio(std::size_t c) const {
    double sum = 0, sizes = 0;
    const auto add = [&](double term) {
      sum += term;
      sizes += std::abs(term);
    };
    for (std::size_t i = 0; i < rows; ++i) {
      if (has_step) add(before[of_step](c, i) * base[of_step](c, i));
      if (has_relu) add(before[of_alpha](c, i) * base[of_alpha](c, i));
    }
    const double least = std::numeric_limits<double>::epsilon() * sizes;
    if (sum >= least && sum > 0) return sum;
    return least > 0 ? least : std::numeric_limits<double>::min();
  }
};

}  // namespace fastntk
