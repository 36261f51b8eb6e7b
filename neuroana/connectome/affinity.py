"""Affinity of two neurons at one time, from their scaled derivatives z.

| kind      | a_ij(t)                                  | sources s, a_ij = sum s_i s_j |
| --------- | ---------------------------------------- | ----------------------------- |
| "geomean" | sqrt(max(z_i z_j, 0))                    | sqrt(z+), sqrt(z-)            |
| "rise"    | sqrt(z_i+ z_j+)                          | sqrt(z+)                      |
| "fall"    | sqrt(z_i- z_j-)                          | sqrt(z-)                      |
| "product" | max(z_i z_j, 0)                          | z+, z-                        |
| "min"     | min(abs z_i, abs z_j), same sign, else 0 | none                          |
| "anti"    | sqrt(max(-z_i z_j, 0))                   | sqrt(z+) with sqrt(z-)        |
| "signed"  | "geomean" and "anti" side by side        | as above                      |

"window_corr" and "phase" start from the traces and not from derivatives. Pairs run
over i < j, row by row (`numpy.triu_indices`).
"""

from collections.abc import Callable

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


DERIVED = ("geomean", "rise", "fall", "product", "min", "anti", "signed")
KINDS = (*DERIVED, "window_corr", "phase")
LOW_RANK = ("geomean", "rise", "fall", "product")
RECTIFIED = ("geomean", "rise", "fall", "product", "min", "window_corr", "phase")


