"""Exact ReLU kernels in plain float64 NumPy: slow and obvious.

Angles come from theta = 2 atan2(|u - v|, |u + v|) of the unit rows, and the recursion runs in delta = 1 - S, because a
rounded cosine near 1 has lost half of its angle's digits.
"""

import numpy as np


def _layers(theta, depth):
    """S_depth and K_depth at the cosine of theta (Zandieh et al. 2021, Definition 1)."""
    delta = 2 * np.sin(theta / 2) ** 2
    k = 1 - delta
    for _ in range(depth):
        gate = 1 - theta / np.pi
        # kappa_1(cos theta) = cos theta + (sin theta - theta cos theta)/pi
        delta = np.maximum(delta - (np.sin(theta) - theta * np.cos(theta)) / np.pi, 0)
        theta = 2 * np.arcsin(np.sqrt(delta / 2))
        k = k * gate + (1 - delta)
    return 1 - delta, k


def _angle_of_cosine(a):
    a = np.clip(np.asarray(a, dtype=np.float64), -1, 1)
    return 2 * np.arctan2(np.sqrt(1 - a), np.sqrt(1 + a))


def relu_ntk(cosine, depth):
    """K_depth, elementwise."""
    return _layers(_angle_of_cosine(cosine), depth)[1]


def _unit_rows(x, bias):
    x = np.asarray(x, dtype=np.float64)
    if bias != 0:
        x = np.column_stack([x, np.full(len(x), float(bias))])
    norm = np.linalg.norm(x, axis=1)
    return x / np.where(norm == 0, 1, norm)[:, None], norm


def _angles(u, v):
    """Angles between all unit rows; a zero row counts as orthogonal to everything."""
    theta = np.empty((len(u), len(v)))
    for i in range(len(u)):
        theta[i] = 2 * np.arctan2(np.linalg.norm(u[i] - v, axis=1), np.linalg.norm(u[i] + v, axis=1))
    return theta


def ntk_kernel(x, y=None, *, depth=1, bias=0.0):
    """|x||y| K_depth(cosine) of all pairs of rows."""
    u, x_norm = _unit_rows(x, bias)
    v, y_norm = (u, x_norm) if y is None else _unit_rows(y, bias)
    return x_norm[:, None] * y_norm * _layers(_angles(u, v), depth)[1]


def nngp_kernel(x, y=None, *, depth=1, bias=0.0):
    """|x||y| S_depth(cosine) of all pairs of rows."""
    u, x_norm = _unit_rows(x, bias)
    v, y_norm = (u, x_norm) if y is None else _unit_rows(y, bias)
    return x_norm[:, None] * y_norm * _layers(_angles(u, v), depth)[0]


def arc_cosine_kernel(x, y=None, *, order):
    """kappa_0(cosine), 0 where a row is zero, or |x||y| kappa_1(cosine)."""
    if order == 1:
        return nngp_kernel(x, y, depth=1)
    u, x_norm = _unit_rows(x, 0)
    v, y_norm = (u, x_norm) if y is None else _unit_rows(y, 0)
    return (1 - _angles(u, v) / np.pi) * (x_norm > 0)[:, None] * (y_norm > 0)
