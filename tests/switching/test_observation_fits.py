"""Fits of every observation family beside textbook estimates of the same model."""

import numpy as np
import pytest
from scipy import optimize, special, stats

from neuroana.switching import (
    HMMGLM,
    RawHistory,
    RidgePrior,
    simulate_hmm_glm,
    state_accuracy,
)


QUIET = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
RNG = np.random.default_rng(0)
U = RNG.standard_normal((800, 2))
ONE = {"n_states": 1, "history": None, "prior": RidgePrior(0.0)}


def strategies(seed=0, n_sessions=20):
    """A Bernoulli GLM-HMM of three strategies, sessions of unequal length."""
    rng = np.random.default_rng(seed)
    w = np.array([[6.0, 0.2], [1.0, -2.5], [1.0, 2.5]])  # engaged, left, right
    a = np.full((3, 3), 0.01) + 0.97 * np.eye(3)
    sessions = []
    for _ in range(n_sessions):
        n = int(rng.integers(200, 801))
        u = rng.choice([-1, -0.5, -0.25, -0.125, 0, 0.125, 0.25, 0.5, 1], n)[:, None]
        z = np.empty(n, dtype=int)
        z[0] = rng.integers(3)
        for t in range(1, n):
            z[t] = rng.choice(3, p=a[z[t - 1]])
        p = special.expit(w[z, 0] * u[:, 0] + w[z, 1])
        sessions.append(((rng.random(n) < p).astype(float)[:, None], u, z))
    truth = {
        "input_weights": w[:, None, :1], "baseline": w[:, 1:], "transition_matrix": a,
    }  # fmt: skip
    return sessions, truth


def test_one_state_equals_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    y = (RNG.random(800) < special.expit(0.3 + U @ [1.0, -0.5])).astype(float)

    model = HMMGLM(observation="bernoulli", **ONE).fit(y[:, None], inputs=U)

    expected = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(U, y)
    np.testing.assert_allclose(model.input_weights_[0, 0], expected.coef_[0], atol=1e-6)
    assert float(model.baseline_[0, 0]) == pytest.approx(
        expected.intercept_[0], abs=1e-6
    )


def test_one_state_equals_multinomial_regression():
    from sklearn.linear_model import LogisticRegression

    eta = np.c_[0.5 + U @ [1.0, 0.0], U @ [0.0, -0.8], np.zeros(800)]
    p = special.softmax(eta, axis=1)
    y = (RNG.random((800, 1)) > p.cumsum(axis=1)).sum(axis=1)

    model = HMMGLM(observation="categorical", **ONE).fit(y[:, None], inputs=U)

    expected = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(U, y)
    coef = expected.coef_[:2] - expected.coef_[2]
    np.testing.assert_allclose(model.input_weights_[0], coef, atol=1e-5)
    rate = model.predict_rate(y[:, None], inputs=U)
    np.testing.assert_allclose(rate, expected.predict_proba(U)[:, :2], atol=1e-5)
    assert model.score(y[:, None], inputs=U) * 800 == pytest.approx(
        np.log(expected.predict_proba(U)[np.arange(800), y]).sum(), rel=1e-8
    )


@pytest.mark.parametrize("link", ["exp", "softplus"])
def test_one_state_equals_negative_binomial_regression(link):
    mean = {"exp": np.exp, "softplus": lambda v: np.logaddexp(0, v)}[link]
    f = mean(0.4 + U @ [0.5, -0.3])
    y = RNG.poisson(RNG.gamma(2.0, f / 2.0)).astype(float)

    model = HMMGLM(observation="negative_binomial", link=link, tol=1e-11, **ONE)
    model.fit(y[:, None], inputs=U)

    def cost(theta):
        r = np.exp(-theta[3])
        mu = mean(theta[0] + U @ theta[1:3])
        return -stats.nbinom.logpmf(y, r, r / (r + mu)).sum()

    best = optimize.minimize(cost, [0.4, 0.5, -0.3, np.log(0.5)], method="BFGS")
    np.testing.assert_allclose(model.input_weights_[0, 0], best.x[1:3], atol=1e-3)
    assert float(model.noise_[0]) == pytest.approx(np.exp(best.x[3]), rel=5e-3)
    assert model.noise_.dims == ("feature",)
    assert -model.score(y[:, None], inputs=U) * 800 == pytest.approx(best.fun, rel=1e-6)


