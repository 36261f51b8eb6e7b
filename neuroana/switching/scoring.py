"""A fitted model on data: emission log-likelihoods and expected values."""

import numpy as np
import torch

from neuroana.core import device as devices
from neuroana.switching.glm_mstep import emissions
from neuroana.switching.observations import family
from neuroana.switching.panel import Panel, predictors


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
        coarse=coarse and kind.values != "real",
    )


def without_flat(kind, seen, flat, shape):
    """Constant gaussian units have no likelihood: leave them out."""
    if kind.values != "real" or not flat.any():
        return seen
    return (np.ones(shape, dtype=bool) if seen is None else seen) & ~flat


def coefficients(model):
    """theta (1, K, N, D) and noise parameters (1, ...) of a fitted model."""
    k, n = model.baseline_.shape
    parts = [model.baseline_.to_numpy()[..., None]]
    parts.append(model.coupling_.to_numpy().reshape(k, n, -1))
    if model.n_inputs_:
        parts.append(model.input_weights_.to_numpy())
    theta = torch.as_tensor(np.concatenate(parts, axis=-1))[None]
    noise = getattr(model, "noise_", None)
    if noise is None:
        return theta, None
    noise = torch.as_tensor(noise.to_numpy())[None]
    return theta, noise[None] if model.observation == "negative_binomial" else noise


def scoring_panel(model, observed, seen):
    """Panel, family and coefficients of a fitted model on its device."""
    device = devices.choose(model.device)
    kind = family(model.observation, model.link, model.covariance)
    flat = model.flat_.to_numpy() == 1
    seen = without_flat(kind, seen, flat, observed.x.shape)
    panel = make_panel(model, observed, seen, device, kind)
    theta, noise = coefficients(model)
    noise = None if noise is None else noise.to(device)
    return panel, kind, theta.to(device), noise


def emissions_of(model, observed, seen) -> np.ndarray:
    """Emission log-likelihoods of a fitted model, (T, K)."""
    panel, kind, theta, noise = scoring_panel(model, observed, seen)
    return emissions(kind, panel, theta, noise)[0].cpu().numpy()


def expected_values(model, observed, weights) -> np.ndarray:
    """Mean of the units, states weighted by `weights` (T, K), (T, N)."""
    panel, kind, theta, _ = scoring_panel(model, observed, observed.seen)
    weights = torch.as_tensor(weights, device=theta.device)
    out = np.empty(observed.x.shape)
    for chunk in panel.chunks(theta[..., 0].numel()):
        mean = kind.mean(predictors(theta, panel.design, chunk))[0]
        rate = torch.einsum("kns,sk->sn", mean.to(weights), weights[chunk])
        out[chunk] = rate.cpu().numpy()
    return out


def chain_of(model, X, *, inputs=None, transition_inputs=None, lengths=None):
    """What the recursions take, of a fitted model on data.

    Returns
    -------
    Observed, and the arguments (loglik, transition, initial, lengths) of ``smooth`` and
    ``viterbi``
    """
    observed, loglik = model._emissions(X, inputs, lengths, transition_inputs)
    return observed, (loglik, *model._chain(observed), observed.lengths)


def linear_predictors(model, observed, state) -> np.ndarray:
    """eta of one state on data, (T, N)."""
    theta, _ = coefficients(model)
    return observed.design @ theta[0, state].cpu().numpy().T
