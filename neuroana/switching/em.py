"""Expectation-maximisation of a switching GLM, all restarts side by side.

    J = sum_r log p(x_r) + log p(couplings) + log p(A)

    E: gamma, sum of Xi, log p(x)                     `forward_backward.smooth`
    M: pi[k]    proportional to  sum_r gamma[r, 1, k]
       A[i, j]  proportional to  Xi[i, j] + alpha - 1 + kappa [i = j]
       theta    one damped Newton step                 `glm_mstep`
       variance weighted mean of squared residuals     (gaussian)
    then the prior's own parameters, from the 4th iteration on

Every step raises J or leaves it, except the update of a learned prior scale. A start
ends when (J - J before) / n_observed stays below tol three times running. Once one
start has ended, others that trail it by more than three times their gain over the
last five iterations are given up: only the best start is kept.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neuroana.switching import glm_mstep
from neuroana.switching.forward_backward import Smoothed, smooth


PATIENCE = 3
LEARN_PRIOR_FROM = 3  # zero-based iteration
TRAILING = 5  # iterations over which a start's recent gain is measured


@dataclass
class Parameters:
    """Parameters of S starts at once."""

    theta: torch.Tensor  # (S, K, N, D)
    variance: torch.Tensor | None  # (S, K, N)
    transition: np.ndarray  # (S, K, K)
    initial: np.ndarray  # (S, K)

    def take(self, starts):
        """The parameters of some of the starts."""
        starts = list(starts)
        variance = None if self.variance is None else self.variance[starts]
        return Parameters(
            self.theta[starts], variance, self.transition[starts], self.initial[starts]
        )


@dataclass(frozen=True)
class Problem:
    """What is fitted, apart from the parameters."""

    family: Any
    panel: glm_mstep.Panel
    lengths: np.ndarray  # (R,)
    prior: Any
    free: torch.Tensor  # (K, N, D) bool, coefficients that are not fixed at zero
    ties: torch.Tensor | None  # (K, N, D) int, or None: nothing shared by states
    pooled: np.ndarray  # (K, N, D - 1) bool, couplings the prior speaks about
    column_variance: np.ndarray  # (N, D - 1), in units of the target's variance
    variance_floor: torch.Tensor  # (N,)
    rest: torch.Tensor  # (N, D): coefficients of a state that owns no data
    n_observed: int
    alpha: float = 1.0
    kappa: float = 0.0
    learn_transitions: bool = True
    map: Any = map  # how starts are shared out among workers


@dataclass
class Fit:
    """The best start, and how all of them went."""

    parameters: Parameters  # S = 1
    law: Any
    posterior: Any  # Smoothed, S = 1
    laplace: np.ndarray  # (K, N, D) variances
    trace: np.ndarray  # (S, iterations), NaN after a start ended
    best: int
    converged: bool
    n_logspace: int
    empty_states: np.ndarray  # numbers of states without data
    labels: np.ndarray  # (S, T) state of every bin when a start ended
    ties: np.ndarray | None  # (K, N, D) as in the problem


def each_start(problem, function, n_starts):
    """Results of `function(starts)`, joined along the starts.

    On a CPU every start goes alone, so that its numbers depend neither on the other
    starts nor on how many workers share them; on a GPU all go at once.
    """
    together = problem.panel.x.device.type != "cpu"
    groups = [list(range(n_starts))] if together else [[s] for s in range(n_starts)]
    return [join(parts) for parts in zip(*problem.map(function, groups))]


def join(parts):
    """One array along the starts; numbers are added."""
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(parts)
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return None if parts[0] is None else sum(parts)


def expectation(problem, loglik, parameters):
    """E step on the emission log-likelihoods of some starts."""
    array = loglik.cpu().numpy()

    def alone(starts):
        return smooth(
            array[starts],
            parameters.transition[starts],
            parameters.initial[starts],
            problem.lengths,
            device=str(loglik.device),
        )

    return Smoothed(*each_start(problem, alone, len(array)))


def emissions(problem, parameters):
    """Log-likelihood of every bin in every state, (S, T, K)."""

    def alone(starts):
        own = parameters.take(starts)
        return (
            glm_mstep.emissions(problem.family, problem.panel, own.theta, own.variance),
        )

    return each_start(problem, alone, len(parameters.initial))[0]


def log_prior(problem, parameters, law):
    """Log density of couplings and transitions, (S,)."""
    w = parameters.theta[..., 1:].cpu().numpy()
    total = law.log_density(w).sum(axis=(1, 2))
    weight = pseudo_counts(problem, w.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(weight > 0, weight * np.log(parameters.transition), 0.0)
    return total + terms.sum(axis=(1, 2))


def pseudo_counts(problem, n_states):
    """alpha - 1 + kappa on the diagonal; zero where transitions are fixed."""
    if not problem.learn_transitions:
        return np.zeros((n_states, n_states))
    return problem.alpha - 1 + problem.kappa * np.eye(n_states)


def update_chain(problem, parameters, found):
    """New transitions and initial law from expected counts."""
    starts = np.concatenate([[0], np.cumsum(problem.lengths)[:-1]])
    initial = found.gamma[:, starts].mean(axis=1)
    transition = parameters.transition
    if problem.learn_transitions:
        counts = found.xi_sum + pseudo_counts(problem, initial.shape[1])
        total = counts.sum(axis=2, keepdims=True)
        visited = total > 0
        transition = np.where(visited, counts / np.where(visited, total, 1), transition)
    return transition, initial


def gaussian_law(law, n_terms, like):
    """Mean and precision of all D coefficients; the baseline is free of belief."""

    def widen(edges):
        wide = np.zeros((*edges.shape[:-1], n_terms))
        wide[..., 1:] = edges
        return torch.as_tensor(wide, dtype=like.dtype, device=like.device)

    return widen(law.mean), widen(law.precision)


def maximise_glm(problem, theta, variance, gamma, law, *, variances=False):
    """One guarded Newton step: theta, variance, log-likelihoods, Laplace variances."""
    family, panel = problem.family, problem.panel
    n_terms = theta.shape[-1]
    mean, precision = gaussian_law(law, n_terms, theta)
    occupancy = gamma.sum(1)
    empty = (occupancy < n_terms / 2)[..., None, None]
    if problem.ties is None and bool(empty.any()):
        at_rest = torch.where(problem.free, mean, 0.0)
        at_rest[..., 0] = problem.rest[:, 0]
        theta = torch.where(empty, at_rest, theta)
    q, gradient, curvature = glm_mstep.newton_terms(
        family, panel, theta, variance, gamma
    )
    before = q + glm_mstep.log_prior(theta, mean, precision)
    uphill = (gradient + precision * (mean - theta)) * problem.free
    matrix = glm_mstep.information(
        family, panel, curvature, variance, precision, problem.free
    )
    if problem.ties is None:
        step, laplace = glm_mstep.solve(matrix, uphill, variances=variances)
    else:
        step, laplace = glm_mstep.solve_tied(
            matrix, uphill, problem.ties, variances=variances
        )
    step = torch.where(empty | ~problem.free, 0.0, step.nan_to_num(0.0, 0.0, 0.0))
    theta, loglik, _ = glm_mstep.climb(
        family, panel, theta, variance, gamma, step, before, (mean, precision),
        tied=problem.ties is not None,
    )  # fmt: skip
    if variance is not None:
        variance = glm_mstep.residual_variance(
            panel, theta, gamma, variance, problem.variance_floor
        )
        loglik = glm_mstep.emissions(family, panel, theta, variance)
    return theta, variance, loglik, laplace


def fit_one_state(problem, theta, variance, law, *, max_iter=50, tol=1e-12):
    """Newton iterations of the GLM without states; theta (1, 1, N, D)."""
    gamma = theta.new_ones(1, problem.panel.x.shape[1], 1)
    last = -np.inf
    for _ in range(max_iter):
        theta, variance, loglik, _ = maximise_glm(problem, theta, variance, gamma, law)
        mean, precision = gaussian_law(law, theta.shape[-1], theta)
        value = float(loglik.sum() + glm_mstep.log_prior(theta, mean, precision).sum())
        if value - last < tol * abs(value):
            break
        last = value
    return theta, variance


def run(problem, parameters, *, max_iter, tol, steps=None) -> Fit:
    """Fit from S starts and keep the best by J.

    Parameters
    ----------
    problem : Problem
    parameters : Parameters
        One set a start.
    max_iter : int
    tol : float
        Gain of J per observed value, in nats, below which a start stands still.
    steps : iterable, optional
        Yields the numbers of the iterations: a progress bar over them.
    """
    n_starts = len(parameters.initial)
    trace = np.full((n_starts, max_iter), np.nan)
    still = np.zeros(n_starts, dtype=int)
    active = np.arange(n_starts)
    ended: dict[int, tuple] = {}
    labels = np.zeros((n_starts, problem.panel.x.shape[1]), dtype=np.int16)
    n_logspace = 0
    law = problem.prior.start(
        parameters.theta[..., 1:].cpu().numpy(),
        problem.column_variance,
        problem.pooled,
    )
    loglik = emissions(problem, parameters)
    for iteration in steps or range(max_iter):
        found = expectation(problem, loglik, parameters)
        n_logspace += found.n_logspace
        objective = found.log_marginal.sum(axis=1) + log_prior(problem, parameters, law)
        trace[active, iteration] = objective
        labels[active] = found.gamma.argmax(axis=2)
        done = standing(trace, active, iteration, still, problem.n_observed, tol)
        done |= hopeless(trace, active, iteration, done, ended)
        done |= iteration == max_iter - 1
        for place in np.flatnonzero(done):
            ended[active[place]] = (parameters.take([place]), law.take([place]))
        keep = np.flatnonzero(~done)
        if len(keep) == 0:
            break
        if len(keep) < len(active):
            active, parameters = active[keep], parameters.take(keep)
            law = law.take(keep)
            found = type(found)(*(part[keep] for part in found[:4]), 0)
        parameters, law, loglik = maximise(problem, parameters, law, found, iteration)
    best = int(np.argmax(last_objective(trace)))
    parameters, law = ended[best]
    return finish(
        problem, parameters, law, trace[:, : iteration + 1], best, n_logspace, labels,
        converged=bool(still[best] >= PATIENCE),
    )  # fmt: skip


def maximise(problem, parameters, law, found, iteration):
    """M step, then the prior's own parameters."""
    transition, initial = update_chain(problem, parameters, found)
    gamma = torch.as_tensor(found.gamma, device=parameters.theta.device)
    learn = problem.prior.learns and iteration >= LEARN_PRIOR_FROM

    def alone(starts):
        own = parameters.take(starts)
        return maximise_glm(
            problem, own.theta, own.variance, gamma[starts], law.take(starts),
            variances=learn,
        )  # fmt: skip

    theta, variance, loglik, laplace = each_start(problem, alone, len(gamma))
    if iteration >= LEARN_PRIOR_FROM:
        w = theta[..., 1:].cpu().numpy()
        spread = laplace[..., 1:].cpu().numpy() if learn else None
        law = problem.prior.update(law, w, spread)
    return Parameters(theta, variance, transition, initial), law, loglik


