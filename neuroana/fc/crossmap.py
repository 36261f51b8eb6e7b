"""Convergent cross-mapping: can the past of the source be read from the target?"""

import numpy as np

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.fc.registry import operator


SUGIHARA = "Sugihara et al. 2012, Science 338, 496"
SHARE = 5  # a small library is this part of the full one


def embedded(course, n_dims, delay):
    """Points (y_t, y_{t - delay}, ...) (sample, dim), from the first that is whole."""
    first = (n_dims - 1) * delay
    n = len(course)
    return np.stack([course[first - k * delay : n - k * delay] for k in range(n_dims)],
                    axis=1)  # fmt: skip


def skills(points, values, library):
    """Correlation (roi,) of values (sample, roi) with what the nearest points predict.

    Neighbours are sought among the first `library` samples, the sample itself left out.
    """
    from scipy.spatial import KDTree

    k = points.shape[1] + 1
    gaps, near = KDTree(points[:library]).query(points, k + 1)
    own = near == np.arange(len(points))[:, None]
    own[:, -1] |= ~own.any(axis=1)  # one has to go
    own &= np.cumsum(own, axis=1) == 1
    gaps = gaps[~own].reshape(-1, k)
    near = near[~own].reshape(-1, k)
    nearest = np.maximum(gaps[:, :1], 1e-12)
    weight = np.exp(-gaps / nearest)
    weight /= weight.sum(axis=1, keepdims=True)
    guess = np.einsum("tk,tkn->tn", weight, values[near])
    guess -= guess.mean(axis=0)
    truth = values - values.mean(axis=0)
    size = np.sqrt((guess**2).sum(axis=0) * (truth**2).sum(axis=0))
    r = (guess * truth).sum(axis=0)
    return np.divide(r, size, out=np.zeros_like(r), where=size > 0)


@operator("ccm", "model-based", directed=True, signed=True, ordered=True,
          batched=False, cost="20*N*T*log(T) + 5*T*N^2",
          workspace=lambda T, N, n_dims: (5 * n_dims + 20) * T * N + N**2,
          source=SUGIHARA)  # fmt: skip
def ccm(x, *, n_dims=3, delay_samples=1, statistic="skill"):
    """How well the target's delay embedding recovers the source.

    A cause leaves its trace in what it drives. For deterministic, weakly coupled
    systems; strong synchrony looks like coupling both ways.

    Parameters
    ----------
    n_dims : int, default=3
        Dimensions of the embedding.
    delay_samples : int, default=1
    statistic : {'skill', 'gain'}
        Correlation with the full library; or by how much it exceeds that of a fifth of
        it, which coupling predicts to be above 0 (convergence).

    References
    ----------
    Sugihara, G. et al. (2012). Detecting causality in complex ecosystems. Science 338,
    496-500.
    """
    check_choice("statistic", statistic, ["skill", "gain"])
    check_number("n_dims", n_dims, minimum=1, integer=True)
    check_number("delay_samples", delay_samples, minimum=1, integer=True)
    first = (n_dims - 1) * delay_samples
    n_points, needed = len(x) - first, SHARE * (n_dims + 2)
    if n_points < needed:
        raise ParameterError(
            message("operator 'ccm'", f"at least {needed + first} samples", len(x),
                    "use fewer dimensions or a shorter delay")
        )  # fmt: skip
    values = x[first:]
    w = np.empty((x.shape[1],) * 2)
    for j, course in enumerate(x.T):
        points = embedded(course, n_dims, delay_samples)
        w[:, j] = skills(points, values, n_points)
        if statistic == "gain":
            w[:, j] -= skills(points, values, n_points // SHARE)
    np.fill_diagonal(w, np.nan)
    return w
