"""How well one ranking of operators agrees with another, ties averaged.

g: scores on all recordings, c: scores on a part of them, higher is better; both
(operator,). Operators tied in c count with the mean over all orders of the tied ones,
so that no result depends on the order of an array.
"""

import numpy as np

from neuroana.core.checks import check_choice


RELEVANCES = ("rank", "score", "top")
GAINS = ("linear", "exp")


def average_ranks(scores):
    """Ranks from 1 (highest score), ties averaged; NaN stays NaN.

    Examples
    --------
    >>> average_ranks([0.5, 0.9, 0.5]).tolist()
    [2.5, 1.0, 2.5]
    """
    from scipy.stats import rankdata

    return rankdata(-np.asarray(scores, dtype=float), nan_policy="omit", axis=-1)


def relevance_of(g, kind="rank", *, top=None, scaled=True):
    """What each operator is worth, from its full score.

    ``'rank'``: M - rank, divided by M - 1 if `scaled`; ``'score'``: g between its
    smallest and largest value; ``'top'``: 1 for the `top` best.

    Examples
    --------
    >>> relevance_of(np.array([3.0, 1.0, 2.0])).tolist()
    [1.0, 0.0, 0.5]
    """
    check_choice("relevance", kind, RELEVANCES)
    g = np.asarray(g, dtype=float)
    ranks = average_ranks(g)
    if kind == "top":
        return (ranks <= (top or 1)).astype(float)
    if kind == "score":
        spread = np.ptp(g)
        return (g - g.min()) / spread if spread > 0 else np.zeros(len(g))
    worth = len(g) - ranks
    return worth / (len(g) - 1) if scaled and len(g) > 1 else worth


def discounted_gain(gain, c, k):
    """DCG@k = sum over places r <= k of gain / log2(r + 1), ties in c averaged."""
    n = len(gain)
    discount = 1.0 / np.log2(np.arange(2, n + 2))
    discount[k:] = 0.0
    _, group, sizes = np.unique(-c, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    total = np.concatenate([[0.0], np.cumsum(discount)])
    share = (total[ends] - total[ends - sizes]) / sizes
    return float(gain @ share[group])


def ndcg(relevance, c, k, *, gain="linear"):
    """Normalized discounted cumulative gain of the first k places.

    Parameters
    ----------
    relevance : ndarray (operator,)
    c : ndarray (operator,)
        Scores that give the order.
    k : int
    gain : {'linear', 'exp'}
        ``'exp'`` is 2^relevance - 1, meant for whole relevances.

    Returns
    -------
    float
        NaN where nothing is relevant.

    Examples
    --------
    >>> ndcg(np.array([1.0, 0.5, 0.0]), np.array([3.0, 2.0, 1.0]), 2)
    1.0
    """
    check_choice("gain", gain, GAINS)
    worth = np.asarray(relevance, dtype=float)
    worth = worth if gain == "linear" else np.exp2(worth) - 1.0
    order = np.sort(worth)[::-1]
    best = float(order[:k] @ (1.0 / np.log2(np.arange(2, len(order[:k]) + 2))))
    if not best > 0:
        return np.nan
    return discounted_gain(worth, np.asarray(c, dtype=float), k) / best


def _chances(c, k):
    """Probability of each operator to be among the k best, ties drawn at random."""
    c = np.asarray(c, dtype=float)
    above = (c[None, :] > c[:, None]).sum(1)
    tied = (c[None, :] == c[:, None]).sum(1)
    return np.clip((k - above) / tied, 0.0, 1.0)


def overlap(g, c, k, *, ties="average"):
    """Share of the k best by g that are among the k best by c.

    ``ties='average'`` is the mean over all orders of tied operators; ``'optimistic'``
    lets every operator in that is tied with the k-th.

    Examples
    --------
    >>> overlap(np.array([3.0, 2.0, 1.0]), np.array([1.0, 1.0, 1.0]), 1)
    0.3333333333333333
    """
    check_choice("ties", ties, ["average", "optimistic"])
    best, own = _chances(g, k), _chances(c, k)
    if ties == "optimistic":
        return float(min(1.0, ((best > 0) & (own > 0)).sum() / min(k, len(best))))
    return float(best @ own / min(k, len(best)))


def regret(g, c, *, ties="average"):
    """What is lost by taking the best of c: the best g less the g of that operator.

    Examples
    --------
    >>> regret(np.array([3.0, 2.0]), np.array([0.0, 1.0]))
    1.0
    """
    check_choice("ties", ties, ["average", "optimistic"])
    g, c = np.asarray(g, dtype=float), np.asarray(c, dtype=float)
    chosen = g[c == c.max()]
    return float(g.max() - (chosen.mean() if ties == "average" else chosen.max()))


def kendall_tau(g, c):
    """Kendall's tau-b; NaN where one of both is constant."""
    from scipy.stats import kendalltau

    if np.ptp(g) == 0 or np.ptp(c) == 0:
        return np.nan
    return float(kendalltau(g, c).statistic)


def spearman_rho(g, c):
    """Spearman's rho; NaN where one of both is constant."""
    a, b = average_ranks(g), average_ranks(c)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])
