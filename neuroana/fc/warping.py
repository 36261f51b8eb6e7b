"""Distances after warping time: DTW, its soft minimum, common subsequences.

Cells of the (T, T) table on one anti-diagonal depend on the two before it only, so
that without a compiler whole anti-diagonals of all pairs are one step; with numba
(extra ``fast``) each pair is a compiled loop.
"""

import importlib.util
from collections.abc import Callable

import numpy as np

from neuroana.core.checks import check_number
from neuroana.fc.registry import operator


SAKOE = "Sakoe and Chiba 1978, IEEE Trans. Acoust. Speech Signal Process. 26, 43"
CUTURI = "Cuturi and Blondel 2017, ICML, PMLR 70, 894"
VLACHOS = "Vlachos, Kollios and Gunopulos 2002, ICDE, 673"


def has_compiler() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None


def width_of(band, n_time: int) -> int:
    """Samples of a Sakoe-Chiba band given as a share of the recording; None is all."""
    if band is None:
        return n_time
    check_number("band", band, minimum=0.0, maximum=1.0)
    return max(1, round(band * n_time))


def fronts(T, N):
    """Numbers of three anti-diagonals of all pairs, and of the samples of pairs."""
    return (3 if has_compiler() else 10 * N) * T * N + 3 * N**2


def wavefront(x, rows, columns, band, step: Callable, edge: float):
    """Fill the tables of pairs by anti-diagonals; the last cell of each pair.

    `step(difference, diagonal, above, left)` gives a cell; `edge` is the value outside.
    """
    a, b = x[rows], x[columns]
    n_pairs, T = a.shape
    before = np.full((n_pairs, T + 1), edge)  # indexed by s
    last = np.full((n_pairs, T + 1), edge)
    before[:, 0] = 0.0
    for d in range(2, 2 * T + 1):
        now = np.full((n_pairs, T + 1), edge)
        low = max(1, d - T, (d - band + 1) // 2)
        high = min(T, d - 1, (d + band) // 2)
        s = np.arange(low, high + 1)
        gap = a[:, s - 1] - b[:, d - s - 1]
        now[:, s] = step(gap, before[:, s - 1], last[:, s - 1], last[:, s])
        before, last = last, now
        if d == 2 and edge != 0.0:
            before[:, 0] = edge
    return last[:, T]


def warp(gap, diagonal, above, left):
    """A cell of dynamic time warping."""
    return gap**2 + np.minimum(diagonal, np.minimum(above, left))


def soft(gamma):
    """A cell of soft-DTW."""

    def step(gap, diagonal, above, left):
        stack = np.stack([diagonal, above, left])
        low = stack.min(axis=0)
        return gap**2 + low - gamma * np.log(np.exp((low - stack) / gamma).sum(axis=0))

    return step


def common(epsilon):
    """A cell of the longest common subsequence."""

    def step(gap, diagonal, above, left):
        return np.where(np.abs(gap) <= epsilon, diagonal + 1.0, np.maximum(above, left))

    return step


def symmetric(values, n, rows, columns, diagonal):
    """Values of pairs as a matrix."""
    w = np.full((n, n), diagonal)
    w[rows, columns] = w[columns, rows] = values
    return w


@operator("dtw", "distance", distance=True, ordered=True, cost="0.2*P*T^2",
          batched=False, source=SAKOE, workspace=fronts)  # fmt: skip
def dtw(x, *, band=0.1):
    """Dynamic time warping: Euclidean distance along the best alignment in time.

    Parameters
    ----------
    band : float or None, default=0.1
        Largest shift, as a share of the recording; None for any.

    References
    ----------
    Sakoe, H. and Chiba, S. (1978). Dynamic programming algorithm optimization for
    spoken word recognition. IEEE Transactions on Acoustics, Speech and Signal
    Processing 26, 43-49.
    """
    z, width = standard(x), width_of(band, len(x))
    if has_compiler():
        from neuroana.fc.compiled_warping import warp_pairs

        return warp_pairs(z, width)
    rows, columns = np.triu_indices(len(z), 1)
    values = wavefront(z, rows, columns, width, warp, np.inf)
    return symmetric(np.sqrt(values), len(z), rows, columns, 0.0)


@operator("soft_dtw", "distance", distance=True, signed=True, ordered=True,
          cost="10*P*T^2", batched=False, source=CUTURI, workspace=fronts)  # fmt: skip
def soft_dtw(x, *, band=0.1, gamma=1.0):
    """Soft minimum over all alignments; smooth, and may be negative.

    Parameters
    ----------
    band : float or None, default=0.1
        Largest shift, as a share of the recording; None for any.
    gamma : float, default=1
        Softness; 0 would be the square of DTW.

    References
    ----------
    Cuturi, M. and Blondel, M. (2017). Soft-DTW: a differentiable loss function for
    time-series. ICML, PMLR 70, 894-903.
    """
    check_number("gamma", gamma, minimum=0.0, open_ends=True)
    z, width = standard(x), width_of(band, len(x))
    if has_compiler():
        from neuroana.fc.compiled_warping import soft_warp_pairs

        return soft_warp_pairs(z, width, float(gamma))
    rows, columns = np.triu_indices(len(z))
    values = wavefront(z, rows, columns, width, soft(gamma), np.inf)
    return symmetric(values, len(z), rows, columns, 0.0)


@operator("lcss", "distance", ordered=True, cost="0.2*P*T^2", batched=False,
          source=VLACHOS, workspace=fronts)  # fmt: skip
def lcss(x, *, band=0.1, epsilon=1.0):
    """Longest common subsequence, as a share of the recording: a similarity.

    Samples are the same where they differ by at most `epsilon` standard deviations;
    others are passed over, so artefacts do little harm.

    Parameters
    ----------
    band : float or None, default=0.1
        Largest shift, as a share of the recording; None for any.
    epsilon : float, default=1

    References
    ----------
    Vlachos, M., Kollios, G. and Gunopulos, D. (2002). Discovering similar
    multidimensional trajectories. ICDE, 673-684.
    """
    check_number("epsilon", epsilon, minimum=0.0)
    z, width = standard(x), width_of(band, len(x))
    if has_compiler():
        from neuroana.fc.compiled_warping import subsequence_pairs

        return subsequence_pairs(z, width, float(epsilon))
    rows, columns = np.triu_indices(len(z), 1)
    values = wavefront(z, rows, columns, width, common(epsilon), 0.0)
    return symmetric(values / len(x), len(z), rows, columns, 1.0)


def standard(x):
    """z-scores (roi, time), contiguous."""
    return np.ascontiguousarray(((x - x.mean(axis=0)) / x.std(axis=0)).T)
