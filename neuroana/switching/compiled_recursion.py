"""Forward-backward and Viterbi as compiled loops, one compilation a number of states.

The recursion runs on probabilities scaled to sum one, after the largest emission of
each bin is divided out. Symbols as in `forward_backward`. The number of states is a
compile-time constant, so the inner loops unroll.
"""

from functools import cache

import numpy as np
from numba import njit, types
from numba.cpython.unsafe.tuple import tuple_setitem
from numba.extending import overload

from neuroana.switching.forward_backward import DENSE, TINY, Chain, Decoded, Smoothed


IN_REGISTERS = 11  # states up to which vectors are tuples


def put(vector, j, value):
    """`vector` with `value` at j: a new tuple, or the array changed in place."""
    raise TypeError("for compiled code")


@overload(put)
def put_compiled(vector, j, value):
    if isinstance(vector, types.BaseTuple):
        return lambda vector, j, value: tuple_setitem(vector, j, value)

    def put_in_array(vector, j, value):
        vector[j] = value
        return vector

    return put_in_array


def blank(pattern):
    """A vector to start from: the tuple itself, or zeros of that number."""
    raise TypeError("for compiled code")


@overload(blank)
def blank_compiled(pattern):
    if isinstance(pattern, types.BaseTuple):
        return lambda pattern: pattern
    return lambda pattern: np.zeros(pattern)


def smooth_compiled(chain: Chain):
    """`smooth` by the compiled loop, and which (model, sequence) to redo."""
    loglik, transition, initial, offsets = chain
    n_models, _, n_states = loglik.shape
    shift = shifter(n_states)
    varying = transition.shape[1] > 1
    marginal = np.empty((n_models, len(offsets) - 1))
    filtered, gamma = np.empty_like(loglik), np.empty_like(loglik)
    xi_sum = np.zeros((n_models, n_states, n_states))
    doubtful = np.zeros(marginal.shape, dtype=np.bool_)
    for s in range(n_models):
        shift(loglik[s], offsets, gamma[s], marginal[s])
        np.exp(gamma[s], out=gamma[s])
        careful = varying or bool(transition[s].min() < DENSE)
        run = smoother(n_states, careful)
        run(
            loglik[s], transition[s], initial[s], offsets,
            marginal[s], filtered[s], gamma[s], xi_sum[s], doubtful[s],
        )  # fmt: skip
    return Smoothed(marginal, filtered, gamma, xi_sum, 0), doubtful


def viterbi_compiled(chain: Chain) -> Decoded:
    """`viterbi` by the compiled loop."""
    loglik, transition, initial, offsets = chain
    n_models, n_bins, n_states = loglik.shape
    kernel = decoder(n_states)
    path = np.empty((n_models, n_bins), dtype=np.int64)
    best = np.empty((n_models, len(offsets) - 1))
    with np.errstate(divide="ignore"):
        log_a, log_pi = np.log(transition), np.log(initial)
    came_from = np.empty((n_bins, n_states), dtype=np.int16)
    for s in range(n_models):
        kernel(loglik[s], log_a[s], log_pi[s], offsets, came_from, path[s], best[s])
    return Decoded(path, best)


@cache
def shifter(n_states: int):
    """Compiled pass that divides the largest emission out of every bin."""
    K = n_states

    @njit(cache=True, nogil=True)
    def shift(loglik, offsets, emission, total):
        for r in range(offsets.shape[0] - 1):
            total[r] = 0.0
            for t in range(offsets[r], offsets[r + 1]):
                peak = loglik[t, 0]
                for j in range(1, K):
                    peak = max(peak, loglik[t, j])
                total[r] += peak
                for j in range(K):
                    emission[t, j] = loglik[t, j] - peak

    return shift


