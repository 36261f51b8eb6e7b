"""Covariance and Pearson's correlation, of the samples and of their differences."""

import numpy as np

from neuroana.core.checks import check_number
from neuroana.fc.intermediates import (
    as_correlations,
    gram,
    undefined_diagonal,
    unit_diagonal,
)
from neuroana.fc.registry import operator


PEARSON = "Pearson 1896, Phil. Trans. R. Soc. A 187, 253"


def pairwise_covariance(x, *, ddof=1):
    """Covariance over the samples that both regions have; three matrix products."""
    valid = np.isfinite(x)
    with np.errstate(invalid="ignore"):
        x = np.where(valid, x - np.nanmean(x, axis=1, keepdims=True), 0.0)
    n, total = gram(valid.astype(np.float64)), np.swapaxes(x, 1, 2) @ valid
    return (gram(x) - total * np.swapaxes(total, 1, 2) / n) / (n - ddof)


def pairwise_pearson(x, *, fisher_z=False):
    """Pearson's r over the samples that both regions have."""
    valid = np.isfinite(x)
    x = np.where(valid, x - np.nanmean(x, axis=1, keepdims=True), 0.0)
    n, total = gram(valid.astype(np.float64)), np.swapaxes(x, 1, 2) @ valid
    power = np.swapaxes(x * x, 1, 2) @ valid - total**2 / n
    c = gram(x) - total * np.swapaxes(total, 1, 2) / n
    r = unit_diagonal(c / np.sqrt(power * np.swapaxes(power, 1, 2)))
    return fisher(r) if fisher_z else r


def fisher(r):
    """arctanh r; undefined on the diagonal."""
    with np.errstate(divide="ignore"):
        return undefined_diagonal(np.arctanh(r))


@operator("covariance", "correlation", signed=True, zscored=False,
          pairwise=pairwise_covariance, needs=("second_moments",),
          source=PEARSON)  # fmt: skip
def covariance(x, *, second_moments, ddof=1):
    """Covariance X'X/(T - ddof) of the centred samples, in the unit squared.

    Parameters
    ----------
    ddof : int, default=1
        Taken off the number of samples.

    References
    ----------
    Pearson, K. (1896). Mathematical contributions to the theory of evolution. III.
    Philosophical Transactions of the Royal Society A 187, 253-318.
    """
    n = x.shape[1]
    check_number("ddof", ddof, minimum=0, maximum=n - 1, integer=True)
    return second_moments * (n / (n - ddof))


@operator("pearson", "correlation", signed=True, pairwise=pairwise_pearson,
          needs=("correlations",), source=PEARSON)  # fmt: skip
def pearson(correlations, *, fisher_z=False):
    """Pearson's correlation; the default of the field and a sound one.

    Parameters
    ----------
    fisher_z : bool, default=False
        Return arctanh(r), undefined on the diagonal.

    References
    ----------
    Pearson, K. (1896). Mathematical contributions to the theory of evolution. III.
    Philosophical Transactions of the Royal Society A 187, 253-318.
    """
    return fisher(correlations) if fisher_z else correlations.copy()


@operator("diff_corr", "lagged", signed=True, ordered=True,
          source="Box and Jenkins 1970, Time Series Analysis")  # fmt: skip
def diff_corr(x):
    """Pearson's correlation of the differences from sample to sample.

    Slow drifts that all regions share drop out.

    References
    ----------
    Box, G. E. P. and Jenkins, G. M. (1970). Time Series Analysis: Forecasting and
    Control. Holden-Day.
    """
    d = np.diff(x, axis=1)
    return as_correlations(gram(d - d.mean(axis=1, keepdims=True)))


@operator("noise", "noise", signed=True, cost="N^2", batched=False,
          source="the floor of a leaderboard")  # fmt: skip
def noise(x, *, random_state=0):
    """Independent Gaussian numbers, the floor that every measure has to pass.

    The draw depends on the samples, so two recordings differ and one repeats.

    Parameters
    ----------
    random_state : int, default=0
    """
    from hashlib import sha256

    from neuroana.core.random import branch

    key = int.from_bytes(sha256(np.ascontiguousarray(x)).digest()[:4], "little")
    w = branch(random_state, key).standard_normal((x.shape[-1],) * 2)
    return np.triu(w, 1) + np.triu(w, 1).T + np.diag(np.diag(w))
