"""The M step: chain, coefficients and noise given the state probabilities.

Newton families take one whole step, unseen: the next E step says for free whether J
rose. Where it did not, `climb_again` repeats the step with halving, problem by problem.
Gaussian families have a closed form. With very many coefficients the curvature of a
state serves all of its units, corrected by the last gradients (`quasi_newton`).
"""

from typing import NamedTuple

import numpy as np
import torch

from neuroana.switching import dispersion, gaussian_mstep, glm_mstep, quasi_newton


ONE = np.zeros(1, dtype=bool)
MANY_TERMS = 64  # coefficients a problem above which H is no longer formed
EXACT_TERMS = 128  # above which it is not even formed once, for standard errors


class Step(NamedTuple):
    """What an M step on some starts gives."""

    theta: torch.Tensor  # (S, K, N, D)
    noise: torch.Tensor | None
    loglik: torch.Tensor  # (S, T, K)
    laplace: torch.Tensor | None  # (S, K, N, D) variances, where asked for
    kept: list  # curvature of every start, for its next steps


def widen(edges, n_terms, like):
    """Values of all couplings with a zero in front: the baseline is free of belief."""
    wide = np.zeros((*edges.shape[:-1], n_terms))
    wide[..., 1:] = edges
    return torch.as_tensor(wide, dtype=like.dtype, device=like.device)


def gaussian_law(law, n_terms, like):
    """Mean and precision of all D coefficients."""
    return widen(law.mean, n_terms, like), widen(law.precision, n_terms, like)


def shared_mean(law, n_terms, like):
    """Pull and drift of a prior mean that moves along, or None."""
    if law.drift is None:
        return None
    pull = np.where(law.pooled, law.precision, 0.0)
    drift = np.broadcast_to(law.drift, pull.shape[2:])
    return widen(pull, n_terms, like), widen(drift, n_terms, like)


def at_rest(problem, theta, gamma, mean):
    """Coefficients of states that own no data, and which states those are."""
    n_terms = theta.shape[-1]
    empty = (gamma.sum(1) < n_terms / 2)[..., None, None]
    if problem.ties is not None or not bool(empty.any()):
        return theta, empty
    resting = torch.where(problem.free, mean, 0.0)
    resting[..., 0] = problem.rest[:, 0]
    return torch.where(empty, resting, theta), empty


def maximise_glm(
    problem, theta, noise, gamma, law, *, coarse, kept, variances=False
) -> Step:
    """Coefficients and noise after one M step, and the emissions they give.

    `coarse` (S,) says which starts may have their emissions in float32, `kept` is the
    curvature that each has or None.
    """
    family, panel = problem.family, problem.panel
    prior = gaussian_law(law, theta.shape[-1], theta)
    shared = shared_mean(law, theta.shape[-1], theta)
    theta, empty = at_rest(problem, theta, gamma, prior[0])
    if family.values == "real":
        full = family.noise == "covariance"
        sums = gaussian_mstep.moments(panel, gamma, full=full)
        new, laplace = gaussian_mstep.regress(
            sums, theta, noise, *prior, problem.free, problem.ties, shared=shared,
            variances=variances,
        )  # fmt: skip
        keep = empty if problem.ties is None else torch.zeros_like(empty)
        theta = torch.where(keep, theta, new)
        noise = gaussian_mstep.estimate_noise(sums, theta, noise, problem.noise_floor)
        loglik = glm_mstep.emissions(family, panel, theta, noise)
        return Step(theta, noise, loglik, laplace, kept)
    step, laplace, kept = direction(
        problem, theta, noise, gamma, prior, shared=shared, variances=variances,
        kept=kept,
    )  # fmt: skip
    theta = theta + torch.where(empty, 0.0, step)
    if noise is not None:
        noise = dispersion.update(
            family, panel, theta, noise, gamma, problem.free[0, :, 0]
        )
    loglik = glm_mstep.mixed_emissions(family, panel, theta, noise, coarse)
    return Step(theta, noise, loglik, laplace, kept)


