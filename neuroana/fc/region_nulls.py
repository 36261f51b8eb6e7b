"""Regions exchanged so that neighbours stay neighbours: the spin null."""

import numpy as np

from neuroana.core.random import branch


def random_rotation(rng):
    """A rotation (3, 3), uniform."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    q[:, 0] *= np.sign(np.linalg.det(q))
    return q


def region_orders(n, n_null, coordinates, seed):
    """Orders of n regions for a null.

    With coordinates (roi, 3) the regions of each hemisphere (sign of x) are put on a
    sphere, turned, and matched one to one (Alexander-Bloch et al., NeuroImage 178, 540,
    2018; matched as in Markello and Misic, NeuroImage 236, 118052, 2021); both turn as
    mirror images. Without, regions are permuted.

    Returns
    -------
    list of ndarray (roi,)

    Examples
    --------
    >>> orders = region_orders(4, 2, None, 0)
    >>> [sorted(o.tolist()) for o in orders]
    [[0, 1, 2, 3], [0, 1, 2, 3]]
    """
    orders = []
    for k in range(n_null):
        rng = branch(seed, 3, k)
        if coordinates is None:
            orders.append(rng.permutation(n))
            continue
        turn = random_rotation(rng)
        order = np.arange(n)
        mirror = np.diag([-1.0, 1.0, 1.0])
        for left in (True, False):
            at = np.flatnonzero((coordinates[:, 0] < 0) == left)
            if len(at):
                own = turn if left else mirror @ turn @ mirror
                order[at] = at[_matched(coordinates[at], own)]
        orders.append(order)
    return orders


def _matched(points, turn):
    from scipy.optimize import linear_sum_assignment

    centred = points - points.mean(axis=0)
    sphere = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    closeness = sphere @ (sphere @ turn.T).T
    return linear_sum_assignment(-closeness)[1]
