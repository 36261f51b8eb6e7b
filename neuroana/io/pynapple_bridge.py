"""pynapple objects to recordings and back: spikes, signals, spans of time."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import message, require
from neuroana.core.contract import good_samples, good_spans
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.recording import clock, from_array, rate_of, space_dim, with_events
from neuroana.io.events import read_events
from neuroana.io.spike_counts import bin_spikes, check_bin_width, spike_times


ROUNDED = 1e-6
RATE_COLUMN = "rate"  # pynapple counts it itself


def from_pynapple(
    obj: Any,
    *,
    modality: str | None = None,
    bin_width: float | None = None,
    units: str | None = None,
    events: Any = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Turn a pynapple TsGroup, Tsd or TsdFrame into a recording.

    Parameters
    ----------
    obj : TsGroup, Tsd or TsdFrame
        Spikes, or signals. Gaps between the spans of its ``time_support`` stay on the
        clock: ``good`` is False there (and a signal NaN).
    modality : {'eeg', 'ieeg', 'fmri', 'calcium'}
        What a Tsd or TsdFrame is; a TsGroup is ``spikes``.
    bin_width : float
        For a TsGroup: width of the bins in seconds.
    units : str, optional
        Unit of the values, as for :func:`from_array`.
    events : DataFrame, or pynapple IntervalSet, optional
        Events; the metadata of an IntervalSet become columns.
    attrs : mapping, optional
        ``subject`` and so on.

    Returns
    -------
    Dataset
        Metadata of units or columns become coordinates.

    Raises
    ------
    ParameterError
        If the object is of another kind, or what it lacks is not given.

    Examples
    --------
    >>> class TsGroup(dict):
    ...     "As pynapple's: units with times, and a time support."
    ...     class time_support:
    ...         values = np.array([[0.0, 1.0]])
    >>> class Ts:
    ...     t = np.array([0.1, 0.7])
    >>> from_pynapple(TsGroup({4: Ts()}), bin_width=0.5).signal.values.tolist()
    [[1], [1]]
    """
    kind = type(obj).__name__
    if kind == "TsGroup":
        ds = _from_group(obj, modality, bin_width, attrs)
    elif kind in ("Tsd", "TsdFrame"):
        ds = _from_frame(obj, modality, units, attrs)
    else:
        raise ParameterError(
            message("argument 'obj'", "a pynapple TsGroup, Tsd or TsdFrame", kind)
        )
    if events is None:
        return ds
    if type(events).__name__ == "IntervalSet":
        events = _intervals(events)
    return with_events(ds, read_events(events))


def _from_group(
    obj: Any, modality: str | None, bin_width: float | None, attrs: Any
) -> xr.Dataset:
    bin_width = check_bin_width(bin_width)
    if modality not in (None, "spikes"):
        raise ParameterError(message("a TsGroup", "modality 'spikes'", repr(modality)))
    spans = _spans(obj)
    ds = bin_spikes(
        [obj[k].t for k in obj],
        bin_width,
        names=list(obj),
        start=float(spans[0, 0]),
        stop=float(spans[-1, 1]),
        coords=_metadata(obj, len(obj)),
        attrs=attrs,
    )
    left = ds["time"].to_numpy()
    good = np.zeros(len(left), dtype=bool)
    for first, last in spans:
        good |= (left >= first - ROUNDED) & (left + bin_width <= last + ROUNDED)
    return ds if good.all() else ds.assign_coords(good=("time", good))


def _from_frame(
    obj: Any, modality: str | None, units: str | None, attrs: Any
) -> xr.Dataset:
    if modality is None:
        raise ParameterError(
            message(
                f"a {type(obj).__name__}",
                "to know what was recorded",
                "no modality",
                "pass modality='calcium' or another",
            )
        )
    stamps = np.asarray(obj.t, dtype=np.float64)
    values = np.asarray(obj.d)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(stamps) < 2:
        raise ParameterError(message("a TsdFrame", "two samples or more", values.shape))
    names = list(getattr(obj, "columns", range(values.shape[1])))
    time, rows, rate, irregular = _whole_clock(stamps, _spans(obj))
    filled, good = values, None
    if len(rows) < len(time):
        kind = values.dtype if values.dtype.kind == "f" else np.float64
        filled = np.full((len(time), values.shape[1]), np.nan, dtype=kind)
        filled[rows] = values
        good = np.isin(np.arange(len(time)), rows)
    more = {"irregular": 1} if irregular else {}
    return from_array(
        filled,
        modality,
        time=time,
        sampling_rate=rate,
        names=names,
        units=units,
        good=good,
        coords=_metadata(obj, values.shape[1]),
        attrs={**(attrs or {}), **more},
    )


