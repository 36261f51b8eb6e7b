"""The one-hot prior: every coupling is inhibitory, absent or excitatory.

    w[k, n, m]  ~  sum_c a0[n, m, c] N(m_c, v_c)    c: inhibitory, none, excitatory
    m = (-mu, 0, mu)    v = (s_w^2, s_0^2, s_w^2)   a0[n, m] ~ Dir(1 + pseudo counts)

a0, the state-constant map, is shared by the states; r, the edge type of every state, is
its posterior. Li et al. (ICLR 2024) relax the type to a Gumbel-softmax draw; here it is
summed out, so nothing is sampled. Between M steps:

    r[k, n, m, c]   proportional to  a0[n, m, c] N(u; m_c, v_c + 1 / q)
    a0[n, m, c]     proportional to  pseudo count c + sum_k r[k, n, m, c]
    next M step     precision = sum_c r_c / v_c,  mean = sum_c r_c m_c / v_c / precision
    mu, s_w         mean and scatter of |w| over r of the signed types

(u, q) is what the data alone say about w: its Laplace estimate with the prior taken out
("cavity"), or w itself and q infinite ("em": then J never falls while s_0 is fixed).
s_0 shrinks from 0.3 to 0.05 once the states have formed. Couplings are measured in
natural units (the sd of the target over the sd of the drive), so that scales of
measurement do not matter. All basis functions of an edge share its type.

With ``sign_pooling="source"`` (Dale's law) all outgoing edges of a unit, over targets
and states, have one sign: log p(sign) = sum over edges of log (a_none N_none + a_sign
N_sign), and r is averaged over the posterior of the sign.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.switching.edge_laws import LEARN_FROM, RIDGE, EdgeLaw


SIGNS = ("inhibitory", "none", "excitatory")
START_MU, START_SCATTER = 0.75, 0.5
LEAST_MU, LEAST_SCATTER = 0.1, 0.1
START_NONE, LEAST_NONE, SHRINK = 0.3, 0.05, 0.8
SHRINK_FROM = 6  # updates of the prior, which begin at the fourth iteration


@dataclass(frozen=True)
class OneHotPrior:
    """Couplings of one edge type a state, types around one map that all states share.

    Parameters
    ----------
    strategy : {"mixture", "gumbel"}
        Sum the types out (default, deterministic); or climb the paper's relaxation
        with Gumbel-softmax draws, the prior counted once.
    a0 : array (N, N, 3), optional
        A known connectome: probabilities of (inhibitory, none, excitatory) for every
        (target, source). Fixed, unless `a0_weight` is given.
    a0_weight : float, optional
        Learn the map with `a0` as so many pseudo counts an edge.
    pseudo_counts : (float, float, float)
        Of the three types where no `a0` is given.
    sign_pooling : {None, "source"}
        One sign for all outgoing edges of a unit: Dale's law.
    edge_update : {"cavity", "em"}
        From what the data alone say about a coupling; or from the coupling itself.
    none_scale : float, optional
        Fixed sd of absent couplings, in natural units; None shrinks it as states form.
    temperature : (float, float)
        Of the relaxation, first and last ("gumbel").
    reference_schedule : bool
        Fit as the paper's demo code does, for the record ("gumbel"): sequence by
        sequence, 50 gradient steps each, the prior counted once a sequence.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM
    >>> HMMGLM(2, prior=OneHotPrior(sign_pooling="source")).prior.strategy
    'mixture'
    """

    strategy: str = "mixture"
    a0: Any = field(default=None, compare=False, repr=False)
    a0_weight: float | None = None
    pseudo_counts: tuple = (0.2, 1.6, 0.2)
    sign_pooling: str | None = None
    edge_update: str = "cavity"
    none_scale: float | None = None
    temperature: tuple = (1.0, 0.2)
    reference_schedule: bool = False

    def __post_init__(self):
        for name in ("pseudo_counts", "temperature"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def learns(self):
        return self.strategy == "mixture"

    @property
    def relaxed(self):
        """Whether gradients move the types, and not their posterior."""
        return self.strategy == "gumbel"

    def check(self):
        """Raise unless all arguments can be used."""
        check_choice("strategy", self.strategy, ("mixture", "gumbel"))
        check_choice("sign_pooling", self.sign_pooling, (None, "source"))
        check_choice("edge_update", self.edge_update, ("cavity", "em"))
        for name in ("none_scale", "a0_weight"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), minimum=0.0, open_ends=True)
        for value in (*self.pseudo_counts, *self.temperature):
            check_number("pseudo_counts, temperature", value, minimum=0.0,
                         open_ends=True)  # fmt: skip
        if len(self.pseudo_counts) != 3 or len(self.temperature) != 2:
            raise ParameterError(
                message(
                    "OneHotPrior", "three pseudo_counts and two temperatures",
                    f"{len(self.pseudo_counts)} and {len(self.temperature)}",
                )
            )  # fmt: skip
        if self.reference_schedule and self.strategy != "gumbel":
            raise ParameterError(
                message("reference_schedule", "strategy='gumbel' with it",
                        repr(self.strategy))
            )  # fmt: skip
        if self.a0 is not None:
            known_map(self.a0)

    def start(self, w, variance, pooled, scale=None):
        """Law of every coupling; `scale` (N, N B) is their natural size."""
        self.check()
        scale = np.ones(w.shape[2:]) if scale is None else scale
        n_units = pooled.shape[1]
        shape = (len(w), n_units, n_units, 3)
        a0 = np.asarray(self.pseudo_counts) / sum(self.pseudo_counts)
        if self.a0 is not None:
            a0 = known_map(self.a0)
            if a0.shape != shape[1:]:
                raise ShapeError(
                    message("OneHotPrior: a0", f"shape {shape[1:]}", f"{a0.shape}",
                            "one row a target, one column a source")
                )  # fmt: skip
        ones = np.ones(len(w))
        law = OneHotLaw(
            mean=np.zeros_like(w),
            precision=np.broadcast_to(RIDGE * variance, w.shape),
            pooled=pooled,
            scale=scale,
            a0=np.broadcast_to(a0, shape).copy(),
            r=np.broadcast_to(a0, (*w.shape[:2], *shape[1:])).copy(),
            mu=START_MU * ones,
            scatter=START_SCATTER * ones,
            none=(self.none_scale or START_NONE) * ones,
            counts=self.counts(shape[1:]),
            sign=None if self.sign_pooling is None else np.full(shape[:2], 0.5),
            settled=self.none_scale is not None,
        )
        if self.relaxed:
            from neuroana.switching.relaxation import relaxed

            return relaxed(law, w, self.temperature[0])
        if self.edge_update == "em":
            law = law.with_types(*law.evidence(w, None))
        return law.with_normal_bound()

    def counts(self, shape):
        """Pseudo counts of every edge, zero where the map is fixed."""
        if self.a0 is None:
            return np.broadcast_to(np.asarray(self.pseudo_counts, float), shape)
        weight = 0.0 if self.a0_weight is None else self.a0_weight
        return weight * known_map(self.a0)

    @property
    def learns_from(self):
        """First iteration after which `update` is called."""
        return 0 if self.edge_update == "em" else LEARN_FROM

    def update(self, law, w, laplace):
        """Types, map, strengths and the next normal bound."""
        laplace = None if self.edge_update == "em" else laplace
        evidence = law.evidence(w, laplace)
        law = law.with_types(*evidence)
        if self.a0 is None or self.a0_weight is not None:
            law = law.with_map()
        law = law.with_strengths(w, laplace)
        if self.edge_update == "em":
            law = law.with_types(*evidence)
        if self.none_scale is None:
            none = START_NONE * SHRINK ** max(0, law.age - SHRINK_FROM)
            law = replace(
                law,
                none=np.full_like(law.none, max(LEAST_NONE, none)),
                settled=none <= LEAST_NONE,
                age=law.age + 1,
            )
        return law.with_normal_bound()


def known_map(a0):
    """The connectome as probabilities (N, N, 3)."""
    value = np.asarray(a0, dtype=float)
    fine = value.ndim == 3 and value.shape[-1] == 3 and np.isfinite(value).all()
    if not fine or (value < 0).any() or np.abs(value.sum(axis=-1) - 1).max() > 1e-6:
        raise ParameterError(
            message(
                "OneHotPrior: a0",
                "probabilities of (inhibitory, none, excitatory), shape (N, N, 3)",
                f"shape {value.shape}, or sums other than one",
            )
        )
    return value


def normal(x, mean, variance):
    """Log density of a normal law."""
    return -0.5 * ((x - mean) ** 2 / variance + np.log(2 * np.pi * variance))


@dataclass(frozen=True)
class OneHotLaw(EdgeLaw):
    """The mixture, and the normal law that bounds it from below at the last types."""

    scale: np.ndarray  # (N, N B) natural size of a coupling
    a0: np.ndarray  # (S, N, M, 3)
    r: np.ndarray  # (S, K, N, M, 3)
    mu: np.ndarray  # (S,)
    scatter: np.ndarray  # (S,) sd of signed couplings, s_w
    none: np.ndarray  # (S,) sd of absent ones, s_0
    counts: np.ndarray  # (N, M, 3)
    sign: np.ndarray | None = None  # (S, M) probability that a source excites
    age: int = 0
    settled: bool = True

    def edges(self, values):
        """Couplings (..., N, E) as (..., N, M, B): source and basis apart."""
        n_units, n_edges = self.scale.shape
        own = values[..., :n_edges]
        return own.reshape(*own.shape[:-1], n_units, n_edges // n_units)

    def natural(self, w):
        """Couplings (S, K, N, M, B) in natural units."""
        return self.edges(w) / self.edges(self.scale)

    def moments(self):
        """Means and variances of the three types, (S, 1, 1, 1, 1, 3)."""
        zero = np.zeros_like(self.mu)
        mean = np.stack([-self.mu, zero, self.mu], axis=-1)
        variance = np.stack([self.scatter, self.none, self.scatter], axis=-1) ** 2
        shape = (-1, 1, 1, 1, 1, 3)
        return mean.reshape(shape), variance.reshape(shape)

    def evidence(self, w, laplace):
        """What the data say: couplings in natural units and the variance of that."""
        u = self.natural(w)
        if laplace is None:
            return u, np.zeros_like(u)
        size = self.edges(self.scale) ** 2
        total = size / np.maximum(self.edges(laplace), 1e-300)
        own = size * self.edges(self.precision)
        alone = np.maximum(total - own, 1e-3 * total)
        return (u * total - own * self.natural(self.mean)) / alone, 1 / alone

    def log_types(self, data, spread):
        """log N(data; type) summed over basis functions, (S, K, N, M, 3)."""
        mean, variance = self.moments()
        there = self.edges(self.pooled)[None, ..., None]
        terms = normal(data[..., None], mean, variance + spread[..., None])
        return np.where(there, terms, 0.0).sum(axis=-2)

    def with_types(self, data, spread):
        """r from what the data say."""
        r, sign = self.types(data, spread)
        return replace(self, r=r, sign=sign)

    def with_map(self):
        """a0 from the types."""
        there = self.edges(self.pooled).any(axis=-1)[..., None]  # (K, N, M, 1)
        a0 = self.counts + (self.r * there).sum(axis=1)
        return replace(self, a0=a0 / a0.sum(axis=-1, keepdims=True))

    def types(self, data, spread):
        """Posterior r (S, K, N, M, 3) and the probability that a source excites."""
        like = self.log_types(data, spread)
        with np.errstate(divide="ignore"):
            log_a = np.log(self.a0)[:, None]
        if self.sign is None:
            return softmax(log_a + like), None
        both = []
        for gone in (2, 0):  # an inhibitory source, an excitatory one
            own = log_a + like
            own[..., gone] = -np.inf
            kept = np.delete(np.arange(3), gone)
            share = np.logaddexp.reduce(log_a[..., kept], axis=-1)
            total = np.logaddexp.reduce(own, axis=-1) - share
            both.append((softmax(own), np.nan_to_num(total, neginf=-1e300)))
        gain = (both[1][1] - both[0][1]).sum(axis=(1, 2))  # (S, M)
        sign = 1 / (1 + np.exp(-np.clip(gain, -500, 500)))
        weight = sign[:, None, None, :, None]
        return (1 - weight) * both[0][0] + weight * both[1][0], sign

    def with_strengths(self, w, laplace):
        """mu and s_w from the couplings that have a sign."""
        u = self.natural(w)
        spread = 0.0
        if laplace is not None:
            spread = self.edges(laplace) / self.edges(self.scale) ** 2
        there = self.edges(self.pooled)[None]
        minus = self.r[..., None, 0] * there
        plus = self.r[..., None, 2] * there
        axes = (1, 2, 3, 4)
        mass = (minus + plus).sum(axis=axes)
        enough = mass > 1.0
        mass = np.maximum(mass, 1.0)
        mu = np.maximum(((plus - minus) * u).sum(axis=axes) / mass, LEAST_MU)
        centre = mu.reshape(-1, 1, 1, 1, 1)
        scatter = plus * ((u - centre) ** 2 + spread)
        scatter = scatter + minus * ((u + centre) ** 2 + spread)
        sd = np.sqrt(scatter.sum(axis=axes) / mass)
        return replace(
            self,
            mu=np.where(enough, mu, self.mu),
            scatter=np.where(enough, np.maximum(sd, LEAST_SCATTER), self.scatter),
        )

    def with_normal_bound(self):
        """Mean and precision of the quadratic that the Newton step sees."""
        mean, variance = self.moments()
        weight = self.r[..., None, :]
        precision = (weight / variance).sum(axis=-1)
        centre = (weight * mean / variance).sum(axis=-1) / precision
        wide_p, wide_m = np.array(self.precision), np.zeros_like(self.mean)
        n_edges = self.scale.shape[1]
        shape = (*self.mean.shape[:3], n_edges)
        there = self.pooled[..., :n_edges]
        whole = self.edges(self.mean).shape
        p = np.broadcast_to(precision, whole).reshape(shape) / self.scale**2
        m = np.broadcast_to(centre, whole).reshape(shape) * self.scale
        wide_p[..., :n_edges] = np.where(there, p, wide_p[..., :n_edges])
        wide_m[..., :n_edges] = np.where(there, m, 0.0)
        return replace(self, mean=wide_m, precision=wide_p)

    def log_density(self, w):
        """log p(w) of the mixture and of the map, (S, K, N)."""
        u = self.natural(w)
        like = self.log_types(u, np.zeros_like(u))
        with np.errstate(divide="ignore"):
            log_a = np.log(self.a0)
        there = self.edges(self.pooled).any(axis=-1)
        mixed = np.logaddexp.reduce(log_a[:, None] + like, axis=-1)
        if self.sign is not None:
            mixed = self.pooled_signs(log_a[:, None], like)
        total = np.where(there, mixed, 0.0).sum(axis=-1)
        size = np.where(self.edges(self.pooled), np.log(self.edges(self.scale)), 0.0)
        total = total - size.sum(axis=(-1, -2))
        map_terms = np.where(self.counts > 0, self.counts * log_a, 0.0)
        total = total + map_terms.sum(axis=(2, 3))[:, None] / w.shape[1]
        rest = np.where(self.pooled, 0.0, self.precision * w**2)
        return total - 0.5 * rest.sum(axis=-1)

    def pooled_signs(self, log_a, like):
        """log p of every edge, its share of the evidence for the source's sign."""
        parts = []
        for gone in (2, 0):
            kept = np.delete(np.arange(3), gone)
            own = np.logaddexp.reduce((log_a + like)[..., kept], axis=-1)
            parts.append(own - np.logaddexp.reduce(log_a[..., kept], axis=-1))
        whole = np.stack([p.sum(axis=(1, 2)) for p in parts])  # (2, S, M)
        mixed = np.logaddexp.reduce(whole, axis=0) - np.log(2)
        n_edges = parts[0].shape[1] * parts[0].shape[2]
        flat = np.broadcast_to(mixed[:, None, None] / n_edges, parts[0].shape)
        return flat

    def take(self, starts):
        """The law of some of the starts."""
        sign = None if self.sign is None else self.sign[starts]
        return replace(
            self, mean=self.mean[starts], precision=self.precision[starts],
            a0=self.a0[starts], r=self.r[starts], mu=self.mu[starts],
            scatter=self.scatter[starts], none=self.none[starts], sign=sign,
        )  # fmt: skip


def softmax(logits):
    """Probabilities along the last axis."""
    top = logits.max(axis=-1, keepdims=True)
    p = np.exp(logits - np.where(np.isfinite(top), top, 0.0))
    return p / p.sum(axis=-1, keepdims=True)
