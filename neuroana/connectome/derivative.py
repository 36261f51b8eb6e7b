"""The change of each trace, and its robust scale.

| symbol | shape  | meaning                                                   |
| ------ | ------ | --------------------------------------------------------- |
| x      | (T, N) | traces, NaN where missing                                 |
| d      | (T, N) | derivative, per second                                    |
| s      | (N,)   | scale of d over the observed samples of one animal        |
| z      | (T, N) | d / s                                                     |
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


FLOOR = 1e-3  # of the median scale: what a quiet neuron is divided by at least
CONSTANT = 1e-9  # of the median scale: below it a trace does not change at all
MANY = 0.2  # share of neurons with MAD zero above which all are scaled by std


class Scale(NamedTuple):
    """Scale of every neuron, and what was found on the way."""

    scale: np.ndarray  # (N,), floored
    is_constant: np.ndarray  # (N,) bool
    by_std: np.ndarray  # (N,) bool, where the MAD was zero


def gaussian_kernel(sigma_samples: float) -> np.ndarray:
    """Weights (k / s^2) w_k of the Gaussian derivative, abs(k) <= floor(4 s + 0.5).

    Examples
    --------
    >>> kernel = gaussian_kernel(1.5)
    >>> len(kernel), round(float(kernel @ np.arange(-6, 7)), 4)
    (13, 0.9998)
    """
    radius = int(4.0 * sigma_samples + 0.5)
    k = np.arange(-radius, radius + 1)
    w = np.exp(-0.5 * (k / sigma_samples) ** 2)
    return k / sigma_samples**2 * (w / w.sum())


def derivative(
    x: np.ndarray, dt: float, *, method: str = "gaussian", sigma: float = 0.75
) -> np.ndarray:
    """Rate of change of each column, per second; NaN wherever the kernel meets a NaN.

    Parameters
    ----------
    x : ndarray (time, neuron)
    dt : float
        Seconds from one sample to the next.
    method : {"gaussian", "savgol", "diff"}
        Gaussian derivative of width `sigma`; a local line over ``4 sigma``
        (Savitzky-Golay); central differences.
    sigma : float
        Seconds.

    Examples
    --------
    >>> ramp = np.arange(20.0)[:, None]
    >>> round(float(derivative(ramp, 0.5)[10, 0]), 3)
    2.0
    """
    kernel = kernel_of(method, sigma, dt)
    radius = len(kernel) // 2
    padded = np.pad(x, ((radius, radius), (0, 0)), mode="symmetric")
    return correlate(padded, kernel / dt)


def kernel_of(method: str, sigma: float, dt: float) -> np.ndarray:
    """Weights of the derivative, per sample."""
    if method == "gaussian":
        return gaussian_kernel(sigma / dt)
    radius = 1 if method == "diff" else max(1, round(2 * sigma / dt))
    k = np.arange(-radius, radius + 1.0)
    return k / (k @ k)


def correlate(padded: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Sum over k of kernel[k] x[t + k], tap by tap: NaN spreads over one kernel."""
    n_out = len(padded) - len(kernel) + 1
    out = np.zeros((n_out, *padded.shape[1:]))
    for k, weight in enumerate(kernel):
        out += weight * padded[k : k + n_out]
    return out


def robust_scale(d: np.ndarray, method: str | None = "mad") -> Scale:
    """Scale of each column: 1.4826 MAD over what is observed, or the std.

    A column whose MAD is zero though it changes is scaled by its std; when that holds
    for more than a fifth of the columns, all are.

    Parameters
    ----------
    d : ndarray (time, neuron)
    method : {"mad", "std", None}

    Examples
    --------
    >>> d = np.random.default_rng(0).normal(size=(1000, 3)) * [1.0, 5.0, 0.0]
    >>> robust_scale(d).is_constant.tolist()
    [False, False, True]
    """
    seen = np.isfinite(d).any(axis=0)
    std, mad = np.zeros(d.shape[1]), np.zeros(d.shape[1])
    std[seen] = np.nanstd(d[:, seen], axis=0)
    centre = np.nanmedian(d[:, seen], axis=0)
    mad[seen] = 1.4826 * np.nanmedian(np.abs(d[:, seen] - centre), axis=0)
    typical = np.median(std[std > 0]) if (std > 0).any() else 0.0
    is_constant = std <= CONSTANT * typical
    alive = ~is_constant
    by_std = alive & (mad <= CONSTANT * typical)
    scale = std if method == "std" or by_std.sum() > MANY * alive.sum() else mad
    scale = np.where(by_std, std, scale)
    if method is None:
        scale = np.ones(d.shape[1])
    floor = FLOOR * np.median(scale[alive]) if alive.any() else 1.0
    return Scale(np.maximum(scale, floor), is_constant, by_std)


def runs(x: np.ndarray) -> Iterator[tuple[int, int]]:
    """Start and stop of each stretch of rows with the same pattern of NaN."""
    missing = np.isnan(x)
    edges = np.flatnonzero((missing[1:] != missing[:-1]).any(axis=1)) + 1
    yield from zip([0, *edges], [*edges, len(x)])
