// Ridge regression from a mergeable state.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fastntk {

struct RidgeStateParams {
  std::size_t n_features = 0;
  std::size_t n_targets = 0;
};

/// The precision of the triangular factor behind a solution.
enum class RidgePrecision {
  float64,
  /// A float32 factor and iterative refinement against the float64 state: half the time and memory, and the solution of the
  /// float64 factor to about 1e-8; where that does not converge, the float64 factor is used. For trying many alphas.
  mixed,
};

struct RidgeSolveParams {
  double alpha = 1;
  bool fit_intercept = true;
  bool with_gcv = false;
  RidgePrecision precision = RidgePrecision::float64;
  bool with_condition = false;
};

struct RidgeSolution {
  /// Generalised cross-validation score n |W^(1/2) (Y - Yhat)|^2 / (n - tr(hat))^2 (Golub, Heath and Wahba 1979), n the
  /// total weight, summed over the targets, the intercept counted as one degree of freedom; infinite where only
  /// rounding is left of it (n - tr(hat) or the squares too small, or jitter), and NaN if it was not asked for. Float rows,
  /// and the trace from a mixed factor, leave it the digits of float.
  double gcv = 0;
  /// What was added to the diagonal beyond alpha, to make the factorisation succeed (0 as a rule).
  double jitter = 0;
  /// The precision of the factor in the end.
  RidgePrecision precision = RidgePrecision::float64;
  /// The condition number of G + (alpha + jitter) I, G centred if there is an intercept, from 8 steps of the Lanczos
  /// iteration with the matrix and with its factor: from below, and rarely less than a quarter of it (Kuczynski and
  /// Wozniakowski 1992). NaN if it was not asked for.
  double condition = std::numeric_limits<double>::quiet_NaN();
  /// eps tr(G), eps that of the last rows and G not centred: as much as the rounding of the rows' products can change an
  /// eigenvalue. Of directions whose eigenvalues and alpha are below, little is known.
  double resolution = 0;
};

/// What is added to the diagonal of G + alpha I, G (n, n), instead of `jitter`, with which it had no Cholesky factor;
/// `trace` is that of G before it was centred. Nothing if that is more than rounding can make up for: G is indefinite or not
/// finite.
std::optional<double> next_ridge_jitter(double jitter, double alpha, double trace, std::size_t n);

/// The score of generalised cross-validation (Golub, Heath and Wahba 1979) from the total weight n of the rows, n - tr(hat),
/// |W^(1/2) (Y - Yhat)|^2 and that of the mean, or of 0 without intercept; infinite where only rounding is left of it.
double ridge_gcv(double total_weight, double freedom, double squares, double variation);

/// Where RidgeState::equations() writes the normal equations (G + alpha I) coef = rhs of all rows, all on the host: with an
/// intercept G and rhs are centred by the weighted means, and variation is the diagonal of the centred Y^T Y; without one
/// the means are 0.
struct RidgeEquations {
  View<double> gram;         // G, both triangles, (n_features, n_features)
  View<double> rhs;          // (n_features, n_targets)
  View<double> mean;         // of the features, (1, n_features)
  View<double> target_mean;  // (1, n_targets)
  View<double> variation;    // (1, n_targets)
};

/// A part of a saved state: bytes of its own, or numbers of the state that lie where they are.
struct RidgePiece {
  std::string own;
  std::string_view elsewhere;  // if `own` is empty

  std::string_view view() const { return own.empty() ? elsewhere : std::string_view(own); }
};

/// The sufficient statistics of ridge regression: G = Z^T Z, Z^T Y, Y^T Y, column sums, weights and counts (section 5 of
/// Z21 solves the same normal equations). Rows of any number of calls are re-cut into blocks of fixed size, each block's
/// product is computed in the rows' precision and added to a packed double triangle, so equal rows in equal order give equal
/// bits, whatever the batches and threads. A block that is not full waits inside; solve, merge and to_bytes take it into
/// account and leave it as it is. Targets, sums and weights are double throughout.
///
/// Holds about 4 n_features^2 bytes, and 2048 n_features values of the rows' precision in the waiting block. A solution
/// takes 4 n_features^2 bytes more (half of it with RidgePrecision::mixed).
///
/// On a device all of this is in its memory. update() and merge() queue their work and return; what hands results to the
/// host (solve, to_bytes) or takes them from there (from_bytes, merge_bytes) waits.
///
/// Rows are taken to be finite: nothing scans them, and a state that has met a NaN or an infinity refuses to solve.
template <Backend B = Cpu>
class RidgeState {
 public:
  /// Throws Error if a size is 0 or above 2^24.
  explicit RidgeState(const RidgeStateParams& params, B backend = {});
  ~RidgeState();
  RidgeState(RidgeState&&) noexcept;
  RidgeState& operator=(RidgeState&&) noexcept;

