"""The law of couplings that a Newton step sees: normal, one mean and precision each.

    log p(w) = sum over states and edges of log N(w; mean, 1 / precision)

Arrays: w, mean, precision (S, K, N, E), S independent starts, E = N * B + P columns
(source by basis, then inputs). `pooled` (K, N, E) says which of them the prior speaks
about; the others carry the ridge.
"""

import math
from dataclasses import dataclass, field, replace

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
    drift: np.ndarray | None = field(default=None, kw_only=True)
    # (N, E) or (E,): precision, around zero, of a mean that all states share and that
    # moves with them; None: the means stand still during a Newton step

    settled = True  # the prior has stopped changing by a schedule of its own

    def quadratic(self, w):
        """What of the log density depends on the couplings, (S, K, N)."""
        terms = -0.5 * self.precision * (w - self.mean) ** 2
        if self.drift is not None:
            shared = -0.5 * self.drift * self.mean**2 / w.shape[1]
            terms = terms + np.where(self.pooled, shared, 0.0)
        return terms.sum(axis=-1)

    def log_density(self, w):
        """Sum of log N(w; mean, 1/precision) over couplings, (S, K, N)."""
        constant = 0.5 * np.log(np.where(self.pooled, self.precision, 1.0) / TWO_PI)
        return self.quadratic(w) + np.where(self.pooled, constant, 0.0).sum(axis=-1)

    def recentred(self, w):
        """The law with its shared mean where the couplings `w` pull it."""
        if self.drift is None:
            return self
        pull = np.where(self.pooled, self.precision, 0.0)
        total = pull.sum(axis=1, keepdims=True) + self.drift
        centre = (pull * w).sum(axis=1, keepdims=True) / np.where(total > 0, total, 1.0)
        mean = np.where(self.pooled, centre, 0.0)
        return replace(self, mean=np.broadcast_to(mean, w.shape))

    def take(self, starts):
        """The law of some of the starts."""
        return replace(self, mean=self.mean[starts], precision=self.precision[starts])
