"""Real values: a variance of their own per state and unit, or a full covariance.

    diag:  x[n] ~ N(eta[k, n], v[k, n])        full:  x ~ N(eta[k], Sigma[k])

With a full covariance the log density of a bin is written as a sum over units of
whitened residuals, z = L^-1 (x - eta), Sigma = L L': -z[n]^2 / 2 - log L[n, n] + c.
Functions take torch tensors that broadcast against each other, units second to last.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch


LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class RealValues:
    """What both share."""

    values = "real"
    curvature_varies = False

    def mean(self, eta):
        """Expected value, eta itself."""
        return eta

    def constant(self, x):
        """Nothing: the log density is complete."""
        return torch.zeros_like(x)

    def inverse_link(self, mean) -> np.ndarray:
        """The mean itself."""
        return np.asarray(mean, dtype=float)


@dataclass(frozen=True)
class Gaussian(RealValues):
    """Real values, independent over units, with a variance per state and unit."""

    link: str = "identity"
    links = ("identity",)
    noise = "variance"
    coupled = False

    def prepared(self, noise):
        """Variances (S, K, N) against values (S, K, N, T)."""
        return noise[..., None]

    def log_density(self, x, eta, noise):
        """Log density, complete."""
        residual = x - eta
        return -0.5 * (residual * residual / noise + noise.log()) - LOG_ROOT_2PI

    def score(self, x, eta, noise):
        """Slope of the log density along eta."""
        return (x - eta) / noise

    def fisher(self, eta, noise):
        """Expected squared score."""
        return (1 / noise).expand_as(eta)

    def sample(self, rng, eta, noise) -> np.ndarray:
        """Draw values; `eta` and `noise` are arrays."""
        return eta + np.sqrt(noise) * rng.standard_normal(np.shape(eta))


@dataclass(frozen=True)
class FullGaussian(RealValues):
    """Real values whose units are correlated at once, a covariance per state."""

    link: str = "identity"
    links = ("identity",)
    noise = "covariance"
    coupled = True

    def prepared(self, noise):
        """Inverse L^-1 and diagonal (..., N, 1) of the Cholesky factor."""
        lower = torch.linalg.cholesky(noise)
        eye = torch.eye(noise.shape[-1], dtype=noise.dtype, device=noise.device)
        inverse = torch.linalg.solve_triangular(lower, eye, upper=False)
        return inverse, lower.diagonal(dim1=-2, dim2=-1)[..., None]

    def log_density(self, x, eta, noise):
        """Log density, complete, as one term a whitened unit."""
        inverse, diagonal = noise
        z = inverse.to(eta.dtype) @ (x - eta)
        return -0.5 * z * z - diagonal.log().to(eta.dtype) - LOG_ROOT_2PI

    def score(self, x, eta, noise):
        """Slope of the log density along eta."""
        inverse = noise[0].to(eta.dtype)
        return inverse.transpose(-1, -2) @ (inverse @ (x - eta))

    def sample(self, rng, eta, noise) -> np.ndarray:
        """Draw values; `eta` (..., N) and `noise` (..., N, N) are arrays."""
        lower = np.linalg.cholesky(noise)
        z = rng.standard_normal(np.shape(eta))
        return eta + np.einsum("...ij,...j->...i", lower, z)
