"""Weights that share a neuron: their correlation, and what it costs to ignore it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from neuroana.connectome import MotifCommunities, simulate_graph
from neuroana.connectome.dependence import design_effect, shared_correlation
from neuroana.core.errors import ParameterError


def dependent_logs(n, labels, share, seed):
    """Log weights whose pairs with a common node correlate by `share` in a block."""
    rng = np.random.default_rng(seed)
    tie = rng.standard_normal((n, labels.max() + 1))[:, labels] * np.sqrt(share)
    own = np.triu(rng.standard_normal((n, n)), 1) * np.sqrt(1 - 2 * share)
    return tie + tie.T + own + own.T


def brute_force(logs, edge, labels):
    """Correlation over all two pairs that share a node and whose ends share a group."""
    n = len(labels)
    rest = np.zeros_like(logs)
    for r in np.unique(labels):
        for s in np.unique(labels):
            cell = np.outer(labels == r, labels == s) & edge
            if cell.any():
                rest[cell] = logs[cell] - logs[cell].mean()
    top, bottom = 0.0, 0.0
    for i in range(n):
        for r in np.unique(labels):
            to = [j for j in range(n) if labels[j] == r and edge[i, j]]
            cell = np.outer(labels == labels[i], labels == r) & edge
            for j in to:
                for k in to:
                    if j != k:
                        top += rest[i, j] * rest[i, k]
                        bottom += (rest[cell] ** 2).mean()
    return max(top / bottom, 0.0)


@given(st.integers(0, 100))
def test_correlation_is_that_of_all_pairs_of_pairs(seed):
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, 3, 12))
    labels = np.unique(labels, return_inverse=True)[1]
    logs = dependent_logs(12, labels, 0.2, seed)
    edge = np.triu(rng.random((12, 12)) < 0.8, 1)
    edge |= edge.T
    found = shared_correlation(logs, edge, labels)
    assert found == pytest.approx(brute_force(logs, edge, labels), abs=1e-10)


def test_planted_correlation_is_found():
    labels = np.arange(200) // 50
    logs = dependent_logs(200, labels, 0.25, 0)
    edge = ~np.eye(200, dtype=bool)
    assert shared_correlation(logs, edge, labels) == pytest.approx(0.25, abs=0.03)


def test_design_effect_is_the_variance_of_a_block_mean():
    labels = np.arange(24) // 12
    edge = ~np.eye(24, dtype=bool)
    means, effects = [], []
    for seed in range(2000):
        logs = dependent_logs(24, labels, 0.2, seed)
        means.append(logs[:12, 12:].mean())
        if seed < 50:
            effects.append(design_effect(logs, edge, labels))
    truth = 1 + 0.2 * 22
    assert np.var(means) * 144 == pytest.approx(truth, rel=0.1)
    assert np.mean(effects) == pytest.approx(truth, rel=0.25)


def test_independent_weights_are_left_alone():
    for seed in range(4):
        w, b = simulate_graph(60, 4, ratio=4, random_state=seed)
        model = MotifCommunities(n_posterior=0, random_state=0).fit(w)
        assert float(model.design_effect_[0]) < 1.5
        assert adjusted_rand_score(b, model.labels_[0, 0]) > 0.95


def test_dependent_weights_are_not_described_as_further_groups():
    labels = np.arange(60) // 15
    scores = {1.0: [], "auto": []}
    for seed in range(4):
        logs = dependent_logs(60, labels, 0.2, seed) * 0.4
        w = np.exp(logs + np.equal.outer(labels, labels)) * (1 - np.eye(60))
        for effect, found in scores.items():
            model = MotifCommunities(n_posterior=0, design_effect=effect,
                                     weight="log-normal", random_state=0)  # fmt: skip
            found.append(adjusted_rand_score(labels, model.fit(w).labels_[0, 0]))
    assert np.mean(scores["auto"]) > 0.9
    assert np.mean(scores[1.0]) < np.mean(scores["auto"]) - 0.1


def test_a_design_effect_below_one_is_refused():
    w, _ = simulate_graph(20, 2, random_state=0)
    with pytest.raises(ParameterError, match="design_effect"):
        MotifCommunities(design_effect=0.5).fit(w)
