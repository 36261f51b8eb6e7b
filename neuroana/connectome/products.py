"""The two passes over the data that an iteration of CP needs.

| symbol  | shape        | meaning                                                    |
| ------- | ------------ | ---------------------------------------------------------- |
| X       | (T, W, P)    | affinities, zero where not observed, of unit mean square   |
| M       | (G W, P)     | 1 where observed; times fall into G groups of equal mask   |
| V       | (F, G, W, P) | weights of F folds or bootstrap draws, on top of M         |
| A, B, C | (S, R, P), (S, R, T), (S, R, W) | factors of S models of rank R           |

Models of equal rank form a stack. The small operands of all stacks are laid one below
the other, so that every pass is one matrix product for all restarts, ranks and folds.
"""

from typing import Any, NamedTuple

import numpy as np


class Data(NamedTuple):
    """A tensor as the solvers take it."""

    x: Any  # (T, W * P)
    n_pairs: int
    n_animals: int
    bounds: np.ndarray  # (G + 1,) first sample of each group of times
    mask: Any  # (G * W, P), or None where all is observed
    order: np.ndarray  # (T,) original position of each sample
    scale: float  # X times this is the data

    @property
    def n_groups(self) -> int:
        """Number of groups of times with one mask."""
        return len(self.bounds) - 1


class Folds(NamedTuple):
    """Weights on top of the mask, one set a fold."""

    weights: Any  # (F, G, W, P)
    varies: bool  # whether they differ between groups of times


def make_data(
    values: np.ndarray, *, dtype: str = "float32", groups: np.ndarray | None = None
) -> Data:
    """Lay a tensor (P, T) or (P, T, W) out for the solvers; NaN is masked.

    Parameters
    ----------
    values : ndarray
    dtype : str
    groups : ndarray of int (time,), optional
        Split times with one mask further, for folds over time.

    Examples
    --------
    >>> data = make_data(np.array([[1.0, np.nan], [1.0, 1.0], [1.0, 1.0]]))
    >>> data.x.tolist(), data.bounds.tolist(), data.mask.tolist()
    ([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]], [0, 1, 2], [[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    """
    if values.ndim == 2:
        values = values[:, :, None]
    n_pairs, n_time, n_animals = values.shape
    x = np.ascontiguousarray(values.transpose(1, 2, 0), dtype=dtype)
    x = x.reshape(n_time, -1)
    missing = np.isnan(x)
    group = np.zeros(n_time, dtype=int) if groups is None else np.asarray(groups)
    mask, order = None, np.arange(n_time)
    if missing.any() or groups is not None:
        bits = np.packbits(missing, axis=1)
        key = np.concatenate([group[:, None].astype(np.int32).view(np.uint8), bits], 1)
        key = np.ascontiguousarray(key).view([("", np.void, key.shape[1])])[:, 0]
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))  # groups in the order of time
        inverse = rank[inverse.reshape(-1)]
        order = np.argsort(inverse, kind="stable")
        if (order != np.arange(n_time)).any():
            x, missing = x[order], missing[order]
        bounds = np.searchsorted(inverse[order], np.arange(len(first) + 1))
        mask = (~missing[bounds[:-1]]).astype(dtype)
        mask = mask.reshape(len(first) * n_animals, n_pairs)
        x[missing] = 0.0
    else:
        bounds = np.array([0, n_time])
    n_seen = x.size - int(missing.sum())
    square = float(np.einsum("ij,ij->", x, x, dtype=np.float64))
    scale = float(np.sqrt(square / max(n_seen, 1))) or 1.0
    x /= x.dtype.type(scale)
    return Data(x, n_pairs, n_animals, bounds, mask, order, scale)


