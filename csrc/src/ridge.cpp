#include "ridge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ridge_bytes.hpp"
#include "tile.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

constexpr std::size_t most = std::size_t{1}
                             << 24;  // keeps every size of a state within 64 bits, and those of BLAS within 32

// Of a waiting block, when it is copied by way of ordinary rows.
constexpr std::size_t rows_at_once = 64;

void require_size(std::size_t value, const char* name) {
  require_positive(value, name);
  require(value <= most, [&] {
    return std::string(name) + " is " + std::to_string(value) + "; at most " + std::to_string(most) + " is possible";
  });
}

const RidgeStateParams& checked(const RidgeStateParams& params) {
  require_size(params.n_features, "RidgeState: n_features");
  require_size(params.n_targets, "RidgeState: n_targets");
  return params;
}

/// total + 1 + 1 + ..., rounded after each sum.
double add_ones(double total, std::size_t count) {
  const double end = total + static_cast<double>(count);
  if (total == std::floor(total) && end <= 0x1p53) return end;
  for (; count > 0; --count) total += 1;
  return total;
}

}  // namespace

template <Backend B>
RidgeState<B>::State::State(const RidgeStateParams& p, B b)
    : params(checked(p)),
      backend(b),
      tiles(p.n_features),
      right_cols(1 + p.n_targets),
      gram(backend, tiles.elements()),
      cross(backend, p.n_features * right_cols),
      sums(backend, 2 * p.n_targets),
      block(std::in_place_type<RowBlock<float, B>>, backend, tiles),
      right(backend, RowBlock<float, B>::capacity * right_cols) {
  for (Buffer<double, B>* const zeros : {&gram, &cross, &sums}) set_zero(backend, zeros->data(), zeros->size());
}

template <Backend B>
void RidgeState<B>::State::flush(Tile<B>& memory) {
  std::visit(
      [&]<class T>(RowBlock<T, B>& rows_of) {
        if (rows_of.rows == 0) return;
        prepare_products<T>(memory, tiles);
        add_gram(memory, tiles, rows_of, gram.data());
        add_cross(memory, tiles, rows_of, std::as_const(*this).right_rows(0, rows_of.rows),
                  View<double, B>(cross.data(), params.n_features, right_cols));
        rows_of.rows = 0;
      },
      block);
}

template <Backend B>
template <Real T>
RowBlock<T, B>& RidgeState<B>::State::block_of(Tile<B>& memory) {
  if (!std::holds_alternative<RowBlock<T, B>>(block)) {
    RowBlock<T, B> empty(backend, tiles);
    flush(memory);
    block = std::move(empty);
  }
  return std::get<RowBlock<T, B>>(block);
}

template <Backend B>
template <Real T, class Fill>
void RidgeState<B>::State::append(Tile<B>& memory, std::size_t count, Fill fill) {
  RowBlock<T, B>& rows_of = std::get<RowBlock<T, B>>(block);
  for (std::size_t done = 0;;) {
    if (rows_of.rows == rows_of.capacity) flush(memory);
    if (done == count) return;
    const std::size_t part = std::min(count - done, rows_of.capacity - rows_of.rows);
    fill(done, part, rows_of);
    rows_of.rows += part;
    done += part;
  }
}

template <Backend B>
RidgeState<B>::RidgeState(const RidgeStateParams& params, B backend) : state_(std::make_unique<State>(params, backend)) {}
template <Backend B>
RidgeState<B>::RidgeState(std::unique_ptr<State> state) : state_(std::move(state)) {}
template <Backend B>
RidgeState<B>::~RidgeState() = default;
template <Backend B>
RidgeState<B>::RidgeState(RidgeState&&) noexcept = default;
template <Backend B>
RidgeState<B>& RidgeState<B>::operator=(RidgeState&&) noexcept = default;

template <Backend B>
void RidgeState<B>::run_on(const B& backend) {
  require_same_memory(state_->backend, backend, "RidgeState");
  run_in_order(state_->backend, backend);
  state_->backend = backend;
}

