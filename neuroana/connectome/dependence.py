"""How many independent weights a block pair is worth, when pairs share neurons.

A block model takes the weights of a block pair for independent. Two pairs that share a
neuron are not: what by chance ties a neuron to one member of a group ties it to all.
Taken for independent, such chance is described as further groups.

| symbol | meaning                                                             |
| ------ | ------------------------------------------------------------------- |
| L      | log weights less the mean of their block pair                       |
| rho    | correlation of two weights of one block pair that share a neuron    |
| n_r    | nodes of a group                                                    |
| d      | design effect 1 + rho (n_r + n_s - 2), mean over pairs of nodes     |

The variance of a block pair's mean is d times that of independent weights (Kish, Survey
Sampling, 1965, for samples in clusters, here crossed). Dividing the description of the
weights by d is the usual correction of a likelihood made of dependent pairs (Varin,
Reid & Firth, Statistica Sinica 21, 2011, on composite likelihoods).
"""

import numpy as np


def shared_correlation(logs: np.ndarray, edge: np.ndarray, labels: np.ndarray) -> float:
    """rho of a graph: at least 0.

    Parameters
    ----------
    logs : ndarray (node, node)
        Log weights; only those with an edge count.
    edge : ndarray of bool (node, node)
    labels : ndarray of int (node,)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> own = rng.standard_normal((40, 2))
    >>> labels = np.arange(40) // 20
    >>> tie = own[:, labels]  # what ties each node to each group
    >>> logs = tie + tie.T
    >>> edge = ~np.eye(40, dtype=bool)
    >>> round(shared_correlation(logs, edge, labels), 1)
    0.5
    """
    member = np.eye(int(labels.max()) + 1)[labels]
    count = edge @ member  # edges from a node to a group
    rest = np.where(edge, logs, 0.0)
    cells = member.T @ count
    mean = (member.T @ rest @ member) / np.maximum(cells, 1.0)
    rest = np.where(edge, rest - mean[labels][:, labels], 0.0)
    sums, squares = rest @ member, rest**2 @ member
    variance = (member.T @ squares) / np.maximum(cells, 1.0)
    together = float((sums**2 - squares).sum())
    alone = float((member.T @ (count * (count - 1)) * variance).sum())
    return max(together / alone, 0.0) if alone > 0 else 0.0


def design_effect(logs: np.ndarray, edge: np.ndarray, labels: np.ndarray) -> float:
    """d of a partition: 1 where weights are independent.

    Parameters
    ----------
    logs : ndarray (node, node)
    edge : ndarray of bool (node, node)
    labels : ndarray of int (node,)

    Examples
    --------
    >>> logs = np.random.default_rng(0).standard_normal((40, 40))
    >>> edge = ~np.eye(40, dtype=bool)
    >>> round(design_effect(logs + logs.T, edge, np.arange(40) // 20))
    1
    """
    rho = shared_correlation(logs, edge, labels)
    sizes = np.bincount(labels).astype(float)
    pairs = np.outer(sizes, sizes)
    both = np.maximum(sizes[:, None] + sizes[None] - 2, 0.0)
    return float(1 + rho * (both * pairs).sum() / pairs.sum())
