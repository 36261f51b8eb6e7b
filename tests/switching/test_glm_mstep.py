"""The Newton step: its terms against direct sums, its guard, its ties."""

import numpy as np
import pytest
import torch

from neuroana.switching import glm_mstep
from neuroana.switching import panel as panels
from neuroana.switching.linear_systems import solve, solve_tied, unpack
from neuroana.switching.observations import (
    Bernoulli,
    Categorical,
    NegativeBinomial,
    Poisson,
)
from neuroana.switching.panel import Panel
from neuroana.switching.structure import number_coefficients


def problem(family, *, masked=False, n_bins=300, seed=0):
    rng = np.random.default_rng(seed)
    design = np.c_[np.ones(n_bins), rng.standard_normal((n_bins, 3))]
    x = rng.poisson(0.7, (n_bins, 2)).astype(float)
    if family.values in ("binary", "classes"):
        x = np.minimum(x, 1)
    if family.values == "classes":
        x[:, 1] *= 1 - x[:, 0]
    seen = torch.as_tensor(rng.random(x.shape) < 0.7) if masked else None
    panel = Panel.of(
        family, torch.as_tensor(design), torch.as_tensor(x), seen, coarse=False
    )
    theta = torch.as_tensor(0.3 * rng.standard_normal((2, 3, 2, 4)))
    gamma = torch.as_tensor(rng.dirichlet(np.ones(3), size=(2, n_bins)))
    variance = None
    if isinstance(family, NegativeBinomial):
        variance = torch.as_tensor(rng.uniform(0.5, 2, (2, 1, 2)))
    return (
        panel,
        theta,
        gamma,
        variance,
        torch.as_tensor(design),
        torch.as_tensor(x),
        seen,
    )


FAMILIES = [
    Poisson("softplus"), Poisson("sigmoid"), Poisson("exp"), Bernoulli(),
    NegativeBinomial("exp"),
]  # fmt: skip


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_gradient_and_curvature_equal_direct_sums(family, masked, monkeypatch):
    monkeypatch.setattr(panels, "CHUNK_BYTES", 8 * 64 * 12)  # several chunks
    monkeypatch.setattr(glm_mstep, "CURVATURE_VALUES", 64 * 10)
    panel, theta, gamma, noise, design, x, seen = problem(family, masked=masked)

    slope = glm_mstep.gradient(family, panel, theta, noise, gamma)
    packed = glm_mstep.curvature(family, panel, theta, noise, gamma, exact=True)

    eta = torch.einsum("td,sknd->sknt", design, theta)
    own = None if noise is None else family.prepared(noise)
    score, weight = family.score(x.T, eta, own), family.fisher(eta, own)
    share = gamma.transpose(1, 2)[:, :, None]
    share = share if seen is None else share * seen.T
    torch.testing.assert_close(
        slope, torch.einsum("sknt,td->sknd", share * score, design)
    )
    torch.testing.assert_close(
        unpack(packed, 4),
        torch.einsum("sknt,td,te->sknde", share * weight, design, design),
    )


def test_sampled_curvature_is_near_the_exact_one():
    family = Poisson("softplus")
    panel, theta, gamma, *_ = problem(family, n_bins=20_000)

    rough = glm_mstep.curvature(family, panel, theta, None, gamma)
    exact = glm_mstep.curvature(family, panel, theta, None, gamma, exact=True)

    scale = exact.abs().amax(-1, keepdim=True)
    assert 1e-6 < ((rough - exact) / scale).abs().max() < 0.15


def test_coupled_curvature_is_the_hessian_of_the_categorical():
    family = Categorical()
    panel, theta, gamma, _, design, x, _ = problem(family)

    packed = glm_mstep.curvature(family, panel, theta, None, gamma, exact=True)
    free = torch.ones(3, 2, 4, dtype=torch.bool)
    right = torch.randn(2, 3, 2, 4, dtype=torch.float64)
    step, _ = glm_mstep.newton_step(
        family, packed, right, torch.full_like(theta, 0.1), free, None
    )

    def q(flat):
        eta = flat.view(2, 4) @ design.T
        return (gamma[1, :, 2] * family.log_density(x.T, eta).sum(0)).sum()

    hessian = torch.autograd.functional.hessian(q, theta[1, 2].reshape(-1))
    matrix = 0.1 * torch.eye(8) - hessian
    torch.testing.assert_close(
        step[1, 2].reshape(-1), torch.linalg.solve(matrix, right[1, 2].reshape(-1)),
        rtol=1e-5, atol=1e-8,
    )  # fmt: skip


