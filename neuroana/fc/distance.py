"""Distances between the standardised courses of regions: small is near."""

import numpy as np

from neuroana.fc.intermediates import gram
from neuroana.fc.registry import operator


DEZA = "Deza and Deza 2009, Encyclopedia of Distances"


def pairwise(z, reduce):
    """All pairs by a function of courses (roi, time) and one course (time,)."""
    out = np.empty((len(z), z.shape[2], z.shape[2]))
    for b, courses in enumerate(np.swapaxes(z, 1, 2)):
        courses = np.ascontiguousarray(courses)
        for i, own in enumerate(courses):
            out[b, i, i:] = reduce(courses[i:], own)
            out[b, i:, i] = out[b, i, i:]
    return out


def distance(name, cost="3*T*N^2"):
    """Declare a distance on z-scores."""
    return operator(name, "distance", distance=True, needs=("zscores",), cost=cost,
                    source=DEZA)  # fmt: skip


@distance("euclidean", "T*N^2")
def euclidean(zscores):
    """Euclidean distance sqrt(2 T (1 - r)): a monotone copy of Pearson's r.

    References
    ----------
    Deza, M. M. and Deza, E. (2009). Encyclopedia of Distances. Springer.
    """
    g = gram(zscores)
    own = np.einsum("bii->bi", g)
    d = np.sqrt(np.maximum(own[:, :, None] + own[:, None, :] - 2 * g, 0.0))
    np.einsum("bii->bi", d)[:] = 0.0
    return d


@distance("cityblock")
def cityblock(zscores):
    """Sum of absolute differences.

    References
    ----------
    Deza, M. M. and Deza, E. (2009). Encyclopedia of Distances. Springer.
    """
    return pairwise(zscores, lambda a, b: np.abs(a - b).sum(axis=1))


@distance("cosine", "T*N^2")
def cosine(zscores):
    """One minus the cosine, of z-scores 1 - r.

    References
    ----------
    Deza, M. M. and Deza, E. (2009). Encyclopedia of Distances. Springer.
    """
    d = 1.0 - gram(zscores) / zscores.shape[1]
    np.einsum("bii->bi", d)[:] = 0.0
    return np.maximum(d, 0.0)


@distance("chebyshev")
def chebyshev(zscores):
    """Largest absolute difference.

    References
    ----------
    Deza, M. M. and Deza, E. (2009). Encyclopedia of Distances. Springer.
    """
    return pairwise(zscores, lambda a, b: np.abs(a - b).max(axis=1))


@distance("canberra", "6*T*N^2")
def canberra(zscores):
    """Sum of |a - b| / (|a| + |b|): small values count as much as large ones.

    References
    ----------
    Deza, M. M. and Deza, E. (2009). Encyclopedia of Distances. Springer.
    """

    def reduce(a, b):
        below = np.abs(a) + np.abs(b)
        above = np.abs(a - b)
        return np.divide(above, below, out=np.zeros_like(a), where=below > 0).sum(1)

    return pairwise(zscores, reduce)


@distance("braycurtis", "4*T*N^2")
def braycurtis(zscores):
    """Sum of |a - b| over the sum of |a + b|.

    References
    ----------
    Deza, M. M. and Deza, E. (2009). Encyclopedia of Distances. Springer.
    """
    return pairwise(
        zscores, lambda a, b: np.abs(a - b).sum(axis=1) / np.abs(a + b).sum(axis=1)
    )
