"""The weighted graphs of motifs: taken from a factorization or given, and checked."""

import warnings

import numpy as np
import xarray as xr

from neuroana.connectome.affinity import fold
from neuroana.connectome.tensors import neurons_of
from neuroana.core.checks import message
from neuroana.core.errors import DataWarning, ParameterError, ShapeError


def graphs_of(X):
    """Matrices (R, N, N), names, coordinates, components, and factors of restarts.

    Of a fitted NonNegativeCP, its baseline left out, or of given matrices.
    """
    if hasattr(X, "pair_factor_"):
        pair = X.pair_factor_
        if "sign" in pair.coords:
            pair = pair.isel(pair=np.flatnonzero(pair["sign"].values == "co"))
        names, coords = neurons_of(pair)
        keep = [r for r in pair["component"].values if r != "baseline"]
        graphs = folded(pair.sel(component=keep).to_numpy().T)
        restarts = getattr(X, "pair_restarts_", None)
        if restarts is not None:
            restarts = restarts.sel(component=keep)
            restarts = restarts.to_numpy()[:, : pair.sizes["pair"]].transpose(0, 2, 1)
            restarts = np.where(np.isnan(pair.to_numpy()[:, 0]), np.nan, restarts)
        return graphs, names, coords, keep, restarts
    array = X if isinstance(X, xr.DataArray) else np.asarray(X, dtype=float)
    values = np.asarray(array, dtype=float)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or values.shape[1] != values.shape[2]:
        raise ShapeError(
            message("X", "matrices ([component,] source, target)", values.shape)
        )
    names = np.arange(values.shape[1])
    coords = {}
    if isinstance(array, xr.DataArray) and array.dims[-1] in array.coords:
        dim = array.dims[-1]
        names = array[dim].values
        coords = {
            str(k).removeprefix("target_"): c.values
            for k, c in array.coords.items() if c.dims == (dim,) and k != dim
        }  # fmt: skip
    components = [str(r) for r in range(len(values))]
    return checked(values), names, coords, components, None


def folded(pairs: np.ndarray) -> np.ndarray:
    """Matrices (R, N, N) from pair factors (R, P)."""
    return fold(np.asarray(pairs, dtype=np.float64))


def observed(weights: np.ndarray) -> np.ndarray:
    """Neurons of which at least one pair was observed."""
    off = ~np.eye(len(weights), dtype=bool)
    return (np.isfinite(weights) & off).any(axis=1)


def checked(values: np.ndarray) -> np.ndarray:
    """Matrices without self loops, or a word on what is wrong with them."""
    known = np.isfinite(values)
    gap = np.abs(np.where(known, values, 0) - np.where(known, values, 0).swapaxes(1, 2))
    if np.nanmax(values, initial=0.0) == np.inf:
        raise ParameterError(message("X", "finite weights", "inf"))
    if gap.max(initial=0.0) > 1e-8 * np.nanmax(np.abs(values), initial=1e-300):
        r, i, j = np.unravel_index(int(gap.argmax()), gap.shape)
        there, back = values[r, i, j], values[r, j, i]
        raise ParameterError(
            message("X", "symmetric matrices",
                    f"{there:.4g} at ({i}, {j}) and {back:.4g} back",
                    "average the two halves: (X + X.T) / 2")
        )  # fmt: skip
    if np.nanmin(values, initial=0.0) < 0:
        r, i, j = np.unravel_index(int(np.nanargmin(values)), values.shape)
        raise ParameterError(
            message("X", "weights >= 0", f"{values[r, i, j]:.4g} at ({i}, {j})",
                    "split it into a positive and a negative graph, or rectify it")
        )  # fmt: skip
    at = np.arange(values.shape[1])
    diagonal = np.nan_to_num(values[:, at, at])
    if (diagonal > 0).any():
        warnings.warn(
            f"{int((diagonal > 0).sum())} self loops were dropped.",
            DataWarning,
            stacklevel=4,
        )
    values = values.copy()
    values[:, at, at] = 0.0
    return values
