"""Where the prediction of any model comes from: permutation, and integrated gradients.

| symbol   | meaning                                                          |
| -------- | ---------------------------------------------------------------- |
| x        | window (channel, sample) in microvolt / 100                      |
| x_b      | its part in band b; the parts and the rest sum up to x           |
| g(x)     | gradient of a region's prediction, mean over the line from 0 to x |
| A[c,b,l] | sum over the samples of lag slice l of x_b g, channel c          |

The cells A and the rest sum up to the prediction less that of an empty window. Their
covariance with the truth, over the standard deviations of truth and prediction, sums up
to R: every cell has its share of the correlation, and shifts of the truth have theirs.
Attention maps are not offered: they do not say what a prediction rests on.
"""

from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch, branch_seed, draw_seed
from neuroana.eeg2fmri.attribution import region_coordinates, run_means, shift
from neuroana.eeg2fmri.features import check_bands
from neuroana.eeg2fmri.windowed_runs import RATE, WindowedRuns
from neuroana.eeg2fmri.windowing import as_windows
from neuroana.eeg2fmri.windows import TO_NETWORK


SLICE = 2.0  # seconds


def permutation_attribution(
    model: Any, test: Any, *, bands: Any = "default", n_shifts: int = 200,
    level: float = 0.05, random_state: Any = 0,
) -> xr.Dataset:  # fmt: skip
    """How much R falls when a channel, band or lag comes from other windows.

    Use it with any fitted model. Windows of the same run give each other the channel,
    the content of a band, or a slice of 2 s; all else stays. Cost: one prediction of
    the test runs a channel, band and slice.

    Parameters
    ----------
    model : fitted estimator of this wing
    test : runs or WindowedRuns
        That the model has not seen.
    bands : 'default' or dict of str to (low, high)
    n_shifts : int, default=200
        Circular shifts of the truth.
    level : float, default=0.05
        Of the family-wise test that a region is predicted.
    random_state : int, Generator or None

    Returns
    -------
    Dataset
        ``fall_channel`` (roi, channel), ``fall_band``, ``fall_lag``: R less R after
        the exchange, NaN for regions that are not predicted; ``p_fall_channel`` and so
        on, over all groups of a kind; `lag` is the middle of the slice in seconds.

    Raises
    ------
    LeakageError
        If a test run was seen in training.

    Examples
    --------
    >>> from neuroana.eeg2fmri import BandPowerRidge, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(5, n_volumes=250, channels=("FZ", "C3", "OZ"),
    ...                             random_state=0)
    >>> model = BandPowerRidge().fit(runs[:4])
    >>> found = permutation_attribution(model, runs[4:], n_shifts=19)
    >>> str(found.fall_channel.sel(roi="alpha").idxmax().values)
    'OZ'
    """
    check_number("n_shifts", n_shifts, minimum=1, integer=True)
    limits = check_bands(bands)
    seed = draw_seed(random_state)
    windows = unseen(model, test)
    channels = list(windows.channels)
    n_slices = int(windows.n_samples // (SLICE * RATE))
    kinds = {"channel": len(channels), "band": len(limits), "lag": n_slices}
    values = predicted_after(model, windows, limits, kinds, branch_seed(seed, 1))
    whole = values.pop("whole")
    region = region_coordinates(whole, windows, level, branch_seed(seed, 0))
    made = xr.Dataset(
        coords={
            "roi": np.array(windows.rois, dtype=object),
            "channel": np.array(channels, dtype=object),
            "band": list(limits),
            "lag": ("lag", (np.arange(n_slices) + 0.5) * SLICE, {"units": "s"}),
            **region,
        },
        attrs={"method": "permutation", "n_shifts": n_shifts, "level": level},
    )
    for kind, found in values.items():
        stack = np.concatenate([whole[None], found])

        def fall(truth=None, stack=stack):
            r = run_means(stack, windows, truth)
            return r[:, :1] - r[:, 1:]

        observed = fall()
        null = [
            np.nanmax(np.abs(fall(shift(windows.y, windows, branch(seed, 2, k)))), 1)
            for k in range(n_shifts)
        ]
        beyond = np.stack(null)[:, :, None] >= np.abs(observed) - 1e-12
        made[f"fall_{kind}"] = ("roi", kind), observed
        made[f"p_fall_{kind}"] = ("roi", kind), (1 + beyond.sum(0)) / (1 + n_shifts)
    return made.where(made["predicted"])


def unseen(model: Any, test: Any) -> WindowedRuns:
    """Windows of runs that the model has not met, with its channels."""
    model.refuse_seen(test)
    windows = as_windows(test, paper_mode=model.paper_mode)
    windows = windows[np.isfinite(windows.y).any(axis=1)]
    return model._aligned(windows)


def predicted_after(model, windows, limits, kinds, seed) -> dict[str, np.ndarray]:
    """Predictions (group, window, roi) after each exchange, and of the whole."""
    n, n_rois = len(windows), len(windows.rois)
    out = {k: np.empty((size, n, n_rois)) for k, size in kinds.items()}
    out["whole"] = np.empty((n, n_rois))
    names = list(windows.channels)
    for number, (_, at) in enumerate(windows.by_run()):
        x = windows.windows(at)
        order = branch(seed, number).permutation(len(at))

        def answer(changed):
            made = as_windows(changed / np.float32(TO_NETWORK), channel_names=names)
            return model._scale().undo(model._predict(model._aligned(made)))

        out["whole"][at] = answer(x)
        for c in range(kinds["channel"]):
            changed = x.copy()
            changed[:, c] = x[order, c]
            out["channel"][c, at] = answer(changed)
        for b, (low, high) in enumerate(limits.values()):
            part = in_band(x, low, high)
            out["band"][b, at] = answer(x - part + part[order])
        for s in range(kinds["lag"]):
            changed, cut = x.copy(), slice_of(x.shape[-1], s)
            changed[..., cut] = x[order][..., cut]
            out["lag"][s, at] = answer(changed)
    return out


def in_band(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Part of windows (..., sample) in a band, by its Fourier bins."""
    n = x.shape[-1]
    f = np.fft.rfftfreq(n, 1 / RATE)
    spectrum = np.fft.rfft(x, axis=-1) * ((f >= low) & (f < high))
    return np.fft.irfft(spectrum, n=n, axis=-1).astype(np.float32)


def slice_of(n_samples: int, number: int) -> slice:
    """Samples of a lag slice, slice 0 the last before the volume."""
    length = round(SLICE * RATE)
    return slice(n_samples - (number + 1) * length, n_samples - number * length)


def gradient_attribution(
    model: Any, test: Any, *, bands: Any = "default", n_steps: int = 8,
    every: int = 1, n_shifts: int = 200, level: float = 0.05, random_state: Any = 0,
) -> xr.DataArray:  # fmt: skip
    """Share of each channel, band and lag in the correlation of a network.

    Use it with a fitted :class:`EEGToFMRI`, beside :func:`permutation_attribution`.
    Cost: `n_steps` forward and backward passes a window and predicted region.

    Parameters
    ----------
    model : fitted EEGToFMRI
    test : runs or WindowedRuns
        That the model has not seen.
    bands : 'default' or dict of str to (low, high)
    n_steps : int, default=8
        Points on the line from an empty window to the window.
    every : int, default=1
        Take one window in so many.
    n_shifts, level, random_state
        As for :func:`permutation_attribution`.

    Returns
    -------
    DataArray (roi, channel, band, lag)
        Shares of R, NaN for regions that are not predicted, with ``p`` (family-wise
        over cells), ``r`` (of the windows used), ``p_region``, ``predicted``, and
        ``rest``, the share of what lies in no band.

    Raises
    ------
    LeakageError
        If a test run was seen in training.
    ParameterError
        If the model does not read raw windows.

    References
    ----------
    Sundararajan et al., "Axiomatic attribution for deep networks", ICML 2017.

    Examples
    --------
    >>> from neuroana.eeg2fmri import EEGToFMRI, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(
    ...     3, n_volumes=60, channels=("FZ", "CZ", "C3", "OZ"), random_state=0)
    >>> model = EEGToFMRI.small(dim=16, depth=1, epochs=1, random_state=0)
    >>> found = gradient_attribution(model.fit(runs[:2]), runs[2:], n_steps=2, every=9)
    >>> found.dims, found.sizes["lag"]
    (('roi', 'channel', 'band', 'lag'), 8)
    """
    check_number("n_steps", n_steps, minimum=1, integer=True)
    check_number("every", every, minimum=1, integer=True)
    check_number("n_shifts", n_shifts, minimum=1, integer=True)
    if not hasattr(model, "channel_map_"):
        raise ParameterError(
            message("argument 'model'", "a fitted EEGToFMRI, which reads raw windows",
                    type(model).__name__, "use permutation_attribution")
        )  # fmt: skip
    limits = check_bands(bands)
    seed = draw_seed(random_state)
    windows = unseen(model, test)
    region = region_coordinates(model.predict(windows), windows, level,
                                branch_seed(seed, 0))  # fmt: skip
    windows = windows[np.arange(0, len(windows), every)]
    rois = np.flatnonzero(region["predicted"][1])
    cells, rest, made = integrated(model, windows, limits, n_steps, rois)
    shares, p = shares_of(cells, made, windows, rois, n_shifts, branch_seed(seed, 1))
    left, _ = shares_of(rest[:, :, None], made, windows, rois, 1, seed)
    shape = (len(windows.rois), len(windows.channels), len(limits), cells.shape[-1])
    out, p_out = np.full(shape, np.nan), np.full(shape, np.nan)
    out[rois], p_out[rois] = shares, p
    outside = np.full(len(windows.rois), np.nan)
    outside[rois] = left[:, 0]
    dims = ("roi", "channel", "band", "lag")
    return xr.DataArray(
        out, dims=dims, name="attribution",
        coords={
            "roi": np.array(windows.rois, dtype=object),
            "channel": np.array(windows.channels, dtype=object),
            "band": list(limits),
            "lag": ("lag", (np.arange(shape[-1]) + 0.5) * SLICE, {"units": "s"}),
            "p": (dims, p_out), "rest": ("roi", outside), **region,
        },
        attrs={"method": "integrated gradients", "n_shifts": n_shifts, "level": level},
    )  # fmt: skip


def integrated(model, windows, limits, n_steps: int, rois):
    """Cells (roi, window, channel, band, lag), the rest and the prediction by window.

    In units of the scaled targets.
    """
    import torch

    batches = model._batches(windows, None)
    network = model.network()
    n_slices = int(windows.n_samples // (SLICE * RATE))
    length = round(SLICE * RATE)
    shape = (len(rois), len(windows), len(windows.channels), len(limits), n_slices)
    cells = np.zeros(shape, dtype=np.float32)
    rest = np.zeros((len(rois), len(windows)))
    made = np.zeros((len(rois), len(windows)))
    size = max(1, min(model.batch_size, 16))
    for first in range(0, len(windows), size):
        at = np.arange(first, min(first + size, len(windows)))
        (x, *tables), _ = batches.batch(at)
        with torch.no_grad():
            made[:, at] = network(x, *tables)[:, rois].T.numpy()
        parts = np.stack([in_band(x.numpy(), *b) for b in limits.values()], axis=2)
        for k, roi in enumerate(rois):
            g = torch.zeros_like(x)
            for place, weight in zip(*line(n_steps)):
                point = (x * place).requires_grad_(True)
                value = network(point, *tables)[:, roi].sum()
                g += torch.autograd.grad(value, point)[0] * weight
            g = g.numpy()
            product = parts * g[:, :, None]  # (window, channel, band, sample)
            start = product.shape[-1] - n_slices * length
            cut = product[..., start:].reshape(*product.shape[:3], n_slices, length)
            cells[k, at] = cut.sum(-1)[..., ::-1]  # lag 0 is the last slice
            rest[k, at] = (x.numpy() * g).sum((1, 2)) - cells[k, at].sum((1, 2, 3))
    return cells, rest, made


def line(n_steps: int) -> tuple[list[float], list[float]]:
    """Places and weights of an integral from 0 to 1, dense where norms bend the line.

    Gauss-Legendre in u, at u^3: normalisation makes a network change most near the
    empty window.
    """
    u, w = np.polynomial.legendre.leggauss(n_steps)
    u = (u + 1) / 2
    return (u**3).tolist(), (1.5 * u**2 * w).tolist()


def shares_of(cells, made, windows, rois, n_shifts: int, seed: int):
    """Covariance of cells with the truth over both deviations, run by run; and p."""
    n_cells = int(np.prod(cells.shape[2:]))
    flat = cells.reshape(len(rois), len(windows), n_cells)
    truths = [windows.y] + [
        shift(windows.y, windows, branch(seed, k)) for k in range(n_shifts)
    ]
    out = np.zeros((len(truths), len(rois), n_cells))
    for _, at in windows.by_run():
        weight = len(at) / len(windows)
        for k, roi in enumerate(rois):
            y = np.stack([np.nan_to_num(centred(t[at, roi])) for t in truths])
            spread = np.linalg.norm(y, axis=1) * np.linalg.norm(centred(made[k, at]))
            a = flat[k, at] - flat[k, at].mean(axis=0)
            out[:, k] += weight * (y @ a) / np.maximum(spread, 1e-30)[:, None]
    largest = np.abs(out[1:]).max(axis=2)  # (shift, roi)
    beyond = largest[:, :, None] >= np.abs(out[0]) - 1e-12
    p = (1 + beyond.sum(axis=0)) / (1 + n_shifts)
    return out[0].reshape(len(rois), *cells.shape[2:]), p.reshape(
        len(rois), *cells.shape[2:]
    )


def centred(x: np.ndarray) -> np.ndarray:
    return x - np.nanmean(x)
