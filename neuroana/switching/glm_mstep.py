"""One damped Newton step for every weighted GLM of a switching model at once.

Given the state probabilities gamma, every (state k, unit n) is a GLM of its own, with
weights gamma[:, k] on the bins:

    Q[k, n] = sum_t gamma[t, k] log Obs(x[t, n]; X[t] . theta[k, n])
    g = X' (gamma * score)        H = X' diag(gamma * Fisher weight) X
    theta <- theta + step (H + Lambda)^-1 (g + Lambda (mean - theta))

| symbol              | shape           | meaning                                  |
| ------------------- | --------------- | ---------------------------------------- |
| X                   | (T, D)          | design: one, history drives, inputs      |
| theta               | (S, K, N, D)    | baseline, couplings, input weights       |
| gamma               | (S, T, K)       | state probabilities, S independent starts|
| Lambda, mean        | (S, K, N, D)    | precision and mean of the normal prior   |

H only bends the direction of the step, never where it stops: it runs in float32, on a
sample of the bins that a state claims a share of, and is kept while the posterior stays
put. The gradient is summed over all bins. Families whose predictors share a
normaliser (categorical) have one system a state; gaussian ones need none of this
(`gaussian_mstep`). Cost 4 K N T D flops a gradient, K N T D^2 for all bins of H.
"""

from dataclasses import dataclass

import torch

from neuroana.switching.linear_systems import (
    solve,
    solve_coupled,
    solve_shared,
    solve_tied,
    unpack,
)
from neuroana.switching.panel import predictors


HALVINGS = 8
MOVED = 0.05  # share of the bins' probability that may change state before H is renewed
OLDEST = 6  # steps after which it is renewed anyway
CLAIM = 0.03  # probability of a state below which a bin is left out of its H
HARDLY = 1e-6  # and out of an exact H
SAMPLE = 100  # bins a coefficient that a sampled H is made of
LEAST_SAMPLE = 2000  # bins
CURVATURE_VALUES = 2**18  # of outer products at a time


def emissions(family, panel, theta, noise=None, *, coarse=False):
    """Log-likelihood of every bin in every state, (S, T, K)."""
    return expected_emissions(family, panel, theta, noise, None, coarse=coarse)[0]


def mixed_emissions(family, panel, theta, noise, coarse):
    """`emissions` of starts of which some are satisfied with float32, `coarse` (S,)."""
    if coarse.all() or not coarse.any():
        return emissions(family, panel, theta, noise, coarse=bool(coarse.all()))
    parts = []
    for s, rough in enumerate(coarse):
        own = None if noise is None else noise[s : s + 1]
        parts.append(
            emissions(family, panel, theta[s : s + 1], own, coarse=bool(rough))
        )
    return torch.cat(parts)


def expected_emissions(family, panel, theta, noise, gamma, *, coarse=False):
    """Emission log-likelihoods (S, T, K), and their expectation Q (S, K, N)."""
    n_starts, n_states = theta.shape[:2]
    design, x = panel.parts(coarse)
    loglik = theta.new_empty(n_starts, panel.x.shape[1], n_states)
    noise = None if noise is None else family.prepared(noise.to(design.dtype))

    def expected(chunks):
        q = torch.zeros_like(theta[..., 0])
        for chunk in chunks:
            eta = predictors(theta, design, chunk)
            value = family.log_density(x[:, chunk], eta, noise)
            if panel.observed is not None:
                value = value * panel.observed[:, chunk]
            total = value.sum(2) + panel.constant[chunk]
            loglik[:, chunk] = total.transpose(1, 2)
            if gamma is not None:
                weight = gamma[:, chunk].transpose(1, 2).to(value.dtype)
                q += (value @ weight[..., None])[..., 0]
        return (q,)

    (q,) = panel.total(expected, theta[..., 0].numel(), coarse=coarse)
    return loglik, q


def gradient(family, panel, theta, noise, gamma, *, coarse=True):
    """Slope of Q, (S, K, N, D)."""
    design, x = panel.parts(coarse)
    noise = None if noise is None else family.prepared(noise.to(design.dtype))

    def slopes(chunks):
        slope = theta.new_zeros(theta.shape[-1], theta[..., 0].numel())
        for chunk in chunks:
            eta = predictors(theta, design, chunk)
            score = family.score(x[:, chunk], eta, noise)
            score *= gamma[:, chunk].transpose(1, 2)[:, :, None].to(eta.dtype)
            if panel.observed is not None:
                score *= panel.observed[:, chunk]
            slope += design[:, chunk] @ score.view(-1, eta.shape[-1]).T
        return (slope,)

    (slope,) = panel.total(slopes, theta[..., 0].numel(), coarse=coarse)
    return slope.T.reshape(theta.shape)


@dataclass
class Curvature:
    """H of the problems of one start, packed, and the posterior it was made for."""

    packed: torch.Tensor  # (K, N or pairs, D (D + 1) / 2)
    gamma: torch.Tensor  # (T, K)
    age: int = 0

    def fits(self, gamma):
        """Whether the posterior is still near the one that H was made for."""
        if self.age >= OLDEST:
            return False
        return bool((gamma - self.gamma).abs().sum(-1).mean() / 2 < MOVED)


