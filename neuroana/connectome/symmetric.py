"""Motifs as products of neuron loadings: one factor for both ends of a pair.

The untied fit of a symmetric tensor ends with equal factors at both ends; they are
averaged, and a few damped sweeps in which both ends move together settle the rest.
"""

import numpy as np

from neuroana.connectome.hals import (
    Fit,
    grams,
    inner_grams,
    outer,
    over_animals,
    pair_grams,
    time_grams,
)
from neuroana.connectome.matching import unit
from neuroana.connectome.products import DenseProducts, squared_error
from neuroana.connectome.sweeps import sweep


SWEEPS = 5


def asymmetry(fit: Fit) -> float:
    """Largest difference of the two ends' columns, each of length one.

    Examples
    --------
    >>> u = np.ones((1, 4))
    >>> asymmetry(Fit(u, u, 2 * u, 0, 0.0, 1, True, np.zeros(1), 0))
    0.0
    """
    return float(np.abs(unit(fit.A.T) - unit(fit.C.T)).max())


def tie(products, fit: Fit) -> tuple[Fit, float]:
    """The tied model, and how unequal both ends were before.

    Returns
    -------
    fit : Fit
        A and C the same array; the scale is in B.
    gap : float
        :func:`asymmetry` of the untied fit.
    """
    gap = asymmetry(fit)
    size = np.linalg.norm(fit.A, axis=1) * np.linalg.norm(fit.C, axis=1)
    U = 0.5 * (unit(fit.A.T) + unit(fit.C.T)).T.astype(fit.A.dtype)
    B = fit.B * size[:, None].astype(fit.B.dtype)
    best = error_of(products, U, B), U, B
    for _ in range(SWEEPS):
        U, B = tied_sweep(products, U, B, fit.fold)
        error = error_of(products, U, B)
        if error < best[0]:
            best = error, U.copy(), B.copy()
    _, U, B = best
    loss = 0.5 * best[0]
    trace = np.append(fit.trace, loss)
    return fit._replace(A=U, B=B, C=U.copy(), loss=loss, trace=trace), gap


def tied_sweep(products, U, B, fold):
    """Half a step of both ends together, then the time courses."""
    data = products.data
    a, b = U[None].copy(), B[None].copy()
    stack = (a, b, a.copy(), np.array([fold]))
    (z,) = products.pairs([stack])
    masks = products.fold_masks()
    own = None if masks is None else masks[[0]]
    k = np.ascontiguousarray(over_animals(z, a))
    h = pair_grams(grams(b, data.bounds), outer(a), own)
    moved = a.copy()
    sweep(moved, k, np.ascontiguousarray(h, dtype=a.dtype), inner=1)
    a = 0.5 * (a + moved)
    (k,) = products.times([(a, b, a, np.array([fold]))])
    h = time_grams(inner_grams(a, own), outer(a), data.n_groups)
    h = np.repeat(h[0], np.diff(data.bounds), axis=0).transpose(1, 2, 0)[None]
    sweep(b, np.ascontiguousarray(k), np.ascontiguousarray(h, dtype=b.dtype))
    return a[0], b[0]


def error_of(products, U, B) -> float:
    """Sum of squared residuals of the tied model."""
    if isinstance(products, DenseProducts):
        return squared_error(products.data, U, B, U)[0]
    return products.squared_error((U[None], B[None], U[None], np.zeros(1, int)))[0]
