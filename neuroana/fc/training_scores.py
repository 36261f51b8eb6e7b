"""Scores of samples from the training of a classifier.

logits: (epoch, sample, class); y: (sample,) whole numbers. p is the softmax of the
logits, e = p - one-hot(y) the error vector.
"""

import numpy as np


def probabilities(logits):
    """Softmax over classes."""
    z = logits - logits.max(axis=-1, keepdims=True)
    p = np.exp(z, dtype=float)
    return p / p.sum(axis=-1, keepdims=True)


def error_lengths(logits, y):
    """||p - y||_2 (epoch, sample)."""
    e = probabilities(logits)
    e[:, np.arange(len(y)), y] -= 1.0
    return np.linalg.norm(e, axis=-1)


def forgetting_events(logits, y):
    """Number of times that a sample goes from right to wrong; never right is most.

    Examples
    --------
    >>> right, wrong = [2.0, 0.0], [0.0, 2.0]
    >>> z = np.array([[right, wrong], [wrong, wrong], [right, wrong], [wrong, wrong]])
    >>> forgetting_events(z, np.array([0, 0])).tolist()
    [2.0, 5.0]
    """
    right = logits.argmax(axis=-1) == y
    lost = (right[:-1] & ~right[1:]).sum(axis=0).astype(float)
    return np.where(right.any(axis=0), lost, len(logits) + 1.0)


def entropy(logits):
    """Entropy of p after the last epoch, in nats."""
    p = probabilities(logits[-1])
    return -(p * np.log(np.maximum(p, 1e-300))).sum(axis=-1)


def margin_area(logits, y):
    """Mean over epochs of the logit of y less the largest other (AUM).

    Examples
    --------
    >>> margin_area(np.array([[[3.0, 1.0]], [[1.0, 1.0]]]), np.array([0])).tolist()
    [1.0]
    """
    at = np.arange(len(y))
    own = logits[:, at, y]
    others = logits.astype(float).copy()
    others[:, at, y] = -np.inf
    return (own - others.max(axis=-1)).mean(axis=0)


def early_error(logits, y, epoch=20):
    """||p - y||_2 after `epoch` epochs (EL2N)."""
    return error_lengths(logits[:epoch][-1:], y)[0]


def early_gradient(logits, squared_lengths, y, epoch=20):
    """||(p - y) (f, 1)||_F after `epoch` epochs: the last layer's gradient (GraNd)."""
    return early_error(logits, y, epoch) * np.sqrt(1.0 + squared_lengths[:epoch][-1])


def dual_depth(logits, window=10, decay=0.9):
    """Spread of the steps of p inside windows of epochs, later ones more (TDDS).

    Step d_e = sum_k |p' (log p' - log p)|, p' the next epoch's; in a window the length
    of d - mean(d); weights decay * (1 - decay)^distance to the last window.
    """
    p = np.maximum(probabilities(logits), 1e-12)
    step = np.abs(p[1:] * (np.log(p[1:]) - np.log(p[:-1]))).sum(axis=-1)
    total = np.zeros(step.shape[1])
    for start in range(max(1, len(step) - window + 1)):
        part = step[start : start + window]
        depth = np.linalg.norm(part - part.mean(axis=0), axis=0)
        last = max(0, len(step) - window) - start
        total += decay * (1 - decay) ** last * depth
    return total


def two_stage_variance(logits, y, early=(0, 10), late=(100, 110)):
    """Variance of ||p - y||_2 in an early and a late window of epochs (EVA).

    Each is divided by its sum over samples; both count half. Windows beyond the end
    are moved to it.
    """
    e = error_lengths(logits, y)
    total = np.zeros(len(y))
    for start, stop in (early, late):
        stop = min(stop, len(e))
        part = e[max(0, min(start, stop - 2)) : stop].var(axis=0)
        total += 0.5 * part / max(part.sum(), 1e-300)
    return total


def covered(scores, size, rng, *, n_strata=50, hard_cut=0.3):
    """Fill strata of equal width of the scores from the emptiest up (CCS).

    Parameters
    ----------
    scores : ndarray (unit,)
        Low is hard; the share `hard_cut` of the hardest is dropped first, as far as
        enough are left.

    Examples
    --------
    >>> covered(np.linspace(0, 1, 100), 10, np.random.default_rng(0), n_strata=5).size
    10
    """
    n_drop = min(int(hard_cut * len(scores)), len(scores) - size)
    kept = np.argsort(scores, kind="stable")[n_drop:]
    low, high = scores[kept].min(), scores[kept].max()
    width = (high - low) / n_strata or 1.0
    which = np.minimum(((scores[kept] - low) / width).astype(int), n_strata - 1)
    groups = [kept[which == k] for k in range(n_strata)]
    groups = sorted((g for g in groups if len(g)), key=len)
    chosen: list[int] = []
    for number, group in enumerate(groups):
        share = -(-(size - len(chosen)) // (len(groups) - number))
        take = min(len(group), share, size - len(chosen))
        chosen += rng.permutation(group)[:take].tolist()
    return np.sort(np.array(chosen, dtype=int))
