"""How far a tensor is from needing more than a diagonal core."""

import numpy as np


def core_consistency(values: np.ndarray, factors: list[np.ndarray]) -> float:
    """Core consistency of a CP model in percent (Bro and Kiers, 2003).

    The least-squares core is made mode by mode with pseudo-inverses, so no Kronecker
    product is formed. Entries that were not observed are those of the model.

    Parameters
    ----------
    values : ndarray (P, T, W)
    factors : list of ndarray (P, R), (T, R), (W, R)
        Weights included in one of them.

    Returns
    -------
    float
        100 at a model that a diagonal core describes; low or negative where
        components interact, which a rank that is too high does.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b, c = rng.random((5, 2)), rng.random((6, 2)), rng.random((4, 2))
    >>> x = np.einsum("pr,tr,wr->ptw", a, b, c)
    >>> round(core_consistency(x, [a, b, c]), 6)
    100.0
    """
    known = np.isfinite(factors[0]).all(axis=1)
    a = factors[0][known].astype(np.float64)
    b, c = (np.nan_to_num(f.astype(np.float64)) for f in factors[1:])
    rank = a.shape[1]
    # X x_1 A+ = A+ (X - Xhat where observed) + A+ A (B kr C): no copy of Xhat is kept
    inverse = [np.linalg.pinv(f) for f in (a, b, c)]
    core = np.einsum("xr,yr,zr->xyz", *(i @ f for i, f in zip(inverse, (a, b, c))))
    rows = np.flatnonzero(known)
    step = max(1, 2**22 // max(values[0].size, 1))
    for first in range(0, len(rows), step):
        at = rows[first : first + step]
        part = values[at] - np.einsum("pr,tr,wr->ptw", a[first : first + step], b, c)
        part = np.nan_to_num(part)
        core += np.einsum(
            "xp,yt,zw,ptw->xyz", inverse[0][:, first : first + step], inverse[1],
            inverse[2], part, optimize=True,
        )  # fmt: skip
    ideal = np.zeros_like(core)
    ideal[np.arange(rank), np.arange(rank), np.arange(rank)] = 1.0
    return float(100.0 * (1.0 - ((core - ideal) ** 2).sum() / rank))
