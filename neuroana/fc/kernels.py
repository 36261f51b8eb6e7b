"""Dependence of any form: distance correlation and the Hilbert-Schmidt criterion.

For every region the centred (T, T) matrix of distances or kernels is a column of
V (T^2, N); all pairs at once are V'V. V is made and multiplied in blocks of rows.
"""

import numpy as np

from neuroana.core.checks import check_number
from neuroana.fc.registry import operator


SZEKELY = "Székely, Rizzo and Bakirov 2007, Ann. Stat. 35, 2769"
UNBIASED = "Székely and Rizzo 2014, Ann. Stat. 42, 2382"
GRETTON = "Gretton et al. 2005, ALT, LNCS 3734, 63"
ROOM = 2**23  # entries of V that are held at once


def blocks(T, N):
    """Numbers of the rows of V that are held at once, with what makes them."""
    return 4 * max(min(ROOM, T * T * N), T * N) + 2 * T**2 + 6 * N**2


def distances(block, x):
    """|x_s - x_t| (row, sample, roi)."""
    gap = block[:, None] - x[None]
    return np.abs(gap, out=gap)


def gaussian(scale):
    """Kernel exp(-d^2 / 2 m^2) of a scale m (roi,)."""

    def kernel(block, x):
        gap = block[:, None] - x[None]
        np.square(gap, out=gap)
        gap *= -0.5 / scale**2
        return np.exp(gap, out=gap)

    return kernel


def median_distances(x):
    """Median of the non-zero |x_s - x_t|, s < t, of each region."""
    upper = np.triu_indices(len(x), 1)
    out = np.empty(x.shape[1])
    for i, column in enumerate(x.T):
        d = np.abs(column[upper[0]] - column[upper[1]])
        out[i] = np.median(d[d > 0])
    return out


