"""Draws of whole paths of states from their posterior.

    z[T] ~ alpha[T]        z[t] | z[t+1]  proportional to  alpha[t, i] A[i, z[t+1]]

alpha is the filter. Paths keep how states follow each other, which the smoothed
probabilities of single bins do not: use them for dwell times with their uncertainty.
Cost T K a draw.
"""

from functools import cache
from itertools import pairwise

import numpy as np

from neuroana.switching.forward_backward import has_numba


def sample_paths(
    filtered, transition, lengths, n_samples, rng, *, method="auto"
) -> np.ndarray:
    """Draw paths (n_samples, T) given the filter (T, K).

    Parameters
    ----------
    filtered : array (T, K)
    transition : array (K, K) or (T - 1, K, K)
    lengths : (R,) ints
        Bins of each sequence.
    n_samples : int
    rng : Generator
    method : {"auto", "compiled", "numpy"}

    Examples
    --------
    >>> sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> sample_paths(sure, np.full((2, 2), 0.5), [2], 1, np.random.default_rng(0))
    array([[0, 1]])
    """
    n_bins = len(filtered)
    u = rng.random((n_samples, n_bins))
    transition = np.ascontiguousarray(transition, dtype=float)
    if transition.ndim == 2:
        transition = transition[None]
    ends = np.cumsum(lengths)
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    if method == "auto":
        method = "compiled" if has_numba() else "numpy"
    if method == "compiled":
        paths = np.empty((n_samples, n_bins), dtype=np.int64)
        compiled()(np.ascontiguousarray(filtered), transition, offsets, u, paths)
        return paths
    return sample_numpy(filtered, transition, offsets, u)


def sample_numpy(filtered, transition, offsets, u):
    """All draws side by side, bin by bin."""
    paths = np.empty(u.shape, dtype=np.int64)
    last_step = len(transition) - 1
    for first, last in pairwise(offsets):
        for t in range(last - 1, first - 1, -1):
            law = np.broadcast_to(filtered[t], (len(u), filtered.shape[1]))
            if t < last - 1:
                law = law * transition[min(t, last_step)].T[paths[:, t + 1]]
            total = law.cumsum(axis=1)
            paths[:, t] = (u[:, t, None] * total[:, -1:] >= total[:, :-1]).sum(axis=1)
    return paths


@cache
def compiled():
    """The same as a compiled loop."""
    from numba import njit

    @njit(cache=True, nogil=True)
    def run(filtered, transition, offsets, u, paths):
        n_states = filtered.shape[1]
        varying = transition.shape[0] > 1
        total = np.empty(n_states)
        for draw in range(paths.shape[0]):
            for r in range(offsets.shape[0] - 1):
                first, last = offsets[r], offsets[r + 1]
                for t in range(last - 1, first - 1, -1):
                    level = 0.0
                    for i in range(n_states):
                        law = filtered[t, i]
                        if t < last - 1:
                            step = t if varying else 0
                            law *= transition[step, i, paths[draw, t + 1]]
                        level += law
                        total[i] = level
                    state = 0
                    while state < n_states - 1 and u[draw, t] * level >= total[state]:
                        state += 1
                    paths[draw, t] = state

    return run
