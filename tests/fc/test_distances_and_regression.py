"""Distances, warping, regressions and events beside other libraries and loops."""

import numpy as np
import pytest

import neuroana as na
from neuroana.core.errors import FitWarning, ParameterError
from neuroana.fc import warping
from neuroana.fc.registry import find


OFF = ~np.eye(6, dtype=bool)
PLAIN = ("euclidean", "cityblock", "cosine", "chebyshev", "canberra", "braycurtis")


@pytest.mark.parametrize("name", PLAIN)
def test_distance_equals_scipy(oracle, x, name):
    w, wanted = find(name)(x), oracle[f"{name}_zscored__scipy"]
    np.testing.assert_allclose(w[OFF], wanted[OFF], rtol=1e-10)
    assert (np.diag(w) == 0).all()


@pytest.mark.parametrize(
    ("name", "params", "key"),
    [
        ("dtw", {"band": None}, "dtw_zscored__tslearn"),
        ("dtw", {"band": 0.1}, "dtw_zscored_sakoechiba40__tslearn"),
        ("soft_dtw", {"band": None}, "softdtw_zscored_gamma1__tslearn"),
        ("lcss", {"band": None}, "lcss_zscored_eps1__tslearn"),
    ],
)
def test_warping_equals_tslearn(oracle, x, name, params, key):
    np.testing.assert_allclose(find(name)(x, **params), oracle[key], rtol=1e-10)


@pytest.mark.parametrize("band", [0.1, 0.33, None])
@pytest.mark.parametrize("name", ["dtw", "soft_dtw", "lcss"])
def test_warping_without_a_compiler_is_the_same(x, monkeypatch, name, band):
    compiled = find(name)(x[:61], band=band)
    monkeypatch.setattr(warping, "has_compiler", lambda: False)
    plain = find(name)(x[:61], band=band)
    if name == "soft_dtw":
        np.fill_diagonal(compiled, 0.0)
        np.fill_diagonal(plain, 0.0)
    np.testing.assert_allclose(plain, compiled, rtol=1e-10)


def test_warping_finds_a_shifted_copy():
    s = np.cumsum(np.random.default_rng(0).normal(size=130))
    x = np.stack([s[5:105], s[:100], np.random.default_rng(1).normal(size=100)], axis=1)
    plain, warped = find("euclidean")(x), find("dtw")(x)
    assert warped[0, 1] < 0.5 * plain[0, 1]
    assert warped[0, 2] > 2 * warped[0, 1]


def test_distances_turn_into_similarities_where_asked(x):
    far = na.fc.connectivity(x, "euclidean")
    near = na.fc.connectivity(x, "euclidean", similarity=True)
    np.testing.assert_array_equal(near, -far)
    assert far.attrs["distance"] == 1
    assert near.attrs["distance"] == 0
    order = np.argsort(near.values[OFF])
    r = na.fc.connectivity(x).values[OFF]
    assert (np.diff(r[order]) > -1e-12).all()


def test_bivariate_ridge_equals_sklearn(oracle, x):
    w = find("ridge")(x, bivariate=True)
    np.testing.assert_allclose(w, oracle["ridge_coef_alpha1_zscored__sklearn"],
                               atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("alpha", [0.0, 1.0, 50.0])
def test_ridge_on_all_others_equals_a_fit_each(x, alpha):
    from sklearn.linear_model import Ridge

    z = (x - x.mean(0)) / x.std(0)
    w = find("ridge")(x, alpha=alpha)
    for j in range(6):
        others = np.delete(np.arange(6), j)
        wanted = Ridge(alpha, fit_intercept=False).fit(z[:, others], z[:, j]).coef_
        np.testing.assert_allclose(w[others, j], wanted, atol=1e-10)


def test_lasso_equals_sklearn(oracle, x):
    w = find("lasso")(x)
    key = "lasso_allbutone_alpha0.05_zscored__sklearn"  # [target, predictor]
    np.testing.assert_allclose(w.T[OFF], oracle[key][OFF], atol=1e-6)


def test_lasso_that_does_not_converge_warns(x):
    with pytest.warns(FitWarning, match="did not converge"):
        find("lasso")(x, max_iter=1)


def test_ridge_without_penalty_and_few_samples_is_refused():
    with pytest.raises(ParameterError, match="alpha > 0"):
        find("ridge")(np.random.default_rng(0).normal(size=(5, 8)), alpha=0)


def test_events_equal_a_loop(x):
    w = find("event_sync")(x)
    high = x > np.quantile(x, 0.9, axis=0)
    times = [[t for t in range(400) if high[t, i] and (t == 0 or not high[t - 1, i])]
             for i in range(6)]  # fmt: skip
    for i, j in ((0, 1), (2, 5)):
        c = sum(any(abs(s - t) <= 2 for t in times[j]) for s in times[i])
        c += sum(any(abs(s - t) <= 2 for s in times[i]) for t in times[j])
        wanted = c / (2 * np.sqrt(len(times[i]) * len(times[j])))
        assert w[i, j] == pytest.approx(wanted)


def test_band_outside_its_range_is_refused(x):
    with pytest.raises(ParameterError, match="band"):
        find("dtw")(x, band=2.0)