template <Backend B>
template <Real T>
void RidgeState<B>::update(View<const T, B> z, View<const double, B> y, const double* sample_weight) {
  State& s = *state_;
  require_shape(z, z.rows, s.params.n_features, "RidgeState: z");
  require_shape(y, z.rows, s.params.n_targets, "RidgeState: y");
  for (std::size_t i = 0; sample_weight && i < z.rows; ++i) {
    require(sample_weight[i] >= 0 && std::isfinite(sample_weight[i]), [&] {
      return "RidgeState: sample_weight[" + std::to_string(i) + "] is " + std::to_string(sample_weight[i]) +
             "; weights are finite and not negative";
    });
  }

  Tile<B> memory(s.backend);
  const ProductLibrary<B> library(s.backend);
  ChosenRows<B> rows{z.rows};
  double total_weight = s.total_weight;
  std::vector<std::size_t> source;
  std::vector<double> weight;
  if (!sample_weight) {
    total_weight = add_ones(total_weight, z.rows);
  } else {
    source.reserve(z.rows);
    weight.reserve(z.rows);
    for (std::size_t i = 0; i < z.rows; ++i) {
      if (sample_weight[i] == 0) continue;
      source.push_back(i);
      weight.push_back(sample_weight[i]);
      total_weight += sample_weight[i];
    }
    rows = {source.size(), stage(memory, source.data(), source.size()), stage(memory, weight.data(), weight.size())};
  }
  if (rows.count == 0) return;

  // All that can fail for lack of memory comes before the first change.
  const RowBlock<T, B>* const present = std::get_if<RowBlock<T, B>>(&s.block);
  if ((present ? present->rows : 0) + rows.count >= RowBlock<T, B>::capacity) prepare_products<T>(memory, s.tiles);
  s.template block_of<T>(memory);

  add_sums(s.backend, y, rows, s.sums.data());
  s.template append<T>(memory, rows.count, [&](std::size_t first, std::size_t count, RowBlock<T, B>& block) {
    fill_block(s.backend, s.tiles, z, rows.part(first, count), block);
    fill_right(s.backend, y, rows.part(first, count), s.right_rows(block.rows, count));
  });
  s.total_weight = total_weight;
  s.rows += rows.count;
}

template <Backend B>
void RidgeState<B>::merge(const RidgeState& other) {
  State& s = *state_;
  const State& o = *other.state_;
  require(o.params.n_features == s.params.n_features && o.params.n_targets == s.params.n_targets, [&] {
    const auto text = [](const RidgeStateParams& p) {
      return std::to_string(p.n_features) + " features and " + std::to_string(p.n_targets) + " targets";
    };
    return "RidgeState: the other state has " + text(o.params) + "; " + text(s.params) + " are needed";
  });
  if (&other == this || !same_memory(o.backend, s.backend)) return merge(from_bytes(other.to_bytes(), s.backend));

  run_in_order(o.backend, s.backend);
  std::visit(
      [&]<class T>(const RowBlock<T, B>& from) {
        Tile<B> memory(s.backend);
        const ProductLibrary<B> library(s.backend);
        View<T, B> z;
        if (from.rows > 0) {
          z = memory.template scratch<T>(rows_at_once, s.params.n_features);
          prepare_products<T>(memory, s.tiles);
        }
        if (from.rows > 0 || s.rows == 0) s.template block_of<T>(memory);
        add_numbers(s.backend, o.gram.data(), o.gram.size(), s.gram.data());
        add_numbers(s.backend, o.cross.data(), o.cross.size(), s.cross.data());
        add_numbers(s.backend, o.sums.data(), o.sums.size(), s.sums.data());
        for (std::size_t r = 0; r < from.rows; r += rows_at_once) {
          const std::size_t rows = std::min(rows_at_once, from.rows - r);
          read_block(s.backend, s.tiles, from, r, z.row_block(0, rows));
          s.template append<T>(memory, rows, [&](std::size_t first, std::size_t count, RowBlock<T, B>& block) {
            fill_block<T, B>(s.backend, s.tiles, z, {.count = count, .first = first}, block);
            copy_numbers(s.backend, o.right_rows(r + first, count).data, count * s.right_cols,
                         s.right_rows(block.rows, count).data);
          });
        }
      },
      o.block);
  s.total_weight += o.total_weight;
  s.rows += o.rows;
  run_in_order(s.backend, o.backend);
}

