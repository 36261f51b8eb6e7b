"""Recordings of several animals on one list of neurons, each on a regular clock."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.contract import check, good_samples, is_recording, label_of
from neuroana.core.errors import DataWarning, ParameterError, SchemaError, ShapeError
from neuroana.core.recording import events_of
from neuroana.core.recordings import Recordings
from neuroana.core.sequences import as_sequences


JITTER = 0.1  # of the median step: more than this is no regular clock


@dataclass(frozen=True)
class Animal:
    """Traces of one animal.

    Attributes
    ----------
    name : str
    x : ndarray (time, neuron), or DataArray
        NaN where missing. A DataArray is on disk, and is read stretch by stretch.
    names : ndarray (neuron,)
    time : ndarray (time,)
        Seconds, regular.
    events : DataFrame or None
    """

    name: str
    x: np.ndarray
    names: np.ndarray
    time: np.ndarray
    events: pd.DataFrame | None = None
    good: np.ndarray | None = None

    @property
    def dt(self) -> float:
        """Seconds from one sample to the next."""
        return float(self.time[-1] - self.time[0]) / max(len(self.time) - 1, 1)


@dataclass(frozen=True)
class Group:
    """Animals and the union of their neurons.

    Attributes
    ----------
    animals : list of Animal
    dim : str
        neuron, roi, channel, ...
    names : ndarray (neuron,)
        In the order in which the animals name them.
    coords : dict
        Further coordinates along the neurons (positions, labels).
    synthetic : int
        One where any of the data are made up.
    """

    animals: list[Animal]
    dim: str
    names: np.ndarray
    coords: dict[str, np.ndarray] = field(default_factory=dict)
    synthetic: int = 0

    def columns(self, animal: Animal) -> np.ndarray:
        """Where the animal's neurons stand in the union."""
        place = {name: i for i, name in enumerate(self.names.tolist())}
        return np.array([place[name] for name in animal.names.tolist()], dtype=int)

    def spread(self, animal: Animal, values: np.ndarray) -> np.ndarray:
        """Columns of one animal on the union; NaN where it has no such neuron."""
        if np.array_equal(animal.names, self.names):
            return values
        out = np.full((len(values), len(self.names)), np.nan, dtype=values.dtype)
        out[:, self.columns(animal)] = values
        return out


def gather(X: Any, *, sampling_rate: float | None = None) -> Group:
    """Collect recordings whose neurons may overlap only in part.

    Parameters
    ----------
    X : recording, collection, DataTree, DataArray, ndarray or list of these
        Time first. An ndarray may be (time, neuron, animal).
    sampling_rate : float, optional
        In Hz, for what has no clock.

    Raises
    ------
    ParameterError, SchemaError, ShapeError, TypeError
        If there is no clock, or names, rates or values cannot be used.
    """
    if isinstance(X, xr.DataTree):
        X = Recordings.from_datatree(X)
    if isinstance(X, np.ndarray) and X.ndim == 3:
        X = [X[:, :, w] for w in range(X.shape[2])]
    elif isinstance(X, xr.Dataset | xr.DataArray | np.ndarray | pd.DataFrame):
        X = [X]
    items = list(X)
    if not items:
        raise ShapeError(message("X", "at least one recording", "none"))
    if not isinstance(items[0], xr.Dataset) and np.ndim(items[0]) < 2:
        items = [X]
    animals, dims, coords, synthetic = [], [], {}, 0
    for number, item in enumerate(items):
        animal, dim, own = one_animal(item, number, sampling_rate)
        animals.append(animal)
        dims.append(dim)
        if isinstance(item, xr.Dataset):
            synthetic = max(synthetic, int(item.attrs.get("synthetic", 0)))
        for key, values in own.items():
            coords.setdefault(key, {}).update(zip(animal.names.tolist(), values))
    names = list(dict.fromkeys(n for a in animals for n in a.names.tolist()))
    along = {k: np.array([v.get(n, missing_like(v)) for n in names])
             for k, v in coords.items()}  # fmt: skip
    return Group(unique_names(animals), dims[0], np.array(names), along, synthetic)


def missing_like(values: dict[Any, Any]) -> Any:
    """What stands for a coordinate that a neuron lacks."""
    sample = next(iter(values.values()))
    return np.nan if isinstance(sample, float | np.floating) else type(sample)()


def unique_names(animals: list[Animal]) -> list[Animal]:
    """Number the animals where their names do not tell them apart."""
    names = [a.name for a in animals]
    if len(set(names)) == len(names):
        return animals
    return [
        Animal(f"{a.name}-{i}", a.x, a.names, a.time, a.events, a.good)
        for i, a in enumerate(animals)
    ]


