"""Between the estimator and the kernels: make the problem, run EM, label the result."""

import logging
import warnings
from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr

from neuroana.core import device as devices
from neuroana.core.checks import message
from neuroana.core.errors import DataWarning, EmptyStateWarning, FitWarning, SchemaError
from neuroana.core.progress import is_on
from neuroana.core.random import draw_seed
from neuroana.switching import em, starts
from neuroana.switching.designs import flat_units, observed_moments
from neuroana.switching.edge_priors import RidgePrior, as_prior
from neuroana.switching.glm_mstep import CACHED_BYTES, Panel, emissions
from neuroana.switching.observations import family
from neuroana.switching.structure import structure


DISAGREE = 0.9  # adjusted Rand index of the two best starts below which we warn
FLOOR = 1e-6  # of the data variance: smallest gaussian variance

logger = logging.getLogger(__name__)


def fit_states(model, observed) -> None:
    """Fit `model` to observed sequences and set its learned attributes."""
    seed = draw_seed(model.random_state)
    device = devices.choose(model.device)
    forecast(model, observed, device)
    with threads(model.n_jobs):
        kind = family(model.observation, model.link)
        flat = flat_units(observed.x, observed.seen)
        warn_about(model, observed, flat)
        problem, alone = make_problems(model, observed, kind, flat, device)
        fit = em.run(
            problem,
            first_parameters(model, observed, problem, alone, seed),
            max_iter=model.max_iter,
            tol=model.tol,
            watch=watcher(model),
        )
    label(model, observed, fit, flat, device, seed)
    warn_after(model, fit)


class threads:
    """Threads of torch inside the block."""

    def __init__(self, n_jobs):
        self.n_jobs = n_jobs

    def __enter__(self):
        self.before = torch.get_num_threads()
        if self.n_jobs is not None:
            torch.set_num_threads(self.n_jobs)

    def __exit__(self, *error):
        torch.set_num_threads(self.before)


def forecast(model, observed, device):
    """Refuse before the fit what would not fit into memory."""
    n_bins, n_units = observed.x.shape
    n_terms = observed.design.shape[1]
    n_starts = model.n_init if model.n_states > 1 else 1
    packed = n_terms * (n_terms + 1) // 2
    problems = n_starts * model.n_states * n_units
    n_bytes = 8 * n_bins * (3 * n_terms + 4 * n_units + 5 * n_starts * model.n_states)
    n_bytes += 8 * problems * (2 * packed + 4 * n_terms**2)
    n_bytes += min(CACHED_BYTES, 8 * n_bins * packed)
    devices.forecast(
        n_bytes,
        "HMMGLM.fit",
        device=device,
        fix="use fewer starts (n_init), basis functions, units or bins",
    )


def warn_about(model, observed, flat):
    """Say what in the data should be looked at before the fit."""
    sequences = observed.sequences
    if flat.all():
        raise SchemaError(
            message(
                "X", f"at least one {sequences.dim} that changes", "only constant ones"
            )
        )
    if flat.any():
        names = [str(n) for n in sequences.names[flat]]
        warnings.warn(
            message(
                f"X: {sequences.dim} {', '.join(names[:8])}",
                "values that change",
                f"{len(names)} silent or constant",
                "it has a baseline only; drop it if that is not meant",
            ),
            DataWarning,
            stacklevel=4,
        )
    wanted = model.n_states * observed.design.shape[1]
    if wanted > len(observed.x):
        warnings.warn(
            message(
                "X",
                f"more bins than coefficients a unit ({wanted})",
                f"{len(observed.x)} bins",
                "use fewer states, a shorter history or a prior",
            ),
            DataWarning,
            stacklevel=4,
        )


def make_panel(model, observed, seen, device, kind, *, coarse=True):
    """Tensors of the data on the device of the fit."""
    real = getattr(torch, model.dtype)

    def tensor(array, dtype):
        return torch.as_tensor(array, dtype=dtype, device=device)

    return Panel.of(
        kind,
        tensor(observed.design, real),
        tensor(observed.x, real),
        None if seen is None else tensor(seen, torch.bool),
        coarse=coarse and kind.discrete,
    )


def without_flat(kind, seen, flat, shape):
    """Constant gaussian units have no likelihood: leave them out."""
    if kind.discrete or not flat.any():
        return seen
    return (np.ones(shape, dtype=bool) if seen is None else seen) & ~flat