class DenseProducts:
    """Both passes on a stored tensor."""

    def __init__(self, data: Data, folds: Folds | None = None):
        self.data, self.folds = data, folds

    def pairs(self, stacks):
        """Z[s, r, w, p] = sum over t of B V X, for each stack: the first pass."""
        data = self.data
        below = [B.reshape(-1, B.shape[2]) for _, B, _, _ in stacks]
        b = below[0] if len(below) == 1 else concatenate(below)
        if self.folds is None or not self.folds.varies:
            z = self.split(b @ data.x, stacks)
            if self.folds is None:
                return z
            weights = self.folds.weights[:, 0]
            return [s * weights[fold][:, None] for s, (*_, fold) in zip(z, stacks)]
        total = [0.0] * len(stacks)
        for g, (first, stop) in enumerate(zip(data.bounds[:-1], data.bounds[1:])):
            part = self.split(b[:, first:stop] @ data.x[first:stop], stacks)
            for i, (*_, fold) in enumerate(stacks):
                total[i] = total[i] + part[i] * self.folds.weights[fold, g][:, None]
        return total

    def split(self, z, stacks):
        """Rows of a product back to the stacks they came from."""
        out, first = [], 0
        for A, *_ in stacks:
            n = A.shape[0] * A.shape[1]
            shape = (*A.shape[:2], self.data.n_animals, self.data.n_pairs)
            out.append(z[first : first + n].reshape(shape))
            first += n
        return out

    def times(self, stacks):
        """K_B[s, r, t] = sum over w, p of A C V X, for each stack: the second pass."""
        data = self.data
        small = [A[:, :, None, :] * C[..., None] for A, _, C, _ in stacks]
        if self.folds is not None and self.folds.varies:
            found = []
            for (A, *_, fold), kr in zip(stacks, small):
                parts = [
                    (kr * self.folds.weights[fold, g][:, None]).reshape(
                        A.shape[0] * A.shape[1], -1
                    )
                    @ data.x[first:stop].T
                    for g, (first, stop) in enumerate(
                        zip(data.bounds[:-1], data.bounds[1:])
                    )
                ]
                found.append(concatenate(parts, 1).reshape(*A.shape[:2], -1))
            return found
        if self.folds is not None:
            small = [
                kr * self.folds.weights[fold, 0][:, None]
                for kr, (*_, fold) in zip(small, stacks)
            ]
        flat = [kr.reshape(kr.shape[0] * kr.shape[1], -1) for kr in small]
        k = (flat[0] if len(flat) == 1 else concatenate(flat)) @ data.x.T
        out, first = [], 0
        for A, *_ in stacks:
            n = A.shape[0] * A.shape[1]
            out.append(k[first : first + n].reshape(*A.shape[:2], -1))
            first += n
        return out

    def squares(self) -> np.ndarray:
        """Sum of squares of X for each fold, in float64."""
        data = self.data
        x = to_numpy(data.x)
        if self.folds is None:
            return np.array([np.einsum("ij,ij->", x, x, dtype=np.float64)])
        weights = to_numpy(self.folds.weights)
        total = np.zeros(len(weights))
        for g, (first, stop) in enumerate(zip(data.bounds[:-1], data.bounds[1:])):
            part = x[first:stop]
            energy = np.einsum("ij,ij->j", part, part, dtype=np.float64)
            total += weights[:, g].reshape(len(weights), -1).astype(np.float64) @ energy
        return total

    def fold_masks(self):
        """M V of every fold, (F, G W, P); None where all is observed."""
        if self.folds is None:
            return None if self.data.mask is None else self.data.mask[None]
        weights = self.folds.weights
        weights = weights.reshape(len(weights), -1, self.data.n_pairs)
        return weights if self.data.mask is None else weights * self.data.mask

    def slice_of_largest_residual(self, A, B, C):
        """Time at which one model (R, ...) leaves most unexplained, and the rest."""
        x = self.data.x
        small = (A[:, None, :] * C[:, :, None]).reshape(len(A), -1)
        best, where = -1.0, 0
        step = max(1, 2**22 // max(x.shape[1], 1))
        for first in range(0, len(x), step):
            rest = x[first : first + step] - B[:, first : first + step].T @ small
            energy = (rest.clip(0) ** 2).sum(1)
            if float(energy.max()) > best:
                best, where = float(energy.max()), first + int(energy.argmax())
        rest = x[where] - B[:, where] @ small
        return where, rest.reshape(self.data.n_animals, -1).clip(0)


def concatenate(parts, axis=0):
    """numpy.concatenate, or torch.cat for tensors."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis)
    import torch

    return torch.cat(parts, axis)


def to_numpy(values):
    """A numpy view of an array or a copy of a tensor."""
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()


def on_device(values, device: str):
    """Move an array to a torch device; numpy on the CPU."""
    if device == "cpu" or values is None:
        return values
    import torch

    return torch.as_tensor(np.ascontiguousarray(values), device=device)


def squared_error(data: Data, A, B, C, *, mask=None) -> tuple[float, float]:
    """Sum of squared residuals and of squares of X, in float64, chunk by chunk.

    Parameters
    ----------
    data : Data
    A, B, C : ndarray (R, P), (R, T), (R, W)
    mask : ndarray (G, W, P), optional
        Weights of the entries instead of the tensor's own mask.
    """
    small = (A[:, None, :].astype(np.float64) * C[:, :, None]).reshape(len(A), -1)
    x, total, size = to_numpy(data.x), 0.0, 0.0
    step = max(1, 2**22 // x.shape[1])
    own = to_numpy(data.mask) if data.mask is not None else None
    for g, (first, stop) in enumerate(zip(data.bounds[:-1], data.bounds[1:])):
        weight = 1.0
        if own is not None:
            weight = own.reshape(data.n_groups, -1)[g]
        if mask is not None:
            weight = weight * mask[g].reshape(-1)
        for start in range(first, stop, step):
            rows = slice(start, min(start + step, stop))
            part = x[rows].astype(np.float64)
            rest = part - B[:, rows].T.astype(np.float64) @ small
            total += float((rest**2 * weight).sum())
            size += float((part**2 * weight).sum())
    return total, size
