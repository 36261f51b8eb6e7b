"""Dependence of any form: distance correlation and the Hilbert-Schmidt criterion.

For every region the (T, T) matrix of distances or kernels is a column of V (T^2, N);
all pairs at once are V'V. V is made and multiplied in blocks of rows.
"""

import numpy as np

from neuroana.core.checks import check_number
from neuroana.fc.registry import operator


SZEKELY = "Székely, Rizzo and Bakirov 2007, Ann. Stat. 35, 2769"
UNBIASED = "Székely and Rizzo 2014, Ann. Stat. 42, 2382"
GRETTON = "Gretton et al. 2005, ALT, LNCS 3734, 63"
ROWS = 8  # of the (T, T) matrices that are held at once


def blocks(T, N):
    """Numbers of the rows of V that are held at once, with what makes them."""
    return 4 * ROWS * T * N + 3 * T**2 + 2 * T * N + 8 * N**2


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
    first, second = np.triu_indices(len(x), 1)
    out = np.empty(x.shape[1])
    for i, column in enumerate(np.sort(x.T)):
        d = column[second] - column[first]
        tied = len(d) - np.count_nonzero(d)
        n = len(d) - tied
        middle = [tied + (n - 1) // 2, tied + n // 2]
        out[i] = np.partition(d, middle)[middle].mean()
    return out


def centred_products(x, y, kernel_x, kernel_y, *, unbiased=False):
    """<A_i, B_j> of all pairs of regions of x and y, and <A_i, A_i>, <B_j, B_j>.

    A and B are doubly centred, or U-centred with an empty diagonal. Centring needs no
    matrix: sum K L - 2/n sum r s + t u / n^2 with row sums r, s and totals t, u (n - 2
    and (n - 1)(n - 2) for U-centring). Kernels lose a constant first, which centring
    takes off anyway, so that no digits cancel. Only s <= t is computed.
    """
    sides = [Side(x, kernel_x)] if x is y else [Side(x, kernel_x), Side(y, kernel_y)]
    n = len(x)
    cross = np.zeros((x.shape[1], y.shape[1]))
    for first in range(0, n, ROWS):
        blocks = [side.block(first, unbiased) for side in sides]
        flat = [b.reshape(-1, b.shape[-1]) for b in blocks]
        square = [b[:, : len(b)].reshape(-1, b.shape[-1]) for b in blocks]
        cross += 2 * (flat[0].T @ flat[-1]) - square[0].T @ square[-1]
        if len(sides) > 1:
            for side, f, q in zip(sides, flat, square):
                side.own += 2 * np.einsum("sn,sn->n", f, f)
                side.own -= np.einsum("sn,sn->n", q, q)
    one, two = sides[0], sides[-1]
    by_rows, by_all = (n - 2, (n - 1) * (n - 2)) if unbiased else (n, n**2)
    cross -= 2 / by_rows * (one.rows.T @ two.rows)
    cross += np.outer(one.rows.sum(axis=0), two.rows.sum(axis=0)) / by_all
    if len(sides) == 1:
        return cross, np.diag(cross), np.diag(cross)
    own = [
        s.own - 2 / by_rows * (s.rows**2).sum(axis=0) + s.rows.sum(axis=0) ** 2 / by_all
        for s in sides
    ]
    return cross, *own


class Side:
    """Samples (time, roi) of one side, with the sums over their kernel matrices."""

    def __init__(self, x, kernel):
        self.x, self.kernel = x, kernel
        self.constant = kernel(x[:ROWS], x).mean(axis=(0, 1))
        self.rows = np.zeros(x.shape)
        self.own = np.zeros(x.shape[1])

    def block(self, first, unbiased):
        """Rows from `first` of the matrix, from its diagonal on (row, sample, roi)."""
        block = self.kernel(self.x[first : first + ROWS], self.x[first:])
        block -= self.constant
        n = len(block)
        if unbiased:
            block[range(n), range(n)] = 0.0
        self.rows[first : first + n] += block.sum(axis=1)
        self.rows[first + n :] += block[:, n:].sum(axis=0)
        return block


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
    c = np.maximum(centred_products(x, x, distances, distances)[0], 0.0)
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
    return normalised(*centred_products(x, x, distances, distances, unbiased=True))


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
    c = centred_products(x, x, kernel, kernel, unbiased=unbiased)[0]
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
        c, *own = centred_products(early, late, *kernels)
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
