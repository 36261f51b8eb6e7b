"""Correlation of amplitude envelopes, with and without what mixing would explain."""

import numpy as np

from neuroana.fc.intermediates import as_correlations, gram
from neuroana.fc.registry import operator
from neuroana.fc.sharing import intermediate


HIPP = "Hipp et al. 2012, Nat. Neurosci. 15, 884"


@intermediate(workspace=lambda T, N: 6 * T * N)
def analytic(centred):
    """Analytic signal of the centred samples."""
    from scipy.signal import hilbert

    return hilbert(centred, axis=1)


@operator("aec", "envelope", signed=True, ordered=True, cost="T*log(T)*N + T*N^2",
          needs=("analytic",), source=HIPP)  # fmt: skip
def aec(analytic, *, log=False):
    """Pearson's correlation of Hilbert envelopes. Filter to a band first.

    Parameters
    ----------
    log : bool, default=False
        Of the logarithm of power, which is nearer to Gaussian.

    References
    ----------
    Hipp, J. F. et al. (2012). Large-scale cortical correlation structure of
    spontaneous oscillatory activity. Nature Neuroscience 15, 884-890.
    """
    e = np.abs(analytic)
    e = np.log(e**2) if log else e
    return as_correlations(gram(e - e.mean(axis=1, keepdims=True)))


@operator("aec_orth", "envelope", signed=True, ordered=True, cost="6*T*N^2",
          needs=("analytic",), source=HIPP,
          workspace=lambda T, N: 10 * T * N + 3 * N**2)  # fmt: skip
def aec_orth(analytic, *, log=False, absolute=True):
    """Envelope correlation after one signal is made orthogonal to the other.

    The envelope of Im(a_i conj(a_j) / |a_j|) with that of a_j, both directions
    averaged: blind to instantaneous mixing.

    Parameters
    ----------
    log : bool, default=False
        Of the logarithm of power.
    absolute : bool, default=True
        Take the absolute value before averaging both directions.

    References
    ----------
    Hipp, J. F. et al. (2012). Large-scale cortical correlation structure of
    spontaneous oscillatory activity. Nature Neuroscience 15, 884-890.
    """
    size = np.abs(analytic)
    unit = analytic / np.where(size > 0, size, 1.0)
    e = np.log(size**2) if log else size
    e = e - e.mean(axis=1, keepdims=True)
    e /= np.sqrt(np.einsum("btn,btn->bn", e, e))[:, None]
    w = np.empty((len(e), e.shape[2], e.shape[2]))
    for j in range(e.shape[2]):  # orthogonal to j, against j
        o = np.abs((analytic * unit[:, :, j : j + 1].conj()).imag)
        if log:
            o[:, :, j] = 1.0
            o = np.log(o**2)
        o[:, :, j] = e[:, :, j]
        o = o - o.mean(axis=1, keepdims=True)
        r = np.einsum("btn,bt->bn", o, e[:, :, j])
        w[:, :, j] = r / np.sqrt(np.einsum("btn,btn->bn", o, o))
    w = np.abs(w) if absolute else w
    w = (w + np.swapaxes(w, 1, 2)) / 2
    np.einsum("bii->bi", w)[:] = 0.0
    return w
