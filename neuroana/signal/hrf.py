"""The haemodynamic response: its shape, and what it makes of events and signals."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_choice, check_names, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.provenance import record
from neuroana.core.recording import clock, events_of, is_recording
from neuroana.signal.resampling import on_clock
from neuroana.signal.spans import each, map_spans, refuse_counts, with_signal


BASES = {
    (): "spm",
    ("time",): "spm + derivative",
    ("time", "dispersion"): "spm + derivative + dispersion",
}

FINE_STEP = 0.01


def canonical_hrf(
    sampling_rate: float, *, derivatives: Sequence[str] = (), duration: float = 32.0
) -> xr.DataArray:
    """Sample SPM's double-gamma response, and its derivatives, on a grid.

    Parameters
    ----------
    sampling_rate : float
        In Hz.
    derivatives : sequence of {'time', 'dispersion'}, default=()
        None, ``("time",)`` or ``("time", "dispersion")``.
    duration : float, default=32
        In seconds.

    Returns
    -------
    DataArray (time, basis)
        The canonical response sums to 1.

    Examples
    --------
    >>> kernel = canonical_hrf(10.0)
    >>> float(kernel.time[kernel.argmax("time")][0]), round(float(kernel.sum()), 3)
    (5.0, 1.0)
    """
    from nilearn.glm.first_level import hemodynamic_models as models

    check_number("sampling_rate", sampling_rate, minimum=0.0, open_ends=True)
    check_number("duration", duration, minimum=1.0)
    names = _basis(derivatives)
    makers = {
        "canonical": models.spm_hrf,
        "time": models.spm_time_derivative,
        "dispersion": models.spm_dispersion_derivative,
    }
    times = clock(int(duration * sampling_rate) + 1, sampling_rate)
    columns = []
    for name in names:
        fine = makers[name](FINE_STEP, oversampling=1, time_length=duration)
        stamps = np.linspace(0.0, duration, len(fine))
        columns.append(np.interp(times, stamps, fine))
    kernel = np.stack(columns, axis=1) / columns[0].sum()
    return xr.DataArray(
        kernel,
        dims=("time", "basis"),
        coords={
            "time": ("time", times, {"units": "s"}),
            "basis": np.array(names, dtype=object),
        },
        attrs={"sampling_rate": float(sampling_rate), "units": "1"},
        name="hrf",
    )


def _basis(derivatives: Sequence[str]) -> list[str]:
    chosen = (derivatives,) if isinstance(derivatives, str) else tuple(derivatives)
    check_choice("derivatives", chosen, BASES)
    return ["canonical", *chosen]


@each
def convolve(
    rec: xr.Dataset,
    *,
    derivatives: Sequence[str] = (),
    times: Any = None,
    duration: float = 32.0,
) -> xr.Dataset:
    """Convolve a signal with the haemodynamic response, on its grid or on others.

    What came before a span is taken to be its first sample. With derivatives the
    columns are repeated, named ``column_time`` and ``column_dispersion``.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space), for example the envelope of EEG.
    derivatives : sequence of {'time', 'dispersion'}, default=()
        As for :func:`canonical_hrf`.
    times : array, optional
        Where to take the result, in seconds on the recording's clock: volume times.
        Linear interpolation; NaN outside the recording and beside missing samples.
    duration : float, default=32
        Length of the response in seconds.

    Returns
    -------
    same kind as `rec`
        In the unit of the signal.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((400, 1)), "calcium", sampling_rate=4.0)
    >>> bool(np.allclose(convolve(rec, times=[0.0, 50.0]).signal, 1.0))
    True
    """
    refuse_counts(rec, "convolved")
    kernel = canonical_hrf(
        rec.attrs["sampling_rate"], derivatives=derivatives, duration=duration
    )
    made = []
    for basis in kernel["basis"].values:
        taps = kernel.sel(basis=basis).to_numpy()
        made.append(map_spans(rec, functools.partial(_causal, taps=taps)))
    space = str(rec["signal"].dims[1])
    done = rec
    if len(made) > 1:
        names = [
            f"{n}" if b == "canonical" else f"{n}_{b}"
            for b in kernel["basis"].values
            for n in rec[space].values
        ]
        order = np.tile(np.arange(rec.sizes[space]), len(made))
        done = rec.isel({space: order})
        done = done.assign_coords({space: (space, np.array(names, dtype=object))})
    done = with_signal(done, np.concatenate(made, axis=1))
    if times is not None:
        done = _at(done, np.asarray(times, dtype=np.float64).ravel())
    return record(
        done,
        "signal.convolve",
        derivatives=derivatives,
        duration=duration,
        n_times=None if times is None else len(np.ravel(times)),
    )


def _causal(values: np.ndarray, taps: np.ndarray) -> np.ndarray:
    from scipy.signal import oaconvolve

    head = np.repeat(values[:1], len(taps) - 1, axis=0)
    return oaconvolve(np.concatenate([head, values]), taps[:, None], "valid", axes=0)


def _at(rec: xr.Dataset, times: np.ndarray) -> xr.Dataset:
    if len(times) < 2 or (np.diff(times) <= 0).any():
        raise ParameterError(
            message("argument 'times'", "at least two, increasing", times[:4])
        )
    old = rec["time"].to_numpy()
    values = rec["signal"].to_numpy()
    after = np.clip(np.searchsorted(old, times), 1, len(old) - 1)
    before = after - 1
    part = ((times - old[before]) / (old[after] - old[before]))[:, None]
    exact = np.isclose(part, np.round(part), atol=1e-9)
    part = np.where(exact, np.round(part), part)
    made = np.where(
        part == 0.0,
        values[before],
        np.where(
            part == 1.0,
            values[after],
            (1.0 - part) * values[before] + part * values[after],
        ),
    )
    made[(part[:, 0] < 0) | (part[:, 0] > 1)] = np.nan
    rate = (len(times) - 1) / (times[-1] - times[0])
    done = on_clock(rec, made, np.where(part[:, 0] >= 1, after, before), float(rate))
    return done.assign_coords(time=("time", times, rec["time"].attrs))


def regressors(
    events: Any,
    times: Any,
    *,
    derivatives: Sequence[str] = (),
    trial_types: Sequence[str] | None = None,
) -> xr.DataArray:
    """Predict the response to each kind of event at given times.

    Parameters
    ----------
    events : DataFrame or recording
        ``onset``, ``duration``, ``trial_type``; a column ``modulation``, if there is
        one, is the amplitude.
    times : array
        Increasing seconds: volume times, or any other grid.
    derivatives : sequence of {'time', 'dispersion'}, default=()
        As for :func:`canonical_hrf`.
    trial_types : sequence of str, optional
        Which, in this order; all in alphabetical order when left out.

    Returns
    -------
    DataArray (time, regressor)

    Examples
    --------
    >>> events = pd.DataFrame({"onset": [10.0], "trial_type": ["face"]})
    >>> made = regressors(events, np.arange(0, 40, 2.0))
    >>> float(made.time[made.argmax("time")][0])
    16.0
    """
    from nilearn.glm.first_level import compute_regressor

    table = events_of(events) if is_recording(events) else pd.DataFrame(events)
    check_names("events column", ["onset", "trial_type"], map(str, table.columns))
    kinds = sorted(set(table["trial_type"].astype(str)))
    if trial_types is not None:
        kinds = check_names("trial_type", trial_types, kinds)
    model = BASES[tuple(_basis(derivatives)[1:])]
    times = np.asarray(times, dtype=np.float64)
    columns, names = [], []
    for kind in kinds:
        rows = table[table["trial_type"].astype(str) == kind]
        condition = np.stack(
            [
                rows["onset"].to_numpy(np.float64),
                rows.get("duration", pd.Series(0.0, rows.index)).to_numpy(np.float64),
                rows.get("modulation", pd.Series(1.0, rows.index)).to_numpy(np.float64),
            ]
        )
        made, labels = compute_regressor(condition, model, times, con_id=kind)
        columns.append(made)
        names += labels
    return xr.DataArray(
        np.concatenate(columns, axis=1),
        dims=("time", "regressor"),
        coords={
            "time": ("time", times, {"units": "s"}),
            "regressor": np.array(names, dtype=object),
        },
        attrs={"units": "1"},
        name="regressors",
    )
