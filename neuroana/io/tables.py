"""From the arrays of a file to samples, clock and names of one recording.

Which axis is time is never guessed: a header, a time vector, names, a number of names
given by the caller, or ``dims=`` must tell.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroana.core.checks import check_names, message
from neuroana.core.errors import (
    DataWarning,
    ParameterError,
    SchemaError,
    ShapeError,
)
from neuroana.core.recording import clock
from neuroana.io.arrays import TEXT, ArrayFile, open_arrays
from neuroana.io.clocks import regular_clock
from neuroana.io.files import suffix_of
from neuroana.io.sidecars import entity_attrs


RATES = ("sfreq", "fs", "sf", "srate", "sampling_rate", "sampling_frequency", "rate")
TIMES = ("time", "times", "timestamps", "timestamp", "t")
NAMES = ("ch_names", "channel_names", "channels", "names", "labels", "roi_names")
STARTS = ("tmin", "t0", "start")
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
    if not file.shapes:
        raise SchemaError(
            message(
                str(file.path),
                "an array of numbers",
                "none that can be opened without running code",
                "save plain arrays",
            )
        )
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


def warn_constant(where: str, names: Any, values: np.ndarray) -> None:
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
