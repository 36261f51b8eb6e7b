"""NWB files into recordings: units, electrical series, fluorescence.

A file that :func:`neuroana.io.to_nwb` wrote comes back exactly; of any other the
series is found by its type, and converted as the file says.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_choice, check_names, message, require
from neuroana.core.errors import (
    DataWarning,
    NeuroanaError,
    ParameterError,
    ShapeError,
)
from neuroana.core.provenance import record
from neuroana.core.recording import check, clock, from_array, with_events
from neuroana.core.store import verify
from neuroana.io.clocks import regular_clock
from neuroana.io.files import check_file, reading
from neuroana.io.hdf5_probe import probe
from neuroana.io.lazy import LazyArray, lazy_variable
from neuroana.io.nwb_tables import columns_of, events_from, restored
from neuroana.io.spike_counts import bin_spikes, check_bin_width


UNITS = "units"
KINDS = {
    "ieeg": "ElectricalSeries",
    "eeg": "ElectricalSeries",
    "calcium": "RoiResponseSeries",
    "spikes": "Units",
}
NAME_COLUMNS = ("channel_name", "electrode_name", "label", "name")


@dataclass
class _Found:
    """A series of a file: its place there, its type, its shape."""

    place: str
    kind: str
    series: Any
    container: str = ""

    @property
    def listing(self) -> str:
        shape = getattr(getattr(self.series, "data", None), "shape", "")
        return f"{self.place} ({self.kind}{' ' if shape else ''}{shape})"


def read_nwb(
    path: str | Path,
    *,
    series: str | None = None,
    modality: str | None = None,
    bin_width: float | None = None,
    start: float | None = None,
    stop: float | None = None,
    events: str | None = None,
) -> xr.Dataset:
    """Read a recording from an NWB file (extra ``nwb``).

    Samples stay in the file until they are used; ``conversion`` and ``offset`` are
    applied then. Spans in ``invalid_times`` become ``good`` False.

    Parameters
    ----------
    path : path
        The ``.nwb`` file.
    series : str, optional
        Which one, where there are several: ``"units"``, its name, or its place as the
        error lists it (``"acquisition/ElectricalSeries"``).
    modality : {'ieeg', 'eeg', 'calcium', 'spikes'}, optional
        Only series of this kind; an electrical series is ``ieeg`` when left out.
    bin_width : float, optional
        For units: width of the bins in seconds.
    start, stop : float, optional
        For units: as for :func:`read_spikes`; ``obs_intervals`` of the file, where
        there are any, are the default.
    events : str, optional
        Table of intervals to take as events; ``trials`` when left out.

    Returns
    -------
    Dataset
        Volts for an electrical series, ``dF/F`` out of a ``DfOverF``, counts for
        units.

    A file of another program is first opened by a child process, since a damaged one
    can end the process that reads it; one of :func:`to_nwb` has a checksum instead.

    Raises
    ------
    CorruptFileError
        If the file is damaged, or no NWB file.
    ParameterError
        If there is no such series, or several and none is chosen.
    MissingDependencyError
        If pynwb is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from neuroana.io import to_nwb
    >>> rec = from_array(np.ones((4, 2)), "calcium", sampling_rate=2.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_nwb(to_nwb(rec, Path(folder, "a.nwb"))).identical(rec)
    True
    """
    require("pynwb", "nwb")
    from pynwb import NWBHDF5IO

    path = check_file(path)
    given: dict[str, Any] = {"series": series, "bin_width": bin_width}
    given |= {"start": start, "stop": stop, "events": events}
    if modality is not None:
        check_choice("modality", modality, KINDS)
    if not verify(path):
        probe(path)
    with reading(path, "an NWB file"), NWBHDF5IO(path, "r") as file:
        content = file.read()
        try:
            own = None if any(given.values()) else restored(content)
            if own is not None and modality in (None, own.attrs["modality"]):
                return check(own)
            given["modality"] = modality
            ds = _recording(path, content, _choose(content, series, modality), given)
            ds = _with_intervals(ds, content, events)
        except NeuroanaError as error:
            raise type(error)(f"{path}: {error}") from error
    ds = ds.assign_attrs(source=path.name)
    if content.subject is not None and content.subject.subject_id:
        ds = ds.assign_attrs(subject=str(content.subject.subject_id))
    return record(check(ds), "io.read_nwb", file=path.name, **given)


def _series(content: Any) -> Iterator[_Found]:
    if content.units is not None and "spike_times" in content.units.colnames:
        yield _Found(UNITS, "Units", content.units)
    roots = {"acquisition": content.acquisition}
    for name, module in content.processing.items():
        roots[f"processing/{name}"] = module.data_interfaces
    for root, members in roots.items():
        for name, member in members.items():
            yield from _inside(f"{root}/{name}", member, "")


def _inside(place: str, member: Any, container: str) -> Iterator[_Found]:
    kind = type(member).__name__
    if kind in ("ElectricalSeries", "RoiResponseSeries"):
        yield _Found(place, kind, member, container)
    for attribute in ("electrical_series", "roi_response_series"):
        inner: Any = getattr(member, attribute, None) or {}
        if hasattr(inner, "items"):
            for name, series in inner.items():
                yield from _inside(f"{place}/{name}", series, kind)


def _choose(content: Any, series: str | None, modality: str | None) -> _Found:
    kinds = {KINDS[modality]} if modality else set(KINDS.values())
    found = [f for f in _series(content) if f.kind in kinds]
    if series is not None:
        named = [f for f in found if f.place.endswith(f"/{series}")]
        if len(named) == 1:
            return named[0]
        check_names("series", [series], [f.place for f in found])
        return next(f for f in found if f.place == series)
    if len(found) == 1:
        return found[0]
    listing = ", ".join(f.listing for f in found) or "none of these"
    raise ParameterError(
        message(
            "series",
            "one electrical series, fluorescence or table of units",
            listing,
            f"pass series={found[0].place!r} or another" if found else "",
        )
    )


def _recording(
    path: Path, content: Any, found: _Found, given: dict[str, Any]
) -> xr.Dataset:
    if found.kind == "Units":
        return _units(found.series, given)
    if given["bin_width"] is not None:
        raise ParameterError(
            message("argument 'bin_width'", "a table of units", found.listing)
        )
    if found.kind == "ElectricalSeries":
        return _electrical(path, found, given["modality"] or "ieeg")
    return _fluorescence(path, found)


def _units(table: Any, given: dict[str, Any]) -> xr.Dataset:
    bin_width = check_bin_width(given["bin_width"])
    times = [np.asarray(table.get_unit_spike_times(i)) for i in range(len(table))]
    start, stop = given["start"], given["stop"]
    if "obs_intervals" in table.colnames:
        spans = np.concatenate(
            [np.asarray(table.get_unit_obs_intervals(i)) for i in range(len(table))]
        )
        start = float(spans.min()) if start is None else start
        stop = float(spans.max()) if stop is None else stop
    return bin_spikes(
        times,
        bin_width,
        names=np.asarray(table.id[:]).tolist(),
        start=start,
        stop=stop,
        coords=columns_of(table),
    )


def _electrical(path: Path, found: _Found, modality: str) -> xr.Dataset:
    series = found.series
    table, rows = series.electrodes.table, np.asarray(series.electrodes.data[:])
    coords = columns_of(table, rows)
    named = next((c for c in NAME_COLUMNS if c in coords), None)
    names = [str(i) for i in np.asarray(table.id[:])[rows]]
    if named and len(set(coords[named].astype(str))) == len(rows):
        names = [str(n) for n in coords.pop(named)]
    for axis in "xyz":
        if axis in coords:
            coords[axis] = coords[axis].astype(np.float64) / 1000.0
    coords.setdefault(
        "ch_type", np.full(len(rows), "eeg" if modality == "eeg" else "seeg", object)
    )
    factor = float(series.conversion) * (
        np.asarray(series.channel_conversion[:], np.float64)
        if series.channel_conversion is not None
        else np.ones(len(rows))
    )
    return _lazy_recording(path, found, modality, names, coords, factor, "V")


def _fluorescence(path: Path, found: _Found) -> xr.Dataset:
    series = found.series
    table, rows = series.rois.table, np.asarray(series.rois.data[:])
    names = np.asarray(table.id[:])[rows].tolist()
    units = "dF/F" if found.container == "DfOverF" else str(series.unit or "au")
    units = "au" if units in ("n.a.", "n/a", "") else units
    factor = np.full(len(rows), float(series.conversion))
    coords = columns_of(table, rows)
    return _lazy_recording(path, found, "calcium", names, coords, factor, units)


def _lazy_recording(
    path: Path,
    found: _Found,
    modality: str,
    names: list,
    coords: dict[str, np.ndarray],
    factor: np.ndarray,
    units: str,
) -> xr.Dataset:
    data, series = found.series.data, found.series
    shape = tuple(data.shape) + (1,) * (2 - len(data.shape))
    turned = shape[1] != len(names) and shape[0] == len(names)
    if turned:
        warnings.warn(
            message(
                f"{path.name}: {found.place}",
                f"time first, {len(names)} columns",
                f"shape {data.shape}; it is transposed",
            ),
            DataWarning,
            stacklevel=5,
        )
        shape = shape[::-1]
    if len(shape) != 2 or shape[1] != len(names):
        raise ShapeError(
            message(found.place, f"dims (time, {len(names)} signals)", data.shape)
        )
    attrs: dict[str, Any] = {}
    if series.rate is not None:
        rate = float(series.rate)
        time = clock(shape[0], rate, start=float(series.starting_time or 0.0))
    else:
        stamps = np.asarray(series.timestamps[:], dtype=np.float64)
        time, rate, attrs = regular_clock(stamps, None, found.place)
    offset = float(series.offset or 0.0)
    plain = offset == 0.0 and (factor == 1.0).all()
    kind = data.dtype if plain and data.dtype.kind == "f" else np.dtype(np.float64)
    ds = from_array(
        np.broadcast_to(np.zeros((), kind), shape),
        modality,
        sampling_rate=rate,
        time=time,
        names=names,
        units=units,
        coords=coords,
        attrs=attrs,
    )
    piece = _Piece(path, str(data.name), turned, None if plain else factor, offset)
    lazy = lazy_variable(ds["signal"].dims, LazyArray(shape, kind, piece))
    return ds.assign(signal=ds["signal"].copy(data=lazy._data))


@dataclass(frozen=True)
class _Piece:
    """Reads a block of a series out of its file, in the unit of the recording."""

    path: Path
    name: str
    turned: bool
    factor: np.ndarray | None
    offset: float

    def __call__(self, key: tuple) -> np.ndarray:
        import h5py

        rows, columns = key
        with reading(self.path, "an NWB file"), h5py.File(self.path, "r") as file:
            data = file[self.name]
            if data.ndim == 1:
                values = data[rows][..., None][..., columns]
            elif self.turned:
                values = data[columns, rows]
                values = values.T if values.ndim == 2 else values
            else:
                values = data[rows, columns]
        if self.factor is None:
            return values
        return values * self.factor[columns] + self.offset


def _with_intervals(ds: xr.Dataset, content: Any, events: str | None) -> xr.Dataset:
    tables = {"trials": content.trials, "epochs": content.epochs}
    tables |= dict(content.intervals or {})
    tables = {k: v for k, v in tables.items() if v is not None}
    bad = tables.pop("invalid_times", None) or content.invalid_times
    if events is not None:
        check_names("table of intervals", [events], tables)
    table = tables.get(events or "trials")
    if table is not None:
        marks = events_from(table)
        ds = with_events(ds, marks) if len(marks) else ds
    if bad is None or not len(bad):
        return ds
    time, good = ds["time"].to_numpy(), np.ones(ds.sizes["time"], dtype=bool)
    spans: pd.DataFrame = bad.to_dataframe()
    for first, last in zip(spans["start_time"], spans["stop_time"]):
        good[(time >= first) & (time <= last)] = False
    return ds.assign_coords(good=("time", good))
