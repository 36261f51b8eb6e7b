"""One of C classes a bin: choices, with the last class as reference.

Predictors eta[c], c < C - 1, and zero for the last class; p = softmax(eta, 0). A bin is
laid out as C - 1 indicators x[c], so that a class takes the place of a unit:

    log p(x) = sum_c x[c] eta[c] - log(1 + sum_c exp eta[c])

written as a sum over classes by giving each an equal part of the normaliser. Score
x[c] - p[c]; the Fisher information couples the classes, weight p[c] ([c = d] - p[d]).
"""

from dataclasses import dataclass

import numpy as np
import torch


def log_normaliser(eta):
    """log(1 + sum over classes of exp eta), the class axis second to last."""
    zero = torch.zeros_like(eta[..., :1, :])
    return torch.logsumexp(torch.cat([eta, zero], -2), -2, keepdim=True)


@dataclass(frozen=True)
class Categorical:
    """One of several classes; indicators of all but the last."""

    link: str = "softmax"
    links = ("softmax",)
    values = "classes"
    noise = None
    curvature_varies = True
    coupled = True

    def mean(self, eta):
        """Probability of every class but the last."""
        return (eta - log_normaliser(eta)).exp()

    def prepared(self, noise):
        """No further parameter."""
        return None

    def log_density(self, x, eta, noise=None):
        """Log-likelihood, complete."""
        return x * eta - log_normaliser(eta) / eta.shape[-2]

    def score(self, x, eta, noise=None):
        """Slope of the log-likelihood along eta."""
        return x - self.mean(eta)

    def fisher(self, eta, noise=None):
        """Information of class pairs c <= d, (..., pairs, T)."""
        p = self.mean(eta)
        row, column = torch.triu_indices(*[eta.shape[-2]] * 2, device=eta.device)
        same = (row == column).to(p.dtype)[:, None]
        return p[..., row, :] * (same - p[..., column, :])

    def constant(self, x):
        """Nothing: the log-likelihood is complete."""
        return torch.zeros_like(x)

    def inverse_link(self, mean) -> np.ndarray:
        """Predictors at which the classes have the probabilities `mean`."""
        mean = np.clip(np.asarray(mean, dtype=float), 1e-6, None)
        return np.log(mean) - np.log(max(1 - mean.sum(), 1e-6))

    def sample(self, rng, eta, noise=None) -> np.ndarray:
        """Draw indicators; `eta` (..., C - 1) is an array."""
        p = self.mean(torch.as_tensor(eta)[..., None])[..., 0].numpy()
        u = rng.random((*p.shape[:-1], 1))
        drawn = (u > p.cumsum(axis=-1)).sum(axis=-1)
        return (drawn[..., None] == np.arange(p.shape[-1])).astype(float)
