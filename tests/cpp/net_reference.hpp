// Networks and their training by their definitions, in double, row by row and weight by weight.
//
// A model has `weights`, all in one vector, value(x), the outputs at a row x, and gradient(x, c), of output c with respect
// to all weights.
#pragma once

#include <fastntk/nets.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "sketches.hpp"

namespace net_reference {

using fastntk::NetTraining;
using sketches::Matrix;
using Vector = std::vector<double>;

inline Vector row_of(const Matrix<double>& x, std::size_t i) {
  const auto begin = x.values.begin() + static_cast<std::ptrdiff_t>(i * x.cols);
  return {begin, begin + static_cast<std::ptrdiff_t>(x.cols)};
}

/// DeepNet: g(W, x) = v.h_L, h_l = sqrt(2/m_l) ReLU(W_l h_{l-1}), and of two copies (g(W) - g(W'))/sqrt(2).
class Deep {
 public:
  Deep(const fastntk::DeepNetParams& params, Vector all) : weights(std::move(all)), p_(params) {}

  Vector value(const Vector& x) const {
    Vector sum(p_.outputs);
    for (std::size_t copy = 0; copy < copies(); ++copy) {
      const Vector last = layers(x, copy).h.back();
      const double* const v = &weights[first_weight(copy, p_.widths.size())];
      for (std::size_t c = 0; c < p_.outputs; ++c)
        for (std::size_t j = 0; j < last.size(); ++j) sum[c] += sign(copy) * v[c * last.size() + j] * last[j];
    }
    return sum;
  }

  Vector gradient(const Vector& x, std::size_t c) const {
    Vector grad(weights.size());
    for (std::size_t copy = 0; copy < copies(); ++copy) {
      const Layers net = layers(x, copy);
      std::size_t l = p_.widths.size();
      const std::size_t last = first_weight(copy, l) + c * net.h[l].size();
      Vector upstream(net.h[l].size());
      for (std::size_t j = 0; j < upstream.size(); ++j) {
        grad[last + j] = sign(copy) * net.h[l][j];
        upstream[j] = sign(copy) * weights[last + j];
      }
      for (; l > 0; --l) {  // upstream is the derivative by h_l
        const std::size_t inputs = net.h[l - 1].size(), first = first_weight(copy, l - 1);
        Vector passed(inputs);
        for (std::size_t j = 0; j < upstream.size(); ++j) {
          if (!(net.z[l - 1][j] > 0)) continue;
          const double delta = scale(l - 1) * upstream[j];
          for (std::size_t i = 0; i < inputs; ++i) {
            grad[first + j * inputs + i] = delta * net.h[l - 1][i];
            passed[i] += delta * weights[first + j * inputs + i];
          }
        }
        upstream = passed;
      }
    }
    return grad;
  }

  /// The least |w.h_{l-1}| of all hidden units: how far the nearest kink is.
  double margin(const Vector& x) const {
    double least = INFINITY;
    for (std::size_t copy = 0; copy < copies(); ++copy)
      for (const Vector& z : layers(x, copy).z)
        for (const double value : z) least = std::min(least, std::abs(value));
    return least;
  }

  Vector weights;

 private:
  struct Layers {
    std::vector<Vector> h, z;  // z[l] = W_{l+1} h[l]
  };

  std::size_t copies() const { return p_.doubled ? 2 : 1; }
  double sign(std::size_t copy) const { return p_.doubled ? (copy == 0 ? std::sqrt(0.5) : -std::sqrt(0.5)) : 1; }
  double scale(std::size_t l) const { return std::sqrt(2 / static_cast<double>(p_.widths[l])); }

  /// Of W_{l+1}, or of v.
  std::size_t first_weight(std::size_t copy, std::size_t l) const {
    std::size_t first = copy * weights.size() / copies(), inputs = p_.in_features;
    for (std::size_t k = 0; k < l; inputs = p_.widths[k++]) first += p_.widths[k] * inputs;
    return first;
  }

  Layers layers(const Vector& x, std::size_t copy) const {
    Layers net{{x}, {}};
    for (std::size_t l = 0; l < p_.widths.size(); ++l) {
      const Vector& in = net.h.back();
      const double* const w = &weights[first_weight(copy, l)];
      Vector z(p_.widths[l]), out(p_.widths[l]);
      for (std::size_t j = 0; j < z.size(); ++j) {
        for (std::size_t i = 0; i < in.size(); ++i) z[j] += w[j * in.size() + i] * in[i];
        out[j] = z[j] > 0 ? scale(l) * z[j] : 0;
      }
      net.z.push_back(z);
      net.h.push_back(out);
    }
    return net;
  }

  fastntk::DeepNetParams p_;
};

/// |Y - kappa f|^2/2 over the rows of `batch`, times n/b, + alpha |W - D|^2/2.
template <class Model>
double loss(const Model& model, const NetTraining& t, const Vector& start, const Matrix<double>& x, const Matrix<double>& y,
            const std::vector<std::size_t>& batch) {
  double squares = 0, distance = 0;
  for (const std::size_t i : batch) {
    const Vector f = model.value(row_of(x, i));
    for (std::size_t c = 0; c < f.size(); ++c) squares += (y(i, c) - t.kappa * f[c]) * (y(i, c) - t.kappa * f[c]);
  }
  for (std::size_t k = 0; k < start.size(); ++k) {
    const double difference = model.weights[k] - (t.decay_to_start ? start[k] : 0);
    distance += difference * difference;
  }
  const double share = static_cast<double>(x.rows) / static_cast<double>(batch.size());
  return share * squares / 2 + t.alpha * distance / 2;
}

/// The gradient of loss().
template <class Model>
Vector loss_gradient(const Model& model, const NetTraining& t, const Vector& start, const Matrix<double>& x,
                     const Matrix<double>& y, const std::vector<std::size_t>& batch) {
  Vector grad(start.size());
  const double share = static_cast<double>(x.rows) / static_cast<double>(batch.size());
  for (const std::size_t i : batch) {
    const Vector row = row_of(x, i), f = model.value(row);
    for (std::size_t c = 0; c < f.size(); ++c) {
      const Vector by_weights = model.gradient(row, c);
      const double residual = share * t.kappa * (t.kappa * f[c] - y(i, c));
      for (std::size_t k = 0; k < grad.size(); ++k) grad[k] += residual * by_weights[k];
    }
  }
  for (std::size_t k = 0; k < grad.size(); ++k) grad[k] += t.alpha * (model.weights[k] - (t.decay_to_start ? start[k] : 0));
  return grad;
}

/// A step for each of the batches; returns the losses before them.
template <class Model>
Vector train(Model& model, const NetTraining& t, const Vector& start, const Matrix<double>& x, const Matrix<double>& y,
             const std::vector<std::vector<std::size_t>>& batches) {
  Vector losses;
  for (const std::vector<std::size_t>& batch : batches) {
    losses.push_back(loss(model, t, start, x, y, batch));
    const Vector grad = loss_gradient(model, t, start, x, y, batch);
    for (std::size_t k = 0; k < grad.size(); ++k) model.weights[k] -= t.step_size * grad[k];
  }
  return losses;
}

/// <gradient of the first output at x, that at z>.
template <class Model>
double kernel(const Model& model, const Vector& x, const Vector& z) {
  const Vector a = model.gradient(x, 0), b = model.gradient(z, 0);
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

}  // namespace net_reference