def one_animal(item: Any, number: int, rate: float | None) -> tuple[Animal, str, dict]:
    """Traces of one recording, checked, on a regular clock."""
    events = events_of(item) if is_recording(item) and "onset" in item else None
    if getattr(item, "dtype", None) is not None and np.dtype(item.dtype).kind == "O":
        raise TypeError(message(f"X[{number}]", "numbers", "dtype object"))
    if is_recording(item) and item["signal"].chunks is not None:
        return on_disk(item, events)
    parts = as_sequences(item)
    if len(parts) != 1:
        raise ShapeError(
            message(
                f"X[{number}]",
                "one recording",
                f"{len(parts)} trials",
                "pass a list with one recording an animal",
            )
        )
    x, time, name = parts.values[0], parts.times[0], parts.labels[0]
    name = f"animal-{number}" if name == "sequence 0" else name
    if parts.names.dtype.kind == "O" and not all(
        isinstance(n, str | int) for n in parts.names.tolist()
    ):
        raise SchemaError(message(f"{name}: names", "text or numbers", "objects"))
    doubled = pd.Index(parts.names)
    if doubled.has_duplicates:
        raise SchemaError(
            message(
                f"{name}: coordinate {parts.dim!r}",
                "each name once in an animal",
                f"{doubled[doubled.duplicated()].unique().tolist()[:5]} more than once",
                "keep the identification with the higher confidence",
            )
        )
    if np.isinf(x).any():
        t, i = np.argwhere(np.isinf(x))[0]
        raise ParameterError(
            message(
                f"{name}: 'signal'",
                "finite values",
                f"{x[t, i]} at sample {t}, {parts.dim} {parts.names[i]}",
                "mark missing samples with NaN",
            )
        )
    if not parts.has_clock:
        if rate is None:
            raise ParameterError(
                message(name, "a clock", "none", "pass sampling_rate= in Hz")
            )
        time = time / rate
    time, x = regular(time, x, name)
    return Animal(name, x, parts.names, time, events), parts.dim, parts.coords


def on_disk(ds: xr.Dataset, events) -> tuple[Animal, str, dict]:
    """A recording that is not in memory: checked by its labels, read later."""
    check(ds)
    signal, name = ds["signal"], label_of(ds)
    dim = str(signal.dims[1])
    time = ds["time"].to_numpy()
    steps = np.diff(time)
    if np.abs(steps / np.median(steps) - 1.0).max(initial=0.0) > 1e-3:
        raise SchemaError(
            message(
                f"{name}: 'time'",
                "equal steps in a recording on disk",
                f"steps from {steps.min():.4g} to {steps.max():.4g} s",
                "put it on a regular clock with neuroana.signal.resample",
            )
        )
    coords = {
        str(k): c.to_numpy()
        for k, c in ds.coords.items()
        if c.dims == (dim,) and k != dim
    }
    names = ds[dim].to_numpy()
    return Animal(name, signal, names, time, events, good_samples(ds)), dim, coords


def regular(
    time: np.ndarray, x: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """A clock with equal steps: as it is, interpolated, or refused."""
    steps = np.diff(time)
    if len(steps) == 0:
        return time, x
    if (steps <= 0).any():
        raise SchemaError(
            message(
                f"{name}: 'time'",
                "strictly increasing seconds",
                "others",
                "sort the samples and drop the double ones",
            )
        )
    step = float(np.median(steps))
    worst = float(np.abs(steps / step - 1.0).max())
    if worst > JITTER:
        raise SchemaError(
            message(
                f"{name}: 'time'",
                f"steps within {JITTER:.0%} of {step:.4g} s",
                f"one that is {worst:.0%} off",
                "put it on a regular clock with neuroana.signal.resample",
            )
        )
    if worst <= 1e-3:
        return time, x
    warnings.warn(
        f"{name}: steps of the clock differ by up to {worst:.1%}; traces were "
        f"interpolated to {step:.4g} s.",
        DataWarning,
        stacklevel=4,
    )
    new = np.arange(time[0], time[-1] + step / 2, step)
    new = new[new <= time[-1] + 1e-9]
    at = np.clip(np.searchsorted(time, new, side="right") - 1, 0, len(time) - 2)
    share = ((new - time[at]) / (time[at + 1] - time[at]))[:, None]
    return new, (1.0 - share) * x[at] + share * x[at + 1]
