"""How every function of this folder meets its input: kinds, spans, blocks.

``each`` lets a function of one recording take DataArrays and collections;
``map_spans`` runs a function of a plain array over every unbroken span of samples.
"""

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import DataWarning, ParameterError
from neuroana.core.recording import (
    good_samples,
    good_spans,
    is_recording,
    label_of,
    rate_of,
    space_dim,
)
from neuroana.core.recordings import Recordings


BLOCK_BYTES = 128 * 2**20
WORK_BYTES = 16 * 2**20
P = ParamSpec("P")


def each(
    function: Callable[Concatenate[xr.Dataset, P], Any],
) -> Callable[Concatenate[Any, P], Any]:
    """Let a function of one recording take a DataArray or a collection too."""

    @functools.wraps(function)
    def wrapper(rec: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        if isinstance(rec, Recordings):
            made = [function(one, *args, **kwargs) for one in rec]
            if not all(is_recording(m) and m["signal"].ndim == 2 for m in made):
                return made
            done = iter(made)
            return rec.map(lambda _: next(done))
        if isinstance(rec, list | tuple):
            return [wrapper(one, *args, **kwargs) for one in rec]
        if isinstance(rec, xr.DataArray):
            made = function(_framed(rec), *args, **kwargs)
            if not isinstance(made, xr.Dataset):
                return made
            kept = {k: v for k, v in made.attrs.items() if k == "provenance"}
            return made["signal"].assign_attrs(kept).rename(rec.name)
        if not isinstance(rec, xr.Dataset) or "signal" not in rec:
            raise ParameterError(
                message(
                    f"{function.__name__}: argument 1",
                    "a recording, a DataArray, or a collection of them",
                    type(rec).__name__,
                    "make it with neuroana.from_array",
                )
            )
        return function(rec, *args, **kwargs)

    return wrapper


def _framed(array: xr.DataArray) -> xr.Dataset:
    space_dim(array)
    if "time" not in array.coords or array.sizes["time"] < 2:
        raise ParameterError(
            message("DataArray", "a coordinate 'time' in seconds", list(array.coords))
        )
    rate = array.attrs.get("sampling_rate") or rate_of(array["time"].to_numpy())
    attrs = {"sampling_rate": float(rate), "modality": array.attrs.get("modality", "")}
    if "provenance" in array.attrs:
        attrs["provenance"] = array.attrs["provenance"]
    ordered = array.transpose("time", ...)
    return xr.Dataset({"signal": ordered}, attrs=attrs)


def refuse_counts(rec: xr.Dataset, verb: str) -> None:
    """Raise if a recording holds spike counts, which `verb` would turn into no counts.

    Examples
    --------
    >>> refuse_counts(xr.Dataset(attrs={"modality": "eeg"}), "filtered")
    """
    if rec.attrs.get("modality") == "spikes":
        raise ParameterError(
            message(
                f"{label_of(rec)}: 'signal'",
                "a continuous signal",
                f"spike counts, which cannot be {verb}",
                "take rec.signal (a DataArray) if you want that nevertheless",
            )
        )


def column_blocks(n_samples: int, n_columns: int) -> Iterator[slice]:
    """Slices of columns that fit into a block of memory, at least one column each.

    Examples
    --------
    >>> list(column_blocks(10, 3))
    [slice(0, 3, None)]
    """
    step = max(1, BLOCK_BYTES // (8 * max(n_samples, 1)))
    for first in range(0, n_columns, step):
        yield slice(first, min(first + step, n_columns))


def same_gaps(
    values: np.ndarray, good: np.ndarray
) -> Iterator[tuple[np.ndarray, list[tuple[int, int]]]]:
    """Yield groups of columns that miss the same samples, with their spans.

    Examples
    --------
    >>> values = np.array([[0.0, 0.0], [1.0, np.nan], [2.0, 2.0]])
    >>> [(c.tolist(), s) for c, s in same_gaps(values, np.ones(3, dtype=bool))]
    [([0], [(0, 3)]), ([1], [(0, 1), (2, 3)])]
    """
    missing = np.isnan(values) | ~good[:, None]
    groups: dict[bytes, list[int]] = {}
    for column in range(values.shape[1]):
        pattern = np.packbits(missing[:, column]).tobytes()
        groups.setdefault(pattern, []).append(column)
    for columns in groups.values():
        yield np.array(columns), good_spans(~missing[:, columns[0]])


def map_spans(
    rec: xr.Dataset,
    function: Callable[[np.ndarray], np.ndarray],
    *,
    min_samples: int = 1,
    what: str = "the function",
) -> np.ndarray:
    """Run a function of (samples, columns) over each unbroken span of a recording.

    Reads blocks of columns and works on a few of them at a time; the result is in
    memory. Samples that are bad, missing, or in a span shorter than `min_samples`
    come back NaN.

    Parameters
    ----------
    rec : Dataset
        The recording.
    function : callable
        Keeps the shape.
    min_samples : int, default=1
        Shortest span that the function can be trusted with.
    what : str
        Its name in messages.

    Returns
    -------
    ndarray (time, space)
        Same float type as the signal.

    Raises
    ------
    ParameterError
        If no span is long enough.
    """
    signal, good = rec["signal"], good_samples(rec)
    dtype = signal.dtype if signal.dtype.kind == "f" else np.dtype(np.float64)
    made = np.full(signal.shape, np.nan, dtype=dtype)
    short = longest = 0
    done = False
    for block in column_blocks(*signal.shape):
        values = signal[:, block].to_numpy().astype(np.float64, copy=False)
        for columns, spans in same_gaps(values, good):
            for first, stop in spans:
                longest = max(longest, stop - first)
                if stop - first < min_samples:
                    short += 1
                    continue
                step = max(1, WORK_BYTES // (8 * (stop - first)))
                for some in np.split(columns, range(step, len(columns), step)):
                    part = np.ascontiguousarray(values[first:stop, some])
                    made[first:stop, some + block.start] = function(part)
                done = True
    if not done:
        raise ParameterError(
            message(
                f"{label_of(rec)}: 'signal'",
                f"a span of at least {min_samples} good samples for {what}",
                f"{longest} at most",
                "use a longer recording, a wider transition band or method='iir'",
            )
        )
    if short:
        warnings.warn(
            message(
                f"{label_of(rec)}: 'signal'",
                f"spans of at least {min_samples} samples for {what}",
                f"{short} shorter ones, which come back missing",
            ),
            DataWarning,
            stacklevel=4,
        )
    return made


def with_signal(rec: xr.Dataset, values: Any, **attrs: Any) -> xr.Dataset:
    """Return `rec` with other samples of the same shape, labels and events kept.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((4, 1)), "calcium", sampling_rate=2.0)
    >>> float(with_signal(rec, rec.signal.values * 2, units="1").signal[0, 0])
    2.0
    """
    signal = rec["signal"].copy(data=values).assign_attrs(attrs)
    return rec.assign(signal=signal)
