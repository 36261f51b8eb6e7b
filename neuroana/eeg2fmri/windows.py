"""Windows of EEG before volumes, as an index: the recording is never copied.

The window of a volume at time t_j holds the samples in [t_j - length, t_j): no EEG
after the volume, and no assumed response. Only the windows of a batch ever exist.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.contract import good_samples, label_of, rate_of
from neuroana.core.errors import SchemaError, ShapeError, UnitError


LENGTH = 16.0  # seconds
MAX_BAD = 0.2  # share of a window that may be masked
TO_NETWORK = 1e4  # V to microvolt / 100
PLAUSIBLE = (1e-7, 1e-3)  # V, median standard deviation of a channel


@dataclass(frozen=True)
class WindowIndex:
    """Where the window of each usable volume starts.

    Attributes
    ----------
    starts : ndarray of int64 (window,)
        First sample of each window.
    volumes : ndarray of int64 (window,)
        Volume that each window belongs to.
    n_samples : int
        Samples of a window.
    n_volumes : int
        Volumes of the run, usable or not.
    n_early, n_late, n_masked : int
        Volumes left out: before the first full window, after the end of the EEG, and
        with too much of the window masked.

    Examples
    --------
    >>> index = window_index(np.arange(20) * 2.1, np.arange(9000) / 200)
    >>> len(index.starts), index.n_early
    (12, 8)
    """

    starts: np.ndarray
    volumes: np.ndarray
    n_samples: int
    n_volumes: int
    n_early: int = 0
    n_late: int = 0
    n_masked: int = 0


def window_index(
    bold_time: np.ndarray,
    eeg_time: np.ndarray,
    *,
    length: float = LENGTH,
    end_offset: float = 0.0,
    good: np.ndarray | None = None,
) -> WindowIndex:
    """Find the window of EEG that ends at each volume.

    Use it once a run; cost O(n). Nothing of the EEG is copied.

    Parameters
    ----------
    bold_time, eeg_time : ndarray
        Seconds on one clock.
    length : float
        Of a window in seconds.
    end_offset : float
        Seconds from a volume's time to the end of its window; negative ends earlier.
    good : ndarray of bool (time,), optional
        Samples that may be used; windows with more than 20 % of others are left out.

    Returns
    -------
    WindowIndex

    Raises
    ------
    SchemaError
        If no volume has a full window.

    Examples
    --------
    >>> index = window_index(np.array([1.0, 2.0]), np.arange(500) / 200, length=1.0)
    >>> index.starts.tolist(), index.n_samples
    ([0, 200], 200)
    """
    check_number("length", length, minimum=0.0, open_ends=True)
    eeg_time, bold_time = np.asarray(eeg_time), np.asarray(bold_time)
    rate = rate_of(eeg_time)
    n = round(length * rate)
    ends = np.searchsorted(eeg_time, bold_time + end_offset - 0.01 / rate)
    starts = ends.astype(np.int64) - n
    early = starts < 0
    late = bold_time + end_offset > eeg_time[-1] + 1.01 / rate
    masked = np.zeros(len(starts), dtype=bool)
    if good is not None:
        bad = np.concatenate([[0], np.cumsum(~np.asarray(good, dtype=bool))])
        inside = bad[ends] - bad[np.maximum(starts, 0)]
        masked = (inside > MAX_BAD * n) & ~early & ~late
    keep = ~(early | late | masked)
    if not keep.any():
        raise SchemaError(
            message(
                "windows",
                f"a volume with {length:g} s of EEG before it",
                f"{early.sum()} too early, {late.sum()} after the EEG, "
                f"{masked.sum()} masked",
                "check that both recordings are on one clock",
            )
        )
    return WindowIndex(
        starts=starts[keep],
        volumes=np.flatnonzero(keep),
        n_samples=n,
        n_volumes=len(starts),
        n_early=int(early.sum()),
        n_late=int((late & ~early).sum()),
        n_masked=int(masked.sum()),
    )


def index_of(run: xr.DataTree, *, length: float = LENGTH) -> WindowIndex:
    """Index of the windows of a paired run; bad spans and NaN samples are masked."""
    eeg, bold = run["eeg"], run["bold"]
    missing = np.isnan(eeg["signal"].to_numpy()).any(axis=1)
    return window_index(
        bold["time"].to_numpy(),
        eeg["time"].to_numpy(),
        length=length,
        good=good_samples(eeg.to_dataset()) & ~missing,
    )


def signal_in_volts(eeg: xr.Dataset) -> np.ndarray:
    """The signal (time, channel) as it lies; refused where it cannot be in volts."""
    signal = eeg["signal"]
    values = signal.to_numpy()
    units = signal.attrs.get("units", "V")
    spread = float(np.median(np.nanstd(values[:: max(1, len(values) // 20_000)], 0)))
    low, high = PLAUSIBLE
    if units != "V" or not low <= spread <= high:
        factor = "1e-6" if spread > high else "the recording's own scale"
        raise UnitError(
            message(
                f"{label_of(eeg)}: 'signal'",
                f"EEG in V, standard deviation {low:g} to {high:g}",
                f"unit {units!r}, standard deviation {spread:.3g}",
                f"multiply by {factor}",
            )
        )
    return values


def gather(signal: np.ndarray, starts: np.ndarray, n_samples: int) -> np.ndarray:
    """Windows of one batch, (window, channel, sample); the only copy there is.

    Examples
    --------
    >>> gather(np.arange(6.0)[:, None], np.array([0, 2]), 3)[:, 0].tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    """
    if signal.ndim != 2:
        raise ShapeError(message("signal", "dims (time, channel)", signal.shape))
    views = np.lib.stride_tricks.sliding_window_view(signal, n_samples, axis=0)
    return views[starts]


def batches(
    signal: np.ndarray, index: WindowIndex, *, size: int = 64
) -> Iterator[np.ndarray]:
    """Windows as the network reads them, batch by batch: microvolt / 100, no mean.

    Masked samples are zero, which is the mean of their window.
    """
    for first in range(0, len(index.starts), size):
        x = gather(signal, index.starts[first : first + size], index.n_samples)
        x = x * np.float32(TO_NETWORK)
        yield np.nan_to_num(x - np.nanmean(x, axis=-1, keepdims=True), copy=False)
