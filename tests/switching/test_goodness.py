"""Predictive residuals are uniform for the true model, and say where a wrong one is."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

from neuroana.core.errors import ParameterError
from neuroana.switching import HMMGLM, goodness_of_fit, predictive_check
from neuroana.switching.goodness import (
    Predictive,
    distribution,
    predictive_parts,
    time_rescaling,
)
from neuroana.switching.observations import family


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")


def switching_rates(seed, n_bins=3000, rates=(0.2, 2.5), dwell=60):
    """Counts of four units that share a rate switching every `dwell` bins or so."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.random(n_bins) < 1 / dwell) % 2
    return rng.poisson(np.array(rates)[path][:, None], (n_bins, 4)).astype(float)


@pytest.fixture(scope="module")
def fitted():
    x = switching_rates(0)
    options = {"link": "exp", "history": None, "n_init": 3, "random_state": 0}
    return {k: HMMGLM(k, **options).fit(x) for k in (1, 2)}


def test_true_model_is_accepted_on_fresh_data(fitted):
    found = goodness_of_fit(fitted[2], switching_rates(1), random_state=0)

    assert (found.pit_p > 1e-3).all()
    assert (found.rescaled_p > 1e-3).all()
    assert (abs(found.pit_lag1) < 0.08).all()
    assert float(abs(found.pit - 1).max()) < 0.4


def test_one_state_is_rejected_where_rates_switch(fitted):
    found = goodness_of_fit(fitted[1], switching_rates(1), random_state=0)

    assert (found.pit_p < 1e-4).all()
    assert (found.rescaled_p < 1e-4).all()
    assert (found.pit_lag1 > 0.2).all()


def test_prediction_is_the_mixture_given_the_past(fitted):
    model, x = fitted[2], switching_rates(2, 40)

    parts = predictive_parts(model, x)

    a, law = model.transition_matrix_.to_numpy(), model.initial_prob_.to_numpy()
    rate = np.exp(model.baseline_.to_numpy())
    for t in range(len(x)):
        expected = sum(law[k] * stats.poisson.cdf(x[t], rate[k]) for k in range(2))
        np.testing.assert_allclose(parts.upto[t], expected, rtol=1e-9)
        law = law * stats.poisson.pmf(x[t], rate).prod(axis=1)
        law = law / law.sum() @ a


def test_rescaled_intervals_follow_their_definition():
    rng = np.random.default_rng(0)
    q = rng.uniform(0.05, 0.6, 30)
    x = (rng.random(30) < 0.3).astype(float)
    none = np.exp(-q)[:, None]
    parts = Predictive(
        x[:, None], none, none, none, np.ones((30, 1), bool), np.ones((30, 1)),
        np.array([0]), True,
    )  # fmt: skip

    found = time_rescaling(parts, np.random.default_rng(7))

    v = np.random.default_rng(7).random(int(x.sum()))
    xi, total, count = [], 0.0, 0
    for t in range(30):
        if x[t]:
            xi.append(total - np.log(1 - v[count] * (1 - np.exp(-q[t]))))
            total, count = 0.0, count + 1
        else:
            total += q[t]
    expected = stats.kstest(1 - np.exp(-np.array(xi)), "uniform")
    assert found["rescaled_ks"][0] == pytest.approx(expected.statistic, abs=1e-12)
    assert found["n_intervals"] == [count]


