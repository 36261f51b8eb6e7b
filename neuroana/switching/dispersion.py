"""The dispersion of negative binomial counts: one Newton step on its logarithm.

With size r = 1 / a, shared by the states, and f the rate of a bin in a state,

    dQ/dr = sum gamma [ psi(x + r) - psi(r) + log(r / (r + f)) + (f - x) / (r + f) ]

taken where it raises Q, per unit, else left. Counts repeat, so psi is evaluated once a
count.
"""

import torch

from neuroana.switching.glm_mstep import expected_emissions
from neuroana.switching.panel import predictors


LEAST, MOST = 1e-6, 1e3
LONGEST = 1.5  # of one step of log r
START = 0.1


def slopes(family, panel, theta, dispersion, gamma):
    """First and second derivative of Q in log r, (S, N)."""
    size = (1 / dispersion)[:, 0, :, None]  # (S, N, 1)
    first = torch.zeros_like(size[..., 0])
    second = torch.zeros_like(first)
    for chunk in panel.chunks(theta[..., 0].numel()):
        x = panel.x[:, chunk].double()
        f = family.mean(predictors(theta, panel.design, chunk)).double()
        share = gamma[:, chunk].transpose(1, 2)[:, :, None]
        if panel.observed is not None:
            share = share * panel.observed[:, chunk]
        weight = share.sum(1)  # (S, 1 or N, chunk)
        own = torch.digamma(x + size) - torch.digamma(size)
        bent = torch.polygamma(1, x + size) - torch.polygamma(1, size)
        first += (weight * own).sum(-1)
        second += (weight * bent).sum(-1)
        wide = size[:, None] + f
        slope = (size[:, None] / wide).log() + (f - x) / wide
        first += (share * slope).sum((1, 3))
        bend = 1 / size[:, None] - 1 / wide - (f - x) / wide**2
        second += (share * bend).sum((1, 3))
    size = size[..., 0]
    return size * first, size * first + size**2 * second


def update(family, panel, theta, dispersion, gamma, free):
    """Dispersion (S, 1, N) after one guarded step; units that never change keep it."""
    first, second = slopes(family, panel, theta, dispersion, gamma)
    step = first / torch.where(second < 0, -second, first.abs().clamp_min(1e-12))
    size = (-dispersion[:, 0].log() + step.clamp(-LONGEST, LONGEST)).exp()
    trial = (1 / size).clamp(LEAST, MOST)[:, None]
    _, before = expected_emissions(family, panel, theta, dispersion, gamma)
    _, after = expected_emissions(family, panel, theta, trial, gamma)
    better = (after.sum(1) > before.sum(1))[:, None] & free
    return torch.where(better, trial, dispersion)
