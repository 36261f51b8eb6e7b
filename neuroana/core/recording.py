"""The recording contract: one ``xarray.Dataset`` with the variable ``signal``.

=========  =======================  =======================================
modality   dims of ``signal``       units
=========  =======================  =======================================
eeg        (time, channel)          V, or 1 where the scale is unknown
ieeg       (time, channel)          V, or 1 where the scale is unknown
fmri       (time, roi | voxel)      as stored, percent, zscore
calcium    (time, neuron)           dF/F or as stored
spikes     (time, neuron)           count
=========  =======================  =======================================

``time`` is in seconds, float64, strictly increasing. A boolean coordinate ``good``
along it is False where the signal must not be used; such samples stay on the clock.
Events, where there are any, are the variables ``onset``, ``duration`` (both in
seconds) and ``trial_type`` along the dim ``event``. Missing samples are NaN.
Nothing is subclassed: whatever xarray can do with a Dataset works on a recording.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.contract import (
    ENTITIES,
    MODALITIES,
    SCHEMA,
    check,
    good_samples,
    good_spans,
    is_recording,
    label_of,
    rate_of,
    same_clock,
)
from neuroana.core.errors import ParameterError, SchemaError, ShapeError


__all__ = [
    "ENTITIES",
    "MODALITIES",
    "SCHEMA",
    "check",
    "clock",
    "events_of",
    "from_array",
    "good_samples",
    "good_spans",
    "is_recording",
    "label_of",
    "rate_of",
    "same_clock",
    "space_dim",
    "with_events",
]
EVENT_COLUMNS = ("onset", "duration", "trial_type")


def clock(n_samples: int, sampling_rate: float, *, start: float = 0.0) -> np.ndarray:
    """Sample times in seconds, ``start + arange(n) / rate``.

    The one place where times are made from a rate, so that two recordings with the
    same rate and start have bit-equal clocks.

    Examples
    --------
    >>> clock(3, 2.0).tolist()
    [0.0, 0.5, 1.0]
    """
    return start + np.arange(n_samples) / float(sampling_rate)


def from_array(
    values: Any,
    modality: str,
    *,
    sampling_rate: float | None = None,
    time: Any = None,
    names: Sequence | None = None,
    units: str | None = None,
    dim: str | None = None,
    coords: Mapping[str, Any] | None = None,
    good: Any = None,
    events: pd.DataFrame | None = None,
    start: float = 0.0,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Make a recording out of an array of samples.

    Parameters
    ----------
    values : array (time, space)
        One sample a row; NaN marks a missing sample. Dask arrays stay lazy.
    modality : {'eeg', 'ieeg', 'fmri', 'calcium', 'spikes'}
        What was recorded.
    sampling_rate : float, optional
        In Hz. May be left out when `time` is given.
    time : array (time,), optional
        Sample times in seconds; made from `sampling_rate` and `start` otherwise.
    names : sequence of str or int, optional
        Names of channels, regions or neurons; numbered when left out.
    units : str, optional
        Unit of `values`; default is the modality's own.
    dim : str, optional
        Name of the second dim where a modality allows two (``'voxel'``).
    coords : mapping, optional
        Further coordinates along the second dim, for example ``{'bad': [...]}``.
    good : array of bool (time,), optional
        False where the signal must not be used.
    events : DataFrame, optional
        Columns ``onset``, ``duration``, ``trial_type`` and any further ones.
    start : float, default=0
        Time of the first sample in seconds.
    attrs : mapping, optional
        ``subject``, ``session``, ``task``, ``run``, ``source``, ``synthetic`` and
        others; text, numbers and lists only.

    Returns
    -------
    Dataset
        A recording that passes :func:`check`.

    Raises
    ------
    ShapeError, SchemaError, UnitError, ParameterError
        If the parts do not fit together.

    Examples
    --------
    >>> rec = from_array(np.zeros((4, 2)) + 1e-5, "eeg", sampling_rate=2.0)
    >>> dict(rec.signal.sizes)
    {'time': 4, 'channel': 2}
    """
    kind = MODALITIES[check_choice("modality", modality, MODALITIES)]
    space = check_choice("dim", dim or kind.space[0], kind.space)
    values = values if hasattr(values, "dask") else np.asarray(values)
    if values.ndim != 2:
        raise ShapeError(
            message(
                "argument 'values'",
                f"two dims (time, {space})",
                f"shape {values.shape}",
                "put one sample in a row",
            )
        )
    n_samples, n_space = values.shape
    if time is None:
        if sampling_rate is None:
            raise ParameterError(
                message(
                    "argument 'sampling_rate'",
                    "the rate in Hz",
                    "nothing, and no 'time' either",
                    "pass sampling_rate=",
                )
            )
        check_number("sampling_rate", sampling_rate, minimum=0.0, open_ends=True)
        time = clock(n_samples, sampling_rate, start=start)
    time = np.asarray(time, dtype=np.float64)
    if sampling_rate is None and len(time) > 1:
        sampling_rate = rate_of(time)
    if names is None:
        numbers = range(n_space)
        numbered = space in ("neuron", "voxel")
        names = numbers if numbered else [f"{space}{i}" for i in numbers]
    for what, given, wanted in (("time", time, n_samples), (space, names, n_space)):
        if len(given) != wanted:
            raise ShapeError(message(f"{what!r}", f"{wanted} entries", len(given)))
    along_time: dict[str, Any] = {"time": ("time", time, {"units": "s"})}
    if good is not None:
        along_time["good"] = ("time", np.asarray(good, dtype=bool))
    along_space = {
        name: (space, np.asarray(value)) for name, value in (coords or {}).items()
    }
    rate = float(sampling_rate) if sampling_rate is not None else math.nan
    units = units or (kind.units[0] if kind.units else "1")
    signal = xr.DataArray(
        values,
        dims=("time", space),
        coords={**along_time, space: (space, _labels(names)), **along_space},
        attrs={"units": units, "sampling_rate": rate, "modality": modality},
    )
    given = {k: v for k, v in (attrs or {}).items() if v is not None}
    ds = xr.Dataset(
        {"signal": signal},
        attrs={
            "modality": modality,
            "sampling_rate": rate,
            "synthetic": 0,
            **given,
            "neuroana_schema": SCHEMA,
        },
    )
    if events is not None and len(events):
        ds = with_events(ds, events)
    return check(ds)


