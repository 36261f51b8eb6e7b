"""From the numbers of a fit to the labelled attributes of the estimator."""

import numpy as np
import xarray as xr

from neuroana.switching.designs import observed_moments
from neuroana.switching.em import last_objective
from neuroana.switching.metrics import adjusted_rand_index
from neuroana.switching.one_hot import SIGNS, OneHotLaw


def shapes_of(model, observed):
    """Shapes of the learned arrays."""
    n_units, n_inputs = observed.x.shape[1], len(observed.input_names)
    n_basis = (observed.design.shape[1] - 1 - n_inputs) // n_units
    k = model.n_states
    noise = {
        "negative_binomial": (n_units,),
        "gaussian": (k, n_units)
        if model.covariance == "diag"
        else (k, n_units, n_units),
    }
    return {
        "coupling": (k, n_units, n_units, n_basis),
        "baseline": (k, n_units),
        "input_weights": (k, n_units, n_inputs),
        "transition_matrix": (k, k),
        "initial_prob": (k,),
        "noise": noise.get(model.observation, (k, n_units)),
        "transition_weights": (
            k, 0 if observed.transition_inputs is None
            else observed.transition_inputs.shape[1],
        ),
    }  # fmt: skip


def label(model, observed, fit, flat, device, seed):
    """Set the learned attributes, states by falling occupancy."""
    sequences, shapes = observed.sequences, shapes_of(model, observed)
    dim, names = observed.dim, observed.names
    gamma = fit.posterior.gamma[0]
    seen = slice(None) if observed.seen is None else observed.seen.any(axis=1)
    occupancy = gamma[seen].mean(axis=0)
    order = np.argsort(-occupancy, kind="stable")
    theta = fit.parameters.theta[0].cpu().numpy()[order]
    sd = np.sqrt(fit.laplace[order])
    n_edges = int(np.prod(shapes["coupling"][2:]))
    state = {"state": np.arange(model.n_states)}
    unit = {dim: names}
    if dim == sequences.dim:
        unit |= {k: (dim, v) for k, v in sequences.coords.items()}

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
    if fit.parameters.noise is not None:
        model.noise_ = label_noise(model, fit, order, dim, names, state, unit)
    if fit.parameters.weights is not None:
        model.transition_weights_ = array(
            fit.parameters.weights[0][order], ("state_next", "transition_input"),
            state_next=state["state"], transition_input=observed.transition_input_names,
        )  # fmt: skip
    if fit.law.pooled.any():
        law = fit.law
        model.coupling_prior_mean_ = edges(law.mean[0][order][:, :, :n_edges])
        model.coupling_prior_sd_ = edges(
            np.where(law.pooled, law.precision[0] ** -0.5, np.nan)[order][
                :, :, :n_edges
            ]
        )
    if isinstance(fit.law, OneHotLaw):
        label_edges(model, fit.law.take([0]), order, dim, names, state, unit)
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
    model.objective_ = float(last_objective(fit.trace)[fit.best])
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
    model.n_features_in_ = len(sequences.names)
    model.n_inputs_ = len(observed.input_names)
    model.n_transition_inputs_ = shapes["transition_weights"][1]
    if sequences.sampling_rate is not None:
        model.sampling_rate_ = sequences.sampling_rate
    model.device_ = device
    model.seed_ = seed
    for name, value in vars(model).items():
        if isinstance(value, xr.DataArray):
            value.name = name.rstrip("_")


def count_parameters(model, fit) -> int:
    """Numbers that the fit was free to choose, for information criteria."""
    n_states, n_units, _ = fit.laplace.shape
    glm = int((fit.laplace > 0).sum())
    if fit.ties is not None:
        glm = len({(n, t) for n in range(n_units) for t in fit.ties[:, n].ravel()})
    chain = n_states - 1
    if model.transitions != "fixed":
        chain += n_states * (n_states - 1)
    if fit.parameters.weights is not None:
        chain += (n_states - 1) * fit.parameters.weights.shape[-1]
    noise = 0
    if fit.parameters.noise is not None:
        noise = fit.parameters.noise[0].numel()
        if model.covariance == "full":
            noise = n_states * n_units * (n_units + 1) // 2
    return glm + chain + noise


def label_noise(model, fit, order, dim, names, state, unit):
    """Variance, covariance or dispersion with its labels."""
    noise = fit.parameters.noise[0].cpu().numpy()
    if model.observation == "negative_binomial":
        return xr.DataArray(noise[0], dims=(dim,), coords=unit)
    dims, coords = ("state", dim), {**state, **unit}
    if noise.ndim == 3:
        dims, coords = (*dims, "source"), {**coords, "source": names}
    return xr.DataArray(noise[order], dims=dims, coords=coords)


def label_edges(model, law, order, dim, names, state, unit):
    """Edge types of every state, the map they share, and signs of sources."""
    there = law.edges(law.pooled).any(axis=-1)[order]
    signs = {"sign": list(SIGNS)}
    r = np.where(there[..., None], law.r[0][order], np.nan)
    a0 = np.where(there.any(axis=0)[..., None], law.a0[0], np.nan)
    edge = {**unit, "source": names, **signs}
    model.edge_probability_ = xr.DataArray(
        r, dims=("state", dim, "source", "sign"), coords={**state, **edge}
    )
    model.edge_prior_ = xr.DataArray(a0, dims=(dim, "source", "sign"), coords=edge)
    model.strength_ = float(law.mu[0])
    if law.sign is not None:
        both = np.stack([1 - law.sign[0], law.sign[0]], axis=-1)
        model.source_sign_ = xr.DataArray(
            both, dims=("source", "sign"),
            coords={"source": names, "sign": [SIGNS[0], SIGNS[2]]},
        )  # fmt: skip


def agreement(fit):
    """Adjusted Rand index of the states of the two best starts; NaN for one start."""
    if len(fit.trace) < 2:
        return float("nan")
    first, second = np.argsort(-last_objective(fit.trace))[:2]
    return adjusted_rand_index(fit.labels[first], fit.labels[second])