namespace {

/// The normal equations of all rows, with the intercept eliminated: (G_c + alpha I) coef = rhs, where G_c and rhs are
/// centred by the weighted means, and `variation` is the centred Y^T Y. What has as many numbers as G_c is in the memory of
/// B, the rest on the host.
template <Backend B, class State>
struct NormalEquations {
  NormalEquations(const State& state, bool fit_intercept, Tile<B>& memory)
      : s(state), tile(memory), n(state.params.n_features), t(state.params.n_targets), rhs(n * t) {
    const std::vector<double> total = [&] {
      Buffer<double, B> sum(s.backend, s.cross.size());
      copy_numbers(s.backend, s.cross.data(), s.cross.size(), sum.data());
      std::visit(
          [&](const auto& rows_of) {
            add_cross(tile, s.tiles, rows_of, s.right_rows(0, rows_of.rows), View<double, B>(sum.data(), n, t + 1));
          },
          s.block);
      return sum.to_host();
    }();
    const std::vector<double> target_sums = s.sums.to_host();
    target_sum.assign(target_sums.begin(), target_sums.begin() + static_cast<std::ptrdiff_t>(t));
    variation.assign(target_sums.begin() + static_cast<std::ptrdiff_t>(t), target_sums.end());
    for (std::size_t i = 0; i < n; ++i) std::copy_n(&total[i * (t + 1) + 1], t, &rhs[i * t]);
    if (!fit_intercept) return;
    sums.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      sums[i] = total[i * (t + 1)];
      const double mean = sums[i] / s.total_weight;
      for (std::size_t k = 0; k < t; ++k) rhs[i * t + k] -= mean * target_sum[k];
    }
    for (std::size_t k = 0; k < t; ++k) variation[k] -= target_sum[k] * (target_sum[k] / s.total_weight);
    near_sums = Buffer<double, B>(s.backend, sums);
  }

  /// out = G_c + diagonal I; the trace of G_c is returned.
  template <Real F>
  double matrix(double diagonal, F* out) const {
    const double trace = std::visit(
        [&](const auto& rows_of) {
          return assemble(tile, s.tiles, s.gram.data(), rows_of, near_sums.data(), s.total_weight, diagonal, out);
        },
        s.block);
    require(std::isfinite(trace) && std::all_of(rhs.begin(), rhs.end(), [](double v) { return std::isfinite(v); }),
            "RidgeState: the sums are not finite; a row or target was NaN, infinite or too large to be squared");
    return trace;
  }

  /// The trace of G, not centred, from that of G_c.
  double gram_trace(double trace) const {
    for (const double sum : sums) trace += sum * (sum / s.total_weight);
    return trace;
  }

  /// Where G_c (of the given trace) is no more than the rounding of G, as it is for equal rows, the columns of rhs that are
  /// no more than theirs become 0: the quotient of two roundings could be anything.
  void drop_rounding(double trace) {
    if (sums.empty()) return;
    const double of_gram = gram_trace(trace);
    // The errors of sums of equal terms add up, those of float products within a block. All rows are taken to be of the
    // precision of the last ones.
    const double steps = 2 * static_cast<double>(s.rows) + 8;
    double gram_eps = steps * std::numeric_limits<double>::epsilon(), rhs_eps = gram_eps;
    if (std::holds_alternative<RowBlock<float, B>>(s.block)) {
      constexpr double eps = std::numeric_limits<float>::epsilon();
      gram_eps += std::min(steps, 2.0 * RowBlock<float, B>::capacity + 8) * eps;
      rhs_eps += 4 * eps;  // of the rows times the roots of their weights
    }
    if (!(trace <= gram_eps * of_gram) || !std::isfinite(of_gram)) return;
    for (std::size_t k = 0; k < t; ++k) {
      double square = 0;
      for (std::size_t e = k; e < n * t; e += t) square += rhs[e] * rhs[e];
      const double of_targets = variation[k] + target_sum[k] * (target_sum[k] / s.total_weight);
      if (std::sqrt(square) > rhs_eps * std::sqrt(of_gram) * std::sqrt(of_targets)) continue;
      for (std::size_t e = k; e < n * t; e += t) rhs[e] = 0;
    }
  }

  /// out = rhs - (G_c + alpha I) x.
  void residual(double alpha, const std::vector<double>& x, std::vector<double>& out) const {
    const std::vector<double> product = gram_times(x);
    const std::vector<double> projection = sums_times(x);
    for (std::size_t i = 0; i < n; ++i) {
      const double mean = sums.empty() ? 0 : sums[i] / s.total_weight;
      for (std::size_t k = 0; k < t; ++k) {
        out[i * t + k] = rhs[i * t + k] - (product[i * t + k] - mean * projection[k] + alpha * x[i * t + k]);
      }
    }
  }

