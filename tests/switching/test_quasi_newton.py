"""The step for large populations: its direction, and where fits with it end."""

import numpy as np
import pytest
import torch

from neuroana.switching import HMMGLM, RidgePrior, maximisation, simulate_hmm_glm
from neuroana.switching.glm_mstep import expected_emissions, gradient, log_prior
from neuroana.switching.observations import Poisson
from neuroana.switching.panel import Panel
from neuroana.switching.quasi_newton import Shared, direction, two_loops


def problem(seed=0):
    rng = np.random.default_rng(seed)
    design = torch.as_tensor(np.c_[np.ones(400), rng.standard_normal((400, 3))])
    x = torch.as_tensor(rng.poisson(0.7, (400, 2)).astype(float))
    panel = Panel.of(Poisson("softplus"), design, x, coarse=False)
    theta = torch.as_tensor(0.3 * rng.standard_normal((1, 3, 2, 4)))
    gamma = torch.as_tensor(rng.dirichlet(np.ones(3), size=(1, 400)))
    prior = torch.zeros_like(theta), torch.full_like(theta, 0.5)
    free = torch.ones(3, 2, 4, dtype=torch.bool)
    return panel, theta, gamma, prior, free


def test_direction_goes_uphill_for_every_problem():
    panel, theta, gamma, prior, free = problem()
    family = Poisson("softplus")

    step, sd = direction(family, panel, theta, None, gamma, prior, free, variances=True)

    def value(at):
        return expected_emissions(family, panel, at, None, gamma)[1] + log_prior(
            at, *prior
        )

    assert (value(theta + step) > value(theta)).all()
    assert (sd > 0).all()


def test_two_loops_solve_a_quadratic():
    """With as many pairs as coefficients the inverse Hessian is exact."""
    rng = np.random.default_rng(0)
    root = torch.as_tensor(rng.standard_normal((3, 3)))
    h = root @ root.T + torch.eye(3)
    memory = [
        (s.view(1, 1, 1, 3), (h @ s).view(1, 1, 1, 3))
        for s in torch.linalg.eigh(h)[1].T
    ]
    g = torch.as_tensor(rng.standard_normal(3))

    found = two_loops(g.view(1, 1, 1, 3), memory, lambda right: right)

    torch.testing.assert_close(found.view(3), torch.linalg.solve(h, g))


def test_fixed_coefficients_do_not_move():
    panel, theta, gamma, prior, free = problem()
    free[:, 1, 2] = False

    step, _ = direction(Poisson("softplus"), panel, theta, None, gamma, prior, free)

    assert (step[0, :, 1, 2] == 0).all()
    assert (step[0, :, 0] != 0).all()


def test_shared_curvature_is_that_of_a_constant_rate():
    """Where the Fisher weight is the same in all bins nothing is lost."""
    panel, theta, gamma, prior, free = problem()
    theta = torch.zeros_like(theta)
    family = Poisson("exp")
    solver = Shared(family, panel, theta, None, gamma, prior[1], free)
    slope = gradient(family, panel, theta, None, gamma)

    weight = gamma[0, :, 1]
    x = panel.design
    matrix = (x * weight) @ x.T + 0.5 * torch.eye(4)

    torch.testing.assert_close(
        solver(slope)[0, 1, 0], torch.linalg.solve(matrix, slope[0, 1, 0])
    )


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
@pytest.mark.parametrize("prior", ["none", "gaussian", "one_hot"])
def test_fits_end_where_those_with_full_curvature_do(monkeypatch, prior):
    data, _ = simulate_hmm_glm(
        n_states=2, n_units=8, n_bins=700, n_sequences=4, random_state=0
    )
    options = {"link": "sigmoid", "n_init": 2, "random_state": 0, "prior": prior}
    newton = HMMGLM(2, **options).fit(data)
    monkeypatch.setattr(maximisation, "MANY_TERMS", 2)
    monkeypatch.setattr(maximisation, "EXACT_TERMS", 2)

    model = HMMGLM(2, **options).fit(data)

    assert model.score(data) == pytest.approx(newton.score(data), abs=3e-3)
    trace = model.objective_trace_.to_numpy()
    if prior == "none":
        assert np.nanmin(np.diff(trace, axis=1)) >= -1e-9 * np.nanmax(np.abs(trace))
    ratio = model.coupling_sd_ / newton.coupling_sd_
    assert 0.6 < float(ratio.median()) < 1.6


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::neuroana.core.errors.NeuroanaWarning")
def test_population_of_a_hundred_and_ten_units_is_decoded():
    from neuroana.switching import state_accuracy

    data, _ = simulate_hmm_glm(
        n_states=3, n_units=110, n_bins=4000, n_sequences=3, random_state=0
    )
    model = HMMGLM(3, link="sigmoid", prior=RidgePrior(0.1), n_init=1, max_iter=30,
                   random_state=0).fit(data)  # fmt: skip

    assert state_accuracy([r.state for r in data], model.predict(data)) > 0.99
