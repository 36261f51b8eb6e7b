"""Linear, shrunk, inverse, sparse and geometric operators beside other libraries."""

import numpy as np
import pytest

from neuroana.core.errors import FitWarning, ParameterError
from neuroana.fc.geometry import geometric_mean
from neuroana.fc.linear import pairwise_covariance, pairwise_pearson
from neuroana.fc.registry import find
from neuroana.fc.sparse_inverse import duality_gap, sparse_precision


ROWS = [
    ("covariance", {}, "covariance_ddof1__numpy"),
    ("covariance", {"ddof": 0}, "covariance_empirical__nilearn"),
    ("pearson", {}, "pearson__numpy"),
    ("spearman", {}, "spearman__scipy"),
    ("kendall", {}, "kendall_taub__scipy"),
    ("chatterjee_xi", {}, "chatterjee_xi__scipy"),
    ("ledoit_wolf", {}, "ledoit_wolf_covariance__sklearn"),
    ("oas", {}, "oas_covariance__sklearn"),
    ("shrunk", {}, "shrunk_covariance_covariance__sklearn"),
    ("mcd", {}, "min_cov_det_covariance__sklearn"),
    ("precision", {}, "ledoit_wolf_precision__sklearn"),
    ("precision", {"estimator": "oas"}, "oas_precision__sklearn"),
    ("precision", {"estimator": "shrunk"}, "shrunk_covariance_precision__sklearn"),
    ("precision", {"estimator": "empirical"}, "precision_empirical__nilearn"),
    ("partial", {}, "partial_correlation_ledoitwolf__nilearn"),
    ("partial", {"estimator": "empirical"}, "partial_correlation_empirical__nilearn"),
]


@pytest.mark.parametrize(("name", "params", "key"), ROWS)
def test_operator_equals_other_library(oracle, x, name, params, key):
    np.testing.assert_allclose(find(name)(x, **params), oracle[key], rtol=1e-10,
                               atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_graphical_lasso_equals_coordinate_descent(oracle, x, alpha):
    k = find("graphical_lasso")(x, alpha=alpha)
    key = f"graphical_lasso_a{alpha}_precision__sklearn"
    np.testing.assert_allclose(k, oracle[key], atol=1e-4)
    s = np.corrcoef(x.T)[None]
    assert abs(duality_gap(s, k[None], alpha)[0]) < 1e-5


def test_graphical_lasso_of_many_regions_is_optimal():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 60, 40)) @ rng.normal(size=(40, 40))
    s = np.stack([np.corrcoef(one.T) for one in x])
    k = sparse_precision(s, 0.1)
    w = np.linalg.inv(k)  # stationarity: W - S within alpha, equal where K is not 0
    off = ~np.eye(40, dtype=bool)
    assert np.abs((w - s)[:, off]).max() < 0.1 + 1e-4
    active = (k != 0) & off
    np.testing.assert_allclose((w - s)[active], 0.1 * np.sign(k)[active], atol=1e-4)


def test_graphical_lasso_that_does_not_converge_warns(x):
    with pytest.warns(FitWarning, match="did not converge"):
        find("graphical_lasso")(x, alpha=0.05, max_iter=3)


def test_cross_validated_lasso_takes_the_penalty_that_predicts(x):
    alphas = (0.4, 0.05)
    k = find("graphical_lasso_cv")(x, alphas=alphas)
    np.testing.assert_allclose(k, find("graphical_lasso")(x, alpha=0.05), atol=1e-6)


@pytest.mark.parametrize("estimator", ["empirical", "ledoit_wolf"])
def test_tangent_equals_nilearn_within_its_tolerance(oracle, x, estimator):
    short = estimator.replace("_", "")
    w = find("tangent")(x.reshape(4, 100, 6), estimator=estimator)
    np.testing.assert_allclose(w, oracle[f"tangent_{short}_4x100__nilearn"], atol=2e-6)


def test_geometric_mean_is_the_midpoint_and_has_no_gradient():
    rng = np.random.default_rng(0)
    a, b = (m @ m.T + np.eye(4) for m in rng.normal(size=(2, 4, 4)))
    g = geometric_mean(np.stack([a, b]), tol=1e-12, max_iter=100)
    values, vectors = np.linalg.eig(np.linalg.solve(a, b))
    midpoint = a @ vectors @ np.diag(np.sqrt(values)) @ np.linalg.inv(vectors)
    np.testing.assert_allclose(g, midpoint, rtol=1e-8)


