"""What estimators compute on: plain arrays, with the way back to labels.

A recording, a collection, a labelled or a plain array all become
:class:`Sequences`, a list of (time, signal) arrays of unequal length that share
their second dim; :meth:`Sequences.wrap` gives results back in the kind that came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.contract import ENTITIES, good_samples, is_recording, label_of
from neuroana.core.errors import SchemaError, ShapeError


TRIAL_DIMS = ("epoch", "trial", "window")


@dataclass(frozen=True)
class Sequences:
    """Arrays of one or several recordings, and what they were.

    Attributes
    ----------
    values : tuple of ndarray (time, signal), float64
        One array a sequence. Samples that a recording marks as not good are NaN.
    good : tuple of ndarray of bool (time,)
        False where the recording itself says that a sample is not to be used.
    kind : {'array', 'dataarray', 'recording', 'trials', 'list'}
        What came in, and so what goes out.
    dim : str
        Name of the second dim: channel, roi, voxel, neuron or feature.
    names : ndarray (signal,)
        Labels along it.
    times : tuple of ndarray (time,)
        Seconds, or sample numbers where no clock was given.
    labels : tuple of str
        Names of the sequences, for messages and tables.
    coords : dict
        Further coordinates along `dim`.
    entities : tuple of dict
        Subject, session, task and run of each sequence.
    sampling_rate : float or None
        In Hz, the same for all.
    has_clock : bool
        Whether `times` are seconds that came with the data.
    """

    values: tuple[np.ndarray, ...]
    good: tuple[np.ndarray, ...]
    kind: str
    dim: str
    names: np.ndarray
    times: tuple[np.ndarray, ...]
    labels: tuple[str, ...]
    coords: dict[str, np.ndarray] = field(default_factory=dict)
    entities: tuple[dict[str, Any], ...] = ()
    sampling_rate: float | None = None
    has_clock: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def lengths(self) -> np.ndarray:
        """Number of samples of each sequence."""
        return np.array([len(v) for v in self.values])

    def wrap(
        self,
        arrays: Sequence[np.ndarray],
        *,
        dims: Sequence[str] = ("time",),
        coords: Mapping[str, Any] | None = None,
        name: str | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Label one array a sequence and return the kind that came in.

        Parameters
        ----------
        arrays : sequence of ndarray
            First dim is time, further ones are those in `dims`.
        dims : sequence of str
            Names of the dims of one array, ``'time'`` first.
        coords : mapping, optional
            Coordinates of the further dims.
        name : str, optional
            Name of the DataArrays.
        attrs : mapping, optional
            Attributes of the DataArrays.

        Returns
        -------
        ndarray, DataArray or list of DataArray
            ndarray for a plain array (sequences stacked), DataArray for one
            recording or labelled array, a list for a collection, a DataArray with
            the trial dim first for equal trials.
        """
        if self.kind == "array":
            return np.concatenate(list(arrays))
        own = {k: v for k, v in {self.dim: self.names}.items() if k in dims}
        made = [
            xr.DataArray(
                array,
                dims=tuple(dims),
                coords={"time": time, **own, **(coords or {})},
                name=name,
                attrs={**(attrs or {}), **(entity or {})},
            )
            for array, time, entity in zip(
                arrays, self.times, self.entities or ({},) * len(self)
            )
        ]
        for array in made:
            array["time"].attrs["units"] = "s"
        if self.kind in ("dataarray", "recording"):
            return made[0]
        if self.kind == "trials":
            return xr.concat(made, dim="epoch", combine_attrs="drop_conflicts")
        return made


def as_sequences(X: Any, *, lengths: Sequence[int] | None = None) -> Sequences:
    """Turn whatever an estimator accepts into :class:`Sequences`.

    Parameters
    ----------
    X : recording, collection, DataArray, ndarray, list of these, or Sequences
        Time first. A DataArray may have a leading dim epoch, trial or window.
    lengths : sequence of int, optional
        Lengths of the sequences stacked in one plain array.

    Returns
    -------
    Sequences

    Raises
    ------
    ShapeError, SchemaError
        If a part is not two-dimensional, names differ between the parts, or
        rates differ.

    Examples
    --------
    >>> as_sequences(np.zeros((5, 2)), lengths=[2, 3]).lengths.tolist()
    [2, 3]
    """
    if isinstance(X, Sequences):
        return X
    if isinstance(X, xr.DataTree):
        from neuroana.core.recordings import Recordings

        X = Recordings.from_datatree(X)
    if isinstance(X, xr.Dataset | xr.DataArray):
        parts, kind = _labelled_parts(X)
    elif isinstance(X, Sequence) or (isinstance(X, np.ndarray) and X.dtype == object):
        if isinstance(X, list | tuple) and X and np.isscalar(_first(X)):
            raise ShapeError(_two_dims("X", np.shape(X)))
        parts = [p for item in X for p in _parts(item)]
        kind = "list"
    else:
        parts, kind = _split(X, lengths), "array"
        lengths = None
    if lengths is not None:
        raise ShapeError(
            message("argument 'lengths'", "one plain array with it", type(X).__name__)
        )
    if not parts:
        raise ShapeError(message("X", "at least one sequence", "an empty list"))
    return _joined(parts, kind)


def _first(X: Any) -> Any:
    first = X[0]
    return first[0] if isinstance(first, list | tuple) and first else first


