"""Agreement of two measurements of every edge, over people.

first, second: (person, edge), one measurement each; weights: (draw, person).
"""

import numpy as np

from neuroana.core.checks import check_choice


ICCS = ("1,1", "2,1")


def intraclass_correlation(first, second, weights, *, kind="1,1"):
    """ICC of every edge.

    ``'1,1'``: measurements are exchangeable (windows of one scan); ``'2,1'``: each
    measurement has a mean of its own (two sessions). Shrout and Fleiss, Psychological
    Bulletin 86, 420 (1979).

    Returns
    -------
    ndarray (draw, edge)
        NaN where people do not differ at all.

    Examples
    --------
    >>> x = np.array([[1.0], [2.0], [4.0]])
    >>> intraclass_correlation(x, x, np.ones((1, 3))).tolist()
    [[1.0]]
    """
    check_choice("kind", kind, ICCS)
    total = weights.sum(axis=1, keepdims=True)
    mean = (first + second) / 2
    grand = weights @ mean / total
    people = 2 * (weights @ mean**2 / total - grand**2) * total / (total - 1)
    inside = weights @ ((first - second) ** 2 / 2) / total
    if kind == "1,1":
        top, bottom = people - inside, people + inside
    else:
        shift = (weights @ (first - second) / total) ** 2 * total / 2
        error = (inside * total - shift) / (total - 1)
        top = people - error
        bottom = people + error + 2 * (shift - error) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(bottom > 0, top / bottom, np.nan)


def two_measurements(rows, people, n_people):
    """First two rows of every person (person, edge), and who has two.

    Examples
    --------
    >>> a, b, who = two_measurements(np.arange(3.0)[:, None], np.array([0, 1, 1]), 2)
    >>> a.tolist(), b.tolist(), who.tolist()
    ([[1.0]], [[2.0]], [1])
    """
    places = [np.flatnonzero(people == p) for p in range(n_people)]
    who = np.array([p for p, at in enumerate(places) if len(at) > 1], dtype=int)
    first = np.array([places[p][0] for p in who], dtype=int)
    second = np.array([places[p][1] for p in who], dtype=int)
    return rows[first], rows[second], who


def median_icc(first, second, weights, *, kind="1,1"):
    """Median over edges, one a draw."""
    return np.array([
        np.nanmedian(intraclass_correlation(first, second, w[None], kind=kind))
        for w in weights
    ])  # fmt: skip
