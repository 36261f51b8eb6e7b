"""The fitting schedule of the paper's demo code, for the record; not a way to fit.

    10 epochs x every sequence x (1 E step + 50 Adam steps at 0.01)

One start: logits and rho zero, baselines (shared by states) the mean counts, A 0.98 on
its diagonal, pi uniform and never learned. A Gumbel-softmax draw (tau 0.2) of the types
in every gradient step, their softmax in the E step. The prior is the density of the
relaxed types themselves, which has no upper bound, counted once a *sequence*; logits
with a log probability below -20 are halved. A follows from the expected transitions of
the last sequence alone. No rule to stop. `strategy="gumbel"` without this schedule
mends all of that.
"""

from dataclasses import replace

import numpy as np
import torch

from neuroana.core.random import branch
from neuroana.switching import em, glm_mstep, relaxation
from neuroana.switching.forward_backward import smooth
from neuroana.switching.panel import Panel


EPOCHS, STEPS, RATE, TAU = 10, 50, 0.01, 0.2
STAY, LOWEST, FAR = 0.98, -8.0, -20.0


def run(problem, parameters, mean, *, epochs=EPOCHS, steps=STEPS) -> em.Fit:
    """Fit by that schedule and return what `em.run` would."""
    law = problem.law(parameters.theta[:1])
    shape = law.logits.shape
    law = replace(law, logits=np.zeros(shape), rho=np.zeros(law.rho.shape))
    theta = torch.zeros_like(parameters.theta[:1])
    theta[..., 0] = torch.as_tensor(mean, dtype=theta.dtype, device=theta.device)
    module = relaxation.Relaxed(law, theta, True)
    adam = torch.optim.Adam(module.parameters(), RATE)
    n_states = shape[1]
    a = np.full((n_states, n_states), (1 - STAY) / max(n_states - 1, 1))
    np.fill_diagonal(a, STAY if n_states > 1 else 1.0)
    pi = np.full(n_states, 1 / n_states)
    panels = list(cut(problem.panel, problem.lengths))
    trace = []
    for epoch in range(epochs):
        total = 0.0
        for number, panel in enumerate(panels):
            rng = branch(problem.seed, epoch, number)
            found = e_step(problem.family, panel, module, a, pi)
            total += float(found.log_marginal.sum())
            gamma = torch.as_tensor(found.gamma, device=theta.device)[None]
            for _ in range(steps):
                gradient_step(problem, panel, module, adam, gamma, rng)
            a = transitions_of(found.xi_sum)
        trace.append(total)
    with torch.no_grad():
        last = torch.where(problem.free, shared(module(module.hard())), 0.0)
        r = torch.softmax(module.logits, -1).numpy(force=True)
        a0 = torch.softmax(module.map, -1).numpy(force=True)
    law = replace(law, r=r, a0=a0, logits=module.logits.numpy(force=True))
    made = em.Parameters(last, None, a[None], pi[None])
    labels = np.zeros((1, problem.panel.x.shape[1]), dtype=np.int16)
    return em.finish(
        problem, made, law, np.array([trace]), 0, 0, labels, converged=False
    )


def cut(panel, lengths):
    """One panel a sequence."""
    for part in np.split(np.arange(panel.x.shape[1]), np.cumsum(lengths)[:-1]):
        bins = slice(int(part[0]), int(part[-1]) + 1)
        seen = None if panel.observed is None else panel.observed[:, bins]
        yield Panel(
            panel.design[:, bins], panel.x[:, bins], seen, panel.constant[bins], False
        )


def shared(theta):
    """theta with the baselines of the first state in all."""
    base = theta[:, :1, :, :1].expand_as(theta[..., :1])
    return torch.cat([base, theta[..., 1:]], -1)


def e_step(family, panel, module, a, pi):
    """Posterior of one sequence at the softmax of the types."""
    with torch.no_grad():
        theta = shared(module(torch.softmax(module.logits, -1)))
    loglik = glm_mstep.emissions(family, panel, theta)[0].cpu().numpy()
    return smooth(loglik, a, pi)


def gradient_step(problem, panel, module, adam, gamma, rng):
    """One Adam step on Q of one sequence plus the whole prior."""
    adam.zero_grad()
    at = shared(module(module.draw(rng, TAU)))
    slope = glm_mstep.gradient(problem.family, panel, at.detach(), None, gamma)
    log_a = torch.log_softmax(module.logits, -1)
    log_a0 = torch.log_softmax(module.map, -1)
    there = module.there.any(-1)
    prior = (relaxation.concrete(log_a, log_a0[:, None], TAU) * there).sum()
    (-prior - (at * (slope * problem.free)).sum()).backward()
    adam.step()
    with torch.no_grad():
        far = torch.log_softmax(module.logits, -1).amin(-1, keepdim=True) < FAR
        module.logits.copy_(torch.where(far, module.logits / 2, module.logits))


def transitions_of(xi_sum):
    """Row-normalised expected transitions, log floored at -8, softmax again."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = np.log(xi_sum / xi_sum.sum(axis=1, keepdims=True))
    rows = np.exp(np.maximum(np.nan_to_num(rows, nan=LOWEST), LOWEST))
    return rows / rows.sum(axis=1, keepdims=True)
