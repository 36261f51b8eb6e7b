"""From the numbers of a fit to the labelled attributes of the estimator."""

import numpy as np
import xarray as xr

from neuroana.switching.designs import observed_moments
from neuroana.switching.em import last_objective
from neuroana.switching.metrics import adjusted_rand_index
from neuroana.switching.one_hot import SIGNS, OneHotLaw


OPTIONAL = (
    "input_weights_", "noise_", "transition_weights_", "coupling_prior_mean_",
    "coupling_prior_sd_", "edge_probability_", "edge_prior_", "strength_",
    "source_sign_", "sampling_rate_",
)  # fmt: skip


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


class Labels:
    """Dims and coordinates of what a fit learned, states by falling occupancy."""

    def __init__(self, model, observed, fit):
        sequences = observed.sequences
        gamma = fit.posterior.gamma[0]
        seen = slice(None) if observed.seen is None else observed.seen.any(axis=1)
        occupancy = gamma[seen].mean(axis=0)
        self.order = np.argsort(-occupancy, kind="stable")
        self.occupancy = occupancy[self.order]
        self.shapes = shapes_of(model, observed)
        self.dim, self.names = observed.dim, observed.names
        self.state = {"state": np.arange(model.n_states)}
        self.unit = {self.dim: self.names}
        if self.dim == sequences.dim:
            self.unit |= {k: (self.dim, v) for k, v in sequences.coords.items()}

    def of_states(self, values, *dims, **coords):
        """An array whose first dim is the state, in the fit's own order."""
        if self.dim in dims:
            coords = {**self.unit, **coords}
        dims = ("state", *dims)
        coords = {**self.state, **coords}
        return xr.DataArray(values[self.order], dims=dims, coords=coords)

    def edges(self, values):
        """Couplings (K, N, N B) as (state, unit, source, basis)."""
        shape = self.shapes["coupling"]
        n_edges = int(np.prod(shape[2:]))
        return self.of_states(
            values[:, :, :n_edges].reshape(shape), self.dim, "source", "basis",
            source=self.names, basis=np.arange(shape[3]),
        )  # fmt: skip


def label(model, observed, fit, flat, device, seed):
    """Set the learned attributes, states by falling occupancy."""
    for name in OPTIONAL:
        vars(model).pop(name, None)
    labels = Labels(model, observed, fit)
    label_coefficients(model, observed, fit, labels)
    label_chain(model, observed, fit, labels)
    label_prior(model, fit.law.take([0]), labels)
    label_units(model, observed, flat, labels)
    label_course(model, observed, fit)
    model.device_, model.seed_ = device, seed
    for name, value in vars(model).items():
        if isinstance(value, xr.DataArray):
            value.name = name.rstrip("_")


def label_coefficients(model, observed, fit, labels):
    """Couplings, baselines, input weights and noise."""
    theta = fit.parameters.theta[0].cpu().numpy()
    model.coupling_ = labels.edges(theta[:, :, 1:])
    model.coupling_sd_ = labels.edges(np.sqrt(fit.laplace)[:, :, 1:])
    model.baseline_ = labels.of_states(theta[:, :, 0], labels.dim)
    n_inputs = model.n_inputs_ = len(observed.input_names)
    if n_inputs:
        model.input_weights_ = labels.of_states(
            theta[:, :, -n_inputs:], labels.dim, "input", input=observed.input_names
        )
    if fit.parameters.noise is None:
        return
    noise = fit.parameters.noise[0].cpu().numpy()
    if model.observation == "negative_binomial":
        model.noise_ = xr.DataArray(noise[0], dims=labels.dim, coords=labels.unit)
    elif noise.ndim == 3:
        model.noise_ = labels.of_states(
            noise, labels.dim, "source", source=labels.names
        )
    else:
        model.noise_ = labels.of_states(noise, labels.dim)


def label_chain(model, observed, fit, labels):
    """Transitions, initial law and occupancy."""
    states = labels.state["state"]
    model.transition_matrix_ = labels.of_states(
        fit.parameters.transition[0][:, labels.order], "state_next", state_next=states
    )
    model.initial_prob_ = labels.of_states(fit.parameters.initial[0])
    model.occupancy_ = xr.DataArray(labels.occupancy, dims="state", coords=labels.state)
    model.n_transition_inputs_ = labels.shapes["transition_weights"][1]
    if fit.parameters.weights is not None:
        model.transition_weights_ = xr.DataArray(
            fit.parameters.weights[0][labels.order],
            dims=("state_next", "transition_input"),
            coords={
                "state_next": states,
                "transition_input": observed.transition_input_names,
            },
        )


def label_prior(model, law, labels):
    """What the prior on couplings has learned."""
    if law.pooled.any():
        model.coupling_prior_mean_ = labels.edges(law.mean[0])
        sd = np.where(law.pooled, law.precision[0] ** -0.5, np.nan)
        model.coupling_prior_sd_ = labels.edges(sd)
    if not isinstance(law, OneHotLaw):
        return
    there = law.edges(law.pooled).any(axis=-1)[..., None]
    edge = {"source": labels.names, "sign": list(SIGNS)}
    model.edge_probability_ = labels.of_states(
        np.where(there, law.r[0], np.nan), labels.dim, "source", "sign", **edge
    )
    model.edge_prior_ = xr.DataArray(
        np.where(there.any(axis=0), law.a0[0], np.nan),
        dims=(labels.dim, "source", "sign"), coords={**labels.unit, **edge},
    )  # fmt: skip
    model.strength_ = float(law.mu[0])
    if law.sign is not None:
        model.source_sign_ = xr.DataArray(
            np.stack([1 - law.sign[0], law.sign[0]], axis=-1), dims=("source", "sign"),
            coords={"source": labels.names, "sign": [SIGNS[0], SIGNS[2]]},
        )  # fmt: skip


def label_units(model, observed, flat, labels):
    """Kernel of the history, and each unit's rate and whether it changes at all."""
    phi = np.zeros((0, 0)) if model.history is None else model.history.kernel()
    lags = 1 + np.arange(phi.shape[1])
    model.kernel_ = xr.DataArray(
        phi, dims=("basis", "lag"), coords={"basis": np.arange(len(phi)), "lag": lags}
    )
    rate, _ = observed_moments(observed.x, observed.seen)
    model.rate_ = xr.DataArray(rate, dims=labels.dim, coords=labels.unit)
    model.flat_ = xr.DataArray(
        flat.astype(np.int8), dims=labels.dim, coords=labels.unit
    )
    model.n_features_in_ = len(observed.sequences.names)
    if observed.sequences.sampling_rate is not None:
        model.sampling_rate_ = observed.sequences.sampling_rate


def label_course(model, observed, fit):
    """How the fit went."""
    model.objective_trace_ = xr.DataArray(fit.trace, dims=("start", "iteration"))
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


def agreement(fit):
    """Adjusted Rand index of the states of the two best starts; NaN for one start."""
    if len(fit.trace) < 2:
        return float("nan")
    first, second = np.argsort(-last_objective(fit.trace))[:2]
    return adjusted_rand_index(fit.labels[first], fit.labels[second])
