// Regularised training of ReLU networks in the regime of the neural tangent kernel (L20 sections 3.2, B, D and E).
//
// Both classes minimise |Y - kappa f(W, X)|^2/2 + alpha |W - D|^2/2 by gradient descent, where D is 0 (`decay_to_start`
// false, as in L20) or the weights at the start. One step is W <- W - eta (gradient); with a batch of b of n rows the first
// term's gradient is n/b times that of the batch, so that time t = steps * eta means the same.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace fastntk {

struct NetTraining {
  double kappa = 1;
  double alpha = 0;
  bool decay_to_start = false;
  double step_size = 0;        // eta
  std::size_t batch_size = 0;  // rows of a step at most, each pass being cut as evenly as can be; 0: all
  std::uint64_t seed = 0;      // of the order of the rows: each pass over them takes every row once
};

/// What a run of steps came to. loss[i] is the loss at the weights before step first + i (that of its batch, the first term
/// times n/b); all are finite. `diverged`: the weights after the last of these steps had no finite loss. That step is
/// undone, so that the weights are those with the last finite loss, and the run has ended.
struct NetProgress {
  std::size_t steps = 0;  // as many as losses
  bool diverged = false;
  std::vector<double> loss;
};

/// f(W, x) = sum_r out_r ReLU(w_r.x), out (m, k) fixed: out_rc = a_rc s_r/sqrt(m) (L20 Eq. 6 and Definition D.1). Only W (m,
/// d) is trained. The kernel is H_ij = sum_r |out_r|^2/k <x_i, x_j> Step(w_r.x_i) Step(w_r.x_j), Step(0) = 0, for k = 1 that
/// of L20 Definition B.3.
template <Real T, Backend B = Cpu>
class TwoLayerNet {
 public:
  /// `start` is what decay goes to (m, d); the weights begin there. Both are copied. Throws Error if a size is 0 or the rows
  /// of both differ.
  TwoLayerNet(View<const T, B> start, View<const T, B> out_weights, const B& backend = {});
  ~TwoLayerNet();
  TwoLayerNet(TwoLayerNet&&) noexcept;
  TwoLayerNet& operator=(TwoLayerNet&&) noexcept;

  /// What comes next runs there: other threads, or another stream of the same device.
  void run_on(const B& backend);

  /// Steps first, first + 1, ..., first + steps - 1 on x (n, d), y (n, k). Equal arguments give equal bits for any number of
  /// threads, and two runs one after the other those of one run. Of the activations a step keeps a bit for each unit and row
  /// of its batch, and the outputs of each panel of 128 units or more. Throws Error if a shape does not fit, there are no
  /// rows or 2^31, a parameter is not finite, alpha is negative, step_size is not positive or batch_size is above n.
  NetProgress train(const NetTraining& training, std::size_t first, std::size_t steps, View<const T, B> x,
                    View<const T, B> y);
  /// out (n, k) = f(W, x), without kappa.
  void predict(View<const T, B> x, View<T, B> out) const;
  /// grad (m, d) = the gradient of the loss over all rows; returns the loss.
  double gradient(const NetTraining& training, View<const T, B> x, View<const T, B> y, View<T, B> grad) const;
  /// out (n, n') = H(x, z) at the present weights.
  void kernel(View<const T, B> x, View<const T, B> z, View<T, B> out) const;
  void get_weights(View<T, B> out) const;
  void set_weights(View<const T, B> weights);
  /// max_r |w_r - w_r(0)|, with w_r(0) the rows of `start`.
  double drift() const;

  std::size_t width() const;
  std::size_t in_features() const;
  std::size_t outputs() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct DeepNetParams {
  std::size_t in_features = 0;
  std::vector<std::size_t> widths;  // of the hidden layers
  std::size_t outputs = 1;
  /// Two copies with equal weights at the start, f = (g(W) - g(W'))/sqrt(2): f is 0 at the start.
  bool doubled = false;
  std::uint64_t seed = 0;  // of the weights at the start, independent standard normals
};

/// f(W, x) = v.h_L, h_l = sqrt(2/m_l) ReLU(W_l h_{l-1}), h_0 = x: all weights (W_1, ..., W_L, v) are trained, the
/// scale of v being in h_L. In the limit of width the kernel is that of Z21 Definition 1 with depth L.
template <Real T, Backend B = Cpu>
class DeepNet {
 public:
  /// Throws Error if a size is 0 or too large, or there are no widths.
  explicit DeepNet(const DeepNetParams& params, const B& backend = {});
  ~DeepNet();
  DeepNet(DeepNet&&) noexcept;
  DeepNet& operator=(DeepNet&&) noexcept;

  /// What comes next runs there: other threads, or another stream of the same device.
  void run_on(const B& backend);

  /// As in TwoLayerNet. All weights as one row: the copies one after the other, in each W_1, ..., W_L, v, row by row. A step
  /// takes twice the units of all layers and copies as workspace for each row of its batch.
  NetProgress train(const NetTraining& training, std::size_t first, std::size_t steps, View<const T, B> x,
                    View<const T, B> y);
  void predict(View<const T, B> x, View<T, B> out) const;
  double gradient(const NetTraining& training, View<const T, B> x, View<const T, B> y, View<T, B> grad) const;
  /// out (n, n') = the inner products of the gradients of f's first output at x and z; exactly symmetric if z is x.
  void kernel(View<const T, B> x, View<const T, B> z, View<T, B> out) const;
  std::size_t parameters() const;
  void get_weights(View<T, B> out) const;
  void set_weights(View<const T, B> weights);
  /// max over layers and neurons of |w - w(0)|, w a neuron's weights: a row of W_l or of v.
  double drift() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fastntk