def _two_dims(where: str, shape: Any) -> str:
    return message(
        where,
        "an array of shape (time, signal)",
        f"shape {tuple(shape)}",
        "Reshape your data: one sample a row, a single signal as X[:, None]",
    )


def _parts(item: Any) -> list[xr.DataArray]:
    if isinstance(item, xr.Dataset | xr.DataArray):
        return _labelled_parts(item)[0]
    return _split(item, None)


def _labelled_parts(X: xr.Dataset | xr.DataArray) -> tuple[list[xr.DataArray], str]:
    if isinstance(X, xr.Dataset):
        if not is_recording(X):
            raise SchemaError(
                message("X", "a recording (a Dataset with 'signal')", list(X.variables))
            )
        array = X["signal"].assign_attrs(
            {e: X.attrs[e] for e in ENTITIES if X.attrs.get(e)},
            label=label_of(X),
            sampling_rate=X.attrs["sampling_rate"],
        )
        return [array], "recording"
    if X.ndim == 3 and X.dims[0] in TRIAL_DIMS:
        return [X[i] for i in range(len(X))], "trials"
    return [X], "dataarray"


def _split(X: Any, lengths: Sequence[int] | None) -> list[xr.DataArray]:
    if hasattr(X, "sparse") or type(X).__module__.startswith("scipy.sparse"):
        raise TypeError(
            message("X", "a dense array", "a sparse one", "pass X.toarray()")
        )
    names = list(X.columns) if hasattr(X, "columns") else None
    array = np.asarray(X)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: X has dtype {array.dtype}")
    if array.ndim != 2:
        raise ShapeError(_two_dims("X", array.shape))
    coords = {"feature": np.arange(array.shape[1]) if names is None else names}
    whole = xr.DataArray(array, dims=("time", "feature"), coords=coords)
    if lengths is None:
        return [whole]
    sizes = np.asarray(lengths, dtype=int)
    if sizes.sum() != len(array) or (sizes < 1).any():
        raise ShapeError(
            message(
                "argument 'lengths'",
                f"positive lengths that add up to {len(array)} samples",
                f"{sizes.tolist()[:8]} (sum {sizes.sum()})",
            )
        )
    ends = np.cumsum(sizes)
    return [whole[a:b] for a, b in zip(ends - sizes, ends)]


def _joined(parts: list[xr.DataArray], kind: str) -> Sequences:
    first = parts[0]
    labels = tuple(
        str(p.attrs.get("label", f"sequence {i}")) for i, p in enumerate(parts)
    )
    for part, label in zip(parts, labels):
        if part.ndim != 2:
            raise ShapeError(_two_dims(label, part.shape))
        if 0 in part.shape:
            raise ShapeError(
                message(
                    label,
                    "at least one sample and one feature",
                    f"0 sample(s) or 0 feature(s) (shape={part.shape}) while a "
                    "minimum of 1 is required",
                )
            )
    parts = [p if p.dims[0] == "time" or "time" not in p.dims else p.T for p in parts]
    first = parts[0]
    dim = str(first.dims[1])
    names = _names(first, dim)
    for part, label in zip(parts[1:], labels[1:]):
        own = _names(part, str(part.dims[1]))
        if len(own) != len(names) or (own != names).any():
            odd = sorted(set(map(str, own)) ^ set(map(str, names)))[:6]
            raise SchemaError(
                message(
                    f"{label}: dim {part.dims[1]!r}",
                    f"the {len(names)} names of {labels[0]}, in that order",
                    f"{len(own)} names; different: {odd or 'the order'}",
                    "keep the names that all recordings share",
                )
            )
    rates = {float(r) for p in parts if (r := p.attrs.get("sampling_rate"))}
    if rates and max(rates) - min(rates) > 1e-3 * max(rates):
        raise SchemaError(
            message(
                "X",
                "one sampling rate",
                f"{sorted(rates)} Hz",
                "resample the recordings to one rate",
            )
        )
    values, good = [], []
    for part, label in zip(parts, labels):
        try:
            array = np.array(part.to_numpy(), dtype=np.float64, order="C")
        except (TypeError, ValueError) as error:
            raise ValueError(
                message(label, "numbers", f"dtype {part.dtype} ({error})")
            ) from error
        usable = good_samples(part) if "time" in part.dims else np.ones(len(part), bool)
        array[~usable] = np.nan
        values.append(array)
        good.append(usable)
    along = {
        str(k): c.to_numpy()
        for k, c in first.coords.items()
        if c.dims == (dim,) and k != dim
    }
    return Sequences(
        values=tuple(values),
        good=tuple(good),
        kind=kind,
        dim=dim,
        names=names,
        times=tuple(_times(p) for p in parts),
        labels=labels,
        coords=along,
        entities=tuple(
            {e: p.attrs[e] for e in ENTITIES if e in p.attrs} for p in parts
        ),
        sampling_rate=rates.pop() if rates else None,
        has_clock=all("time" in p.coords for p in parts),
    )


def _names(part: xr.DataArray, dim: str) -> np.ndarray:
    return part[dim].to_numpy() if dim in part.coords else np.arange(part.sizes[dim])


def _times(part: xr.DataArray) -> np.ndarray:
    if "time" in part.coords:
        return part["time"].to_numpy()
    return np.arange(part.shape[0], dtype=np.float64)