  /// G x for the G of all rows, not centred.
  std::vector<double> gram_times(const std::vector<double>& x) const {
    const Buffer<double, B> near_x(s.backend, x);
    const View<const double, B> xv(near_x.data(), n, t);
    Buffer<double, B> product(s.backend, n * t);
    const View<double, B> out(product.data(), n, t);
    multiply_gram(tile, s.tiles, s.gram.data(), xv, out);
    std::visit(
        [&](const auto& rows_of) {
          if (rows_of.rows == 0) return;
          Array<double, B> fitted(s.backend, rows_of.rows, t);
          multiply_block(tile, s.tiles, rows_of, xv, fitted.view());
          add_cross(tile, s.tiles, rows_of, std::as_const(fitted).view(), out);
        },
        s.block);
    return product.to_host();
  }

  /// sums^T x, 0 without intercept.
  std::vector<double> sums_times(const std::vector<double>& x) const {
    std::vector<double> out(t);
    for (std::size_t i = 0; i < sums.size(); ++i)
      for (std::size_t k = 0; k < t; ++k) out[k] += sums[i] * x[i * t + k];
    return out;
  }

  /// x = (L L^T)^-1 x.
  template <Real F>
  void solve(const F* factor, std::vector<F>& x) const {
    Buffer<F, B> near_x(s.backend, x);
    cholesky_solve(tile, s.tiles, factor, View<F, B>(near_x.data(), n, t));
    x = near_x.to_host();
  }

  const State& s;
  Tile<B>& tile;
  const std::size_t n, t;
  std::vector<double> sums;  // of the weighted rows; empty without intercept
  std::vector<double> target_sum, variation;
  std::vector<double> rhs;
  Buffer<double, B> near_sums;  // sums in the memory of B
};

struct Coefficients {
  std::vector<double> values;
  double jitter = 0;
  double inverse_trace = std::numeric_limits<double>::quiet_NaN();  // of (G_c + (alpha + jitter) I)^-1
};

template <Backend B, class Equations>
Coefficients solve_float64(Equations& equations, double alpha, bool with_trace) {
  const auto& s = equations.s;
  Buffer<double, B> factor(s.backend, s.tiles.elements());
  Coefficients out;
  for (;;) {
    const double trace = equations.matrix(alpha + out.jitter, factor.data());
    equations.drop_rounding(trace);
    if (cholesky(equations.tile, s.tiles, factor.data())) break;
    // The rounding of G_c is that of G before it was centred: of the order of eps times its largest eigenvalue, which lies
    // between the mean one and the trace.
    const double of_gram = equations.gram_trace(trace);
    require(out.jitter <= of_gram && std::isfinite(out.jitter),
            "RidgeState: the matrix of the normal equations is not finite");
    const double smallest =
        std::numeric_limits<double>::epsilon() * std::max(of_gram / static_cast<double>(equations.n), alpha);
    out.jitter = out.jitter == 0 ? smallest : 32 * out.jitter;
  }
  out.values = equations.rhs;
  equations.solve(factor.data(), out.values);
  if (with_trace) out.inverse_trace = inverse_norm(equations.tile, s.tiles, factor.data());
  return out;
}

/// The largest ratio of a column norm of a to that of b; columns of zeros count as equal.
double largest_ratio(const std::vector<double>& a, const std::vector<double>& b, std::size_t cols) {
  double largest = 0;
  for (std::size_t k = 0; k < cols; ++k) {
    double aa = 0, bb = 0;
    for (std::size_t i = k; i < a.size(); i += cols) {
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    if (aa == 0) continue;
    const double ratio = std::sqrt(aa / bb);
    if (std::isnan(ratio)) return ratio;
    largest = std::max(largest, ratio);
  }
  return largest;
}

/// Iterative refinement: x += A_32^-1 (rhs - A x) until the correction is small. False if the float factor does not exist or
/// is too far from A for that.
template <Backend B, class Equations>
bool solve_mixed(Equations& equations, double alpha, bool with_trace, Coefficients& out) {
  constexpr double small = 1e-8;  // of a correction; what is left after it is smaller by the rate of convergence
  constexpr double slowest = 0.25;
  const auto& s = equations.s;
  const std::size_t n = equations.n, t = equations.t;
  Buffer<float, B> factor(s.backend, s.tiles.elements());
  equations.drop_rounding(equations.matrix(alpha, factor.data()));
  if (!cholesky(equations.tile, s.tiles, factor.data())) return false;

  out = {};
  out.values.resize(n * t);
  std::vector<double> residual = equations.rhs, correction(n * t), scale(t);
  std::vector<float> scaled(n * t);
  for (double before = std::numeric_limits<double>::infinity();;) {
    // Columns are brought to size 1, so that float holds them.
    std::fill(scale.begin(), scale.end(), 0.0);
    for (std::size_t e = 0; e < n * t; ++e) scale[e % t] = std::max(scale[e % t], std::abs(residual[e]));
    for (double& value : scale) value = value > 0 ? value : 1;
    for (std::size_t e = 0; e < n * t; ++e) scaled[e] = static_cast<float>(residual[e] / scale[e % t]);
    equations.solve(factor.data(), scaled);
    for (std::size_t e = 0; e < n * t; ++e) {
      correction[e] = scale[e % t] * static_cast<double>(scaled[e]);
      out.values[e] += correction[e];
    }
    const double now = largest_ratio(correction, out.values, t);
    if (now <= small) break;
    if (!(now <= slowest * before)) return false;
    before = now;
    equations.residual(alpha, out.values, residual);
  }
  if (with_trace) out.inverse_trace = inverse_norm(equations.tile, s.tiles, factor.data());
  return true;
}

}  // namespace

