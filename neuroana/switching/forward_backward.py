"""Posterior of a hidden Markov chain: smoothing, filtering and the best path.

| symbol            | shape         | meaning                                      |
| ----------------- | ------------- | -------------------------------------------- |
| `loglik`          | (S, T, K)     | log p(x[t] given z[t]=k), emission part only |
| `transition` (A)  | (S, K, K)     | A[i, j] = p(z[t+1]=j given z[t]=i)           |
|                   | (S, T-1, K, K)| the same, one matrix a step                  |
| `initial` (pi)    | (S, K)        | law of the first state of every sequence     |
| `lengths`         | (R,), sum T   | sequences laid end to end along T            |
| alpha, `filtered` | (S, T, K)     | p(z[t]=k given x[1..t])                      |
| `gamma`           | (S, T, K)     | p(z[t]=k given all x of the sequence)        |
| `xi_sum`          | (S, K, K)     | sum over steps of p(z[t]=i, z[t+1]=j given x)|
| c                 | (S, T)        | p(x[t] given x[1..t-1]); product = marginal  |

S are independent models on the same data (restarts); R sequences share a model and no
step crosses from one to the next. Nothing of size T x K x K is ever made.

Three implementations share one signature and agree to rounding: a compiled loop
(numba), a blocked scan (torch; also on a GPU) and a log-space loop, which takes over
for single sequences whose probabilities leave the range of float64.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np


TINY = 1e-280  # below this a probability may have lost digits to underflow
DENSE = 1e-60  # transitions above this refill any state at once: no digit is lost


class Smoothed(NamedTuple):
    """What one forward and one backward pass say about the hidden states."""

    log_marginal: np.ndarray  # (S, R)
    filtered: np.ndarray  # (S, T, K)
    gamma: np.ndarray  # (S, T, K)
    xi_sum: np.ndarray  # (S, K, K)
    n_logspace: int  # (sequence, model) pairs redone in log space


class Decoded(NamedTuple):
    """The most probable path of states."""

    path: np.ndarray  # (S, T) int
    log_joint: np.ndarray  # (S, R), log p(path, x)


class Chain(NamedTuple):
    """Arguments in canonical form: always a model axis, offsets for lengths."""

    loglik: np.ndarray  # (S, T, K)
    transition: np.ndarray  # (S, J, K, K), J = 1 or T - 1
    initial: np.ndarray  # (S, K)
    offsets: np.ndarray  # (R + 1,)


def as_chain(loglik, transition, initial, lengths=None) -> Chain:
    """Broadcast the arguments over models and check their shapes."""
    loglik = np.ascontiguousarray(loglik, dtype=np.float64)
    single = loglik.ndim == 2
    if single:
        loglik = loglik[None]
    if loglik.ndim != 3 or 0 in loglik.shape:
        raise ValueError(f"loglik must be (T, K) or (S, T, K), got {loglik.shape}")
    n_models, n_bins, n_states = loglik.shape
    transition = np.asarray(transition, dtype=np.float64)
    varying = transition.ndim == (3 if single else 4)
    steps = n_bins - 1 if varying else 1
    tail = (steps, n_states, n_states) if varying else (n_states, n_states)
    if transition.shape[-len(tail) :] != tail:
        raise ValueError(f"transition must end in {tail}, got {transition.shape}")
    transition = np.broadcast_to(transition, (n_models, *tail))
    transition = transition.reshape(n_models, steps, n_states, n_states)
    if steps == 0:
        transition = np.ones((n_models, 1, n_states, n_states)) / n_states
    initial = np.broadcast_to(np.asarray(initial, float), (n_models, n_states))
    lengths = np.atleast_1d(n_bins if lengths is None else lengths).astype(np.int64)
    if lengths.min(initial=1) < 1 or lengths.sum() != n_bins:
        raise ValueError(f"lengths must be positive and sum to {n_bins}: {lengths}")
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Chain(
        loglik,
        np.ascontiguousarray(transition),
        np.ascontiguousarray(initial),
        offsets,
    )


def has_numba() -> bool:
    """Whether the compiled loop can be used here."""
    from importlib.util import find_spec

    return find_spec("numba") is not None


def smooth(
    loglik,
    transition,
    initial,
    lengths=None,
    *,
    method="auto",
    block=None,
    device="cpu",
):
    """Smoothed and filtered state probabilities, expected transitions, evidence.

    The E step of every model of this folder. Cost T K^2 per model (the blocked scan:
    T K^3); memory three arrays of the size of `loglik`.

    Parameters
    ----------
    loglik : array, (T, K) or (S, T, K)
        Emission log-likelihoods in nats; a row of zeros is a missing bin.
    transition : array, ([S,] K, K) or ([S,] T-1, K, K)
        Row-stochastic, stationary or one matrix a step. With several sequences the
        step over a boundary is ignored.
    initial : array, ([S,] K)
    lengths : (R,) ints, optional
        Bins of each sequence; one sequence when None.
    method : {"auto", "compiled", "blocked", "logspace"}
        "auto" is the compiled loop on a CPU with numba, else the blocked scan.
    block : int, optional
        Bins a block of the blocked scan.
    device : str
        Where the blocked scan runs.

    Returns
    -------
    Smoothed
        Without the model axis when `loglik` came without one. A sequence that is
        impossible under the model has log_marginal -inf and gamma NaN.

    Examples
    --------
    >>> import numpy as np
    >>> sticky = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> evidence = np.log([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    >>> found = smooth(evidence, sticky, [0.5, 0.5])
    >>> found.gamma.argmax(axis=1)
    array([0, 0, 1])
    >>> float(found.xi_sum.sum().round(12))
    2.0
    """
    chain = as_chain(loglik, transition, initial, lengths)
    if method == "auto":
        method = "compiled" if device == "cpu" and has_numba() else "blocked"
    if method == "compiled":
        from neuroana.switching.compiled_recursion import smooth_compiled

        found, doubtful = smooth_compiled(chain)
    elif method == "blocked":
        from neuroana.switching.blocked_scan import smooth_blocked

        found, doubtful = smooth_blocked(chain, block=block, device=device)
    elif method == "logspace":
        found, doubtful = smooth_logspace(chain), np.zeros(0)
    else:
        raise ValueError(
            "method must be 'auto', 'compiled', 'blocked' or 'logspace', "
            f"got {method!r}"
        )
    if doubtful.any():
        found = redo_in_logspace(chain, found, doubtful)
    if np.ndim(loglik) == 2:
        found = Smoothed(*(part[0] for part in found[:4]), found.n_logspace)
    return found


def viterbi(loglik, transition, initial, lengths=None, *, method="auto") -> Decoded:
    """Most probable path of states given the whole sequence.

    Arguments as for `smooth`. Among paths of equal probability the one with the lower
    state numbers is taken. Cost T K^2 per model.

    Examples
    --------
    >>> import numpy as np
    >>> evidence = np.log([[0.9, 0.1], [0.4, 0.6], [0.9, 0.1]])
    >>> viterbi(evidence, [[0.9, 0.1], [0.1, 0.9]], [0.5, 0.5]).path
    array([0, 0, 0])
    """
    chain = as_chain(loglik, transition, initial, lengths)
    if method == "auto":
        method = "compiled" if has_numba() else "numpy"
    if method == "compiled":
        from neuroana.switching.compiled_recursion import viterbi_compiled

        found = viterbi_compiled(chain)
    elif method == "numpy":
        found = viterbi_numpy(chain)
    else:
        raise ValueError(
            f"method must be 'auto', 'compiled' or 'numpy', got {method!r}"
        )
    if np.ndim(loglik) == 2:
        found = Decoded(*(part[0] for part in found))
    return found


def predict_states(filtered, transition, initial, lengths=None) -> np.ndarray:
    """p(z[t]=k given x[1..t-1]): the filter carried one step ahead.

    Parameters as for `smooth`, for one model: `filtered` (T, K), `transition` (K, K) or
    (T-1, K, K), `initial` (K,).
    """
    ahead = np.empty_like(filtered)
    ahead[1:] = (filtered[:-1, None] @ np.asarray(transition))[:, 0]
    starts = (
        np.concatenate([[0], np.cumsum(lengths)[:-1]]) if lengths is not None else 0
    )
    ahead[starts] = initial
    return ahead


def redo_in_logspace(chain: Chain, found: Smoothed, doubtful) -> Smoothed:
    """Replace the sequences that scaling may have spoilt by their log-space result.

    The other implementations leave a doubtful sequence out of `xi_sum`.
    """
    varying = chain.transition.shape[1] > 1
    for model, sequence in np.argwhere(doubtful):
        first, last = chain.offsets[sequence : sequence + 2]
        part = smooth_logspace(
            Chain(
                chain.loglik[model : model + 1, first:last],
                chain.transition[model : model + 1, first : last - 1]
                if varying
                else chain.transition[model : model + 1],
                chain.initial[model : model + 1],
                np.array([0, last - first]),
            )
        )
        found.log_marginal[model, sequence] = part.log_marginal[0, 0]
        found.filtered[model, first:last] = part.filtered[0]
        found.gamma[model, first:last] = part.gamma[0]
        found.xi_sum[model] += part.xi_sum[0]
    return found._replace(n_logspace=int(np.count_nonzero(doubtful)))


def log_sum(values, axes):
    """log sum exp that lets -inf through silently."""
    peak = values.max(axis=axes, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(values - peak).sum(axis=axes, keepdims=True)) + peak
    return total.squeeze(axes)


def normalise_log(values, axes):
    """Log probabilities at sum one, and the log of what they summed to."""
    total = log_sum(values, axes)
    shift = np.where(np.isfinite(total), total, 0.0)
    return values - np.expand_dims(shift, axes), total


def smooth_logspace(chain: Chain) -> Smoothed:
    """Forward and backward pass on log probabilities: slow, and never underflows."""
    loglik, transition, initial, offsets = chain
    n_models, _, n_states = loglik.shape
    with np.errstate(divide="ignore"):
        log_a, log_pi = np.log(transition), np.log(initial)
    last_step = transition.shape[1] - 1
    log_alpha, log_beta = np.empty_like(loglik), np.zeros_like(loglik)
    marginal = np.zeros((n_models, len(offsets) - 1))
    xi_sum = np.zeros((n_models, n_states, n_states))
    for r, (first, last) in enumerate(pairwise(offsets)):
        ahead = log_pi
        for t in range(first, last):
            log_alpha[:, t], log_c = normalise_log(ahead + loglik[:, t], (1,))
            marginal[:, r] += log_c
            reach = log_alpha[:, t, :, None] + log_a[:, min(t, last_step)]
            ahead = log_sum(reach, (1,))
        for t in range(last - 2, first - 1, -1):
            message = loglik[:, t + 1] + log_beta[:, t + 1]
            ahead = log_a[:, min(t, last_step)] + message[:, None]
            xi_sum += np.exp(normalise_log(log_alpha[:, t, :, None] + ahead, (1, 2))[0])
            log_beta[:, t] = normalise_log(log_sum(ahead, (2,)), (1,))[0]
    filtered = np.exp(log_alpha)
    gamma = np.exp(normalise_log(log_alpha + log_beta, (2,))[0])
    gamma[np.repeat(np.isneginf(marginal), np.diff(offsets), axis=1)] = np.nan
    return Smoothed(marginal, filtered, gamma, xi_sum, 0)


def viterbi_numpy(chain: Chain) -> Decoded:
    """Best path by a loop over bins, for machines without numba."""
    loglik, transition, initial, offsets = chain
    n_models, n_bins, n_states = loglik.shape
    with np.errstate(divide="ignore"):
        log_a, log_pi = np.log(transition), np.log(initial)
    last_step = transition.shape[1] - 1
    path = np.empty((n_models, n_bins), dtype=np.int64)
    best = np.empty((n_models, len(offsets) - 1))
    came_from = np.empty((n_bins, n_models, n_states), dtype=np.int64)
    rows = np.arange(n_models)
    for r, (first, last) in enumerate(pairwise(offsets)):
        score = log_pi + loglik[:, first]
        for t in range(first, last - 1):
            reach = score[:, :, None] + log_a[:, min(t, last_step)]
            came_from[t + 1] = reach.argmax(axis=1)
            score = reach.max(axis=1) + loglik[:, t + 1]
        best[:, r] = score.max(axis=1)
        path[:, last - 1] = score.argmax(axis=1)
        for t in range(last - 2, first - 1, -1):
            path[:, t] = came_from[t + 1, rows, path[:, t + 1]]
    return Decoded(path, best)
