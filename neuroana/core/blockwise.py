"""Count, mean and spread of every signal, block by block and exactly joined.

Deviations are taken from the mean of a block before they are squared, so a signal far
from zero (raw scanner units, a DC offset) keeps its digits.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr


class Moments(NamedTuple):
    """Moments of each column.

    Attributes
    ----------
    n : ndarray (space,)
        Finite samples.
    mean : ndarray (space,)
    squares : ndarray (space,)
        Sum of squared deviations from the mean.
    """

    n: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation (of the population)."""
        return np.sqrt(self.squares / np.maximum(self.n, 1.0))

    @property
    def is_constant(self) -> np.ndarray:
        """Where nothing changes, up to rounding."""
        return self.spread <= 1e-12 * np.maximum(np.abs(self.mean), 1e-300)


def blocks(
    signal: xr.DataArray, *, megabytes: float = 64.0
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first sample, values) of a signal in pieces that fit into memory.

    Examples
    --------
    >>> signal = xr.DataArray(np.ones((4, 1)), dims=("time", "neuron"))
    >>> [(i, v.shape) for i, v in blocks(signal)]
    [(0, (4, 1))]
    """
    n_samples, n_space = signal.shape
    step = max(1, int(megabytes * 2**20 / (8 * n_space)))
    for first in range(0, n_samples, step):
        yield first, signal[first : first + step].to_numpy()


def moments_of(values: np.ndarray) -> Moments:
    """Moments of an array (time, space); what is not finite is left out.

    Examples
    --------
    >>> moments_of(np.array([[1.0], [3.0], [np.nan]])).squares.tolist()
    [2.0]
    """
    known = np.isfinite(values)
    count = known.sum(axis=0).astype(np.float64)
    mean = np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1.0)
    squares = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
    return Moments(count, mean, squares)


def join_moments(one: Moments, other: Moments) -> Moments:
    """Moments of two samples together (Chan, Golub and LeVeque, 1983).

    Examples
    --------
    >>> one, three = moments_of(np.array([[1.0]])), moments_of(np.array([[3.0]]))
    >>> [float(m[0]) for m in join_moments(one, three)]
    [2.0, 2.0, 2.0]
    """
    count = one.n + other.n
    share = other.n / np.maximum(count, 1.0)
    gap = other.mean - one.mean
    return Moments(
        count,
        one.mean + gap * share,
        one.squares + other.squares + gap**2 * one.n * share,
    )


def moments(signal: xr.DataArray, use: np.ndarray) -> Moments:
    """Moments of every column of a signal, over the samples to use.

    Parameters
    ----------
    signal : DataArray (time, space)
        Read once, in blocks of 64 MB.
    use : ndarray of bool (time,)
        Samples that count; missing ones among them do not.

    Examples
    --------
    >>> signal = xr.DataArray([[1.0], [3.0], [9.0]], dims=("time", "neuron"))
    >>> moments(signal, np.array([True, True, False])).mean.tolist()
    [2.0]
    """
    state = moments_of(np.empty((0, signal.shape[1])))
    for first, values in blocks(signal):
        chosen = values[use[first : first + len(values)]].astype(np.float64)
        state = join_moments(state, moments_of(chosen))
    return state
