"""What a unit does given its drive: observation families and their links.

For a bin x with linear predictor eta and rate (or mean) f = link(eta):

| family, link      | log Obs, without constant | score             | Fisher weight |
| ----------------- | ------------------------- | ----------------- | ------------- |
| poisson, softplus | x log f - f               | (x/f - 1) s       | s^2 / f       |
| poisson, exp      | x eta - f                 | x - f             | f             |
| poisson, sigmoid  | x log f - f               | (x - f)(1 - f)    | f (1 - f)^2   |
| gaussian, identity| -(x - f)^2 / 2v - log(v)/2| (x - f) / v       | 1 / v         |

s = sigmoid(eta). The Fisher (expected) weight is positive for every pair, so a Newton
step built on it goes uphill even where the log-likelihood is not concave (poisson,
sigmoid). log f is exact for any eta: nothing is clamped and no epsilon is added.

Functions take torch tensors that broadcast against each other.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch


FLOOR = -500.0  # exp(FLOOR) is still a normal float64


def softplus(eta):
    return torch.nn.functional.softplus(eta.clamp_min(FLOOR), 1.0, 50.0)


def exact_log(f, eta):
    """log f, for links with log f <= eta and log f -> eta at minus infinity."""
    return torch.minimum(f.log(), eta)


@dataclass(frozen=True)
class Poisson:
    """Counts, independent over units given the state and the past."""

    link: str = "softplus"
    links = ("softplus", "exp", "sigmoid")
    discrete = True
    curvature_varies = True  # the Fisher weight depends on eta

    def mean(self, eta):
        """Expected count f(eta)."""
        if self.link == "softplus":
            return softplus(eta)
        if self.link == "exp":
            return eta.exp()
        return torch.sigmoid(eta.clamp_min(FLOOR))

    def log_density(self, x, eta, variance=None):
        """Log-likelihood without the term -log x! (see `constant`)."""
        if self.link == "exp":
            return x * eta - eta.exp()
        f = self.mean(eta)
        return x * exact_log(f, eta) - f

    def derivatives(self, x, eta, variance=None):
        """Log-likelihood, score and Fisher weight with respect to eta."""
        f = self.mean(eta)
        if self.link == "exp":
            return x * eta - f, x - f, f
        log_density = x * exact_log(f, eta) - f
        if self.link == "softplus":
            slope = torch.sigmoid(eta.clamp_min(FLOOR))
            relative = slope / f
            return log_density, x * relative - slope, slope * relative
        rest = 1 - f
        return log_density, (x - f) * rest, f * rest * rest

    def constant(self, x):
        """The term of the log-likelihood that no parameter changes."""
        return -torch.lgamma(x + 1)

    def inverse_link(self, mean) -> np.ndarray:
        """Linear predictor at which the expected count is `mean`."""
        mean = np.asarray(mean, dtype=float)
        if self.link == "softplus":
            return mean + np.log(-np.expm1(-mean))
        if self.link == "exp":
            return np.log(mean)
        mean = np.clip(mean, 1e-6, 1 - 1e-6)
        return np.log(mean) - np.log1p(-mean)

    def sample(self, rng, eta, variance=None) -> np.ndarray:
        """Draw counts; `eta` is an array."""
        return rng.poisson(self.mean(torch.as_tensor(eta)).numpy())


@dataclass(frozen=True)
class Gaussian:
    """Real values with a variance of their own per state and unit."""

    link: str = "identity"
    links = ("identity",)
    discrete = False
    curvature_varies = False

    def mean(self, eta):
        """Expected value, eta itself."""
        return eta

    def log_density(self, x, eta, variance):
        """Log density, complete."""
        residual = x - eta
        return -0.5 * (residual * residual / variance + variance.log()) - LOG_ROOT_2PI

    def derivatives(self, x, eta, variance):
        """Log density, score and Fisher weight with respect to eta."""
        residual = x - eta
        score = residual / variance
        log_density = -0.5 * (residual * score + variance.log()) - LOG_ROOT_2PI
        return log_density, score, 1 / variance

    def constant(self, x):
        """Nothing: the log density is complete."""
        return torch.zeros_like(x)

    def inverse_link(self, mean) -> np.ndarray:
        """The mean itself."""
        return np.asarray(mean, dtype=float)

    def sample(self, rng, eta, variance) -> np.ndarray:
        """Draw values; `eta` and `variance` are arrays."""
        return eta + np.sqrt(variance) * rng.standard_normal(np.shape(eta))


LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
FAMILIES = {"poisson": Poisson, "gaussian": Gaussian}


def family(observation: str, link: str | None = None):
    """The observation family by name; its first link unless another is named.

    Examples
    --------
    >>> family("poisson").link
    'softplus'
    """
    from neuroana.core.checks import check_choice

    kind = FAMILIES[check_choice("observation", observation, FAMILIES)]
    return kind(
        kind.links[0] if link is None else check_choice("link", link, kind.links)
    )
