"""The filter of a fitted model, one bin at a time: for closed loop.

    p(z[t] given x[1..t])  proportional to
        p(x[t] given z[t], past) sum_i p(z[t-1] = i given x[1..t-1]) A[i, z[t]]

Everything that does not change is laid out once; a step costs K N D flops and a few
dozen microseconds.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from neuroana.core.checks import message
from neuroana.core.errors import SchemaError, ShapeError
from neuroana.switching.observations import family
from neuroana.switching.scoring import coefficients
from neuroana.switching.transitions import log, softmax


@dataclass(frozen=True)
class OnlineFilter:
    """What the filter knows after a bin.

    Attributes
    ----------
    probability : ndarray (state,)
        p(z[t] given x[1..t]); the initial law before the first bin.
    log_likelihood : float
        Of all bins so far, in nats.
    n_bins : int
        Bins so far.
    """

    probability: np.ndarray
    log_likelihood: float
    n_bins: int
    past: np.ndarray  # (L, N), the last bin first
    model: "Constants"

    @classmethod
    def of(cls, model):
        """The filter before the first bin."""
        made = Constants.of(model)
        past = np.zeros((made.kernel.shape[1], made.theta.shape[1]))
        return cls(model.initial_prob_.to_numpy().copy(), 0.0, 0, past, made)

    def step(self, x, inputs=None, transition_inputs=None) -> "OnlineFilter":
        """The filter one bin later; this one stays as it is.

        Parameters
        ----------
        x : array (N,)
            One bin; NaN where nothing was observed.
        inputs, transition_inputs : array (P,), optional
            Of this bin, where the model was fitted with them.
        """
        own = self.model
        x = own.check("x", x, own.n_columns)
        ahead = self.probability
        if self.n_bins:
            ahead = ahead @ own.transition(transition_inputs)
        x, seen = own.units(x)
        h = np.einsum("cl,lm->mc", own.kernel, self.past).ravel()
        u = own.check("inputs", inputs, own.n_inputs)
        if not np.isfinite(u).all():
            raise SchemaError(message("inputs", "finite values", u))
        eta = own.theta @ np.concatenate([[1.0], h, u])
        loglik = own.emission(x, seen, eta)
        top = loglik.max()
        joint = ahead * np.exp(loglik - top)
        total = joint.sum()
        past = self.past
        if len(past):
            past = np.concatenate([x[None], past[:-1]])
        return replace(
            self,
            probability=joint / total,
            log_likelihood=self.log_likelihood + float(np.log(total) + top),
            n_bins=self.n_bins + 1,
            past=past,
        )


@dataclass(frozen=True)
class Constants:
    """What a fitted model brings to every step."""

    kind: object
    theta: np.ndarray  # (K, N, D)
    noise: object
    kernel: np.ndarray  # (B, L)
    flat: np.ndarray  # (N,) units that the likelihood leaves out
    a: np.ndarray  # (K, K)
    weights: np.ndarray | None  # (K, P)
    n_inputs: int
    n_columns: int

    @classmethod
    def of(cls, model):
        kind = family(model.observation, model.link, model.covariance)
        theta, noise = coefficients(model)
        weights = getattr(model, "transition_weights_", None)
        return cls(
            kind,
            theta[0].numpy(),
            None if noise is None else kind.prepared(noise),
            model.kernel_.to_numpy(),
            (model.flat_.to_numpy() == 1) & (kind.values == "real"),
            model.transition_matrix_.to_numpy(),
            None if weights is None else weights.to_numpy(),
            model.n_inputs_,
            model.n_features_in_,
        )

    def check(self, name, values, size):
        """One row of numbers of the right length."""
        values = np.zeros(0) if values is None else np.asarray(values, float).ravel()
        if len(values) != size:
            raise ShapeError(message(name, f"{size} numbers", len(values)))
        return values

    def units(self, x):
        """Values of the units, missing ones zero, and which were seen."""
        seen = np.isfinite(x)
        if self.kind.values == "classes":
            n = self.theta.shape[1]
            return (x[0] == np.arange(n)).astype(float), np.repeat(seen, n)
        if self.kind.noise == "covariance":
            seen = np.repeat(seen.all(), len(x))
        return np.where(np.isfinite(x), x, 0.0), seen & ~self.flat

    def transition(self, inputs):
        """A into this bin."""
        if self.weights is None:
            return self.a
        u = self.check("transition_inputs", inputs, self.weights.shape[1])
        return softmax(log(self.a) + self.weights @ u)

    def emission(self, x, seen, eta):
        """Log-likelihood of the bin in every state, (K,)."""
        x = torch.as_tensor(x)[:, None]
        value = self.kind.log_density(
            x, torch.as_tensor(eta)[None, ..., None], self.noise
        )
        value = value[0, ..., 0].numpy() + self.kind.constant(x)[:, 0].numpy()
        return np.where(seen, value, 0.0).sum(axis=-1)
