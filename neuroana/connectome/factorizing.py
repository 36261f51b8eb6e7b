"""What ``NonNegativeCP.fit`` does between a tensor and its labelled factors."""

import logging
import warnings
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from neuroana.connectome import cp_starts
from neuroana.connectome.hals import (
    Fit,
    Settings,
    Stack,
    grams,
    hals,
    inner_grams,
    outer,
    time_grams,
)
from neuroana.connectome.matching import match_components
from neuroana.connectome.products import (
    Data,
    DenseProducts,
    make_data,
    on_device,
    squared_error,
    to_numpy,
)
from neuroana.core.checks import message
from neuroana.core.errors import FitWarning, ParameterError


BATCH = 5e8  # bytes that the first pass may take for all models of a batch
KEPT = 2.56e8  # bytes of pair factors of restarts that are kept
NEAR = 1.01  # restarts within 1 % of the lowest loss count as the same solution
COLLINEAR = 0.97
SHRINK = 0.05  # so that pairs a fold shows only where a motif is off stay small

logger = logging.getLogger(__name__)


class Problem(NamedTuple):
    """A tensor made ready."""

    products: Any
    labels: xr.DataArray  # the tensor, or an empty one with its labels
    single: bool
    report: dict[str, Any]

    @property
    def data(self) -> Data:
        """The tensor as the solvers take it."""
        return self.products.data


def dense_problem(tensor: xr.DataArray, *, dtype: str, device: str) -> Problem:
    """Mask what carries nothing, list it, and lay the tensor out."""
    values, report = masked_values(tensor)
    if "pair" not in tensor.dims:  # (source, target, time): both ends are modes
        values = values.swapaxes(1, 2)
    data = make_data(values, dtype=dtype)
    data = data._replace(x=on_device(data.x, device), mask=on_device(data.mask, device))
    return Problem(DenseProducts(data), tensor, data.n_animals == 1, report)


def masked_values(tensor: xr.DataArray) -> tuple[np.ndarray, dict[str, Any]]:
    """Values with NaN for neurons and animals that are zero throughout."""
    from neuroana.connectome.affinity import pair_indices
    from neuroana.connectome.tensors import animals_of, neurons_of

    values = tensor.to_numpy()
    missing = np.isnan(values)
    report: dict[str, Any] = {"n_missing": int(missing.sum()), "n_values": values.size}
    if missing.all(axis=tuple(range(1, values.ndim))).any():
        unseen = missing.all(axis=tuple(range(1, values.ndim)))
        report["n_pairs_never_observed"] = int(unseen.sum())
    if "pair" not in tensor.dims or "sign" in tensor.coords:
        return values, report
    names, _ = neurons_of(tensor)
    i, j = pair_indices(len(names))
    cube = values if values.ndim == 3 else values[:, :, None]
    zero, empty = [], []
    copy = None
    for w, animal in enumerate(animals_of(tensor) if values.ndim == 3 else ["all"]):
        most = np.nanmax(np.where(np.isnan(cube[:, :, w]), 0.0, cube[:, :, w]), axis=1)
        seen = np.isfinite(cube[:, :, w]).any(axis=1)
        if not seen.any():
            empty.append(animal)
            continue
        per_neuron = np.zeros(len(names))
        np.maximum.at(per_neuron, i, most)
        np.maximum.at(per_neuron, j, most)
        shown = np.zeros(len(names), dtype=bool)
        shown[i[seen]] = shown[j[seen]] = True
        dead = shown & (per_neuron == 0)
        if dead.any():
            copy = cube.copy() if copy is None else copy
            copy[dead[i] | dead[j], :, w] = np.nan
            zero += [f"{animal}: {n}" for n in names[dead]]
    if zero:
        report["zero_neurons"] = zero
        if not np.isfinite(copy).any():
            raise ParameterError(
                message(
                    "X",
                    "affinities above zero",
                    "zeros only",
                    "check kind and scale of the affinity",
                )
            )
    if empty:
        report["animals_without_data"] = empty
    return (cube if copy is None else copy).reshape(values.shape), report


def on_cpu(problem: Problem) -> Problem:
    """The same problem with its tensor in main memory."""
    data = problem.data
    if isinstance(data.x, np.ndarray):
        return problem
    mask = None if data.mask is None else to_numpy(data.mask)
    data = data._replace(x=to_numpy(data.x), mask=mask)
    return problem._replace(products=DenseProducts(data))


