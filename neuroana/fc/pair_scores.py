"""Scores that are moments of pairs of samples: d', difference of means.

Samples belong to *units* (a person, or a person with one label). All sums over pairs
are kept by pair of units, so a bootstrap over people is a product with its weights.
Two copies of one person drawn twice are never a pair.

S: similarity (sample, sample); units: (sample,) whole numbers; classes: (unit, unit),
0 for class A, 1 for class B, -1 for pairs that do not count; weights: (draw, unit).
"""

import numpy as np


def pair_sums(s, units):
    """Number, sum and sum of squares of all pairs (3, unit, unit).

    The diagonal counts each pair within a unit once.

    Examples
    --------
    >>> s = np.array([[1.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, 1.0]])
    >>> pair_sums(s, np.array([0, 0, 1]))[1].round(2).tolist()
    [[0.5, 0.4], [0.4, 0.0]]
    """
    n = int(units.max()) + 1
    member = np.zeros((n, len(units)))
    member[units, np.arange(len(units))] = 1.0
    usable = np.isfinite(s) & ~np.eye(len(s), dtype=bool)
    values = np.where(usable, s, 0.0)
    sums = np.stack([member @ part @ member.T for part in
                     (usable.astype(float), values, values**2)])  # fmt: skip
    sums[:, range(n), range(n)] /= 2
    return sums


def class_moments(sums, classes, weights):
    """Number, mean and variance (draw, class, 3) of the pairs of each class."""
    n = sums.shape[1]
    eye = np.eye(n, dtype=bool)
    out = np.empty((len(weights), 2, 3))
    for number in range(2):
        chosen = np.where((classes == number) & ~eye, sums, 0.0) / 2
        alone = np.where((classes == number) & eye, sums, 0.0).sum(axis=2)
        total = np.stack([
            np.einsum("du,du->d", weights @ chosen[m], weights) + weights @ alone[m]
            for m in range(3)
        ], axis=-1)  # fmt: skip
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = total[:, 1] / total[:, 0]
            variance = total[:, 2] / total[:, 0] - mean**2
        out[:, number] = np.stack(
            [total[:, 0], mean, np.maximum(variance, 0.0)], axis=-1
        )
    return out


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
