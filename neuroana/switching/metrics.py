"""How good states are: agreement with other states, time in them, bits per spike."""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ShapeError


def as_labels(states) -> np.ndarray:
    """Whole state numbers, sequences joined, from paths or probabilities.

    Examples
    --------
    >>> as_labels([np.array([0, 1]), np.array([1])])
    array([0, 1, 1])
    >>> as_labels(np.array([[0.1, 0.9], [0.8, 0.2]]))
    array([1, 0])
    """
    if isinstance(states, Sequence) and not np.isscalar(states[0]):
        return np.concatenate([as_labels(part) for part in states])
    array = np.asarray(states)
    return array.argmax(axis=-1).ravel() if array.dtype.kind == "f" else array.ravel()


def confusion(ref, other) -> np.ndarray:
    """Number of bins in state i of `ref` and state j of `other`."""
    first, second = as_labels(ref), as_labels(other)
    if first.shape != second.shape:
        raise ShapeError(
            message(
                "states", f"{len(first)} bins in both", f"{len(second)} in the other"
            )
        )
    size = int(max(first.max(), second.max())) + 1
    table = np.zeros((size, size), dtype=int)
    np.add.at(table, (first, second), 1)
    return table


def match_states(ref, other) -> np.ndarray:
    """Number in `other` of each state of `ref`, by the best one-to-one match.

    Hungarian assignment on the bins that states share. Matching on held-out data is
    the honest way: on training data chance agreement is matched too.

    Parameters
    ----------
    ref, other : paths (time) or probabilities (time, state), or lists of them
        Of the same recordings.

    Returns
    -------
    array (state,)
        ``order`` with ``other == order[k]`` where ``ref == k``, so that
        ``model.coupling_[order]`` lies beside the reference.

    Examples
    --------
    >>> match_states([0, 0, 1, 2], [2, 2, 0, 1])
    array([2, 0, 1])
    """
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(confusion(ref, other), maximize=True)[1]


def state_accuracy(truth, found) -> float:
    """Share of bins whose state is right after `match_states`.

    Examples
    --------
    >>> state_accuracy([0, 0, 1, 1], [1, 1, 0, 1])
    0.75
    """
    table = confusion(truth, found)
    return float(
        table[np.arange(len(table)), match_states(truth, found)].sum()
    ) / float(table.sum())


def adjusted_rand_index(first, second) -> float:
    """Agreement of two partitions of the bins, zero at chance, one when equal.

    Examples
    --------
    >>> adjusted_rand_index([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(as_labels(first), as_labels(second)))


def occupancy(states, n_states=None) -> xr.DataArray:
    """Share of the bins in each state: of a path, or mean probability.

    Examples
    --------
    >>> occupancy([0, 0, 1, 0]).to_numpy()
    array([0.75, 0.25])
    """
    parts = states if isinstance(states, list) else [states]
    parts = [np.asarray(p) for p in parts]
    if parts[0].ndim == 2:
        share = np.concatenate(parts).mean(axis=0)
    else:
        labels = as_labels(states)
        share = np.bincount(labels, minlength=n_states or 0) / len(labels)
    return xr.DataArray(share, dims="state", coords={"state": np.arange(len(share))})


def dwell_times(paths, *, n_states=None, bin_width=1.0) -> list[np.ndarray]:
    """Length of every visit to each state.

    Visits cut by the start or end of a sequence are counted as they are.

    Parameters
    ----------
    paths : path (time), or list of paths
    n_states : int, optional
    bin_width : float
        In seconds, for results in seconds; 1 for bins.

    Returns
    -------
    list of array
        One array of visit lengths a state.

    Examples
    --------
    >>> dwell_times([0, 0, 1, 0])
    [array([2., 1.]), array([1.])]
    """
    several = isinstance(paths, list) and len(paths) and np.ndim(paths[0]) > 0
    paths = [np.asarray(p) for p in (paths if several else [paths])]
    size = n_states or int(max(p.max() for p in paths)) + 1
    found: list[list] = [[] for _ in range(size)]
    for path in paths:
        edges = np.flatnonzero(np.diff(path)) + 1
        for visit in np.split(path, edges):
            found[visit[0]].append(len(visit))
    return [np.array(v, dtype=float) * bin_width for v in found]


def bits_per_spike(log_likelihood, counts, rates, *, seen=None) -> float:
    """Gain of a log-likelihood over constant rates, in bits per spike.

    Parameters
    ----------
    log_likelihood : float
        In nats, with the terms -log x!.
    counts : array (T, N)
    rates : array (N,)
        Expected count a bin of the comparison.
    seen : array of bool (T, N), optional
        Values that the log-likelihood covers.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[1.0], [0.0]])
    >>> bits_per_spike(-2.0 * 0.5 + np.log(0.5), counts, np.array([0.5]))
    0.0
    """
    from scipy.special import gammaln, xlogy

    seen = np.ones(counts.shape, dtype=bool) if seen is None else seen
    flat = xlogy(counts, rates) - rates - gammaln(counts + 1)
    spikes = float(counts[seen].sum())
    if not spikes:
        return math.nan
    return float(log_likelihood - flat[seen].sum()) / (spikes * math.log(2))