def row_means(x, kernel):
    """Sums over t of the matrix, (sample, roi)."""
    rows = max(1, ROOM // x.size)
    return np.concatenate([
        kernel(x[first : first + rows], x).sum(axis=1)
        for first in range(0, len(x), rows)
    ])  # fmt: skip


def centred_products(x, y, kernel_x, kernel_y, *, unbiased=False):
    """<A_i, B_j> of all pairs of regions of x and y (time, roi).

    Doubly centred matrices, or U-centred ones with an empty diagonal.
    """
    n = len(x)
    same = x is y
    sums = [row_means(v, k) for v, k in ((x, kernel_x), (y, kernel_y))[: 2 - same]]
    total = np.zeros((x.shape[1], y.shape[1]))
    rows = max(1, ROOM // max(x.size, y.size))
    for first in range(0, n, rows):
        at = slice(first, min(first + rows, n))
        parts = [
            centred(k(v[at], v), s, at, unbiased)
            for (v, k), s in zip(((x, kernel_x), (y, kernel_y)), sums)
        ]
        total += parts[0].T @ parts[-1]
    return total


def centred(block, sums, at, unbiased):
    """Rows `at` of the centred matrix as (row * sample, roi)."""
    n = len(sums)
    if unbiased:
        # the diagonal counts as zero
        own = block[np.arange(len(block)), np.arange(at.start, at.stop)]
        sums = sums - own[0]
        block -= sums[at][:, None] / (n - 2)
        block -= sums[None] / (n - 2)
        block += sums.sum(axis=0) / ((n - 1) * (n - 2))
        block[np.arange(len(block)), np.arange(at.start, at.stop)] = 0.0
    else:
        block -= sums[at][:, None] / n
        block -= sums[None] / n
        block += sums.mean(axis=0) / n
    return block.reshape(-1, block.shape[-1])


def normalised(c, first, second):
    """c_ij / sqrt(a_i b_j), 0 where a or b is."""
    scale = np.sqrt(np.maximum(first[:, None] * second[None, :], 0.0))
    return np.divide(c, scale, out=np.zeros_like(c), where=scale > 0)


@operator("dcor", "kernel", cost="T^2*N + T^2*N^2", batched=False, source=SZEKELY,
          workspace=blocks)  # fmt: skip
def dcor(x):
    """Distance correlation: zero only where regions are independent. Biased upward.

    References
    ----------
    Székely, G. J., Rizzo, M. L. and Bakirov, N. K. (2007). Measuring and testing
    dependence by correlation of distances. Annals of Statistics 35, 2769-2794.
    """
    c = np.maximum(centred_products(x, x, distances, distances), 0.0)
    own = np.diag(c)
    return np.sqrt(normalised(c, own, own))


@operator("dcor_unbiased", "kernel", signed=True, cost="T^2*N + T^2*N^2",
          batched=False, source=UNBIASED, workspace=blocks)  # fmt: skip
def dcor_unbiased(x):
    """Squared distance correlation of U-centred distances: 0 on average for noise.

    References
    ----------
    Székely, G. J. and Rizzo, M. L. (2014). Partial distance correlation with methods
    for dissimilarities. Annals of Statistics 42, 2382-2412.
    """
    c = centred_products(x, x, distances, distances, unbiased=True)
    return normalised(c, np.diag(c), np.diag(c))


@operator("hsic", "kernel", signed=True, cost="10*T^2*N + T^2*N^2", batched=False,
          source=GRETTON, workspace=blocks)  # fmt: skip
def hsic(x, *, unbiased=False, correlation=False):
    """Hilbert-Schmidt independence criterion, Gaussian kernels of median width.

    Parameters
    ----------
    unbiased : bool, default=False
        The U-statistic.
    correlation : bool, default=False
        Divide by sqrt(HSIC_ii HSIC_jj) and take the root.

    References
    ----------
    Gretton, A., Bousquet, O., Smola, A. and Schölkopf, B. (2005). Measuring statistical
    dependence with Hilbert-Schmidt norms. Algorithmic Learning Theory, LNCS 3734,
    63-77. The U-statistic: Song, L. et al. (2012). Feature selection via dependence
    maximization. Journal of Machine Learning Research 13, 1393-1434.
    """
    kernel = gaussian(median_distances(x))
    n = len(x)
    c = centred_products(x, x, kernel, kernel, unbiased=unbiased)
    if correlation:
        own = np.maximum(np.diag(c), 0.0)
        return np.sqrt(np.maximum(normalised(c, own, own), 0.0))
    return c / (n * (n - 3)) if unbiased else c / n**2


def at_lags(x, lag_samples, kind):
    """Largest dependence of the target, 0 .. L samples later, on the source."""
    check_number(
        "lag_samples", lag_samples, minimum=0, maximum=len(x) - 4, integer=True
    )
    best = np.zeros((x.shape[1], x.shape[1]))
    for lag in range(int(lag_samples) + 1):
        early, late = x[: len(x) - lag], x[lag:]
        if kind == "hsic":
            kernels = [gaussian(median_distances(v)) for v in (early, late)]
        else:
            kernels = [distances, distances]
        c = centred_products(early, late, *kernels)
        own = [
            np.diag(centred_products(v, v, k, k))
            for v, k in zip((early, late), kernels)
        ]
        best = np.maximum(best, normalised(np.maximum(c, 0.0), *own))
    return np.sqrt(best)


@operator("cross_dcor", "kernel", directed=True, ordered=True,
          cost="22*T^2*N + 11*T^2*N^2", batched=False, source=SZEKELY,
          workspace=blocks)  # fmt: skip
def cross_dcor(x, *, lag_samples=10):
    """Largest distance correlation of the source with the target 0 .. L samples later.

    Parameters
    ----------
    lag_samples : int, default=10

    References
    ----------
    Székely, G. J., Rizzo, M. L. and Bakirov, N. K. (2007). Measuring and testing
    dependence by correlation of distances. Annals of Statistics 35, 2769-2794.
    """
    return at_lags(x, lag_samples, "dcor")


@operator("cross_hsic", "kernel", directed=True, ordered=True,
          cost="50*T^2*N + 11*T^2*N^2", batched=False, source=GRETTON,
          workspace=blocks)  # fmt: skip
def cross_hsic(x, *, lag_samples=10):
    """Largest normalised HSIC of the source with the target 0 .. L samples later.

    Parameters
    ----------
    lag_samples : int, default=10

    References
    ----------
    Gretton, A., Bousquet, O., Smola, A. and Schölkopf, B. (2005). Measuring statistical
    dependence with Hilbert-Schmidt norms. Algorithmic Learning Theory, LNCS 3734,
    63-77.
    """
    return at_lags(x, lag_samples, "hsic")
