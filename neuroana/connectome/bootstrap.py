"""Intervals of the factors over animals drawn with replacement."""

import numpy as np
import xarray as xr

from neuroana.connectome.factorizing import normalised
from neuroana.connectome.hals import Settings, Stack, hals
from neuroana.connectome.matching import match_components
from neuroana.connectome.operators import AffinityOperator
from neuroana.connectome.products import DenseProducts, Folds, make_data
from neuroana.connectome.tensors import animals_of
from neuroana.core.checks import check_choice, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch, draw_seed


BLOCKS = 10  # stretches of time that are drawn as wholes
BATCH = 25


def draws(n_units: int, n: int, seed: int) -> np.ndarray:
    """How often each unit is drawn, (n, unit).

    Examples
    --------
    >>> draws(4, 2, 0).sum(axis=1).tolist()
    [4.0, 4.0]
    """
    out = np.zeros((n, n_units))
    for k in range(n):
        np.add.at(out[k], branch(seed, k).integers(0, n_units, n_units), 1.0)
    return out


def units_of(model, tensor: xr.DataArray, unit: str) -> np.ndarray:
    """Number of the unit that each time belongs to."""
    n_time = tensor.sizes["time"]
    if unit == "time-block":
        return np.arange(n_time) * BLOCKS // n_time
    names = animals_of(tensor)
    if "animal" not in tensor.coords or tensor["animal"].dims != ("time",):
        return np.zeros(n_time, dtype=int)
    return np.array([names.index(a) for a in tensor["animal"].values.tolist()])


def bootstrap_intervals(model, tensor, n, *, unit, level, random_state) -> xr.Dataset:
    """Intervals between the quantiles of `n` draws, each a weighted fit."""
    check_choice("unit", unit, ["animal", "time-block"])
    check_choice("layout", model.layout, ["aligned", "concat", "single"])
    if isinstance(tensor, AffinityOperator):
        raise ParameterError(
            message(
                "bootstrap",
                "a stored tensor",
                "an AffinityOperator",
                "use AffinityOperator.dense(), if it fits into memory",
            )
        )
    seed = draw_seed(random_state)
    by_mode = unit == "animal" and model.layout == "aligned"
    owner = units_of(model, tensor, unit)
    groups = None if by_mode else owner
    n_units = tensor.sizes["animal"] if by_mode else int(owner.max()) + 1
    if n_units < 2:
        raise ParameterError(
            message(
                "argument 'unit'",
                "at least two units to draw from",
                f"one {unit}",
                "unit='time-block'",
            )
        )
    data = make_data(tensor.to_numpy(), dtype=model.dtype, groups=groups)
    counts = draws(n_units, n, seed)
    start = start_of(model, data)
    settings = Settings(
        inner=model.inner, max_iter=model.max_iter, tol=max(model.tol, 1e-6),
        l1=model.l1, smooth=model.smooth_time, baseline=model.baseline,
        single=data.n_animals == 1,
    )  # fmt: skip
    found: dict[str, list[np.ndarray]] = {k: [] for k in ("pair", "time", "animal",
                                                          "weights")}  # fmt: skip
    for first in range(0, n, BATCH):
        part = counts[first : first + BATCH]
        folds = weights_of(part, data, groups, by_mode)
        repeated = [np.repeat(f[None], len(part), axis=0) for f in start]
        stack = Stack(*repeated, np.arange(len(part)))
        (fits,) = hals(DenseProducts(data, folds), [stack], settings)
        for fit, count in zip(fits, part):
            collect(model, fit, data, count if by_mode else None, found)
    return quantiles(model, found, level, seed, unit)


def start_of(model, data):
    """The fitted factors as the solver takes them."""
    scale = model.weights_.to_numpy()
    pair = np.nan_to_num(model.pair_.to_numpy()).T
    time, animal = model.time_.to_numpy().T, model.animal_.to_numpy().T
    if data.n_animals == 1:
        animal = np.ones((len(pair), 1))
    if model.baseline:  # its pair factor is all ones for the solver
        size = np.linalg.norm(np.ones(pair.shape[1]))
        pair = pair.copy()
        pair[-1] = 1.0
        scale = np.append(scale[:-1], scale[-1] / size)
    time = time * (scale / data.scale)[:, None]
    return [np.ascontiguousarray(f, dtype=model.dtype)
            for f in (pair, time[:, data.order], animal)]  # fmt: skip


def weights_of(counts, data, groups, by_mode) -> Folds:
    """Counts of the units as weights of the entries, (F, G, W, P)."""
    shape = (len(counts), data.n_groups, data.n_animals, data.n_pairs)
    if by_mode:
        weights = np.broadcast_to(counts[:, None, :, None], shape)
        return Folds(weights.astype(data.x.dtype), False)
    of_group = groups[data.order[data.bounds[:-1]]]
    weights = np.broadcast_to(counts[:, of_group, None, None], shape)
    return Folds(weights.astype(data.x.dtype), True)


def collect(model, fit, data, count, found) -> None:
    """Normalise one draw and match it to the fit."""
    factors, weights = normalised(fit, data)
    reference = [np.nan_to_num(model.pair_.to_numpy()), model.time_.to_numpy()]
    partner, _ = match_components(reference, factors[:2])
    pair, time, animal = (f[:, partner] for f in factors)
    if count is not None:
        animal = np.where(count[:, None] > 0, animal, np.nan)
    for name, values in zip(found, (pair, time, animal, weights[partner])):
        found[name].append(values)


def quantiles(model, found, level, seed, unit) -> xr.Dataset:
    """Bounds of every factor."""
    tail = (1.0 - level) / 2.0
    learned = {"pair": model.pair_, "time": model.time_, "animal": model.animal_,
               "weights": model.weights_}  # fmt: skip
    out = {}
    for name, array in learned.items():
        values = np.stack(found[name])
        if values.shape[1:] != array.shape:
            continue
        bounds = np.nanquantile(values, [tail, 1.0 - tail], axis=0)
        out[name if name != "time" else "time_course"] = xr.DataArray(
            bounds, dims=("bound", *array.dims),
            coords={"bound": ["low", "high"], **array.coords},
        )  # fmt: skip
    return xr.Dataset(out, attrs={"level": level, "n": len(found["pair"]),
                                  "unit": unit, "random_state": seed})  # fmt: skip
