"""What a recording must be: the table of modalities, and ``check``."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.blockwise import blocks, join_moments, moments_of
from neuroana.core.checks import message
from neuroana.core.errors import SchemaError, ShapeError, UnitError


SCHEMA = "1"
ENTITIES = ("subject", "session", "task", "run")


@dataclass(frozen=True)
class Modality:
    """What the contract asks of one kind of recording.

    Attributes
    ----------
    space : tuple of str
        Allowed names of the second dim, the usual one first.
    units : tuple of str
        Allowed units, the usual one first; empty where any unit may be stored.
    plausible : tuple of float or None
        Range of the median standard deviation of a signal in the first unit.
    """

    space: tuple[str, ...]
    units: tuple[str, ...] = ()
    plausible: tuple[float, float] | None = None


MODALITIES = {
    "eeg": Modality(("channel",), ("V", "1"), (1e-7, 1e-2)),
    "ieeg": Modality(("channel",), ("V", "1"), (1e-7, 1e-1)),
    "fmri": Modality(("roi", "voxel")),
    "calcium": Modality(("neuron",)),
    "spikes": Modality(("neuron",), ("count",)),
}


def rate_of(time: np.ndarray) -> float:
    """Sampling rate in Hz from first and last time; rounding of stamps cancels.

    Examples
    --------
    >>> rate_of(np.round(np.arange(1000) / 256.0, 3))  # stamps rounded to 1 ms
    256.0
    """
    rate = (len(time) - 1) / (float(time[-1]) - float(time[0]))
    rounded = float(f"{rate:.4g}")
    return rounded if abs(rate - rounded) < 1e-4 * rate else rate


def is_recording(obj: Any) -> bool:
    """Tell whether an object claims to be a recording.

    Examples
    --------
    >>> is_recording(xr.Dataset())
    False
    """
    return isinstance(obj, xr.Dataset) and "signal" in obj and "modality" in obj.attrs


def label_of(ds: xr.Dataset) -> str:
    """Short name of a recording: its entities, or title or source without a subject.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((4, 1)), "calcium", sampling_rate=2.0,
    ...                  attrs={"subject": "01", "task": "rest"})
    >>> label_of(rec)
    'sub-01_task-rest'
    """
    short = {"subject": "sub", "session": "ses", "task": "task", "run": "run"}
    parts = [f"{short[e]}-{ds.attrs[e]}" for e in ENTITIES if ds.attrs.get(e)]
    if parts and ds.attrs.get("subject"):
        return "_".join(parts)
    named = ds.attrs.get("title") or ds.attrs.get("source") or "_".join(parts)
    return str(named or "recording")


def good_samples(ds: xr.Dataset | xr.DataArray) -> np.ndarray:
    """Boolean array along time: True where the signal may be used.

    Examples
    --------
    >>> good_samples(xr.DataArray(np.ones(2), dims="time")).tolist()
    [True, True]
    """
    if "good" in ds.coords:
        return ds["good"].to_numpy().astype(bool)
    return np.ones(ds.sizes["time"], dtype=bool)


def good_spans(good: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop index of each unbroken run of True.

    Examples
    --------
    >>> good_spans(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    padded = np.concatenate([[False], np.asarray(good, dtype=bool), [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def check(ds: xr.Dataset, *, values: bool = False) -> xr.Dataset:
    """Return `ds` if it keeps the contract; say what is wrong otherwise.

    Parameters
    ----------
    ds : Dataset
        The recording.
    values : bool, default=False
        Look at the samples too, block by block: infinite values, a signal with no
        sample at all, negative counts, amplitudes that cannot be in the unit.
        Reads the whole signal once.

    Returns
    -------
    Dataset
        `ds` itself.

    Raises
    ------
    SchemaError, ShapeError, UnitError
        Naming the file, the variable, what was expected and how to mend it.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.full((4, 1), np.inf), "calcium", sampling_rate=2.0)
    >>> check(rec, values=True)
    Traceback (most recent call last):
    ...
    neuroana.core.errors.SchemaError: recording: 'signal': expected finite ...
    """
    if not is_recording(ds):
        found = list(ds.variables) if isinstance(ds, xr.Dataset) else type(ds).__name__
        raise SchemaError(
            message(
                "recording",
                "a Dataset with 'signal' and attrs['modality']",
                found,
                "make it with neuroana.from_array or neuroana.read",
            )
        )
    where = label_of(ds)
    kind = MODALITIES.get(ds.attrs["modality"])
    if kind is None:
        raise SchemaError(
            message(
                f"{where}: attrs['modality']",
                f"one of {', '.join(MODALITIES)}",
                ds.attrs["modality"],
            )
        )
    _check_dims(ds, kind, where)
    _check_clock(ds, where)
    _check_units(ds, kind, where)
    _check_attrs(ds, where)
    if values:
        _check_values(ds, kind, where)
    return ds


def _check_dims(ds: xr.Dataset, kind: Modality, where: str) -> None:
    dims = ds["signal"].dims
    if len(dims) != 2 or dims[0] != "time" or dims[1] not in kind.space:
        raise ShapeError(
            message(
                f"{where}: 'signal'",
                f"dims (time, {' or '.join(kind.space)})",
                dims,
                "rename or transpose with xarray",
            )
        )
    if 0 in ds["signal"].shape:
        raise ShapeError(message(f"{where}: 'signal'", "samples", "an empty array"))
    if ds["signal"].dtype.kind not in "fiu":
        raise SchemaError(
            message(f"{where}: 'signal'", "real numbers", f"dtype {ds['signal'].dtype}")
        )
    for dim in dims:
        if dim not in ds.coords:
            raise SchemaError(
                message(f"{where}: coordinate {dim!r}", "labels along it", "none")
            )
    labels = pd.Index(ds[dims[1]].to_numpy())
    if labels.has_duplicates:
        twice = labels[labels.duplicated()].unique().tolist()[:5]
        raise SchemaError(
            message(
                f"{where}: coordinate {dims[1]!r}",
                "each name once",
                f"{twice} more than once",
                "rename or drop the double ones",
            )
        )


def check_increasing(time: np.ndarray, where: str) -> np.ndarray:
    """Return the steps of a clock, or say where it stands still or goes back.

    Raises
    ------
    SchemaError
        Naming the sample.

    Examples
    --------
    >>> check_increasing(np.array([0.0, 0.5]), "rest: 'time'").tolist()
    [0.5]
    """
    steps = np.diff(time)
    if (steps <= 0).any():
        first = int(np.argmax(steps <= 0))
        raise SchemaError(
            message(
                where,
                "strictly increasing seconds",
                f"{float(time[first])!r} then {float(time[first + 1])!r} "
                f"at sample {first + 1}",
                "sort the samples and drop the double ones",
            )
        )
    return steps


def _check_clock(ds: xr.Dataset, where: str) -> None:
    time = ds["time"].to_numpy()
    rate = ds.attrs.get("sampling_rate")
    if time.dtype != np.float64 or not np.isfinite(time).all():
        raise SchemaError(
            message(f"{where}: 'time'", "finite seconds as float64", time.dtype)
        )
    steps = check_increasing(time, f"{where}: 'time'")
    if rate is None or not (math.isfinite(rate) and rate > 0):
        raise SchemaError(
            message(
                f"{where}: attrs['sampling_rate']",
                "the rate in Hz",
                rate,
                "pass sampling_rate= when reading",
            )
        )
    if len(steps):
        found = 1.0 / float(np.median(steps)) if len(steps) < 3 else rate_of(time)
        if abs(found - rate) > 0.01 * rate and not ds.attrs.get("irregular"):
            raise SchemaError(
                message(
                    f"{where}: attrs['sampling_rate']",
                    f"{found:.6g} Hz, as 'time' says",
                    f"{rate:.6g} Hz",
                    "correct the one that is wrong",
                )
            )


def _check_units(ds: xr.Dataset, kind: Modality, where: str) -> None:
    units = ds["signal"].attrs.get("units")
    if not units or (kind.units and units not in kind.units):
        raise UnitError(
            message(
                f"{where}: 'signal'",
                f"unit {' or '.join(kind.units) or 'named in attrs'}",
                repr(units),
                "convert the values, or pass units= when reading",
            )
        )


def _check_attrs(ds: xr.Dataset, where: str) -> None:
    for attrs in (ds.attrs, *(ds[name].attrs for name in ds.variables)):
        for key, value in attrs.items():
            flat = value if isinstance(value, list | tuple) else [value]
            if not all(
                isinstance(v, str | int | float | np.number | np.ndarray) for v in flat
            ):
                raise SchemaError(
                    message(
                        f"{where}: attribute {key!r}",
                        "text, a number, or a list of these",
                        type(value).__name__,
                        "store it as text, or leave it out",
                    )
                )


def _check_values(ds: xr.Dataset, kind: Modality, where: str) -> None:
    signal = ds["signal"]
    space = signal.dims[1]
    usable = good_samples(ds)
    state = moments_of(np.empty((0, signal.shape[1])))
    for first, block in blocks(signal):
        rows = usable[first : first + len(block)]
        bad = np.isinf(block) | ((block < 0) if kind.units == ("count",) else False)
        if bad.any():
            t, c = np.argwhere(bad)[0]
            raise SchemaError(
                message(
                    f"{where}: 'signal'",
                    "finite values" + (" >= 0" if kind.units == ("count",) else ""),
                    f"{block[t, c]} at sample {first + t}, {space} "
                    f"{signal[space].to_numpy()[c]} ({int(bad.sum())} in this block)",
                    "mark missing samples with NaN",
                )
            )
        state = join_moments(state, moments_of(block[rows].astype(np.float64)))
    if not state.n.any():
        raise SchemaError(
            message(f"{where}: 'signal'", "at least one usable sample", "none")
        )
    if kind.plausible is None or signal.attrs["units"] != kind.units[0]:
        return
    head = np.ones(signal.shape[1], dtype=bool)
    if "ch_type" in ds.coords:
        head = np.isin(ds["ch_type"].to_numpy(), ["eeg", "ecog", "seeg", "dbs", "ieeg"])
    spread = state.spread[head & (state.spread > 0)]
    low, high = kind.plausible
    if len(spread) and not low <= np.median(spread) <= high:
        raise UnitError(
            message(
                f"{where}: 'signal'",
                f"a standard deviation of {low:g} to {high:g} {kind.units[0]}",
                f"{np.median(spread):.3g} (median over channels)",
                "pass units='uV' (or what the file holds) to the reader, "
                "or units='1' where the scale is unknown",
            )
        )


def same_clock(first: xr.Dataset, second: xr.Dataset) -> None:
    """Raise unless two recordings are sampled at the same times (within dt/100).

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((4, 1)), "calcium", sampling_rate=2.0)
    >>> same_clock(rec, rec)
    """
    one, two = first["time"].to_numpy(), second["time"].to_numpy()
    tolerance = 1.0 / (100.0 * first.attrs["sampling_rate"])
    if len(one) != len(two) or np.abs(one - two).max() > tolerance:
        raise SchemaError(
            message(
                f"{label_of(first)} and {label_of(second)}: 'time'",
                "the same clock",
                f"{len(one)} samples from {one[0]:g} s, {len(two)} from {two[0]:g} s",
                "resample one of them, or cut both to their common span",
            )
        )
