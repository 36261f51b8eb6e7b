"""Runs with the windows that a model reads: what every estimator of the wing takes.

The recordings stay as they are, in float32; a part of the windows (a fold, a batch)
is another list of numbers on the same recordings. What a model computes of a run is
kept with it, so that folds and models share it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.contract import ENTITIES
from neuroana.eeg2fmri.montages import place_of
from neuroana.eeg2fmri.windows import gather, network_units
from neuroana.learn.electrodes import plain_name, positions_of


RATE = 200.0  # Hz, at which every model reads EEG


@dataclass(frozen=True, eq=False)
class WindowedRun:
    """EEG and targets of one run.

    Attributes
    ----------
    signal : ndarray of float32 (time, channel)
        In V at 200 Hz; bad spans and null channels are NaN.
    targets : ndarray (volume, roi)
        As recorded, or as published in paper mode.
    start : float
        Time of the first sample in seconds.
    times : ndarray (volume,)
    label : str
    entities : dict
        Subject, session, task and run.
    null_channels : tuple of str
    n_early, n_late, n_masked : int
        Volumes without a usable window.
    cache : dict
        What models computed of the whole run.
    """

    signal: np.ndarray
    targets: np.ndarray
    start: float
    times: np.ndarray
    label: str
    entities: dict[str, str]
    null_channels: tuple[str, ...] = ()
    n_early: int = 0
    n_late: int = 0
    n_masked: int = 0
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)


class WindowedRuns(Sequence):
    """Windows of one or several runs, in the order of runs and volumes.

    Use it where the same runs meet several models or folds; made by
    :func:`as_windows`. Indexing with numbers or a mask gives a part of the windows on
    the same recordings, so scikit-learn's splitters and searches take it as `X`.

    Attributes
    ----------
    runs : tuple of WindowedRun
    run, starts, volumes : ndarray of int (window,)
        Run of each window, its first sample, and its volume.
    n_samples : int
    channels, rois : tuple of str
    places : ndarray (channel, 3)
        Of the channels in mm, head frame; NaN where the first run has none.
    atlas : str
        Name of the atlas behind the regions, where the runs say it.
    paper, synthetic : bool
        Whether targets were filtered and scaled over whole runs; whether any run is
        made up.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> from neuroana.eeg2fmri import as_windows
    >>> windows = as_windows(simulate_eeg_fmri(2, n_volumes=50, random_state=0)[0])
    >>> len(windows), windows.shape, windows[:10].y.shape
    (84, (84, 10, 3200), (10, 4))
    """

    def __init__(
        self, runs, run, starts, volumes, *, n_samples, channels, rois, places,
        atlas="", paper=False, synthetic=False,
    ):  # fmt: skip
        self.runs = tuple(runs)
        self.run, self.starts, self.volumes = run, starts, volumes
        self.n_samples = n_samples
        self.channels, self.rois = tuple(channels), tuple(rois)
        self.places, self.atlas, self.paper = places, atlas, paper
        self.synthetic = bool(synthetic)

    def _with(self, **changes) -> "WindowedRuns":
        new = WindowedRuns.__new__(WindowedRuns)
        new.__dict__.update(self.__dict__, **changes)
        return new

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Windows, channels, samples."""
        return (len(self), len(self.channels), self.n_samples)

    def __getitem__(self, index: Any) -> "WindowedRuns":
        if isinstance(index, tuple):
            index = index[0]
        if isinstance(index, int | np.integer):
            index = [index]
        chosen = np.arange(len(self))[index]
        return self._with(
            run=self.run[chosen],
            starts=self.starts[chosen],
            volumes=self.volumes[chosen],
        )

    def __repr__(self) -> str:
        return (
            f"<WindowedRuns: {len(self)} windows of {len(self.present)} runs, "
            f"{len(self.channels)} channels, {len(self.rois)} regions>"
        )

    @property
    def present(self) -> np.ndarray:
        """Numbers of the runs that have a window here."""
        return np.unique(self.run)

    @property
    def y(self) -> np.ndarray:
        """Targets of the windows, (window, roi)."""
        out = np.empty((len(self), len(self.rois)))
        for r, at in self.by_run():
            out[at] = self.runs[r].targets[self.volumes[at]]
        return out

    @property
    def times(self) -> np.ndarray:
        """Times of the volumes in seconds, (window,)."""
        out = np.empty(len(self))
        for r, at in self.by_run():
            out[at] = self.runs[r].times[self.volumes[at]]
        return out

    @property
    def table(self) -> pd.DataFrame:
        """One row a window: run, entities, and the seconds of its EEG and volume.

        The splitters of :mod:`neuroana.learn` read it.
        """
        start = np.array([self.runs[r].start for r in self.run])
        columns: dict[str, Any] = {
            "label": [self.runs[r].label for r in self.run],
            **{
                e: [self.runs[r].entities.get(e, "") for r in self.run]
                for e in ENTITIES
            },
            "time": self.times,
            "begin": start + self.starts / RATE,
            "end": start + (self.starts + self.n_samples) / RATE,
        }
        return pd.DataFrame(columns)

    def groups(self, column: str = "subject") -> np.ndarray:
        """Who or what each window belongs to, for group splitters."""
        return self.table[column].to_numpy()

    def by_run(self) -> Iterator[tuple[int, np.ndarray]]:
        """Number of each run and the positions of its windows."""
        for r in self.present:
            yield int(r), np.flatnonzero(self.run == r)

    def windows(self, positions: Any = slice(None)) -> np.ndarray:
        """Windows as networks read them, (window, channel, sample) in microvolt/100."""
        chosen = np.arange(len(self))[positions]
        out = np.empty((len(chosen), *self.shape[1:]), dtype=np.float32)
        for r in np.unique(self.run[chosen]):
            at = np.flatnonzero(self.run[chosen] == r)
            cut = gather(self.runs[r].signal, self.starts[chosen[at]], self.n_samples)
            out[at] = network_units(cut)
        return out

    def with_channels(self, names: Sequence[str]) -> "WindowedRuns":
        """The same windows with these channels in this order, found by name."""
        if tuple(names) == self.channels:
            return self
        at = positions_of(names, self.channels)
        runs = [
            replace(run, signal=run.signal[:, at], cache={})
            if r in self.present
            else run
            for r, run in enumerate(self.runs)
        ]
        names = tuple(map(plain_name, names))
        return self._with(runs=tuple(runs), channels=names, places=self.places[at])

    def mapped(self, matrix: np.ndarray, names: Sequence[str]) -> "WindowedRuns":
        """The same windows with channels made by a matrix (new, channel)."""
        weights = matrix.T.astype(np.float32)
        runs = [
            replace(run, signal=np.nan_to_num(run.signal) @ weights, cache={})
            for run in self.runs
        ]
        places = place_of(names)
        return self._with(runs=tuple(runs), channels=tuple(names), places=places)

    def wrap(self, values: np.ndarray, name: str = "prediction") -> list[xr.DataArray]:
        """Values (window, roi) as one DataArray (time, roi) a run."""
        made = []
        for r, at in self.by_run():
            run = self.runs[r]
            array = xr.DataArray(
                values[at],
                dims=("time", "roi"),
                coords={
                    "time": ("time", run.times[self.volumes[at]], {"units": "s"}),
                    "roi": np.array(self.rois, dtype=object),
                    "volume": ("time", self.volumes[at]),
                },
                name=name,
                attrs={**run.entities, "label": run.label},
            )
            made.append(array)
        return made