def make_problems(model, observed, kind, flat, device):
    """The problem with K states, and the one-state fit (theta, variance) as anchor."""
    n_units = observed.x.shape[1]
    n_inputs = len(observed.input_names)
    n_basis = (observed.design.shape[1] - 1 - n_inputs) // n_units
    mean, variance = observed_moments(observed.x, observed.seen)
    spread = observed.design.var(axis=0)
    masks = {
        k: structure(
            k, n_units, n_basis, n_inputs, baseline=model.baseline,
            self_coupling=model.self_coupling, flat=flat, still=spread == 0,
        )
        for k in (1, model.n_states)
    }  # fmt: skip
    panel = make_panel(
        model, observed, without_flat(kind, observed.seen, flat, observed.x.shape),
        device, kind,
    )  # fmt: skip

    def tensor(array):
        return torch.as_tensor(np.asarray(array), device=device)

    rest = np.zeros((n_units, observed.design.shape[1]))
    count = np.maximum((observed.x > -np.inf).sum(0), 1)
    level = np.maximum(mean, 0.5 / count) if kind.discrete else mean
    rest[:, 0] = kind.inverse_link(level)
    positive = variance[variance > 0]
    floor = FLOOR * np.where(variance > 0, variance, positive.mean())

    def problem(k, prior, rest):
        free, ties, pooled = masks[k]
        return em.Problem(
            family=kind,
            panel=panel,
            lengths=observed.lengths,
            prior=prior,
            free=tensor(free),
            ties=None if ties is None or k == 1 else tensor(ties),
            pooled=pooled,
            column_variance=spread[1:],
            variance_floor=tensor(floor),
            rest=rest,
            n_observed=observed.n_observed,
            alpha=model.alpha,
            kappa=model.kappa,
            learn_transitions=model.transitions == "sticky",
        )

    prior = as_prior(model.prior)
    one = problem(1, prior if isinstance(prior, RidgePrior) else RidgePrior(), None)
    theta = tensor(rest)[None, None]
    noise = None if kind.discrete else tensor(np.maximum(variance, floor))[None, None]
    w = np.zeros((1, 1, n_units, observed.design.shape[1] - 1))
    law = one.prior.start(w, one.column_variance, one.pooled)
    alone = em.fit_one_state(one, theta, noise, law)
    return problem(model.n_states, prior, alone[0][0, 0]), alone


def first_parameters(model, observed, problem, alone, seed):
    """Parameters of all starts."""
    theta, variance = alone
    init = starts.check_init(model.init)
    n_terms = theta.shape[-1]
    if hasattr(init, "coupling_"):
        names = [n for n in starts.ARRAYS if getattr(init, f"{n}_", None) is not None]
        init = {n: getattr(init, f"{n}_").to_numpy() for n in names}
    if isinstance(init, Mapping):
        return starts.given(problem, theta, variance, init, shapes_of(model, observed))
    if init == "kmeans" and model.n_states > 1:
        w = np.zeros((model.n_init, model.n_states, theta.shape[2], n_terms - 1))
        law = problem.prior.start(w, problem.column_variance, problem.pooled)
        return starts.clustered(
            problem,
            theta,
            variance,
            observed.x,
            model.n_init,
            model.n_states,
            seed,
            law,
        )
    n_starts = model.n_init if model.n_states > 1 else 1
    scales = natural_scales(problem, observed)
    return starts.noisy(
        problem, theta, variance, scales, n_starts, model.n_states, seed
    )