def test_laplace_sd_is_the_textbook_standard_error():
    y = (RNG.random(800) < special.expit(0.3 + U @ [1.0, -0.5])).astype(float)
    h = np.c_[np.zeros(1), y[None, :-1]].T
    model = HMMGLM(1, "bernoulli", history=RawHistory(1), self_coupling="free",
                   prior=RidgePrior(0.0)).fit(y[:, None], inputs=U)  # fmt: skip

    x = np.c_[np.ones(800), h, U]
    theta = np.concatenate(
        [model.baseline_[0], model.coupling_[0].to_numpy().ravel(),
         model.input_weights_[0, 0]]
    )  # fmt: skip
    p = special.expit(x @ theta)
    cov = np.linalg.inv(x.T @ ((p * (1 - p))[:, None] * x))

    assert model.coupling_sd_.item() == pytest.approx(np.sqrt(cov[1, 1]), rel=1e-5)


def test_one_state_with_full_covariance_is_least_squares():
    x = RNG.standard_normal((500, 3)) @ RNG.standard_normal((3, 3))
    model = HMMGLM(1, "gaussian", covariance="full", history=RawHistory(1),
                   prior=RidgePrior(0.0)).fit(x)  # fmt: skip

    design = np.c_[np.ones(500), np.concatenate([np.zeros((1, 3)), x[:-1]])]
    expected, *_ = np.linalg.lstsq(design, x)
    residual = x - design @ expected
    covariance = residual.T @ residual / 500

    np.testing.assert_allclose(model.coupling_[0, ..., 0], expected[1:].T, atol=1e-8)
    np.testing.assert_allclose(model.noise_[0], covariance, atol=1e-8)
    assert model.score(x) * 1500 == pytest.approx(
        stats.multivariate_normal(cov=covariance).logpdf(residual).sum(), rel=1e-9
    )


@QUIET
@pytest.mark.parametrize("prior", ["none", "gaussian", "one_hot"])
def test_full_covariance_climbs_under_every_prior(prior):
    data, _ = simulate_hmm_glm(
        "gaussian_var", n_states=2, n_units=4, n_bins=600, n_sequences=2, random_state=0
    )
    model = HMMGLM(2, "gaussian", covariance="full", history=RawHistory(1), prior=prior,
                   n_init=2, random_state=0).fit(data)  # fmt: skip

    trace = model.objective_trace_.to_numpy()
    fall = np.nanmin(np.diff(trace, axis=1)) / np.nanmax(np.abs(trace))
    assert fall >= (-1e-9 if prior == "none" else -1e-4)
    assert model.noise_.dims == ("state", "channel", "source")
    assert (np.linalg.eigvalsh(model.noise_.to_numpy()) > 0).all()
    diag = HMMGLM(2, "gaussian", history=RawHistory(1), prior=prior, n_init=2,
                  random_state=0).fit(data)  # fmt: skip
    assert model.score(data) > diag.score(data) - 1e-3


def test_correlated_noise_tells_states_apart():
    rng = np.random.default_rng(0)
    z = np.repeat([0, 1, 0, 1], 400)
    noise = rng.standard_normal((1600, 2))
    x = np.where(
        z[:, None], noise @ [[1, 0.9], [0, 0.44]], noise @ [[1, -0.9], [0, 0.44]]
    )
    model = HMMGLM(2, "gaussian", covariance="full", history=None, n_init=3,
                   random_state=0).fit(x)  # fmt: skip

    assert state_accuracy(z, model.predict(x)) > 0.97


def test_full_covariance_leaves_out_bins_with_a_hole():
    x = RNG.standard_normal((300, 3))
    x[40, 1] = np.nan
    model = HMMGLM(1, "gaussian", covariance="full", history=None).fit(x)

    without = np.delete(x, 40, axis=0)
    np.testing.assert_allclose(model.noise_[0], np.cov(without.T, bias=True), rtol=1e-3)
    assert model.n_missing_ == 3


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_collapsing_noise_has_a_floor(covariance):
    x = RNG.standard_normal((300, 2))
    x[100:200] = [5.0, -3.0]  # a state without any variance
    model = HMMGLM(2, "gaussian", covariance=covariance, history=None, n_init=3,
                   random_state=0).fit(x)  # fmt: skip

    assert np.isfinite(model.score(x))
    assert (model.noise_.to_numpy().diagonal(axis1=-2, axis2=-1) if covariance == "full"
            else model.noise_).min() > 0  # fmt: skip


