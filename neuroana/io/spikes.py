"""Spike times into recordings: files of times and units, folders of phy."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import ParameterError, SchemaError, ShapeError
from neuroana.io.arrays import ArrayFile, open_arrays
from neuroana.io.files import reader
from neuroana.io.phy import is_phy, read_phy
from neuroana.io.sidecars import entity_attrs
from neuroana.io.spike_counts import bin_spikes, bin_trials, check_bin_width


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
    quality: str | Sequence[str] | None = None,
) -> xr.Dataset:
    """Read spike times and count them in bins.

    Parameters
    ----------
    path : path
        Text of two columns (unit, time) or of one (one unit); NPZ, MAT or HDF5 with
        an array of times and one of unit numbers, or with one array of times a unit
        (MATLAB cells and structs are walked into); or a folder of phy or Kilosort,
        whose ``params.py`` is parsed and never run.
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
    quality : str or sequence of str, optional
        phy: only clusters with these labels (``"good"``); all but ``noise`` when left
        out.

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
    bin_width = check_bin_width(bin_width)
    check_choice("time_units", time_units, TIME_UNITS)
    if Path(path).is_dir():
        given = {"variable": variable, "unit_variable": unit_variable}
        given |= {"trial_variable": trial_variable}
        _check_folder(Path(path), given)
        return read_phy(Path(path), bin_width, quality=quality, start=start, stop=stop)
    if quality is not None:
        raise ParameterError(
            message(f"{path}: argument 'quality'", "a folder of phy", "a file")
        )
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
    return bin_trials(times, index, labels, trials, bin_width, start, stop, attrs)


def _check_folder(path: Path, foreign: dict[str, Any]) -> None:
    if not is_phy(path):
        raise ParameterError(
            message(
                str(path),
                "a folder of phy (params.py and spike_times.npy)",
                sorted(p.name for p in path.iterdir())[:8],
                "name the file that holds the spike times",
            )
        )
    given = [name for name, value in foreign.items() if value is not None]
    if given:
        raise ParameterError(message(f"{path}: options", "those of phy", given))


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
