"""Results as a BIDS derivatives dataset: names, tables, sidecars, NetCDF beside.

Matrices of relations have the suffix ``relmat`` and ``stat-`` with the name of the
measure; series along time ``timeseries``; whatever is neither is a tidy table with
the suffix ``table``.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana import __version__
from neuroana.core.checks import message
from neuroana.core.errors import ParameterError
from neuroana.core.frames import tidy
from neuroana.core.provenance import history
from neuroana.core.recording import events_of
from neuroana.core.store import atomic_path, write_json, write_netcdf


BIDS_VERSION = "1.10.0"
DESCRIPTION = "dataset_description.json"
FOLDERS = {
    "eeg": "eeg",
    "ieeg": "ieeg",
    "fmri": "func",
    "calcium": "ophys",
    "spikes": "ecephys",
}
ENTITIES = {"subject": "sub", "session": "ses", "task": "task", "run": "run"}
AS_ENTITY = re.compile(r"[^a-zA-Z0-9+]")


def refuse_raw(folder: str | Path) -> Path:
    """Return a folder for results, unless it lies inside a raw BIDS dataset.

    The folder ``derivatives`` of a dataset is no part of its raw data.

    Raises
    ------
    ParameterError
        If it is one, naming the dataset and the place to take instead.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     _ = Path(root, DESCRIPTION).write_text('{"Name": "raw"}')
    ...     refuse_raw(Path(root, "derivatives", "states")).name
    'states'
    """
    folder = Path(folder)
    place = Path(os.path.abspath(folder))
    for root in (place, *place.parents):
        if not (root / DESCRIPTION).is_file():
            continue
        kind = _description(root / DESCRIPTION).get("DatasetType", "raw")
        inside = place.relative_to(root).parts
        if kind != "raw" or (inside[:1] == ("derivatives",) and len(inside) > 1):
            return folder
        raise ParameterError(
            message(
                str(folder),
                "a folder outside of the raw data",
                f"one inside the BIDS dataset {root}",
                f"write to {root / 'derivatives' / 'neuroana'} or elsewhere",
            )
        )
    return folder


def _refuse_others(folder: Path) -> None:
    """Raise if a folder is the dataset of another program (fMRIPrep's, say)."""
    if not (folder / DESCRIPTION).is_file():
        return
    makers = _description(folder / DESCRIPTION).get("GeneratedBy") or [{}]
    names = [m.get("Name") for m in makers if isinstance(m, dict)]
    if "neuroana" not in names:
        raise ParameterError(
            message(
                str(folder),
                "a folder of its own",
                f"the dataset of {', '.join(str(n) for n in names)}",
                f"write to {folder.with_name('neuroana')} or elsewhere",
            )
        )


def _description(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_derivatives(
    parts: list[tuple[str, Any]], folder: Path, name: str | None
) -> list[Path]:
    """Write the parts of a result as a derivatives dataset; return its tables."""
    pipeline = name or folder.name
    _refuse_others(folder)
    write_json(
        {
            "Name": pipeline,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "neuroana", "Version": __version__}],
            **_source(folder),
        },
        folder / DESCRIPTION,
    )
    written: list[Path] = []
    for variable, part in parts:
        for piece in part if isinstance(part, list) else [part]:
            for target, write in _files(variable, piece, folder):
                if target in written:
                    raise ParameterError(
                        message(
                            "result",
                            "parts that entities tell apart",
                            f"several named {target.name}",
                            "set attrs subject, session, task and run",
                        )
                    )
                write()
                written.append(target)
    return [p for p in written if p.suffix == ".tsv" and "_events" not in p.stem]


def _source(folder: Path) -> dict[str, Any]:
    place = Path(os.path.abspath(folder))
    for root in place.parents:
        if (root / DESCRIPTION).is_file() and "derivatives" in place.parts:
            url = Path(os.path.relpath(root, place)).as_posix()
            return {"SourceDatasets": [{"URL": f"{url}/"}]}
    return {}


def _files(
    variable: str, part: Any, folder: Path
) -> Iterator[tuple[Path, Callable[[], Any]]]:
    """Every file of a part, and the function that writes it."""
    place, stem = _place(folder, part.attrs)

    def named(rest: str) -> Path:
        return place / f"{stem}{rest}".lstrip("_")

    base, suffix = f"_desc-{_entity(variable)}", ""
    for entities, suffix, table, columns in _tables(variable, part):
        target = named(f"{entities}_{suffix}.tsv")
        yield target, partial(_write_table, table, target)
        sidecar = _sidecar(part, suffix, columns)
        yield (
            target.with_suffix(".json"),
            partial(write_json, sidecar, target.with_suffix(".json")),
        )
    own = part
    if isinstance(part, xr.Dataset):
        base = ""
    else:
        own = part.to_dataset(name=variable).assign_attrs(part.attrs)
        base = f"_stat-{_entity(variable)}" if suffix == "relmat" else base
    target = named(f"{base}_{suffix}.nc")
    yield target, partial(write_netcdf, own, target)
    if isinstance(part, xr.Dataset) and not (marks := events_of(part)).empty:
        target = named("_events.tsv")
        yield target, partial(_write_table, marks, target)