def test_behavioural_strategies_are_decoded_as_by_the_truth():
    sessions, truth = strategies()
    y, u, z = (list(part) for part in zip(*sessions))
    model = HMMGLM(3, "bernoulli", history=None, n_init=4, random_state=0)
    model.fit(y, inputs=u)
    true = HMMGLM(3, "bernoulli", history=None, init=truth, max_iter=1)
    with pytest.warns(UserWarning, match="max_iter"):
        true.fit(y, inputs=u)

    found = state_accuracy(z, model.predict_proba(y, inputs=u))
    oracle = state_accuracy(z, true.predict_proba(y, inputs=u))

    assert oracle > 0.85
    assert found >= oracle - 0.02


@QUIET
@pytest.mark.parametrize(
    ("observation", "link"),
    [("bernoulli", None), ("categorical", None), ("negative_binomial", "exp"),
     ("negative_binomial", "softplus")],
)  # fmt: skip
def test_objective_never_falls(observation, link):
    rng = np.random.default_rng(1)
    z = np.repeat([0, 1] * 4, 100)
    x = rng.poisson(np.where(z, 2.0, 0.6))[:, None].astype(float)
    x = {"bernoulli": np.minimum(x, 1), "categorical": np.minimum(x, 3)}.get(
        observation, np.c_[x, x[::-1]]
    )
    model = HMMGLM(2, observation, link=link, n_init=3, max_iter=40, random_state=0)

    trace = model.fit(x).objective_trace_.to_numpy()

    assert np.nanmin(np.diff(trace, axis=1)) >= -1e-9 * np.nanmax(np.abs(trace))


@pytest.mark.parametrize("observation", ["bernoulli", "categorical"])
def test_missing_choices_count_in_nothing(observation):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, (300, 1)).astype(float)
    x[50:60] = np.nan
    model = HMMGLM(1, observation, history=None).fit(x)

    p = np.nanmean(x) if observation == "bernoulli" else 1 - np.nanmean(x)
    assert float(model.predict_rate(x)[0].item()) == pytest.approx(p, abs=1e-6)
    assert model.n_observed_ == 290
    assert model.score(x) == pytest.approx(
        p * np.log(p) + (1 - p) * np.log(1 - p), rel=1e-6
    )


def test_categorical_names_its_classes():
    x = np.arange(120.0)[:, None] % 4
    model = HMMGLM(1, "categorical").fit(x)

    assert model.baseline_.dims == ("state", "category")
    assert list(model.baseline_.category) == [0, 1, 2]
    assert model.coupling_.sizes["source"] == 3  # past choices as indicators
    assert model.score(x) > -0.1  # each class follows the one before


@QUIET
@pytest.mark.parametrize(
    "options",
    [
        {"observation": "bernoulli"},
        {"observation": "negative_binomial"},
        {"observation": "categorical"},
        {"observation": "gaussian", "covariance": "full"},
    ],
    ids=repr,
)
def test_fits_come_back_from_files_and_can_sample(options, tmp_path):
    rng = np.random.default_rng(0)
    counts = options["observation"] in ("negative_binomial", "gaussian")
    x = rng.poisson(1.0, (200, 2)) if counts else rng.integers(0, 3, (200, 1))
    x = np.minimum(x, 1) if options["observation"] == "bernoulli" else x
    model = HMMGLM(2, **options, n_init=1, max_iter=5, random_state=0)
    model.fit(x.astype(float))

    back = HMMGLM.load(model.save(tmp_path / "fit.nc"))
    made = back.sample(300, random_state=1)

    assert back.score(x.astype(float)) == model.score(x.astype(float))
    assert np.isfinite(back.score(made.signal.to_numpy()))
    again = HMMGLM(2, **options, init=back, max_iter=2).fit(x.astype(float))
    assert again.objective_trace_[0, 0] == pytest.approx(model.objective_, rel=1e-6)
