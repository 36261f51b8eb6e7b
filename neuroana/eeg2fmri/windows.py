"""Windows of EEG before volumes, as an index: the recording is never copied.

The window of a volume at time t_j holds the samples in [t_j - length, t_j): no EEG
after the volume, and no assumed response. Only the windows of a batch ever exist.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.contract import good_samples, label_of, rate_of
from neuroana.core.errors import SchemaError, ShapeError, UnitError


LENGTH = 16.0  # seconds
MAX_BAD = 0.2  # share of a window that may be masked
NULL_SHARE = 0.1  # of the windows of a run that one channel may cost
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
    null_channels : tuple of str
        Channels that are flat or missing in more than a tenth of the windows.

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
    null_channels: tuple[str, ...] = ()


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
    """Index of the windows of a paired run, without those that a model cannot read.

    A channel is null in a window where it is constant, or where more than 20 % of it
    are NaN or lie in bad spans. Channels that are null in more than 10 % of the
    windows, or marked ``bad``, are named in ``null_channels``; models see zero in
    their place, and they cost no window. Of the other channels, one that is null
    leaves the window out.

    Raises
    ------
    SchemaError
        If no window, or no channel, remains.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> run = simulate_eeg_fmri(1, n_volumes=50, random_state=0)[0][0]
    >>> run["eeg"]["signal"][:, 3] = np.nan
    >>> index = index_of(run)
    >>> len(index.starts), index.null_channels
    (42, ('C3',))
    """
    eeg, bold = run["eeg"], run["bold"]
    good = good_samples(eeg.to_dataset())
    index = window_index(
        bold["time"].to_numpy(), eeg["time"].to_numpy(), length=length, good=good
    )
    null = null_in_windows(eeg["signal"].to_numpy(), good, index)
    bad = eeg["bad"].to_numpy() if "bad" in eeg.coords else False
    lost = (null.mean(axis=0) > NULL_SHARE) | bad
    keep = ~null[:, ~lost].any(axis=1)
    names = tuple(str(n) for n in eeg["channel"].to_numpy()[lost])
    if lost.all() or not keep.any():
        raise SchemaError(
            message(
                f"{label_of(eeg.to_dataset())}: windows",
                "a window in which channels neither are flat nor miss samples",
                f"{len(keep)} windows; null channels {list(names)}",
                "look at the recording, and mark bad spans instead of zeroing them",
            )
        )
    return replace(
        index,
        starts=index.starts[keep],
        volumes=index.volumes[keep],
        n_masked=index.n_masked + int((~keep).sum()),
        null_channels=names,
    )


def null_in_windows(
    values: np.ndarray, good: np.ndarray, index: WindowIndex
) -> np.ndarray:
    """Where channels are flat or mostly missing, (window, channel); O(n) a channel."""
    begin, n = index.starts, index.n_samples
    null = np.empty((len(begin), values.shape[1]), dtype=bool)
    for c, x in enumerate(values.T):
        present = good & ~np.isnan(x)
        moves = (x[1:] != x[:-1]) & present[1:] & present[:-1]
        n_present = np.concatenate([[0], np.cumsum(present)])
        n_moves = np.concatenate([[0, 0], np.cumsum(moves)])
        there = n_present[begin + n] - n_present[begin]
        moved = n_moves[begin + n] - n_moves[begin + 1]
        null[:, c] = (there < (1 - MAX_BAD) * n) | (moved == 0)
    return null


def signal_in_volts(eeg: xr.Dataset) -> np.ndarray:
    """The signal (time, channel) as it lies; refused where it cannot be in volts."""
    signal = eeg["signal"]
    values = signal.to_numpy()
    units = signal.attrs.get("units", "V")
    few = values[:: max(1, len(values) // 20_000)]
    few = few[:, ~np.isnan(few).all(axis=0)]
    spread = float(np.median(np.nanstd(few, 0))) if few.size else 0.0
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
    """Windows as the network reads them, batch by batch."""
    for first in range(0, len(index.starts), size):
        x = gather(signal, index.starts[first : first + size], index.n_samples)
        yield network_units(x)


def network_units(x: np.ndarray) -> np.ndarray:
    """Windows (window, channel, sample) in V as microvolt / 100 without their mean.

    Missing samples are zero, which is the mean of their window.

    Examples
    --------
    >>> network_units(np.array([[[1e-4, 3e-4, np.nan]]])).round(3).tolist()
    [[[-1.0, 1.0, 0.0]]]
    """
    missing = np.isnan(x)
    if not missing.any():
        x = x * np.float32(TO_NETWORK)
        return x - x.mean(axis=-1, keepdims=True)
    x = np.where(missing, 0, x * np.float32(TO_NETWORK))
    n = np.maximum((~missing).sum(axis=-1, keepdims=True), 1)
    mean = (x.sum(axis=-1, keepdims=True) / n).astype(x.dtype)
    return np.where(missing, 0, x - mean)
