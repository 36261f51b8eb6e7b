"""Spike times into recordings: binned counts, and the times themselves aside.

The times stand in the variables ``spike_time`` (seconds) and ``spike_neuron`` (index
along ``neuron``) on the dim ``spike``, sorted by neuron, then time.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError, SchemaError, ShapeError
from neuroana.core.recording import from_array
from neuroana.io.arrays import ArrayFile, open_arrays
from neuroana.io.files import reader
from neuroana.io.sidecars import entity_attrs
from neuroana.io.trials import join_trials


TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
TIME_NAMES = re.compile(r"spike_?times?|^times?$|^t$|timestamps", re.IGNORECASE)
UNIT_NAMES = re.compile(
    r"neuron(_?ids?)?$|unit(_?ids?)?$|clusters?(_?ids?)?$|spike_clusters", re.IGNORECASE
)
TRIAL_NAMES = re.compile(r"trials?(_?ids?)?$", re.IGNORECASE)


@reader
def read_spikes(
    path: str | Path,
    *,
    bin_width: float | None = None,
    variable: str | None = None,
    unit_variable: str | None = None,
    trial_variable: str | None = None,
    time_units: str = "s",
    start: float | None = None,
    stop: float | None = None,
) -> xr.Dataset:
    """Read spike times and count them in bins.

    Parameters
    ----------
    path : path
        Text of two columns (unit, time) or of one (one unit); NPZ, MAT or HDF5 with
        an array of times and one of unit numbers, or with one array of times a unit
        (MATLAB cells and structs are walked into).
    bin_width : float
        Width of the bins in seconds.
    variable : str, optional
        Array of the times; or, with one array a unit, what their names start with
        (``"spikes"`` takes ``spikes[0,0][0,3].time``).
    unit_variable, trial_variable : str, optional
        Arrays with the unit, and the trial, of each spike. With trials, times count
        from the start of each; trials stand end to end with one missing bin between.
    time_units : {'s', 'ms', 'us'}, default='s'
        What the file's times are in; ``start`` and ``stop`` are in seconds.
    start, stop : float, optional
        Span of the recording (of each trial) in seconds; when left out, the bins that
        hold the first and the last spike: the file does not say more. Spikes outside
        are left out, and ``attrs["n_spikes_outside"]`` counts them.

    Returns
    -------
    Dataset
        Counts with dims (time, neuron), ``time`` at the left edge of each bin.

    Raises
    ------
    ParameterError, SchemaError, ShapeError
        If times or units cannot be told, or do not fit together.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "spikes.txt")
    ...     _ = path.write_text("1 0.05\\n1 0.15\\n2 0.17\\n")
    ...     rec = read_spikes(path, bin_width=0.1)
    >>> rec.signal.values.tolist(), rec.neuron.values.tolist()
    ([[1, 0], [1, 1]], [1, 2])
    """
    if bin_width is None:
        raise ParameterError(
            message(
                "argument 'bin_width'",
                "the width of the bins in seconds",
                "nothing",
                "pass bin_width=0.02 or what suits the question",
            )
        )
    check_choice("time_units", time_units, TIME_UNITS)
    file = open_arrays(path)
    found = _find(file, variable, unit_variable, trial_variable)
    times, units, trials = found
    times = times.astype(np.float64) * TIME_UNITS[time_units]
    if not np.isfinite(times).all():
        raise SchemaError(message(f"{file.path}: spike times", "finite", "NaN or inf"))
    attrs = {**entity_attrs(file.path), "source": file.path.name}
    labels = np.unique(units)
    index = np.searchsorted(labels, units)
    if trials is None:
        ragged = [times[index == i] for i in range(len(labels))]
        return bin_spikes(
            ragged,
            bin_width,
            names=labels.tolist(),
            start=start,
            stop=stop,
            attrs=attrs,
        )
    return _bin_trials(times, index, labels, trials, bin_width, start, stop, attrs)


def _find(
    file: ArrayFile,
    variable: str | None,
    unit_variable: str | None,
    trial_variable: str | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    plain = [n for n in file.shapes if n != "table"]
    if "table" in file and not plain:
        return (*_two_columns(file), None)
    times_name = variable or next((n for n in plain if TIME_NAMES.search(n)), None)
    unit_name = unit_variable or next((n for n in plain if UNIT_NAMES.search(n)), None)
    many = [n for n in plain if variable is None or n.startswith(variable)]
    if times_name is not None and times_name in file and unit_name is not None:
        trial = trial_variable or next((n for n in plain if TRIAL_NAMES.match(n)), None)
        parts = [file[times_name].ravel(), file[unit_name].ravel()]
        parts += [file[trial].ravel()] if trial else []
        if len({len(p) for p in parts}) > 1:
            raise ShapeError(
                message(
                    f"{file.path}: spikes",
                    "as many units as times",
                    [len(p) for p in parts],
                )
            )
        return parts[0], parts[1], parts[2] if trial else None
    groups = _one_a_unit(file, many)
    if not groups:
        raise ParameterError(
            message(
                f"{file.path}: spike times",
                "times and units, or one array of times a unit",
                file.listing(),
                "pass variable= and unit_variable=",
            )
        )
    units = np.repeat(np.arange(len(groups)), [g.size for g in groups])
    return np.concatenate(groups), units, None


def _two_columns(file: ArrayFile) -> tuple[np.ndarray, np.ndarray]:
    table = file["table"]
    if table.shape[1] == 1:
        return table[:, 0], np.zeros(len(table), dtype=int)
    whole = (table == np.round(table)).all(axis=0)
    if table.shape[1] != 2 or whole.all() or not whole.any():
        raise ParameterError(
            message(
                str(file.path),
                "one column of whole unit numbers and one of times",
                f"{table.shape[1]} columns, {int(whole.sum())} of them whole",
                "name the columns 'unit' and 'time' in a first line",
            )
        )
    unit = int(np.argmax(whole))
    return table[:, 1 - unit], table[:, unit].astype(int)


def _one_a_unit(file: ArrayFile, names: Sequence[str]) -> list[np.ndarray]:
    leaves = [n for n in names if n.endswith((".time", ".times"))] or list(names)
    groups = []
    for name in leaves:
        shape = file.shapes[name]
        if sum(k > 1 for k in shape) <= 1 and int(np.prod(shape)) >= 1:
            values = file[name]
            if values.dtype.kind in "fiu":
                groups.append(values.ravel())
    return groups


def bin_spikes(
    times: Sequence[Any],
    bin_width: float,
    *,
    names: Sequence | None = None,
    start: float | None = None,
    stop: float | None = None,
    coords: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Count spikes in bins; the times are kept beside the counts.

    Parameters
    ----------
    times : sequence of array
        Times of each unit in seconds.
    bin_width : float
        In seconds.
    names : sequence, optional
        Names of the units.
    start, stop : float, optional
        As for :func:`read_spikes`.
    coords, attrs : mapping, optional
        Coordinates along the units; attributes.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> bin_spikes([[0.1, 0.2], [0.9]], 0.5, start=0.0, stop=1.0).signal.values.tolist()
    [[2, 0], [0, 1]]
    """
    check_number("bin_width", bin_width, minimum=0.0, open_ends=True)
    ragged = [np.sort(np.asarray(t, dtype=np.float64).ravel()) for t in times]
    joined = np.concatenate(ragged) if ragged else np.empty(0)
    start, n_bins = _span(joined, bin_width, start, stop)
    counts = np.zeros((n_bins, len(ragged)), dtype=np.int64)
    kept, outside = [], 0
    for unit, each in enumerate(ragged):
        bins = np.floor((each - start) / bin_width + 1e-9).astype(int)
        inside = (bins >= 0) & (bins < n_bins)
        counts[:, unit] = np.bincount(bins[inside], minlength=n_bins)
        kept.append(each[inside])
        outside += int((~inside).sum())
    ds = from_array(
        counts,
        "spikes",
        sampling_rate=1.0 / bin_width,
        names=list(names if names is not None else range(len(ragged))),
        start=start,
        coords=coords,
        attrs={**(attrs or {}), "bin_width": float(bin_width)},
    )
    if outside:
        ds = ds.assign_attrs(n_spikes_outside=outside)
    return _keep_times(ds, kept)


