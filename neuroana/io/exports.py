"""Results out of the house, in formats that any program reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from neuroana.core.checks import check_choice, message, require
from neuroana.core.contract import is_recording
from neuroana.core.errors import ParameterError
from neuroana.core.estimator import Estimator
from neuroana.core.frames import tidy
from neuroana.core.store import atomic_path, write_json
from neuroana.io.derivatives import refuse_raw, write_derivatives
from neuroana.io.nwb_results import write_results


FORMATS = ("tsv", "parquet", "bids", "nwb")


def export(
    result: Any, folder: str | Path, *, format: str = "tsv", name: str | None = None
) -> list[Path]:
    """Write a result as tidy tables, as BIDS derivatives, or as NWB.

    Parameters
    ----------
    result : fitted estimator, Dataset, DataArray, list of DataArrays, Recordings
        What to write. With ``tsv`` and ``parquet`` a list (one entry a recording)
        becomes one table; several recordings go out as ``bids`` or ``nwb``.
    folder : str or Path
        Where the files go; made if needed. For ``bids`` it is the folder of the
        dataset, for example ``STUDY/derivatives/neuroana-states``.
    format : {'tsv', 'parquet', 'bids', 'nwb'}, default='tsv'
        ``tsv`` and ``parquet`` (extra ``parquet``): one tidy table a variable, ``n/a``
        for missing, with a JSON sidecar. ``bids``: a derivatives dataset; one file a
        recording and variable, named by its entities with ``space-``, ``seg-``,
        ``desc-`` and ``stat-``; matrices have the suffix ``relmat``, what runs along
        time ``timeseries``, the rest ``table``; a NetCDF file lies beside. ``nwb``
        (extra ``nwb``): recordings as :func:`to_nwb` writes them, results in the
        processing module ``neuroana``, one file a recording.
    name : str, optional
        Stem of the files; for ``bids`` the name of the dataset.

    Returns
    -------
    list of Path
        The tables (or NWB files). Each table has a sidecar ``.json`` with units,
        attributes and provenance.

    Raises
    ------
    ParameterError
        If the format is unknown, the result is nothing that has a table, or `folder`
        lies inside a raw BIDS dataset (other than its ``derivatives``).
    MissingDependencyError
        If a format is asked for without its package.

    Examples
    --------
    >>> import tempfile
    >>> array = xr.DataArray([1.0, 2.0], dims="state", name="occupancy")
    >>> with tempfile.TemporaryDirectory() as target:
    ...     [p.name for p in export(array, target)]
    ['occupancy.tsv']
    """
    check_choice("format", format, FORMATS)
    if format == "parquet":
        require("pyarrow", "parquet")
    folder = refuse_raw(folder)
    if format == "bids":
        return write_derivatives(_labelled(result), folder, name)
    if format == "nwb":
        return write_results(_labelled(result), folder, name)
    return _write_tables(_parts(result), folder, format, name)


def _write_tables(
    parts: list[tuple[str, Any]], folder: Path, format: str, name: str | None
) -> list[Path]:
    written = []
    for variable, part in parts:
        stem = variable if name is None else name
        if name is not None and len(parts) > 1:
            stem = f"{name}_{variable}"
        target = folder / f"{stem}.{format}"
        frame = tidy(part)
        with atomic_path(target) as partial:
            if format == "tsv":
                frame.to_csv(
                    partial, sep="\t", index=False, na_rep="n/a", lineterminator="\n"
                )
            else:
                frame.to_parquet(partial, index=False)
        first = part[0] if isinstance(part, list) else part
        write_json(
            {"attributes": first.attrs, "columns": list(frame.columns)},
            target.with_suffix(".json"),
        )
        written.append(target)
    return written


def _labelled(result: Any) -> list[tuple[str, Any]]:
    """Parts of a result with recordings whole: they keep events and clock."""
    if is_recording(result):
        return [("signal", result)]
    if isinstance(result, Sequence) and len(result) and is_recording(result[0]):
        return [("signal", list(result))]
    return _parts(result)


def _parts(result: Any) -> list[tuple[str, Any]]:
    if isinstance(result, Estimator):
        result = result.to_dataset()
    if isinstance(result, xr.DataArray):
        return [(str(result.name or "value"), result)]
    if isinstance(result, xr.Dataset):
        outer = result.attrs
        return [
            (str(k), v.assign_attrs({**outer, **v.attrs}))
            for k, v in result.data_vars.items()
        ]
    listed = isinstance(result, list | tuple) and len(result) > 0
    if listed and all(isinstance(part, xr.DataArray) for part in result):
        return [(str(result[0].name or "value"), list(result))]
    raise ParameterError(
        message(
            "argument 'result'",
            "an estimator, Dataset, DataArray or a list of DataArrays",
            type(result).__name__,
        )
    )
