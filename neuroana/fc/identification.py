"""Scores of recognising a person: identification rate and discriminability.

S: similarity (sample, sample); people: (sample,) whole numbers; weights: (draw,
person), how often a person is in a draw.
"""

import numpy as np


def identification_rate(s, people, weights):
    """Share of samples whose most similar other sample is of the same person.

    Ties count half. Samples of people with a single one are no question, but an
    answer. Finn et al., Nature Neuroscience 18, 1664 (2015).

    Returns
    -------
    ndarray (draw,)

    Examples
    --------
    >>> s = np.array([[1.0, 0.9, 0.2, 0.1], [0.9, 1.0, 0.3, 0.2],
    ...               [0.2, 0.3, 1.0, 0.1], [0.1, 0.2, 0.1, 1.0]])
    >>> identification_rate(s, np.array([0, 0, 1, 1]), np.ones((1, 2))).tolist()
    [0.5]
    """
    n = weights.shape[1]
    best = np.full((len(s), n), -np.inf)
    own = np.where(np.isfinite(s) & ~np.eye(len(s), dtype=bool), s, -np.inf)
    for p in range(n):
        best[:, p] = own[:, people == p].max(axis=1, initial=-np.inf)
    within = best[np.arange(len(s)), people]
    asked = np.flatnonzero(np.isfinite(within))
    others = best.copy()
    others[np.arange(len(s)), people] = -np.inf
    out = np.empty(len(weights))
    for d, w in enumerate(weights):
        rival = others[np.ix_(asked, w > 0)].max(axis=1, initial=-np.inf)
        hit = (within[asked] > rival) + 0.5 * (within[asked] == rival)
        share = w[people[asked]]
        out[d] = hit @ share / share.sum() if share.sum() else np.nan
    return out


def discriminability(s, people, weights):
    """Probability that a pair within a person is more alike than one between people.

    Both pairs share a sample; ties count half. Bridgeford et al., PLOS Computational
    Biology 17, e1009279 (2021).

    Returns
    -------
    ndarray (draw,)

    Examples
    --------
    >>> s = np.array([[1.0, 0.9, 0.2], [0.9, 1.0, 0.3], [0.2, 0.3, 1.0]])
    >>> discriminability(s, np.array([0, 0, 1]), np.ones((1, 2))).tolist()
    [1.0]
    """
    n = weights.shape[1]
    wins, asked = np.zeros((n, n)), np.zeros((n, n))
    for a in range(len(s)):
        p = people[a]
        mine = np.flatnonzero((people == p) & (np.arange(len(s)) != a))
        mine = mine[np.isfinite(s[a, mine])]
        other = np.flatnonzero((people != p) & np.isfinite(s[a]))
        if not len(mine) or not len(other):
            continue
        gap = s[a, mine][:, None] - s[a, other][None, :]
        won = ((gap > 0) + 0.5 * (gap == 0)).sum(0)
        np.add.at(wins[p], people[other], won)
        np.add.at(asked[p], people[other], float(len(mine)))
    top = np.einsum("dp,dp->d", weights @ wins, weights)
    bottom = np.einsum("dp,dp->d", weights @ asked, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(bottom > 0, top / bottom, np.nan)
