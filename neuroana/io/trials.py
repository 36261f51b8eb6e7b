"""Trials of one length as one recording: end to end on one clock, a gap between two."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.recording import from_array


def join_trials(
    values: np.ndarray,
    modality: str,
    *,
    sampling_rate: float,
    events: pd.DataFrame | None = None,
    **options: Any,
) -> xr.Dataset:
    """Put trials end to end on one clock, with one missing sample between two.

    Parameters
    ----------
    values : array (trial, time, space)
        All of one length.
    modality, sampling_rate, **options
        As for :func:`neuroana.core.recording.from_array`.
    events : DataFrame, optional
        One row a trial; ``onset`` counts from the trial's first sample.

    Examples
    --------
    >>> rec = join_trials(np.ones((2, 3, 1)), "calcium", sampling_rate=1.0)
    >>> rec.epoch.values.tolist()
    [0, 0, 0, -1, 1, 1, 1]
    """
    n_trials, n_samples, n_space = values.shape
    dtype = values.dtype if values.dtype.kind == "f" else np.float64
    joined = np.full((n_trials, n_samples + 1, n_space), np.nan, dtype=dtype)
    joined[:, :n_samples] = values
    joined = joined.reshape(-1, n_space)[:-1]
    number = np.full((n_trials, n_samples + 1), -1)
    number[:, :n_samples] = np.arange(n_trials)[:, None]
    number = number.reshape(-1)[:-1]
    if events is not None:
        shift = np.arange(n_trials) * (n_samples + 1) / sampling_rate
        events = events.assign(onset=events["onset"] + shift)
    ds = from_array(
        joined,
        modality,
        sampling_rate=sampling_rate,
        good=number >= 0,
        events=events,
        **options,
    )
    return ds.assign_coords(epoch=("time", number))


def trial_events(n_trials: int, time: np.ndarray) -> pd.DataFrame:
    """One event a trial, at its time zero or at its first sample.

    Examples
    --------
    >>> trial_events(2, np.array([-1.0, 0.0, 1.0])).onset.tolist()
    [1.0, 1.0]
    """
    first, last = time[0], time[-1]
    zero = -first if first <= 0.0 <= last else 0.0
    return pd.DataFrame(
        {"onset": [zero] * n_trials, "trial_type": ["trial"] * n_trials}
    )