def check_rank(rank: int, problem: Problem, *, baseline: bool) -> None:
    """Refuse a rank that no model of this size has; warn beyond uniqueness."""
    data = problem.data
    n_p, n_t, n_w = data.n_pairs, len(data.order), data.n_animals
    most = min(n_p, n_t * n_w)
    if rank > most:
        raise ParameterError(
            message("argument 'rank'", f"a whole number in [1, {most}]", rank)
        )
    total = rank + int(baseline)
    if problem.single:
        warnings.warn(
            "One animal, or animals without a common clock, make a matrix: its "
            "non-negative factors are not unique in general. layout='symmetric' is; "
            "compare restarts (stability_) before you read single components.",
            FitWarning,
            stacklevel=4,
        )
    elif sum(min(n, total) for n in (n_p, n_t, n_w)) < 2 * total + 2:
        warnings.warn(
            f"{total} components are more than Kruskal's condition allows for "
            f"{n_w} animals: they may not be unique.",
            FitWarning,
            stacklevel=4,
        )


def fit_restarts(
    problem: Problem,
    model,
    ranks,
    n_init: int,
    seed: int,
    *,
    init="random",
    folds: np.ndarray | None = None,
    watch=None,
    room: float = BATCH,
) -> dict[int, list[Fit]]:
    """Fit `n_init` starts of every rank (for every fold), in batches that fit.

    Parameters
    ----------
    problem : Problem
    model : NonNegativeCP
        Its solver settings are used.
    ranks : sequence of int
    n_init : int
        Starts of every rank and fold.
    seed : int
    init : "random", "nndsvd" or factors
    folds : ndarray of int, optional
        Folds to fit; the weights are in ``problem.products.folds``.
    room : float
        Bytes that the first pass may take.
    """
    data, single = problem.data, problem.single
    settings = Settings(
        inner=model.inner, max_iter=model.max_iter, tol=model.tol, l1=model.l1,
        smooth=model.smooth_time, baseline=model.baseline, single=single,
        shrink=SHRINK if single and folds is not None else 0.0,
    )  # fmt: skip
    device = device_of(data)
    made: list[tuple[int, Stack]] = []
    for rank in ranks:
        if init == "random":
            stack = cp_starts.random_stack(data, rank, n_init, seed, single=single,
                                           dtype=model.dtype)  # fmt: skip
        elif init == "nndsvd":
            stack = cp_starts.nndsvd_stack(data, rank, seed, single=single,
                                           dtype=model.dtype)  # fmt: skip
        else:
            stack = cp_starts.warm_stack(data, init, single=single, dtype=model.dtype)
        if model.baseline and (isinstance(init, str) or stack.A.shape[1] == rank):
            stack = cp_starts.with_baseline(stack, data)
        if folds is not None:
            n = len(stack.A)
            each = [np.repeat(f, len(folds), axis=0) for f in stack[:3]]
            stack = Stack(*each, np.tile(np.asarray(folds), n))
        made.append((rank, cp_starts.moved_to(stack, device)))
    if model.loss == "kl":
        return {
            rank: multiplicative_fits(problem, model, stack) for rank, stack in made
        }
    found: dict[int, list[Fit]] = {rank: [] for rank in ranks}
    for batch in batches(made, data, problem.products, room):
        stacks = [stack for _, stack in batch]
        if isinstance(init, str):
            stacks = [cp_starts.scaled(s, problem.products, baseline=model.baseline)
                      for s in stacks]  # fmt: skip
        for (rank, _), fits in zip(batch, hals(problem.products, stacks, settings,
                                               watch)):  # fmt: skip
            found[rank] += fits
    return found


def multiplicative_fits(problem, model, stack):
    """Fits under the Kullback-Leibler loss."""
    from neuroana.connectome.kullback_leibler import multiplicative

    return multiplicative(
        problem.data, stack, max_iter=model.max_iter, tol=model.tol,
        baseline=model.baseline, single=problem.single,
    )  # fmt: skip


