"""Where the restarts of a fit begin.

All-zero couplings make the states exchangeable, a saddle that EM cannot leave; every
start is therefore the one-state fit plus noise of its own, or a clustering of its own.
Start s draws from branch s of the seed's tree, whatever the number of starts.
"""

from collections.abc import Mapping

import numpy as np
import torch

from neuroana.core.checks import check_choice, check_names, message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.core.random import branch, branch_seed
from neuroana.switching import em
from neuroana.switching.maximisation import climb_again, maximise_glm
from neuroana.switching.transitions import InputDriven


STAY = 0.95  # probability to stay in a state, at the start
COUPLING_NOISE = 0.3
BASELINE_NOISE = 0.1
CLUSTER_BINS = 10  # signals are averaged over this many bins before clustering
NAMED = ("glm+noise", "kmeans", "warm")
ARRAYS = ("coupling", "baseline", "input_weights", "transition_matrix", "initial_prob",
          "noise", "transition_weights")  # fmt: skip


def sticky_transitions(n_starts, n_states):
    """STAY on the diagonal, the rest shared, (S, K, K)."""
    if n_states == 1:
        return np.ones((n_starts, 1, 1))
    a = np.full((n_states, n_states), (1 - STAY) / (n_states - 1))
    np.fill_diagonal(a, STAY)
    return np.repeat(a[None], n_starts, axis=0)


def replicate(problem, theta, noise, n_starts, n_states):
    """The one-state fit (1, 1, N, D) as S starts with K equal states."""
    theta = theta.expand(n_starts, n_states, -1, -1).clone()
    if noise is not None:
        wide = 1 if problem.family.noise == "dispersion" else n_states
        noise = noise.expand(n_starts, wide, *noise.shape[2:]).clone()
    uniform = np.full((n_starts, n_states), 1 / n_states)
    weights = None
    if isinstance(problem.chain, InputDriven):
        weights = np.zeros((n_starts, n_states, problem.chain.u.shape[1]))
    return em.Parameters(
        theta, noise, sticky_transitions(n_starts, n_states), uniform, weights
    )


def noisy(problem, theta, noise, scales, n_starts, n_states, seed):
    """The one-state fit plus noise on couplings and baselines.

    `scales` (N, D) is the natural size of each coefficient.
    """
    parameters = replicate(problem, theta, noise, n_starts, n_states)
    if n_states == 1:
        return parameters
    relative = theta[0, 0, :, 1:].cpu().numpy() / scales[:, 1:]
    size = COUPLING_NOISE * max(1.0, float(relative.std()) if relative.size else 0.0)
    for s in range(n_starts):
        noise = branch(seed, s).standard_normal((n_states, *scales.shape)) * scales
        noise[..., 0] *= BASELINE_NOISE
        noise[..., 1:] *= size
        parameters.theta[s] += torch.as_tensor(noise).to(parameters.theta)
    return tied(problem, parameters)


def tied(problem, parameters):
    """Fixed coefficients at zero, shared ones at the mean over states."""
    theta = torch.where(problem.free, parameters.theta, 0.0)
    fixed = ~problem.free[..., 0]
    theta[..., 0] = torch.where(fixed, problem.rest[:, 0], theta[..., 0])
    if problem.ties is not None:
        same = (problem.ties == problem.ties[:1]).all(0)
        theta = torch.where(same, theta.mean(1, keepdim=True), theta)
    parameters.theta = theta
    return parameters


def clustered(problem, theta, noise, x, n_starts, n_states, seed, law):
    """GLMs of the clusters that k-means finds in smoothed signals."""
    from sklearn.cluster import KMeans

    parameters = replicate(problem, theta, noise, n_starts, n_states)
    spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    kernel = np.ones(CLUSTER_BINS) / CLUSTER_BINS
    smooth = np.concatenate(
        [
            np.stack([np.convolve(c, kernel, "same")[: len(part)] for c in part.T], 1)
            for part in np.split(x / spread, np.cumsum(problem.lengths)[:-1])
        ]
    )
    gamma = np.full((n_starts, len(x), n_states), 0.1 / n_states)
    for s in range(n_starts):
        means = KMeans(n_states, n_init=1, random_state=branch_seed(seed, s))
        labels = means.fit_predict(smooth)
        gamma[s, np.arange(len(x)), labels] += 0.9
    gamma = torch.as_tensor(gamma, device=theta.device)
    for _ in range(3):
        if problem.family.values == "real":
            found = maximise_glm(
                problem, parameters.theta, parameters.noise, gamma, law,
                coarse=np.zeros(n_starts, dtype=bool), kept=[None] * n_starts,
            )  # fmt: skip
        else:
            found = climb_again(problem, parameters.theta, parameters.noise, gamma, law)
        parameters.theta, parameters.noise = found[:2]
    return tied(problem, parameters)


def given(problem, theta, noise, arrays, shapes):
    """One start from arrays by the names of the learned attributes."""
    check_names("init", arrays, ARRAYS)
    n_states = shapes["coupling"][0]
    parameters = replicate(problem, theta, noise, 1, n_states)
    for name in arrays:
        value = np.asarray(arrays[name], dtype=float)
        if value.shape != shapes[name] or not np.isfinite(value).all():
            raise ShapeError(
                message(
                    f"init[{name!r}]", f"finite values of shape {shapes[name]}",
                    f"shape {value.shape}",
                )
            )  # fmt: skip
    start = 1
    for name in ("baseline", "coupling", "input_weights"):
        size = int(np.prod(shapes[name][2:]))
        columns = slice(0, 1) if name == "baseline" else slice(start, start + size)
        if name in arrays and size:
            value = np.asarray(arrays[name], float).reshape(*shapes[name][:2], -1)
            parameters.theta[0, :, :, columns] = torch.as_tensor(value)
        start += size if name != "baseline" else 0
    if "noise" in arrays and noise is not None:
        parameters.noise[0] = torch.as_tensor(np.asarray(arrays["noise"], float))
    if "transition_matrix" in arrays:
        parameters.transition = rows_of_one("transition_matrix", arrays)[None]
    if "transition_weights" in arrays and parameters.weights is not None:
        q = np.asarray(arrays["transition_weights"], float)
        parameters.weights[0] = q - q[-1]
    if "initial_prob" in arrays:
        parameters.initial = rows_of_one("initial_prob", arrays)[None]
    return tied(problem, parameters)


def rows_of_one(name, arrays):
    """The array as floats, if it is made of probabilities."""
    value = np.asarray(arrays[name], dtype=float)
    if (value < 0).any() or np.abs(value.sum(axis=-1) - 1).max() > 1e-6:
        raise ParameterError(
            message(
                f"init[{name!r}]",
                "probabilities, rows that sum to one",
                f"sums {np.round(value.sum(axis=-1), 4)}",
            )
        )
    return value


def check_init(init):
    """Raise unless `init` is a name, a mapping of arrays or a fitted model."""
    if isinstance(init, Mapping) or hasattr(init, "coupling_"):
        return init
    return check_choice("init", init, NAMED)
