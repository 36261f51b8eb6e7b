"""Hidden states as MNE annotations: one for each visit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.contract import good_samples, rate_of
from neuroana.core.errors import ParameterError, ShapeError


def to_annotations(
    states: xr.DataArray, *, names: Sequence[str] | Mapping[int, str] | None = None
) -> Any:
    """Turn a sequence of states into annotations, one for each visit of a state.

    Parameters
    ----------
    states : DataArray (time,) or (time, state)
        State of each sample, as ``predict`` gives it, or its probabilities, as
        ``predict_proba`` does: then the most probable state. Samples without one
        (negative, NaN, or ``good`` False) end a visit.
    names : sequence or mapping, optional
        Description of each state; ``state-0`` and so on when left out.

    Returns
    -------
    mne.Annotations
        Onsets in seconds after the first sample, as ``raw.set_annotations`` takes
        them for the Raw that :func:`to_mne` makes of the same recording.

    Raises
    ------
    ShapeError, ParameterError
        If there is no time, or a state has no name.

    Examples
    --------
    >>> path = xr.DataArray([0, 0, 1], dims="time", coords={"time": [5.0, 5.5, 6.0]})
    >>> found = to_annotations(path)
    >>> found.description.tolist(), found.onset.tolist(), found.duration.tolist()
    (['state-0', 'state-1'], [0.0, 1.0], [1.0, 0.5])
    """
    import mne

    if states.dims[:1] != ("time",) or states.ndim > 2 or "time" not in states.coords:
        raise ShapeError(
            message("argument 'states'", "dims (time,) or (time, state)", states.dims)
        )
    number = _most_probable(states)
    number[~good_samples(states)] = -1
    time = states["time"].to_numpy()
    step = 1.0 / rate_of(time) if len(time) > 1 else 0.0
    edges = np.flatnonzero(np.diff(number)) + 1
    first = np.concatenate([[0], edges])
    stop = np.concatenate([edges, [len(number)]])
    visits = number[first]
    keep = visits >= 0
    label = _names(sorted(set(visits[keep].tolist())), names)
    ends = np.append(time[1:], time[-1] + step)
    return mne.Annotations(
        onset=(time[first] - time[0])[keep],
        duration=(ends[stop - 1] - time[first])[keep],
        description=[label[v] for v in visits[keep].tolist()],
    )


def _most_probable(states: xr.DataArray) -> np.ndarray:
    values = states.to_numpy().astype(np.float64)
    if states.ndim == 2:
        missing = ~np.isfinite(values).all(axis=1)
        labels = np.arange(values.shape[1])
        second = states.dims[1]
        if second in states.coords and states[second].dtype.kind in "iu":
            labels = states[second].to_numpy()
        values = labels[np.nan_to_num(values).argmax(axis=1)].astype(np.float64)
        values[missing] = -1
    return np.nan_to_num(values, nan=-1.0).astype(np.int64)


def _names(
    numbers: list[int], names: Sequence[str] | Mapping[int, str] | None
) -> dict[int, str]:
    if names is None:
        return {n: f"state-{n}" for n in numbers}
    given = dict(names) if isinstance(names, Mapping) else dict(enumerate(names))
    missing = [n for n in numbers if n not in given]
    if missing:
        raise ParameterError(
            message("argument 'names'", "a name for each state", f"none for {missing}")
        )
    return {n: str(given[n]) for n in numbers}
