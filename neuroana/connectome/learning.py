"""Fit a tensor in any layout and label what was learned."""

import warnings
from typing import Any

import numpy as np
import xarray as xr

from neuroana.connectome import factorizing as f
from neuroana.connectome.affinity import pair_indices
from neuroana.connectome.hals import Fit
from neuroana.connectome.operators import AffinityOperator, operator_problem
from neuroana.connectome.tensors import animals_of, neurons_of, pair_coords
from neuroana.core.checks import message
from neuroana.core.device import choose
from neuroana.core.errors import FitWarning, ParameterError
from neuroana.core.progress import is_on


def make_problem(model, X: Any) -> f.Problem:
    """Check what came and make it ready for the solvers."""
    X = model._as_tensor(X)
    model.device_ = choose(model.device)
    if isinstance(X, AffinityOperator):
        return operator_problem(X, model)
    if model.layout == "aligned" and X.sizes["animal"] > 1:
        shared = np.isfinite(X.to_numpy()).any(axis=1).sum(axis=1)
        if shared.max() < 2:
            raise ParameterError(
                message("X", "pairs that at least two animals show", "none",
                        "check the names of the neurons, or use layout='single'")
            )  # fmt: skip
    try:
        return f.dense_problem(X, dtype=model.dtype, device=model.device_)
    except RuntimeError as error:
        if model.device != "auto" or "memory" not in str(error):
            raise
        f.logger.warning("the tensor does not fit on %s; the CPU takes it",
                         model.device_)  # fmt: skip
        model.device_ = "cpu"
        return f.dense_problem(X, dtype=model.dtype, device="cpu")


def learn(model, problem: f.Problem) -> None:
    """Fit restarts, keep the best, and set the learned attributes."""
    data = problem.data
    f.check_rank(model.rank, problem, baseline=model.baseline)
    fits, problem = fit_within_memory(model, problem)
    there = f.on_cpu(problem)
    best = int(np.argmin([fit.loss for fit in fits]))
    if model.polish == "lbfgs":
        from neuroana.connectome.polish import lbfgs

        fits[best] = lbfgs(there.products, fits[best], baseline=model.baseline,
                           single=problem.single)  # fmt: skip
    if model.layout == "symmetric":
        from neuroana.connectome.symmetric import tie

        fits[best], model.asymmetry_ = tie(there.products, fits[best])
    block = None
    if model.layout == "ll1":
        from neuroana.connectome.block_terms import fit_blocks

        fits[best], block = fit_blocks(there.products, fits[best], model.block_rank)
    fits[best] = dropped_dead(fits[best], model)
    order = set_results(model, problem, fits, best)
    if model.layout == "symmetric":
        label_neurons(model, problem, fits[best].A[order], ("neuron", "component"))
    if block is not None:
        label_neurons(model, problem, block[order], ("neuron", "block", "component"))
    warn_of(model, fits[best], data)


def fit_within_memory(model, problem: f.Problem):
    """All restarts; smaller batches, then the CPU, where memory runs out."""
    reason: Exception | None = None
    for halved in range(3):
        try:
            fits = f.fit_restarts(
                problem, model, [model.rank], model.n_init, model.seed_,
                init=model.init, watch=watcher(model), room=f.BATCH / 2**halved,
            )  # fmt: skip
            return fits[model.rank], problem
        except RuntimeError as error:
            if "out of memory" not in str(error):
                raise
            reason = error
    if model.device != "auto" or model.device_ == "cpu":
        raise ParameterError(
            message(f"NonNegativeCP on {model.device_}", "room for tensor and fit",
                    "out of memory", "use device='cpu', or fewer restarts")
        ) from reason  # fmt: skip
    f.logger.warning("%s is out of memory; the CPU takes over", model.device_)
    model.device_, problem = "cpu", f.on_cpu(problem)
    fits = f.fit_restarts(problem, model, [model.rank], model.n_init, model.seed_,
                          init=model.init, watch=watcher(model))  # fmt: skip
    return fits[model.rank], problem


def watcher(model):
    """A line in the log for every tenth iteration, where progress is wanted."""
    if not is_on(model.progress):
        return None

    def watch(iteration, runs):
        if iteration % 10 == 0:
            left = sum(len(run.ids) for run in runs)
            f.logger.info("iteration %d: %d models left", iteration, left)

    return watch


def dropped_dead(fit: Fit, model) -> Fit:
    """The fit without components that ended at zero."""
    size = np.prod([np.linalg.norm(x, axis=1) for x in fit[:3]], axis=0)
    alive = size > 1e-8 * size.max()
    if alive.all():
        return fit
    warnings.warn(
        f"{int((~alive).sum())} of {len(alive)} components ended at zero and were "
        "dropped: the rank is higher than the data need.",
        FitWarning,
        stacklevel=4,
    )
    if model.baseline:
        alive[-1] = True
    return fit._replace(A=fit.A[alive], B=fit.B[alive], C=fit.C[alive])


