"""From the arrays of a file to samples, clock and names of one recording.

Which axis is time is never guessed: a header, a time vector, names, a number of names
given by the caller, or ``dims=`` must tell.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_names, message
from neuroana.core.errors import (
    DataWarning,
    ParameterError,
    SchemaError,
    ShapeError,
)
from neuroana.core.recording import clock, from_array, rate_of
from neuroana.io.arrays import TEXT, ArrayFile, open_arrays
from neuroana.io.bridges import join_trials
from neuroana.io.events import read_events
from neuroana.io.files import suffix_of
from neuroana.io.raws import TYPE_BY_NAME, montage_positions, scale_units
from neuroana.io.sidecars import entity_attrs


RATES = ("sfreq", "fs", "sf", "srate", "sampling_rate", "sampling_frequency", "rate")
TIMES = ("time", "times", "timestamps", "timestamp", "t")
NAMES = ("ch_names", "channel_names", "channels", "names", "labels", "roi_names")
STARTS = ("tmin", "t0", "start")
CLOCK_DRIFT = 2e-4
MARKERS = ("marker", "markers", "trigger", "stim", "event")


@dataclass
class Table:
    """Samples of one recording and what the file says about them.

    Attributes
    ----------
    values : ndarray (time, space) or (epoch, time, space)
        The samples.
    time : ndarray (time,)
        Seconds.
    sampling_rate : float
        Hz.
    names : list or None
        Names along the space dim.
    events : DataFrame or None
        Changes of a marker column.
    attrs : dict
        ``irregular``, ``time_offset``, ``source`` and entities.
    """

    values: np.ndarray
    time: np.ndarray
    sampling_rate: float
    names: list | None = None
    events: pd.DataFrame | None = None
    attrs: dict[str, Any] = field(default_factory=dict)


def read_table_file(
    path: str | Path,
    space: str,
    *,
    sampling_rate: float | None = None,
    variable: str | None = None,
    dims: Sequence[str] | None = None,
    names: Sequence | None = None,
    time: Any = None,
) -> Table:
    """Find samples, clock and names in an array file.

    Parameters
    ----------
    path : path
        One of the suffixes of :mod:`neuroana.io.arrays`.
    space : str
        Name of the dim beside time.
    sampling_rate, variable, dims, names
        As for :func:`neuroana.io.read_eeg`.
    time : array or str, optional
        Times in seconds, or the name of the array that holds them.
    """
    file = open_arrays(path)
    attrs = {**entity_attrs(file.path), "source": file.path.name}
    if suffix_of(file.path) in TEXT and file.columns and variable is None:
        values, file_names, stamps, events = _columns(file)
        dims = dims or ("time", space)
    else:
        variable = _choose(file, variable)
        values, stamps, events = _numbers(file, variable), None, None
        file_names = _names_in_file(file, values)
    if isinstance(time, str):
        time = file[time]
    if time is None and stamps is None:
        stamps = _times_in_file(file, values)
    stamps = np.asarray(time, dtype=np.float64).ravel() if time is not None else stamps
    names = list(names) if names is not None else file_names
    values = _orient(file, values, space, dims, stamps, names)
    if names is not None and len(names) != values.shape[-1]:
        raise ShapeError(
            message(
                f"{file.path}: names",
                f"{values.shape[-1]}, one for each {space}",
                len(names),
            )
        )
    n_samples = values.shape[-2]
    rate = sampling_rate or _scalar(file, RATES)
    if stamps is not None:
        if len(stamps) != n_samples:
            raise ShapeError(
                message(f"{file.path}: time", f"{n_samples} times", len(stamps))
            )
        stamps, rate, more = regular_clock(stamps, rate, str(file.path))
        attrs.update(more)
        if events is not None:
            events = events.assign(onset=stamps[events["sample"]])
    elif rate is None:
        raise ParameterError(
            message(
                f"{file.path}: sampling rate",
                "it in the file, or in the call",
                "neither",
                "pass sampling_rate= in Hz",
            )
        )
    else:
        start = _scalar(file, STARTS) or 0.0
        stamps = clock(n_samples, rate, start=start)
        if events is not None:
            events = events.assign(onset=stamps[events["sample"]])
    return Table(values, stamps, float(rate), names, events, attrs)


def _columns(file: ArrayFile):
    columns = list(file.columns or [])
    lower = [c.strip().lower() for c in columns]
    values = file["table"]
    stamp = next((i for i, c in enumerate(lower) if c in TIMES), None)
    mark = next((i for i, c in enumerate(lower) if c in MARKERS), None)
    keep = [i for i in range(len(columns)) if i not in (stamp, mark)]
    events = None
    if mark is not None:
        codes = np.nan_to_num(values[:, mark])
        onset = np.flatnonzero((codes != 0) & (np.diff(codes, prepend=0.0) != 0))
        events = pd.DataFrame(
            {
                "onset": np.zeros(len(onset)),
                "trial_type": [f"{c:g}" for c in codes[onset]],
                "sample": onset,
            }
        )
    stamps = values[:, stamp] if stamp is not None else None
    return values[:, keep], [columns[i] for i in keep], stamps, events


def _choose(file: ArrayFile, variable: str | None) -> str:
    if variable is not None:
        return variable
    big = [n for n, s in file.shapes.items() if len(s) > 1 and min(s) > 0]
    big = [n for n in big if max(file.shapes[n]) > 1] or list(file.shapes)
    wide = [n for n in big if sum(k > 1 for k in file.shapes[n]) > 1]
    big = wide or big
    if len(big) == 1:
        return big[0]
    raise ParameterError(
        message(
            str(file.path),
            "one array of samples",
            f"several: {file.listing()}",
            f"pass variable=, for example variable={big[0]!r}",
        )
    )


def _numbers(file: ArrayFile, variable: str) -> np.ndarray:
    values = file[variable]
    if values.dtype.kind not in "fiub":
        raise SchemaError(
            message(f"{file.path}: {variable!r}", "numbers", f"dtype {values.dtype}")
        )
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim not in (2, 3):
        raise ShapeError(
            message(
                f"{file.path}: {variable!r}",
                "two dims, or three with trials",
                f"shape {values.shape}",
                f"choose another of {file.listing()}",
            )
        )
    return values


def _names_in_file(file: ArrayFile, values: np.ndarray) -> list | None:
    for name in file.shapes:
        tail = re.split(r"[./]", name)[-1].lower()
        if tail in NAMES:
            found = file[name]
            if found.dtype.kind in "UO" and found.size in values.shape:
                return [str(v).strip() for v in found.ravel()]
    return None


def _times_in_file(file: ArrayFile, values: np.ndarray) -> np.ndarray | None:
    for name in file.shapes:
        if name.lower() in TIMES:
            found = file[name]
            if found.dtype.kind in "fiu" and found.size in values.shape:
                return found.ravel().astype(np.float64)
    return None


def _scalar(file: ArrayFile, known: Sequence[str]) -> float | None:
    for name, shape in file.shapes.items():
        if name.lower() in known and np.prod(shape, dtype=int) == 1:
            value = file[name]
            if value.dtype.kind in "fiu":
                return float(value.ravel()[0])
    return None


def _orient(
    file: ArrayFile,
    values: np.ndarray,
    space: str,
    dims: Sequence[str] | None,
    stamps: np.ndarray | None,
    names: Sequence | None,
) -> np.ndarray:
    shape = values.shape
    if dims is not None:
        order = [str(d) for d in dims]
        check_names("dim", order, ("epoch", "time", space))
        if len(order) != values.ndim or "time" not in order:
            raise ShapeError(
                message(
                    f"{file.path}: argument 'dims'",
                    f"a name for each of the dims of shape {shape}, 'time' among them",
                    tuple(order),
                )
            )
        if space not in order:
            values, order = values[..., None], [*order, space]
        target = [d for d in ("epoch", "time", space) if d in order]
        return values.transpose([order.index(d) for d in target])
    if values.ndim == 2:
        if shape[1] == 1:
            return values
        for length, axis in ((stamps, 0), (names, 1)):
            if length is None or shape[0] == shape[1]:
                continue
            if shape[axis] == len(length):
                return values
            if shape[1 - axis] == len(length):
                return values.T
        text = suffix_of(file.path) in TEXT
        if text and shape[1] < 4 * shape[0]:
            return values
    raise ParameterError(
        message(
            f"{file.path}: shape {shape}",
            "something that tells which dim is time",
            "neither names nor times in the file",
            f"pass dims=('time', {space!r}), dims=({space!r}, 'time'), "
            f"or with trials dims=('epoch', 'time', {space!r})",
        )
    )


def regular_clock(
    stamps: np.ndarray, sampling_rate: float | None, where: str
) -> tuple[np.ndarray, float, dict[str, Any]]:
    """Clock of time stamps: regular if they are but rounded, as they are otherwise.

    A regular rate within 0.02 % of a whole number of Hz is that number: the clock of
    the computer that wrote the stamps drifts against the amplifier's. Stamps that start later than they last are on another machine's clock: they are
    moved to start at 0 and the move is kept in ``time_offset``.

    Examples
    --------
    >>> stamps = 1.5e9 + np.round(np.arange(512) / 256.0, 3)
    >>> time, rate, attrs = regular_clock(stamps, None, "a.csv")
    >>> rate, float(time[1]), attrs
    (256.0, 0.00390625, {'time_offset': 1500000000.0})
    """
    if len(stamps) < 2 or not np.isfinite(stamps).all():
        raise SchemaError(message(f"{where}: time", "finite seconds", stamps[:3]))
    if (np.diff(stamps) <= 0).any():
        first = int(np.argmax(np.diff(stamps) <= 0))
        raise SchemaError(
            message(
                f"{where}: time",
                "strictly increasing seconds",
                f"{stamps[first]!r} then {stamps[first + 1]!r} in row {first + 2}",
                "sort the rows and drop the double ones",
            )
        )
    attrs: dict[str, Any] = {}
    if stamps[0] > stamps[-1] - stamps[0]:
        attrs["time_offset"] = float(stamps[0])
        stamps = stamps - stamps[0]
    steps = np.arange(len(stamps)) * (stamps[-1] - stamps[0]) / (len(stamps) - 1)
    rounding = _rounding(stamps)
    measured = rate_of(stamps)
    tolerance = max(0.01, rounding * measured if rounding < 0.5 / measured else 0.0)
    if np.abs(stamps - stamps[0] - steps).max() > tolerance / measured:
        return stamps, float(sampling_rate or measured), {**attrs, "irregular": 1}
    whole = round(measured)
    nominal = abs(measured - whole) <= CLOCK_DRIFT * measured and whole >= 10
    rate = float(sampling_rate or (whole if nominal else measured))
    return clock(len(stamps), rate, start=float(stamps[0])), rate, attrs


def _rounding(stamps: np.ndarray) -> float:
    for digits in range(6):
        if np.abs(stamps - np.round(stamps, digits)).max() < 1e-6:
            return 10.0**-digits
    return 0.0


def read_electrical_array(
    path: str | Path,
    modality: str,
    *,
    montage: str | None,
    units: str | None,
    ch_types: Mapping[str, str] | None,
    events: Any,
    sampling_rate: float | None,
    variable: str | None,
    dims: Sequence[str] | None,
    names: Sequence[str] | None,
) -> xr.Dataset:
    """Read EEG or iEEG out of an array file; the parameters are those of the readers.

    Raises
    ------
    ParameterError
        If `units` is missing: arrays do not state it.
    """
    table = read_table_file(
        path,
        "channel",
        sampling_rate=sampling_rate,
        variable=variable,
        dims=dims,
        names=names,
    )
    if units is None:
        raise ParameterError(
            message(
                f"{path}: argument 'units'",
                "the unit of the numbers",
                "nothing, and an array states none",
                "pass units='uV' (or 'V', 'mV', 'nV'), or '1' if it is unknown",
            )
        )
    n_channels = table.values.shape[-1]
    labels = [str(n) for n in table.names or [f"ch{i:02d}" for i in range(n_channels)]]
    base = "eeg" if modality == "eeg" else "seeg"
    types = [next((k for p, k in TYPE_BY_NAME if p.search(n)), base) for n in labels]
    check_names("channel", ch_types or {}, labels)
    types = [(ch_types or {}).get(n, t) for n, t in zip(labels, types)]
    coords: dict[str, Any] = {
        "ch_type": np.array(types, dtype=object),
        "bad": np.zeros(n_channels, dtype=bool),
    }
    attrs = dict(table.attrs)
    if montage is not None:
        places = montage_positions(montage, labels).reindex(labels)
        coords.update({c: places[c].to_numpy() for c in "xyz"})
        attrs["coord_frame"] = "head"
    marks = read_events(events) if events is not None else table.events
    options = {"names": labels, "coords": coords, "attrs": attrs}
    if table.values.ndim == 3:
        ds = join_trials(
            table.values,
            modality,
            sampling_rate=table.sampling_rate,
            events=trial_events(table),
            **options,
        )
        ds = ds.assign_attrs(epoch_start=float(table.time[0]))
    else:
        ds = from_array(
            table.values.astype(np.float64, copy=False),
            modality,
            sampling_rate=table.sampling_rate,
            time=table.time,
            events=marks,
            **options,
        )
    return scale_units(ds, units, Path(path))


def trial_events(table: Table) -> pd.DataFrame:
    """One event a trial, at its time zero or at its first sample.

    Examples
    --------
    >>> table = Table(np.ones((2, 3, 1)), np.array([-1.0, 0.0, 1.0]), 1.0)
    >>> trial_events(table).onset.tolist()
    [1.0, 1.0]
    """
    first, last = table.time[0], table.time[-1]
    zero = -first if first <= 0.0 <= last else 0.0
    n_trials = table.values.shape[0]
    return pd.DataFrame(
        {"onset": [zero] * n_trials, "trial_type": ["trial"] * n_trials}
    )


def warn_constant(where: str, names: Sequence, values: np.ndarray) -> None:
    """Warn of series that never change: correlation and z-score are undefined there.

    Examples
    --------
    >>> warn_constant("a.csv", ["a", "b"], np.array([[0.0, 1.0], [2.0, 0.0]]))
    """
    with np.errstate(invalid="ignore"):
        flat = np.nanmax(values, axis=0, initial=-np.inf) == np.nanmin(
            values, axis=0, initial=np.inf
        )
    if flat.any():
        some = [str(n) for n, f in zip(names, flat) if f]
        warnings.warn(
            message(
                where,
                "series that change",
                f"{len(some)} constant ({', '.join(some[:8])}"
                f"{' ...' if len(some) > 8 else ''})",
                "leave them out before correlations or z-scores",
            ),
            DataWarning,
            stacklevel=3,
        )
