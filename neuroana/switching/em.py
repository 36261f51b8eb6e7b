"""Expectation-maximisation of a switching GLM, all restarts side by side.

    J = sum_r log p(x_r) + log p(couplings) + log p(A)

    E: gamma, sum of Xi, log p(x)                     `forward_backward.smooth`
    M: pi[k]    proportional to  sum_r gamma[r, 1, k]
       A        `transitions`
       theta, noise                                   `maximisation`
    then the prior's own parameters, from the 4th iteration on

A step that lowers J is seen at the next E step and taken back there; only the updates
of a prior's own parameters may lower it. While a start gains far more than float32
rounds J by, its emissions run in float32. A start ends when (J - J before) / n_observed
stays below tol three times running. Once one start has ended, others that trail it by
more than three times their gain over the last five iterations are given up: only the
best start is kept.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neuroana.core.random import branch
from neuroana.switching import glm_mstep, maximisation, relaxation
from neuroana.switching.forward_backward import Smoothed, smooth
from neuroana.switching.panel import Panel


PATIENCE = 3
TRAILING = 5  # iterations over which a start's recent gain is measured
ROUNDING = 1e-5  # of |J| / sqrt(T): rounding of J in float32, a hundred times over
SLACK = 1e-9, 1e-7  # of |J| that a step may lose to rounding, fine and coarse


@dataclass
class Parameters:
    """Parameters of S starts at once."""

    theta: torch.Tensor  # (S, K, N, D)
    noise: torch.Tensor | None  # (S, K, N), (S, 1, N) or (S, K, N, N)
    transition: np.ndarray  # (S, K, K)
    initial: np.ndarray  # (S, K)
    weights: np.ndarray | None = None  # (S, K, P) of inputs on transitions

    def take(self, starts):
        """The parameters of some of the starts."""
        starts = list(starts)
        return Parameters(
            *(None if part is None else part[starts] for part in vars(self).values())
        )


@dataclass(frozen=True)
class Problem:
    """What is fitted, apart from the parameters."""

    family: Any
    panel: Panel
    lengths: np.ndarray  # (R,)
    prior: Any
    free: torch.Tensor  # (K, N, D) bool, coefficients that are not fixed at zero
    ties: torch.Tensor | None  # (K, N, D) int, or None: nothing shared by states
    pooled: np.ndarray  # (K, N, D - 1) bool, couplings the prior speaks about
    column_variance: np.ndarray  # (N, D - 1), in units of the target's variance
    natural: np.ndarray  # (N, N B), size of a coupling in natural units
    noise_floor: torch.Tensor  # (N,)
    rest: torch.Tensor  # (N, D): coefficients of a state that owns no data
    n_observed: int
    chain: Any  # transitions.Stationary or InputDriven
    seed: int = 0  # of draws during the fit
    map: Any = map  # how starts are shared out among workers

    def law(self, theta):
        """The prior's law at the first couplings."""
        w = theta[..., 1:].cpu().numpy()
        return self.prior.start(w, self.column_variance, self.pooled, self.natural)


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
    starts nor on how many workers share them; on a GPU all go at once. Workers share
    the starts, or blocks of time where a single start is left.
    """
    together = problem.panel.x.device.type != "cpu"
    groups = [list(range(n_starts))] if together else [[s] for s in range(n_starts)]
    alone = len(groups) == 1 and not together
    problem.panel.map = problem.map if alone else map
    parts = list(map(function, groups) if alone else problem.map(function, groups))
    problem.panel.map = map
    return [join(part) for part in zip(*parts)]


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
        own = parameters.take(starts)
        return smooth(
            array[starts],
            problem.chain.matrices(own.transition, own.weights),
            own.initial,
            problem.lengths,
            device=str(loglik.device),
        )

    return Smoothed(*each_start(problem, alone, len(array)))


def emissions(problem, parameters, *, coarse=False):
    """Log-likelihood of every bin in every state, (S, T, K)."""

    def alone(starts):
        own = parameters.take(starts)
        return (
            glm_mstep.emissions(
                problem.family, problem.panel, own.theta, own.noise, coarse=coarse
            ),
        )

    return each_start(problem, alone, len(parameters.initial))[0]


def log_prior(problem, parameters, law):
    """Log density of couplings and transitions, (S,)."""
    w = couplings(parameters)
    chain = problem.chain.log_prior(parameters.transition, parameters.weights)
    return law.log_density(w).sum(axis=(1, 2)) + chain


def couplings(parameters):
    """All coefficients but the baselines, (S, K, N, D - 1)."""
    return parameters.theta[..., 1:].cpu().numpy()


def bound(problem, parameters, law, found):
    """What an M step must not lower: J with the normal law it was given, (S,)."""
    w = couplings(parameters)
    quadratic = law.quadratic(w).sum(axis=(1, 2))
    chain = problem.chain.log_prior(parameters.transition, parameters.weights)
    return found.log_marginal.sum(axis=1) + quadratic + chain


def update_chain(problem, parameters, found):
    """New transitions, their input weights, and initial law."""
    starts = np.concatenate([[0], np.cumsum(problem.lengths)[:-1]])
    initial = found.gamma[:, starts].mean(axis=1)
    transition, weights = problem.chain.update(
        parameters.transition, parameters.weights, found, problem.lengths
    )
    return transition, initial, weights


class Climb:
    """The starts that still climb: where they stand, and the step that led there."""

    def __init__(self, problem, parameters):
        self.problem, self.parameters = problem, parameters
        self.active = np.arange(len(parameters.initial))
        self.law = problem.law(parameters.theta)
        self.coarse = np.ones(len(self.active), dtype=bool)
        self.loglik = emissions(problem, parameters, coarse=True)
        self.kept: dict[int, Any] = {}  # curvature of every start
        self.before = None  # parameters, law and posterior that the last step left
        self.n_logspace = 0

    def look(self):
        """E step; a step that lowered J is taken again with care."""
        found = expectation(self.problem, self.loglik, self.parameters)
        self.n_logspace += found.n_logspace
        exact = self.problem.family.values == "real" or self.problem.prior.relaxed
        if self.before is not None and not exact:
            wanted = bound(self.problem, *self.before)
            law = self.before[1].recentred(couplings(self.parameters))
            got = bound(self.problem, self.parameters, law, found)
            slack = np.where(self.coarse, *SLACK[::-1]) * np.abs(wanted)
            fell = np.flatnonzero(~(got >= wanted - slack))
            if len(fell):
                self.mend(fell, found)
        return found

    def mend(self, fell, found):
        """Replace the last step of some starts by one that halves where it must."""
        old, law, left = self.before

        def alone(places):
            starts = fell[places]
            own = old.take(starts)
            gamma = torch.as_tensor(left.gamma[starts], device=own.theta.device)
            return maximisation.climb_again(
                self.problem, own.theta, own.noise, gamma, law.take(starts)
            )

        theta, noise, loglik = each_start(self.problem, alone, len(fell))
        self.parameters.theta[fell], self.loglik[fell] = theta, loglik
        if noise is not None:
            self.parameters.noise[fell] = noise
        self.kept.clear()
        self.law = self.law.recentred(couplings(self.parameters))
        again = expectation(self.problem, loglik, self.parameters.take(fell))
        for part, new in zip(found[:4], again[:4]):
            part[fell] = new

    def objective(self, found):
        """J of every start."""
        prior = log_prior(self.problem, self.parameters, self.law)
        return found.log_marginal.sum(axis=1) + prior

    def keep(self, places, found):
        """Go on with some of the starts."""
        self.active = self.active[places]
        self.parameters, self.law = self.parameters.take(places), self.law.take(places)
        return Smoothed(*(part[places] for part in found[:4]), 0)

    def step(self, found, iteration, objective, gain):
        """M step, then the prior's own parameters.

        `objective` and `gain` (S,) of the last iteration say whether float32 will do.
        """
        problem, parameters, law = self.problem, self.parameters, self.law
        if problem.prior.relaxed:
            return self.step_relaxed(found, iteration)
        self.before = parameters, law, found
        transition, initial, weights = update_chain(problem, parameters, found)
        due = iteration >= problem.prior.learns_from
        learn = problem.prior.learns and due
        rounding = ROUNDING * np.abs(objective) / np.sqrt(problem.panel.x.shape[1])
        single = problem.panel.x.dtype == torch.float32
        self.coarse = (gain > rounding) | single

        def alone(starts):
            own = parameters.take(starts)
            gamma = torch.as_tensor(found.gamma[starts], device=own.theta.device)
            made = maximisation.maximise_glm(
                problem, own.theta, own.noise, gamma, law.take(starts),
                variances=learn, coarse=self.coarse[starts],
                kept=[self.kept.get(s) for s in self.active[starts]],
            )  # fmt: skip
            self.kept.update(zip(self.active[starts], made.kept))
            return made[:4]

        theta, noise, self.loglik, laplace = each_start(
            problem, alone, len(self.active)
        )
        self.parameters = Parameters(theta, noise, transition, initial, weights)
        w = couplings(self.parameters)
        if due:
            spread = laplace[..., 1:].cpu().numpy() if learn else None
            self.law = problem.prior.update(law, w, spread)
        else:
            self.law = law.recentred(w)

    def step_relaxed(self, found, iteration):
        """M step by gradients, types and strengths with it."""
        problem, parameters = self.problem, self.parameters
        transition, initial, weights = update_chain(problem, parameters, found)
        laws: dict[int, Any] = {}

        def alone(starts):
            made = []
            for s in starts:
                own = parameters.take([s])
                gamma = torch.as_tensor(found.gamma[[s]], device=own.theta.device)
                rng = branch(problem.seed, int(self.active[s]), iteration)
                theta, laws[s] = relaxation.maximise(
                    problem, own.theta, own.noise, gamma, self.law.take([s]), rng
                )
                made.append(theta)
            return (torch.cat(made),)

        (theta,) = each_start(problem, alone, len(self.active))
        self.law = relaxation.stack([laws[s] for s in range(len(self.active))])
        self.parameters = Parameters(
            theta, parameters.noise, transition, initial, weights
        )
        self.loglik = emissions(problem, self.parameters)


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
    climb = Climb(problem, parameters)
    for iteration in steps or range(max_iter):
        found = climb.look()
        trace[active, iteration] = climb.objective(found)
        labels[active] = found.gamma.argmax(axis=2)
        gain = recent_gain(trace, active, iteration)
        stands = (gain < tol * problem.n_observed) & climb.law.settled
        still[active] = np.where(stands, still[active] + 1, 0)
        done = still[active] >= PATIENCE
        if climb.law.settled:
            done |= hopeless(trace, active, iteration, done, ended)
        done |= iteration == max_iter - 1
        for place in np.flatnonzero(done):
            ended[active[place]] = (
                climb.parameters.take([place]),
                climb.law.take([place]),
            )
        keep = np.flatnonzero(~done)
        if len(keep) == 0:
            break
        if len(keep) < len(active):
            found = climb.keep(keep, found)
            active, gain = climb.active, gain[keep]
        climb.step(found, iteration, trace[active, iteration], gain)
    best = int(np.argmax(last_objective(trace)))
    parameters, law = ended[best]
    if problem.prior.relaxed:
        parameters.theta = relaxation.harden(problem, parameters.theta, law)
    return finish(
        problem, parameters, law, trace[:, : iteration + 1], best, climb.n_logspace,
        labels, converged=bool(still[best] >= PATIENCE),
    )  # fmt: skip


def recent_gain(trace, active, iteration):
    """Gain over the best of all iterations before, infinite where there was none."""
    if not iteration:
        return np.full(len(active), np.inf)
    return trace[active, iteration] - trace[active, :iteration].max(axis=1)


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
    laplace = maximisation.laplace_variances(
        problem, parameters.theta, parameters.noise, gamma, law
    )[0]
    n_terms = parameters.theta.shape[-1]
    empty = np.flatnonzero(found.gamma[0].sum(axis=0) < n_terms / 2)
    return Fit(
        parameters, law, found, laplace.cpu().numpy(), trace, best, converged,
        n_logspace, empty, labels,
        None if problem.ties is None else problem.ties.cpu().numpy(),
    )  # fmt: skip
