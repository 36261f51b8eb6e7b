"""Scales: z-scores from a training part, relative fluorescence."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.blockwise import Moments, blocks, moments
from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import DataWarning, ParameterError, ShapeError
from neuroana.core.provenance import record
from neuroana.core.recording import good_samples, good_spans, label_of
from neuroana.signal.spans import each, refuse_counts, with_signal


BASELINES = ("percentile", "median", "mean")
ZSCORE_UNITS = {"fmri": "zscore", "calcium": "zscore"}


def spread_of(state: Moments, names: Any, where: str) -> np.ndarray:
    """Standard deviation from moments; 1 for a constant column, with a warning.

    Examples
    --------
    >>> two = np.array([2.0])
    >>> spread_of(Moments(two, two, two), ["a"], "").tolist()
    [1.0]
    """
    if state.is_constant.any():
        some = [str(n) for n, c in zip(names, state.is_constant) if c]
        warnings.warn(
            message(
                where,
                "series that change in the training part",
                f"{len(some)} constant ({', '.join(some[:8])}); they are only centred",
            ),
            DataWarning,
            stacklevel=5,
        )
    return np.where(state.is_constant, 1.0, state.spread)


@each
def zscore(rec: xr.Dataset, *, train: Any = None) -> xr.Dataset:
    """Subtract the mean and divide by the standard deviation of each series.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space); each recording of a collection by its own statistics
        (:class:`Scaler` uses common ones).
    train : (float, float) or array of bool (time,), optional
        The part that gives the statistics, start and stop in seconds or a mask; the
        whole recording when left out. Give it whenever a score is computed on the
        rest.

    Returns
    -------
    same kind as `rec`
        Missing samples stay missing; a constant series becomes 0 with a warning.

    Raises
    ------
    ParameterError
        If the training part holds no sample.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.array([[1.0], [3.0], [7.0]]), "calcium", sampling_rate=1.0)
    >>> zscore(rec, train=(0.0, 2.0)).signal.values.ravel().tolist()
    [-1.0, 1.0, 5.0]
    """
    refuse_counts(rec, "z-scored")
    mask = _train_mask(rec, train)
    use = good_samples(rec) if mask is None else good_samples(rec) & mask
    state = moments(rec["signal"], use)
    if not state.n.any():
        raise ParameterError(
            message(
                f"{label_of(rec)}: argument 'train'", "good samples in it", "none", ""
            )
        )
    space = str(rec["signal"].dims[1])
    spread = spread_of(state, rec[space].values, label_of(rec))
    done = _scaled(rec, state.mean, spread)
    limits = list(train) if isinstance(train, tuple) else None
    return record(done, "signal.zscore", train=limits)


def _train_mask(rec: xr.Dataset, train: Any) -> np.ndarray | None:
    if train is None:
        return None
    time = rec["time"].to_numpy()
    given = np.asarray(train)
    if given.dtype == bool:
        if given.shape != time.shape:
            raise ShapeError(
                message("argument 'train'", f"a mask of {len(time)}", given.shape)
            )
        return given
    if given.shape != (2,):
        raise ParameterError(
            message("argument 'train'", "(start, stop) in seconds, or a mask", train)
        )
    return (time >= given[0]) & (time < given[1])


@each
def scale(rec: xr.Dataset, mean: Any, std: Any) -> xr.Dataset:
    """Subtract a mean and divide by a standard deviation that were computed before.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    mean, std : DataArray (space,), array or float
        Labelled ones are matched by name.

    Returns
    -------
    same kind as `rec`

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.array([[4.0]] * 2), "calcium", sampling_rate=1.0)
    >>> scale(rec, 2.0, 2.0).signal.values.ravel().tolist()
    [1.0, 1.0]
    """
    refuse_counts(rec, "scaled")
    done = _scaled(rec, _matched(rec, mean, "mean"), _matched(rec, std, "std"))
    return record(done, "signal.scale")


def _matched(rec: xr.Dataset, values: Any, name: str) -> np.ndarray:
    space = str(rec["signal"].dims[1])
    if isinstance(values, xr.DataArray) and space in values.dims:
        missing = sorted(set(rec[space].values) - set(values[space].values), key=str)
        if missing:
            raise ParameterError(
                message(
                    f"argument {name!r}", f"every {space}", f"none for {missing[:5]}"
                )
            )
        return values.sel({space: rec[space].values}).to_numpy()
    return np.broadcast_to(np.asarray(values, np.float64), (rec.sizes[space],))


def _scaled(rec: xr.Dataset, mean: np.ndarray, spread: np.ndarray) -> xr.Dataset:
    units = ZSCORE_UNITS.get(rec.attrs.get("modality", ""), "1")
    signal = rec["signal"]
    dtype = signal.dtype if signal.dtype.kind == "f" else np.dtype(np.float64)
    values = np.empty(signal.shape, dtype=dtype)
    for first, block in blocks(signal):
        values[first : first + len(block)] = (block - mean) / spread
    return with_signal(rec, values, units=units)


@each
def dff(
    rec: xr.Dataset,
    *,
    baseline: Any = "percentile",
    percentile: float = 10.0,
    window: float | None = 60.0,
) -> xr.Dataset:
    """Relative change of fluorescence, ``(F - F0) / F0``.

    Where the baseline F0 is not positive the ratio means nothing (it happens after a
    neuropil subtraction): those samples become missing, and a warning names the
    neurons.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Raw fluorescence, dims (time, neuron).
    baseline : {'percentile', 'median', 'mean'}, float or DataArray (neuron,)
        How F0 is found, or F0 itself.
    percentile : float, default=10
        For ``'percentile'``.
    window : float or None, default=60
        Length in seconds of the running window, centred; None takes the whole
        recording at once.

    Returns
    -------
    same kind as `rec`
        In dF/F.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.array([[2.0], [2.0], [4.0]]), "calcium", sampling_rate=1.0)
    >>> dff(rec, baseline="median", window=None).signal.values.ravel().tolist()
    [0.0, 0.0, 1.0]
    """
    refuse_counts(rec, "turned into dF/F")
    values = rec["signal"].to_numpy().astype(np.float64)
    values[~good_samples(rec)] = np.nan
    if isinstance(baseline, str):
        check_choice("baseline", baseline, BASELINES)
        check_number("percentile", percentile, minimum=0.0, maximum=100.0)
        share = {"percentile": percentile / 100.0, "median": 0.5}.get(baseline)
        floor = _baseline(rec, values, share, window)
    else:
        floor = np.broadcast_to(_matched(rec, baseline, "baseline"), values.shape)
    positive = floor > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        made = np.where(positive, (values - floor) / floor, np.nan)
    lost = (~positive & np.isfinite(values)).any(axis=0)
    if lost.any():
        space = str(rec["signal"].dims[1])
        some = [str(n) for n in rec[space].values[lost]]
        warnings.warn(
            message(
                f"{label_of(rec)}: baseline",
                "a positive F0",
                f"0 or less in {len(some)} ({', '.join(some[:8])}), missing there",
                "subtract less neuropil, or use z-scores",
            ),
            DataWarning,
            stacklevel=3,
        )
    done = with_signal(rec, made, units="dF/F")
    kind = baseline if isinstance(baseline, str) else "given"
    return record(
        done, "signal.dff", baseline=kind, percentile=percentile, window=window
    )


def _baseline(
    rec: xr.Dataset, values: np.ndarray, share: float | None, window: float | None
) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        if window is None:
            whole = (
                np.nanmean(values, axis=0)
                if share is None
                else np.nanquantile(values, share, axis=0)
            )
            return np.broadcast_to(whole, values.shape)
    check_number("window", window, minimum=0.0, open_ends=True)
    width = max(1, round(window * float(rec.attrs["sampling_rate"])))
    floor = np.full_like(values, np.nan)
    for first, stop in good_spans(good_samples(rec)):
        rolling = pd.DataFrame(values[first:stop]).rolling(
            width, center=True, min_periods=1
        )
        part = rolling.mean() if share is None else rolling.quantile(share)
        floor[first:stop] = part.to_numpy()
    return floor