def batches(made, data: Data, products, room: float):
    """Split stacks so that the first pass of a batch stays within its memory."""
    size = np.dtype(np.float32).itemsize * data.n_pairs * data.n_animals
    size *= 1 if data.mask is None and products.folds is None else 4
    room = max(1, int(room / size))
    batch, used = [], 0
    for rank, stack in made:
        n_ranks = stack.A.shape[1]
        first = 0
        while first < len(stack.A):
            n = max(1, min(len(stack.A) - first, (room - used) // n_ranks))
            if used and n * n_ranks > room - used:
                yield batch
                batch, used = [], 0
                continue
            part = Stack(*(f[first : first + n] for f in stack))
            batch.append((rank, part))
            used, first = used + n * n_ranks, first + n
            if used >= room:
                yield batch
                batch, used = [], 0
    if batch:
        yield batch


def normalised(fit: Fit, data: Data):
    """Columns of length one and their weights, the largest first, baseline last.

    Returns
    -------
    factors : list of ndarray (P, R), (T, R), (W, R), weights : ndarray (R,)
    """
    A, B, C = (f.astype(np.float64) for f in (fit.A, fit.B, fit.C))
    back = np.empty(len(data.order), dtype=int)
    back[data.order] = np.arange(len(data.order))
    B = B[:, back]
    sizes = [np.linalg.norm(f, axis=1) for f in (A, B, C)]
    factors = [f / np.where(s > 0, s, 1.0)[:, None] for f, s in zip((A, B, C), sizes)]
    return [f.T for f in factors], np.prod(sizes, axis=0) * data.scale


def order_of(weights: np.ndarray, *, baseline: bool) -> np.ndarray:
    """Components by falling weight, the baseline at the end."""
    n = len(weights) - int(baseline)
    order = np.argsort(-weights[:n], kind="stable")
    return np.append(order, n) if baseline else order


def explained(problem: Problem, fit: Fit) -> tuple[float, np.ndarray]:
    """Relative error of a model, and what each component alone accounts for.

    Returns
    -------
    error : float
        |M (X - Xhat)| / |M X|, in float64.
    share : ndarray (R,)
        Explained variance that is lost when the component is left out.
    """
    data, products = problem.data, problem.products
    A, B, C = (f[None].astype(data_dtype(data)) for f in (fit.A, fit.B, fit.C))
    device = device_of(data)
    stack = cp_starts.moved_to(Stack(A, B, C, np.array([fit.fold])), device)
    if isinstance(products, DenseProducts):
        error, size = squared_error(data, fit.A, fit.B, fit.C)
    else:
        error, size = products.squared_error(stack)
    (k,) = products.times([stack])
    masks = products.fold_masks()
    own = None if masks is None else masks[[0]]
    h = time_grams(inner_grams(stack.A, own), outer(stack.C), data.n_groups)
    gram = (grams(stack.B, data.bounds) * h).sum(1)[0]
    gram = np.asarray(gram.cpu() if device != "cpu" else gram, dtype=np.float64)
    cross = (k * stack.B).sum(2)[0]
    cross = np.asarray(cross.cpu() if device != "cpu" else cross, dtype=np.float64)
    share = (2 * (cross - gram.sum(1)) + np.diag(gram)) / max(size, 1e-300)
    return float(np.sqrt(error / max(size, 1e-300))), share


def device_of(data: Data) -> str:
    """Where the data are: "cpu" for numpy, else the torch device."""
    if isinstance(data.x, np.ndarray):
        return "cpu"
    return f"{data.x.device.type}:{data.x.device.index or 0}"


def data_dtype(data: Data):
    """numpy dtype of the data."""
    return np.float64 if "float64" in str(data.x.dtype) else np.float32


def stability(problem: Problem, fits: list[Fit], best: int):
    """Likeness of every restart to the best one, and pair factors in its order.

    Returns
    -------
    likeness : ndarray (restart, component)
    pair : ndarray (restart, pair, component) or None
        Those of the restarts within 1 % of the lowest loss, while they fit.
    """
    reference = modes(fits[best], problem.single)
    likeness = np.ones((len(fits), len(fits[best].A)))
    near = [i for i, f in enumerate(fits) if f.loss <= NEAR * fits[best].loss]
    kept = []
    for i, fit in enumerate(fits):
        partner, likeness[i] = match_components(reference, modes(fit, problem.single))
        if i in near:
            kept.append(fit.A[partner].T)
    size = len(near) * fits[best].A.size * 4
    pair = np.stack(kept).astype(np.float32) if size <= KEPT else None
    return likeness, pair


def modes(fit: Fit, single: bool) -> list[np.ndarray]:
    """Factors of a fit as columns."""
    return [f.T for f in ((fit.A, fit.B) if single else (fit.A, fit.B, fit.C))]


def degeneracy(factors: list[np.ndarray]) -> float:
    """Likeness of the two most alike components in the two modes they share most.

    Components that are the same in all modes but one could be one component.
    """
    from neuroana.connectome.matching import unit

    tables = [(u := unit(np.nan_to_num(x))).T @ u for x in factors if len(x) > 1]
    table = np.sort(np.stack(tables), axis=0)[-2:].prod(axis=0)
    np.fill_diagonal(table, 0.0)
    return float(table.max(initial=0.0))


def normalised_neurons(loadings: np.ndarray):
    """Columns (neuron, ..., R) of length one over all but the last axis, and sizes."""
    axes = tuple(range(loadings.ndim - 1))
    size = np.sqrt((loadings**2).sum(axis=axes))
    return loadings / np.where(size > 0, size, 1.0), size
