"""Matrices with the names of recordings and regions, and as rows of features."""

from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError
from neuroana.fc.batching import Batch
from neuroana.fc.contract import Operator
from neuroana.fc.gathering import Group
from neuroana.fc.registry import Op


def variable(label: str) -> str:
    """Name in a Dataset; NetCDF takes no slash."""
    return label.replace("/", "_")


def labelled(
    w: np.ndarray,
    coords: dict[str, Any],
    op: Op,
    made: Operator,
    group: Group,
    *,
    similarity: bool = False,
    along: dict[str, np.ndarray] | None = None,
) -> xr.DataArray:
    """W as a DataArray (recording | sample, ..., source, target).

    Windows are samples, with the coordinates recording and start; `along` are further
    coordinates of that dim.
    """
    if similarity and made.distance:
        w = -w
    first = "recording" if group.starts is None else "sample"
    dims = (first, *coords, "source", "target")
    if len(dims) != w.ndim:
        raise ParameterError(
            message(f"operator {op.name!r}", "a name for each further dim",
                    f"{w.ndim - 3} dims, {list(coords)}",
                    "return (w, {'freq': frequencies})")
        )  # fmt: skip
    around: dict[str, Any] = {"source": group.names, "target": group.names}
    for name, values in group.coords.items():
        around[f"source_{name}"] = ("source", values)
        around[f"target_{name}"] = ("target", values)
    if group.starts is None:
        around["recording"] = group.labels
    else:
        around["recording"] = (first, group.origin)
        around["start"] = (first, np.asarray(group.starts))
    entities = {e for own in group.entities for e in own}
    around |= {
        e: (first, [str(own.get(e, "")) for own in group.entities])
        for e in sorted(entities)
    }
    around |= {k: (first, v) for k, v in (along or {}).items()}
    array = xr.DataArray(
        w,
        dims=dims,
        coords={**coords, **around},
        attrs={
            "operator": op.label,
            "family": made.family,
            "directed": int(made.directed),
            "distance": int(made.distance and not similarity),
            "direction": "from source to target" if made.directed else "none",
            "cites": made.source,
        },
    )
    return array if group.several else array[0]


def assembled(
    op: Op,
    made: Operator,
    plan: list[Batch],
    parts: list[Any],
    group: Group,
    *,
    similarity: bool,
    dtype: str,
) -> xr.DataArray:
    """Matrices of all batches in the order of the recordings; NaN where one failed.

    `parts` holds (W, coords, shrinkage) or the exception of each batch of the plan.
    """
    n = len(group.names)
    good = [(b, p) for b, p in zip(plan, parts) if isinstance(p, tuple)]
    coords = good[0][1][1] if good else {}
    shape = good[0][1][0].shape[1:-2] if good else ()
    out = np.full((len(group.values), *shape, n, n), np.nan, dtype)
    amounts = np.full(len(out), np.nan)
    for batch, (w, _, amount) in good:
        if w.shape[1:-2] != shape:
            raise ParameterError(
                message(
                    f"operator {op.name!r}",
                    "the same further dims for all recordings",
                    f"{shape} and {w.shape[1:-2]}, as lengths or rates differ",
                    "ask for an average over that dim, or cut to one length",
                )
            )
        if amount is not None:
            amounts[batch.members] = amount
        if batch.alive.all():
            out[batch.members] = w
            continue
        at = np.flatnonzero(batch.alive)
        for k, one in zip(batch.members, w):
            out[k][..., at[:, None], at] = one
    along = {"shrinkage": amounts} if np.isfinite(amounts).any() else {}
    return labelled(out, coords, op, made, group, similarity=similarity, along=along)


def edges(w: xr.DataArray, made: Operator) -> np.ndarray:
    """Rows (recording, edge) of matrices; distances of logarithms are kept."""
    values = w.to_numpy()
    values = values if w.dims[0] in ("recording", "sample") else values[None]
    n = values.shape[-1]
    diagonal = np.einsum("...ii->...i", values)
    varies = np.isfinite(diagonal).all() and np.ptp(diagonal) > 0
    if made.directed:
        pick = ~np.eye(n, dtype=bool) | varies
        return values[..., pick].reshape(len(values), -1)
    if made.name in ("tangent", "log_euclidean"):
        values = values * np.where(np.eye(n, dtype=bool), 1.0, np.sqrt(2.0))
    rows, columns = np.triu_indices(n, 0 if varies else 1)
    return values[..., rows, columns].reshape(len(values), -1)
