"""Between the estimator and the kernels: make the problem and run EM."""

import logging
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from neuroana.core import device as devices
from neuroana.core.errors import NeuroanaWarning
from neuroana.core.progress import track
from neuroana.core.random import draw_seed
from neuroana.switching import dispersion, em, reference_schedule, starts
from neuroana.switching.cautions import after_fit, before_fit
from neuroana.switching.designs import flat_units, observed_moments
from neuroana.switching.edge_priors import GaussianPrior, RidgePrior, as_prior
from neuroana.switching.labelling import label, shapes_of
from neuroana.switching.maximisation import MANY_TERMS, fit_one_state
from neuroana.switching.observations import family
from neuroana.switching.scoring import make_panel, without_flat
from neuroana.switching.structure import structure
from neuroana.switching.transitions import InputDriven, Stationary


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
        before_fit(model, observed, flat)
        problem, alone = make_problems(model, observed, kind, flat, device)
        problem = replace(problem, map=workers.map, seed=seed)
        parameters = first_parameters(model, observed, problem, alone, seed)
        if getattr(problem.prior, "reference_schedule", False):
            fit = reference_schedule.run(problem, parameters, level_of(observed))
        else:
            steps = track(range(model.max_iter), "HMMGLM.fit", progress=model.progress)
            fit = em.run(
                problem, parameters, max_iter=model.max_iter, tol=model.tol, steps=steps
            )
    label(model, observed, fit, flat, device, seed)
    after_fit(model, fit)


def level_of(observed):
    """Mean of every unit over what was observed."""
    return observed_moments(observed.x, observed.seen)[0]


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
    devices.forecast(
        forecast_bytes(model, n_bins, n_units, observed.design.shape[1]),
        "HMMGLM.fit",
        device=device,
        fix="use fewer starts (n_init), basis functions, units or bins",
    )


def forecast_bytes(model, n_bins, n_units, n_terms) -> int:
    """Bytes of the arrays that live at once during a fit."""
    n_starts = model.n_init if model.n_states > 1 else 1
    k = model.n_states
    data = n_bins * (3 * n_terms + 4 * n_units)
    posterior = 7 * n_bins * n_starts * k
    triangle = n_terms * (n_terms + 1) // 2
    if n_terms > MANY_TERMS:
        solves = n_starts * k * (n_terms**2 + 12 * n_units * n_terms)
    else:
        solves = n_starts * k * n_units * (triangle + 3 * n_terms**2)
    driven = n_bins * k * k if model.transitions == "inputs" else 0
    jobs = min(n_starts, model.n_jobs or torch.get_num_threads())
    return 8 * (data + posterior + solves + jobs * driven)


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
            n_observed=observed.n_observed,
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
    if init == "warm":
        init = simpler_fit(model, observed, seed) or "glm+noise"
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


def simpler_fit(model, observed, seed):
    """The same model fitted under the next simpler prior, or None if there is none."""
    from sklearn.base import clone

    prior = as_prior(model.prior)
    if isinstance(prior, RidgePrior) or model.n_states == 1:
        return None
    simpler = "none" if isinstance(prior, GaussianPrior) else "gaussian"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeuroanaWarning)
        other = clone(model).set_params(prior=simpler, random_state=seed)
        fit_states(other, observed)
    return other


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