template <Backend B>
RidgeSolution RidgeState<B>::solve(const RidgeSolveParams& p, View<double> coef, View<double> intercept) const {
  const State& s = *state_;
  require(p.alpha > 0 && std::isfinite(p.alpha),
          [&] { return "RidgeState: alpha is " + std::to_string(p.alpha) + "; a positive finite number is needed"; });
  require_shape(coef, s.params.n_features, s.params.n_targets, "RidgeState: coef");
  require_shape(intercept, 1, s.params.n_targets, "RidgeState: intercept");
  require(s.rows > 0, "RidgeState: no rows of positive weight were added; at least 1 is needed");

  Tile<B> memory(s.backend);
  const ProductLibrary<B> library(s.backend);
  NormalEquations<B, State> equations(s, p.fit_intercept, memory);
  Coefficients solved;
  RidgeSolution solution{.gcv = std::numeric_limits<double>::quiet_NaN(), .jitter = 0, .factor = p.factor};
  if (p.factor == RidgeFactor::float64 || !solve_mixed<B>(equations, p.alpha, p.with_gcv, solved)) {
    solved = solve_float64<B>(equations, p.alpha, p.with_gcv);
    solution.factor = RidgeFactor::float64;
  }
  solution.jitter = solved.jitter;

  const std::size_t n = equations.n, t = equations.t;
  const std::vector<double> projection = equations.sums_times(solved.values);
  for (std::size_t k = 0; k < t; ++k)
    intercept(0, k) = p.fit_intercept ? (equations.target_sum[k] - projection[k]) / s.total_weight : 0;
  for (std::size_t i = 0; i < n; ++i) std::copy_n(&solved.values[i * t], t, coef.row(i));

  if (p.with_gcv) {
    // With (G_c + a I) coef = rhs: |Y_c - Z_c coef|^2 = |Y_c|^2 - coef^T rhs - a |coef|^2, and
    // tr(hat) = tr (G_c + a I)^-1 G_c = n_features - a tr (G_c + a I)^-1, plus 1 for the intercept.
    const double a = p.alpha + solved.jitter;
    double squares = 0, variation = 0;
    for (std::size_t k = 0; k < t; ++k) {
      variation += equations.variation[k];
      double left = equations.variation[k];
      for (std::size_t e = k; e < n * t; e += t) left -= solved.values[e] * (equations.rhs[e] + a * solved.values[e]);
      squares += std::max(left, 0.0);
    }
    // A row of weight 2 counts as two rows.
    const double samples = s.total_weight;
    const double freedom = samples - (static_cast<double>(n) - a * solved.inverse_trace) - (p.fit_intercept ? 1 : 0);
    // Both are differences of much larger numbers where the fit is all but exact: what is left of them is then rounding.
    const bool known = solved.jitter == 0 && freedom > 0 && freedom >= 1e-4 * samples && squares >= 1e-10 * variation;
    solution.gcv = known ? samples * squares / (freedom * freedom) : std::numeric_limits<double>::infinity();
  }
  return solution;
}

template <Backend B>
std::uint64_t RidgeState<B>::rows() const {
  return state_->rows;
}

template <Backend B>
double RidgeState<B>::total_weight() const {
  return state_->total_weight;
}

template <Backend B>
const RidgeStateParams& RidgeState<B>::params() const {
  return state_->params;
}

