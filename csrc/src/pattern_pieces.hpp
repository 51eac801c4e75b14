// The leverage function along a curve through w, piece by piece: between two break points no row x_i changes the sign of
// w.x_i, and q/p (L20 Definition 3.1) of a ReLU family is a quadratic form whose mass under the law of the curve is known in
// closed form.
#pragma once

#include <cmath>
#include <numbers>

#include "formula.hpp"

namespace fastntk {

/// q/p on a piece, at the place t of a line or at the angle t of a circle:
///   line    step + c0 + c1 t + c2 t^2
///   circle  step + c0 cos^2 t + c1 cos t sin t + c2 sin^2 t
/// `step` is the form of the pattern itself, the rest that of the ReLUs.
struct PieceForm {
  double step = 0, c0 = 0, c1 = 0, c2 = 0;

  FASTNTK_FORMULA void operator+=(const PieceForm& other) {
    step += other.step;
    c0 += other.c0;
    c1 += other.c1;
    c2 += other.c2;
  }
};

/// A line, whose place t is a standard normal under p.
struct LinePieces {
  /// What a mass needs of an end: the probability beyond it, on the side away from 0, and the density there.
  struct End {
    double at, tail, density;
  };
  /// Beyond it both are zero in double precision.
  static constexpr double farthest = 39;

  FASTNTK_FORMULA static End end(double t) {
    if (!(std::abs(t) < farthest)) return {std::copysign(farthest, t), 0, 0};
    return {t, 0.5 * std::erfc(std::abs(t) * (1 / std::numbers::sqrt2)),
            std::exp(-0.5 * t * t) * (std::numbers::inv_sqrtpi / std::numbers::sqrt2)};
  }

  FASTNTK_FORMULA static End first_end() { return {-farthest, 0, 0}; }
  FASTNTK_FORMULA static End last_end() { return {farthest, 0, 0}; }

  FASTNTK_FORMULA static double value(const PieceForm& f, double t) { return f.step + f.c0 + t * (f.c1 + t * f.c2); }

  FASTNTK_FORMULA static double density(const PieceForm& f, const End& e) { return value(f, e.at) * e.density; }

  /// The integral of form times density from `l` to `u`.
  FASTNTK_FORMULA static double mass(const PieceForm& f, const End& l, const End& u) {
    const double probability = l.at >= 0 ? l.tail - u.tail : u.at <= 0 ? u.tail - l.tail : (0.5 - l.tail) + (0.5 - u.tail);
    return (f.step + f.c0) * probability + f.c1 * (l.density - u.density) +
           f.c2 * (probability + (l.at * l.density - u.at * u.density));
  }
};

/// Half a great circle; the law of the angle t is uniform.
struct CirclePieces {
  struct End {
    double at, cos, sin;
  };

  FASTNTK_FORMULA static End end(double t) { return {t, std::cos(t), std::sin(t)}; }

  FASTNTK_FORMULA static End first_end() { return {0, 1, 0}; }
  FASTNTK_FORMULA static End last_end() { return {std::numbers::pi, -1, 0}; }

  FASTNTK_FORMULA static double value(const PieceForm& f, const End& e) {
    return f.step + f.c0 * e.cos * e.cos + e.sin * (f.c1 * e.cos + f.c2 * e.sin);
  }

  FASTNTK_FORMULA static double density(const PieceForm& f, const End& e) { return value(f, e); }

  /// The integral of the form; with sin(u - l) as a factor, so that short arcs lose nothing.
  FASTNTK_FORMULA static double mass(const PieceForm& f, const End& l, const End& u) {
    const double length = u.at - l.at;
    const double sine = u.sin * l.cos - u.cos * l.sin;
    const double cos_sum = l.cos * u.cos - l.sin * u.sin, sin_sum = l.sin * u.cos + l.cos * u.sin;
    return (f.step + 0.5 * (f.c0 + f.c2)) * length + 0.5 * sine * ((f.c0 - f.c2) * cos_sum + f.c1 * sin_sum);
  }
};

/// The place in a piece below which the share `p` of its mass lies: Newton's method on the mass, and bisection where that
/// leaves the bracket or gains too little.
template <class Pieces>
FASTNTK_FORMULA double place_in_piece(const PieceForm& f, const typename Pieces::End& l, const typename Pieces::End& u,
                                      double p) {
  constexpr int most_steps = 200;
  constexpr double rounding = 1e-16;
  const double target = p * Pieces::mass(f, l, u);
  double low = l.at, high = u.at, step = high - low;
  double t = low + p * step;
  for (int i = 0; i < most_steps; ++i) {
    const typename Pieces::End e = Pieces::end(t);
    const double excess = Pieces::mass(f, l, e) - target;
    const double newton = excess / Pieces::density(f, e);
    if (std::abs(newton) <= rounding * std::abs(t)) break;
    (excess > 0 ? high : low) = t;
    double next = t - newton;
    const bool gains = next > low && next < high && std::abs(newton) < 0.5 * std::abs(step);
    if (!gains) next = low + 0.5 * (high - low);
    if (next == t) break;
    step = next - t;
    t = next;
  }
  return t;
}

}  // namespace fastntk
