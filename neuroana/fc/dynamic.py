"""Connectivity that changes: sliding windows, exponential weights, derivatives."""

import numpy as np

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.fc.intermediates import gram, unit_diagonal
from neuroana.fc.registry import operator


REDUCTIONS = ("mean", "sd", "none")


def all_windows(T, N, step_samples):
    """Numbers of the matrices of all windows, twice."""
    return 2 * (T // step_samples + 1) * N**2 + 2 * T * N


def all_samples(T, N):
    """Numbers of a matrix a sample, three times."""
    return 3 * T * N**2


def all_derivatives(T, N, reduce):
    """The same for products of derivatives, which their mean does not need."""
    return 3 * T * N + (2 * N**2 if reduce == "mean" else 3 * T * N**2)


def reduced(w, dim, values, reduce):
    """Mean or standard deviation over the windows, or all of them with their places."""
    check_choice("reduce", reduce, REDUCTIONS)
    if reduce == "none":
        return w, {dim: values}
    return w.mean(axis=1) if reduce == "mean" else w.std(axis=1)


def check_window(name, width, n_time):
    """A width in samples that fits."""
    check_number(name, width, minimum=2, integer=True)
    if width > n_time:
        raise ParameterError(
            message(f"argument {name!r}", f"at most the {n_time} samples", width)
        )
    return int(width)


def correlations_of_windows(x, starts, width):
    """Pearson's r of windows (recording, window, roi, roi), centred one by one."""
    r = np.empty((len(x), len(starts), x.shape[2], x.shape[2]))
    for k, start in enumerate(starts):
        part = x[:, start : start + width]
        part = part - part.mean(axis=1, keepdims=True)
        size = np.sqrt(np.einsum("btn,btn->bn", part, part))
        part = np.divide(part, size[:, None], out=np.zeros_like(part),
                         where=size[:, None] > 0)  # fmt: skip
        r[:, k] = gram(part)
    return unit_diagonal(r)


@operator("sliding_pearson", "dynamic", signed=True, ordered=True, cost="60*T*N^2",
          source="Allen et al. 2014, Cereb. Cortex 24, 663",
          workspace=all_windows)  # fmt: skip
def sliding_pearson(x, *, window_samples=60, step_samples=1, reduce="mean"):
    """Pearson's correlation in windows that slide along the recording.

    Parameters
    ----------
    window_samples : int, default=60
    step_samples : int, default=1
    reduce : {'mean', 'sd', 'none'}
        Over windows; ``'none'`` keeps them along the dim ``window``, whose
        coordinate is the first sample.

    References
    ----------
    Allen, E. A. et al. (2014). Tracking whole-brain connectivity dynamics in the
    resting state. Cerebral Cortex 24, 663-676.
    """
    width = check_window("window_samples", window_samples, x.shape[1])
    check_number("step_samples", step_samples, minimum=1, integer=True)
    starts = np.arange(0, x.shape[1] - width + 1, step_samples)
    r = correlations_of_windows(x, starts, width)
    return reduced(r, "window", starts, reduce)


@operator("ewm_corr", "dynamic", signed=True, ordered=True, cost="5*T*N^2",
          source="Lindquist et al. 2014, NeuroImage 101, 531",
          workspace=all_samples)  # fmt: skip
def ewm_corr(x, *, span_samples=60, reduce="mean"):
    """Correlation with weights that fade exponentially into the past.

    Weight (1 - a)^k of the sample k steps back, a = 2 / (span + 1).

    Parameters
    ----------
    span_samples : int, default=60
    reduce : {'mean', 'sd', 'none'}
        Over time, from the first `span_samples` on; ``'none'`` keeps every sample
        from the second on, along the dim ``window``.

    References
    ----------
    Lindquist, M. A., Xu, Y., Nebel, M. B. and Caffo, B. S. (2014). Evaluating dynamic
    bivariate correlations in resting-state fMRI. NeuroImage 101, 531-546.
    """
    n_recordings, n_time, n = x.shape
    span = check_window("span_samples", span_samples, n_time)
    keep = 1.0 - 2.0 / (span + 1)
    first = 2 if reduce == "none" else span
    weight, mean = 0.0, np.zeros((n_recordings, n))
    c = np.zeros((n_recordings, n, n))
    out = np.empty((n_recordings, n_time - first + 1, n, n))
    for t in range(n_time):
        weight = keep * weight + 1.0
        gap = x[:, t] - mean
        mean = mean + gap / weight
        c *= keep
        c += gap[:, :, None] * (x[:, t] - mean)[:, None, :]
        if t + 1 >= first:
            sd = np.sqrt(np.einsum("bii->bi", c))
            sd = np.where(sd > 0, sd, np.inf)
            out[:, t + 1 - first] = c / (sd[:, :, None] * sd[:, None, :])
    r = unit_diagonal((out + np.swapaxes(out, -1, -2)) / 2)
    return reduced(r, "window", np.arange(first - 1, n_time), reduce)


@operator("mtd", "dynamic", signed=True, ordered=True, cost="2*T*N^2",
          source="Shine et al. 2015, NeuroImage 122, 399",
          workspace=all_derivatives)  # fmt: skip
def mtd(x, *, window_samples=7, reduce="mean"):
    """Multiplication of temporal derivatives, averaged over a short window.

    The product of the differences of two regions, each divided by its standard
    deviation, in a moving average: co-fluctuations at the scale of samples.

    Parameters
    ----------
    window_samples : int, default=7
    reduce : {'mean', 'sd', 'none'}
        Over windows.

    References
    ----------
    Shine, J. M. et al. (2015). Estimation of dynamic functional connectivity using
    multiplication of temporal derivatives. NeuroImage 122, 399-407.
    """
    d = np.diff(x, axis=1)
    d /= d.std(axis=1, keepdims=True)
    n_windows = d.shape[1] - check_window("window_samples", window_samples,
                                          d.shape[1]) + 1  # fmt: skip
    if reduce == "mean":
        # every product is in as many windows as its distance to the ends allows
        count = np.convolve(np.ones(n_windows), np.ones(window_samples))
        weighted = d * np.sqrt(count / (window_samples * n_windows))[:, None]
        return gram(weighted)
    starts = np.arange(n_windows)
    w = np.stack([gram(d[:, s : s + window_samples]) / window_samples
                  for s in starts], axis=1)  # fmt: skip
    return reduced(w, "window", starts, reduce)