def curvature(family, panel, theta, noise, gamma, *, exact=False):
    """H of every problem as upper triangles, (S, K, N or pairs, D (D + 1) / 2).

    Unless `exact`, from a sample of the bins that a state claims, which stand for the
    others: enough to tell where uphill is.
    """
    n_starts, n_states = theta.shape[:2]
    if noise is not None:
        noise = family.prepared(noise.to(panel.parts(True)[0].dtype))
    rows = [
        state_curvature(
            family, panel, theta[s, k], None if noise is None else noise[s],
            min(k, 0 if noise is None else len(noise[s]) - 1), gamma[s, :, k],
            exact=exact,
        )
        for s in range(n_starts)
        for k in range(n_states)
    ]  # fmt: skip
    packed = torch.stack(rows).to(theta.dtype)
    return packed.view(n_starts, n_states, *packed.shape[1:])


def state_curvature(family, panel, theta, noise, row, weight, *, exact):
    """H of one state of one start, (N or pairs, D (D + 1) / 2)."""
    design, _ = panel.parts(True)
    n_terms, n_bins = design.shape
    total = weight.sum()
    bins = torch.nonzero(weight > (HARDLY if exact else CLAIM))[:, 0]
    if not exact:
        bins = bins[:: max(1, len(bins) // max(LEAST_SAMPLE, SAMPLE * n_terms))]
    if len(bins) > 0.8 * n_bins or not len(bins):
        bins = None
    n_used = n_bins if bins is None else len(bins)
    triangle = n_terms * (n_terms + 1) // 2
    on_cpu = design.device.type == "cpu"
    size = max(64, CURVATURE_VALUES * (1 if on_cpu else 256) // triangle)
    h = None
    kept = total if bins is None else weight[bins].sum()
    for first in range(0, n_used, size):
        chunk = slice(first, min(first + size, n_used))
        where = chunk if bins is None else bins[chunk]
        terms = design[:, where]
        eta = theta.to(terms.dtype) @ terms
        own = None if noise is None else noise[row]
        fisher = family.fisher(eta, own)
        fisher = fisher * weight[where].to(terms.dtype)
        if panel.observed is not None:
            seen = panel.observed[:, where]
            fisher = fisher * (seen[:1] if family.coupled else seen)
        products = outer_products(terms, triangle)
        if h is None:
            h = products.new_zeros(len(fisher), triangle)
        h.addmm_(fisher, products.T)
    scale = total / kept if float(kept) > 0 else 1.0
    return h * scale


def outer_products(terms, triangle):
    """Upper triangle of x x' for each bin of a chunk, (D (D + 1) / 2, chunk)."""
    products = terms.new_empty(triangle, terms.shape[1])
    row = 0
    for d in range(len(terms)):
        width = len(terms) - d
        torch.mul(terms[d:], terms[d], out=products[row : row + width])
        row += width
    return products


def information(packed, precision, free):
    """H + Lambda (S, K, N, D, D); fixed coefficients are cut out by a one."""
    h = unpack(packed, precision.shape[-1]) + torch.diag_embed(precision)
    h = h * (free[..., None] & free[..., None, :])
    return h + torch.diag_embed((~free).to(h.dtype)).expand_as(h)


def coupled_information(packed, precision, free):
    """The same as blocks c <= d of one system a state, (S, K, pairs, D, D)."""
    n_units = precision.shape[2]
    h = unpack(packed, precision.shape[-1])
    row, column = torch.triu_indices(n_units, n_units, device=h.device)
    h = h * (free[:, row, :, None] & free[:, column, None, :])
    own = row == column
    diagonal = torch.where(free, precision, 1.0)
    h[:, :, own] += torch.diag_embed(diagonal)
    return h


def newton_step(
    family, packed, uphill, precision, free, ties, *, shared=None, variances=False
):
    """(H + Lambda)^-1 uphill (S, K, N, D), and the diagonal of that inverse.

    `shared` is (pull, drift) of a prior mean that moves along (`solve_shared`).
    """
    uphill = uphill * free
    if family.coupled:
        blocks = coupled_information(packed, precision, free)
        return solve_coupled(blocks, uphill, variances=variances)
    matrix = information(packed, precision, free)
    if ties is None and shared is not None:
        return solve_shared(matrix, uphill, *shared, variances=variances)
    if ties is None:
        return solve(matrix, uphill, variances=variances)
    return solve_tied(matrix, uphill, ties, variances=variances)


def log_prior(theta, mean, precision):
    """Quadratic part of the log prior, (S, K, N)."""
    return -0.5 * (precision * (theta - mean) ** 2).sum(-1)


def climb(family, panel, theta, noise, gamma, step, prior, *, axes=()):
    """Take `step` where it raises Q + log prior, halving it where it does not.

    Problems are judged one by one, or together along `axes` of (S, K, N): states that
    share coefficients, units that share a normaliser. Returns theta and emission
    log-likelihoods (S, T, K).
    """

    def value(at):
        loglik, q = expected_emissions(family, panel, at, noise, gamma)
        total = q + log_prior(at, *prior)
        return loglik, total.sum(axes, keepdim=True) if axes else total

    _, before = value(theta)
    length = torch.ones_like(before)
    slack = 1e-12 * before.abs() + 1e-12
    for halving in range(HALVINGS + 1):
        trial = theta + length[..., None] * step
        loglik, after = value(trial)
        worse = ~(after >= before - slack) & (length > 0)
        if not bool(worse.any()):
            break
        length = torch.where(
            worse, length / 2 if halving < HALVINGS - 1 else 0.0, length
        )
    return trial, loglik
