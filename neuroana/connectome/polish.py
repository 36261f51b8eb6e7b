"""The last hundredth of a percent: L-BFGS-B on all factors of one model together."""

import numpy as np

from neuroana.connectome.hals import (
    Fit,
    Stack,
    animal_grams,
    grams,
    inner_grams,
    outer,
    over_animals,
    over_pairs,
    pair_grams,
    time_grams,
)


def lbfgs(
    products, fit: Fit, *, baseline: bool, single: bool, max_iter: int = 200
) -> Fit:
    """Polish a model with bounds at zero; the loss does not rise.

    Each evaluation takes the same two passes over the data as an iteration of HALS.
    """
    from scipy.optimize import minimize

    shapes = [fit.A.shape, fit.B.shape, fit.C.shape]
    sizes = [int(np.prod(s)) for s in shapes]
    norm = float(products.squares()[fit.fold])
    dtype = products.data.x.dtype

    def unpack(theta):
        parts = np.split(theta, np.cumsum(sizes)[:-1])
        return [p.reshape(s) for p, s in zip(parts, shapes)]

    def value_and_slope(theta):
        factors = unpack(theta)
        loss, slopes = gradient(products, [f.astype(dtype) for f in factors], fit.fold,
                                norm)  # fmt: skip
        if baseline:
            slopes[0][-1] = 0.0
        if single:
            slopes[2][:] = 0.0
        return loss, np.concatenate([s.ravel() for s in slopes])

    start = np.concatenate(
        [f.astype(np.float64).ravel() for f in (fit.A, fit.B, fit.C)]
    )
    found = minimize(
        value_and_slope, start, jac=True, method="L-BFGS-B",
        bounds=[(0.0, None)] * len(start), options={"maxiter": max_iter},
    )  # fmt: skip
    if found.fun >= fit.loss:
        return fit
    A, B, C = (f.astype(dtype) for f in unpack(found.x))
    trace = np.append(fit.trace, found.fun)
    return Fit(A, B, C, fit.fold, float(found.fun), fit.n_iter + int(found.nit),
               bool(found.success), trace, fit.n_reseeded)  # fmt: skip


def gradient(products, factors, fold: int, norm: float):
    """Half the squared error of one model, and its slopes by A, B and C (R, n)."""
    A, B, C = (f[None] for f in factors)
    stack = Stack(A, B, C, np.array([fold]))
    masks = products.fold_masks()
    own = None if masks is None else masks[[fold if len(masks) > 1 else 0]]
    data = products.data
    (z,), (k,) = products.pairs([stack]), products.times([stack])
    gb, cc, ga = grams(B, data.bounds), outer(C), inner_grams(A, own)
    h = time_grams(ga, cc, data.n_groups)
    slopes = []
    for f, target, gram in (
        (A, over_animals(z, C), pair_grams(gb, cc, own)),
        (B, k, np.repeat(h[0], np.diff(data.bounds), axis=0).transpose(1, 2, 0)[None]),
        (C, over_pairs(z, A), animal_grams(gb, ga, C.shape[2])),
    ):
        if gram.ndim == 3:
            slopes.append((gram @ f - target)[0].astype(np.float64))
        else:
            slopes.append(((gram * f[:, None]).sum(2) - target)[0].astype(np.float64))
    fitted = float((grams(B.astype(np.float64), data.bounds) * h).sum())
    cross = float((k.astype(np.float64) * B).sum())
    return 0.5 * (norm - 2 * cross + fitted), slopes
