"""Granger causality, transfer entropy and coefficients beside other libraries."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.fc.registry import find


OFF = ~np.eye(6, dtype=bool)


def simulate(oracle, n_time, seed):
    """Samples of the oracle's autoregression."""
    rng = np.random.default_rng(seed)
    noise = rng.multivariate_normal(np.zeros(6), oracle["true_Sigma"], size=n_time + 99)
    x = np.zeros_like(noise)
    for t in range(1, len(x)):
        x[t] = oracle["true_A"] @ x[t - 1] + noise[t]
    return x[99:]


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize(
    ("statistic", "word"), [("log_ratio", "logratio"), ("F", "F"), ("p", "pvalue")]
)
def test_granger_equals_statsmodels(oracle, x, order, statistic, word):
    w = find("granger")(x, order=order, statistic=statistic)
    wanted = oracle[f"granger_{word}_lag{order}__statsmodels"]
    np.testing.assert_allclose(w[OFF], wanted[OFF], rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("statistic", "word"), [("log_ratio", "logratio"), ("F", "F")])
def test_conditional_granger_equals_statsmodels(oracle, x, order, statistic, word):
    w = find("granger_conditional")(x, order=order, statistic=statistic)
    wanted = oracle[f"granger_conditional_{word}_lag{order}__statsmodels"]
    np.testing.assert_allclose(w[OFF], wanted[OFF], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_transfer_entropy_is_half_of_granger(oracle, x, order):
    te = find("te_gauss")(x, source_lags=order, target_lags=order)
    key = f"transfer_entropy_gaussian_lag{order}__statsmodels"
    np.testing.assert_allclose(te[OFF], oracle[key][OFF], atol=1e-12)
    np.testing.assert_array_equal(te, find("granger")(x, order=order) / 2)


def test_transfer_entropy_with_unequal_lags_equals_regressions(x):
    te = find("te_gauss")(x, source_lags=1, target_lags=3)
    y, own = x[3:, 1], np.stack([x[3 - k : -k, 1] for k in (1, 2, 3)] + [np.ones(397)])
    with_source = np.vstack([own, x[2:-1, 0]])
    rss = [np.linalg.lstsq(d.T, y, rcond=None)[1][0] for d in (own, with_source)]
    assert te[0, 1] == pytest.approx(np.log(rss[0] / rss[1]) / 2, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_coefficients_equal_statsmodels_turned(oracle, x, order):
    w = find("var_coef")(x, order=order)
    np.testing.assert_allclose(w, oracle[f"var{order}_coefs__statsmodels"][0].T,
                               atol=1e-12)  # fmt: skip


def test_ridge_allows_few_samples_and_shrinks(x):
    with pytest.raises(ParameterError, match="4 p N = 24 samples"):
        find("var_coef")(x[:20])
    small, large = (find("var_coef")(x[:20], ridge=r) for r in (0.1, 10.0))
    assert np.abs(large).sum() < np.abs(small).sum()


@pytest.mark.parametrize("name", ["granger", "granger_conditional"])
def test_known_values_are_found(oracle, name):
    kind = "bivariate" if name == "granger" else "conditional"
    w = find(name)(simulate(oracle, 4000, 0))
    true = oracle[f"true_granger_{kind}_lag1"]
    np.testing.assert_allclose(w[OFF], true[OFF], atol=0.05)


def test_true_graph_and_directions_are_found(oracle):
    from sklearn.metrics import roc_auc_score

    x = np.stack([simulate(oracle, 4000, seed) for seed in range(20)])
    w = find("granger_conditional")(x)
    graph = oracle["true_A"].T
    edges = np.abs(graph[OFF]) > 0
    right = []
    for one in w:
        assert roc_auc_score(edges, one[OFF]) >= 0.99
        right += [one[i, j] > one[j, i] for i, j in ((0, 1), (1, 2), (0, 3), (4, 5))]
    assert np.mean(right) >= 0.95


def test_white_noise_is_rejected_at_the_nominal_rate():
    x = np.random.default_rng(0).normal(size=(40, 300, 6))
    p = find("granger")(x, order=2, statistic="p")[:, OFF]
    assert 0.03 < np.mean(p < 0.05) < 0.07


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_criterion_finds_the_order_of_a_pair(criterion):
    from neuroana.fc.autoregression import chosen_order

    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 800, 2))
    for t in range(3, 800):
        x[0, t, 1] += 0.5 * x[0, t - 3, 0]
    assert chosen_order(x, 6, criterion)[0, 0, 1] == 3
    w = find("granger")(x, order=6, criterion=criterion)
    np.testing.assert_allclose(w[0, 0, 1], find("granger")(x, order=3)[0, 0, 1])


def test_time_reversal_turns_granger_around(oracle):
    x = simulate(oracle, 2000, 1)
    w, back = find("granger")(x), find("granger")(x[::-1])
    assert w[0, 1] > w[1, 0]
    assert back[0, 1] < back[1, 0]