def set_results(model, problem: f.Problem, fits: list[Fit], best: int):
    """Normalise, order and label the winner; describe the restarts."""
    data, winner = problem.data, fits[best]
    symmetric = model.layout == "symmetric"
    (pair, time, animal), weights = f.normalised(winner, data)
    if symmetric:
        i, j = pair_indices(data.n_pairs)
        pair = pair[i] * pair[j]
        size = np.linalg.norm(pair, axis=0)
        pair, weights = pair / np.where(size > 0, size, 1.0), weights * size
    order = f.order_of(weights, baseline=model.baseline)
    names = [str(r) for r in range(len(order) - int(model.baseline))]
    names += ["baseline"] if model.baseline else []
    pair, time, animal = (x[:, order] for x in (pair, time, animal))
    weights = weights[order]
    unseen = never_observed(data, symmetric)
    pair = np.where(unseen[:, None], np.nan, pair)
    label_factors(model, problem, pair, time, animal, weights, names)
    error, share = f.explained(problem, winner)
    model.relative_error_, model.explained_variance_ = error, 1.0 - error**2
    model.score_ = component_array(share[order], names, "score")
    likeness, restarts = f.stability(problem, fits, best)
    likeness = likeness[:, order]
    model.likeness_ = xr.DataArray(
        likeness, dims=("restart", "component"), coords={"component": names},
        name="likeness",
    )  # fmt: skip
    others = np.delete(likeness, best, axis=0)
    found = others.mean(axis=0) if len(others) else np.full(len(order), np.nan)
    model.stability_ = component_array(found, names, "stability")
    size = data.n_pairs * data.n_animals * len(data.order) / 2
    model.loss_ = xr.DataArray(
        np.array([x.loss for x in fits]) / size, dims="restart", name="loss"
    )
    model.best_restart_, model.n_iter_ = best, int(winner.n_iter)
    model.converged_ = bool(winner.converged)
    model.degeneracy_ = f.degeneracy([np.nan_to_num(pair), time, animal])
    model.report_ = problem.report
    if restarts is not None and not symmetric:
        model.pair_restarts_ = xr.DataArray(
            restarts[:, :, order], dims=("kept", "pair", "component"),
            coords={"component": names}, name="pair_restarts",
        )  # fmt: skip
    return order


def never_observed(data, symmetric: bool) -> np.ndarray:
    """Pairs that no animal shows at any time."""
    n = data.n_pairs
    if data.mask is None:
        return np.zeros(n * (n - 1) // 2 if symmetric else n, dtype=bool)
    seen = f.DenseProducts(data).fold_masks()[0]
    seen = np.asarray(seen.cpu() if hasattr(seen, "cpu") else seen)
    if symmetric:
        i, j = pair_indices(n)
        return seen.reshape(-1, n, n).sum(axis=0)[i, j] == 0
    return seen.sum(axis=0) == 0


def component_array(values, names, name) -> xr.DataArray:
    """Values with one entry a component."""
    return xr.DataArray(values, dims="component", coords={"component": names},
                        name=name)  # fmt: skip


def label_factors(model, problem, pair, time, animal, weights, names) -> None:
    """Set the factors as labelled arrays."""
    tensor, component = problem.labels, {"component": names}
    if "pair" in tensor.dims:
        pairs = {k: c.variable for k, c in tensor.coords.items() if c.dims == ("pair",)}
    else:
        nodes = tensor["source"].values
        keys = [str(c)[7:] for c in tensor.coords if str(c).startswith("source_")]
        pairs = pair_coords(nodes, {k: tensor[f"source_{k}"].values for k in keys})
    times = {k: c.variable for k, c in tensor.coords.items() if c.dims == ("time",)}
    model.pair_factor_ = xr.DataArray(pair, dims=("pair", "component"), name="pair",
                                      coords={**pairs, **component})  # fmt: skip
    model.time_course_ = xr.DataArray(time, dims=("time", "component"), name="course",
                                      coords={**times, **component})  # fmt: skip
    animals = animals_of(tensor)
    if animal.shape[0] != len(animals):
        animal = np.ones((len(animals), animal.shape[1]))
    model.animal_loading_ = xr.DataArray(
        animal, dims=("animal", "component"), name="animal_loading",
        coords={"animal": animals, **component},
    )  # fmt: skip
    model.weights_ = component_array(weights, names, "weight")
    attrs = {k: tensor.attrs[k] for k in ("kind", "dim", "synthetic", "sigma")
             if k in tensor.attrs}  # fmt: skip
    for array in (model.pair_, model.time_):
        array.attrs.update(attrs)


def label_neurons(model, problem, loadings, dims) -> None:
    """Loadings of the neurons behind each motif, in the order of the components."""
    tensor = problem.labels
    names = (
        tensor["source"].values if "pair" not in tensor.dims else neurons_of(tensor)[0]
    )
    loadings = np.moveaxis(np.asarray(loadings, dtype=np.float64), 0, -1)
    factors, weights = f.normalised_neurons(loadings)
    model.neuron_ = xr.DataArray(
        factors, dims=dims, name="neuron_loading",
        coords={"neuron": names, "component": model.component.values[: len(weights)]},
    )  # fmt: skip


def warn_of(model, winner: Fit, data) -> None:
    """Say what should be looked at before the fit is trusted."""
    if not winner.converged:
        warnings.warn(
            f"The best restart did not converge in {winner.n_iter} iterations: raise "
            "max_iter or tol.",
            FitWarning,
            stacklevel=5,
        )
    if model.degeneracy_ > f.COLLINEAR:
        warnings.warn(
            f"Two components are nearly the same (likeness {model.degeneracy_:.3f}): "
            "the rank may be too high, or traces may be copies of each other.",
            FitWarning,
            stacklevel=5,
        )
