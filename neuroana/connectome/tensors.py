"""Affinity tensors with labels: dims, layouts, and where they were not observed.

| layout      | dims                  | further coordinates                         |
| ----------- | --------------------- | ------------------------------------------- |
| "aligned"   | (pair, time, animal)  | one clock for all animals                   |
| "concat"    | (pair, time)          | `animal` along time, clocks of their own    |
| "single"    | (pair, time)          |                                             |
| "symmetric" | (source, target, time)| `animal` along time if there are several    |

`pair` carries the plain coordinates `source` and `target`, and for every coordinate c
of the neurons `source_c` and `target_c`. NaN means that a pair was not observed.
"""

from typing import Any

import numpy as np
import xarray as xr

from neuroana.connectome.affinity import fold, n_neurons_of, pair_indices
from neuroana.core.checks import check_choice, message
from neuroana.core.errors import NeuroanaError, ParameterError, SchemaError, ShapeError


LAYOUTS = ("aligned", "concat", "single", "symmetric")


class TensorSizeError(NeuroanaError, MemoryError):
    """A tensor would not fit into the memory that it may take."""


def pair_coords(
    names: np.ndarray, coords: dict[str, np.ndarray], *, repeats: int = 1
) -> dict[str, Any]:
    """Coordinates along `pair` for a list of neurons."""
    i, j = pair_indices(len(names))
    i, j = np.tile(i, repeats), np.tile(j, repeats)
    out = {"source": ("pair", names[i]), "target": ("pair", names[j])}
    for key, values in coords.items():
        out[f"source_{key}"] = ("pair", values[i])
        out[f"target_{key}"] = ("pair", values[j])
    if repeats == 2:
        signs = np.repeat(["co", "anti"], len(i) // 2)
        out["sign"] = ("pair", signs)
    return out


def neurons_of(tensor: xr.DataArray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Names of the neurons behind `pair`, and their coordinates.

    Examples
    --------
    >>> tensor = label(np.ones((3, 4)), np.array(["a", "b", "c"]), np.arange(4.0))
    >>> neurons_of(tensor)[0].tolist()
    ['a', 'b', 'c']
    """
    if "source" not in tensor.coords:
        return np.arange(n_neurons_of(tensor.sizes["pair"])), {}

    def along(key: str) -> np.ndarray:
        first, second = tensor[f"source{key}"], tensor[f"target{key}"]
        return np.concatenate([first.values[:1], second.values[: n - 1]])

    n = n_neurons_of(tensor.sizes["pair"] // (2 if "sign" in tensor.coords else 1))
    keys = [str(c)[7:] for c in tensor.coords if str(c).startswith("source_")]
    return along(""), {k: along(f"_{k}") for k in keys}


def label(
    values: np.ndarray,
    names: np.ndarray,
    time: np.ndarray,
    *,
    animal: Any = None,
    coords: dict[str, np.ndarray] | None = None,
    along_time: dict[str, np.ndarray] | None = None,
    attrs: dict[str, Any] | None = None,
) -> xr.DataArray:
    """Label (pair, time) or (pair, time, animal) values."""
    n = len(names)
    repeats = 2 if len(values) == n * (n - 1) else 1
    dims = ("pair", "time", "animal")[: values.ndim]
    out = xr.DataArray(
        values,
        dims=dims,
        coords={**pair_coords(names, coords or {}, repeats=repeats), "time": time},
        name="affinity",
        attrs=attrs or {},
    )
    out["time"].attrs["units"] = "s"
    for key, series in (along_time or {}).items():
        out[key] = ("time", series)
    if animal is not None:
        out["animal"] = ("animal" if values.ndim == 3 else "time", animal)
    return out


def as_tensor(X: Any, layout: str) -> xr.DataArray:
    """Check an affinity tensor and bring it into a layout.

    Parameters
    ----------
    X : DataArray or ndarray
        (pair, time) or (pair, time, animal); for "symmetric" also
        (source, target, time).
    layout : {"aligned", "concat", "single", "symmetric"}

    Raises
    ------
    ParameterError, SchemaError, ShapeError, TypeError
        If the values or the shape cannot be used; the message says why.

    Examples
    --------
    >>> X = np.ones((3, 4, 2))
    >>> as_tensor(X, "concat").dims, as_tensor(X, "concat").shape
    (('pair', 'time'), (3, 8))
    """
    check_choice("layout", layout, LAYOUTS)
    X = labelled(X, layout)
    check_values(X)
    if layout == "symmetric":
        return as_symmetric(X)
    if layout == "aligned":
        return as_aligned(X)
    if X.ndim == 3:
        if layout == "single" and X.sizes["animal"] > 1:
            raise ShapeError(
                message(
                    "layout 'single'",
                    "one animal",
                    X.sizes["animal"],
                    "layout='concat' or 'aligned'",
                )
            )
        X = concatenated(X)
    if layout == "single" and len(animals_of(X)) > 1:
        raise ShapeError(
            message(
                "layout 'single'", "one animal", len(animals_of(X)), "layout='concat'"
            )
        )
    return X


def labelled(X: Any, layout: str) -> xr.DataArray:
    """A DataArray of known dims from whatever came."""
    if isinstance(X, xr.Dataset) and "affinity" in X:
        X = X["affinity"]
    if not isinstance(X, xr.DataArray):
        values = np.asarray(X)
        symmetric = (
            layout == "symmetric"
            and values.ndim == 3
            and len(set(values.shape[:2])) < 2
        )
        dims = ("source", "target", "time") if symmetric else ("pair", "time", "animal")
        if values.ndim not in (2, 3):
            raise ShapeError(
                message("X", "dims (pair, time[, animal])", f"shape {values.shape}")
            )
        X = xr.DataArray(values, dims=dims[: values.ndim])
        if not symmetric:
            names = np.arange(n_neurons_of(len(values)))
            X = X.assign_coords(pair_coords(names, {}))
    kind = np.dtype(X.dtype).kind
    if kind not in "fiub":
        raise TypeError(message("X", "real numbers", f"dtype {X.dtype}"))
    if kind != "f" or X.dtype.itemsize < 4:
        X = X.astype(np.float32)
    allowed = {"pair", "time", "animal"}
    if "pair" in X.dims:
        if not set(X.dims) <= allowed or "time" not in X.dims:
            raise ShapeError(message("X", "dims (pair, time[, animal])", X.dims))
        n_neurons_of(X.sizes["pair"] // (2 if "sign" in X.coords else 1))
        return X.transpose("pair", "time", ...)
    if set(X.dims) != {"source", "target", "time"}:
        raise ShapeError(message("X", "dims (pair, time[, animal])", X.dims))
    return X.transpose("source", "target", "time")


def check_values(X: xr.DataArray) -> None:
    """Refuse negative and infinite entries, naming the first."""
    values = X.to_numpy()
    low, high = np.nanmin(values, initial=0.0), np.nanmax(values, initial=0.0)
    if low < 0:
        raise ParameterError(
            message(
                "X",
                "non-negative affinities",
                f"{low:.4g} at {place_of(X, np.nanargmin(values))}",
                "rectify them, or keep signs apart with kind='signed'",
            )
        )
    if np.isinf(high):
        raise ParameterError(
            message(
                "X",
                "finite affinities",
                f"inf at {place_of(X, np.argmax(np.isinf(values)))}",
                "mark what was not observed with NaN",
            )
        )
    if not np.isfinite(values).any():
        raise ParameterError(message("X", "at least one observed pair", "none"))


def place_of(X: xr.DataArray, flat: Any) -> str:
    """Name the entry with a flat index by its coordinates."""
    where = np.unravel_index(int(flat), X.shape)
    parts = []
    for dim, index in zip(X.dims, where):
        if dim == "pair" and "source" in X.coords:
            i, j = X["source"].values[index], X["target"].values[index]
            parts.append(f"pair {i}-{j}")
        else:
            value = X[dim].values[index] if dim in X.coords else index
            parts.append(f"{dim} {value}")
    return ", ".join(parts)


def animals_of(X: xr.DataArray) -> list[str]:
    """Names of the animals of a tensor, in their order.

    Examples
    --------
    >>> animals_of(xr.DataArray(np.ones((3, 2)), dims=("pair", "time")))
    ['animal-0']
    """
    if "animal" in X.dims and "animal" not in X.coords:
        return [f"animal-{w}" for w in range(X.sizes["animal"])]
    if "animal" not in X.coords:
        return ["animal-0"]
    return list(dict.fromkeys(np.atleast_1d(X["animal"].values).tolist()))


def as_aligned(X: xr.DataArray) -> xr.DataArray:
    """(pair, time, animal) from a tensor whose animals share one clock."""
    if X.ndim == 3:
        if "pair" not in X.dims:
            raise ShapeError(
                message("layout 'aligned'", "dims (pair, time, animal)", X.dims)
            )
        return X
    names = animals_of(X)
    if len(names) == 1:
        return X.drop_vars("animal", errors="ignore").expand_dims(animal=names, axis=2)
    parts = [X.isel(time=np.flatnonzero(X["animal"].values == n)) for n in names]
    lengths = [p.sizes["time"] for p in parts]
    clocks = [p["time"].values - p["time"].values[0] for p in parts]
    odd = [
        n
        for n, c in zip(names, clocks)
        if len(c) != lengths[0]
        or np.abs(c - clocks[0]).max() > 0.01 * max(clocks[0][-1], 1.0) / lengths[0]
    ]
    if odd:
        raise SchemaError(
            message(
                "layout 'aligned'",
                f"the clock of {names[0]} ({lengths[0]} samples) in all animals",
                f"others in {odd[:6]}",
                "use layout='concat' for recordings without a common clock, or align "
                "them to stimuli",
            )
        )
    values = np.stack([p.to_numpy() for p in parts], axis=2)
    first = parts[0].drop_vars("animal")
    return xr.DataArray(
        values, dims=("pair", "time", "animal"), name=X.name, attrs=X.attrs,
        coords={**first.coords, "animal": names},
    )  # fmt: skip


def concatenated(X: xr.DataArray) -> xr.DataArray:
    """(pair, time) with the animals of (pair, time, animal) one after the other."""
    n_time, n_animals = X.sizes["time"], X.sizes["animal"]
    values = X.transpose("pair", "animal", "time").to_numpy()
    along = {
        str(k): ("time", np.tile(c.values, n_animals))
        for k, c in X.coords.items()
        if c.dims == ("time",)
    }
    pairs = {k: c for k, c in X.coords.items() if c.dims == ("pair",)}
    out = xr.DataArray(
        values.reshape(len(values), -1), dims=("pair", "time"), name=X.name,
        attrs=X.attrs, coords={**pairs, **along},
    )  # fmt: skip
    if n_animals == 1:
        return out.assign_coords(animal=animals_of(X)[0])
    return out.assign_coords(animal=("time", np.repeat(animals_of(X), n_time)))


def as_symmetric(X: xr.DataArray) -> xr.DataArray:
    """(source, target, time) from pairs, the diagonal unobserved."""
    if "pair" not in X.dims:
        values = X.to_numpy()
        gap = np.abs(values - values.swapaxes(0, 1))
        if np.nanmax(gap, initial=0.0) > 1e-6 * np.nanmax(values):
            raise ParameterError(
                message(
                    "X",
                    "symmetric matrices",
                    place_of(X, np.nanargmax(gap)),
                    "average the two halves",
                )
            )
        return X
    if X.ndim == 3:
        X = concatenated(X)
    names, coords = neurons_of(X)
    values = fold(X.to_numpy().T).transpose(1, 2, 0).copy()
    values[np.arange(len(names)), np.arange(len(names))] = np.nan
    along = {k: c for k, c in X.coords.items() if c.dims == ("time",)}
    nodes = {}
    for side in ("source", "target"):
        nodes[side] = (side, names)
        nodes |= {f"{side}_{k}": (side, v) for k, v in coords.items()}
    return xr.DataArray(
        values, dims=("source", "target", "time"), name=X.name, attrs=X.attrs,
        coords={**nodes, **along},
    )  # fmt: skip
