"""EM as a whole: the gradient it follows, the objective it climbs, where it ends."""

import numpy as np
import pytest
import torch

from neuroana.switching import (
    HMMGLM,
    ExponentialHistory,
    GaussianPrior,
    RawHistory,
    RidgePrior,
    simulate_hmm_glm,
)
from neuroana.switching.forward_backward import smooth
from neuroana.switching.glm_mstep import emissions, gradient
from neuroana.switching.observations import (
    Bernoulli,
    Categorical,
    FullGaussian,
    Gaussian,
    NegativeBinomial,
    Poisson,
)
from neuroana.switching.panel import Panel


FAMILIES = [
    *map(Poisson, Poisson.links),
    *map(NegativeBinomial, NegativeBinomial.links),
    Bernoulli(),
    Categorical(),
    Gaussian(),
    FullGaussian(),
]
QUIET = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")


def observations(family, rng, shape):
    """Values that the family takes."""
    if family.values == "real":
        return rng.standard_normal(shape)
    x = rng.poisson(0.8, shape).astype(float)
    if family.values == "counts":
        return x
    if family.values == "classes":
        chosen = rng.integers(0, shape[1] + 1, (shape[0], 1))
        return (chosen == np.arange(shape[1])).astype(float)
    return np.minimum(x, 1)


def noise_of(family, rng):
    """The further parameter of a family, for one start, two states, three units."""
    if family.noise == "covariance":
        root = torch.as_tensor(rng.standard_normal((1, 2, 3, 3)))
        return root @ root.transpose(-1, -2) + torch.eye(3)
    shape = {"variance": (1, 2, 3), "dispersion": (1, 1, 3)}.get(family.noise)
    return None if shape is None else torch.as_tensor(rng.uniform(0.3, 1, shape))


def log_marginal(loglik, transition, initial):
    """Forward pass in torch, differentiable."""
    alpha = initial.log() + loglik[0]
    for row in loglik[1:]:
        alpha = torch.logsumexp(alpha[:, None] + transition.log(), 0) + row
    return torch.logsumexp(alpha, 0)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_gradient_of_the_evidence_is_the_posterior_weighted_score(family):
    """Fisher's identity: d log p / d theta = sum_t gamma[t] * score[t] X[t]."""
    rng = np.random.default_rng(0)
    design = torch.as_tensor(np.c_[np.ones(40), rng.standard_normal((40, 2))])
    x = torch.as_tensor(observations(family, rng, (40, 3)))
    panel = Panel.of(family, design, x, coarse=False)
    noise = noise_of(family, rng)
    transition = torch.tensor([[0.9, 0.1], [0.3, 0.7]], dtype=torch.float64)
    initial = torch.tensor([0.6, 0.4], dtype=torch.float64)
    theta = torch.as_tensor(0.5 * rng.standard_normal((1, 2, 3, 3))).requires_grad_()

    eta = torch.einsum("td,sknd->sknt", design, theta)
    own = None if noise is None else family.prepared(noise)
    loglik = family.log_density(x.T, eta, own).sum(2)[0].T
    (expected,) = torch.autograd.grad(log_marginal(loglik, transition, initial), theta)

    found = smooth(emissions(family, panel, theta.detach(), noise).numpy(),
                   transition.numpy(), initial.numpy())  # fmt: skip
    found_slope = gradient(
        family, panel, theta.detach(), noise, torch.as_tensor(found.gamma)
    )

    torch.testing.assert_close(found_slope, expected, rtol=1e-7, atol=1e-10)


def small(generator, **options):
    return simulate_hmm_glm(
        generator, n_states=2, n_units=3, n_bins=150, n_sequences=3,
        random_state=options.pop("seed", 0), **options,
    )[0]  # fmt: skip


@QUIET
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("link", Poisson.links)
@pytest.mark.parametrize("prior", ["none", GaussianPrior(0.5)], ids=repr)
def test_objective_never_falls_for_counts(link, prior, seed):
    model = HMMGLM(2, link=link, prior=prior, n_init=3, max_iter=40, random_state=seed)

    model.fit(small("li2024", seed=seed))

    trace = model.objective_trace_.to_numpy()
    fall = np.nanmin(np.diff(trace, axis=1))
    assert fall >= -1e-9 * np.nanmax(np.abs(trace))


