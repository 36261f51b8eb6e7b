"""Beliefs about couplings before the data: ridge, and a mean shared by the states.

A prior turns its own parameters into an `EdgeLaw`, all that the Newton step sees, and
updates those parameters between M steps. The one-hot prior is in `one_hot`.
"""

from dataclasses import dataclass, replace

import numpy as np

from neuroana.core.checks import check_choice, check_number
from neuroana.switching.edge_laws import LEARN_FROM, RIDGE, EdgeLaw
from neuroana.switching.one_hot import OneHotPrior


@dataclass(frozen=True)
class RidgePrior:
    """Independent couplings around zero; what ``prior="none"`` means.

    Parameters
    ----------
    precision : float
        Of a coupling between standardised signals: adds ``precision * var(h) * w**2 /
        2`` to the cost, over var(x) for gaussian observations. Zero is maximum
        likelihood.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM
    >>> HMMGLM(2, prior=RidgePrior(precision=0.1)).prior
    RidgePrior(precision=0.1)
    """

    precision: float = RIDGE

    learns = False
    relaxed = False
    learns_from = LEARN_FROM

    def start(self, w, variance, pooled, scale=1.0):
        """Law of every coupling; `variance` (E,) or (N, E) of its drive."""
        check_number("precision", self.precision, minimum=0.0)
        precision = np.broadcast_to(self.precision * variance, w.shape)
        return EdgeLaw(np.zeros_like(w), precision, np.zeros_like(pooled))

    def update(self, law, w, laplace):
        """Nothing to learn."""
        return law


@dataclass(frozen=True)
class GaussianPrior:
    """Couplings of all states scatter around one map: w[k] ~ N(w0, scale^2).

    w0 (one value an edge) is learned as the mean over states, under a slight ridge, and
    moves together with them in every Newton step. With a learned scale,
    scale^2 is the mean of (w - w0)^2 + C, C the Laplace variance of w: without C the
    scale would run to zero and glue the states together.

    Parameters
    ----------
    scale : float, "shared" or "edge"
        Fixed; learned, one for all edges; learned, one an edge.
    start_scale : float
        Value of a learned scale during the first iterations.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM
    >>> HMMGLM(2, prior=GaussianPrior(scale=0.3)).prior
    GaussianPrior(scale=0.3, start_scale=1.0)
    """

    scale: float | str = "shared"
    start_scale: float = 1.0

    relaxed = False
    learns_from = LEARN_FROM

    @property
    def learns(self):
        return isinstance(self.scale, str)

    def start(self, w, variance, pooled, scale=1.0):
        """Law of every coupling, from the starting couplings."""
        if self.learns:
            check_choice("scale", self.scale, ("shared", "edge"))
        else:
            check_number("scale", self.scale, minimum=0.0, open_ends=True)
        check_number("start_scale", self.start_scale, minimum=0.0, open_ends=True)
        scale = self.start_scale if self.learns else self.scale
        precision = np.where(pooled, scale**-2.0, RIDGE * variance)
        law = EdgeLaw(
            np.zeros_like(w), np.broadcast_to(precision, w.shape), pooled,
            drift=RIDGE * variance,
        )  # fmt: skip
        return law.recentred(w)

    def update(self, law, w, laplace):
        """w0 and scale from couplings and their Laplace variances."""
        law = law.recentred(w)
        if self.learns:
            pooled, precision = law.pooled, law.precision
            spread = np.where(pooled, (w - law.mean) ** 2 + laplace, 0.0)
            if self.scale == "shared":
                spread = spread.sum(axis=(1, 2, 3), keepdims=True) / max(
                    pooled.sum(), 1
                )
            else:
                spread = spread.mean(axis=1, keepdims=True)
            precision = np.where(pooled, 1 / np.maximum(spread, 1e-8), precision)
            law = replace(law, precision=precision)
        return law


NAMED = {"none": RidgePrior, "gaussian": GaussianPrior, "one_hot": OneHotPrior}


def as_prior(prior):
    """A prior by name, or the prior object itself.

    Examples
    --------
    >>> as_prior("none")
    RidgePrior(precision=0.001)
    """
    if isinstance(prior, str):
        return NAMED[check_choice("prior", prior, NAMED)]()
    if not isinstance(prior, tuple(NAMED.values())):
        check_choice("prior", prior, NAMED)
    return prior
