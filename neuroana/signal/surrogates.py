"""Surrogates: recordings that keep one property of the data and break another."""

from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.provenance import record
from neuroana.core.random import branch, branch_seed, draw_seed
from neuroana.core.recording import good_samples, label_of
from neuroana.core.recordings import Recordings
from neuroana.signal.spans import each, refuse_counts, same_gaps, with_signal


METHODS = ("phase", "common_phase", "circular_shift")


def surrogate(
    rec: Any,
    method: str = "phase",
    *,
    random_state: Any = None,
    min_shift: float | None = None,
) -> Any:
    """Draw one surrogate of a recording, or one for each of a collection.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    method : {'phase', 'common_phase', 'circular_shift'}, default='phase'
        ``'phase'``: random Fourier phases for each series: spectra stay, relations
        between series break (Theiler et al., 1992).
        ``'common_phase'``: the same random phases for all series: spectra and
        cross-spectra stay, what is not linear and stationary breaks (Prichard and
        Theiler, 1994).
        ``'circular_shift'``: each series rolled by its own amount: everything within
        a series stays, except at one seam.
    random_state : int, Generator or None
        Seed; kept in the provenance.
    min_shift : float, optional
        Shortest shift in seconds, either way; a tenth of the span when left out.

    Returns
    -------
    same kind as `rec`
        Every unbroken span for itself; events and labels as they were.

    Raises
    ------
    ParameterError
        If a span is too short for the shift.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> noise = np.random.default_rng(0).normal(size=(64, 2))
    >>> rec = from_array(noise, "calcium", sampling_rate=4.0)
    >>> drawn = surrogate(rec, random_state=1)
    >>> spectra = [np.abs(np.fft.rfft(r.signal.values, axis=0)) for r in (rec, drawn)]
    >>> bool(np.allclose(*spectra))
    True
    """
    check_choice("method", method, METHODS)
    seed = draw_seed(random_state)
    if isinstance(rec, list | tuple | Recordings):
        seeds = iter([branch_seed(seed, i) for i in range(len(rec))])

        def one(member: Any) -> Any:
            return _surrogate(member, method, next(seeds), min_shift)

        return rec.map(one) if isinstance(rec, Recordings) else [one(m) for m in rec]
    return _surrogate(rec, method, seed, min_shift)


@each
def _surrogate(
    rec: xr.Dataset, method: str, seed: int, min_shift: float | None
) -> xr.Dataset:
    if method != "circular_shift":
        refuse_counts(rec, "given random phases")
    values = rec["signal"].to_numpy()
    floats = values.astype(np.float64)
    exact = method == "circular_shift" and values.dtype.kind in "iu"
    made = np.full(values.shape, np.nan)
    rate = float(rec.attrs["sampling_rate"])
    for columns, spans in same_gaps(floats, good_samples(rec)):
        for first, stop in spans:
            part = floats[first:stop, columns]
            if method == "circular_shift":
                drawn = _shifted(part, columns, first, seed, min_shift, rate, rec)
            else:
                common = method == "common_phase"
                drawn = _with_phases(part, columns, first, seed, common)
            made[first:stop, columns] = drawn
    if exact and np.isfinite(made).all():
        made = made.astype(values.dtype)
    done = with_signal(rec, made)
    done = record(
        done, "signal.surrogate", method=method, random_state=seed, min_shift=min_shift
    )
    return done.drop_vars(["spike_time", "spike_neuron"], errors="ignore")


def _with_phases(
    part: np.ndarray, columns: np.ndarray, first: int, seed: int, common: bool
) -> np.ndarray:
    n_samples = len(part)
    n_free = (n_samples - 1) // 2
    owners = [0] if common else [int(c) + 1 for c in columns]
    turns = np.stack(
        [branch(seed, first, owner).uniform(0, 2 * np.pi, n_free) for owner in owners],
        1,
    )
    freqs = np.fft.rfft(part, axis=0)
    freqs[1 : n_free + 1] *= np.exp(1j * turns)
    return np.fft.irfft(freqs, n=n_samples, axis=0)


def _shifted(
    part: np.ndarray,
    columns: np.ndarray,
    first: int,
    seed: int,
    min_shift: float | None,
    rate: float,
    rec: xr.Dataset,
) -> np.ndarray:
    n_samples = len(part)
    if min_shift is None:
        least = max(1, n_samples // 10) if n_samples > 2 else 0
    else:
        check_number("min_shift", min_shift, minimum=0.0)
        least = round(min_shift * rate)
    if 2 * least > n_samples:
        raise ParameterError(
            message(
                f"{label_of(rec)}: argument 'min_shift'",
                f"at most half of a span of {n_samples / rate:g} s",
                f"{least / rate:g} s",
            )
        )
    made = np.empty_like(part)
    for place, column in enumerate(columns):
        shift = int(
            branch(seed, first, int(column)).integers(least, n_samples - least + 1)
        )
        made[:, place] = np.roll(part[:, place], shift)
    return made
