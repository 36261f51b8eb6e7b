"""The paper's relaxation of edge types: densities, draws, fits."""

import numpy as np
import pytest
import torch
from scipy import stats

from neuroana.core.errors import ParameterError
from neuroana.switching import HMMGLM, OneHotPrior, simulate_hmm_glm
from neuroana.switching.relaxation import concrete, exp_concrete


A0 = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)


def test_exp_concrete_density_integrates_to_one():
    """In its own coordinates: two free log ratios, the Jacobian is one."""
    grid = torch.linspace(-60, 60, 1601, dtype=torch.float64)
    first, second = torch.meshgrid(grid, grid, indexing="ij")
    y = torch.stack([first, second, torch.zeros_like(first)], -1)
    log_a = torch.log_softmax(y, -1)

    density = exp_concrete(log_a, A0.log(), 0.7).exp()

    step = float(grid[1] - grid[0])
    assert float(density.sum()) * step**2 == pytest.approx(1.0, rel=1e-3)


def test_concrete_density_is_the_law_of_its_draws():
    rng = np.random.default_rng(0)
    tau = 1.5
    y = (A0.log().numpy() + rng.gumbel(size=(200_000, 3))) / tau
    a = np.exp(y - np.logaddexp.reduce(y, axis=1)[:, None])
    inside = (np.abs(a[:, :2] - [0.3, 0.4]) < 0.02).all(axis=1).mean()

    at = torch.tensor([0.3, 0.4, 0.3], dtype=torch.float64)
    density = float(concrete(at.log(), A0.log(), tau).exp())

    assert inside / 0.04**2 == pytest.approx(density, rel=0.1)


def test_draws_take_the_types_as_often_as_the_map_says():
    from neuroana.switching.edge_laws import EdgeLaw
    from neuroana.switching.relaxation import Relaxed

    w = np.zeros((1, 1, 100, 100))
    law = OneHotPrior("gumbel").start(w, np.ones(100), np.ones((1, 100, 100), bool))
    assert isinstance(law, EdgeLaw)
    module = Relaxed(law, torch.zeros(1, 1, 100, 101, dtype=torch.float64), True)
    with torch.no_grad():
        module.logits.copy_(A0.log())

    drawn = module.draw(np.random.default_rng(0), 0.2).detach().argmax(-1)

    counts = np.bincount(drawn.numpy().ravel(), minlength=3)
    assert stats.chisquare(counts, 10_000 * A0.numpy()).pvalue > 0.01


@pytest.fixture(scope="module")
def data():
    return simulate_hmm_glm(
        n_states=2, n_units=6, n_bins=1000, n_sequences=3, random_state=1
    )[0]


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
def test_relaxed_fit_ends_in_hard_types(data):
    options = {"link": "sigmoid", "n_init": 1, "random_state": 0}
    one = HMMGLM(1, link="sigmoid").fit(data)

    model = HMMGLM(2, prior=OneHotPrior("gumbel"), **options).fit(data)

    own = np.eye(6, dtype=bool)
    sign = model.edge_probability_.to_numpy()[:, ~own].argmax(-1) - 1
    w = model.coupling_.to_numpy()[:, ~own, 0]
    np.testing.assert_array_equal(np.sign(w), sign)
    assert (sign == 0).any()
    assert model.score(data) > one.score(data) - 1e-3
    assert model.objective_trace_.sizes["iteration"] > 25  # until tau is at its end


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
def test_same_seed_gives_the_same_relaxed_fit(data):
    model = HMMGLM(2, link="sigmoid", prior=OneHotPrior("gumbel"), n_init=1, max_iter=3,
                   random_state=0)  # fmt: skip

    first = model.fit(data[:1]).coupling_.to_numpy()

    np.testing.assert_array_equal(model.fit(data[:1]).coupling_, first)


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
def test_reference_schedule_runs_as_published(data):
    prior = OneHotPrior("gumbel", reference_schedule=True)
    model = HMMGLM(2, link="sigmoid", prior=prior, random_state=0).fit(data)

    assert model.objective_trace_.sizes == {"start": 1, "iteration": 10}  # epochs
    assert not model.converged_
    np.testing.assert_allclose(model.initial_prob_, 0.5)  # never learned
    assert np.ptp(model.baseline_.to_numpy(), axis=0).max() == 0  # shared
    trace = model.objective_trace_.to_numpy()[0]
    assert trace[-1] > trace[0]


def test_relaxation_asks_for_an_observation_without_noise():
    with pytest.raises(ParameterError, match="mixture"):
        HMMGLM(2, "gaussian", prior=OneHotPrior("gumbel")).fit(np.eye(30)[:, :2])
