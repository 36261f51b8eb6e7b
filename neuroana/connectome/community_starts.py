"""Partitions from which the search for communities begins."""

import warnings

import numpy as np

from neuroana.core.random import branch, branch_seed


RESOLUTIONS = (0.5, 0.8, 1.0, 1.2, 1.5)
N_MEANS = (2, 3, 4, 6, 8)


def modularity_partition(
    weights: np.ndarray,
    method: str = "leiden",
    *,
    resolution: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    """Groups of greatest modularity by Louvain or Leiden (scikit-network).

    Examples
    --------
    >>> block = np.kron(np.eye(2), np.ones((4, 4))) - np.eye(8)
    >>> modularity_partition(block).tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    from scipy.sparse import csr_matrix
    from sknetwork.clustering import Leiden, Louvain

    kind = Leiden if method == "leiden" else Louvain
    model = kind(resolution=resolution, random_state=seed, shuffle_nodes=True)
    labels = model.fit_predict(csr_matrix(np.asarray(weights, dtype=np.float64)))
    return ordered(labels)


def ordered(labels: np.ndarray) -> np.ndarray:
    """Groups numbered by falling size, ties by first member.

    Examples
    --------
    >>> ordered(np.array([7, 3, 3, 9])).tolist()
    [1, 0, 0, 2]
    """
    names, first, count = np.unique(labels, return_index=True, return_counts=True)
    rank = np.lexsort((first, -count))
    place = np.empty(len(names), dtype=int)
    place[rank] = np.arange(len(names))
    return place[np.searchsorted(names, labels)]


def spectral_partition(weights: np.ndarray, n_groups: int, seed: int) -> np.ndarray:
    """k-means on the leading eigenvectors of the centred log weights."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    edge = weights > 0
    logs = np.where(edge, np.log(np.where(edge, weights, 1.0)), 0.0)
    mean = logs[edge].mean() if edge.any() else 0.0
    centred = np.where(edge, logs - mean, 0.0)
    value, vector = np.linalg.eigh(centred)
    best = np.argsort(-np.abs(value))[:n_groups]
    model = KMeans(n_groups, n_init=3, random_state=seed)
    with warnings.catch_warnings():  # equal nodes make fewer groups than asked for
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = model.fit_predict(vector[:, best] * np.sqrt(np.abs(value[best])))
    return ordered(found)


def make_starts(weights: np.ndarray, n_start: int, seed: int) -> list[np.ndarray]:
    """`n_start` partitions: one block, Louvain, spectral, then random ones."""
    n = len(weights)
    starts = [np.zeros(n, dtype=int)]
    for number, resolution in enumerate(RESOLUTIONS):
        if len(starts) < n_start:
            starts.append(
                modularity_partition(weights, "louvain", resolution=resolution,
                                     seed=branch_seed(seed, number))
            )  # fmt: skip
    for number, k in enumerate(N_MEANS):
        if len(starts) < n_start and k < n:
            own = branch_seed(seed, 100 + number) % 2**31
            starts.append(spectral_partition(weights, k, own))
    number = 0
    while len(starts) < n_start:
        rng = branch(seed, 200 + number)
        starts.append(ordered(rng.integers(0, int(rng.integers(2, max(3, n // 6))), n)))
        number += 1
    return starts[:n_start]