def natural_scales(problem, observed):
    """Size of a coefficient that moves eta by its natural unit, (N, D)."""
    n_units = observed.x.shape[1]
    n_terms = observed.design.shape[1]
    n_edges = n_terms - 1 - len(observed.input_names)
    spread = observed.design.std(axis=0)
    column = np.ones(n_terms)
    unit = np.ones(n_units)
    inputs = slice(1 + n_edges, None)
    column[inputs] = np.where(spread[inputs] > 0, spread[inputs], 1.0)
    if not problem.family.discrete:
        sd = np.sqrt(observed_moments(observed.x, observed.seen)[1])
        unit = np.where(sd > 0, sd, 1.0)
        column[1 : 1 + n_edges] = np.repeat(unit, n_edges // n_units)
    return unit[:, None] / column


def shapes_of(model, observed):
    """Shapes of the learned arrays."""
    n_units, n_inputs = observed.x.shape[1], len(observed.input_names)
    n_basis = (observed.design.shape[1] - 1 - n_inputs) // n_units
    k = model.n_states
    return {
        "coupling": (k, n_units, n_units, n_basis),
        "baseline": (k, n_units),
        "input_weights": (k, n_units, n_inputs),
        "transition_matrix": (k, k),
        "initial_prob": (k,),
        "noise": (k, n_units),
    }


def watcher(model):
    """Callback that shows the iterations, or None."""
    if not model.progress or not is_on(None if model.progress else False):
        return None
    return lambda i, j: logger.info("HMMGLM: iteration %d, objective %.2f", i + 1, j)


def label(model, observed, fit, flat, device, seed):
    """Set the learned attributes, states by falling occupancy."""
    sequences, shapes = observed.sequences, shapes_of(model, observed)
    dim, names = sequences.dim, sequences.names
    gamma = fit.posterior.gamma[0]
    occupancy = gamma.mean(axis=0)
    order = np.argsort(-occupancy, kind="stable")
    theta = fit.parameters.theta[0].cpu().numpy()[order]
    sd = np.sqrt(fit.laplace[order])
    n_edges = int(np.prod(shapes["coupling"][2:]))
    state = {"state": np.arange(model.n_states)}
    unit = {dim: names, **{k: (dim, v) for k, v in sequences.coords.items()}}

    def array(values, dims, **coords):
        return xr.DataArray(values, dims=dims, coords=coords)

    edge_dims = ("state", dim, "source", "basis")
    n_basis = shapes["coupling"][3]
    edge_coords = {**state, **unit, "source": names, "basis": np.arange(n_basis)}

    def edges(values):
        return array(values.reshape(shapes["coupling"]), edge_dims, **edge_coords)

    model.coupling_ = edges(theta[:, :, 1 : 1 + n_edges])
    model.coupling_sd_ = edges(sd[:, :, 1 : 1 + n_edges])
    model.baseline_ = array(theta[:, :, 0], ("state", dim), **state, **unit)
    if len(observed.input_names):
        model.input_weights_ = array(
            theta[:, :, 1 + n_edges :], ("state", dim, "input"),
            **state, **unit, input=observed.input_names,
        )  # fmt: skip
    model.transition_matrix_ = array(
        fit.parameters.transition[0][np.ix_(order, order)], ("state", "state_next"),
        **state, state_next=state["state"],
    )  # fmt: skip
    model.initial_prob_ = array(fit.parameters.initial[0][order], "state", **state)
    model.occupancy_ = array(occupancy[order], "state", **state)
    if fit.parameters.variance is not None:
        model.noise_ = array(
            fit.parameters.variance[0].cpu().numpy()[order], ("state", dim),
            **state, **unit,
        )  # fmt: skip
    if fit.law.pooled.any():
        law = fit.law
        model.coupling_prior_mean_ = edges(law.mean[0][order][:, :, :n_edges])
        model.coupling_prior_sd_ = edges(
            np.where(law.pooled, law.precision[0] ** -0.5, np.nan)[order][
                :, :, :n_edges
            ]
        )
    phi = np.zeros((0, 0)) if model.history is None else model.history.kernel()
    model.kernel_ = array(
        phi,
        ("basis", "lag"),
        basis=np.arange(len(phi)),
        lag=1 + np.arange(phi.shape[1]),
    )
    rate, _ = observed_moments(observed.x, observed.seen)
    model.rate_ = array(rate, dim, **unit)
    model.flat_ = array(flat.astype(np.int8), dim, **unit)
    model.objective_trace_ = array(fit.trace, ("start", "iteration"))
    model.objective_ = float(np.nanmax(fit.trace[fit.best]))
    model.train_log_likelihood_ = float(fit.posterior.log_marginal.sum())
    model.n_parameters_ = count_parameters(model, fit)
    model.n_bins_ = len(observed.x)
    model.best_start_ = fit.best
    model.n_iter_ = int(np.isfinite(fit.trace[fit.best]).sum())
    model.converged_ = bool(fit.converged)
    model.start_agreement_ = agreement(fit)
    model.n_logspace_fallbacks_ = int(fit.n_logspace)
    model.n_missing_ = int(observed.n_missing)
    model.n_observed_ = int(observed.n_observed)
    model.n_features_in_ = len(names)
    model.n_inputs_ = len(observed.input_names)
    model.sampling_rate_ = sequences.sampling_rate
    model.device_ = device
    model.seed_ = seed


def count_parameters(model, fit) -> int:
    """Numbers that the fit was free to choose, for information criteria."""
    n_states, n_units, _ = fit.laplace.shape
    glm = int((fit.laplace > 0).sum())
    if fit.ties is not None:
        glm = len({(n, t) for n in range(n_units) for t in fit.ties[:, n].ravel()})
    chain = n_states - 1
    if model.transitions == "sticky":
        chain += n_states * (n_states - 1)
    noise = 0 if fit.parameters.variance is None else n_states * n_units
    return glm + chain + noise


def agreement(fit):
    """Adjusted Rand index of the states of the two best starts; NaN for one start."""
    if len(fit.trace) < 2:
        return float("nan")
    from sklearn.metrics import adjusted_rand_score

    last = np.array([row[np.isfinite(row)][-1] for row in fit.trace])
    first, second = np.argsort(-last)[:2]
    return float(adjusted_rand_score(fit.labels[first], fit.labels[second]))


def warn_after(model, fit):
    """Say what in the fit should be looked at."""
    if len(fit.empty_states):
        warnings.warn(
            message(
                "HMMGLM.fit",
                f"{model.n_states} states in use",
                f"{len(fit.empty_states)} of them explain almost no bin",
                "use fewer states or more starts",
            ),
            EmptyStateWarning,
            stacklevel=4,
        )
    if not fit.converged:
        warnings.warn(
            message(
                "HMMGLM.fit",
                f"gains below tol={model.tol:g} within {model.max_iter} iterations",
                "a start that still climbs",
                "raise max_iter",
            ),
            FitWarning,
            stacklevel=4,
        )
    if model.start_agreement_ < DISAGREE:
        warnings.warn(
            message(
                "HMMGLM.fit",
                "the two best starts to find the same states",
                f"an adjusted Rand index of {model.start_agreement_:.2f}",
                "compare objective_trace_; use more starts or fewer states",
            ),
            FitWarning,
            stacklevel=4,
        )


def coefficients(model):
    """theta (1, K, N, D) and variance (1, K, N) of a fitted model."""
    k, n = model.baseline_.shape
    parts = [model.baseline_.to_numpy()[..., None]]
    parts.append(model.coupling_.to_numpy().reshape(k, n, -1))
    if model.n_inputs_:
        parts.append(model.input_weights_.to_numpy())
    theta = torch.as_tensor(np.concatenate(parts, axis=-1))[None]
    noise = getattr(model, "noise_", None)
    variance = None if noise is None else torch.as_tensor(noise.to_numpy())[None]
    return theta, variance


def scoring_panel(model, observed, seen):
    """Panel, family and coefficients of a fitted model on its device."""
    device = devices.choose(model.device)
    kind = family(model.observation, model.link)
    flat = model.flat_.to_numpy() == 1
    seen = without_flat(kind, seen, flat, observed.x.shape)
    panel = make_panel(model, observed, seen, device, kind)
    theta, variance = coefficients(model)
    variance = None if variance is None else variance.to(device)
    return panel, kind, theta.to(device), variance


def emissions_of(model, observed, seen) -> np.ndarray:
    """Emission log-likelihoods of a fitted model, (T, K)."""
    panel, kind, theta, variance = scoring_panel(model, observed, seen)
    return emissions(kind, panel, theta, variance)[0].cpu().numpy()


def expected_values(model, observed, weights) -> np.ndarray:
    """Mean of the units, states weighted by `weights` (T, K), (T, N)."""
    panel, kind, theta, _ = scoring_panel(model, observed, observed.seen)
    weights = torch.as_tensor(weights, device=theta.device)
    out = np.empty(observed.x.shape)
    for chunk in panel.chunks(theta[..., 0].numel()):
        mean = kind.mean(panel.predictors(theta, chunk))[0]
        rate = torch.einsum("kns,sk->sn", mean.to(weights), weights[chunk])
        out[chunk] = rate.cpu().numpy()
    return out