def _labels(names: Sequence) -> np.ndarray:
    labels = np.asarray(names)
    return labels.astype(str).astype(object) if labels.dtype.kind in "OUS" else labels


def with_events(ds: xr.Dataset, events: pd.DataFrame) -> xr.Dataset:
    """Return `ds` with the rows of a BIDS events table along the dim ``event``.

    Parameters
    ----------
    ds : Dataset
        A recording; events that it had are replaced.
    events : DataFrame
        ``onset`` in seconds on the recording's clock; ``duration`` and
        ``trial_type`` are filled with 0 and 'n/a' where they are missing.

    Examples
    --------
    >>> rec = from_array(np.ones((4, 1)), "calcium", sampling_rate=2.0)
    >>> events_of(with_events(rec, pd.DataFrame({"onset": [0.5]})))
       onset  duration trial_type
    0    0.5       0.0        n/a
    """
    if "onset" not in events:
        raise SchemaError(
            message("events", "a column 'onset' in seconds", list(events.columns))
        )
    table = events.reset_index(drop=True)
    columns: dict[str, Any] = {
        "onset": table["onset"].to_numpy(np.float64),
        "duration": np.zeros(len(table)),
        "trial_type": np.full(len(table), "n/a", dtype=object),
    }
    for name in table.columns:
        column = table[name]
        if name == "duration":
            columns[name] = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
        elif name != "onset":
            number = pd.api.types.is_numeric_dtype(column) and name != "trial_type"
            columns[str(name)] = (
                column.to_numpy()
                if number
                else column.fillna("n/a").astype(str).to_numpy(object)
            )
    old = [v for v in ds.variables if "event" in ds[v].dims]
    ds = ds.drop_vars(old)
    ds = ds.assign({name: ("event", column) for name, column in columns.items()})
    ds["onset"].attrs["units"] = ds["duration"].attrs["units"] = "s"
    return ds


def events_of(ds: xr.Dataset) -> pd.DataFrame:
    """Events of a recording as a BIDS table; empty where there are none.

    Examples
    --------
    >>> events_of(from_array(np.ones((4, 1)), "calcium", sampling_rate=2.0)).empty
    True
    """
    if "onset" not in ds:
        return pd.DataFrame({name: [] for name in EVENT_COLUMNS})
    names = [v for v in ds.data_vars if ds[v].dims == ("event",)]
    return pd.DataFrame({name: ds[name].to_numpy() for name in names})


def space_dim(ds: xr.Dataset | xr.DataArray) -> str:
    """Name of the dim that is not time.

    Examples
    --------
    >>> space_dim(from_array(np.ones((4, 1)), "calcium", sampling_rate=2.0))
    'neuron'
    """
    signal = ds["signal"] if isinstance(ds, xr.Dataset) else ds
    dims = [str(d) for d in signal.dims if d != "time"]
    if len(dims) != 1:
        raise ShapeError(message("'signal'", "dims (time, space)", signal.dims))
    return dims[0]