@QUIET
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prior": GaussianPrior(0.5)},
        {"baseline": "shared"},
        {"self_coupling": "shared"},
        {"alpha": 2.0, "kappa": 5.0},
        {"transitions": "fixed"},
    ],
    ids=repr,
)
def test_objective_never_falls_for_real_values(options):
    model = HMMGLM(2, "gaussian", history=RawHistory(1), n_init=3, max_iter=40,
                   random_state=0, **options)  # fmt: skip

    model.fit(small("gaussian_var"))

    trace = model.objective_trace_.to_numpy()
    fall = np.nanmin(np.diff(trace, axis=1))
    assert fall >= -1e-9 * np.nanmax(np.abs(trace))


@QUIET
def test_learned_prior_scale_hardly_lowers_the_objective():
    """Its update follows the Laplace evidence, not J: small falls are its nature."""
    recordings, _ = simulate_hmm_glm(
        n_states=3, n_units=8, n_bins=1000, n_sequences=6, random_state=1
    )
    model = HMMGLM(3, link="sigmoid", prior="gaussian", n_init=3, random_state=0)

    model.fit(recordings)

    trace = model.objective_trace_.to_numpy()
    fall = np.nanmin(np.diff(trace, axis=1))
    assert fall >= -1e-4 * np.nanmax(np.abs(trace))
    assert model.converged_


def test_a_converged_fit_stays_where_it_is():
    recordings, _ = simulate_hmm_glm(
        n_states=2, n_units=4, n_bins=800, n_sequences=3, random_state=0
    )
    model = HMMGLM(2, link="sigmoid", n_init=4, tol=1e-11, max_iter=500, random_state=0)
    model.fit(recordings)

    again = HMMGLM(2, link="sigmoid", init=model, max_iter=2, tol=0.0)
    with pytest.warns(UserWarning, match="max_iter"):
        again.fit(recordings)

    for name in ("coupling_", "baseline_", "transition_matrix_"):
        np.testing.assert_allclose(
            getattr(again, name), getattr(model, name), atol=1e-4
        )


def test_one_state_equals_poisson_regression():
    from sklearn.linear_model import PoissonRegressor

    recordings = small("li2024")
    ridge = 0.05
    model = HMMGLM(1, link="exp", prior=RidgePrior(ridge), tol=0.0, max_iter=8)
    with pytest.warns(UserWarning, match="max_iter"):
        model.fit(recordings)

    observed = model._observe(recordings, None, None)
    h, n_bins = observed.design[:, 1:], len(observed.x)
    spread = h.std(axis=0)
    for n in range(3):
        expected = PoissonRegressor(alpha=ridge / n_bins, tol=1e-10, max_iter=5000,
                                    solver="newton-cholesky")  # fmt: skip
        expected.fit(h / spread, observed.x[:, n])
        np.testing.assert_allclose(
            model.coupling_[0, n].to_numpy().ravel(), expected.coef_ / spread, atol=1e-6
        )
        assert float(model.baseline_[0, n]) == pytest.approx(
            expected.intercept_, abs=1e-6
        )


def test_one_state_autoregression_equals_least_squares():
    recordings = small("gaussian_var")
    model = HMMGLM(1, "gaussian", history=RawHistory(2), prior=RidgePrior(0.0))
    model.fit(recordings)

    observed = model._observe(recordings, None, None)
    expected, *_ = np.linalg.lstsq(observed.design, observed.x)
    residual = observed.x - observed.design @ expected

    np.testing.assert_allclose(model.baseline_[0], expected[0], atol=1e-8)
    found = model.coupling_[0].to_numpy().reshape(3, -1)
    np.testing.assert_allclose(found, expected[1:].T, atol=1e-8)
    np.testing.assert_allclose(model.noise_[0], (residual**2).mean(0), rtol=1e-8)
    model.score(recordings)


def test_without_regressors_rates_are_weighted_means():
    """The M step of a Poisson HMM in closed form."""
    rng = np.random.default_rng(0)
    x = rng.poisson(np.repeat([[0.2, 2.0], [1.5, 0.3]], 200, axis=0)).astype(float)
    model = HMMGLM(2, link="exp", history=None, n_init=2, tol=1e-12, random_state=0)
    model.fit(x)

    gamma = model.predict_proba(x)

    rate = np.exp(model.baseline_.to_numpy())
    expected = gamma.T @ x / gamma.sum(0)[:, None]
    np.testing.assert_allclose(rate, expected, rtol=1e-5)


