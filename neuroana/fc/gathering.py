"""Recordings of any kind as arrays that share their regions, whatever their rates."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import DataWarning, NeuroanaError, ShapeError
from neuroana.core.sequences import Sequences, as_sequences


SPACE = ("roi", "voxel", "channel", "neuron")


class ConstantRoiError(NeuroanaError, ValueError):
    """A region has the same value in all samples, or none at all."""


@dataclass(frozen=True)
class Group:
    """Recordings on their common regions.

    Attributes
    ----------
    values : list of ndarray (time, roi)
        NaN where missing or marked as bad.
    rates : list of float or None
        Hz.
    names : ndarray (roi,)
    coords : dict of ndarray (roi,)
        Further labels.
    labels : list of str
        One a recording.
    entities : list of dict
    several : bool
        Whether a collection came in.
    origin : list of str, optional
        Of windows, the recording that each is from.
    starts : list of float, optional
        And its first sample, in seconds (in samples without a rate).
    """

    values: list[np.ndarray]
    rates: list[float | None]
    names: np.ndarray
    coords: dict[str, np.ndarray]
    labels: list[str]
    entities: list[dict[str, Any]]
    several: bool
    origin: list[str] | None = None
    starts: list[float] | None = None

    def on(self, names: np.ndarray) -> "Group":
        """The same on these regions, in this order."""
        if np.array_equal(names, self.names):
            return self
        place = {str(n): k for k, n in enumerate(self.names)}
        absent = [str(n) for n in names if str(n) not in place]
        if absent:
            raise ShapeError(
                message("X", f"the regions of fit, {list(names)[:5]} ...",
                        f"recordings without {absent[:5]}")
            )  # fmt: skip
        at = [place[str(n)] for n in names]
        coords = {k: v[at] for k, v in self.coords.items()}
        values = [v[:, at] for v in self.values]
        return replace(self, values=values, names=self.names[at], coords=coords)


def gather(X: Any) -> Group:
    """Arrays of a recording, a collection, a plain array or a batch of these.

    Regions that not all recordings have are left out with a warning; unlabelled
    arrays must have the same number.

    Examples
    --------
    >>> gather([np.zeros((9, 3)), np.zeros((7, 3))]).labels
    ['0', '1']
    """
    parts, several = _parts(X)
    for k, part in enumerate(parts):
        _check_part(part, k)
    labelled = [_is_labelled(p) for p in parts]
    singles = [_single(p) for p in parts]
    names = [s.names for s in singles]
    first = names[0]
    if any(len(n) != len(first) or (n != first).any() for n in names):
        if not all(labelled):
            raise ShapeError(
                message(
                    "X",
                    f"{len(first)} regions in every recording",
                    f"{sorted({len(n) for n in names})}, without names to match them",
                    "pass recordings whose regions have names (neuroana.from_array)",
                )
            )
        shared = [n for n in first if all(n in set(other) for other in names)]
        if not shared:
            raise ShapeError(message("X", "regions that all recordings have", "none"))
        warnings.warn(
            f"Recordings have different regions, or another order of them: the "
            f"{len(shared)} that all share are used "
            f"(of {min(map(len, names))} to {max(map(len, names))}).",
            DataWarning,
            stacklevel=3,
        )
        first = np.array(shared, dtype=first.dtype)
    for part, found in zip(singles, labelled):
        n_time, n = part.values[0].shape
        if not found and n_time < n:
            warnings.warn(
                f"{n_time} samples of {n} regions: arrays are (time, roi).",
                DataWarning,
                stacklevel=3,
            )
    if len(first) < 2:
        raise ShapeError(message("X", "at least 2 regions", len(first)))
    return _joined(singles, first, several)


def _joined(singles: list[Sequences], names, several) -> Group:
    values = []
    for s in singles:
        at = {str(n): k for k, n in enumerate(s.names)}
        place = [at[str(n)] for n in names]
        whole = place == list(range(len(s.names)))
        values.append(s.values[0] if whole else s.values[0][:, place])
    own = {str(n): k for k, n in enumerate(singles[0].names)}
    pick = [own[str(n)] for n in names]
    labels = [
        str(k) if s.labels[0].startswith("sequence") else s.labels[0]
        for k, s in enumerate(singles)
    ]
    if len(set(labels)) < len(labels):
        labels = [f"{label}_{k}" for k, label in enumerate(labels)]
    return Group(
        values,
        [s.sampling_rate for s in singles],
        np.asarray(names),
        {k: v[pick] for k, v in singles[0].coords.items()},
        labels,
        [dict(s.entities[0]) if s.entities else {} for s in singles],
        several,
    )


def _check_part(part: Any, k: int) -> None:
    """Time first; whole numbers that do not stand at the end of their range."""
    dims = part.dims if isinstance(part, xr.DataArray) else ()
    if dims and dims[0] in SPACE and "time" not in dims:
        raise ShapeError(
            message(f"recording {k}", "dims (time, space)", dims,
                    "transpose it, or name its dims")
        )  # fmt: skip
    values = part["signal"] if isinstance(part, xr.Dataset) else part
    kind = getattr(values, "dtype", np.dtype(float))
    if not isinstance(kind, np.dtype) or kind.kind not in "iu" or kind.itemsize > 2:
        return
    values = np.asarray(values)
    edge = np.iinfo(kind)
    full = values == edge.max
    if kind.kind == "i":
        full |= values == edge.min
    if full.any():
        warnings.warn(
            f"Recording {k}: {int(full.sum())} of {full.size} samples stand at the end "
            f"of the range of {kind.name} ({edge.max}): the recorder was saturated.",
            DataWarning,
            stacklevel=4,
        )


def _single(part: Any) -> Sequences:
    """One recording; a plain array of floats needs no detour through labels."""
    if type(part) is not np.ndarray or part.ndim != 2 or part.dtype.kind != "f":
        return as_sequences(part)
    if 0 in part.shape:
        return as_sequences(part)
    n_time, n = part.shape
    return Sequences(
        values=(np.asarray(part, dtype=np.float64),),
        good=(np.ones(n_time, dtype=bool),),
        kind="array",
        dim="feature",
        names=np.arange(n),
        times=(np.arange(n_time, dtype=np.float64),),
        labels=("sequence 0",),
    )


def _is_labelled(part: Any) -> bool:
    return isinstance(part, xr.Dataset | xr.DataArray) or hasattr(part, "columns")


def _parts(X: Any) -> tuple[list[Any], bool]:
    """Single recordings, and whether a collection came in."""
    if isinstance(X, xr.DataTree):
        from neuroana.core.recordings import Recordings

        X = Recordings.from_datatree(X)
    if isinstance(X, xr.DataArray) and X.ndim == 3:
        return list(X), True
    if isinstance(X, np.ndarray) and X.ndim == 3 and X.dtype != object:
        return list(X), True
    if isinstance(X, xr.Dataset | xr.DataArray | np.ndarray) or hasattr(X, "columns"):
        return [X], False
    parts = list(X)
    if not parts:
        raise ShapeError(message("X", "at least one recording", "an empty list"))
    return parts, True


def constant_regions(x: np.ndarray) -> np.ndarray:
    """True for regions (roi,) without variance beyond rounding, or without samples."""
    low, high = x.min(axis=0), x.max(axis=0)
    if np.isnan(low).any():
        low, high = (f(x, axis=0, initial=v, where=~np.isnan(x))
                     for f, v in ((np.min, np.inf), (np.max, -np.inf)))  # fmt: skip
    size = np.maximum(np.abs(low), np.abs(high))
    return ~(high - low > 1e-12 * size)
