"""Electrical recordings that come as plain arrays: EEG and iEEG with a rate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_names, message
from neuroana.core.errors import ParameterError
from neuroana.core.recording import from_array
from neuroana.io.events import read_events
from neuroana.io.raws import TYPE_BY_NAME, montage_positions, scale_units
from neuroana.io.tables import read_table_file
from neuroana.io.trials import join_trials, trial_events


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
    options: dict[str, Any] = {"names": labels, "coords": coords, "attrs": attrs}
    if table.values.ndim == 3:
        ds = join_trials(
            table.values,
            modality,
            sampling_rate=table.sampling_rate,
            events=trial_events(len(table.values), table.time),
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
