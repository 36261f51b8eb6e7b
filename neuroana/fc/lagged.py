"""Correlation at lags: rho_ij(l) = sum_t z_i[t] z_j[t + l] / T, i leads where l > 0."""

import numpy as np

from neuroana.core.checks import check_number
from neuroana.fc.intermediates import gram, unit_diagonal
from neuroana.fc.registry import operator
from neuroana.fc.sharing import intermediate


BOX = "Box and Jenkins 1970, Time Series Analysis"


def lagged_products(z, lag):
    """sum_t z_i[t] z_j[t + lag] / T (recording, source, target)."""
    n_time = z.shape[1]
    return np.swapaxes(z[:, : n_time - lag], 1, 2) @ z[:, lag:] / n_time


@intermediate(workspace=lambda T, N, lag_samples: 2 * (lag_samples + 1) * N**2)
def cross_correlations(zscores, *, lag_samples=10):
    """rho (recording, lag, source, target) at lags -L .. L; one product a lag."""
    check_number("lag_samples", lag_samples, minimum=1,
                 maximum=zscores.shape[1] - 1, integer=True)  # fmt: skip
    n = int(lag_samples)
    shape = (len(zscores), 2 * n + 1, zscores.shape[2], zscores.shape[2])
    rho = np.empty(shape)
    rho[:, n] = gram(zscores) / zscores.shape[1]
    for lag in range(1, n + 1):
        rho[:, n + lag] = lagged_products(zscores, lag)
        rho[:, n - lag] = np.swapaxes(rho[:, n + lag], 1, 2)
    return rho


def all_lags(T, N, lag_samples):
    """Numbers of two copies of the correlations at all lags."""
    return 2 * (2 * lag_samples + 3) * N**2


def largest(rho):
    """Index of the lag of the largest |rho|; of equals the nearest to 0, then l > 0."""
    n = rho.shape[1] // 2
    nearest = np.argsort(np.abs(np.arange(-n, n + 1) - 0.25), kind="stable")
    return nearest[np.abs(rho[:, nearest]).argmax(axis=1)]


def at_largest(rho):
    """rho at that lag."""
    return np.take_along_axis(rho, largest(rho)[:, None], axis=1)[:, 0]


@operator("xcorr_max", "lagged", signed=True, ordered=True, cost="21*T*N^2",
          needs=("cross_correlations",), source=BOX, workspace=all_lags)  # fmt: skip
def xcorr_max(cross_correlations):
    """Cross-correlation at the lag where it is largest, with its sign.

    Parameters
    ----------
    lag_samples : int, default=10
        Lags from minus to plus this are looked at.

    References
    ----------
    Box, G. E. P. and Jenkins, G. M. (1970). Time Series Analysis: Forecasting and
    Control. Holden-Day, chapter 11.
    """
    w = at_largest(cross_correlations)
    upper = np.triu(w, 1)
    return unit_diagonal(upper + np.swapaxes(upper, 1, 2))


@operator("xcorr_mean", "lagged", signed=True, ordered=True, cost="21*T*N^2",
          needs=("cross_correlations",), source=BOX)  # fmt: skip
def xcorr_mean(cross_correlations):
    """Mean of the cross-correlation over lags.

    Parameters
    ----------
    lag_samples : int, default=10
        Lags from minus to plus this are averaged.

    References
    ----------
    Box, G. E. P. and Jenkins, G. M. (1970). Time Series Analysis: Forecasting and
    Control. Holden-Day, chapter 11.
    """
    w = cross_correlations.mean(axis=1)
    return (w + np.swapaxes(w, 1, 2)) / 2


@operator("xcorr_lag", "lagged", directed=True, signed=True, ordered=True,
          cost="21*T*N^2", needs=("cross_correlations",), source=BOX,
          workspace=all_lags)  # fmt: skip
def xcorr_lag(cross_correlations):
    """Lag, in samples, at which the cross-correlation is largest; > 0: source leads.

    Parameters
    ----------
    lag_samples : int, default=10
        Lags from minus to plus this are looked at.

    References
    ----------
    Box, G. E. P. and Jenkins, G. M. (1970). Time Series Analysis: Forecasting and
    Control. Holden-Day, chapter 11.
    """
    lags = largest(cross_correlations) - cross_correlations.shape[1] // 2
    upper = np.triu(lags, 1).astype(np.float64)
    return upper - np.swapaxes(upper, 1, 2)


@operator("lagged_corr", "lagged", directed=True, signed=True, ordered=True,
          needs=("zscores",), source=BOX)  # fmt: skip
def lagged_corr(zscores, *, lag_samples=1):
    """Correlation of the source with the target some samples later.

    Parameters
    ----------
    lag_samples : int, default=1

    References
    ----------
    Box, G. E. P. and Jenkins, G. M. (1970). Time Series Analysis: Forecasting and
    Control. Holden-Day, chapter 11.
    """
    check_number("lag_samples", lag_samples, minimum=0,
                 maximum=zscores.shape[1] - 1, integer=True)  # fmt: skip
    return lagged_products(zscores, lag_samples)
