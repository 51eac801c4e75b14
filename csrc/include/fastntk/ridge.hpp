// Ridge regression from a mergeable state.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace fastntk {

struct RidgeStateParams {
  std::size_t n_features = 0;
  std::size_t n_targets = 0;
};

struct RidgeSolution {
  /// Generalised cross-validation score n |Y - Yhat|^2 / (n - tr(hat))^2, if it was asked for, else NaN.
  double gcv = 0;
  /// What was added to the diagonal beyond alpha, to make the factorisation succeed (0 as a rule).
  double jitter = 0;
};

/// The sufficient statistics of ridge regression: G = Z^T Z, Z^T Y, Y^T Y, column sums, weights and counts (section 5 of
/// Z21 solves the same normal equations). Rows of any number of calls are re-cut into blocks of fixed size, each block's
/// product is computed in the rows' precision and added to a packed double triangle, so equal rows in equal order give equal
/// bits, whatever the batches and threads. Holds about 8 n_features^2 / 2 bytes.
template <Backend B = Cpu>
class RidgeState {
 public:
  /// Throws Error if a size is 0.
  explicit RidgeState(const RidgeStateParams& params, B backend = {});
  ~RidgeState();
  RidgeState(RidgeState&&) noexcept;
  RidgeState& operator=(RidgeState&&) noexcept;

  /// Adds rows z (n, n_features) with targets y (n, n_targets) and, unless null, n non-negative weights.
  /// Throws Error if a shape does not fit or a weight is negative or not finite.
  template <Real T>
  void update(View<const T, B> z, View<const T, B> y, const T* sample_weight = nullptr);

  /// Adds all rows of another state. Throws Error if the sizes differ.
  void merge(const RidgeState& other);

  /// Minimises |Z w + b - Y|^2 + alpha |w|^2: coef (n_features, n_targets), intercept (1, n_targets); b = 0 unless
  /// `fit_intercept`. Throws Error if alpha <= 0, a shape does not fit, or no row was added.
  RidgeSolution solve(double alpha, bool fit_intercept, View<double, B> coef, View<double, B> intercept, bool with_gcv = false) const;

  std::size_t rows() const;
  double total_weight() const;
  const RidgeStateParams& params() const;

  /// A self-describing byte string with a checksum, and back. Throws Error on anything that is not one.
  std::string to_bytes() const;
  static RidgeState from_bytes(const std::string& bytes, B backend = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fastntk
