"""Communities that come and go: labels over time and what they say of each neuron.

| symbol | shape     | meaning                                              |
| ------ | --------- | ---------------------------------------------------- |
| g      | (T, R)    | strength of each motif at each time                  |
| S      | (R, N, N) | co-assignment of two neurons in each motif           |
| b      | (T, N)    | label of each neuron at each time                    |
"""

import numpy as np

from neuroana.connectome.community_starts import ordered


def coassignment_at(g: np.ndarray, S: np.ndarray) -> np.ndarray:
    """sum_r g_r S_r / sum_r g_r for every row of g, (T, N, N); NaN where g is zero.

    Examples
    --------
    >>> S = np.stack([np.eye(2), np.ones((2, 2))])
    >>> coassignment_at(np.array([[1.0, 1.0]]), S)[0].tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    total = g.sum(axis=1, keepdims=True)
    share = np.divide(g, total, out=np.full(g.shape, np.nan), where=total > 0)
    return np.einsum("tr,rij->tij", share, S)


def strongest_labels(g: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Labels (T, N) of the strongest motif at each time, tracked between motifs.

    Parameters
    ----------
    g : ndarray (time, component)
    labels : ndarray of int (component, neuron)

    Examples
    --------
    >>> g = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> strongest_labels(g, np.array([[0, 0, 1], [1, 1, 0]])).tolist()
    [[0, 0, 1], [0, 0, 1]]
    """
    tracked = [labels[0]]
    for own in labels[1:]:
        tracked.append(track(own, tracked))
    return np.stack(tracked)[np.nan_to_num(g).argmax(axis=1)]


def track(labels: np.ndarray, earlier: list[np.ndarray]) -> np.ndarray:
    """Rename groups so that they share as many neurons with earlier ones as can be."""
    from scipy.optimize import linear_sum_assignment

    own = [k for k in np.unique(labels) if k >= 0]
    known = sorted({int(k) for b in earlier for k in np.unique(b) if k >= 0})
    overlap = np.array([
        [max(((labels == k) & (b == old)).sum() for b in earlier) for old in known]
        for k in own
    ]).reshape(len(own), len(known))  # fmt: skip
    rows, columns = linear_sum_assignment(-overlap)
    names = {own[r]: known[c] for r, c in zip(rows, columns) if overlap[r, c] > 0}
    fresh = (known[-1] if known else -1) + 1
    for k in own:
        if k not in names:
            names[k], fresh = fresh, fresh + 1
    out = np.full(len(labels), -1)
    for k, name in names.items():
        out[labels == k] = name
    return out


def consensus_labels(together: np.ndarray, seed: int) -> np.ndarray:
    """Communities (T, N) of co-assignments (T, N, N), tracked from time to time.

    Each matrix is partitioned by Leiden; times with the same matrix are done once.
    """
    from neuroana.connectome.community_starts import modularity_partition

    n_time, n = together.shape[:2]
    out = np.full((n_time, n), -1)
    previous: list[np.ndarray] = []
    for t in range(n_time):
        matrix = together[t] * (1 - np.eye(n))
        some = np.nan_to_num(matrix).sum(axis=1) > 0
        if some.sum() < 2:
            continue
        labels = np.full(n, -1)
        labels[some] = ordered(
            modularity_partition(matrix[np.ix_(some, some)], seed=seed % 2**31)
        )
        out[t] = track(labels, previous) if previous else labels
        previous = [out[t]]
    return out


def flexibility(labels: np.ndarray) -> np.ndarray:
    """Share of steps at which each neuron changes its community, (N,).

    Parameters
    ----------
    labels : ndarray of int (time, neuron)

    Examples
    --------
    >>> from neuroana.connectome import flexibility
    >>> flexibility(np.array([[0, 0], [0, 1], [0, 0]])).tolist()
    [0.0, 1.0]
    """
    labels = np.asarray(labels)
    known = (labels[1:] >= 0) & (labels[:-1] >= 0)
    changed = ((labels[1:] != labels[:-1]) & known).sum(axis=0)
    return changed / np.maximum(known.sum(axis=0), 1)


def allegiance(labels: np.ndarray) -> np.ndarray:
    """Share of times at which two neurons are in one community, (N, N).

    Parameters
    ----------
    labels : ndarray of int (time, neuron)

    Examples
    --------
    >>> from neuroana.connectome import allegiance
    >>> allegiance(np.array([[0, 0], [0, 1]])).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    labels = np.asarray(labels)
    n = labels.shape[1]
    total, known = np.zeros((n, n)), np.zeros((n, n))
    rows, counts = np.unique(labels, axis=0, return_counts=True)
    for row, count in zip(rows, counts):
        seen = (row >= 0)[:, None] & (row >= 0)
        total += count * (np.equal.outer(row, row) & seen)
        known += count * seen
    return total / np.maximum(known, 1)


def recruitment(labels: np.ndarray, systems: np.ndarray) -> np.ndarray:
    """Mean allegiance of each neuron with the others of its system, (N,).

    Parameters
    ----------
    labels : ndarray of int (time, neuron)
    systems : ndarray (neuron,)
        A fixed grouping: anatomical classes, or the communities of one motif.

    Returns
    -------
    ndarray (neuron,)
        NaN where a neuron is alone in its system.

    Examples
    --------
    >>> from neuroana.connectome import recruitment
    >>> recruitment(np.array([[0, 0, 1], [0, 1, 1]]), np.array([0, 0, 1])).tolist()
    [0.5, 0.5, nan]
    """
    table = allegiance(labels)
    systems = np.asarray(systems)
    same = np.equal.outer(systems, systems) & ~np.eye(len(systems), dtype=bool)
    n = same.sum(axis=1)
    mean = (table * same).sum(axis=1) / np.maximum(n, 1)
    return np.where(n > 0, mean, np.nan)


def promiscuity(labels: np.ndarray) -> np.ndarray:
    """Share of all communities that each neuron takes part in at some time, (N,).

    Parameters
    ----------
    labels : ndarray of int (time, neuron)

    Examples
    --------
    >>> from neuroana.connectome import promiscuity
    >>> promiscuity(np.array([[0, 0], [0, 1]])).tolist()
    [0.5, 1.0]
    """
    labels = np.asarray(labels)
    kinds = [k for k in np.unique(labels) if k >= 0]
    shown = np.array([(labels == k).any(axis=0) for k in kinds])
    return shown.sum(axis=0) / max(len(kinds), 1)