@pytest.mark.parametrize(
    ("observation", "link", "noise", "law"),
    [
        ("poisson", "softplus", None, lambda f, v: stats.poisson(f)),
        ("bernoulli", "logit", None, lambda f, v: stats.bernoulli(f)),
        ("negative_binomial", "exp", [0.3],
         lambda f, v: stats.nbinom(1 / v, 1 / (1 + v * f))),
        ("gaussian", "identity", [[0.7]], lambda f, v: stats.norm(f, v**0.5)),
        ("gaussian", "identity", [[[0.7]]], lambda f, v: stats.norm(f, v**0.5)),
    ],
)  # fmt: skip
def test_distribution_functions_are_scipys(observation, link, noise, law):
    eta = np.array([[-1.0], [0.3], [2.0]])
    x = np.array([[0.0], [1.0], [3.0]])
    kind = family(observation, link, "diag")
    model = SimpleNamespace(observation=observation)
    if noise is not None:
        model.noise_ = xr.DataArray(noise)

    found = distribution(model, kind, 0)(x, eta)

    mean = kind.mean(torch.as_tensor(eta)).numpy()
    expected = law(mean, None if noise is None else np.ravel(noise)[0]).cdf(x)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    if kind.values != "real":
        assert (distribution(model, kind, 0)(x - 5, eta) == 0).all()


def test_choices_are_judged_by_the_chance_of_their_class():
    rng = np.random.default_rng(0)
    u = rng.standard_normal((3000, 1))
    eta = np.c_[2 * u, -u, np.zeros(3000)]
    p = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    choice = (rng.random((3000, 1)) > p.cumsum(axis=1)).sum(axis=1)[:, None]
    model = HMMGLM(1, "categorical", history=None).fit(choice[:1500], inputs=u[:1500])
    blind = HMMGLM(1, "categorical", history=None).fit(choice[:1500])

    parts = predictive_parts(model, choice[1500:], inputs=u[1500:])
    found = goodness_of_fit(model, choice[1500:], inputs=u[1500:], random_state=0)

    chance = np.take_along_axis(p, choice, axis=1)[1500:]
    np.testing.assert_allclose(parts.upto - parts.below, chance, atol=0.1)
    assert found.choice.to_numpy().tolist() == ["choice"]
    assert float(found.pit_p[0]) > 1e-3
    assert "rescaled_ks" not in found
    assert float(goodness_of_fit(blind, choice[1500:], random_state=0).pit_p[0]) > 1e-3


def test_missing_values_are_left_out(fitted):
    x = switching_rates(1)
    y = x.copy()
    y[100:1500, 0] = np.nan

    found = goodness_of_fit(fitted[2], y, random_state=0)

    assert int(found.n_intervals[0]) < 0.7 * int(found.n_intervals[1])
    assert float(found.pit_p[0]) > 1e-3


def test_gaussian_signals_have_no_events():
    x = np.random.default_rng(0).standard_normal((400, 2))
    model = HMMGLM(1, "gaussian", history=None).fit(x)

    found = goodness_of_fit(model, x, random_state=0)

    assert "rescaled_ks" not in found
    assert (found.pit_p > 0.01).all()


def test_choices_have_no_copies():
    model = HMMGLM(1, "categorical", history=None).fit(
        np.tile([[0], [1], [2]], (20, 1))
    )
    with pytest.raises(ParameterError, match="goodness_of_fit"):
        predictive_check(model, np.tile([[0], [1], [2]], (20, 1)))


def test_copies_of_the_true_model_look_like_the_data(fitted):
    found = predictive_check(fitted[2], switching_rates(3), 40, random_state=0)

    assert (found.p.dropna("statistic") > 2 / 41).mean() > 0.9
    assert (found.low <= found.high).all()


def test_copies_of_one_state_lack_the_bursts_of_the_data(fitted):
    found = predictive_check(fitted[1], switching_rates(3), 40, random_state=0)

    missed = found.where(
        found.kind.isin(["dispersion", "lag 1", "correlation"]), drop=1
    )
    assert (missed.observed > missed.high).all()
    assert (missed.p <= 2 / 41 + 1e-12).all()


def test_copies_do_not_depend_on_chance_but_on_the_seed(fitted):
    x = switching_rates(3, 300)

    first = predictive_check(fitted[2], x, 5, random_state=4)
    again = predictive_check(fitted[2], x, 5, random_state=4)

    assert first.identical(again)
