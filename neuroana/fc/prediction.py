"""Predictions of a label or a number of each person, made out of fold.

One row of edges a person. Everything that is learned (centre, site means, effect of
confounds, penalty) is learned inside the fold. Y: (person, column): the truth in the
first column, permuted truths in the others, all fitted at once as ridge is linear in Y.
"""

import numpy as np

from neuroana.core.random import branch


PENALTIES = np.logspace(-3, 3, 13)  # times the mean squared length of a row
FOLDS, REPEATS = 5, 5


def dealt_folds(strata, n_folds, seed, *path):
    """Fold of every person; each stratum is shuffled and dealt out evenly.

    Examples
    --------
    >>> np.bincount(dealt_folds(np.array(["a"] * 4 + ["b"] * 2), 2, 0)).tolist()
    [3, 3]
    """
    rng = branch(seed, *path)
    fold = np.empty(len(strata), dtype=int)
    start = 0
    for name in np.unique(strata):
        at = rng.permutation(np.flatnonzero(strata == name))
        fold[at] = (start + np.arange(len(at))) % n_folds
        start += len(at)
    return fold


def without_confounds(y, confounds, train):
    """Y less what a linear model on the training people says of the confounds."""
    if confounds is None:
        return y
    design = np.column_stack([np.ones(len(y)), confounds])
    fitted, *_ = np.linalg.lstsq(design[train], y[train], rcond=None)
    return y - design @ fitted


def without_sites(rows, sites, train):
    """Rows less the training mean of their site; sites without one keep the overall."""
    rows = rows - rows[train].mean(axis=0)
    if sites is None:
        return rows
    out = rows.copy()
    for site in np.unique(sites):
        own = (sites == site) & train
        if own.any():
            out[sites == site] -= rows[own].mean(axis=0)
    return out


def ridge_dual(rows, y, train):
    """Predictions for all people of ridge on the training ones.

    The penalty of every column has the smallest leave-one-out error on the training
    people, in closed form from one eigendecomposition.
    """
    kernel = rows @ rows[train].T
    inner = kernel[train]
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    values = np.maximum(values, 0.0)
    centre = y[train].mean(axis=0)
    turned = vectors.T @ (y[train] - centre)
    scale = values.mean() or 1.0
    best = np.full(y.shape[1], np.inf)
    weights = np.zeros((train.sum(), y.shape[1]))
    for penalty in PENALTIES * scale:
        inverse = 1.0 / (values + penalty)
        dual = vectors @ (inverse[:, None] * turned)
        spread = (vectors**2) @ inverse
        error = np.mean((dual / spread[:, None]) ** 2, axis=0)
        better = error < best
        best = np.where(better, error, best)
        weights[:, better] = dual[:, better]
    return kernel @ weights, centre


def out_of_fold(
    features, y, *, strata, sites=None, confounds=None, n_folds=FOLDS,
    n_repeats=REPEATS, seed=0,
):  # fmt: skip
    """Predictions of people that were not trained on, mean over repeats.

    Parameters
    ----------
    features : ndarray (person, edge) or callable
        A function of the mask of training people, where the features themselves are
        learned from them.
    y : ndarray (person, column)
    strata : ndarray (person,)
        What folds are balanced for.
    sites : ndarray (person,), optional
        Site means are taken out, learned inside the fold.
    confounds : ndarray (person, confound), optional
        Taken out of `y`, learned inside the fold.

    Returns
    -------
    predicted, wanted : ndarray (person, column)
        Both without the training mean; `wanted` without the confounds too.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(40, 3))
    >>> found, wanted = out_of_fold(rows, rows[:, :1], strata=np.zeros(40))
    >>> bool(np.corrcoef(found[:, 0], wanted[:, 0])[0, 1] > 0.95)
    True
    """
    predicted, wanted = np.zeros_like(y, dtype=float), np.zeros_like(y, dtype=float)
    for repeat in range(n_repeats):
        fold = dealt_folds(strata, n_folds, seed, repeat)
        for k in np.unique(fold):
            train, test = fold != k, fold == k
            rows = features(train) if callable(features) else features
            rows = without_sites(rows, sites, train)
            clean = without_confounds(y, confounds, train)
            made, centre = ridge_dual(rows, clean, train)
            predicted[test] += made[test]
            wanted[test] += clean[test] - centre
    return predicted / n_repeats, wanted / n_repeats


def area_under_curve(values, positive, weights):
    """Probability that a positive is above a negative, ties half; one a draw.

    Examples
    --------
    >>> area_under_curve(np.array([2.0, 1.0, 0.0]), np.array([True, False, False]),
    ...                  np.ones((1, 3))).tolist()
    [1.0]
    """
    up, down = np.flatnonzero(positive), np.flatnonzero(~positive)
    gap = values[up][:, None] - values[down][None, :]
    won = (gap > 0) + 0.5 * (gap == 0)
    left, right = weights[:, up], weights[:, down]
    total = left.sum(1) * right.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, ((left @ won) * right).sum(1) / total, np.nan)


def weighted_correlation(a, b, weights):
    """Pearson's r of two columns, one a draw; NaN where one is constant.

    Examples
    --------
    >>> weighted_correlation(np.arange(3.0), np.arange(3.0), np.ones((1, 3))).tolist()
    [1.0]
    """
    w = weights / weights.sum(axis=1, keepdims=True)
    ma, mb = w @ a, w @ b
    cov = w @ (a * b) - ma * mb
    size = (w @ a**2 - ma**2) * (w @ b**2 - mb**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 1e-30, cov / np.sqrt(np.maximum(size, 0)), np.nan)


def explained_variance(predicted, wanted, weights):
    """R^2 = 1 - error / variance out of fold, one a draw."""
    error = weights @ (wanted - predicted) ** 2
    return 1.0 - error / (weights @ wanted**2)
