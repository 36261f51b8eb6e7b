"""A fitted model on other data: its pair factors stay, the rest is fitted anew."""

import numpy as np
import xarray as xr

from neuroana.connectome.affinity import pair_indices
from neuroana.connectome.hals import (
    animal_grams,
    grams,
    inner_grams,
    outer,
    spread,
    time_grams,
)
from neuroana.connectome.operators import AffinityOperator
from neuroana.connectome.products import DenseProducts, make_data
from neuroana.connectome.sweeps import sweep
from neuroana.connectome.tensors import animals_of, concatenated, neurons_of
from neuroana.core.checks import message
from neuroana.core.errors import SchemaError


SWEEPS = 500


def shared_pairs(model, tensor: xr.DataArray):
    """Indices of the pairs that model and tensor have in common, in both.

    Raises
    ------
    SchemaError
        If they share fewer than three neurons.
    """
    names, known = neurons_of(tensor)[0].tolist(), neurons_of(model.pair_)[0].tolist()
    place = {name: i for i, name in enumerate(names)}
    common = [n for n in known if n in place]
    if len(common) < 3:
        raise SchemaError(
            message(
                "X",
                "at least three neurons of the model, by name",
                f"{len(common)}: {common}",
            )
        )
    here = np.array([known.index(n) for n in common])
    there = np.array([place[n] for n in common])
    i, j = pair_indices(len(common))
    return flat(here[i], here[j], len(known)), flat(there[i], there[j], len(names))


def flat(i, j, n):
    """Number of the pair (i, j), in either order, among those of n neurons."""
    low, high = np.minimum(i, j), np.maximum(i, j)
    return low * (2 * n - low - 1) // 2 + high - low - 1


def motif_pairs(model) -> np.ndarray:
    """Pair factors (P, R); zero where never observed."""
    return np.nan_to_num(model.pair_.to_numpy())


def project(model, X) -> tuple[xr.DataArray, float]:
    """Time courses of the motifs in a tensor, and the variance they explain."""
    if isinstance(X, AffinityOperator):
        X = X.dense()
    if "pair" not in X.dims:
        i, j = pair_indices(X.sizes["source"])
        values = X.to_numpy()[i, j]
        flat_tensor = xr.DataArray(values, dims=("pair", "time"), coords={
            "source": ("pair", X["source"].values[i]),
            "target": ("pair", X["target"].values[j]),
            **{k: c.variable for k, c in X.coords.items() if c.dims == ("time",)},
        })  # fmt: skip
        X = flat_tensor
    cube = X if X.ndim == 2 else concatenated(X)
    here, there = shared_pairs(model, X)
    values = cube.to_numpy()[there].astype(np.float64)
    unseen = np.isnan(model.pair_.to_numpy()).all(axis=1)[here]
    values[unseen] = np.nan
    data = make_data(values, dtype="float64")
    A = np.ascontiguousarray(motif_pairs(model)[here].T)[None]
    B, error = solve_times(data, A)
    courses = np.empty_like(B)
    courses[:, data.order] = B
    courses = courses.T * data.scale
    courses[~np.isfinite(values).any(axis=0)] = np.nan
    out = xr.DataArray(
        courses, dims=("time", "component"), name="course",
        coords={"component": model.component.values,
                **{k: c.variable for k, c in cube.coords.items()
                   if c.dims == ("time",)}},
    )  # fmt: skip
    if X.ndim == 3:
        n_time = X.sizes["time"]
        stacked = courses.reshape(X.sizes["animal"], n_time, -1).swapaxes(0, 1)
        times = {k: c.variable for k, c in X.coords.items() if c.dims == ("time",)}
        out = xr.DataArray(
            stacked, dims=("time", "animal", "component"), name="course",
            coords={**times, "animal": animals_of(X),
                    "component": model.component.values},
        )  # fmt: skip
    return out, 1.0 - error


def solve_times(data, A):
    """Non-negative least squares for all times, and the share left unexplained."""
    products = DenseProducts(data)
    n_ranks = A.shape[1]
    C = np.ones((1, n_ranks, 1))
    masks = products.fold_masks()
    (k,) = products.times([(A, None, C, np.zeros(1, int))])
    h = time_grams(inner_grams(A, masks), outer(C), data.n_groups)
    at = np.ascontiguousarray(spread(h, data.bounds))
    B = np.maximum(k / np.maximum(np.trace(h[0].sum(0)), 1e-300), 0.0)
    sweep(B, np.ascontiguousarray(k), at, inner=SWEEPS)
    norm = float(products.squares()[0])
    fitted = float((grams(B, data.bounds) * h).sum())
    left = norm - 2 * float((k * B).sum()) + fitted
    return B[0], max(left, 0.0) / max(norm, 1e-300)


def project_animals(model, X) -> xr.DataArray:
    """Loadings of animals, pair and time factors fixed."""
    if isinstance(X, AffinityOperator):
        X = X.dense()
    if X.ndim != 3 or X.sizes["time"] != model.time_.sizes["time"]:
        raise SchemaError(
            message(
                "X",
                f"(pair, time, animal) with {model.time_.sizes['time']} times",
                dict(X.sizes),
            )
        )
    here, there = shared_pairs(model, X)
    data = make_data(X.to_numpy()[there].astype(np.float64), dtype="float64")
    weighted = motif_pairs(model)[here] * model.weights_.to_numpy()
    A = np.ascontiguousarray(weighted.T)[None]
    B = np.ascontiguousarray(model.time_.to_numpy().T[:, data.order])[None]
    C = np.ones((1, A.shape[1], data.n_animals))
    products = DenseProducts(data)
    masks = products.fold_masks()
    (z,) = products.pairs([(A, B, C, np.zeros(1, int))])
    k = np.ascontiguousarray((z @ A[..., None])[..., 0])
    h = animal_grams(grams(B, data.bounds), inner_grams(A, masks), data.n_animals)
    sweep(C, k, np.ascontiguousarray(h), inner=SWEEPS)
    return xr.DataArray(
        C[0].T * data.scale, dims=("animal", "component"), name="animal_loading",
        coords={"animal": animals_of(X), "component": model.component.values},
    )  # fmt: skip
