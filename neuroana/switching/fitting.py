"""Between the estimator and the kernels: make the problem and run EM."""

import logging
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from neuroana.core import device as devices
from neuroana.core.checks import message
from neuroana.core.errors import DataWarning, EmptyStateWarning, FitWarning, SchemaError
from neuroana.core.progress import track
from neuroana.core.random import draw_seed
from neuroana.switching import dispersion, em, starts
from neuroana.switching.designs import flat_units, observed_moments
from neuroana.switching.edge_priors import RidgePrior, as_prior
from neuroana.switching.labelling import label, shapes_of
from neuroana.switching.maximisation import fit_one_state
from neuroana.switching.observations import family
from neuroana.switching.scoring import make_panel, without_flat
from neuroana.switching.structure import structure
from neuroana.switching.transitions import InputDriven, Stationary


DISAGREE = 0.9  # adjusted Rand index of the two best starts below which we warn
FLOOR = 1e-6  # of the data variance: smallest gaussian variance

logger = logging.getLogger(__name__)


def fit_states(model, observed) -> None:
    """Fit `model` to observed sequences and set its learned attributes."""
    seed = draw_seed(model.random_state)
    device = devices.choose(model.device)
    forecast(model, observed, device)
    with Workers(model.n_jobs) as workers:
        kind = family(model.observation, model.link, model.covariance)
        flat = flat_units(observed.x, observed.seen)
        warn_about(model, observed, flat)
        problem, alone = make_problems(model, observed, kind, flat, device)
        problem = replace(problem, map=workers.map)
        fit = em.run(
            problem,
            first_parameters(model, observed, problem, alone, seed),
            max_iter=model.max_iter,
            tol=model.tol,
            steps=track(range(model.max_iter), "HMMGLM.fit", progress=model.progress),
        )
    label(model, observed, fit, flat, device, seed)
    warn_after(model, fit)


class Workers:
    """Threads that share the starts of a fit; the arithmetic of each is serial."""

    def __init__(self, n_jobs):
        self.n_jobs = n_jobs

    def __enter__(self):
        self.before = torch.get_num_threads()
        torch.set_num_threads(1)
        self.pool = ThreadPoolExecutor(
            self.n_jobs or self.before, initializer=torch.set_num_threads, initargs=(1,)
        )
        return self.pool

    def __exit__(self, *error):
        self.pool.shutdown()
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


def make_problems(model, observed, kind, flat, device):
    """The problem with K states, and the one-state fit (theta, noise) as anchor."""
    n_units, n_terms = observed.x.shape[1], observed.design.shape[1]
    n_inputs = len(observed.input_names)
    n_basis = (n_terms - 1 - n_inputs) // n_units
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

    rest = np.zeros((n_units, n_terms))
    rest[:, 0] = kind.inverse_link(resting_level(kind, mean, len(observed.x)))
    real = kind.values == "real"
    filled = np.where(variance > 0, variance, variance[variance > 0].mean())
    floor = FLOOR * filled
    unit = filled if real else np.ones(n_units)
    natural = natural_scales(kind, observed)

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
            column_variance=spread[1:] / unit[:, None],
            natural=natural[:, 1 : 1 + n_units * n_basis],
            noise_floor=tensor(floor),
            rest=rest,
            n_observed=observed.n_observed
            // (n_units if observed.dim == "category" else 1),
            chain=chain_of(model, observed),
        )

    prior = as_prior(model.prior)
    one = problem(1, prior if isinstance(prior, RidgePrior) else RidgePrior(), None)
    theta = tensor(rest)[None, None]
    law = one.law(theta)
    noise = first_noise(kind, np.maximum(variance, floor), n_units)
    alone = fit_one_state(one, theta, None if noise is None else tensor(noise), law)
    return problem(model.n_states, prior, alone[0][0, 0]), alone


def resting_level(kind, mean, n_bins):
    """Mean of every unit, off the ends that the link cannot reach."""
    if kind.values == "real":
        return mean
    low = 0.5 / n_bins
    high = 1 - low if kind.values in ("binary", "classes") else np.inf
    return np.clip(mean, low, high)


def first_noise(kind, variance, n_units):
    """Noise parameters before the first fit, (1, 1, ...)."""
    if kind.noise == "dispersion":
        return np.full((1, 1, n_units), dispersion.START)
    if kind.noise == "covariance":
        return np.diag(variance)[None, None]
    return variance[None, None] if kind.noise == "variance" else None


def chain_of(model, observed):
    """How states follow each other in this model."""
    alpha, kappa = model.alpha, model.kappa
    if model.transitions == "inputs":
        return InputDriven(alpha, kappa, True, observed.transition_inputs)
    return Stationary(alpha, kappa, model.transitions == "sticky")


def first_parameters(model, observed, problem, alone, seed):
    """Parameters of all starts."""
    theta, noise = alone
    init = starts.check_init(model.init)
    n_terms = theta.shape[-1]
    if hasattr(init, "coupling_"):
        names = [n for n in starts.ARRAYS if getattr(init, f"{n}_", None) is not None]
        init = {n: getattr(init, f"{n}_").to_numpy() for n in names}
    if isinstance(init, Mapping):
        return starts.given(problem, theta, noise, init, shapes_of(model, observed))
    if init == "kmeans" and model.n_states > 1:
        shape = (model.n_init, model.n_states, theta.shape[2], n_terms)
        return starts.clustered(
            problem, theta, noise, observed.x, model.n_init, model.n_states, seed,
            problem.law(theta.new_zeros(shape)),
        )  # fmt: skip
    n_starts = model.n_init if model.n_states > 1 else 1
    scales = natural_scales(problem.family, observed)
    return starts.noisy(problem, theta, noise, scales, n_starts, model.n_states, seed)


def natural_scales(kind, observed):
    """Size of a coefficient that moves eta by its natural unit, (N, D)."""
    n_units = observed.x.shape[1]
    n_terms = observed.design.shape[1]
    n_edges = n_terms - 1 - len(observed.input_names)
    spread = observed.design.std(axis=0)
    column = np.ones(n_terms)
    unit = np.ones(n_units)
    inputs = slice(1 + n_edges, None)
    column[inputs] = np.where(spread[inputs] > 0, spread[inputs], 1.0)
    if kind.values == "real":
        sd = np.sqrt(observed_moments(observed.x, observed.seen)[1])
        unit = np.where(sd > 0, sd, 1.0)
        column[1 : 1 + n_edges] = np.repeat(unit, n_edges // n_units)
    return unit[:, None] / column


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
