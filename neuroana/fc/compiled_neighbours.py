"""Counts of neighbours for the estimators of Kraskov, as compiled loops.

The radius of a sample is the largest-norm distance to its k-th neighbour in the joint
space. Samples sorted by the first coordinate are searched outward until that coordinate
alone is farther than the k-th best; counts in one dimension are two binary searches.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def insert(best, value):
    """Put a value into the sorted list of the smallest."""
    k = best.shape[0]
    if value >= best[k - 1]:
        return
    place = k - 1
    while place > 0 and best[place - 1] > value:
        best[place] = best[place - 1]
        place -= 1
    best[place] = value


@njit(cache=True, nogil=True)
def radius(points, order, rank, t, k, theiler, best):
    """Distance of sample t to its k-th neighbour; points (dim, time)."""
    n_dims, T = points.shape
    best[:] = np.inf
    here = points[0, t]
    for direction in (-1, 1):
        place = rank[t] + direction
        while 0 <= place < T:
            s = order[place]
            gap = abs(points[0, s] - here)
            if gap >= best[k - 1]:
                break
            if s != t and abs(s - t) > theiler:
                for d in range(1, n_dims):
                    gap = max(gap, abs(points[d, s] - points[d, t]))
                insert(best, gap)
            place += direction
    return best[k - 1]


@njit(cache=True, nogil=True)
def count_below(points, order, rank, t, eps, theiler):
    """Other samples nearer than eps in the largest norm."""
    n_dims, T = points.shape
    here = points[0, t]
    found = 0
    for direction in (-1, 1):
        place = rank[t] + direction
        while 0 <= place < T:
            s = order[place]
            gap = abs(points[0, s] - here)
            if gap >= eps:
                break
            if abs(s - t) > theiler:
                for d in range(1, n_dims):
                    gap = max(gap, abs(points[d, s] - points[d, t]))
                if gap < eps:
                    found += 1
            place += direction
    return found


@njit(cache=True, nogil=True)
def count_sorted(ordered, here, eps):
    """Samples of a sorted array with |value - here| < eps, sample itself left out."""
    low, high = 0, ordered.shape[0]
    while low < high:
        middle = (low + high) // 2
        if here - ordered[middle] >= eps:
            low = middle + 1
        else:
            high = middle
    first, high = low, ordered.shape[0]
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] - here < eps:
            low = middle + 1
        else:
            high = middle
    return low - first - 1


@njit(cache=True, nogil=True)
def mutual_information_pairs(z, order, rank, ordered, psi, k, theiler):
    """Kraskov's first estimator for all pairs of z (roi, time)."""
    n, T = z.shape
    out = np.full((n, n), np.nan)
    best = np.empty(k)
    points = np.empty((2, T))
    for i in range(n):
        for j in range(i + 1, n):
            points[0] = z[i]
            points[1] = z[j]
            total = 0.0
            for t in range(T):
                eps = radius(points, order[i], rank[i], t, k, theiler, best)
                if theiler == 0:
                    a = count_sorted(ordered[i], z[i, t], eps)
                    b = count_sorted(ordered[j], z[j, t], eps)
                else:
                    a = count_below(points[:1], order[i], rank[i], t, eps, theiler)
                    b = count_below(points[1:], order[j], rank[j], t, eps, theiler)
                total += psi[a + 1] + psi[b + 1]
            out[i, j] = out[j, i] = total / T
    return out


@njit(cache=True, nogil=True)
def transfer_entropy_pairs(present, own, past, psi, k, theiler):
    """E psi(n_yz + 1) + psi(n_xz + 1) - psi(n_z + 1) of present, source past, own past.

    present (roi, time), own and past (roi, lag, time): conditional mutual information
    of the target's present and the source's past given the target's own past.
    """
    n, T = present.shape
    n_own, n_past = own.shape[1], past.shape[1]
    out = np.full((n, n), np.nan)
    best = np.empty(k)
    joint = np.empty((n_own + 1 + n_past, T))
    with_source = np.empty((n_own + n_past, T))
    rank = np.empty(T, np.int64)
    for j in range(n):
        joint[:n_own] = own[j]
        joint[n_own] = present[j]
        with_source[:n_own] = own[j]
        order = np.argsort(joint[0])
        rank[order] = np.arange(T)
        ordered = joint[0][order]
        for i in range(n):
            if i == j:
                continue
            joint[n_own + 1 :] = past[i]
            with_source[n_own:] = past[i]
            total = 0.0
            for t in range(T):
                eps = radius(joint, order, rank, t, k, theiler, best)
                a = count_below(joint[: n_own + 1], order, rank, t, eps, theiler)
                b = count_below(with_source, order, rank, t, eps, theiler)
                if theiler == 0 and n_own == 1:
                    c = count_sorted(ordered, joint[0, t], eps)
                else:
                    c = count_below(joint[:n_own], order, rank, t, eps, theiler)
                total += psi[a + 1] + psi[b + 1] - psi[c + 1]
            out[i, j] = total / T
    return out
