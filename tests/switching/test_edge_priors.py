"""Priors on couplings."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from neuroana.core.errors import ParameterError
from neuroana.switching.edge_priors import GaussianPrior, RidgePrior, as_prior


W = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
VARIANCE = np.linspace(0.5, 2, 5)
POOLED = np.ones((3, 4, 5), dtype=bool)


def test_ridge_prior_scales_with_the_drive():
    law = RidgePrior(2.0).start(W, VARIANCE, POOLED)

    np.testing.assert_allclose(law.precision[0, 0, 0], 2 * VARIANCE)
    np.testing.assert_allclose(
        law.log_density(W), -(VARIANCE * W**2).sum(axis=-1), rtol=1e-12
    )


def test_gaussian_prior_centres_on_the_mean_over_states():
    law = GaussianPrior(0.5).start(W, VARIANCE, POOLED)

    drift = 1e-3 * VARIANCE  # three states pull with precision 4 each
    centre = W.sum(1, keepdims=True) * 4 / (3 * 4 + drift)
    np.testing.assert_allclose(law.mean, np.broadcast_to(centre, W.shape))
    own = stats.norm.logpdf(W, law.mean, 0.5).sum(axis=-1)
    shared = -0.5 * (drift * law.mean**2).sum(axis=-1) / 3
    np.testing.assert_allclose(law.log_density(W), own + shared)


def test_gaussian_prior_stands_at_the_best_mean():
    law = GaussianPrior(0.5).start(W, VARIANCE, POOLED)

    best = law.quadratic(W).sum()

    for factor in (0.99, 1.01):
        assert replace(law, mean=factor * law.mean).quadratic(W).sum() < best


def test_gaussian_prior_learns_its_scale_with_the_laplace_variance():
    prior = GaussianPrior("shared")
    law = prior.start(W, VARIANCE, POOLED)
    laplace = np.full(W.shape, 0.25)

    learned = prior.update(law, W, laplace)

    spread = ((W - W.mean(1, keepdims=True)) ** 2).mean(axis=(1, 2, 3)) + 0.25
    np.testing.assert_allclose(learned.precision[:, 0, 0, 0], 1 / spread, rtol=1e-4)


def test_gaussian_prior_learns_one_scale_an_edge():
    prior = GaussianPrior("edge")

    learned = prior.update(prior.start(W, VARIANCE, POOLED), W, np.zeros(W.shape))

    np.testing.assert_allclose(learned.precision[0, 0], 1 / W[0].var(axis=0), rtol=1e-2)


def test_gaussian_prior_leaves_other_coefficients_their_ridge():
    pooled = POOLED.copy()
    pooled[..., 4] = False
    prior = GaussianPrior("shared")

    learned = prior.update(prior.start(W, VARIANCE, pooled), W, np.zeros(W.shape))

    np.testing.assert_allclose(learned.precision[..., 4], 1e-3 * VARIANCE[4])
    np.testing.assert_array_equal(learned.mean[..., 4], 0.0)


@pytest.mark.parametrize(
    "prior", [RidgePrior(-1.0), GaussianPrior(0.0), GaussianPrior("both")]
)
def test_priors_reject_scales_that_are_none(prior):
    with pytest.raises(ParameterError):
        prior.start(W, VARIANCE, POOLED)


def test_as_prior_names_what_it_knows():
    assert as_prior("gaussian") == GaussianPrior()
    with pytest.raises(ParameterError, match="gaussian"):
        as_prior("gausian")
    with pytest.raises(ParameterError):
        as_prior(3)