def _whole_clock(
    stamps: np.ndarray, spans: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, bool]:
    """Clock without gaps, the place of each sample on it, rate, whether it jitters."""
    step = float(np.median(np.diff(stamps)))
    number = np.round((stamps - stamps[0]) / step).astype(np.int64)
    rate = rate_of(stamps) if number[-1] == len(stamps) - 1 else 1.0 / step
    rate = float(f"{rate:.9g}")
    number = np.round((stamps - stamps[0]) * rate).astype(np.int64)
    time = clock(int(number[-1]) + 1, rate, start=float(stamps[0]))
    off = np.abs(time[number] - stamps).max()
    if off <= max(ROUNDED, 0.01 / rate) and (np.diff(number) > 0).all():
        return time, number, rate, False
    if len(spans) > 1:
        raise SchemaError(
            message(
                "a signal in several spans of time",
                "steps of one length within and between them",
                f"a sample {off:.3g} s off that clock",
                "convert each span by itself: obj.restrict(obj.time_support[i])",
            )
        )
    return stamps, np.arange(len(stamps)), rate_of(stamps), True


def _spans(obj: Any) -> np.ndarray:
    return np.asarray(obj.time_support.values, dtype=np.float64).reshape(-1, 2)


def _metadata(obj: Any, n_signals: int) -> dict[str, np.ndarray]:
    found = {}
    for name in getattr(obj, "metadata_columns", ()):
        values = np.asarray(obj.get_info(name))
        if name != RATE_COLUMN and values.shape == (n_signals,):
            found[str(name)] = values
    return found


def _intervals(obj: Any) -> Any:
    table = obj.as_dataframe().rename(columns={"start": "onset"})
    return table.assign(duration=table["end"] - table["onset"]).drop(columns="end")


def to_pynapple(rec: xr.Dataset) -> Any:
    """Turn a recording into pynapple: a TsGroup of spikes, or a TsdFrame.

    Spans with ``good`` False are outside the ``time_support``, so that pynapple leaves
    them out. Coordinates of the signals become metadata; events do not go along
    (``nap.IntervalSet`` makes them out of :func:`events_of`).

    Parameters
    ----------
    rec : Dataset
        A recording; its signal is loaded.

    Returns
    -------
    pynapple.TsGroup or pynapple.TsdFrame
        pynapple rounds times to nanoseconds.

    Raises
    ------
    MissingDependencyError
        If pynapple is not installed.

    Examples
    --------
    >>> rec = from_array(np.ones((4, 2)), "calcium", sampling_rate=2.0)
    >>> to_pynapple(rec).shape
    (4, 2)
    """
    nap = require("pynapple", "pynapple")
    space = space_dim(rec)
    time = rec["time"].to_numpy()
    good = good_samples(rec)
    step = 1.0 / float(rec.attrs["sampling_rate"])
    binned = "spike_time" in rec
    slack = (0.0, step) if binned else (-step / 4, step / 4)
    spans = np.array(
        [(time[a] + slack[0], time[b - 1] + slack[1]) for a, b in good_spans(good)]
    ).reshape(-1, 2)
    support = nap.IntervalSet(start=spans[:, 0], end=spans[:, 1])
    more = {
        str(k): c.to_numpy()
        for k, c in rec.coords.items()
        if c.dims == (space,) and k != space
    }
    names = rec[space].to_numpy()
    if binned:
        numbers = names if names.dtype.kind in "iu" else np.arange(len(names))
        if names.dtype.kind not in "iu":
            more["name"] = names
        times = dict(zip(numbers.tolist(), map(nap.Ts, spike_times(rec))))
        return nap.TsGroup(times, time_support=support, metadata=more)
    return nap.TsdFrame(
        t=time[good],
        d=rec["signal"].to_numpy()[good],
        columns=names,
        time_support=support,
        metadata=more,
    )
