"""Operators where the truth is known: a graph that drives, independent noise."""

import numpy as np
import pytest

from neuroana.fc.registry import find
from neuroana.fc.sharing import Shared


SEEDS, N_TIME = 20, 4000
OFF = ~np.eye(6, dtype=bool)


@pytest.fixture(scope="module")
def many(oracle):
    """Twenty draws of the autoregression of the oracle (seed, time, roi)."""
    A, sigma = oracle["true_A"], oracle["true_Sigma"]
    root = np.linalg.cholesky(sigma)
    noise = np.random.default_rng(0).normal(size=(N_TIME + 200, SEEDS, 6)) @ root.T
    x = np.zeros_like(noise)
    for t in range(1, len(x)):
        x[t] = x[t - 1] @ A.T + noise[t]
    return x[200:].swapaxes(0, 1)


@pytest.fixture(scope="module")
def graph(oracle):
    """True where the source drives the target."""
    return (oracle["true_A"].T != 0) & OFF


def area(scores, truth):
    """Area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(truth[OFF], scores[OFF])


def test_conditional_causality_finds_the_graph(many, graph):
    w = find("granger_conditional")(many)
    assert np.mean([area(one, graph) for one in w]) >= 0.99


def test_stronger_direction_is_right(many, graph, oracle):
    w = find("granger_conditional")(many)
    truth = oracle["true_granger_conditional_lag1"]
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)
             if graph[i, j] or graph[j, i]]  # fmt: skip
    assert len(pairs) == 4
    right = [(one[i, j] > one[j, i]) == (truth[i, j] > truth[j, i])
             for one in w for i, j in pairs]  # fmt: skip
    assert np.mean(right) >= 0.95


@pytest.mark.parametrize(("name", "key"), [
    ("granger", "true_granger_bivariate_lag1"),
    ("granger_conditional", "true_granger_conditional_lag1"),
])  # fmt: skip
def test_causality_of_order_one_is_near_the_population(many, oracle, name, key):
    w = find(name)(many)
    assert np.abs(w - oracle[key])[:, OFF].max() < 0.05


def test_transfer_entropy_is_half_of_causality(many):
    np.testing.assert_allclose(find("te_gauss")(many), find("granger")(many) / 2)


@pytest.mark.parametrize("name", ["pdc", "dtf"])
def test_directed_spectra_are_near_the_population(many, oracle, name):
    w, _ = find(name).run(Shared(many), fs=1.0, average=None)
    assert np.abs(w - oracle[f"true_{name}"])[..., OFF].max() < 0.10


@pytest.mark.parametrize("name", ["spectral_granger", "te_ksg", "phase"])
def test_directed_measures_point_from_source_to_target(many, name):
    if name == "phase":
        w = find("dpli")(many[:4], fs=1.0, band=(0.05, 0.3)) - 0.5
        assert (w[:, 0, 1] > 0).all()
        return
    options = {"fs": 1.0} if find(name).needs_rate else {}
    w = find(name)(many[:2, :600], **options)
    assert (w[:, 0, 1] > w[:, 1, 0]).all()
    assert (w[:, 1, 2] > w[:, 2, 1]).all()


# --- independent noise ---------------------------------------------------------------


@pytest.fixture(scope="module")
def noise():
    """Independent white noise (recording, time, roi)."""
    return np.random.default_rng(1).normal(size=(60, 256, 4))


@pytest.mark.parametrize("name", ["dcor_unbiased", "wpli2_debiased", "ppc",
                                  "pli2_unbiased"])  # fmt: skip
def test_debiased_measure_of_noise_has_mean_zero(noise, name):
    made = find(name)
    options = {"overlap": 0.0, "segment_samples": 16} if made.needs_rate else {}
    w = made(noise, fs=1.0 if made.needs_rate else None, **options)
    means = w[:, *np.triu_indices(4, 1)].mean(axis=1)
    assert abs(means.mean()) < 2 * means.std() / np.sqrt(len(means))


@pytest.mark.parametrize(("name", "bound"), [("coherence", 0.2), ("plv", 0.45)])
def test_biased_measure_of_noise_is_what_chance_gives(noise, name, bound):
    options = {"overlap": 0.0, "segment_samples": 16}  # K = 16 segments
    w = find(name)(noise, fs=1.0, **options)[:, *np.triu_indices(4, 1)]
    expected = {"coherence": 1 / 16, "plv": np.sqrt(np.pi / 4 / 16)}[name]
    assert w.mean() == pytest.approx(expected, rel=0.1)
    assert w.max() < bound


def test_false_positives_of_causality_are_nominal_in_white_noise(noise):
    p = find("granger")(noise, statistic="p")[:, ~np.eye(4, dtype=bool)]
    assert 0.03 < np.mean(p < 0.05) < 0.07


def test_false_positives_of_causality_are_inflated_in_slow_signals(noise):
    from scipy.signal import butter, sosfiltfilt

    slow = sosfiltfilt(butter(4, [0.02, 0.2], "bandpass", output="sos"), noise, axis=1)
    p = find("granger")(slow, statistic="p")[:, ~np.eye(4, dtype=bool)]
    assert np.mean(p < 0.05) > 0.10


def test_conditional_false_positives_are_nominal(noise):
    p = find("granger_conditional")(noise, statistic="p")[:, ~np.eye(4, dtype=bool)]
    assert 0.03 < np.mean(p < 0.05) < 0.07
