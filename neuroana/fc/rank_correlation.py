"""Correlation of ranks: Spearman's rho, Kendall's tau-b, Chatterjee's xi."""

import numpy as np

from neuroana.fc.intermediates import gram, ranks, unit_diagonal
from neuroana.fc.registry import operator


ROWS = 16  # samples whose differences from all later ones are held at once


@operator("spearman", "correlation", signed=True, cost="T*log(T)*N + T*N^2",
          needs=("rank_zscores",),
          source="Spearman 1904, Am. J. Psychol. 15, 72")  # fmt: skip
def spearman(rank_zscores):
    """Pearson's correlation of average ranks: any monotone relation, few outliers.

    References
    ----------
    Spearman, C. (1904). The proof and measurement of association between two things.
    American Journal of Psychology 15, 72-101.
    """
    return unit_diagonal(gram(rank_zscores) / rank_zscores.shape[1])


def sign_blocks(T, N):
    """Numbers of the signs that are held at once (single precision)."""
    return 2 * ROWS * T * N + 2 * T * N + 4 * N**2


@operator("kendall", "correlation", signed=True, cost="T^2*N^2", workspace=sign_blocks,
          source="Kendall 1945, Biometrika 33, 239")  # fmt: skip
def kendall(x):
    """Kendall's tau-b, as matrix products of the signs of all differences.

    tau_ij = sum_{s<t} sgn(x_it - x_is) sgn(x_jt - x_js) / sqrt(m_i m_j), m_i the
    number of pairs of samples that are not tied in i. Signs are small whole numbers,
    so single precision sums them exactly.

    References
    ----------
    Kendall, M. G. (1945). The treatment of ties in ranking problems. Biometrika 33,
    239-251.
    """
    n_recordings, n_time, n = x.shape
    # the differences of ranks have the signs of the differences of samples
    r = ranks(x).astype(np.float32)
    agree = np.zeros((n_recordings, n, n))
    for b in range(n_recordings):
        for first in range(0, n_time, ROWS):
            block = r[b, first : first + ROWS, None] - r[b, None, first:]
            signs = np.sign(block, out=block).reshape(-1, n)
            square = gram(signs)
            inside = signs.reshape(len(block), -1, n)[:, : len(block)].reshape(-1, n)
            agree[b] += square.astype(np.float64) - gram(inside) / 2
    m = np.sqrt(np.einsum("bii->bi", agree))
    return unit_diagonal(agree / (m[:, :, None] * m[:, None, :]))


@operator("chatterjee_xi", "correlation", directed=True, cost="P*T*log(T)",
          workspace=lambda T, N: 8 * T * N + N**2,
          source="Chatterjee 2021, J. Am. Stat. Assoc. 116, 2009")  # fmt: skip
def chatterjee_xi(x):
    """Chatterjee's xi: how far region j is a function, of any form, of region i.

    xi_ij = 1 - T sum_t |r_{t+1} - r_t| / (2 sum_t l_t (T - l_t)), r and l the ranks of
    j from below and from above, in the order of i; without ties the denominator is
    T (T^2 - 1) / 3.

    References
    ----------
    Chatterjee, S. (2021). A new coefficient of correlation. Journal of the American
    Statistical Association 116, 2009-2022.
    """
    from scipy.stats import rankdata

    n_recordings, n_time, n = x.shape
    r = rankdata(x, method="max", axis=1)
    upper = n_time + 1 - rankdata(x, method="min", axis=1)
    scale = 2.0 * (upper * (n_time - upper)).sum(axis=1)
    order = np.argsort(x, axis=1, kind="stable")
    w = np.empty((n_recordings, n, n))
    for b in range(n_recordings):
        for i in range(n):
            jumps = np.abs(np.diff(r[b, order[b, :, i]], axis=0)).sum(axis=0)
            w[b, i] = 1.0 - n_time * jumps / scale[b]
    return w
