"""Non-negative CP under the Kullback-Leibler loss, by multiplicative updates.

    minimise  sum M (X log(X / Xhat) - X + Xhat)

Each mode is multiplied by (data over model, projected) / (mask, projected), which never
raises the loss (Lee and Seung, 2001). Convergence is slow; use it where affinities are
counts. Symbols as in `products`; times are taken in chunks, so the model tensor is
never stored.
"""

import numpy as np

from neuroana.connectome.hals import CALM, Fit, Stack, gain
from neuroana.connectome.products import Data, to_numpy


TINY = 1e-12


def multiplicative(
    data: Data, stack: Stack, *, max_iter: int, tol: float, baseline: bool, single: bool
) -> list[Fit]:
    """Fit every model of a stack, one after the other."""
    return [
        one_model(data, *(f[i].astype(np.float64) for f in stack[:3]),
                  max_iter=max_iter, tol=tol, baseline=baseline, single=single)
        for i in range(len(stack.A))
    ]  # fmt: skip


def one_model(data, A, B, C, *, max_iter, tol, baseline, single) -> Fit:
    """Iterate one model until its loss stands still."""
    n_free = len(A) - int(baseline)
    trace: list[float] = []
    calm = 0
    for _ in range(max_iter):
        ratio = ratios(data, A, B, C, "A")
        A[:n_free] *= (ratio / np.maximum(totals(data, A, B, C, "A"), TINY))[:n_free]
        if not single:
            ratio = ratios(data, A, B, C, "C")
            C *= ratio / np.maximum(totals(data, A, B, C, "C"), TINY)
        ratio = ratios(data, A, B, C, "B")
        B *= ratio / np.maximum(totals(data, A, B, C, "B"), TINY)
        trace.append(divergence(data, A, B, C))
        calm = calm + 1 if gain(trace) < tol else 0
        if calm > CALM:
            break
    return Fit(A, B, C, 0, trace[-1], len(trace), calm > CALM, np.array(trace), 0)


def chunks(data: Data, A, B, C):
    """(group, rows, X, Xhat) for stretches of times."""
    x = to_numpy(data.x)
    small = (A[:, None, :] * C[:, :, None]).reshape(len(A), -1)
    step = max(1, 2**22 // x.shape[1])
    for g, (first, stop) in enumerate(zip(data.bounds[:-1], data.bounds[1:])):
        for start in range(first, stop, step):
            rows = slice(start, min(start + step, stop))
            yield g, rows, x[rows].astype(np.float64), B[:, rows].T @ small


def ratios(data, A, B, C, mode):
    """X / Xhat projected on one mode, (R, n)."""
    small = (A[:, None, :] * C[:, :, None]).reshape(len(A), -1)
    out = np.zeros_like({"A": A, "B": B, "C": C}[mode])
    for _, rows, x, model in chunks(data, A, B, C):
        quotient = x / np.maximum(model, TINY)
        if mode == "B":
            out[:, rows] = small @ quotient.T
            continue
        z = (B[:, rows] @ quotient).reshape(len(A), data.n_animals, -1)
        out += np.einsum("rwp,rw->rp" if mode == "A" else "rwp,rp->rw", z,
                         C if mode == "A" else A)  # fmt: skip
    return out


def totals(data, A, B, C, mode):
    """The mask projected on one mode, (R, n)."""
    if data.mask is None:
        mask = np.ones((data.n_groups, data.n_animals, data.n_pairs), dtype=bool)
    else:
        mask = to_numpy(data.mask).reshape(data.n_groups, data.n_animals, -1)
    starts = data.bounds[:-1]
    sums = np.add.reduceat(B, starts, axis=1)  # (R, G)
    if mode == "A":
        return np.einsum("gwp,rg,rw->rp", mask, sums, C, optimize=True)
    if mode == "C":
        return np.einsum("gwp,rg,rp->rw", mask, sums, A, optimize=True)
    by_group = np.einsum("gwp,rp,rw->rg", mask, A, C, optimize=True)
    return np.repeat(by_group, np.diff(data.bounds), axis=1)


def divergence(data, A, B, C) -> float:
    """The loss."""
    total = 0.0
    mask = None if data.mask is None else to_numpy(data.mask)
    for g, _, x, model in chunks(data, A, B, C):
        if mask is not None:
            model = model * mask.reshape(data.n_groups, -1)[g]
        some = x > 0
        total += float(
            (x[some] * np.log(x[some] / np.maximum(model[some], TINY))).sum()
        )
        total += float(model.sum() - x.sum())
    return total
