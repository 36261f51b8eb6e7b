"""Choosing samples by a score: the lowest, or stable ones spread over the scores."""

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


def lowest(scores, size):
    """Numbers of the `size` lowest scores; ties by number.

    Examples
    --------
    >>> lowest(np.array([3.0, 1.0, 1.0]), 2).tolist()
    [1, 2]
    """
    return np.sort(np.argsort(scores, kind="stable")[:size])


def stable_pool(scores, beta):
    """Numbers of scores up to the quantile 1 - beta, and that quantile.

    Examples
    --------
    >>> stable_pool(np.arange(5.0), 0.25)[0].tolist()
    [0, 1, 2, 3]
    """
    cut = np.quantile(scores, 1 - beta)
    return np.flatnonzero(scores <= cut), float(cut)


def sparse_weights(values, *, bandwidth_adjust=1.0):
    """Probabilities 1 / density of each value, by a Gaussian kernel of Scott's width.

    Parameters
    ----------
    values : ndarray (sample,) or (sample, feature)

    Returns
    -------
    weights : ndarray (sample,)
        Sums to 1.
    factor : float
        Scott's factor times `bandwidth_adjust`.

    Examples
    --------
    >>> weights, _ = sparse_weights(np.array([0.0, 0.1, 0.2, 5.0]))
    >>> int(weights.argmax())
    3
    """
    from scipy.stats import gaussian_kde

    values = np.atleast_2d(np.asarray(values, dtype=float).T)
    if np.ptp(values, axis=1).max() == 0:
        return np.full(values.shape[1], 1 / values.shape[1]), np.nan
    kde = gaussian_kde(values)
    kde.set_bandwidth(kde.factor * bandwidth_adjust)
    weights = 1.0 / (kde(values) + 1e-8)
    return weights / weights.sum(), float(kde.factor)


def draw_without(weights, size, rng):
    """Draw without replacement with these weights: the largest log w + Gumbel.

    Examples
    --------
    >>> draw_without(np.array([0.5, 0.5, 0.0]), 2, np.random.default_rng(0)).tolist()
    [0, 1]
    """
    with np.errstate(divide="ignore"):
        keys = np.log(weights) + rng.gumbel(size=len(weights))
    return np.sort(np.argsort(-keys, kind="stable")[:size])


def dense_choice(scores, size, rng, *, beta=0.05, bandwidth_adjust=1.0, embedding=None):
    """Stable samples, those of sparse scores (or embeddings) more often.

    Raises
    ------
    ParameterError
        If fewer than `size` are stable.
    """
    pool, cut = stable_pool(scores, beta)
    if len(pool) < size:
        raise ParameterError(
            message("beta", f"at least {size} scores below the quantile {1 - beta:g}",
                    f"{len(pool)} (cut {cut:.3g})", "lower beta or the size")
        )  # fmt: skip
    values = scores[pool] if embedding is None else embedding[pool]
    weights, _ = sparse_weights(values, bandwidth_adjust=bandwidth_adjust)
    return pool[draw_without(weights, size, rng)]
