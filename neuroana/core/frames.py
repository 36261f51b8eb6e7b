"""Labelled results as tidy tables: one value a row, one coordinate a column."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.contract import ENTITIES
from neuroana.core.errors import ShapeError


def tidy(result: Any) -> pd.DataFrame:
    """Turn a labelled result into a tidy table.

    Parameters
    ----------
    result : DataArray, Dataset, or list of them
        Variables of a Dataset that share their dims become columns beside each
        other. A list is stacked, with a column for every entity the parts carry.

    Returns
    -------
    DataFrame
        One column a dim, its further coordinates, and one a variable.

    Raises
    ------
    ShapeError
        If the variables of a Dataset have different dims; take one of them.

    Examples
    --------
    >>> tidy(xr.DataArray([1.0, 2.0], dims="state", coords={"state": [0, 1]},
    ...                   name="occupancy"))
       state  occupancy
    0      0        1.0
    1      1        2.0
    """
    if isinstance(result, list | tuple):
        parts = []
        for number, part in enumerate(result):
            frame = tidy(part)
            entities = {e: part.attrs[e] for e in ENTITIES if e in part.attrs}
            known = entities or {"sequence": number}
            for place, (name, value) in enumerate(known.items()):
                frame.insert(place, name, value)
            parts.append(frame)
        return pd.concat(parts, ignore_index=True)
    if isinstance(result, xr.DataArray):
        result = result.to_dataset(name=str(result.name or "value"))
    if "signal" in result:
        result = result["signal"].to_dataset(name="signal")
    shapes = {tuple(v.dims) for v in result.data_vars.values()}
    if len(shapes) > 1:
        raise ShapeError(
            message(
                "result",
                "variables with the same dims",
                {str(k): v.dims for k, v in result.data_vars.items()},
                "make a table of each: result['name'].na.to_frame()",
            )
        )
    dims = list(next(iter(shapes))) if shapes else []
    shape = tuple(result.sizes[d] for d in dims)
    columns: dict[str, np.ndarray] = {}
    for axis, dim in enumerate(dims):
        labels = (
            result[dim].to_numpy() if dim in result.coords else np.arange(shape[axis])
        )
        columns[str(dim)] = _along(labels, axis, shape)
    for name, coord in result.coords.items():
        if name not in columns and coord.ndim == 1 and coord.dims[0] in dims:
            axis = dims.index(coord.dims[0])
            columns[str(name)] = _along(coord.to_numpy(), axis, shape)
    for name, variable in result.data_vars.items():
        columns[str(name)] = variable.to_numpy().reshape(-1)
    return pd.DataFrame(columns)


def _along(values: np.ndarray, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    place = [1] * len(shape)
    place[axis] = -1
    return np.broadcast_to(values.reshape(place), shape).reshape(-1)
