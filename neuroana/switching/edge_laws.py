"""The law of couplings that a Newton step sees: normal, one mean and precision each.

    log p(w) = sum over states and edges of log N(w; mean, 1 / precision)

Arrays: w, mean, precision (S, K, N, E), S independent starts, E = N * B + P columns
(source by basis, then inputs). `pooled` (K, N, E) says which of them the prior speaks
about; the others carry the ridge.
"""

import math
from dataclasses import dataclass, replace

import numpy as np


RIDGE = 1e-3
TWO_PI = 2 * math.pi
LEARN_FROM = 3  # zero-based iteration after which priors learn from the fit


@dataclass(frozen=True)
class EdgeLaw:
    """A normal law for every coupling; its constant counts where it is learned."""

    mean: np.ndarray  # (S, K, N, E)
    precision: np.ndarray  # (S, K, N, E)
    pooled: np.ndarray  # (K, N, E)

    settled = True  # the prior has stopped changing by a schedule of its own

    def log_density(self, w):
        """Sum of log N(w; mean, 1/precision) over couplings, (S, K, N)."""
        terms = -0.5 * self.precision * (w - self.mean) ** 2
        constant = 0.5 * np.log(np.where(self.pooled, self.precision, 1.0) / TWO_PI)
        return (terms + np.where(self.pooled, constant, 0.0)).sum(axis=-1)

    def take(self, starts):
        """The law of some of the starts."""
        return replace(self, mean=self.mean[starts], precision=self.precision[starts])
