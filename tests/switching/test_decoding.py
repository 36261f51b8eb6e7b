"""Bins as they come, and draws of whole paths."""

import time

import numpy as np
import pytest

from neuroana.core.errors import ShapeError
from neuroana.switching import HMMGLM, RawHistory, simulate_hmm_glm
from neuroana.switching.forward_backward import has_numba, smooth
from neuroana.switching.state_sampling import sample_paths


@pytest.fixture(scope="module")
def data():
    return simulate_hmm_glm(
        n_states=3, n_units=6, n_bins=400, n_sequences=2, random_state=0
    )[0]


@pytest.fixture(scope="module")
def model(data):
    return HMMGLM(3, link="sigmoid", n_init=2, max_iter=30, tol=1e-4,
                  random_state=0).fit(data)  # fmt: skip


def follow(model, x, **inputs):
    """Probabilities bin by bin and the last carry."""
    carry, rows = None, []
    for t, row in enumerate(x):
        given = {k: v[t] for k, v in inputs.items()}
        carry = model.filter_step(carry, row, **given)
        rows.append(carry.probability)
    return np.array(rows), carry


def test_filter_step_equals_the_filter(model, data):
    x = data[0].signal.to_numpy().astype(float)
    x[30, 2] = np.nan
    x[60] = np.nan

    found, carry = follow(model, x)

    np.testing.assert_allclose(found, model.filter_proba(x), atol=1e-10)
    assert carry.n_bins == 400
    assert carry.log_likelihood == pytest.approx(
        model.log_likelihood(x).item(), rel=1e-10
    )


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.NeuroanaWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"observation": "gaussian", "history": RawHistory(2)},
        {"observation": "gaussian", "covariance": "full"},
        {"observation": "negative_binomial"},
        {"observation": "categorical", "history": RawHistory(1)},
        {"observation": "bernoulli", "history": None},
    ],
    ids=repr,
)
def test_filter_step_equals_the_filter_for_every_family(options):
    rng = np.random.default_rng(0)
    x = rng.poisson(1.0, (150, 2)).astype(float)
    if options["observation"] in ("categorical", "bernoulli"):
        x = np.minimum(x[:, :1], 1)
    u = rng.standard_normal((150, 1))
    driven = {"inputs": u, "transition_inputs": u}
    model = HMMGLM(2, transitions="inputs", n_init=1, max_iter=4, random_state=0,
                   **options).fit(x, **driven)  # fmt: skip

    found, _ = follow(model, x, **driven)

    np.testing.assert_allclose(found, model.filter_proba(x, **driven), atol=1e-9)


def test_filter_step_leaves_its_carry_alone(model, data):
    x = data[0].signal.to_numpy()
    carry = model.filter_step(None, x[0])
    before = carry.probability.copy()

    one, other = model.filter_step(carry, x[1]), model.filter_step(carry, x[1])

    np.testing.assert_array_equal(carry.probability, before)
    np.testing.assert_array_equal(one.probability, other.probability)


def test_filter_step_is_fast_enough_for_closed_loop(model, data):
    x = data[0].signal.to_numpy()
    carry = model.filter_step(None, x[0])
    spent = []
    for row in x[1:200]:
        start = time.process_time()
        carry = model.filter_step(carry, row)
        spent.append(time.process_time() - start)

    assert np.median(spent) < 2e-3


def test_filter_step_names_what_is_missing(model):
    with pytest.raises(ShapeError, match="x: expected 6 numbers"):
        model.filter_step(None, np.zeros(5))


@pytest.mark.parametrize("method", ["compiled"] * has_numba() + ["numpy"])
@pytest.mark.parametrize("varying", [False, True])
def test_sampled_paths_follow_the_posterior(method, varying):
    rng = np.random.default_rng(0)
    loglik = rng.standard_normal((60, 3))
    a = rng.dirichlet(np.ones(3), 3)
    a = np.broadcast_to(a, (59, 3, 3)) if varying else a
    lengths = [25, 35]
    found = smooth(loglik, a, np.full(3, 1 / 3), lengths)

    paths = sample_paths(found.filtered, a, lengths, 20_000, rng, method=method)

    share = (paths[..., None] == np.arange(3)).mean(axis=0)
    np.testing.assert_allclose(share, found.gamma, atol=0.02)
    xi = np.zeros((3, 3))
    for first, last in ((0, 25), (25, 60)):
        np.add.at(xi, (paths[:, first : last - 1], paths[:, first + 1 : last]), 1)
    np.testing.assert_allclose(xi / 20_000, found.xi_sum, rtol=0.05)


@pytest.mark.skipif(not has_numba(), reason="numba is not there")
def test_both_ways_to_sample_agree():
    rng = np.random.default_rng(0)
    filtered, a = rng.dirichlet(np.ones(4), 50), rng.dirichlet(np.ones(4), 4)
    made = [
        sample_paths(filtered, a, [20, 30], 30, np.random.default_rng(1), method=m)
        for m in ("compiled", "numpy")
    ]
    np.testing.assert_array_equal(*made)


def test_sample_states_comes_as_the_data_came(model, data):
    many = model.sample_states(data, 4, random_state=0)
    plain = model.sample_states(data[0].signal.to_numpy(), 4, random_state=0)

    assert [m.dims for m in many] == [("time", "sample")] * 2
    assert plain.shape == (400, 4)
    share = (np.asarray(model.sample_states(data[0], 300, random_state=1)) == 0).mean(1)
    smoothed = model.predict_proba(data[0]).to_numpy()[:, 0]
    assert np.abs(share - smoothed).max() < 0.15


def test_forecast_grows_with_the_data():
    small = HMMGLM(3).forecast_memory(10_000, 20)

    assert 1.5 * small < HMMGLM(3).forecast_memory(20_000, 20) < 2.5 * small
    assert HMMGLM(3).forecast_memory(10_000, 300) < 2**32  # no Hessian a unit