def _span(
    times: np.ndarray, bin_width: float, start: float | None, stop: float | None
) -> tuple[float, int]:
    if not len(times) and (start is None or stop is None):
        raise ParameterError(
            message(
                "spike times", "at least one spike", "none", "pass start= and stop="
            )
        )
    if start is None:
        start = float(np.floor(times.min() / bin_width + 1e-9) * bin_width)
    if stop is None:
        n_bins = int(np.floor((times.max() - start) / bin_width + 1e-9)) + 1
    else:
        n_bins = round((stop - start) / bin_width)
    if n_bins < 1:
        raise ParameterError(
            message("arguments 'start' and 'stop'", "at least one bin", (start, stop))
        )
    return start, n_bins


def _keep_times(ds: xr.Dataset, ragged: Sequence[np.ndarray]) -> xr.Dataset:
    owner = np.repeat(np.arange(len(ragged)), [len(t) for t in ragged])
    joined = np.concatenate(ragged) if len(ragged) else np.empty(0)
    return ds.assign(
        spike_time=("spike", joined, {"units": "s"}), spike_neuron=("spike", owner)
    )


def _bin_trials(
    times: np.ndarray,
    index: np.ndarray,
    labels: np.ndarray,
    trials: np.ndarray,
    bin_width: float,
    start: float | None,
    stop: float | None,
    attrs: dict[str, Any],
) -> xr.Dataset:
    check_number("bin_width", bin_width, minimum=0.0, open_ends=True)
    start, n_bins = _span(times, bin_width, start, stop)
    numbers = np.unique(trials)
    trial = np.searchsorted(numbers, trials)
    bins = np.floor((times - start) / bin_width + 1e-9).astype(int)
    inside = (bins >= 0) & (bins < n_bins)
    counts = np.zeros((len(numbers), n_bins, len(labels)), dtype=np.float32)
    np.add.at(counts, (trial[inside], bins[inside], index[inside]), 1.0)
    if (~inside).any():
        attrs = {**attrs, "n_spikes_outside": int((~inside).sum())}
    ds = join_trials(
        counts,
        "spikes",
        sampling_rate=1.0 / bin_width,
        names=labels,
        attrs={**attrs, "bin_width": float(bin_width), "epoch_start": float(start)},
    )
    ds = ds.assign_coords(trial=("time", np.append(numbers, -1)[ds["epoch"].values]))
    placed = times - start + trial * (n_bins + 1) * bin_width
    ragged = [np.sort(placed[inside & (index == i)]) for i in range(len(labels))]
    return _keep_times(ds, ragged)


def spike_times(rec: xr.Dataset) -> list[np.ndarray]:
    """Times of each unit's spikes in seconds, as they were read.

    Examples
    --------
    >>> [t.tolist() for t in spike_times(bin_spikes([[0.2, 0.1], [0.9]], 0.5))]
    [[0.1, 0.2], [0.9]]
    """
    if "spike_time" not in rec:
        raise SchemaError(
            message(
                "recording",
                "the variables spike_time and spike_neuron",
                list(rec.data_vars),
                "read it with read_spikes, or make it with bin_spikes",
            )
        )
    owner, times = rec["spike_neuron"].to_numpy(), rec["spike_time"].to_numpy()
    return [times[owner == i] for i in range(rec.sizes["neuron"])]