def test_geometric_mean_that_does_not_converge_warns():
    rng = np.random.default_rng(0)
    s = np.stack([m @ m.T + 0.01 * np.eye(5) for m in rng.normal(size=(8, 5, 5))])
    with pytest.warns(FitWarning, match="did not converge"):
        geometric_mean(s, tol=1e-14, max_iter=2)


def test_log_euclidean_is_the_logarithm(x):
    from scipy.linalg import logm

    w = find("log_euclidean")(x, estimator="empirical")
    np.testing.assert_allclose(w, logm(np.cov(x.T, ddof=0)), atol=1e-12)


def test_kendall_and_xi_with_ties_equal_scipy():
    from scipy.stats import chatterjeexi, kendalltau

    x = np.random.default_rng(0).integers(0, 6, size=(70, 3)).astype(float)
    tau, xi = find("kendall")(x), find("chatterjee_xi")(x)
    for i in range(3):
        for j in range(3):
            assert tau[i, j] == pytest.approx(kendalltau(x[:, i], x[:, j])[0])
            if i != j:  # ties in i are broken by their order here and there
                wanted = chatterjeexi(x[:, i], x[:, j])[0]
                assert xi[i, j] == pytest.approx(wanted, abs=1e-12)


def test_kendall_in_blocks_of_rows_is_the_same(x, monkeypatch):
    from neuroana.fc import rank_correlation

    whole = find("kendall")(x)
    monkeypatch.setattr(rank_correlation, "ROWS", 7)
    np.testing.assert_array_equal(find("kendall")(x), whole)


def test_diff_corr_is_pearson_of_differences(x):
    w = find("diff_corr")(x)
    np.testing.assert_allclose(w, np.corrcoef(np.diff(x, axis=0).T), atol=1e-13)


def test_fisher_z_has_no_diagonal(x):
    z = find("pearson")(x, fisher_z=True)
    assert np.isnan(np.diag(z)).all()
    assert z[0, 1] == pytest.approx(np.arctanh(np.corrcoef(x.T)[0, 1]))


@pytest.mark.parametrize("name", ["pearson", "spearman", "kendall", "chatterjee_xi",
                                  "partial", "graphical_lasso"])  # fmt: skip
def test_scale_and_offset_of_a_region_do_not_matter(x, name):
    import neuroana as na

    changed = x * [1, 2, 0.5, 4, 8, 0.25] + [0, 1, -3, 0, 100, 5]
    first, second = (na.fc.connectivity(v, name) for v in (x, changed))
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_pairwise_moments_equal_loops_over_pairs(x):
    y = x[:80].copy()
    y[np.random.default_rng(0).random(y.shape) < 0.2] = np.nan
    c, r = pairwise_covariance(y[None])[0], pairwise_pearson(y[None])[0]
    for i in range(6):
        for j in range(6):
            both = np.isfinite(y[:, [i, j]]).all(axis=1)
            pair = np.cov(y[both, i], y[both, j])
            assert c[i, j] == pytest.approx(pair[0, 1], abs=1e-12)
            wanted = pair[0, 1] / np.sqrt(pair[0, 0] * pair[1, 1])
            assert r[i, j] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("name", ["partial", "precision", "tangent", "log_euclidean"])
def test_empirical_inverse_with_few_samples_is_refused(name):
    x = np.random.default_rng(0).normal(size=(2, 10, 12))
    with pytest.raises(ParameterError, match="ledoit_wolf"):
        find(name)(x, estimator="empirical")
    assert np.isfinite(find(name)(x)).all()


def test_mcd_with_few_samples_is_refused():
    with pytest.raises(ParameterError, match="5 N = 30"):
        find("mcd")(np.random.default_rng(0).normal(size=(30, 6)))


def test_partial_finds_the_stationary_partial_correlation(oracle):
    rng = np.random.default_rng(0)
    noise = rng.multivariate_normal(np.zeros(6), oracle["true_Sigma"], size=40500)
    x = np.zeros_like(noise)
    for t in range(1, len(x)):
        x[t] = oracle["true_A"] @ x[t - 1] + noise[t]
    w = find("partial")(x[500:], estimator="empirical")
    np.testing.assert_allclose(w, oracle["true_partial_correlation"], atol=0.02)


def test_noise_differs_between_recordings_and_repeats(x):
    both = find("noise")(np.stack([x, x + 1]))
    assert not np.allclose(both[0], both[1])
    np.testing.assert_array_equal(both[0], find("noise")(x))
