"""Motifs V V' with several columns: each motif may hold several groups of neurons.

    minimise  1/2 sum M (X[p, t] - sum_r B[r, t] (V_r V_r')[p])^2,   V, B >= 0

Starts from the free pair factors. Given B the loss is a quartic in V whose target and
Gram matrices need one pass over the data; a few steps of L-BFGS-B lower it, then B is
swept. Both lower the same loss.
"""

import numpy as np

from neuroana.connectome.affinity import fold, pair_indices
from neuroana.connectome.hals import (
    Fit,
    gain,
    grams,
    inner64,
    inner_grams,
    outer,
    pair_grams,
    spread,
    time_grams,
)
from neuroana.connectome.products import to_numpy
from neuroana.connectome.sweeps import sweep


OUTER = 60
STEPS = 15
TOL = 1e-6


def symmetric_factors(matrix: np.ndarray, n_columns: int, *, n_iter: int = 200):
    """V >= 0 with V V' near a matrix off its diagonal, by damped multiplication.

    Examples
    --------
    >>> v = np.array([[1.0], [2.0], [3.0]])
    >>> found = symmetric_factors(v @ v.T, 1)
    >>> bool(np.allclose(found @ found.T, v @ v.T, atol=1e-2))
    True
    """
    n = len(matrix)
    off = ~np.eye(n, dtype=bool)
    target = np.where(off, matrix, 0.0)
    value, vector = np.linalg.eigh(target)
    best = np.argsort(value)[::-1][:n_columns]
    v = np.abs(vector[:, best]) * np.sqrt(np.maximum(value[best], 1e-12)) + 1e-3
    for _ in range(n_iter):
        model = np.where(off, v @ v.T, 0.0)
        v *= 0.5 + 0.5 * (target @ v) / np.maximum(model @ v, 1e-12)
    return v


def fit_blocks(products, start: Fit, n_columns: int) -> tuple[Fit, np.ndarray]:
    """Refine a fit so that every motif is V V'.

    Returns
    -------
    fit : Fit
        Its pair factors are those of V V'.
    blocks : ndarray (R, N, L)
    """
    data = products.data
    n_ranks = len(start.A)
    V = np.stack([
        symmetric_factors(fold(np.asarray(a, dtype=np.float64)), n_columns)
        for a in start.A
    ])  # fmt: skip
    B = start.B[None].astype(start.A.dtype)
    C = np.ones((1, n_ranks, data.n_animals), dtype=B.dtype)
    masks = products.fold_masks()
    own = None if masks is None else to_numpy(masks)[[0]]
    norm = float(products.squares()[0])
    trace: list[float] = []
    for _ in range(OUTER):
        A = pairs_of(V)[None].astype(B.dtype)
        (z,) = products.pairs([(A, B, C, np.zeros(1, int))])
        h = pair_grams(grams(B, data.bounds), outer(C), own)
        V = descend(V, to_numpy(z)[0, :, 0].astype(np.float64), h[0].astype(np.float64))
        A = pairs_of(V)[None].astype(B.dtype)
        (k,) = products.times([(A, B, C, np.zeros(1, int))])
        h = time_grams(inner_grams(A, own), outer(C), data.n_groups)
        at = np.ascontiguousarray(spread(h, data.bounds), dtype=B.dtype)
        sweep(B, np.ascontiguousarray(to_numpy(k)), at)
        fitted = inner64(grams(B.astype(np.float64), data.bounds), h)
        trace.append(0.5 * float((norm - 2 * inner64(k, B) + fitted)[0]))
        if len(trace) > 5 and gain(trace) < TOL:
            break
    fit = start._replace(
        A=A[0], B=B[0], C=C[0], loss=trace[-1], n_iter=len(trace),
        converged=len(trace) < OUTER, trace=np.array(trace),
    )  # fmt: skip
    return fit, V


def pairs_of(V: np.ndarray) -> np.ndarray:
    """(V_r V_r') of all pairs, (R, P)."""
    i, j = pair_indices(V.shape[1])
    return (V[:, i] * V[:, j]).sum(axis=2)


def descend(V, k, h):
    """A few steps of L-BFGS-B on V, given target K and Gram matrices H of the pairs."""
    from scipy.optimize import minimize

    def value_and_slope(theta):
        v = theta.reshape(V.shape)
        a = pairs_of(v)
        ha = h @ a if h.ndim == 2 else (h * a[None]).sum(axis=1)
        slope = fold(ha - k) @ v
        return 0.5 * float((a * ha).sum()) - float((a * k).sum()), slope.ravel()

    found = minimize(
        value_and_slope, V.ravel(), jac=True, method="L-BFGS-B",
        bounds=[(0.0, None)] * V.size, options={"maxiter": STEPS},
    )  # fmt: skip
    return found.x.reshape(V.shape)
