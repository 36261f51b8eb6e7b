"""Recordings into NWB files, such that they come back exactly."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message, require
from neuroana.core.contract import check, good_samples, good_spans, label_of
from neuroana.core.errors import SchemaError
from neuroana.core.provenance import plain
from neuroana.core.recording import clock, events_of, space_dim
from neuroana.core.store import atomic_path, seal
from neuroana.io.nwb_tables import MARK, MODULE
from neuroana.io.spike_counts import spike_times


UNKNOWN = "unknown"
EPOCH = pd.Timestamp(0, tz="UTC")


def to_nwb(rec: xr.Dataset, path: str | Path) -> Path:
    """Write a recording as an NWB file (extra ``nwb``); ``read_nwb`` gives it back.

    EEG and iEEG become an ``ElectricalSeries`` with its electrodes, calcium a
    ``RoiResponseSeries`` (``DfOverF`` where the unit says so), spikes a table
    ``units`` with the counts beside it, fMRI a ``TimeSeries``. Events become
    ``trials``, spans with ``good`` False ``invalid_times``. Coordinates and
    attributes that NWB has no place for stand in the processing module ``neuroana``
    and in ``notes``.

    Parameters
    ----------
    rec : Dataset
        A recording. Loads its signal.
    path : path
        The file to write; an old one is replaced once the new one is whole.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    SchemaError
        If the recording has variables along dims that NWB has no table for.
    MissingDependencyError
        If pynwb is not installed.

    Notes
    -----
    NWB wants facts that a recording does not have (device, imaging plane, indicator):
    they are written as ``"unknown"``, and a neuron whose place is unknown gets a mask
    of one pixel with weight 0. A recording without ``attrs["measured"]`` starts at
    1970-01-01.

    Examples
    --------
    >>> import tempfile
    >>> from neuroana.core.recording import from_array
    >>> from neuroana.io import read_nwb
    >>> rec = from_array(np.ones((4, 2)) * 1e-5, "eeg", sampling_rate=2.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_nwb(to_nwb(rec, Path(folder, "a.nwb"))).identical(rec)
    True
    """
    require("pynwb", "nwb")
    check(rec)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The linked table")  # it will share one
        content = _content(rec)
    return write_file(content, path)


def write_file(content: Any, path: str | Path) -> Path:
    """Write an NWB file that is in memory, atomically, with its checksum."""
    from pynwb import NWBHDF5IO

    with atomic_path(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The file path provided")  # it ends in .part
        with NWBHDF5IO(part, "w") as file:
            file.write(content)
        seal(part)
    return Path(path)


def empty_file(label: str, measured: str | None, notes: str, subject: Any) -> Any:
    """Make an NWB file in memory: its required facts, and nothing in it."""
    from pynwb import NWBFile
    from pynwb.file import Subject

    start = pd.Timestamp(measured) if measured else EPOCH
    start = start.tz_localize("UTC") if start.tzinfo is None else start
    return NWBFile(
        session_description=label,
        identifier=hashlib.sha256(f"{label}{notes}".encode()).hexdigest()[:32],
        session_start_time=start.to_pydatetime(),
        file_create_date=start.to_pydatetime(),
        notes=notes,
        subject=Subject(subject_id=str(subject)) if subject else None,
    )


def packed(values: np.ndarray) -> Any:
    """Samples in compressed chunks, each with a checksum that HDF5 verifies."""
    from hdmf.backends.hdf5 import H5DataIO

    return H5DataIO(
        values, compression="gzip", compression_opts=4, shuffle=True, fletcher32=True
    )


def _content(rec: xr.Dataset) -> Any:
    space = space_dim(rec)
    kind = rec.attrs["modality"]
    module = "ophys" if kind == "calcium" else MODULE
    container = "DfOverF" if rec["signal"].attrs["units"] == "dF/F" else "Fluorescence"
    place = {
        "eeg": ["acquisition", "signal"],
        "ieeg": ["acquisition", "signal"],
        "calcium": ["processing", module, container, "signal"],
    }.get(kind, ["processing", MODULE, "signal"])
    facts = _facts(rec, place)
    content = empty_file(
        label_of(rec),
        rec.attrs.get("measured"),
        MARK + json.dumps(facts, ensure_ascii=False),
        rec.attrs.get("subject"),
    )
    own = content.create_processing_module(MODULE, "what NWB has no place for")
    _add_table(own, "signals", _coords(rec, space))
    if along_time := _coords(rec, "time"):
        _add_table(own, "samples", along_time)
    options = {"data": packed(rec["signal"].to_numpy()), **_clock(rec)}
    if kind in ("eeg", "ieeg"):
        content.add_acquisition(_electrical(content, rec, options))
    elif kind == "calcium":
        imaging = content.create_processing_module(module, "fluorescence")
        imaging.add(_fluorescence(content, imaging, rec, container, options))
    else:
        from pynwb import TimeSeries

        unit = rec["signal"].attrs["units"]
        own.add(TimeSeries(name="signal", unit=unit, **options))
        if "spike_time" in rec:
            _add_units(content, rec)
    _add_intervals(content, rec)
    return content


def _facts(rec: xr.Dataset, place: list[str]) -> dict[str, Any]:
    space = space_dim(rec)
    events = [str(c) for c in events_of(rec)] if "onset" in rec else []
    known = {"signal", "spike_time", "spike_neuron", *events}
    flat = all(c.dims in ((space,), ("time",)) for c in rec.coords.values())
    if set(map(str, rec.data_vars)) - known or not flat:
        raise SchemaError(
            message(
                f"{label_of(rec)}",
                f"variables signal, events and spike times; coordinates along time "
                f"or {space}",
                {str(k): v.dims for k, v in rec.variables.items()},
                "drop the others, or write NetCDF",
            )
        )
    return {
        "place": place,
        "dims": [str(d) for d in rec["signal"].dims],
        "rate": float(rec.attrs["sampling_rate"]),
        "attrs": plain(rec.attrs),
        "variables": {str(k): plain(v.attrs) for k, v in rec.variables.items()},
        "events": events,
        "order": [str(k) for k in rec.data_vars],
    }


def _coords(rec: xr.Dataset, dim: str) -> dict[str, np.ndarray]:
    names = [c for c, v in rec.coords.items() if v.dims == (dim,) and c != "time"]
    return {str(c): rec[c].to_numpy() for c in names}


def _clock(rec: xr.Dataset) -> dict[str, Any]:
    time, rate = rec["time"].to_numpy(), float(rec.attrs["sampling_rate"])
    if np.array_equal(time, clock(len(time), rate, start=float(time[0]))):
        return {"rate": rate, "starting_time": float(time[0])}
    return {"timestamps": time}


def _columns(columns: Mapping[str, np.ndarray]) -> list[Any]:
    from hdmf.common import VectorData

    return [
        VectorData(
            name=name,
            description=name,
            data=[str(v) for v in data] if data.dtype.kind in "OU" else data,
        )
        for name, data in columns.items()
    ]


def _add_table(module: Any, name: str, columns: Mapping[str, np.ndarray]) -> None:
    from hdmf.common import DynamicTable

    module.add(
        DynamicTable(
            name=name, description=f"coordinates of {name}", columns=_columns(columns)
        )
    )


def _electrical(content: Any, rec: xr.Dataset, options: dict[str, Any]) -> Any:
    from pynwb.ecephys import ElectricalSeries

    device = content.create_device(UNKNOWN)
    frame = str(rec.attrs.get("coord_frame", UNKNOWN))
    group = content.create_electrode_group(
        "electrodes", description=frame, location=UNKNOWN, device=device
    )
    content.add_electrode_column("channel_name", "name of the channel")
    for number, name in enumerate(rec["channel"].to_numpy()):
        place = {
            axis: float(rec[axis].to_numpy()[number]) * 1000.0
            for axis in "xyz"
            if axis in rec.coords
        }
        content.add_electrode(
            group=group, location=UNKNOWN, channel_name=str(name), **place
        )
    region = content.create_electrode_table_region(
        list(range(rec.sizes["channel"])), "all channels"
    )
    return ElectricalSeries(
        name="signal",
        electrodes=region,
        description="volts" if rec["signal"].attrs["units"] == "V" else "scale unknown",
        **options,
    )


def _fluorescence(
    content: Any, module: Any, rec: xr.Dataset, container: str, options: dict[str, Any]
) -> Any:
    from pynwb import ophys

    device = content.create_device(UNKNOWN)
    channel = ophys.OpticalChannel(
        name=UNKNOWN, description=UNKNOWN, emission_lambda=float("nan")
    )
    plane = content.create_imaging_plane(
        name=UNKNOWN,
        optical_channel=channel,
        description=UNKNOWN,
        device=device,
        excitation_lambda=float("nan"),
        indicator=UNKNOWN,
        location=UNKNOWN,
    )
    cells = ophys.PlaneSegmentation(
        name="cells", description="neurons", imaging_plane=plane
    )
    names = rec["neuron"].to_numpy()
    cells.add_column("roi_name", "name of the neuron")
    for name, mask in zip(names, _masks(rec)):
        cells.add_roi(pixel_mask=[mask], roi_name=str(name))
    module.add(ophys.ImageSegmentation(name="segmentation", plane_segmentations=cells))
    region = cells.create_roi_table_region(
        region=list(range(len(names))), description="all neurons"
    )
    series = ophys.RoiResponseSeries(
        name="signal", rois=region, unit=rec["signal"].attrs["units"], **options
    )
    return getattr(ophys, container)(name=container, roi_response_series=series)


def _masks(rec: xr.Dataset) -> list[tuple[int, int, float]]:
    """One pixel a neuron where its place is known, one of weight 0 otherwise."""
    n_neurons = rec.sizes["neuron"]
    if not {"x_pixel", "y_pixel"} <= set(rec.coords):
        return [(0, 0, 0.0)] * n_neurons
    places = np.stack([rec["x_pixel"].to_numpy(), rec["y_pixel"].to_numpy()], axis=1)
    return [(int(x), int(y), 1.0) for x, y in np.maximum(np.round(places), 0)]


def _add_units(content: Any, rec: xr.Dataset) -> None:
    content.add_unit_column("unit_name", "name of the unit")
    time = rec["time"].to_numpy()
    stop = time[-1] + 1.0 / rec.attrs["sampling_rate"]
    for name, times in zip(rec["neuron"].to_numpy(), spike_times(rec)):
        content.add_unit(
            spike_times=times,
            obs_intervals=[[float(time[0]), float(stop)]],
            unit_name=str(name),
        )


def _add_intervals(content: Any, rec: xr.Dataset) -> None:
    table = events_of(rec)
    more = [c for c in table if c != "onset"]
    if len(table):
        for name in more:
            content.add_trial_column(str(name), str(name))
    for row in table.to_dict("records"):
        length = row["duration"] if np.isfinite(row["duration"]) else 0.0
        values = {k: v for k, v in row.items() if k != "onset"}
        content.add_trial(
            start_time=row["onset"], stop_time=row["onset"] + length, **values
        )
    time = rec["time"].to_numpy()
    for first, stop in good_spans(~good_samples(rec)):
        content.add_invalid_time_interval(
            start_time=float(time[first]), stop_time=float(time[stop - 1])
        )
