"""Training of ReLU nets in float64, straight from the definitions, one neuron, row and step after the other's formula."""

import numpy as np


class TwoLayer:
    """f(W, x) = sum_r out_r ReLU(w_r.x): W (m, d) is trained, out (m, k) is not."""

    def __init__(self, start, out):
        self.start = np.array(start, float)
        self.weights = [self.start.copy()]
        self.starts = [self.start]
        self.out = np.array(out, float)

    def f(self, X):
        return np.maximum(X @ self.weights[0].T, 0) @ self.out

    def gradient_of(self, X, r):
        """The gradient of sum_ic r_ic f_c(W, x_i), as a list of matrices."""
        active = X @ self.weights[0].T > 0
        return [((r @ self.out.T) * active).T @ X]

    def kernel(self, X, Z):
        """<df/dW(x), df/dW(z)>, its mean over the outputs."""
        pairs = [
            (self._per_row(X, c) * 1.0).reshape(len(X), -1) @ self._per_row(Z, c).reshape(len(Z), -1).T
            for c in range(self.out.shape[1])
        ]
        return np.mean(pairs, axis=0)

    def _per_row(self, X, c):
        unit = np.eye(self.out.shape[1])[c]
        return np.array([self.gradient_of(x[None, :], unit[None, :])[0] for x in X])


class Deep:
    """f(W, x) = v.h_L, h_l = sqrt(2 / m_l) ReLU(W_l h_(l-1)), all matrices trained; two of them if `double`."""

    def __init__(self, flat, d, widths, k, double):
        self.sizes = [d, *widths, k]
        self.copies = 2 if double else 1
        shapes = [(b, a) for a, b in zip(self.sizes, self.sizes[1:], strict=False)] * self.copies
        ends = np.cumsum([0, *(a * b for a, b in shapes)])
        assert ends[-1] == np.size(flat)
        flat = np.array(flat, float).ravel()
        self.starts = [flat[e : e + a * b].reshape(a, b) for e, (a, b) in zip(ends, shapes, strict=False)]
        self.weights = [w.copy() for w in self.starts]
        self.signs = [1 / np.sqrt(2), -1 / np.sqrt(2)] if double else [1.0]

    def _layers(self, copy):
        depth = len(self.sizes) - 1
        return self.weights[copy * depth : (copy + 1) * depth]

    def _pass(self, X, copy):
        h = [X]
        for W in self._layers(copy)[:-1]:
            h.append(np.sqrt(2 / len(W)) * np.maximum(h[-1] @ W.T, 0))
        return h

    def f(self, X):
        return sum(s * self._pass(X, c)[-1] @ self._layers(c)[-1].T for c, s in enumerate(self.signs))

    def gradient_of(self, X, r):
        gradients = []
        for c, s in enumerate(self.signs):
            h, delta, mine = self._pass(X, c), s * r, []
            for level, W in reversed(list(enumerate(self._layers(c)))):
                mine.insert(0, delta.T @ h[level])
                if level > 0:
                    delta = (delta @ W) * (h[level] > 0) * np.sqrt(2 / W.shape[1])
            gradients += mine
        return gradients

    def kernel(self, X, Z):
        unit = np.eye(self.sizes[-1])[:1]

        def rows(X):
            return np.array([np.concatenate([g.ravel() for g in self.gradient_of(x[None, :], unit)]) for x in X])

        return rows(X) @ rows(Z).T


def loss(net, X, Y, kappa, alpha, to_start):
    """|Y - kappa f|^2 / 2 + alpha |W - D|^2 / 2."""
    penalty = sum(np.sum((w - s if to_start else w) ** 2) for w, s in zip(net.weights, net.starts, strict=True))
    return 0.5 * np.sum((Y - kappa * net.f(X)) ** 2) + 0.5 * alpha * penalty


def descend(net, X, Y, steps, *, kappa, alpha, to_start, step_size):
    """Full-batch gradient descent, in place."""
    for _ in range(steps):
        gradients = net.gradient_of(X, kappa * (kappa * net.f(X) - Y))
        for w, s, g in zip(net.weights, net.starts, gradients, strict=True):
            w[:] = w - step_size * (g + alpha * (w - s if to_start else w))
    return net


def linear_path(Phi, Phi_test, start, Y, steps, *, kappa, ridge, to_start, step_size):
    """kappa Phi w for both after gradient descent on |Y - kappa Phi w|^2 / 2 + ridge |w - D|^2 / 2."""
    w = start.copy()
    for _ in range(steps):
        w = w - step_size * (kappa * Phi.T @ (kappa * Phi @ w - Y) + ridge * (w - start if to_start else w))
    return kappa * Phi @ w, kappa * Phi_test @ w
