"""Column sweeps of HALS: one factor, its target and its Gram matrices.

| symbol | shape                    | meaning                                        |
| ------ | ------------------------ | ---------------------------------------------- |
| F      | (S, R, n)                | a factor of S models, changed in place         |
| K      | (S, R, n)                | MTTKRP: data times the other factors           |
| H      | (S, R, R) or (S, R, R, n)| Gram matrices of the others, per entry if masked|

Given K and H the entries of a mode do not interact, so a sweep over columns is R
coordinate steps for every entry, in place::

    f_r <- max(0, f_r + (K_r - sum_q H_rq f_q - l1) / H_rr)

A compiled loop (numba, if it is installed) does it in blocks that stay in the cache;
the array version below is its twin, and what runs on a GPU.
"""

from functools import cache

import numpy as np


@cache
def compiled():
    """The compiled loops, or None without numba."""
    try:
        from neuroana.connectome import compiled_sweeps
    except ImportError:
        return None
    return compiled_sweeps


def sweep(F, K, H, *, inner=3, n_free=None, l1=0.0, use_compiled=True):
    """Improve a factor by `inner` sweeps over its columns, in place.

    Parameters
    ----------
    F, K, H : ndarray or tensor
        As in the table above.
    inner : int
    n_free : int, optional
        Columns that may change: the first so many; all when left out.
    l1 : float
        Weight of the sum of the entries.
    use_compiled : bool

    Examples
    --------
    >>> F = np.ones((1, 2, 3)); K = np.ones((1, 2, 3)); H = np.eye(2)[None] * 2.0
    >>> sweep(F, K, H)
    >>> F[0, 0].tolist()
    [0.5, 0.5, 0.5]
    """
    n_free = F.shape[1] if n_free is None else n_free
    loops = compiled() if use_compiled and isinstance(F, np.ndarray) else None
    if loops is None:
        sweep_arrays(F, K, H, inner, n_free, l1)
        return
    l1 = F.dtype.type(l1)
    run = loops.sweep_shared if H.ndim == 3 else loops.sweep_rows
    for s in range(len(F)):
        run(F[s], K[s], H[s], inner, n_free, l1)


def sweep_arrays(F, K, H, inner, n_free, l1):
    """Twin of the compiled loops on whole arrays."""
    shared = H.ndim == 3
    for _ in range(inner):
        for r in range(n_free):
            row = H[:, r, :, None] if shared else H[:, r]
            diagonal = row[:, r]
            step = (K[:, r] - l1 - (row * F).sum(1)) / positive(diagonal)
            F[:, r] = (F[:, r] + step).clip(0)


def positive(diagonal):
    """The diagonal of H, infinite where nothing was observed: no step there."""
    out = diagonal + 0
    out[out <= 0] = float("inf")
    return out


def newton_gap(F, K, H, n_free=None):
    """How far one step per entry would move each model, relative to the factor.

    It is zero exactly at a point that fulfils the Karush-Kuhn-Tucker conditions.

    Examples
    --------
    >>> F = np.full((1, 1, 2), 0.5)
    >>> newton_gap(F, np.ones((1, 1, 2)), np.full((1, 1, 1), 2.0)).tolist()
    [0.0]
    """
    n_free = F.shape[1] if n_free is None else n_free
    total = 0.0
    for r in range(n_free):
        row = H[:, r, :, None] if H.ndim == 3 else H[:, r]
        step = (K[:, r] - (row * F).sum(1)) / positive(row[:, r])
        moved = (F[:, r] + step).clip(0) - F[:, r]
        total = total + (moved**2).sum(-1)
    size = (F[:, :n_free] ** 2).sum(-1).sum(-1)
    return (total / positive(size)) ** 0.5


def sweep_smooth(B, K, H, weight, *, inner=3, l1=0.0, ridge=0.0):
    """As :func:`sweep`, with `weight` / 2 times the squared second differences of B.

    Entries within two samples of each other interact, so every third one is changed
    at a time; the objective falls at each step.
    """
    n = B.shape[2]
    D = np.diff(np.eye(n), n=2, axis=0) if n < 5 else None
    edge = band(n) if D is None else None
    if not isinstance(B, np.ndarray):
        D, edge = (None if v is None else B.new_tensor(v) for v in (D, edge))
    for _ in range(inner):
        for r in range(B.shape[1]):
            row = H[:, r, :, None] if H.ndim == 3 else H[:, r]
            fixed = K[:, r] - l1 - (row * B).sum(1) + row[:, r] * B[:, r]
            for colour in range(3):
                at = slice(colour, None, 3)
                pull = roughness(B[:, r], D, edge)
                own = diagonal_of(n, D, edge)[at]
                rest = pull[:, at] - own * B[:, r, at]
                bend = row[:, r] + 0 * B[:, r]
                scale = bend[:, at] + weight * own + ridge
                new = (fixed[:, at] - weight * rest) / positive(scale)
                B[:, r, at] = new.clip(0)


def band(n):
    """Diagonal of D'D for second differences D of n samples."""
    d = np.full(n, 6.0)
    d[[0, -1]], d[[1, -2]] = 1.0, 5.0
    return d


def diagonal_of(n, D, edge):
    """Diagonal of D'D."""
    return edge if D is None else (D * D).sum(axis=0)


def roughness(b, D, edge):
    """D'D b for each row of b."""
    if D is not None:
        return b @ (D.T @ D)
    second = 0 * b
    second[:, 1:-1] = b[:, :-2] - 2 * b[:, 1:-1] + b[:, 2:]
    out = -2 * second
    out[:, :-1] += second[:, 1:]
    out[:, 1:] += second[:, :-1]
    return out
