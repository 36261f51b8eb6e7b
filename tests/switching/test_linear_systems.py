"""Systems of the M step against dense linear algebra."""

import numpy as np
import pytest
import torch

from neuroana.switching import HMMGLM, GaussianPrior, simulate_hmm_glm
from neuroana.switching.linear_systems import solve, solve_shared


def systems(seed=0, n_states=3, n_units=2, n_terms=4):
    """Positive definite matrices, right-hand sides, pulls and drift."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((1, n_states, n_units, n_terms, 2 * n_terms))
    h = torch.as_tensor(a @ a.swapaxes(-1, -2))
    pull = rng.uniform(0.5, 3.0, (1, n_states, n_units, n_terms))
    pull[..., 0] = 0.0
    drift = rng.uniform(0.01, 0.1, (n_units, n_terms))
    right = rng.standard_normal((1, n_states, n_units, n_terms))
    return (h, *map(torch.as_tensor, (pull, drift, right)))


def test_states_and_their_mean_are_solved_together():
    h, pull, drift, right = systems()
    n_states, n_terms = 3, 4

    step, variance = solve_shared(
        h + torch.diag_embed(pull), right, pull, drift, variances=True
    )

    for n in range(2):
        size = (n_states + 1) * n_terms
        joint, target = np.zeros((size, size)), np.zeros(size)
        mean = slice(n_states * n_terms, size)
        for k in range(n_states):
            own = slice(k * n_terms, (k + 1) * n_terms)
            p = np.diag(pull[0, k, n])
            joint[own, own] = h[0, k, n].numpy() + p
            joint[own, mean] = joint[mean, own] = -p
            joint[mean, mean] += p
            target[own] = right[0, k, n]
        joint[mean, mean] += np.diag(drift[n])
        expected = np.linalg.solve(joint, target)[: n_states * n_terms]
        np.testing.assert_allclose(step[0, :, n].ravel(), expected, rtol=1e-9)
        held = np.linalg.inv(h[0, 0, n] + torch.diag(pull[0, 0, n]))
        np.testing.assert_allclose(variance[0, 0, n], np.diag(held), rtol=1e-9)


def test_without_pull_states_are_solved_alone():
    h, pull, drift, right = systems()

    step, _ = solve_shared(h, right, torch.zeros_like(pull), drift)

    torch.testing.assert_close(step, solve(h, right)[0])


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
@pytest.mark.parametrize("observation", ["poisson", "gaussian"])
def test_a_tight_prior_does_not_hold_its_mean_where_it_began(observation):
    """Held means would creep by their scale an iteration, for hundreds of them."""
    generator = "li2024" if observation == "poisson" else "gaussian_var"
    data, _ = simulate_hmm_glm(
        generator, n_states=1, n_units=4, n_bins=3000, n_sequences=1, random_state=0
    )
    options = {"observation": observation, "self_coupling": "prior"}
    if observation == "poisson":
        options["link"] = "sigmoid"
    one = HMMGLM(1, **options).fit(data)
    start = {
        "coupling": np.zeros((2, *one.coupling_.shape[1:])),
        "baseline": np.repeat(one.baseline_, 2, axis=0),
    }
    start["coupling"][1] += 1e-3

    model = HMMGLM(
        2, prior=GaussianPrior(0.01), init=start, max_iter=12, **options
    ).fit(data)

    assert abs(model.coupling_.mean("state") - one.coupling_[0]).max() < 0.05
    gains = np.diff(model.objective_trace_[0])
    assert gains.min() > -1e-9 * abs(model.objective_)