@pytest.mark.parametrize("masked", [False, True])
def test_emissions_sum_the_units_that_were_seen(masked):
    family = Poisson("softplus")
    panel, theta, _, _, design, x, seen = problem(family, masked=masked)

    found = glm_mstep.emissions(family, panel, theta)

    eta = torch.einsum("td,sknd->stkn", design, theta)
    value = family.log_density(x[:, None], eta) + family.constant(x)[:, None]
    value = value if seen is None else value * seen[:, None]
    torch.testing.assert_close(found, value.sum(-1))


def test_climb_halves_a_step_that_is_too_long():
    family = Poisson("exp")
    panel, theta, gamma, _, *_ = problem(family)
    prior = torch.zeros_like(theta), torch.zeros_like(theta)
    _, q = glm_mstep.expected_emissions(family, panel, theta, None, gamma)
    step = glm_mstep.gradient(family, panel, theta, None, gamma) / 100
    step[0, 0, 0] *= 50  # far too long for this one only

    found, _ = glm_mstep.climb(family, panel, theta, None, gamma, step, prior)

    _, after = glm_mstep.expected_emissions(family, panel, found, None, gamma)
    assert (after >= q).all()
    assert (found - theta)[0, 0, 0].abs().max() < step[0, 0, 0].abs().max()
    torch.testing.assert_close(found[1], (theta + step)[1])


def test_climb_refuses_a_step_downhill():
    family = Poisson("exp")
    panel, theta, gamma, _, *_ = problem(family)
    prior = torch.zeros_like(theta), torch.zeros_like(theta)
    uphill = glm_mstep.gradient(family, panel, theta, None, gamma)

    found, _ = glm_mstep.climb(family, panel, theta, None, gamma, -uphill, prior)

    torch.testing.assert_close(found, theta, rtol=0, atol=0)


def test_solve_does_not_care_about_units():
    rng = np.random.default_rng(0)
    root = torch.as_tensor(rng.standard_normal((5, 5)))
    matrix = root @ root.T
    scale = torch.diag(torch.logspace(-9, 9, 5, dtype=torch.float64))
    right = torch.as_tensor(rng.standard_normal(5))

    plain, variance = solve(matrix, right, variances=True)
    scaled, _ = solve(scale @ matrix @ scale, scale @ right)

    torch.testing.assert_close(scale @ scaled, plain, rtol=1e-9, atol=0)
    torch.testing.assert_close(variance, torch.linalg.inv(matrix).diagonal(), rtol=1e-9,
                               atol=0)  # fmt: skip


def test_solve_survives_a_singular_matrix():
    matrix = torch.ones(2, 2, dtype=torch.float64)

    step, _ = solve(matrix, torch.ones(2, dtype=torch.float64))

    assert torch.isfinite(step).all()
    torch.testing.assert_close(matrix @ step, torch.ones(2, dtype=torch.float64))


def test_solve_tied_equals_one_dense_system():
    rng = np.random.default_rng(1)
    shared = np.zeros((2, 4), dtype=bool)
    shared[:, 0] = True
    shared[1, 2] = True
    ties = number_coefficients(3, shared)
    root = torch.as_tensor(rng.standard_normal((2, 3, 2, 4, 4)))
    matrix = root @ root.transpose(-1, -2)
    right = torch.as_tensor(rng.standard_normal((2, 3, 2, 4)))

    found, _ = solve_tied(matrix, right, torch.as_tensor(ties))

    for s in range(2):
        for n in range(2):
            size = ties[:, n].max() + 1
            spread = np.zeros((12, size))
            spread[np.arange(12), ties[:, n].ravel()] = 1
            dense = torch.block_diag(*matrix[s, :, n]).numpy()
            expected = spread @ np.linalg.solve(
                spread.T @ dense @ spread, spread.T @ right[s, :, n].reshape(-1).numpy()
            )
            np.testing.assert_allclose(found[s, :, n].reshape(-1), expected, rtol=1e-8)
