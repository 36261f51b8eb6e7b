"""Results out of the house: tidy tables in formats that any program reads."""

from pathlib import Path
from typing import Any

import xarray as xr

from neuroana.core.checks import check_choice, message, require
from neuroana.core.errors import ParameterError
from neuroana.core.estimator import Estimator
from neuroana.core.frames import tidy
from neuroana.core.store import atomic_path, write_json


FORMATS = ("tsv", "parquet")


def export(
    result: Any, folder: str | Path, *, format: str = "tsv", name: str | None = None
) -> list[Path]:
    """Write a result as tidy tables, one file a variable, with a JSON sidecar.

    Parameters
    ----------
    result : fitted estimator, Dataset, DataArray, or list of DataArrays
        What to write. A list (one entry a recording) becomes one table.
    folder : str or Path
        Where the files go; made if needed.
    format : {'tsv', 'parquet'}, default='tsv'
        TSV as BIDS writes it (``n/a`` for missing), or Parquet (extra ``parquet``).
    name : str, optional
        Stem of the files; the variable's name otherwise.

    Returns
    -------
    list of Path
        The tables. Each has a sidecar ``.json`` with units, attributes and
        provenance.

    Raises
    ------
    ParameterError
        If the format is unknown or the result is nothing that has a table.
    MissingDependencyError
        If Parquet is asked for without its package.

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
    written, parts = [], _parts(result)
    for variable, part in parts:
        stem = variable if name is None else name
        if name is not None and len(parts) > 1:
            stem = f"{name}_{variable}"
        target = Path(folder) / f"{stem}.{format}"
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
