"""The change of each trace, and its robust scale.

| symbol | shape  | meaning                                                   |
| ------ | ------ | --------------------------------------------------------- |
| x      | (T, N) | traces, NaN where missing                                 |
| d      | (T, N) | derivative, per second                                    |
| s      | (N,)   | scale of d over the observed samples of one animal        |
| z      | (T, N) | d / s                                                     |
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


FLOOR = 1e-3  # of the median scale: what a quiet neuron is divided by at least
CONSTANT = 1e-9  # of the median scale: below it a trace does not change at all
COLUMNS = 256  # taken together where medians are made
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
    std, mad = np.zeros(d.shape[1]), np.zeros(d.shape[1])
    for first in range(0, d.shape[1], COLUMNS):
        block = d[:, first : first + COLUMNS]
        seen = np.isfinite(block).any(axis=0)
        at, block = first + np.flatnonzero(seen), block[:, seen]
        std[at] = np.nanstd(block, axis=0, dtype=np.float64)
        centre = np.nanmedian(block, axis=0)
        mad[at] = 1.4826 * np.nanmedian(np.abs(block - centre), axis=0)
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


def stream_derivative(
    signal: xr.DataArray,
    good: np.ndarray,
    dt: float,
    *,
    method: str = "gaussian",
    sigma: float = 0.75,
    dtype: str = "float32",
    megabytes: float = 64.0,
) -> np.ndarray:
    """As :func:`derivative`, reading a signal (time, neuron) stretch by stretch.

    A stretch is read with the samples that the kernel reaches beyond it; the traces
    are never in memory as a whole, the derivative is.

    Parameters
    ----------
    signal : DataArray (time, neuron)
        On disk or in memory.
    good : ndarray of bool (time,)
    dt, method, sigma
        As in :func:`derivative`.
    megabytes : float
        Size of a stretch.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(300, 2))
    >>> signal = xr.DataArray(x, dims=("time", "neuron"))
    >>> good = np.ones(300, dtype=bool)
    >>> found = stream_derivative(signal, good, 0.5, dtype="float64", megabytes=1e-3)
    >>> bool(np.allclose(found, derivative(x, 0.5)))
    True
    """
    kernel = kernel_of(method, sigma, dt)
    radius = len(kernel) // 2
    n_time, n_neurons = signal.shape
    out = np.empty((n_time, n_neurons), dtype=dtype)
    step = max(2 * radius + 1, int(megabytes * 2**20 / (8 * n_neurons)))
    for first in range(0, n_time, step):
        stop = min(first + step, n_time)
        low, high = max(first - radius, 0), min(stop + radius, n_time)
        x = signal[low:high].to_numpy().astype(np.float64)
        if np.isinf(x).any():
            t, i = np.argwhere(np.isinf(x))[0]
            raise ParameterError(
                message(
                    "signal",
                    "finite values",
                    f"{x[t, i]} at sample {low + t}, column {i}",
                    "mark missing samples with NaN",
                )
            )
        x[~good[low:high]] = np.nan
        before, after = radius - (first - low), radius - (high - stop)
        x = np.pad(x, ((before, after), (0, 0)), mode="symmetric")
        out[first:stop] = correlate(x, kernel / dt)
    return out
