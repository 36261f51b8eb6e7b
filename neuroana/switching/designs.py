"""From recordings to the numbers of a fit: checks, missing values, design matrix.

    X[t] = [1, h[t, m, c] for every source m and basis c, u[t, p] for every input p]

All sequences stand end to end; history starts from zeros in each of them.
"""

import logging
import warnings
from dataclasses import dataclass

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import DataWarning, SchemaError, ShapeError
from neuroana.core.sequences import Sequences, as_sequences
from neuroana.switching.history import drive
from neuroana.switching.observation_checks import (
    check_clocks,
    check_names_differ,
    check_units,
    check_values,
)


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Observed:
    """Sequences end to end, ready for the kernels."""

    sequences: Sequences
    x: np.ndarray  # (T, N), missing values zero
    seen: np.ndarray | None  # (T, N) bool, or None: nothing missing
    design: np.ndarray  # (T, D)
    input_names: np.ndarray  # (P,)
    dim: str  # of the units that are modelled, and their names
    names: np.ndarray  # (N,)
    columns_a_value: int = 1  # of x: C - 1 indicators make one choice
    transition_inputs: np.ndarray | None = None  # (T, P)
    transition_input_names: np.ndarray | None = None

    @property
    def lengths(self):
        """Bins of each sequence."""
        return self.sequences.lengths

    @property
    def n_observed(self) -> int:
        """Values that count in the likelihood."""
        n = self.x.size if self.seen is None else int(self.seen.sum())
        return n // self.columns_a_value

    @property
    def n_missing(self) -> int:
        """Values that do not."""
        return self.x.size // self.columns_a_value - self.n_observed

    def split(self, array):
        """Cut an array along time into its sequences."""
        return np.split(array, np.cumsum(self.lengths)[:-1])


def observe(
    X,
    *,
    kernel,
    values,
    missing,
    whole_rows=False,
    inputs=None,
    transition_inputs=None,
    lengths=None,
    fitted=None,
) -> Observed:
    """Check what came and lay it out as design and target.

    Parameters
    ----------
    X : recording, collection, DataArray or ndarray
    kernel : array (B, L) or None
        History basis; None for no history.
    values : {"counts", "binary", "classes", "real"}
        What the observations must be.
    missing : {"mask", "raise"}
    whole_rows : bool
        Whether a bin with one missing value is missing altogether.
    inputs, transition_inputs : like X, optional
        Exogenous inputs on the same clock.
    lengths : sequence of int, optional
        For a plain array.
    fitted : HMMGLM, optional
        Whose units these must be; without it the data are to be fitted, and must be
        longer than the history.
    """
    sequences = as_sequences(X, lengths=lengths)
    check_names_differ(sequences)
    if fitted is not None:
        check_units(sequences, fitted)
    check_clocks(sequences)
    n_lags = 0 if kernel is None or fitted is not None else kernel.shape[1]
    filled, seen = read_values(sequences, values, missing, n_lags)
    dim, names = sequences.dim, sequences.names
    if values == "classes":
        names = class_names(filled, seen, sequences, fitted)
        dim = "category"
        filled = [indicators(x, here, len(names)) for x, here in zip(filled, seen)]
        seen = [np.repeat(here, len(names), axis=1) for here in seen]
    if whole_rows:
        seen = [np.repeat(h.all(1, keepdims=True), h.shape[1], 1) for h in seen]
    x, here = np.concatenate(filled), np.concatenate(seen)
    n_missing = x.size - int(here.sum())
    if n_missing:
        logger.info("%d of %d values are missing", n_missing, x.size)
    columns = [np.ones((len(x), 1))]
    if kernel is not None:
        h = [drive(part, kernel).reshape(len(part), -1) for part in filled]
        columns.append(np.concatenate(h))
    input_names = np.zeros(0, dtype=int)
    if inputs is not None:
        u, input_names = read_inputs(inputs, sequences, lengths, "inputs", seen)
        columns.append(u)
    u_trans, trans_names = None, None
    if transition_inputs is not None:
        u_trans, trans_names = read_inputs(
            transition_inputs, sequences, lengths, "transition_inputs", None
        )
    return Observed(
        sequences,
        x,
        here if n_missing else None,
        np.concatenate(columns, axis=1),
        input_names,
        dim,
        names,
        len(names) if values == "classes" else 1,
        u_trans,
        trans_names,
    )