def direction(
    problem, theta, noise, gamma, prior, *, shared=None, variances=False, kept=None
):
    """The whole step, Laplace variances if asked for, and the curvature used."""
    family, panel = problem.family, problem.panel
    mean, precision = prior
    if shared_curvature(problem, theta):
        step, laplace = quasi_newton.direction(
            family, panel, theta, noise, gamma, prior, problem.free, variances=variances
        )
        return step, laplace, kept
    slope = glm_mstep.gradient(family, panel, theta, noise, gamma)
    uphill = slope + precision * (mean - theta)
    kept = renew(family, panel, theta, noise, gamma, kept)
    packed = torch.stack([own.packed for own in kept])
    step, laplace = glm_mstep.newton_step(
        family, packed, uphill, precision, problem.free, problem.ties, shared=shared,
        variances=variances,
    )  # fmt: skip
    step = torch.where(problem.free, step.nan_to_num(0.0, 0.0, 0.0), 0.0)
    return step, laplace, kept


def shared_curvature(problem, theta):
    """Whether all units of a state share one curvature."""
    alone = problem.ties is None and not problem.family.coupled
    return alone and theta.shape[-1] > MANY_TERMS


def renew(family, panel, theta, noise, gamma, kept):
    """The curvature of every start, made anew where its posterior has moved."""
    kept = [None] * len(theta) if kept is None else list(kept)
    old = [s for s, own in enumerate(kept) if own is None or not own.fits(gamma[s])]
    if old:
        own = None if noise is None else noise[old]
        made = glm_mstep.curvature(family, panel, theta[old], own, gamma[old])
        for s, packed in zip(old, made):
            kept[s] = glm_mstep.Curvature(packed, gamma[s])
    for own in kept:
        own.age += 1
    return kept


def climb_again(problem, theta, noise, gamma, law):
    """The step with halving, for starts whose J would have fallen."""
    family, panel = problem.family, problem.panel
    prior = gaussian_law(law, theta.shape[-1], theta)
    theta, empty = at_rest(problem, theta, gamma, prior[0])
    step, _, _ = direction(problem, theta, noise, gamma, prior)
    step = torch.where(empty, 0.0, step)
    axes = (1,) if problem.ties is not None else (2,) if family.coupled else ()
    theta, loglik = glm_mstep.climb(
        family, panel, theta, noise, gamma, step, prior, axes=axes
    )
    return theta, noise, loglik


def laplace_variances(problem, theta, noise, gamma, law):
    """Diagonal of the inverse information, (S, K, N, D), from all bins."""
    family, panel = problem.family, problem.panel
    prior = gaussian_law(law, theta.shape[-1], theta)
    if family.values == "real":
        full = family.noise == "covariance"
        sums = gaussian_mstep.moments(panel, gamma, full=full)
        _, laplace = gaussian_mstep.regress(
            sums, theta, noise, *prior, problem.free, problem.ties, variances=True
        )
    elif shared_curvature(problem, theta) and theta.shape[-1] > EXACT_TERMS:
        laplace = quasi_newton.Shared(
            family, panel, theta, noise, gamma, prior[1], problem.free
        ).variances()
    else:
        packed = glm_mstep.curvature(family, panel, theta, noise, gamma, exact=True)
        _, laplace = glm_mstep.newton_step(
            family, packed, torch.zeros_like(theta), prior[1], problem.free,
            problem.ties, variances=True,
        )  # fmt: skip
    return torch.where(problem.free, laplace, 0.0)


def fit_one_state(problem, theta, noise, law, *, max_iter=50, tol=1e-12):
    """Newton iterations of the GLM without states; theta (1, 1, N, D)."""
    family, panel = problem.family, problem.panel
    gamma = theta.new_ones(1, panel.x.shape[1], 1, dtype=torch.float64)
    prior = gaussian_law(law, theta.shape[-1], theta)
    last = -np.inf
    for _ in range(max_iter):
        if family.values == "real":
            theta, noise, loglik, *_ = maximise_glm(
                problem, theta, noise, gamma, law, coarse=ONE, kept=[None]
            )
        else:
            theta, noise, loglik = climb_again(problem, theta, noise, gamma, law)
            if noise is not None:
                noise = dispersion.update(
                    family, panel, theta, noise, gamma, problem.free[0, :, 0]
                )
                loglik = glm_mstep.emissions(family, panel, theta, noise)
        value = float(loglik.sum() + glm_mstep.log_prior(theta, *prior).sum())
        if value - last < tol * abs(value):
            break
        last = value
    return theta, noise
