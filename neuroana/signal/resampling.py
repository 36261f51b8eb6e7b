"""Another sampling rate, with an anti-alias filter, span by span."""

import warnings
from fractions import Fraction

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import DataWarning, ParameterError
from neuroana.core.provenance import record
from neuroana.core.recording import clock, good_samples, label_of
from neuroana.signal.spans import (
    column_blocks,
    each,
    refuse_counts,
    same_gaps,
)


FACTORS = (100, 1000, 20_000)
DRIFT = 0.01
HALF_ZEROS = 10


@each
def resample(rec: xr.Dataset, sampling_rate: float) -> xr.Dataset:
    """Change the sampling rate; events stay where they are in seconds.

    Polyphase filter as in :func:`scipy.signal.resample_poly` (Kaiser window), each
    unbroken span for itself and all of them on one new clock. A recording whose clock
    jitters (``irregular``) is first put on a regular clock by linear interpolation.
    Cost: O(n) a channel, in blocks of channels.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space); no spike counts.
    sampling_rate : float
        New rate in Hz.

    Returns
    -------
    same kind as `rec`
        A sample is bad where the old sample at or before it was.

    Raises
    ------
    ParameterError
        If no ratio of whole numbers up to 20 000 keeps the clock within a hundredth
        of a sample to the end.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((100, 1)), "calcium", sampling_rate=10.0)
    >>> dict(resample(rec, 4.0).signal.sizes)
    {'time': 40, 'neuron': 1}
    """
    check_number("sampling_rate", sampling_rate, minimum=0.0, open_ends=True)
    refuse_counts(rec, "resampled")
    old = float(rec.attrs["sampling_rate"])
    up, down = _factors(rec, old, float(sampling_rate))
    if rec.attrs.get("irregular"):
        rec = _regular(rec)
    n_old = rec.sizes["time"]
    n_new = -(-n_old * up // down)
    good = good_samples(rec)
    signal = rec["signal"]
    dtype = signal.dtype if signal.dtype.kind == "f" else np.dtype(np.float64)
    made = np.full((n_new, signal.shape[1]), np.nan, dtype=dtype)
    kernel = _kernel(up, down)
    for block in column_blocks(*signal.shape):
        values = signal[:, block].to_numpy().astype(np.float64, copy=False)
        for columns, spans in same_gaps(values, good):
            for first, stop in spans:
                begin, end = -(-first * up // down), -(-stop * up // down)
                if end > begin:
                    made[begin:end, columns + block.start] = _resample_span(
                        values[first:stop, columns],
                        kernel,
                        up,
                        down,
                        first,
                        end - begin,
                    )
    done = on_clock(rec, made, np.arange(n_new) * down // up, float(sampling_rate))
    return record(done, "signal.resample", sampling_rate=sampling_rate)


def _factors(rec: xr.Dataset, old: float, new: float) -> tuple[int, int]:
    n_samples = rec.sizes["time"]
    for limit in FACTORS:
        ratio = Fraction(new / old).limit_denominator(limit)
        if abs(float(ratio) * old / new - 1.0) * n_samples <= DRIFT:
            return ratio.numerator, ratio.denominator
    raise ParameterError(
        message(
            f"{label_of(rec)}: argument 'sampling_rate'",
            f"a simple ratio to {old:g} Hz",
            f"{new:g} Hz",
            "choose a rate that divides the old one, or a neighbour of it",
        )
    )


def _kernel(up: int, down: int) -> np.ndarray:
    from scipy.signal import firwin

    largest = max(up, down)
    if largest == 1:
        return np.ones(1)
    taps = 2 * HALF_ZEROS * largest + 1
    return firwin(taps, 1.0 / largest, window=("kaiser", 5.0)) * up


def _resample_span(
    values: np.ndarray, kernel: np.ndarray, up: int, down: int, first: int, n_new: int
) -> np.ndarray:
    """New samples of one span that starts at old sample `first` of the whole clock.

    On a grid `up` times finer, old sample m stands at m * up and new sample k at
    k * down; the filter is delayed so that the first new sample falls on a multiple
    of `down`, which is where ``upfirdn`` looks.
    """
    from scipy.signal import upfirdn

    half = len(kernel) // 2
    margin = half // up + 1
    padded = np.concatenate(
        [
            np.repeat(values[:1], margin, axis=0),
            values,
            np.repeat(values[-1:], margin, axis=0),
        ]
    )
    offset = -(-first * up // down) * down - first * up + margin * up + half
    delay = -offset % down
    skip = (offset + delay) // down
    delayed = np.concatenate([np.zeros(delay), kernel])
    return upfirdn(delayed, padded, up, down, axis=0)[skip : skip + n_new]


def _regular(rec: xr.Dataset) -> xr.Dataset:
    time = rec["time"].to_numpy()
    rate = float(rec.attrs["sampling_rate"])
    regular = clock(len(time), rate, start=float(time[0]))
    regular = regular[regular <= time[-1] + 0.5 / rate]
    values = rec["signal"].to_numpy().astype(np.float64)
    good = good_samples(rec)
    made = np.full((len(regular), values.shape[1]), np.nan)
    for columns, spans in same_gaps(values, good):
        for first, stop in spans:
            inside = (regular >= time[first] - 0.5 / rate) & (
                regular <= time[stop - 1] + 0.5 / rate
            )
            for column in columns:
                made[inside, column] = np.interp(
                    regular[inside], time[first:stop], values[first:stop, column]
                )
    warnings.warn(
        message(
            f"{label_of(rec)}: 'time'",
            "a regular clock",
            "one that jitters; samples were interpolated linearly",
        ),
        DataWarning,
        stacklevel=4,
    )
    source = np.clip(np.searchsorted(time, regular, side="right") - 1, 0, len(time) - 1)
    done = on_clock(rec, made, source, rate)
    done = done.assign_coords(time=("time", regular, rec["time"].attrs))
    return done.drop_attrs(deep=False).assign_attrs(
        {k: v for k, v in done.attrs.items() if k != "irregular"}
    )


def on_clock(
    rec: xr.Dataset, values: np.ndarray, source: np.ndarray, rate: float
) -> xr.Dataset:
    """Put samples on a new clock; what else lies along time is taken from `source`."""
    time = clock(len(values), rate, start=float(rec["time"].values[0]))
    rest = rec.drop_vars("signal").isel(time=source)
    rest = rest.assign_coords(time=("time", time, rec["time"].attrs))
    attrs = {**rec["signal"].attrs, "sampling_rate": rate}
    signal = xr.DataArray(values, dims=rec["signal"].dims, attrs=attrs)
    done = rest.assign(signal=signal).assign_attrs(sampling_rate=rate)
    return done[["signal", *[v for v in done.data_vars if v != "signal"]]]
