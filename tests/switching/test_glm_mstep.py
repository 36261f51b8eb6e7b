"""The Newton step: its terms against direct sums, its guard, its ties."""

import numpy as np
import pytest
import torch

from neuroana.switching import glm_mstep
from neuroana.switching.observations import Gaussian, Poisson
from neuroana.switching.structure import number_coefficients


def problem(family, *, masked=False, n_bins=300, seed=0):
    rng = np.random.default_rng(seed)
    design = np.c_[np.ones(n_bins), rng.standard_normal((n_bins, 3))]
    x = rng.poisson(0.7, (n_bins, 2)).astype(float)
    seen = torch.as_tensor(rng.random(x.shape) < 0.7) if masked else None
    panel = glm_mstep.Panel.of(
        family, torch.as_tensor(design), torch.as_tensor(x), seen, coarse=False
    )
    theta = torch.as_tensor(0.3 * rng.standard_normal((2, 3, 2, 4)))
    gamma = torch.as_tensor(rng.dirichlet(np.ones(3), size=(2, n_bins)))
    variance = None
    if isinstance(family, Gaussian):
        variance = torch.as_tensor(rng.uniform(0.5, 2, (2, 3, 2)))
    return (
        panel,
        theta,
        gamma,
        variance,
        torch.as_tensor(design),
        torch.as_tensor(x),
        seen,
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "family", [Poisson("softplus"), Poisson("sigmoid"), Gaussian()]
)
def test_newton_terms_equal_direct_sums(family, masked, monkeypatch):
    monkeypatch.setattr(glm_mstep, "CHUNK_VALUES", 64 * 12)  # several chunks
    panel, theta, gamma, variance, design, x, seen = problem(family, masked=masked)

    q, gradient, packed = glm_mstep.newton_terms(family, panel, theta, variance, gamma)
    curvature = glm_mstep.information(
        family, panel, packed, variance, torch.zeros_like(theta),
        torch.ones(3, 2, 4, dtype=torch.bool),
    )  # fmt: skip

    eta = torch.einsum("td,sknd->tskn", design, theta)
    value, score, weight = family.derivatives(x[:, None, None], eta, variance)
    share = gamma.transpose(0, 1)[..., None]
    share = share if seen is None else share * seen[:, None, None]
    torch.testing.assert_close(q, (share * value).sum(0))
    torch.testing.assert_close(
        gradient, torch.einsum("tskn,td->sknd", share * score, design)
    )
    torch.testing.assert_close(
        curvature,
        torch.einsum("tskn,td,te->sknde", share * weight, design, design),
    )


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
    q, gradient, _ = glm_mstep.newton_terms(family, panel, theta, None, gamma)
    step = gradient / 100
    step[0, 0, 0] *= 50  # far too long for this one only

    found, _, refused = glm_mstep.climb(
        family, panel, theta, None, gamma, step, q, prior, tied=False
    )

    _, after = glm_mstep.expected_emissions(family, panel, found, None, gamma)
    assert refused == 0
    assert (after >= q).all()
    assert (found - theta)[0, 0, 0].abs().max() < step[0, 0, 0].abs().max()
    torch.testing.assert_close(found[1], (theta + step)[1])


def test_climb_refuses_a_step_downhill():
    family = Poisson("exp")
    panel, theta, gamma, _, *_ = problem(family)
    prior = torch.zeros_like(theta), torch.zeros_like(theta)
    q, gradient, _ = glm_mstep.newton_terms(family, panel, theta, None, gamma)

    found, _, refused = glm_mstep.climb(
        family, panel, theta, None, gamma, -gradient, q, prior, tied=False
    )

    assert refused == q.numel()
    torch.testing.assert_close(found, theta, rtol=0, atol=0)


def test_solve_does_not_care_about_units():
    rng = np.random.default_rng(0)
    root = torch.as_tensor(rng.standard_normal((5, 5)))
    matrix = root @ root.T
    scale = torch.diag(torch.logspace(-9, 9, 5, dtype=torch.float64))
    right = torch.as_tensor(rng.standard_normal(5))

    plain, variance = glm_mstep.solve(matrix, right, variances=True)
    scaled, _ = glm_mstep.solve(scale @ matrix @ scale, scale @ right)

    torch.testing.assert_close(scale @ scaled, plain, rtol=1e-9, atol=0)
    torch.testing.assert_close(variance, torch.linalg.inv(matrix).diagonal(), rtol=1e-9,
                               atol=0)  # fmt: skip


def test_solve_survives_a_singular_matrix():
    matrix = torch.ones(2, 2, dtype=torch.float64)

    step, _ = glm_mstep.solve(matrix, torch.ones(2, dtype=torch.float64))

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

    found, _ = glm_mstep.solve_tied(matrix, right, torch.as_tensor(ties))

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


def test_float32_curvature_changes_the_step_but_little():
    family = Poisson("softplus")
    panel, theta, gamma, _, design, x, _ = problem(family)
    coarse = glm_mstep.Panel.of(family, design, x, coarse=True)

    fine = glm_mstep.newton_terms(family, panel, theta, None, gamma)
    rough = glm_mstep.newton_terms(family, coarse, theta, None, gamma)

    torch.testing.assert_close(rough[1], fine[1], rtol=0, atol=0)
    torch.testing.assert_close(rough[2], fine[2], rtol=1e-5, atol=1e-5)
