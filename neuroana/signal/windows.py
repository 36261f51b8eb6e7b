"""Windows and epochs as an index onto a recording: no sample is copied before use."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_names, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.provenance import record
from neuroana.core.recording import events_of, good_samples, good_spans, label_of
from neuroana.io.lazy import LazyArray, lazy_variable
from neuroana.signal.spans import each


@each
def window(
    rec: xr.Dataset,
    duration: float,
    *,
    step: float | None = None,
    purge: float | None = None,
) -> xr.Dataset:
    """Cut a recording into windows of equal length that lie in good spans.

    The result is an index: samples are taken from the recording when a window is
    used, so overlapping windows cost no memory.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    duration : float
        Length in seconds, rounded to samples.
    step : float, optional
        From one start to the next, in seconds; `duration` when left out.
    purge : float, optional
        Seconds left out between two windows, in place of `step`, so that neighbours
        share no filtered or autocorrelated samples.

    Returns
    -------
    Dataset
        ``signal`` with dims (window, lag, space); ``lag`` in seconds from the start
        of a window, ``start`` its time on the recording's clock.

    Raises
    ------
    ParameterError
        If no window fits.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((10, 1)), "calcium", sampling_rate=2.0)
    >>> dict(window(rec, 2.0, step=1.0).signal.sizes)
    {'window': 4, 'lag': 4, 'neuron': 1}
    """
    rate = float(rec.attrs["sampling_rate"])
    check_number("duration", duration, minimum=0.0, open_ends=True)
    if step is not None and purge is not None:
        raise ParameterError(
            message("arguments", "step or purge", "both", "leave one out")
        )
    if purge is not None:
        step = duration + check_number("purge", purge, minimum=0.0)
    step = duration if step is None else step
    check_number("step", step, minimum=0.0, open_ends=True)
    width, hop = max(1, round(duration * rate)), max(1, round(step * rate))
    starts = [
        first
        for begin, stop in good_spans(good_samples(rec))
        for first in range(begin, stop - width + 1, hop)
    ]
    done = _index(rec, "window", np.array(starts, dtype=int), width, 0)
    return record(done, "signal.window", duration=duration, step=step, purge=purge)


@each
def epoch(
    rec: xr.Dataset,
    start: float,
    stop: float,
    *,
    trial_type: str | Sequence[str] | None = None,
    baseline: tuple[float, float] | None = None,
    purge: float | None = None,
) -> xr.Dataset:
    """Cut a recording around its events.

    Epochs that leave the recording or touch a bad sample are left out, and
    ``attrs["n_dropped"]`` counts them.

    Parameters
    ----------
    rec : recording or collection
        With events.
    start, stop : float
        Span around the onset in seconds; both ends belong to it.
    trial_type : str or sequence of str, optional
        Which events; all when left out.
    baseline : (float, float), optional
        Subtract each epoch's mean over this span.
    purge : float, optional
        Leave out epochs that begin less than this many seconds after the end of the
        one before.

    Returns
    -------
    Dataset
        ``signal`` with dims (epoch, lag, space); ``lag`` in seconds from the onset;
        the columns of the events along ``epoch``.

    Raises
    ------
    ParameterError
        If there are no such events, or no epoch is left.

    Examples
    --------
    >>> import pandas as pd
    >>> from neuroana.core.recording import from_array
    >>> events = pd.DataFrame({"onset": [1.0, 3.0], "trial_type": ["a", "b"]})
    >>> rec = from_array(np.ones((10, 1)), "calcium", sampling_rate=2.0, events=events)
    >>> epoch(rec, -0.5, 1.0).lag.values.tolist()
    [-0.5, 0.0, 0.5, 1.0]
    """
    rate = float(rec.attrs["sampling_rate"])
    events = events_of(rec)
    if trial_type is not None:
        wanted = [trial_type] if isinstance(trial_type, str) else list(trial_type)
        check_names("trial_type", wanted, sorted(set(events["trial_type"])))
        events = events[events["trial_type"].isin(wanted)]
    first = round(check_number("start", start) * rate)
    width = round(check_number("stop", stop, minimum=start) * rate) - first + 1
    good = np.concatenate([[0], np.cumsum(good_samples(rec))])
    time = rec["time"].to_numpy()
    centre = _nearest(time, events["onset"].to_numpy(np.float64))
    kept, end = [], -np.inf
    for row, middle in enumerate(centre):
        begin = middle + first
        whole = middle >= 0 and begin >= 0 and begin + width <= len(time)
        if not whole or good[begin + width] - good[begin] < width:
            continue
        if purge is not None and begin - end < purge * rate:
            continue
        kept.append(row)
        end = begin + width
    begins = centre[kept] + first if kept else np.array([], dtype=int)
    done = _index(rec, "epoch", begins, width, first)
    table = events.iloc[kept]
    done = done.assign_coords(
        {str(c): ("epoch", table[c].to_numpy()) for c in table if c not in done.coords}
    )
    done = done.assign_attrs(n_dropped=len(events) - len(kept))
    if baseline is not None:
        low, high = baseline
        rest = done["signal"].sel(lag=slice(low - 1e-9, high + 1e-9))
        if not rest.sizes["lag"]:
            raise ParameterError(
                message("argument 'baseline'", f"{start} to {stop} s", baseline)
            )
        attrs = done["signal"].attrs
        done = done.assign(
            signal=(done["signal"] - rest.mean("lag")).assign_attrs(attrs)
        )
    return record(
        done,
        "signal.epoch",
        start=start,
        stop=stop,
        trial_type=trial_type,
        baseline=baseline,
        purge=purge,
    )


def _nearest(time: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    half = np.median(np.diff(time)) / 2 if len(time) > 1 else 0.5
    after = np.clip(np.searchsorted(time, onsets), 1, max(len(time) - 1, 1))
    nearest = np.where(
        np.abs(onsets - time[after - 1]) <= np.abs(time[after] - onsets) + 1e-12,
        after - 1,
        after,
    )
    away = (onsets < time[0] - half) | (onsets > time[-1] + half)
    return np.where(away, -1, nearest)


def _index(
    rec: xr.Dataset, dim: str, starts: np.ndarray, width: int, offset: int
) -> xr.Dataset:
    if not len(starts):
        raise ParameterError(
            message(
                f"{label_of(rec)}: {dim}",
                f"a good span of {width} samples",
                "none",
                "shorten it, or look at the coordinate 'good' and the events",
            )
        )
    source = rec["signal"].variable
    space = str(source.dims[1])
    shape = (len(starts), width, source.shape[1])

    def piece(key: tuple[Any, ...]) -> np.ndarray:
        which, lags, columns = key
        first = np.atleast_1d(starts[which])
        steps = np.atleast_1d(np.arange(width)[lags])
        picked = np.atleast_1d(np.arange(shape[2])[columns])
        made = np.empty((len(first), len(steps), len(picked)), dtype=source.dtype)
        for row, begin in enumerate(first):
            block = source[begin : begin + width, columns].values
            made[row] = block.reshape(width, -1)[steps]
        dropped = tuple(
            slice(None) if isinstance(k, slice) else 0 for k in (which, lags, columns)
        )
        return made[dropped]

    lazy = lazy_variable((dim, "lag", space), LazyArray(shape, source.dtype, piece))
    lazy.attrs = dict(source.attrs)
    rate = float(rec.attrs["sampling_rate"])
    coords: dict[str, Any] = {
        dim: np.arange(len(starts)),
        "lag": ("lag", (np.arange(width) + offset) / rate, {"units": "s"}),
        "start": (dim, rec["time"].to_numpy()[starts], {"units": "s"}),
    }
    coords |= {
        str(name): coord.variable
        for name, coord in rec.coords.items()
        if coord.dims == (space,)
    }
    return xr.Dataset({"signal": lazy}, coords=coords, attrs=dict(rec.attrs))
