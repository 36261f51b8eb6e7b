"""Scores that are moments of pairs of samples: d', difference of means.

Samples belong to *units* (a person, or a person with one label). All sums over pairs
are kept by pair of units, so a bootstrap over people is a product with its weights.
Two copies of one person drawn twice are never a pair.

S: similarity (sample, sample); units: (sample,) whole numbers; classes: (unit, unit),
0 for class A, 1 for class B, -1 for pairs that do not count; weights: (draw, unit).
"""

import numpy as np


def pair_totals(values, units):
    """Sum over the pairs of samples of every two units (unit, unit).

    The diagonal counts each pair within a unit once; a sample is no pair with itself.

    Examples
    --------
    >>> s = np.array([[1.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, 1.0]])
    >>> pair_totals(s, np.array([0, 0, 1])).round(2).tolist()
    [[0.5, 0.4], [0.4, 0.0]]
    """
    n = int(units.max()) + 1
    member = np.zeros((n, len(units)))
    member[units, np.arange(len(units))] = 1.0
    values = np.where(np.eye(len(values), dtype=bool), 0.0, values)
    total = member @ values @ member.T
    total[range(n), range(n)] /= 2
    return total


def pair_sums(s, units):
    """Number, sum and sum of squares of all pairs (3, unit, unit), without NaN."""
    there = np.isfinite(s)
    values = np.where(there, s, 0.0)
    parts = (there.astype(float), values, values**2)
    return np.stack([pair_totals(part, units) for part in parts])


def class_totals(total, classes, weights):
    """Sum over the pairs of each class (draw, class) in the draws of people."""
    eye = np.eye(len(total), dtype=bool)
    out = np.empty((len(weights), 2))
    for number in range(2):
        chosen = np.where(classes == number, total, 0.0)
        between = np.where(eye, 0.0, chosen) / 2
        pairs = np.einsum("du,du->d", weights @ between, weights)
        out[:, number] = pairs + weights @ np.diag(chosen)
    return out


def class_moments(sums, classes, weights):
    """Number, mean and variance (draw, class, 3) of the pairs of each class."""
    n, first, second = (class_totals(part, classes, weights) for part in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = first / n
        variance = np.maximum(second / n - mean**2, 0.0)
    return np.stack([n, mean, variance], axis=-1)


def separation(means, variances):
    """d' = (mean A - mean B) / sqrt((var A + var B) / 2); NaN without variance.

    Examples
    --------
    >>> float(separation(np.array([3.0, 1.0]), np.array([1.0, 1.0])))
    2.0
    """
    pooled = (variances[..., 0] + variances[..., 1]) / 2
    gap = means[..., 0] - means[..., 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pooled > 0, gap / np.sqrt(pooled), np.nan)


def pair_score(sums, classes, weights, score="dprime"):
    """d' or ``'diff'`` (mean A - mean B), one a draw."""
    moments = class_moments(sums, classes, weights)
    if score == "diff":
        return moments[:, 0, 1] - moments[:, 1, 1]
    return separation(moments[..., 1], moments[..., 2])


def identity_classes(n):
    """Within a person A, between people B.

    Examples
    --------
    >>> identity_classes(2).tolist()
    [[0, 1], [1, 0]]
    """
    return 1 - np.eye(n, dtype=int)


def label_classes(people, labels, sites=None):
    """Same label A, other label B; one (unit, unit). Pairs of one person do not count.

    Parameters
    ----------
    people, labels : ndarray (unit,)
    sites : ndarray (unit,), optional
        Pairs across sites do not count either.

    Examples
    --------
    >>> label_classes(np.array([0, 1, 2]), np.array(["a", "a", "b"])).tolist()
    [[-1, 0, 1], [0, -1, 1], [1, 1, -1]]
    """
    classes = (labels[:, None] != labels[None, :]).astype(int)
    classes[people[:, None] == people[None, :]] = -1
    if sites is not None:
        classes[sites[:, None] != sites[None, :]] = -1
    return classes
