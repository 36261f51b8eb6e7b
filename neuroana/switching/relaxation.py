"""The one-hot prior as the paper relaxes it: Gumbel-softmax edge types, Adam.

    w = size (a[exc] - a[inh]) g       g = softplus(rho) > 0
    a = softmax((logits + Gumbel noise) / tau)          a draw in every gradient step
    log p(log a given a0, tau) = log 2 + 2 log tau + sum_c y_c - 3 log sum_c exp y_c,
        y_c = log a0_c - tau log a_c
    g ~ N(mu, s_w^2)                    log p(a0) = sum_c pseudo count_c log a0_c

The density is that of log a (ExpConcrete, Maddison et al. 2017): it is bounded, where
that of a itself grows without limit at the corners of the simplex. It counts once, for
all data. tau falls geometrically over the first iterations. At the end every edge takes
its most probable type.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from neuroana.switching import glm_mstep
from neuroana.switching.one_hot import OneHotLaw


RATE = 0.05  # of Adam
STEPS = 15  # an M step
ANNEALED = 25  # iterations until tau is at its end
DECAY = 0.9, 0.999


def exp_concrete(log_a, log_a0, tau):
    """Log density of log a under the relaxed law, over the last axis."""
    n = log_a.shape[-1]
    y = log_a0 - tau * log_a
    constant = float(np.log(np.arange(1, n)).sum() + (n - 1) * np.log(tau))
    return constant + y.sum(-1) - n * torch.logsumexp(y, -1)


def concrete(log_a, log_a0, tau):
    """Log density of a itself: without bound at the corners for tau < 2."""
    return exp_concrete(log_a, log_a0, tau) - log_a.sum(-1)


@dataclass(frozen=True)
class RelaxedLaw(OneHotLaw):
    """Types and strengths that gradients move."""

    logits: np.ndarray = None  # type: ignore[assignment]  # (S, K, N, M, 3)
    rho: np.ndarray = None  # type: ignore[assignment]  # (S, K, N, M, B)
    tau: float = 1.0

    def take(self, starts):
        """The law of some of the starts."""
        own = super().take(starts)
        return replace(own, logits=self.logits[starts], rho=self.rho[starts])

    def log_density(self, w):
        """Relaxed prior of types, strengths and map, (S, K, N)."""
        log_a = torch.log_softmax(torch.as_tensor(self.logits), -1)
        log_a0 = torch.as_tensor(np.log(np.maximum(self.a0, 1e-30)))
        there = self.edges(self.pooled)
        total = exp_concrete(log_a, log_a0[:, None], self.tau).numpy()
        total = np.where(there.any(axis=-1), total, 0.0).sum(axis=-1)
        mu, sd = self.mu.reshape(-1, 1, 1, 1, 1), self.scatter.reshape(-1, 1, 1, 1, 1)
        g = np.logaddexp(0, self.rho)
        strength = -0.5 * ((g - mu) / sd) ** 2 - np.log(sd)
        total = total + np.where(there, strength, 0.0).sum(axis=(-1, -2))
        map_terms = np.where(self.counts > 0, self.counts * np.log(self.a0), 0.0)
        total = total + map_terms.sum(axis=(2, 3))[:, None] / w.shape[1]
        rest = np.where(self.pooled, 0.0, self.precision * w**2)
        return total - 0.5 * rest.sum(axis=-1)


def relaxed(law, w, tau) -> RelaxedLaw:
    """The relaxed law that begins at couplings w."""
    u = law.natural(w)
    logits = np.stack([-u, np.zeros_like(u), u], axis=-1).mean(axis=-2)
    g = np.maximum(np.abs(u), 0.1)
    return RelaxedLaw(**vars(law), logits=logits, rho=np.log(np.expm1(g)), tau=tau)


def stack(laws):
    """One law of all starts."""
    first = laws[0]
    joined = {
        name: np.concatenate([getattr(law, name) for law in laws])
        for name in ("mean", "precision", "a0", "r", "mu", "scatter", "none", "logits",
                     "rho")
    }  # fmt: skip
    return replace(first, **joined)


class Relaxed(torch.nn.Module):
    """Couplings as a function of logits and strengths, some starts at once."""

    def __init__(self, law, theta, learn_map):
        super().__init__()

        def parameter(values):
            return torch.nn.Parameter(torch.as_tensor(values).to(theta).clone())

        self.logits, self.rho = parameter(law.logits), parameter(law.rho)
        self.map = parameter(np.log(np.maximum(law.a0, 1e-6)))
        self.map.requires_grad_(learn_map)
        self.rest = torch.nn.Parameter(theta.clone())
        self.scale = torch.as_tensor(law.edges(law.scale)).to(theta)
        self.there = torch.as_tensor(law.edges(law.pooled), device=theta.device)
        self.n_edges = law.scale.shape[1]

    def forward(self, a):
        """theta (S, K, N, D) for types a (S, K, N, M, 3)."""
        sign = (a[..., 2] - a[..., 0])[..., None]
        w = self.scale * sign * torch.nn.functional.softplus(self.rho)
        old = self.rest[..., 1 : 1 + self.n_edges]
        w = torch.where(self.there.flatten(-2), w.flatten(-2), old)
        parts = [self.rest[..., :1], w, self.rest[..., 1 + self.n_edges :]]
        return torch.cat(parts, -1)

    def draw(self, rng, tau):
        """A Gumbel-softmax draw of the types."""
        noise = torch.as_tensor(rng.gumbel(size=self.logits.shape)).to(self.logits)
        return torch.softmax((self.logits + noise) / tau, -1)

    def hard(self):
        """The most probable type of every edge, (S, K, N, M, 3)."""
        top = self.logits.detach().argmax(-1)
        return torch.nn.functional.one_hot(top, 3).to(self.logits)


def log_prior(module, law, precision, tau):
    """Log density of everything the module holds, once."""
    there = module.there.any(-1)
    log_a = torch.log_softmax(module.logits, -1)
    log_a0 = torch.log_softmax(module.map, -1)
    total = (exp_concrete(log_a, log_a0[:, None], tau) * there).sum()
    g = torch.nn.functional.softplus(module.rho)

    def tensor(values, shape=(-1, 1, 1, 1, 1)):
        return torch.as_tensor(values).to(g).reshape(shape)

    strength = -0.5 * ((g - tensor(law.mu)) / tensor(law.scatter)) ** 2
    total = total + (strength * module.there).sum()
    total = total + (tensor(law.counts, (1, *law.counts.shape)) * log_a0).sum()
    return total - 0.5 * (precision * module.rest**2).sum()


def maximise(problem, theta, noise, gamma, law, rng):
    """Gradient steps on Q + log prior: theta at the mean types, and the new law."""
    prior = problem.prior
    learn_map = prior.a0 is None or prior.a0_weight is not None
    module = Relaxed(law, theta, learn_map)
    own = np.array(law.precision)
    own[:, np.broadcast_to(law.pooled, own.shape[1:])] = 0.0
    precision = torch.zeros_like(theta)
    precision[..., 1:] = torch.as_tensor(own).to(theta)
    adam = torch.optim.Adam(
        [p for p in module.parameters() if p.requires_grad], RATE, betas=DECAY
    )
    for _ in range(STEPS):
        adam.zero_grad()
        at = module(module.draw(rng, law.tau))
        slope = glm_mstep.gradient(
            problem.family, problem.panel, at.detach(), noise, gamma
        )
        (-log_prior(module, law, precision, law.tau)).backward()
        (at * (-slope * problem.free)).sum().backward()
        adam.step()
    with torch.no_grad():
        r = torch.softmax(module.logits, -1)
        theta = torch.where(problem.free, module(r), theta)
        a0 = torch.softmax(module.map, -1)
    law = replace(
        law,
        logits=module.logits.detach().cpu().numpy(),
        rho=module.rho.detach().cpu().numpy(),
        r=r.cpu().numpy(),
        a0=a0.detach().cpu().numpy() if learn_map else law.a0,
    )
    first, last = prior.temperature
    share = min(1.0, (law.age + 1) / ANNEALED)
    tau = first * (last / first) ** share
    law = replace(law, tau=tau, age=law.age + 1, settled=share == 1.0)
    return theta, law.with_strengths(theta[..., 1:].cpu().numpy(), None)


def harden(problem, theta, law):
    """theta with every edge at its most probable type."""
    module = Relaxed(law, theta, False)
    with torch.no_grad():
        return torch.where(problem.free, module(module.hard()), theta)
