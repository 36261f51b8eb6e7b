"""Where the fits of a tensor begin."""

from typing import Any

import numpy as np

from neuroana.connectome.hals import (
    Stack,
    grams,
    inner64,
    inner_grams,
    outer,
    time_grams,
)
from neuroana.connectome.products import Data, on_device, to_numpy
from neuroana.core.checks import message
from neuroana.core.errors import ShapeError
from neuroana.core.random import branch


def random_stack(
    data: Data, rank: int, n_init: int, seed: int, *, single: bool, dtype: str
) -> Stack:
    """Uniform factors, one branch of the seed a start."""
    shapes = (data.n_pairs, len(data.order), data.n_animals)
    made: list[list[np.ndarray]] = [[], [], []]
    for start in range(n_init):
        rng = branch(seed, rank, start)
        for mode, n in enumerate(shapes):
            made[mode].append(rng.random((rank, n)))
    A, B, C = (np.stack(m).astype(dtype) for m in made)
    if single:
        C[:] = 1.0
    return Stack(A, B[:, :, data.order], C, np.zeros(n_init, dtype=int))


def nndsvd_stack(
    data: Data, rank: int, seed: int, *, single: bool, dtype: str
) -> Stack:
    """Absolute leading singular vectors of time and animals, pairs to fit.

    Columns beyond the number of animals or times are uniform.
    """
    rng = branch(seed, rank, 0)
    x = to_numpy(data.x)
    factors = []
    by_animal = x.reshape(len(x), data.n_animals, -1).swapaxes(0, 1)
    for unfolded in (x, by_animal.reshape(data.n_animals, -1)):
        value, vector = np.linalg.eigh((unfolded @ unfolded.T).astype(np.float64))
        best = np.argsort(value)[::-1][:rank]
        f = rng.random((rank, len(unfolded))) / np.sqrt(len(unfolded))
        f[: len(best)] = np.abs(vector[:, best].T)
        factors.append(f)
    B, C = factors
    if single:
        C = np.ones((rank, 1))
    z = (B.astype(x.dtype) @ x).reshape(rank, data.n_animals, -1)
    A = np.maximum(np.einsum("rwp,rw->rp", z, C), 0.0)
    stack = [np.ascontiguousarray(f[None], dtype=dtype) for f in (A, B, C)]
    return Stack(*stack, np.zeros(1, dtype=int))


def warm_stack(data: Data, init: Any, *, single: bool, dtype: str) -> Stack:
    """Factors of the user: (weights, factors) as TensorLy has them, or the factors."""
    if hasattr(init, "factors"):
        weights, factors = init.weights, init.factors
    elif len(init) == 2 and isinstance(init[1], list | tuple):
        weights, factors = init
    else:
        weights, factors = None, init
    factors = [np.nan_to_num(np.asarray(f, dtype=np.float64)) for f in factors]
    wanted = [data.n_pairs, len(data.order), data.n_animals]
    if len(factors) == 2:
        factors.append(np.ones((1, factors[0].shape[1])))
    found = [len(f) for f in factors]
    if found != wanted or len({f.shape[1] for f in factors}) != 1:
        raise ShapeError(
            message(
                "argument 'init'",
                f"factors of {wanted} rows and equal columns",
                [f.shape for f in factors],
            )
        )
    if weights is not None:
        factors[0] = factors[0] * np.asarray(weights)
    if single:
        factors[0] = factors[0] * factors[2][0]
        factors[2] = np.ones_like(factors[2])
    factors[0] = factors[0] / data.scale
    A, B, C = (np.ascontiguousarray(f.T[None], dtype=dtype) for f in factors)
    return Stack(A, B[:, :, data.order], C, np.zeros(1, dtype=int))


def with_baseline(stack: Stack, data: Data) -> Stack:
    """One more column: all pairs alike, free over times and animals."""

    def ones(f):
        return np.ones((len(f), 1, f.shape[2]), f.dtype)

    A, B, C, fold = stack
    grown = [np.concatenate([f, ones(f)], axis=1) for f in (A, B, C)]
    return Stack(*grown, fold)


def scaled(stack: Stack, products, *, baseline: bool) -> Stack:
    """Stretch each start so that <X, Xhat> = |Xhat|^2."""
    A, B, C, fold = stack
    masks = products.fold_masks()
    own = None if masks is None else masks[fold if len(masks) > 1 else fold * 0]
    (k,) = products.times([stack])
    cross = inner64(k, B)
    h = time_grams(inner_grams(A, own), outer(C), products.data.n_groups)
    size = inner64(grams(B, products.data.bounds), h)
    factor = np.where(size > 0, cross / np.where(size > 0, size, 1.0), 1.0)
    factor = np.maximum(factor, 1e-12) ** 0.5
    by = factor[:, None, None].astype(np.float32)
    by = by if isinstance(A, np.ndarray) else A.new_tensor(by)
    n = A.shape[1] - int(baseline)
    A[:, :n] *= by
    B[:, :n] *= by
    if baseline:
        B[:, n:] *= by**2
    return Stack(A, B, C, fold)


def moved_to(stack: Stack, device: str) -> Stack:
    """The stack on a device."""
    return Stack(*(on_device(f, device) for f in stack[:3]), stack.fold)
