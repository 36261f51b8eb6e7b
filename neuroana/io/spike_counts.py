"""Spike times counted in bins; the times themselves stay beside the counts.

The times stand in the variables ``spike_time`` (seconds) and ``spike_neuron`` (index
along ``neuron``) on the dim ``spike``, sorted by neuron, then time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.recording import from_array
from neuroana.io.trials import join_trials


def check_bin_width(bin_width: float | None) -> float:
    """Return the width of bins in seconds, or say that it is wanted.

    Examples
    --------
    >>> check_bin_width(0.5)
    0.5
    """
    if bin_width is None:
        raise ParameterError(
            message(
                "argument 'bin_width'",
                "the width of the bins in seconds",
                "nothing",
                "pass bin_width=0.02 or what suits the question",
            )
        )
    return check_number("bin_width", bin_width, minimum=0.0, open_ends=True)


def bin_spikes(
    times: Sequence[Any],
    bin_width: float,
    *,
    names: Sequence | None = None,
    start: float | None = None,
    stop: float | None = None,
    coords: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Count spikes in bins; the times are kept beside the counts.

    Parameters
    ----------
    times : sequence of array
        Times of each unit in seconds.
    bin_width : float
        In seconds.
    names : sequence, optional
        Names of the units.
    start, stop : float, optional
        As for :func:`read_spikes`.
    coords, attrs : mapping, optional
        Coordinates along the units; attributes.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> bin_spikes([[0.1, 0.2], [0.9]], 0.5, start=0.0, stop=1.0).signal.values.tolist()
    [[2, 0], [0, 1]]
    """
    check_bin_width(bin_width)
    ragged = [np.sort(np.asarray(t, dtype=np.float64).ravel()) for t in times]
    joined = np.concatenate(ragged) if ragged else np.empty(0)
    start, n_bins = _span(joined, bin_width, start, stop)
    counts = np.zeros((n_bins, len(ragged)), dtype=np.int64)
    kept, outside = [], 0
    for unit, each in enumerate(ragged):
        bins = np.floor((each - start) / bin_width + 1e-9).astype(int)
        inside = (bins >= 0) & (bins < n_bins)
        counts[:, unit] = np.bincount(bins[inside], minlength=n_bins)
        kept.append(each[inside])
        outside += int((~inside).sum())
    ds = from_array(
        counts,
        "spikes",
        sampling_rate=1.0 / bin_width,
        names=list(names if names is not None else range(len(ragged))),
        start=start,
        coords=coords,
        attrs={**(attrs or {}), "bin_width": float(bin_width)},
    )
    if outside:
        ds = ds.assign_attrs(n_spikes_outside=outside)
    return _keep_times(ds, kept)


def _span(
    times: np.ndarray, bin_width: float, start: float | None, stop: float | None
) -> tuple[float, int]:
    if not len(times) and (start is None or stop is None):
        raise ParameterError(
            message(
                "spike times", "at least one spike", "none", "pass start= and stop="
            )
        )
    if start is None:
        start = float(np.floor(times.min() / bin_width + 1e-9) * bin_width)
    if stop is None:
        n_bins = int(np.floor((times.max() - start) / bin_width + 1e-9)) + 1
    else:
        n_bins = round((stop - start) / bin_width)
    if n_bins < 1:
        raise ParameterError(
            message("arguments 'start' and 'stop'", "at least one bin", (start, stop))
        )
    return start, n_bins


def _keep_times(ds: xr.Dataset, ragged: Sequence[np.ndarray]) -> xr.Dataset:
    owner = np.repeat(np.arange(len(ragged)), [len(t) for t in ragged])
    joined = np.concatenate(ragged) if len(ragged) else np.empty(0)
    return ds.assign(
        spike_time=("spike", joined, {"units": "s"}), spike_neuron=("spike", owner)
    )


def bin_trials(
    times: np.ndarray,
    index: np.ndarray,
    labels: np.ndarray,
    trials: np.ndarray,
    bin_width: float,
    start: float | None,
    stop: float | None,
    attrs: dict[str, Any],
) -> xr.Dataset:
    """Count spikes of trials in bins; times count from the start of each trial.

    Parameters
    ----------
    times, index, trials : array (spike,)
        Seconds, index into `labels`, number of the trial.
    labels : array
        Names of the units.
    bin_width, start, stop, attrs
        As for :func:`bin_spikes`.
    """
    check_bin_width(bin_width)
    start, n_bins = _span(times, bin_width, start, stop)
    numbers = np.unique(trials)
    trial = np.searchsorted(numbers, trials)
    bins = np.floor((times - start) / bin_width + 1e-9).astype(int)
    inside = (bins >= 0) & (bins < n_bins)
    counts = np.zeros((len(numbers), n_bins, len(labels)), dtype=np.float32)
    np.add.at(counts, (trial[inside], bins[inside], index[inside]), 1.0)
    if (~inside).any():
        attrs = {**attrs, "n_spikes_outside": int((~inside).sum())}
    ds = join_trials(
        counts,
        "spikes",
        sampling_rate=1.0 / bin_width,
        names=labels,
        attrs={**attrs, "bin_width": float(bin_width), "epoch_start": float(start)},
    )
    ds = ds.assign_coords(trial=("time", np.append(numbers, -1)[ds["epoch"].values]))
    placed = times - start + trial * (n_bins + 1) * bin_width
    ragged = [np.sort(placed[inside & (index == i)]) for i in range(len(labels))]
    return _keep_times(ds, ragged)


def spike_times(rec: xr.Dataset) -> list[np.ndarray]:
    """Times of each unit's spikes in seconds, as they were read.

    Examples
    --------
    >>> [t.tolist() for t in spike_times(bin_spikes([[0.2, 0.1], [0.9]], 0.5))]
    [[0.1, 0.2], [0.9]]
    """
    if "spike_time" not in rec:
        raise SchemaError(
            message(
                "recording",
                "the variables spike_time and spike_neuron",
                list(rec.data_vars),
                "read it with read_spikes, or make it with bin_spikes",
            )
        )
    owner, times = rec["spike_neuron"].to_numpy(), rec["spike_time"].to_numpy()
    return [times[owner == i] for i in range(rec.sizes["neuron"])]