def standing(trace, active, iteration, still, n_observed, tol):
    """Which active starts have gained less than tol three times running."""
    if iteration:
        gain = (trace[active, iteration] - trace[active, iteration - 1]) / n_observed
        still[active] = np.where(gain < tol, still[active] + 1, 0)
    return still[active] >= PATIENCE


def hopeless(trace, active, iteration, done, ended):
    """Which active starts trail an ended one by more than they recently gained."""
    if iteration < TRAILING or not (done.any() or ended):
        return np.zeros(len(active), dtype=bool)
    now = trace[active, iteration]
    gain = now - trace[active, iteration - TRAILING]
    return last_objective(trace).max() - now > 3 * np.maximum(gain, 0)


def last_objective(trace):
    """J of every start when it ended or stands now, (S,)."""
    last = np.isfinite(trace).sum(axis=1) - 1
    return trace[np.arange(len(trace)), last]


def finish(
    problem, parameters, law, trace, best, n_logspace, labels, *, converged
) -> Fit:
    """Final posterior of the best start and its Laplace variances."""
    found = expectation(problem, emissions(problem, parameters), parameters)
    gamma = torch.as_tensor(found.gamma, device=parameters.theta.device)
    fine = replace(problem.panel, coarse=False, outer={})
    _, _, curvature = glm_mstep.newton_terms(
        problem.family, fine, parameters.theta, parameters.variance, gamma
    )
    n_terms = parameters.theta.shape[-1]
    _, precision = gaussian_law(law, n_terms, parameters.theta)
    matrix = glm_mstep.information(
        problem.family, fine, curvature, parameters.variance, precision, problem.free
    )
    nothing = torch.zeros_like(parameters.theta)
    if problem.ties is None:
        _, laplace = glm_mstep.solve(matrix, nothing, variances=True)
    else:
        _, laplace = glm_mstep.solve_tied(matrix, nothing, problem.ties, variances=True)
    laplace = torch.where(problem.free, laplace[0], 0.0)
    empty = np.flatnonzero(found.gamma[0].sum(axis=0) < n_terms / 2)
    return Fit(
        parameters, law, found, laplace.cpu().numpy(), trace, best, converged,
        n_logspace, empty, labels,
        None if problem.ties is None else problem.ties.cpu().numpy(),
    )  # fmt: skip