def pair_indices(n_neurons: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices i < j of all pairs, row by row.

    Examples
    --------
    >>> [v.tolist() for v in pair_indices(3)]
    [[0, 0, 1], [1, 2, 2]]
    """
    return np.triu_indices(n_neurons, 1)


def n_neurons_of(n_pairs: int) -> int:
    """N from N(N-1)/2.

    Examples
    --------
    >>> n_neurons_of(10)
    5

    Raises
    ------
    ParameterError
        If no N has that many pairs.
    """
    n = int((1 + np.sqrt(1 + 8 * n_pairs)) / 2 + 0.5)
    if n_pairs < 1 or n * (n - 1) // 2 != n_pairs:
        raise ParameterError(
            message(
                "dim 'pair'",
                "N(N-1)/2 entries, all pairs of N neurons",
                n_pairs,
                "keep the pairs of all neurons, NaN where one was not observed",
            )
        )
    return n


def fold(values: np.ndarray) -> np.ndarray:
    """Symmetric matrices (..., N, N), zero diagonal, from pairs (..., P).

    Examples
    --------
    >>> fold(np.array([1.0, 2.0, 3.0])).tolist()
    [[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]]
    """
    n = n_neurons_of(values.shape[-1])
    i, j = pair_indices(n)
    out = np.zeros((*values.shape[:-1], n, n), dtype=values.dtype)
    out[..., i, j] = out[..., j, i] = values
    return out


def sources(z: np.ndarray, kind: str) -> list[np.ndarray]:
    """Non-negative sources s with a_ij = sum over them of s_i s_j; NaN becomes 0.

    Examples
    --------
    >>> [s.tolist() for s in sources(np.array([4.0, -9.0]), "geomean")]
    [[2.0, 0.0], [0.0, 3.0]]
    """
    up, down = np.nan_to_num(z).clip(0), np.nan_to_num(-z).clip(0)
    if kind != "product":
        up, down = np.sqrt(up), np.sqrt(down)
    return {"rise": [up], "fall": [down]}.get(kind, [up, down])


def affinity(z: np.ndarray, kind: str | Callable = "geomean") -> np.ndarray:
    """Affinity of all pairs (T, P) from scaled derivatives (T, N).

    Parameters
    ----------
    z : ndarray (time, neuron)
        NaN makes all pairs of the neuron NaN at that time.
    kind : str or callable
        One of the table, or a function f(z_i, z_j) that is symmetric and >= 0.

    Examples
    --------
    >>> affinity(np.array([[1.0, 4.0, -1.0]])).tolist()
    [[2.0, 0.0, 0.0]]
    """
    n = z.shape[1]
    if kind == "signed":
        return np.concatenate([affinity(z, "geomean"), affinity(z, "anti")], axis=1)
    i, j = pair_indices(n)
    out = np.empty((len(z), len(i)), dtype=z.dtype)
    step = max(1, 2**24 // max(len(i), 1))
    for first in range(0, len(z), step):
        part = z[first : first + step]
        out[first : first + step] = of_pairs(part[:, i], part[:, j], kind)
    return out


def of_pairs(zi: np.ndarray, zj: np.ndarray, kind: str | Callable) -> np.ndarray:
    """Affinity of given pairs, element by element."""
    if callable(kind):
        return kind(zi, zj)
    if kind == "min":
        smaller = np.minimum(np.abs(zi), np.abs(zj))
        return np.where(np.isnan(zi) | np.isnan(zj), np.nan, smaller * (zi * zj > 0))
    with np.errstate(invalid="ignore"):
        if kind == "product":
            return np.maximum(zi * zj, 0.0)
        if kind == "anti":
            return np.sqrt(np.maximum(-zi * zj, 0.0))
        if kind == "rise":
            return np.sqrt(np.maximum(zi, 0.0) * np.maximum(zj, 0.0))
        if kind == "fall":
            return np.sqrt(np.maximum(-zi, 0.0) * np.maximum(-zj, 0.0))
        return np.sqrt(np.maximum(zi * zj, 0.0))


def check_kernel(kind: Callable, z: np.ndarray, rng: np.random.Generator) -> None:
    """Try a kernel of the user on 64 random pairs.

    Raises
    ------
    ParameterError
        If it is not symmetric, or negative somewhere.
    """
    known = z[np.isfinite(z)]
    a, b = rng.choice(known, (2, 64))
    there, back = np.asarray(kind(a, b)), np.asarray(kind(b, a))
    if there.shape != a.shape or not np.allclose(there, back) or (there < 0).any():
        raise ParameterError(
            message(
                "argument 'kind'",
                "a function of (z_i, z_j), elementwise, symmetric and >= 0",
                "one that is not, on 64 random pairs",
                "symmetrise it, and rectify it with numpy.maximum(value, 0)",
            )
        )


def window_correlation(x: np.ndarray, sigma_samples: float) -> np.ndarray:
    """Rectified correlation (T, P) of traces (T, N) in a Gaussian window.

    Weights are renormalised over the samples that both traces have.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(50, 1)) * [1.0, 1.0]
    >>> bool(np.allclose(window_correlation(x, 3.0), 1.0))
    True
    """
    from scipy.ndimage import gaussian_filter1d

    def mean(values):
        return gaussian_filter1d(values, sigma_samples, axis=0, mode="constant")

    i, j = pair_indices(x.shape[1])
    known = np.isfinite(x)
    x = np.where(known, x - np.nanmean(np.where(known, x, np.nan), axis=0), 0.0)
    x = np.nan_to_num(x)
    both = known[:, i] & known[:, j]
    weight = mean(both.astype(float))
    ok = weight > 0.5 * mean(np.ones((len(x), 1)))
    weight = np.where(ok, weight, 1.0)
    moments = [mean(np.where(both, v, 0.0)) / weight for v in (
        x[:, i], x[:, j], x[:, i] ** 2, x[:, j] ** 2, x[:, i] * x[:, j])]  # fmt: skip
    mi, mj, vi, vj, cij = moments
    spread = np.sqrt(np.maximum(vi - mi**2, 0.0) * np.maximum(vj - mj**2, 0.0))
    found = (cij - mi * mj) / np.where(spread > 1e-12, spread, np.inf)
    return np.where(ok & both, np.clip(found, 0.0, 1.0), np.nan)


def phase_coherence(x: np.ndarray) -> np.ndarray:
    """max(cos(theta_i - theta_j), 0), theta the phase of the analytic signal.

    The traces must be band-passed and without gaps within each column that is used.

    Examples
    --------
    >>> t = np.arange(64) * 2 * np.pi / 16
    >>> x = np.stack([np.sin(t), np.sin(t), np.cos(t)], 1)
    >>> np.abs(phase_coherence(x)[20].round(3)).tolist()
    [1.0, 0.0, 0.0]
    """
    from scipy.signal import hilbert

    whole = np.isfinite(x).all(axis=0)
    unit = np.full(x.shape, np.nan, dtype=complex)
    if whole.any():
        unit[:, whole] = np.exp(1j * np.angle(hilbert(x[:, whole], axis=0)))
    i, j = pair_indices(x.shape[1])
    return np.maximum((unit[:, i] * unit[:, j].conj()).real, 0.0)