template <Backend B>
std::string RidgeState<B>::to_bytes() const {
  const State& s = *state_;
  const std::size_t waiting = s.waiting();
  RidgeHeader header;
  header.tile_edge = s.tiles.edge;
  header.block_capacity = RowBlock<float, B>::capacity;
  header.n_features = s.params.n_features;
  header.n_targets = s.params.n_targets;
  header.rows = s.rows;
  header.waiting = waiting;
  header.element_bytes = std::holds_alternative<RowBlock<double, B>>(s.block) ? sizeof(double) : sizeof(float);
  header.total_weight = s.total_weight;

  ByteWriter writer(header.size());
  writer.write(&header, 1);
  writer.write(s.backend, s.gram.data(), s.gram.size());
  writer.write(s.backend, s.cross.data(), s.cross.size());
  writer.write(s.backend, s.sums.data(), s.sums.size());
  writer.write(s.backend, s.right.data(), waiting * s.right_cols);
  std::visit(
      [&]<class T>(const RowBlock<T, B>& rows_of) {
        Array<T, B> some(s.backend, rows_at_once, s.params.n_features);
        for (std::size_t r = 0; r < waiting; r += rows_at_once) {
          const View<T, B> rows = some.view().row_block(0, std::min(rows_at_once, waiting - r));
          read_block(s.backend, s.tiles, rows_of, r, rows);
          writer.write(s.backend, rows.data, rows.rows * rows.cols);
        }
      },
      s.block);
  return std::move(writer).finish();
}

template <Backend B>
RidgeState<B> RidgeState<B>::from_bytes(const std::string& bytes, B backend) {
  RidgeHeader header;
  require(bytes.size() >= sizeof header + sizeof(std::uint64_t),
          [&] { return "RidgeState: bytes has " + std::to_string(bytes.size()) + " bytes, too few for a state"; });
  ByteReader reader(bytes);
  reader.read(&header, 1);
  require(header.magic == RidgeHeader::magic_value, "RidgeState: bytes is not a saved state (its first 8 bytes are wrong)");
  require(header.version == RidgeHeader::current_version, [&] {
    return "RidgeState: bytes has format version " + std::to_string(header.version) + "; this build reads version " +
           std::to_string(RidgeHeader::current_version);
  });
  // Before anything is allocated: sizes within limits, and the length that follows from them.
  require(header.n_features > 0 && header.n_features <= most && header.n_targets > 0 && header.n_targets <= most &&
              header.tile_edge == TriangleTiles(header.n_features).edge &&
              header.block_capacity == RowBlock<float, B>::capacity && header.waiting < RowBlock<float, B>::capacity &&
              header.waiting <= header.rows &&
              (header.element_bytes == sizeof(float) || header.element_bytes == sizeof(double)),
          "RidgeState: bytes is damaged (impossible sizes in its header)");
  require(bytes.size() == header.size() + sizeof(std::uint64_t), [&] {
    return "RidgeState: bytes has " + std::to_string(bytes.size()) + " bytes; its header tells of " +
           std::to_string(header.size() + sizeof(std::uint64_t));
  });
  require(reader.checksum_agrees(), "RidgeState: bytes is damaged (the checksum does not agree)");

  auto state = std::make_unique<State>(RidgeStateParams{header.n_features, header.n_targets}, backend);
  State& s = *state;
  s.rows = header.rows;
  s.total_weight = header.total_weight;
  reader.read(backend, s.gram.data(), s.gram.size());
  reader.read(backend, s.cross.data(), s.cross.size());
  reader.read(backend, s.sums.data(), s.sums.size());
  reader.read(backend, s.right.data(), header.waiting * s.right_cols);
  Tile<B> memory(backend);
  if (header.element_bytes == sizeof(double)) s.template block_of<double>(memory);
  std::visit(
      [&]<class T>(RowBlock<T, B>& rows_of) {
        Array<T, B> some(backend, rows_at_once, s.params.n_features);
        while (rows_of.rows < header.waiting) {
          const std::size_t count = std::min<std::size_t>(rows_at_once, header.waiting - rows_of.rows);
          const View<T, B> rows = some.view().row_block(0, count);
          reader.read(backend, rows.data, rows.rows * rows.cols);
          fill_block<T, B>(backend, s.tiles, rows, {.count = count}, rows_of);
          rows_of.rows += count;
        }
      },
      s.block);
  return RidgeState(std::move(state));
}

template class RidgeState<FASTNTK_BACKEND>;
#define FASTNTK_INSTANTIATE(T)                                                                                           \
  template void RidgeState<FASTNTK_BACKEND>::update(View<const T, FASTNTK_BACKEND>, View<const double, FASTNTK_BACKEND>, \
                                                    const double*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
