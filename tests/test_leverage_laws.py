"""The law of directions from the Gibbs sampler of leverage scores, against quadrature, in one and two dimensions."""

import numpy as np
import pytest
from fastntk.leverage import LeverageSampler
from reference import leverage as reference
from scipy import stats

RELU_FAMILIES = ("ntk", "relu_ntk", "arc_cosine_0", "arc_cosine_1")
# Tests of a true law fail with this probability each; the seeds are fixed.
LEAST_P = 1e-3
DRAWS = [pytest.param(10_000, id="short"), pytest.param(100_000, marks=pytest.mark.long, id="full")]
ALPHA = 0.3


@pytest.fixture(scope="module")
def rows():
    return {d: np.random.default_rng(d).normal(size=(8, d)) for d in (1, 2)}


@pytest.mark.statistical
@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("moves", ["coordinates", "lines"])
@pytest.mark.parametrize("family", RELU_FAMILIES)
def test_directions_on_a_line_have_the_law(rows, family, moves, draws):
    sampler = LeverageSampler(rows[1], ALPHA, family=family, moves=moves, random_state=1, n_threads=1)
    w = sampler.sample(draws)[0][:, 0]
    law = reference.LineLaw(rows[1], ALPHA, family)
    assert stats.kstest(w, law.cdf).pvalue > LEAST_P
    edges = stats.norm.ppf(np.arange(1, 30) / 30)
    counts = np.diff(np.searchsorted(np.sort(w), [-np.inf, *edges, np.inf]))
    assert stats.chisquare(counts, np.diff([0, *law.cdf(edges), 1]) * len(w)).pvalue > LEAST_P


@pytest.mark.statistical
@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("moves", ["coordinates", "lines", "circles"])
@pytest.mark.parametrize("family", RELU_FAMILIES)
def test_directions_in_a_plane_have_the_law(rows, family, moves, draws):
    sampler = LeverageSampler(rows[2], ALPHA, family=family, moves=moves, thinning=4, random_state=2, n_threads=1)
    w, _ = sampler.sample(draws)
    law = reference.PlaneLaw(rows[2], ALPHA, family)
    angle, length = np.arctan2(w[:, 1], w[:, 0]) % (2 * np.pi), np.linalg.norm(w, axis=1)
    assert stats.kstest(angle, law.angle_cdf).pvalue > LEAST_P
    assert stats.kstest(length, law.length_cdf).pvalue > LEAST_P
    angles, lengths, chances = law.cells(12, 8)
    counts = np.zeros(chances.shape)
    np.add.at(counts, (np.searchsorted(angles, angle), np.searchsorted(lengths, length)), 1)
    assert stats.chisquare(counts.ravel(), chances.ravel() * len(w)).pvalue > LEAST_P
