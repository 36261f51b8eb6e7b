"""Tables of NWB files: coordinates of signals, events, and what a recording was.

A recording written by :func:`neuroana.io.to_nwb` has, beside the standard series,
everything that NWB has no place for: a table ``signals`` with its coordinates, a
table ``samples`` with those along time, and its attributes as JSON in ``notes``.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import CorruptFileError
from neuroana.core.recording import clock


MARK = "neuroana recording: "
MODULE = "neuroana"
INTERVALS = ("start_time", "stop_time")
FOREIGN = ("group", "timeseries", "tags", "electrode_group")


def columns_of(table: Any, rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """One-dimensional columns of a table, with numbers or text, as arrays.

    Columns of masks, waveforms and references to other tables are left out.
    """
    found: dict[str, np.ndarray] = {}
    for name in table.colnames:
        column = table[name]
        if name in FOREIGN or hasattr(column, "target"):
            continue
        values = np.asarray(column.data[:] if hasattr(column, "data") else column)
        if values.ndim != 1 or len(values) != len(table):
            continue
        if values.dtype.kind in "OSU":
            if not all(isinstance(v, str | bytes) for v in values):
                continue
            values = np.array(
                [v.decode() if isinstance(v, bytes) else v for v in values], object
            )
        found[name] = values if rows is None else values[rows]
    return found


def events_from(table: Any) -> pd.DataFrame:
    """A table of intervals as events; its name is their kind where it has no kinds."""
    columns = columns_of(table)
    start, stop = (columns.pop(name).astype(np.float64) for name in INTERVALS)
    made = {"onset": start, "duration": columns.pop("duration", stop - start)}
    made["trial_type"] = columns.pop(
        "trial_type", np.full(len(start), table.name, dtype=object)
    )
    return pd.DataFrame({**made, **columns})


def restored(content: Any) -> xr.Dataset | None:
    """Return the recording that was written into a file, or None for another's file.

    Raises
    ------
    CorruptFileError
        If parts of it are missing.
    """
    notes = content.notes or ""
    if not str(notes).startswith(MARK):
        return None
    facts = json.loads(str(notes)[len(MARK) :])
    try:
        return _assembled(content, facts)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CorruptFileError(
            message(
                "NWB file of a recording",
                "all of its parts",
                f"{type(error).__name__}: {error}",
                "write it again with to_nwb",
            )
        ) from error


def _assembled(content: Any, facts: dict[str, Any]) -> xr.Dataset:
    series = content
    for step in facts["place"]:
        series = (
            series[step] if hasattr(series, "__getitem__") else getattr(series, step)
        )
    values = np.asarray(series.data[:])
    space = facts["dims"][1]
    if series.rate is not None:
        start = float(series.starting_time or 0.0)
        time = clock(len(values), float(facts["rate"]), start=start)
    else:
        time = np.asarray(series.timestamps[:], dtype=np.float64)
    interfaces = content.processing[MODULE].data_interfaces
    coords: dict[str, Any] = {"time": ("time", time)}
    for dim, table in ((space, "signals"), ("time", "samples")):
        if table in interfaces:
            for name, column in columns_of(interfaces[table]).items():
                coords[name] = (dim, column)
    variables: dict[str, Any] = {"signal": (tuple(facts["dims"]), values)}
    if content.trials is not None:
        columns = columns_of(content.trials)
        columns["onset"] = columns.pop("start_time")
        columns.pop("stop_time")
        variables |= {n: ("event", columns[n]) for n in facts["events"]}
    if content.units is not None:
        ragged = [
            np.asarray(content.units.get_unit_spike_times(i))
            for i in range(len(content.units))
        ]
        owner = np.repeat(np.arange(len(ragged)), [len(t) for t in ragged])
        variables["spike_time"] = ("spike", np.concatenate(ragged))
        variables["spike_neuron"] = ("spike", owner)
    ds = xr.Dataset(variables, coords=coords, attrs=facts["attrs"])
    for name, attrs in facts["variables"].items():
        ds[name].attrs.update(attrs)
    return ds[facts["order"]].assign_attrs(facts["attrs"])
