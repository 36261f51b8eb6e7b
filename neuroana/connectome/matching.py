"""Which component of one model is which of another, and how alike they are.

Models are compared through matched components only: the order of components and the
scale of each mode mean nothing.
"""

from collections.abc import Sequence

import numpy as np


def cosines(first: Sequence, second: Sequence) -> np.ndarray:
    """Product over modes of the cosines of all pairs of columns, (R, R').

    Rows that are NaN in either model (pairs that no animal shows) are left out.

    Parameters
    ----------
    first, second : sequence of ndarray (entry, component)
        One factor a mode.

    Examples
    --------
    >>> a = np.eye(3)[:, :2]
    >>> cosines([a, a], [a[:, ::-1], a[:, ::-1]]).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    total = np.ones((first[0].shape[1], second[0].shape[1]))
    for one, other in zip(first, second, strict=True):
        known = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
        total = total * (unit(one[known]).T @ unit(other[known]))
    return total


def unit(factor: np.ndarray) -> np.ndarray:
    """Columns of length one; a column of zeros stays."""
    factor = np.asarray(factor, dtype=np.float64)
    size = np.linalg.norm(factor, axis=0)
    return factor / np.where(size > 0, size, 1.0)


def match_components(
    first: Sequence, second: Sequence
) -> tuple[np.ndarray, np.ndarray]:
    """For each component of `first` its partner in `second`, and their likeness.

    Parameters
    ----------
    first, second : sequence of ndarray (entry, component)
        Factors of one or more modes.

    Returns
    -------
    partner : ndarray of int (component,)
        -1 where `second` has fewer components.
    likeness : ndarray (component,)
        Product of the cosines.

    Examples
    --------
    >>> a = np.eye(3)[:, :2]
    >>> match_components([a], [a[:, ::-1]])[0].tolist()
    [1, 0]
    """
    from scipy.optimize import linear_sum_assignment

    table = cosines(first, second)
    rows, columns = linear_sum_assignment(-table)
    partner = np.full(len(table), -1)
    likeness = np.zeros(len(table))
    partner[rows], likeness[rows] = columns, table[rows, columns]
    return partner, likeness


def factor_match_score(first: Sequence, second: Sequence) -> float:
    """Mean likeness of matched components: 1 for the same model in any order.

    Parameters
    ----------
    first, second : sequence of ndarray (entry, component)
        Factors of one or more modes; of the model with fewer components all count.

    Examples
    --------
    >>> from neuroana.connectome import factor_match_score
    >>> a = np.random.default_rng(0).random((5, 2))
    >>> round(factor_match_score([a, a], [a[:, ::-1] * 2, a[:, ::-1]]), 6)
    1.0
    """
    if first[0].shape[1] > second[0].shape[1]:
        first, second = second, first
    return float(match_components(first, second)[1].mean())