  /// Runs on another stream of its device, after the work queued so far on the present one, which still exists; or with
  /// another number of threads. Throws Error on another device.
  void run_on(const B& backend);

  /// Adds rows z (n, n_features) with targets y (n, n_targets) and, unless null, n non-negative weights, which are on the
  /// host and may change as soon as the call returns; a row of weight 0 is as if it were not there. Float and double rows
  /// may follow each other; each change ends the waiting block, and waits on a device. Throws Error or OutOfMemory,
  /// before anything is added, if a shape does not fit, a weight is negative or not finite, or there is no memory to work
  /// in.
  template <Real T>
  void update(View<const T, B> z, View<const double, B> y, const double* sample_weight = nullptr);

  /// Adds all rows of another state, as if they came after this one's, up to rounding. The streams of two states are ordered
  /// as that needs; one of another device comes by way of the host. Throws Error if the sizes differ.
  void merge(const RidgeState& other);

  /// Removes all rows of another state, which were added to this one: up to the rounding of what the sums were before, as if
  /// they had never been. A state without rows is as it was in the beginning. Throws Error, before anything is changed, if
  /// the sizes differ, or if it shows that some rows were not there: more rows, more weight or larger sums of squares of
  /// targets or of a column than the state has. What the rounding of this and earlier removals can explain is accepted; the
  /// bound of it is kept, 8 (1 + n_features + n_targets) bytes. Throws Error, too, if the weight of the rows that stay is
  /// lost in it. Waits on a device.
  void subtract(const RidgeState& other);

  /// Minimises sum_i w_i |z_i coef + intercept - y_i|^2 + alpha |coef|^2: coef (n_features, n_targets), intercept
  /// (1, n_targets), which is 0 unless `fit_intercept`; both are on the host. With intercept, rows that are equal up to the
  /// rounding of G have coefficients of 0 and the mean target as intercept, for any alpha.
  /// Throws Error if alpha is not positive and finite, a shape does not fit, no row was added, sums are not finite, or G is
  /// indefinite because rows were removed that were not there, or whose rounding exceeds what is left.
  RidgeSolution solve(const RidgeSolveParams& params, View<double> coef, View<double> intercept) const;

  /// The normal equations themselves, for what else they answer. Takes 4 n_features^2 bytes more in the memory of B while it
  /// works. Throws Error if a shape does not fit, no row was added, or sums are not finite.
  void equations(bool fit_intercept, const RidgeEquations& out) const;

  /// Gives back the memory of the waiting block if no row waits, until rows come again.
  void trim();

  /// The rows of positive weight, and the sum of the weights.
  std::uint64_t rows() const;
  double total_weight() const;
  /// The weighted sums of the targets, and behind them those of their squares. Waits on a device.
  std::vector<double> target_sums() const;
  const RidgeStateParams& params() const;

  /// A self-describing byte string with a checksum, and back, on any backend: equal states give equal bytes. Throws Error on
  /// anything that to_bytes did not write: another format or version, a wrong length, a changed bit.
  std::string to_bytes() const;
  static RidgeState from_bytes(std::string_view bytes, B backend = {});

  /// The same byte string in pieces that follow each other, on the CPU without a copy of the state: the pieces of the large
  /// sums are those themselves, good as long as the state lives and is not changed.
  std::vector<RidgePiece> to_pieces() const;

  /// Adds the rows of a saved state, in pieces that may be cut anywhere, as if they came after this one's, or `before` them:
  /// the bits of merge(from_bytes(bytes)), or of a state from_bytes(bytes) that this one is merged with. There is no second
  /// state but where `before` rows of float and of double wait. Throws Error as from_bytes and merge do, before anything is
  /// changed. The bytes may be gone when the call returns.
  void merge_pieces(std::span<const std::string_view> pieces, bool before = false);
  void merge_bytes(std::string_view bytes, bool before = false) { merge_pieces({&bytes, 1}, before); }

  /// A state with the same rows in the memory of the host; there are no bytes in between.
  RidgeState<Cpu> to_host(Cpu backend = {}) const;

 private:
  template <Backend>
  friend class RidgeState;
  struct State;
  explicit RidgeState(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fastntk