@cache
def smoother(n_states: int, careful: bool):
    """Compiled passes in both directions, for one number of states.

    Each step is divided by the sum of the step before it, not by its own: the next
    step then need not wait for the division. The careful version allows transitions
    that vary, and watches over underflow, which matters where a state cannot be
    reached from all others. `gamma` comes in with the emissions and goes out with the
    posterior: a buffer less to touch.
    """
    K = n_states
    tiny = TINY
    pattern = (0.0,) * K if K <= IN_REGISTERS else K

    @njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
    def run(loglik, A, pi, offsets, marginal, alpha, gamma, xi, doubtful):
        varying = careful and A.shape[0] > 1
        a = np.empty((K, K))
        part = np.empty((K, K))
        now, ahead = blank(pattern), blank(pattern)
        beta, held = blank(pattern), blank(pattern)
        if not varying:
            a[:] = A[0]
        for r in range(offsets.shape[0] - 1):
            first, last = offsets[r], offsets[r + 1]
            log_p = marginal[r]
            scale = 1.0
            lowest = 1.0

            inverse = 1.0
            for j in range(K):
                now = put(now, j, pi[j])
            for t in range(first, last):
                c = 0.0
                for j in range(K):
                    value = now[j] * (gamma[t, j] * inverse)
                    ahead = put(ahead, j, value)
                    c += value
                if careful:
                    for j in range(K):
                        if now[j] > 0.0 and loglik[t, j] > -np.inf:
                            lowest = min(lowest, ahead[j])
                inverse = 1.0 / c
                for j in range(K):
                    alpha[t, j] = ahead[j] * inverse
                scale *= c
                if scale < 1e-100:
                    log_p += np.log(scale)
                    scale = 1.0
                if t + 1 < last:
                    if varying:
                        for i in range(K):
                            for j in range(K):
                                a[i, j] = A[t, i, j]
                    for j in range(K):
                        total = ahead[0] * a[0, j]
                        for i in range(1, K):
                            total += ahead[i] * a[i, j]
                        now = put(now, j, total)
            marginal[r] = log_p + np.log(scale)

            shrink = 1.0
            for i in range(K):
                beta = put(beta, i, 1.0)
                held = put(held, i, gamma[last - 1, i])
                gamma[last - 1, i] = alpha[last - 1, i]
                for j in range(K):
                    part[i, j] = 0.0
            for t in range(last - 2, first - 1, -1):
                if varying:
                    for i in range(K):
                        for j in range(K):
                            a[i, j] = A[t, i, j]
                for j in range(K):
                    value = beta[j] * (held[j] * shrink)
                    ahead = put(ahead, j, value)
                if careful:
                    for j in range(K):
                        if beta[j] > 0.0 and loglik[t + 1, j] > -np.inf:
                            lowest = min(lowest, ahead[j])
                spread = 0.0
                total = 0.0
                for i in range(K):
                    value = a[i, 0] * ahead[0]
                    for j in range(1, K):
                        value += a[i, j] * ahead[j]
                    beta = put(beta, i, value)
                    spread += value
                    total += alpha[t, i] * value
                shrink = 1.0 / spread
                share = 1.0 / total
                for i in range(K):
                    weight = alpha[t, i] * share
                    held = put(held, i, gamma[t, i])
                    gamma[t, i] = weight * beta[i]
                    for j in range(K):
                        if varying:
                            part[i, j] += weight * a[i, j] * ahead[j]
                        else:
                            part[i, j] += weight * ahead[j]
            finite = np.isfinite(marginal[r])
            for t in range(first, last):
                finite = finite and np.isfinite(gamma[t, 0])
            if not finite or lowest < tiny:
                doubtful[r] = True
                continue
            for i in range(K):
                for j in range(K):
                    xi[i, j] += part[i, j] if varying else part[i, j] * a[i, j]

    return run


@cache
def decoder(n_states: int):
    """Compiled Viterbi pass for one number of states."""
    K = n_states

    @njit(cache=True, nogil=True)
    def run(loglik, log_a, log_pi, offsets, came_from, path, best):
        varying = log_a.shape[0] > 1
        score = np.empty(K)
        ahead = np.empty(K)
        for r in range(offsets.shape[0] - 1):
            first, last = offsets[r], offsets[r + 1]
            for j in range(K):
                score[j] = log_pi[j] + loglik[first, j]
            for t in range(first, last - 1):
                a = log_a[t] if varying else log_a[0]
                for j in range(K):
                    top, source = score[0] + a[0, j], 0
                    for i in range(1, K):
                        value = score[i] + a[i, j]
                        if value > top:
                            top, source = value, i
                    ahead[j] = top + loglik[t + 1, j]
                    came_from[t + 1, j] = source
                score[:] = ahead
            state = 0
            for j in range(1, K):
                if score[j] > score[state]:
                    state = j
            best[r] = score[state]
            path[last - 1] = state
            for t in range(last - 2, first - 1, -1):
                state = came_from[t + 1, state]
                path[t] = state

    return run
