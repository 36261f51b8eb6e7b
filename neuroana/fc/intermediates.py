"""What several operators compute on: centred samples, z-scores, ranks, second moments.

x: (recording, time, roi), T samples of N regions.
"""

import numpy as np

from neuroana.fc.sharing import intermediate


@intermediate
def centred(x):
    """Samples less the mean of their region."""
    return x - x.mean(axis=1, keepdims=True)


@intermediate
def zscores(centred):
    """Mean 0, mean square 1."""
    power = np.einsum("btn,btn->bn", centred, centred) / centred.shape[1]
    return centred / np.sqrt(power)[:, None]


@intermediate
def second_moments(centred):
    """S = X'X/T (recording, roi, roi)."""
    return gram(centred) / centred.shape[1]


@intermediate
def correlations(zscores):
    """Pearson's r (recording, roi, roi)."""
    return unit_diagonal(gram(zscores) / zscores.shape[1])


@intermediate(workspace=lambda T, N: 6 * T * N)
def rank_zscores(x):
    """Average ranks of each region, standardised."""
    return zscores(centred(ranks(x)))


def ranks(x):
    """Average ranks along time, 1 to T."""
    from scipy.stats import rankdata

    return rankdata(x, axis=1)


def gram(x):
    """X'X of each recording; exactly symmetric."""
    return np.matmul(np.swapaxes(x, -1, -2), x)


def unit_diagonal(r):
    """The matrices with ones on the diagonal and values within [-1, 1], in place."""
    np.clip(r, -1.0, 1.0, out=r)
    n = r.shape[-1]
    r[..., range(n), range(n)] = 1.0
    return r


def undefined_diagonal(w):
    """The matrices with NaN on the diagonal, in place."""
    n = w.shape[-1]
    w[..., range(n), range(n)] = np.nan
    return w


def as_correlations(s):
    """S_ij / sqrt(S_ii S_jj)."""
    d = 1.0 / np.sqrt(np.einsum("...ii->...i", s))
    return unit_diagonal(s * d[..., :, None] * d[..., None, :])