def read_values(sequences, values, missing, n_lags):
    """Values with zeros for missing ones, and which were seen, one array a sequence."""
    filled, seen = [], []
    for array, good, label in zip(sequences.values, sequences.good, sequences.labels):
        if len(array) < n_lags + 1:
            raise ShapeError(
                message(
                    label,
                    f"at least {n_lags + 1} samples (history of {n_lags} and one)",
                    f"{len(array)} sample(s)",
                    "leave it out or shorten the history",
                )
            )
        here = np.isfinite(array)
        check_values(sequences, array, good, here, label, values, missing)
        filled.append(np.where(here, array, 0.0))
        seen.append(here)
    return filled, seen


def class_names(filled, seen, sequences, fitted):
    """All classes but the last, 0 .. C - 2; warn of one that never occurs."""
    if sequences.values[0].shape[1] != 1:
        raise ShapeError(
            message(
                "X", "one column of classes for observation='categorical'",
                f"{sequences.values[0].shape[1]} columns", "fit each column by itself",
            )
        )  # fmt: skip
    chosen = np.concatenate([x[here] for x, here in zip(filled, seen)]).astype(int)
    if fitted is not None:
        known = fitted.baseline_.sizes["category"] + 1
        if len(chosen) and chosen.max() >= known:
            raise SchemaError(
                message("X", f"classes below {known}, as in the fit", chosen.max())
            )
        return fitted.baseline_["category"].to_numpy()
    counts = np.bincount(chosen, minlength=2)
    never = np.flatnonzero(counts == 0)
    if (counts > 0).sum() < 2:
        raise SchemaError(
            message("X", "at least two classes", f"class {int(counts.argmax())} only")
        )
    if len(never):
        warnings.warn(
            message(
                "X", f"all classes 0 .. {len(counts) - 1}",
                f"none of class {', '.join(map(str, never))}",
                "number the classes from 0 without gaps",
            ),
            DataWarning,
            stacklevel=5,
        )  # fmt: skip
    return np.arange(len(counts) - 1)


def indicators(x, here, n):
    """Which of the first n classes a bin holds, (T, n); a missing bin none."""
    return (here & (x == np.arange(n))).astype(float)


def read_inputs(inputs, sequences, lengths, what, seen):
    """Exogenous inputs (T, P) and their names, on the clock of the sequences.

    With `seen`, an input may be NaN in bins where nothing was observed.
    """
    plain = isinstance(inputs, np.ndarray) and inputs.ndim == 2
    own = lengths
    if plain and len(sequences) > 1 and own is None:
        own = sequences.lengths
    u = as_sequences(inputs, lengths=own)
    for k, (wanted, label) in enumerate(zip(sequences.lengths, sequences.labels)):
        found = u.lengths[k] if k < len(u) else 0
        if found != wanted or len(u) != len(sequences):
            raise ShapeError(
                message(
                    f"{what} of {label}",
                    f"{wanted} samples in {len(sequences)} sequences",
                    f"{found} samples in {len(u)} sequences",
                    "put the inputs on the clock of the recording",
                )
            )
        step = np.median(np.diff(sequences.times[k])) if wanted > 1 else 1.0
        if u.has_clock and sequences.has_clock:
            apart = np.abs(u.times[k] - sequences.times[k]).max()
            if apart > 0.01 * step:
                raise SchemaError(
                    message(
                        f"{what} of {label}: 'time'",
                        "the clock of the recording",
                        f"times up to {apart:g} s apart",
                        "put the inputs on the clock of the recording",
                    )
                )
        bad = ~np.isfinite(u.values[k])
        if seen is not None:
            bad &= seen[k].any(axis=1, keepdims=True) | np.isinf(u.values[k])
        if bad.any():
            t, p = np.argwhere(bad)[0]
            raise SchemaError(
                message(
                    f"{what} of {label}: input {u.names[p]}",
                    "finite values",
                    f"{u.values[k][t, p]} at sample {t}",
                    "fill the input where it is not defined",
                )
            )
    return np.nan_to_num(np.concatenate(u.values)), u.names


def flat_units(x, seen):
    """Which units never change: silent or constant, nothing to explain."""
    if seen is None:
        return np.ptp(x, axis=0) == 0
    low = np.where(seen, x, np.inf).min(axis=0)
    high = np.where(seen, x, -np.inf).max(axis=0)
    return ~(high > low)


def observed_moments(x, seen):
    """Mean and variance of every unit over what was observed, (N,) each."""
    if seen is None:
        return x.mean(axis=0), x.var(axis=0)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, x, 0).sum(axis=0) / count
    return mean, np.where(seen, (x - mean) ** 2, 0).sum(axis=0) / count
