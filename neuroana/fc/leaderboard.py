"""From scores and their draws to ranks, intervals, ties and differences.

draws: (1 + n_boot, operator), the scores with all people first; null: (n_null,
operator), the same permutations for every operator.
"""

import numpy as np
import pandas as pd

from neuroana.fc.rank_agreement import average_ranks


TIED = 1e-5  # largest difference of two similarity matrices of one tie group


def quantiles(values, tails, method="linear"):
    """Quantiles over the first axis without NaN; NaN where there is nothing else.

    Examples
    --------
    >>> quantiles(np.array([[1.0, np.nan], [3.0, np.nan]]), [0.5]).tolist()
    [[2.0, nan]]
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanquantile(values, tails, axis=0, method=method)


def rank_intervals(draws, *, level=0.95):
    """Lower and upper rank (operator, 2) over draws of people.

    Examples
    --------
    >>> rank_intervals(np.array([[3.0, 1.0], [2.0, 1.0], [3.0, 2.5]])).tolist()
    [[1.0, 1.0], [2.0, 2.0]]
    """
    ranks = average_ranks(draws[1:]) if len(draws) > 1 else average_ranks(draws)
    tails = [(1 - level) / 2, (1 + level) / 2]
    return quantiles(ranks, tails, "closest_observation").T


def top_probability(draws, k=1):
    """Share of draws in which an operator is among the k best, ties shared."""
    ranks = average_ranks(draws[1:] if len(draws) > 1 else draws)
    return np.mean(ranks <= k, axis=0)


def chance(null, scores):
    """Mean of the null, p of each operator, and p against the largest of all.

    The largest is taken over scores standardised by their own null, so that operators
    with a wide null do not hide the others (Westfall and Young 1993).

    Returns
    -------
    level, p, p_family : ndarray (operator,)

    Examples
    --------
    >>> null = np.random.default_rng(0).normal(size=(99, 2))
    >>> chance(null, np.array([9.0, 0.0]))[1].round(2)[0]
    np.float64(0.01)
    """
    level, spread = null.mean(axis=0), null.std(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        z, each = (scores - level) / spread, (null - level) / spread
    highest = np.where(np.isfinite(each), each, -np.inf).max(axis=1)
    p = (1 + (null >= scores).sum(axis=0)) / (1 + len(null))
    family = (1 + (highest[:, None] >= z).sum(axis=0)) / (1 + len(null))
    missing = ~np.isfinite(scores)
    return level, np.where(missing, np.nan, p), np.where(missing, np.nan, family)


def tie_groups(similarities):
    """Number of the group of every operator; one group has one similarity matrix.

    Parameters
    ----------
    similarities : sequence of ndarray (sample, sample) or None

    Examples
    --------
    >>> s = np.eye(3)
    >>> tie_groups([s, 2 * s, s.copy()]).tolist()
    [0, 1, 0]
    """
    groups: list[int] = []
    first: list = []
    for s in similarities:
        same = [g for g, other in enumerate(first) if _alike(s, other)]
        if not same:
            first.append(s)
        groups.append(same[0] if same else len(first) - 1)
    return np.array(groups)


def _alike(a, b):
    if a is None or b is None or np.shape(a) != np.shape(b):
        return False
    return bool(np.nanmax(np.abs(a - b), initial=0.0) < TIED)


def holm(p):
    """P values after Holm's correction, in the order given.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04])).tolist()
    [0.02, 0.04]
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(steps, 1.0)
    return out


def paired_differences(draws, names):
    """Every two operators: difference, interval, p (normal, from the paired bootstrap).

    The draws are of the same people for both, so what people share cancels.

    Returns
    -------
    DataFrame
        better, worse, difference, low, high, p, p_holm.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> draws = np.array([[2.0, 0.0]]) + 0.1 * rng.normal(size=(200, 2))
    >>> paired_differences(draws, ["a", "b"])["better"].tolist()
    ['a']
    """
    from scipy.stats import norm

    rows = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            gap = draws[:, i] - draws[:, j]
            if not np.isfinite(gap[0]):
                continue
            a, b, gap = (i, j, gap) if gap[0] >= 0 else (j, i, -gap)
            spread = np.nanstd(gap[1:], ddof=1)
            z = gap[0] / spread if spread > 1e-12 else 0.0
            low, high = np.nanquantile(gap[1:], [0.025, 0.975])
            rows.append((names[a], names[b], gap[0], low, high, 2 * norm.sf(abs(z))))
    columns = ["better", "worse", "difference", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table["p"].to_numpy()) if len(table) else []
    return table


def critical_difference(ranks, *, level=0.05):
    """Friedman's test and Nemenyi's critical difference of mean ranks.

    Parameters
    ----------
    ranks : ndarray (block, operator)
        Blocks are tasks, or folds of people.

    Returns
    -------
    mean_ranks : ndarray (operator,)
    difference : float
        Smallest difference of two mean ranks that counts.
    p : float
        Friedman's test.

    Notes
    -----
    Demšar, Journal of Machine Learning Research 7, 1 (2006).

    Examples
    --------
    >>> mean, cd, p = critical_difference(np.tile([1.0, 2.0, 3.0], (10, 1)))
    >>> mean.tolist(), round(cd, 3), p < 0.001
    ([1.0, 2.0, 3.0], 1.048, True)
    """
    from scipy.stats import chi2, studentized_range

    n, k = ranks.shape
    mean = ranks.mean(axis=0)
    between = n * ((mean - (k + 1) / 2) ** 2).sum()
    within = ((ranks - (k + 1) / 2) ** 2).sum() / (n * (k - 1))
    p = float(chi2.sf(between / within, k - 1)) if within > 0 else np.nan
    q = studentized_range.ppf(1 - level, k, np.inf) / np.sqrt(2)
    return mean, float(q * np.sqrt(k * (k + 1) / (6 * n))), p


def combined(ranks):
    """Mean rank and Borda points of operators over tasks (task, operator).

    Examples
    --------
    >>> combined(np.array([[1.0, 2.0], [2.0, 1.0]]))[0].tolist()
    [1.5, 1.5]
    """
    points = np.nansum(ranks.shape[1] - ranks, axis=0)
    return np.nanmean(ranks, axis=0), points
