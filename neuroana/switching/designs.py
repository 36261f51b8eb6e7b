"""From recordings to the numbers of a fit: checks, missing values, design matrix.

    X[t] = [1, h[t, m, c] for every source m and basis c, u[t, p] for every input p]

All sequences stand end to end; history starts from zeros in each of them.
"""

import logging
from dataclasses import dataclass

import numpy as np

from neuroana.core.checks import message
from neuroana.core.contract import check_increasing, rate_of
from neuroana.core.errors import SchemaError, ShapeError
from neuroana.core.sequences import Sequences, as_sequences
from neuroana.switching.history import drive


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Observed:
    """Sequences end to end, ready for the kernels."""

    sequences: Sequences
    x: np.ndarray  # (T, N), missing values zero
    seen: np.ndarray | None  # (T, N) bool, or None: nothing missing
    design: np.ndarray  # (T, D)
    input_names: np.ndarray  # (P,)

    @property
    def lengths(self):
        """Bins of each sequence."""
        return self.sequences.lengths

    @property
    def n_observed(self) -> int:
        """Values that count in the likelihood."""
        return self.x.size if self.seen is None else int(self.seen.sum())

    @property
    def n_missing(self) -> int:
        """Values that do not."""
        return self.x.size - self.n_observed

    def split(self, array):
        """Cut an array along time into its sequences."""
        return np.split(array, np.cumsum(self.lengths)[:-1])


def observe(
    X, *, kernel, discrete, missing, inputs=None, lengths=None, fitted=None
) -> Observed:
    """Check what came and lay it out as design and target.

    Parameters
    ----------
    X : recording, collection, DataArray or ndarray
    kernel : array (B, L) or None
        History basis; None for no history.
    discrete : bool
        Ask for counts.
    missing : {"mask", "raise"}
    inputs : like X, optional
        Exogenous inputs on the same clock.
    lengths : sequence of int, optional
        For a plain array.
    fitted : HMMGLM, optional
        Whose units these must be; without it the data are to be fitted, and must be
        longer than the history.
    """
    sequences = as_sequences(X, lengths=lengths)
    if fitted is not None:
        check_units(sequences, fitted)
    check_clocks(sequences)
    n_lags = 0 if kernel is None else kernel.shape[1]
    filled, seen = [], []
    for values, good, label in zip(sequences.values, sequences.good, sequences.labels):
        if fitted is None and len(values) < n_lags + 1:
            raise ShapeError(
                message(
                    label,
                    f"at least {n_lags + 1} samples (history of {n_lags} and one)",
                    f"{len(values)} sample(s)",
                    "leave it out or shorten the history",
                )
            )
        here = np.isfinite(values)
        check_values(sequences, values, good, here, label, discrete, missing)
        filled.append(np.where(here, values, 0.0))
        seen.append(here)
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
        u, input_names = read_inputs(inputs, sequences, lengths)
        columns.append(u)
    design = np.concatenate(columns, axis=1)
    return Observed(sequences, x, here if n_missing else None, design, input_names)


def check_units(sequences, fitted):
    """Raise unless the units are those of the fit, in their order."""
    rate = fitted.rate_
    known = list(map(str, rate[rate.dims[0]].to_numpy()))
    own = list(map(str, sequences.names))
    if len(own) != len(known):
        odd = sorted(set(own) ^ set(known))[:6]
        raise SchemaError(
            f"X has {len(own)} features, but {type(fitted).__name__} is expecting "
            f"{len(known)} features as input: the units of the fit, in that order. "
            f"Different: {odd}."
        )
    if own != known and sequences.kind != "array":
        odd = sorted(set(own) ^ set(known))[:6]
        raise SchemaError(
            message(
                f"X: dim {sequences.dim!r}",
                f"the {len(known)} units of the fit, in that order",
                f"others: {odd}" if odd else "another order",
                "select and order the units as in the fit",
            )
        )


def check_clocks(sequences):
    """Raise unless times increase without gaps, at one rate in all sequences."""
    rates = []
    for time, label in zip(sequences.times, sequences.labels):
        steps = check_increasing(time, f"{label}: 'time'")
        if not len(steps):
            continue
        usual = np.median(steps)
        if (steps > 1.5 * usual).any():
            first = int(np.argmax(steps > 1.5 * usual))
            raise SchemaError(
                message(
                    f"{label}: 'time'",
                    f"one sample every {usual:g} s",
                    f"a gap of {steps[first]:g} s after sample {first}",
                    "fill the gap with NaN, or pass the pieces as a list",
                )
            )
        rates.append(rate_of(time))
    if rates and max(rates) - min(rates) > 1e-3 * max(rates):
        raise SchemaError(
            message(
                "X",
                "one bin width in all sequences",
                f"{sorted({round(1 / r, 6) for r in rates})} s",
                "bin or resample the recordings alike",
            )
        )


def check_values(sequences, values, good, here, label, discrete, missing):
    """Raise on infinite values, unwelcome NaN, and counts that are not counts."""

    def place(bad):
        t, n = np.argwhere(bad)[0]
        return f"sample {t}, {sequences.dim} {sequences.names[n]}"

    infinite = np.isinf(values)
    if infinite.any():
        raise SchemaError(
            message(
                f"{label}: 'signal'",
                "finite values",
                f"{infinite.sum()} infinite, first at {place(infinite)}",
                "mark missing samples with NaN",
            )
        )
    lost = ~here & good[:, None]
    if missing == "raise" and lost.any():
        raise SchemaError(
            message(
                f"{label}: 'signal'",
                "no missing values",
                f"{lost.sum()} NaN, first at {place(lost)}",
                "pass missing='mask' to leave them out of the likelihood",
            )
        )
    if discrete:
        odd = here & ((values < 0) | (np.abs(values - np.round(values)) > 1e-6))
        if odd.any():
            t, n = np.argwhere(odd)[0]
            raise SchemaError(
                message(
                    f"{label}: 'signal'",
                    "counts 0, 1, 2, ...",
                    f"{values[t, n]:g} at {place(odd)}",
                    "for dF/F and other real values use observation='gaussian'",
                )
            )


def read_inputs(inputs, sequences, lengths):
    """Exogenous inputs (T, P) and their names, on the clock of the sequences."""
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
                    f"inputs of {label}",
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
                        f"inputs of {label}: 'time'",
                        "the clock of the recording",
                        f"times up to {apart:g} s apart",
                        "put the inputs on the clock of the recording",
                    )
                )
        bad = ~np.isfinite(u.values[k])
        if bad.any():
            t, p = np.argwhere(bad)[0]
            raise SchemaError(
                message(
                    f"inputs of {label}: input {u.names[p]}",
                    "finite values",
                    f"{u.values[k][t, p]} at sample {t}",
                    "fill the input where it is not defined",
                )
            )
    return np.concatenate(u.values), u.names


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
