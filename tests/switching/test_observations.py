"""Log densities, scores and Fisher weights of the observation families."""

import numpy as np
import pytest
import torch
from scipy import stats

from neuroana.core.errors import ParameterError
from neuroana.switching.observations import Gaussian, Poisson, family


ETA = torch.linspace(-12, 9, 43, dtype=torch.float64)
LINKS = Poisson.links


@pytest.mark.parametrize("link", LINKS)
def test_poisson_log_density_equals_scipy(link):
    kind = Poisson(link)
    x = torch.arange(43, dtype=torch.float64) % 5

    found = kind.log_density(x, ETA) + kind.constant(x)

    expected = stats.poisson.logpmf(x.numpy(), kind.mean(ETA).numpy())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("count", [0.0, 1.0, 4.0])
def test_poisson_score_is_the_derivative_of_the_log_density(link, count):
    kind = Poisson(link)
    eta = ETA.clone().requires_grad_()
    x = torch.full_like(ETA, count)

    value = kind.log_density(x, eta)
    (gradient,) = torch.autograd.grad(value.sum(), eta)
    score = kind.score(x, ETA)

    torch.testing.assert_close(score, gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("link", LINKS)
def test_poisson_weight_is_the_expected_squared_score(link):
    kind = Poisson(link)
    eta = torch.linspace(-3, 2, 11, dtype=torch.float64)
    counts = torch.arange(80, dtype=torch.float64)[:, None]

    score, weight = kind.score(counts, eta), kind.fisher(eta)
    law = torch.as_tensor(stats.poisson.pmf(counts.numpy(), kind.mean(eta).numpy()))

    expected = (law * score**2).sum(0)
    torch.testing.assert_close(weight, expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("link", LINKS)
def test_poisson_stays_exact_at_extreme_predictors(link):
    eta = torch.tensor([-800.0, -600.0, -40.0], dtype=torch.float64)

    kind, one = Poisson(link), torch.ones(3)
    value, score, weight = (
        kind.log_density(one, eta),
        kind.score(one, eta),
        kind.fisher(eta),
    )

    torch.testing.assert_close(value, eta, rtol=1e-12, atol=0)
    torch.testing.assert_close(score, torch.ones_like(eta), rtol=1e-9, atol=0)
    assert (weight >= 0).all()


@pytest.mark.parametrize("link", LINKS)
def test_poisson_inverse_link_undoes_the_link(link):
    kind = Poisson(link)
    mean = np.array([1e-4, 0.1, 0.9])

    found = kind.mean(torch.as_tensor(kind.inverse_link(mean))).numpy()

    np.testing.assert_allclose(found, mean, rtol=1e-10)


def test_gaussian_log_density_equals_scipy():
    x = torch.linspace(-2, 2, 43, dtype=torch.float64)
    variance = torch.tensor(0.3, dtype=torch.float64)

    found = Gaussian().log_density(x, ETA, variance)

    expected = stats.norm.logpdf(x.numpy(), ETA.numpy(), 0.3**0.5)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_gaussian_score_is_the_derivative_of_the_log_density():
    eta = ETA.clone().requires_grad_()
    variance = torch.tensor(0.3, dtype=torch.float64)
    x = torch.ones_like(ETA)

    value = Gaussian().log_density(x, eta, variance)
    (gradient,) = torch.autograd.grad(value.sum(), eta)
    score, weight = Gaussian().score(x, ETA, variance), Gaussian().fisher(ETA, variance)

    torch.testing.assert_close(score, gradient)
    torch.testing.assert_close(weight, torch.full_like(ETA, 1 / 0.3))


def test_family_names_the_links_it_knows():
    with pytest.raises(ParameterError, match="softplus"):
        family("poisson", "softmax")
    with pytest.raises(ParameterError, match="gaussian"):
        family("gausian")
