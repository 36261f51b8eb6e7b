"""What a unit does given its drive: observation families and their links.

For a bin x with linear predictor eta and rate (or mean) f = link(eta):

| family, link           | log Obs, without constant      | score      | Fisher weight |
| ---------------------- | ------------------------------ | ---------- | ------------- |
| poisson, softplus      | x log f - f                    | (x/f - 1) s| s^2 / f       |
| poisson, exp           | x eta - f                      | x - f      | f             |
| poisson, sigmoid       | x log f - f                    | (x-f)(1-f) | f (1 - f)^2   |
| negative binomial      | x log f - (x + 1/a) log(1 + af)| both as poisson,           |
|   softplus, exp        |   + g(x, a)                    | over 1 + a f               |
| bernoulli, logit       | x eta - log(1 + exp eta)       | x - f      | f (1 - f)     |

s = sigmoid(eta), a = dispersion. The Fisher (expected) weight is positive for every
pair, so a Newton step built on it goes uphill even where the log-likelihood is not
concave (poisson, sigmoid). The other families are in `gaussian_observations` and
`categorical_observations`.

A family says what `values` it takes, what further `noise` parameter it has, and how to
evaluate itself on torch tensors that broadcast against each other; `prepared` brings a
noise parameter (S, K, N) into the form that its other methods take.
"""

from dataclasses import dataclass

import numpy as np
import torch

from neuroana.switching.categorical_observations import Categorical
from neuroana.switching.gaussian_observations import FullGaussian, Gaussian
from neuroana.switching.links import (
    exact_log,
    inverse_softplus,
    logit,
    sigmoid,
    softplus,
)


class Counts:
    """What the families of counts share."""

    values = "counts"
    curvature_varies = True  # the Fisher weight depends on eta
    coupled = False  # units are independent given the state and the past
    link: str

    def mean(self, eta):
        """Expected count f(eta)."""
        if self.link == "softplus":
            return softplus(eta)
        if self.link == "exp":
            return eta.exp()
        return sigmoid(eta)

    def inverse_link(self, mean) -> np.ndarray:
        """Linear predictor at which the expected count is `mean`."""
        if self.link == "softplus":
            return inverse_softplus(mean)
        if self.link == "exp":
            return np.log(np.asarray(mean, dtype=float))
        return logit(mean)

    def constant(self, x):
        """The term of the log-likelihood that no parameter changes."""
        return -torch.lgamma(x + 1)


@dataclass(frozen=True)
class Poisson(Counts):
    """Counts, independent over units given the state and the past."""

    link: str = "softplus"
    links = ("softplus", "exp", "sigmoid")
    noise = None

    def prepared(self, noise):
        """No further parameter."""
        return None

    def log_density(self, x, eta, noise=None):
        """Log-likelihood without the term -log x! (see `constant`)."""
        if self.link == "exp":
            return x * eta - eta.exp()
        f = self.mean(eta)
        return x * exact_log(f, eta) - f

    def score(self, x, eta, noise=None):
        """Slope of the log-likelihood along eta."""
        f = self.mean(eta)
        if self.link == "exp":
            return x - f
        if self.link == "softplus":
            return (x / f - 1) * sigmoid(eta)
        return (x - f) * (1 - f)

    def fisher(self, eta, noise=None):
        """Expected squared score."""
        f = self.mean(eta)
        if self.link == "exp":
            return f
        if self.link == "softplus":
            slope = sigmoid(eta)
            return slope * (slope / f)
        return f * (1 - f) ** 2

    def sample(self, rng, eta, noise=None) -> np.ndarray:
        """Draw counts; `eta` is an array."""
        return rng.poisson(self.mean(torch.as_tensor(eta)).numpy())


@dataclass(frozen=True)
class NegativeBinomial(Counts):
    """Counts with variance f + a f^2; a, the dispersion, is one per unit."""

    link: str = "softplus"
    links = ("softplus", "exp")
    noise = "dispersion"

    def prepared(self, noise):
        """Dispersion (S, 1, N) against values (S, K, N, T)."""
        return noise[..., None]

    def log_density(self, x, eta, noise):
        """Log-likelihood without the term -log x! (see `constant`)."""
        size = 1 / noise
        f = self.mean(eta)
        log_f = eta if self.link == "exp" else exact_log(f, eta)
        own = torch.lgamma(x + size) - torch.lgamma(size) - x * size.log()
        return own + x * log_f - (x + size) * torch.log1p(f * noise)

    def score(self, x, eta, noise):
        """Slope of the log-likelihood along eta."""
        f = self.mean(eta)
        own = x - f if self.link == "exp" else (x / f - 1) * sigmoid(eta)
        return own / (1 + f * noise)

    def fisher(self, eta, noise):
        """Expected squared score."""
        f = self.mean(eta)
        if self.link == "exp":
            return f / (1 + f * noise)
        slope = sigmoid(eta)
        return slope * (slope / f) / (1 + f * noise)

    def sample(self, rng, eta, noise) -> np.ndarray:
        """Draw counts; `eta` and `noise` are arrays."""
        mean = self.mean(torch.as_tensor(eta)).numpy()
        return rng.poisson(rng.gamma(1 / noise, noise * mean))


@dataclass(frozen=True)
class Bernoulli:
    """Zeros and ones: two choices, or bins that hold a spike or none."""

    link: str = "logit"
    links = ("logit",)
    values = "binary"
    noise = None
    curvature_varies = True
    coupled = False

    def mean(self, eta):
        """Probability of a one."""
        return sigmoid(eta)

    def prepared(self, noise):
        """No further parameter."""
        return None

    def log_density(self, x, eta, noise=None):
        """Log-likelihood, complete."""
        return x * eta - torch.nn.functional.softplus(eta, 1.0, 50.0)

    def score(self, x, eta, noise=None):
        """Slope of the log-likelihood along eta."""
        return x - sigmoid(eta)

    def fisher(self, eta, noise=None):
        """Expected squared score."""
        return sigmoid(eta) * sigmoid(-eta)

    def constant(self, x):
        """Nothing: the log-likelihood is complete."""
        return torch.zeros_like(x)

    def inverse_link(self, mean) -> np.ndarray:
        """Linear predictor at which the probability is `mean`."""
        return logit(mean)

    def sample(self, rng, eta, noise=None) -> np.ndarray:
        """Draw zeros and ones; `eta` is an array."""
        p = self.mean(torch.as_tensor(eta)).numpy()
        return (rng.random(p.shape) < p).astype(float)


FAMILIES = {
    "poisson": Poisson,
    "bernoulli": Bernoulli,
    "negative_binomial": NegativeBinomial,
    "categorical": Categorical,
    "gaussian": Gaussian,
}


def family(observation: str, link: str | None = None, covariance: str = "diag"):
    """The observation family by name; its first link unless another is named.

    Examples
    --------
    >>> family("poisson").link
    'softplus'
    """
    from neuroana.core.checks import check_choice

    kind = FAMILIES[check_choice("observation", observation, FAMILIES)]
    if kind is Gaussian and covariance == "full":
        kind = FullGaussian
    return kind(
        kind.links[0] if link is None else check_choice("link", link, kind.links)
    )