def test_initial_law_is_learned_from_first_bins():
    rng = np.random.default_rng(0)
    n_sequences, n_bins = 500, 12
    a = np.array([[0.9, 0.1], [0.1, 0.9]])
    z = np.empty((n_sequences, n_bins), int)
    z[:, 0] = rng.random(n_sequences) > 0.8
    for t in range(1, n_bins):
        z[:, t] = np.where(rng.random(n_sequences) < a[z[:, t - 1], 0], 0, 1)
    x = rng.standard_normal((n_sequences, n_bins, 2)) + 3.0 * z[..., None]
    model = HMMGLM(2, "gaussian", history=None, n_init=2, random_state=0)

    model.fit(x.reshape(-1, 2), lengths=[n_bins] * n_sequences)

    low = int(model.baseline_.to_numpy().mean(axis=1).argmin())
    assert float(model.initial_prob_[low]) == pytest.approx(0.8, abs=0.05)


@QUIET
def test_dirichlet_prior_is_used():
    recordings = small("gaussian_var")
    options = {"history": RawHistory(1), "n_init": 2, "random_state": 0}
    plain = HMMGLM(2, "gaussian", **options).fit(recordings)

    sticky = HMMGLM(2, "gaussian", kappa=1e5, **options).fit(recordings)

    assert (np.diag(sticky.transition_matrix_) > 0.998).all()
    assert np.diag(plain.transition_matrix_).min() < 0.998


def test_fixed_transitions_stay():
    init = {
        "transition_matrix": [[0.7, 0.3], [0.4, 0.6]],
        "baseline": [[0.0] * 3, [1.0] * 3],
    }
    model = HMMGLM(2, "gaussian", history=None, transitions="fixed", init=init)

    model.fit(small("gaussian_var"))

    assert sorted(np.diag(model.transition_matrix_)) == pytest.approx([0.6, 0.7])


@QUIET
def test_narrow_prior_makes_states_alike():
    model = HMMGLM(2, link="sigmoid", prior=GaussianPrior(1e-4), n_init=2,
                   self_coupling="prior", random_state=0)  # fmt: skip

    model.fit(small("li2024"))

    assert np.ptp(model.coupling_.to_numpy(), axis=0).max() < 1e-2


@QUIET
def test_wide_prior_equals_none():
    recordings = small("gaussian_var")
    options = {"history": RawHistory(1), "n_init": 1, "random_state": 0, "tol": 1e-11}

    none = HMMGLM(2, "gaussian", prior=RidgePrior(0.0), **options).fit(recordings)
    wide = HMMGLM(2, "gaussian", prior=GaussianPrior(1e5), **options).fit(recordings)

    np.testing.assert_allclose(wide.coupling_, none.coupling_, atol=1e-3)


@QUIET
@pytest.mark.parametrize(
    ("options", "check"),
    [
        (
            {"baseline": "shared"},
            lambda m: np.ptp(m.baseline_.to_numpy(), axis=0).max() < 1e-12,
        ),
        ({"self_coupling": "zero"}, lambda m: not own(m).any()),
        ({"self_coupling": "shared"}, lambda m: np.ptp(own(m), axis=0).max() < 1e-12),
        ({"self_coupling": "free"}, lambda m: np.ptp(own(m), axis=0).max() > 1e-3),
    ],
    ids=lambda v: "" if callable(v) else repr(v),
)
def test_options_share_and_fix_coefficients(options, check):
    model = HMMGLM(2, link="sigmoid", n_init=2, max_iter=20, random_state=0, **options)

    model.fit(small("li2024"))

    assert check(model)


def own(model):
    """Couplings of units to themselves, (state, unit)."""
    return np.diagonal(model.coupling_.to_numpy()[..., 0], axis1=1, axis2=2)


@QUIET
def test_units_of_measurement_do_not_matter():
    """Microvolts or volts: the same states, couplings and score up to the scale."""
    recordings = [r.signal.to_numpy() for r in small("gaussian_var")]
    options = {"history": RawHistory(1), "n_init": 2, "random_state": 0}

    one = HMMGLM(2, "gaussian", **options).fit(recordings)
    volts = HMMGLM(2, "gaussian", **options).fit([1e-6 * r for r in recordings])

    np.testing.assert_allclose(volts.coupling_, one.coupling_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(volts.noise_, 1e-12 * one.noise_, rtol=1e-5)
    assert volts.score([1e-6 * r for r in recordings]) == pytest.approx(
        one.score(recordings) + np.log(1e6), rel=1e-8
    )


def test_histories_with_several_basis_functions_fit():
    model = HMMGLM(1, link="softplus", history=ExponentialHistory(3, 0.5))

    model.fit(small("li2024"))

    assert model.coupling_.shape == (1, 3, 3, 1)
