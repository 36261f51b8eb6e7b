"""Which coefficients of a switching GLM exist, are shared, and carry the prior.

Coefficients of unit n in state k: baseline, couplings (source m, basis c), inputs;
D = 1 + N B + P of them.
"""

from typing import NamedTuple

import numpy as np


class Structure(NamedTuple):
    """Masks over the coefficients."""

    free: np.ndarray  # (K, N, D) bool: estimated
    ties: np.ndarray | None  # (K, N, D) int: equal numbers are one coefficient
    pooled: np.ndarray  # (K, N, D - 1) bool: under the coupling prior


def structure(
    n_states, n_units, n_basis, n_inputs, *, baseline, self_coupling, flat, still
) -> Structure:
    """Masks from the options of the model.

    Parameters
    ----------
    n_states, n_units, n_basis, n_inputs : int
        K, N, B, P.
    baseline : {"state", "shared"}
    self_coupling : {"free", "zero", "shared", "prior"}
        Coupling of a unit to its own past: without the prior, absent, the same in
        all states, or treated as any other.
    flat : array of bool (N,)
        Units that never change: nothing drives them and they drive nothing.
    still : array of bool (D,)
        Columns that never change: their coefficients are zero.
    """
    n_terms = 1 + n_units * n_basis + n_inputs
    free = np.ones((n_states, n_units, n_terms), dtype=bool)
    free[:, flat] = False
    free[:, :, 1:] &= ~still[1:]
    free[:, :, 1 : 1 + n_units * n_basis] &= ~np.repeat(flat, n_basis)
    coupling = np.zeros((n_units, n_terms), dtype=bool)
    coupling[:, 1 : 1 + n_units * n_basis] = True
    own = np.zeros((n_units, n_terms), dtype=bool)
    for n in range(n_units):
        own[n, 1 + n * n_basis : 1 + (n + 1) * n_basis] = True
    if n_basis and self_coupling == "zero":
        free[:, own] = False
    pooled = coupling if self_coupling == "prior" else coupling & ~own
    shared = np.zeros((n_units, n_terms), dtype=bool)
    if baseline == "shared":
        shared[:, 0] = True
    if self_coupling == "shared":
        shared |= own
    ties = number_coefficients(n_states, shared) if shared.any() else None
    return Structure(free, ties, (pooled & free)[:, :, 1:])


def number_coefficients(n_states, shared):
    """Number the distinct coefficients of each unit, shared ones first, (K, N, D)."""
    n_shared = shared.sum(axis=1, keepdims=True)
    n_own = (~shared).sum(axis=1, keepdims=True)
    first = np.cumsum(shared, axis=1) - 1
    later = np.cumsum(~shared, axis=1) - 1
    return np.stack(
        [np.where(shared, first, n_shared + k * n_own + later) for k in range(n_states)]
    )
