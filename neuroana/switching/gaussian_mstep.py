"""The M step of gaussian observations, in closed form from weighted moments.

One pass over the data gives, for every state,

    G = X' diag(gamma) X        C = X' diag(gamma) Y        S = Y' diag(gamma) Y

with variance per unit     (G / v[n] + Lambda[n]) theta[n] = C[:, n] / v[n] + Lambda m
with a full covariance     the same with P = Sigma^-1: unit after unit, the others held,
                           (P[n,n] G + Lambda[n]) theta[n] = sum_m P[n,m] (C[m] - G
                           theta[m]) + P[n,n] G theta[n] + Lambda m
noise                      (S - theta C - C' theta' + theta G theta') / sum gamma

Missing values give each unit a G of its own. Cost K T D (D + N) flops.
"""

from dataclasses import dataclass

import torch

from neuroana.switching.linear_systems import solve, solve_shared, solve_tied


SWEEPS = 3  # over the units, with a full covariance
ENOUGH = 1e-8  # weight below which a noise parameter stays as it is


@dataclass
class Moments:
    """Weighted sums over time; M = 1, or N where values are missing."""

    g: torch.Tensor  # (S, K, M, D, D)
    c: torch.Tensor  # (S, K, N, D)
    s: torch.Tensor  # (S, K, N) or (S, K, N, N)
    weight: torch.Tensor  # (S, K, M)


def moments(panel, gamma, *, full):
    """Sums of one pass over the data."""
    design, x, seen = panel.design, panel.x, panel.observed
    n_starts, _, n_states = gamma.shape
    n_terms, n_units = len(design), len(x)
    own = seen is not None and not full
    m = n_units if own else 1
    shape = (n_starts, n_states, m, n_terms, n_terms)

    def sums(chunks):
        g = design.new_zeros(shape, dtype=torch.float64)
        c = g.new_zeros(n_starts, n_states, n_units, n_terms)
        s = g.new_zeros(n_starts, n_states, n_units, *((n_units,) if full else ()))
        weight = g.new_zeros(n_starts, n_states, m)
        for chunk in chunks:
            terms, y = design[:, chunk].double(), x[:, chunk].double()
            share = gamma[:, chunk].transpose(1, 2)[:, :, None]
            if own:
                share = share * seen[:, chunk]
            elif seen is not None:
                share = share * seen[:1, chunk]
            weight += share.sum(-1)
            g += (terms * share[..., None, :]) @ terms.T
            weighed = y * share
            c += weighed @ terms.T
            s += weighed @ y.T if full else (weighed * y).sum(-1)
        return g, c, s, weight

    return Moments(*panel.total(sums, n_starts * n_states * max(n_terms, n_units)))


def regress(
    sums, theta, noise, mean, precision, free, ties, *, shared=None, variances=False
):
    """Coefficients given the noise, and their variances; never worse than `theta`.

    `shared` is (pull, drift) of a prior mean that moves along (`solve_shared`).
    """
    if noise.ndim == 4:
        return regress_together(sums, theta, noise, mean, precision, free,
                                variances=variances)  # fmt: skip
    matrix = sums.g / noise[..., None, None] + torch.diag_embed(precision)
    right = sums.c / noise[..., None] + precision * mean
    matrix, right = cut(matrix, right, theta, free)
    if ties is None and shared is not None:
        uphill = right - (matrix @ torch.where(free, theta, 0.0)[..., None])[..., 0]
        step, laplace = solve_shared(matrix, uphill, *shared, variances=variances)
        found = theta + step
    elif ties is None:
        found, laplace = solve(matrix, right, variances=variances)
    else:
        found, laplace = solve_tied(matrix, right, ties, variances=variances)
    return torch.where(free, found, theta), laplace


def cut(matrix, right, theta, free):
    """Move fixed coefficients to the right-hand side."""
    fixed = torch.where(free, 0.0, theta)
    right = (right - (matrix @ fixed[..., None])[..., 0]) * free
    matrix = matrix * (free[..., None] & free[..., None, :])
    return matrix + torch.diag_embed((~free).to(matrix.dtype)), right


def regress_together(sums, theta, noise, mean, precision, free, *, variances):
    """Sweeps over the units, each given the others: the joint density never falls."""
    n_units = theta.shape[2]
    p = torch.linalg.inv(noise)
    g = sums.g[:, :, 0]
    own = p.diagonal(dim1=-2, dim2=-1)

    def objective(at):
        scatter = residual_moments(sums, at)
        quadratic = (p * scatter).sum((-1, -2))
        return -0.5 * (quadratic + (precision * (at - mean) ** 2).sum((-1, -2)))

    alone, _ = regress(
        Moments(sums.g, sums.c, sums.s.diagonal(dim1=-2, dim2=-1), sums.weight),
        theta, 1 / own, mean, precision, free, None,
    )  # fmt: skip
    better = objective(alone) > objective(theta)
    theta = torch.where(better[..., None, None], alone, theta)
    matrix = own[..., None, None] * g[:, :, None] + torch.diag_embed(precision)
    laplace = None
    for _ in range(SWEEPS):
        for n in range(n_units):
            pull = sums.c - theta @ g
            right = (p[:, :, n, None] @ pull)[:, :, 0]
            right = right + own[:, :, n, None] * (theta[:, :, n, None] @ g)[:, :, 0]
            right = right + precision[:, :, n] * mean[:, :, n]
            here = slice(n, n + 1)
            block, target = cut(
                matrix[:, :, here], right[:, :, None], theta[:, :, here], free[:, here]
            )
            found, _ = solve(block, target)
            theta = theta.clone()
            theta[:, :, here] = torch.where(free[:, here], found, theta[:, :, here])
    if variances:  # given the states only: the other units' coefficients are not known
        own = noise.diagonal(dim1=-2, dim2=-1)
        matrix = g[:, :, None] / own[..., None, None] + torch.diag_embed(precision)
        block, target = cut(matrix, torch.zeros_like(theta), theta, free)
        laplace = solve(block, target, variances=True)[1]
    return theta, laplace


def residual_moments(sums, theta):
    """Weighted sums of residual products, (S, K, N) or (S, K, N, N)."""
    if sums.s.ndim == 4:
        cross = theta @ sums.c.transpose(-1, -2)
        fitted = theta @ sums.g[:, :, 0] @ theta.transpose(-1, -2)
        scatter = sums.s - cross - cross.transpose(-1, -2) + fitted
        return 0.5 * (scatter + scatter.transpose(-1, -2))
    fitted = ((theta[..., None, :] @ sums.g)[..., 0, :] * theta).sum(-1)
    return (sums.s - 2 * (theta * sums.c).sum(-1) + fitted).clamp_min(0.0)


def estimate_noise(sums, theta, noise, floor):
    """Weighted residual variance or covariance; kept where nothing weighs.

    Variances stay above the floor, a covariance above it in every direction.
    """
    scatter = residual_moments(sums, theta)
    full = scatter.ndim == 4
    weight = sums.weight[..., None] if full else sums.weight
    enough = weight > ENOUGH
    mean = scatter / torch.where(enough, weight, 1.0)
    return torch.where(
        enough, lift(mean, floor) if full else mean.maximum(floor), noise
    )


def lift(covariance, floor):
    """Raise eigenvalues below one in units of the floors to one."""
    unit = floor.sqrt()
    unit = unit[:, None] * unit
    value, vector = torch.linalg.eigh(covariance / unit)
    if bool((value >= 1).all()):
        return covariance
    lifted = (vector * value.clamp_min(1.0)[..., None, :]) @ vector.transpose(-1, -2)
    return lifted * unit