def _write_table(table: pd.DataFrame, target: Path) -> None:
    with atomic_path(target) as part:
        table.to_csv(part, sep="\t", index=False, na_rep="n/a", lineterminator="\n")


def _place(folder: Path, attrs: dict) -> tuple[Path, str]:
    known = {s: _entity(attrs[e]) for e, s in ENTITIES.items() if attrs.get(e)}
    place = folder
    for entity in ("sub", "ses"):
        if "sub" in known and entity in known:
            place = place / f"{entity}-{known[entity]}"
    kind = FOLDERS.get(str(attrs.get("modality")))
    place = place / kind if kind and "sub" in known else place
    for attribute, entity in (("space", "space"), ("atlas", "seg")):
        if attrs.get(attribute):
            known[entity] = _entity(str(attrs[attribute]).partition(".")[0])
    return place, "_".join(f"{k}-{v}" for k, v in known.items())


def _entity(value: Any) -> str:
    return AS_ENTITY.sub("", str(value)) or "n"


def _tables(
    variable: str, part: Any
) -> Iterator[tuple[str, str, pd.DataFrame, dict[str, Any]]]:
    """Entities, suffix, table and what its columns are, for each file of a part."""
    array = part["signal"] if isinstance(part, xr.Dataset) else part
    dims = [str(d) for d in array.dims]
    label = _entity(variable)
    if len(dims) >= 2 and _is_matrix(array):
        targets = [str(v) for v in _labels(array, dims[-1])]
        columns = {"rows": [str(v) for v in _labels(array, dims[-2])], "measure": label}
        for entities, matrix in _leading(array, dims[:-2]):
            table = pd.DataFrame(matrix, columns=targets)
            yield f"{entities}_stat-{label}", "relmat", table, columns
    elif dims[0] == "time" and len(dims) == 2:
        names = [str(v) for v in _labels(array, dims[1])]
        table = pd.DataFrame(array.to_numpy(), columns=names)
        entity = "" if isinstance(part, xr.Dataset) else f"_desc-{label}"
        yield entity, "timeseries", table, {"columns": dims[1]}
    elif dims == ["time"]:
        table = pd.DataFrame({label: array.to_numpy()})
        yield f"_desc-{label}", "timeseries", table, {}
    else:
        table = tidy(array.rename(variable))
        yield f"_desc-{label}", "table", table, {"columns": list(table.columns)}


def _is_matrix(array: xr.DataArray) -> bool:
    rows, columns = array.dims[-2:]
    if array.shape[-1] != array.shape[-2] or "time" in (rows, columns):
        return False
    same = np.array_equal(_labels(array, rows), _labels(array, columns))
    return same or {rows, columns} == {"source", "target"}


def _labels(array: xr.DataArray, dim: Any) -> np.ndarray:
    known = dim in array.coords
    return array[dim].to_numpy() if known else np.arange(array.sizes[dim])


def _leading(array: xr.DataArray, dims: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    for index in np.ndindex(array.shape[: len(dims)]):
        parts = [
            f"{_entity(d)}{_entity(_labels(array, d)[i])}" for d, i in zip(dims, index)
        ]
        entity = f"_desc-{_entity(''.join(parts))}" if parts else ""
        yield entity, array.to_numpy()[index]


def _sidecar(part: Any, suffix: str, columns: dict[str, Any]) -> dict[str, Any]:
    signal = part["signal"] if isinstance(part, xr.Dataset) else part
    attrs = {**signal.attrs, **part.attrs}
    attrs.pop("provenance", None)
    found: dict[str, Any] = {
        "Provenance": history(part),
        **columns,
        "Attributes": attrs,
    }
    if attrs.get("source"):
        found["Sources"] = [attrs["source"]]
    if attrs.get("units"):
        found["Units"] = attrs["units"]
    if suffix == "timeseries" and "time" in part.coords:
        time = part["time"].to_numpy()
        found["StartTime"] = float(time[0])
        rate = attrs.get("sampling_rate")
        if rate is None and len(time) > 1:
            rate = (len(time) - 1) / float(time[-1] - time[0])
        if rate is not None:
            found["SamplingFrequency"] = float(rate)
    return found
