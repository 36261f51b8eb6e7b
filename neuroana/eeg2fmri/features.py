"""Spectra of the EEG before a volume: what the classical models read.

Frames of half a second (or one), Hann-tapered, start every quarter second on the
clock of the run. A volume takes the frames that end at or before it, so nothing is
seen that comes later. The spectra of a run are computed once, for all windows, folds
and models.

| symbol | meaning                                              |
| ------ | ---------------------------------------------------- |
| k      | frames before the volume, 0 the last one              |
| f      | power in a band, microvolt^2                          |
| lag    | whole seconds before the volume, 0 the second before it |
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.eeg2fmri.haemodynamics import response
from neuroana.eeg2fmri.windowed_runs import RATE, WindowedRun, WindowedRuns


BANDS = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 45.0),
}
HOP = 50  # samples between frames
FRAME = 100  # samples of a frame: bins of 2 Hz
LONG = 200  # bins of 1 Hz
FLOOR = 1e-3  # microvolt^2, added before the logarithm
BLOCK = 1000  # frames at once

Bands = Mapping[str, tuple[float, float]]


def check_bands(bands: Bands | str) -> dict[str, tuple[float, float]]:
    """Bands by name in Hz, `low` part of a band and `high` not; or the default ones."""
    if isinstance(bands, str):
        if bands != "default":
            raise ParameterError(
                message("argument 'bands'", "'default', or names and limits", bands)
            )
        return dict(BANDS)
    for name, (low, high) in bands.items():
        check_number(f"bands[{name!r}]", low, minimum=0.0)
        check_number(f"bands[{name!r}]", high, minimum=low, maximum=RATE / 2)
        if not band_bins(FRAME, low, high).any():
            raise ParameterError(
                message(f"argument 'bands': {name!r}", "2 Hz or more", (low, high))
            )
    if not bands:
        raise ParameterError(message("argument 'bands'", "at least one band", "none"))
    return {str(name): (float(a), float(b)) for name, (a, b) in bands.items()}


def band_bins(length: int, low: float, high: float) -> np.ndarray:
    f = np.fft.rfftfreq(length, 1 / RATE)
    return (f >= low) & (f < high)


def spectra(signal: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """Power of frames, block by block: (frame, channel, bin) in microvolt^2."""
    taper = np.hanning(length + 1)[:-1].astype(np.float32)
    taper /= np.sqrt((taper**2).sum())
    frames = np.lib.stride_tricks.sliding_window_view(signal, length, axis=0)[::HOP]
    for first in range(0, len(frames), BLOCK):
        x = frames[first : first + BLOCK] * np.float32(1e6)
        x = (x - x.mean(axis=-1, keepdims=True)) * taper
        yield np.abs(np.fft.rfft(x, axis=-1)) ** 2 * np.float32(2 / length)


def band_frames(run: WindowedRun, bands: Bands) -> np.ndarray:
    """Power of every frame of a run by band, (frame, channel, band)."""
    key = ("bands", tuple(bands.items()))
    if key not in run.cache:
        masks = np.stack([band_bins(FRAME, *b) for b in bands.values()], axis=1)
        parts = [p @ masks.astype(np.float32) for p in spectra(run.signal, FRAME)]
        run.cache[key] = np.concatenate(parts)
    return run.cache[key]


def last_frame(windows: WindowedRuns, at: np.ndarray, length: int) -> np.ndarray:
    """Number of the last frame that ends within each window."""
    return (windows.starts[at] + windows.n_samples - length) // HOP


def frames_of_window(windows: WindowedRuns, length: int = FRAME) -> int:
    """Frames that surely lie in a window."""
    return (windows.n_samples - length) // HOP


def per_window(windows: WindowedRuns, shape: Sequence[int], make) -> np.ndarray:
    """Fill (window, *shape) run by run with ``make(run, positions)``."""
    out = np.empty((len(windows), *shape), dtype=np.float32)
    for r, at in windows.by_run():
        out[at] = make(windows.runs[r], at)
    return out


def lagged_power(
    windows: WindowedRuns, bands: Bands, *, n_lags: int = 16, log: bool = True
) -> np.ndarray:
    """Band power in each second before the volume: (window, channel, band, lag)."""
    n_frames = frames_of_window(windows)
    lag = np.arange(n_frames) * HOP // round(RATE)
    n_lags = min(n_lags, int(lag.max()) + 1)
    edges = np.searchsorted(lag, np.arange(n_lags))
    counts = np.diff(np.append(edges, np.searchsorted(lag, n_lags)))
    back = np.arange(n_frames)[lag < n_lags]

    def make(run, at):
        frames = band_frames(run, bands)
        last = last_frame(windows, at, FRAME)
        near = frames[last[:, None] - back]  # (window, frame, channel, band)
        means = np.add.reduceat(near, edges, axis=1)
        means = np.moveaxis(means, 1, -1) / counts
        return np.log(means + FLOOR) if log else means

    shape = (len(windows.channels), len(bands), n_lags)
    return per_window(windows, shape, make)


def response_power(
    windows: WindowedRuns, bands: Bands, *, delays: Sequence[float], log: bool = False
) -> np.ndarray:
    """Band power under the response: (window, channel, band, delay).

    F_d(t_j) = sum_k h_d(age of frame k) f(frame k) over the frames of the window.
    """
    n_frames = frames_of_window(windows)
    ages = (np.arange(n_frames) * HOP + FRAME / 2) / RATE
    weights = np.stack([response(ages, delay=d) for d in delays], axis=1)
    weights = (weights * HOP / RATE).astype(np.float32)

    def make(run, at):
        frames = band_frames(run, bands)
        frames = np.log(frames + FLOOR) if log else frames
        last = last_frame(windows, at, FRAME)
        out = np.zeros((len(at), *frames.shape[1:], len(delays)), dtype=np.float32)
        for k, weight in enumerate(weights):
            out += frames[last - k][..., None] * weight
        return out

    shape = (len(windows.channels), len(bands), len(delays))
    return per_window(windows, shape, make)


def spectrogram_frames(run: WindowedRun, n_bins: int) -> np.ndarray:
    """Log power in bins of 1 Hz from 1 Hz on, (frame, channel, bin)."""
    key = ("spectrogram", n_bins)
    if key not in run.cache:
        run.cache[key] = np.concatenate(
            [np.log(p[..., 1 : n_bins + 1] + FLOOR) for p in spectra(run.signal, LONG)]
        )
    return run.cache[key]


def spectrogram_at(windows: WindowedRuns, lag: int, n_bins: int) -> np.ndarray:
    """Log spectrum of one second before each volume: (window, channel, bin)."""

    def make(run, at):
        frame = last_frame(windows, at, LONG) - lag * round(RATE) // HOP
        return spectrogram_frames(run, n_bins)[np.maximum(frame, 0)]

    return per_window(windows, (len(windows.channels), n_bins), make)


class Standardiser:
    """Mean and standard deviation of features, learned from training windows.

    Missing features become zero, which is the training mean.
    """

    def __init__(self, mean: np.ndarray, sd: np.ndarray) -> None:
        self.mean, self.sd = mean, sd

    @classmethod
    def fit(cls, X: np.ndarray) -> "Standardiser":
        """Learn from features (window, ...)."""
        known = np.isfinite(X)
        n = np.maximum(known.sum(axis=0), 1)
        zero = np.where(known, X, 0)
        mean = zero.sum(axis=0, dtype=np.float64) / n
        square = (np.where(known, X - mean, 0.0) ** 2).sum(axis=0) / n
        sd = np.sqrt(square)
        return cls(mean, np.where(sd > 1e-9 * np.maximum(np.abs(mean), 1e-9), sd, 1.0))

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Z-scores, (window, feature)."""
        z = (X - self.mean) / self.sd
        return np.nan_to_num(z, copy=False).reshape(len(X), -1).astype(np.float32)
