"""From paired runs, or an array of windows, to what estimators compute on."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.contract import ENTITIES, good_samples, label_of, rate_of
from neuroana.core.errors import SchemaError, ShapeError, UnitError
from neuroana.eeg2fmri.montages import place_of
from neuroana.eeg2fmri.pairing import drop_empty, pair
from neuroana.eeg2fmri.targets import published_targets
from neuroana.eeg2fmri.windowed_runs import RATE, WindowedRun, WindowedRuns
from neuroana.eeg2fmri.windows import LENGTH, index_of, signal_in_volts
from neuroana.learn.electrodes import plain_name, positions_of


logger = logging.getLogger(__name__)


def as_windows(
    X: Any,
    y: Any = None,
    *,
    length: float = LENGTH,
    channel_names: Sequence[str] | None = None,
    paper_mode: bool = False,
) -> WindowedRuns:
    """Turn paired runs, or an array of windows, into what estimators compute on.

    Use it once before several models or folds. EEG at another rate is resampled to
    200 Hz. Cost: one copy of the EEG in float32, whatever the number of windows.

    Parameters
    ----------
    X : DataTree, list of DataTree, ndarray (window, channel, sample), WindowedRuns
        Runs of :func:`pair`, one of them or several; a tuple (EEG, BOLD) of two
        recordings on one clock is paired here; or windows in V at 200 Hz.
    y : ndarray (window, roi) or (window,), optional
        Targets in place of those of the runs; needed for an array.
    length : float
        Of a window in seconds.
    channel_names : sequence of str, optional
        Electrodes of an array.
    paper_mode : bool, default=False
        Targets low-passed and scaled over the whole run, as published; they see test
        volumes, and results carry the mark.

    Returns
    -------
    WindowedRuns
        Channels that all runs share, by name, in the order of the first run.

    Raises
    ------
    SchemaError, ShapeError, UnitError
        If regions differ between runs (with the first that does), no channel is
        shared, an array comes without names, or EEG cannot be in V.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(1, n_volumes=50, random_state=0)
    >>> as_windows(runs[0]).table[["subject", "begin", "end", "time"]].head(1)
      subject  begin   end  time
    0      01    0.8  16.8  16.8
    """
    if isinstance(X, WindowedRuns):
        return X if y is None else with_targets(X, y)
    if isinstance(X, np.ndarray):
        return from_windows(X, y, channel_names)
    trees = runs_of(X)
    indices = [index_of(tree, length=length) for tree in trees]
    channels = shared_channels(trees)
    rois = regions_of(trees)
    runs = [
        windowed(tree, index, channels, rois, paper_mode)
        for tree, index in zip(trees, indices)
    ]
    # the index was made at the recording's own rate; the windows are at 200 Hz
    starts = [first_samples(r, t, i, length) for r, t, i in zip(runs, trees, indices)]
    sizes = [len(s) for s in starts]
    made = WindowedRuns(
        runs,
        np.repeat(np.arange(len(runs)), sizes),
        np.concatenate(starts),
        np.concatenate([i.volumes for i in indices]),
        n_samples=round(length * RATE),
        channels=channels,
        rois=rois,
        places=places_of(trees[0]["eeg"].to_dataset(), channels),
        atlas=str(trees[0]["bold"].attrs.get("atlas", "")),
        paper=paper_mode,
        synthetic=any(int(t["eeg"].attrs.get("synthetic", 0)) for t in trees),
    )
    return made if y is None else with_targets(made, y)


def runs_of(X: Any) -> list[xr.DataTree]:
    """The paired runs in whatever was given."""
    items = [X] if isinstance(X, xr.DataTree) or is_couple(X) else list(X)
    trees = []
    for item in items:
        item = pair(*item) if is_couple(item) else item
        if not isinstance(item, xr.DataTree):
            raise SchemaError(
                message(
                    "X",
                    "paired runs (DataTree with /eeg and /bold)",
                    type(item).__name__,
                    "make them with neuroana.eeg2fmri.pair",
                )
            )
        if {"eeg", "bold"} <= set(item.children):
            trees.append(item)
        else:
            trees += [n for n in item.subtree if {"eeg", "bold"} <= set(n.children)]
    if not trees:
        raise SchemaError(message("X", "a run with /eeg and /bold", "none"))
    return trees


def is_couple(item: Any) -> bool:
    """Whether something is the EEG and the BOLD of one run, not yet paired."""
    return (
        isinstance(item, tuple)
        and len(item) == 2
        and all(isinstance(part, xr.Dataset) for part in item)
    )


def shared_channels(trees: Sequence[xr.DataTree]) -> tuple[str, ...]:
    """Channels that all runs have, by name, in the order of the first."""
    own = [eeg_names(tree["eeg"].to_dataset()) for tree in trees]
    for names in own:
        positions_of(names, names)  # refuses a name that comes twice
    shared = [n for n in own[0] if all(n in names for names in own[1:])]
    lost = sorted({n for names in own for n in names} - set(shared))
    if not shared:
        raise SchemaError(message("EEG of the runs", "a channel in all", "none"))
    if lost:
        logger.warning("channels that some runs lack are left out: %s", lost)
    return tuple(shared)


def eeg_names(eeg: xr.Dataset) -> list[str]:
    """Names of the channels that are EEG; without types all are."""
    names = [plain_name(n) for n in eeg["channel"].to_numpy()]
    kinds = eeg["ch_type"].to_numpy() if "ch_type" in eeg.coords else None
    return names if kinds is None else [n for n, k in zip(names, kinds) if k == "eeg"]


def places_of(eeg: xr.Dataset, channels: Sequence[str]) -> np.ndarray:
    """Places in mm of the channels, of the recording or of the standard montage."""
    if not {"x", "y", "z"} <= set(eeg.coords):
        return place_of(channels)
    at = positions_of(channels, [plain_name(n) for n in eeg["channel"].to_numpy()])
    return np.stack([eeg[c].to_numpy() for c in "xyz"], axis=1)[at].astype(float)


def regions_of(trees: Sequence[xr.DataTree]) -> tuple[str, ...]:
    """Region names, the same in all runs but for those that a run has lost."""
    every = [all_regions(tree["bold"].to_dataset()) for tree in trees]
    first = max(every, key=len)
    for tree, names in zip(trees, every):
        dropped = set(np.ravel(tree["bold"].attrs.get("dropped_regions", [])).tolist())
        kept = [n for n in first if n not in dropped]
        if names != kept:
            raise SchemaError(first_difference(label(tree), kept, names))
    return tuple(first)


def all_regions(bold: xr.Dataset) -> list[str]:
    return [str(n) for n in bold["signal"][str(bold["signal"].dims[1])].to_numpy()]


def first_difference(where: str, expected: Sequence, found: Sequence) -> str:
    """Message that names the first region that differs."""
    at = next(
        (i for i, (a, b) in enumerate(zip(expected, found)) if a != b),
        min(len(expected), len(found)),
    )
    return message(
        f"{where}: regions",
        f"{len(expected)} as in the others, {list(expected[at : at + 1])} at {at}",
        f"{len(found)}, {list(found[at : at + 1])} there",
        "extract all runs with one atlas, and predict with the model of that atlas",
    )


def label(tree: xr.DataTree) -> str:
    return label_of(tree["eeg"].to_dataset())


def windowed(tree, index, channels, rois, paper_mode) -> WindowedRun:
    """One run in the form that models read."""
    from neuroana.signal.resampling import resample

    eeg = tree["eeg"].to_dataset()
    names = [plain_name(n) for n in eeg["channel"].to_numpy()]
    eeg = eeg.isel(channel=positions_of(channels, names))
    signal_in_volts(eeg)
    if abs(rate_of(eeg["time"].to_numpy()) / RATE - 1) > 1e-6:
        eeg = resample(eeg, RATE)
        logger.info("%s: resampled to %g Hz", label(tree), RATE)
    signal = np.array(eeg["signal"].to_numpy(), dtype=np.float32)
    signal[~good_samples(eeg)] = np.nan
    null = [plain_name(n) for n in index.null_channels]
    signal[:, [c for c, name in enumerate(channels) if name in null]] = np.nan
    return WindowedRun(
        signal=signal,
        targets=targets_of(tree["bold"].to_dataset(), rois, paper_mode),
        start=float(eeg["time"][0]),
        times=tree["bold"]["time"].to_numpy(),
        label=label(tree),
        entities={e: str(eeg.attrs[e]) for e in ENTITIES if eeg.attrs.get(e)},
        null_channels=index.null_channels,
        n_early=index.n_early,
        n_late=index.n_late,
        n_masked=index.n_masked,
    )


def targets_of(bold: xr.Dataset, rois, paper_mode: bool) -> np.ndarray:
    """Targets (volume, roi); a region that this run has lost is NaN."""
    if "signal" not in bold:
        return np.empty((bold.sizes["time"], 0))
    bold = drop_empty(bold)
    own = all_regions(bold)
    values = bold["signal"].to_numpy().astype(np.float64)
    if paper_mode:
        if np.isnan(values).any():
            raise SchemaError(
                message(
                    f"{label_of(bold)}: 'signal'",
                    "no missing volume in paper mode, whose filter spreads them",
                    f"{int(np.isnan(values).any(axis=1).sum())} volumes with NaN",
                    "leave paper_mode out",
                )
            )
        values = published_targets(values, 1.0 / rate_of(bold["time"].to_numpy()))
    out = np.full((len(values), len(rois)), np.nan)
    out[:, [rois.index(n) for n in own]] = values
    return out


def first_samples(run, tree, index, length) -> np.ndarray:
    """First sample of each window on the clock of 200 Hz."""
    eeg_time = tree["eeg"]["time"].to_numpy()
    if abs(rate_of(eeg_time) / RATE - 1) <= 1e-6:
        return index.starts
    ends = np.ceil((run.times[index.volumes] - run.start) * RATE - 0.01)
    starts = ends.astype(np.int64) - round(length * RATE)
    return np.clip(starts, 0, len(run.signal) - round(length * RATE))


def from_windows(X: np.ndarray, y: Any, names: Sequence[str] | None) -> WindowedRuns:
    """An array of windows as runs; each window is known by its number alone."""
    if X.ndim != 3:
        raise ShapeError(message("X", "dims (window, channel, sample)", X.shape))
    if names is None or len(names) != X.shape[1]:
        raise SchemaError(
            message(
                "X",
                f"the names of its {X.shape[1]} channels",
                "none" if names is None else f"{len(names)} names",
                "pass channel_names=[...], or paired runs, which have names",
            )
        )
    n, n_channels, n_samples = X.shape
    spread = float(np.median(np.nanstd(X, axis=-1)))
    if not 1e-7 <= spread <= 1e-3:
        raise UnitError(
            message("X", "EEG in V, standard deviation 1e-7 to 1e-3", f"{spread:.3g}")
        )
    signal = X.transpose(0, 2, 1).reshape(-1, n_channels).astype(np.float32)
    y = np.zeros((n, 0)) if y is None else np.asarray(y, dtype=np.float64)
    y = y[:, None] if y.ndim == 1 else y
    if len(y) != n:
        raise ShapeError(message("y", f"one row for each of {n} windows", len(y)))
    starts = np.arange(n) * n_samples
    run = WindowedRun(signal, y, 0.0, (starts + n_samples) / RATE, "windows", {})
    return WindowedRuns(
        [run], np.zeros(n, dtype=int), starts, np.arange(n),
        n_samples=n_samples, channels=[plain_name(name) for name in names],
        rois=[f"roi{i}" for i in range(y.shape[1])], places=place_of(names),
    )  # fmt: skip


def with_targets(windows: WindowedRuns, y: Any) -> WindowedRuns:
    """The same windows with other targets, one row a window."""
    y = np.asarray(y, dtype=np.float64)
    y = y[:, None] if y.ndim == 1 else y
    if len(y) != len(windows):
        raise ShapeError(message("y", f"one row for each of {len(windows)}", len(y)))
    runs = list(windows.runs)
    for r, at in windows.by_run():
        targets = np.full((len(runs[r].times), y.shape[1]), np.nan)
        targets[windows.volumes[at]] = y[at]
        runs[r] = replace(runs[r], targets=targets)  # shares what was computed of X
    same = y.shape[1] == len(windows.rois)
    rois = windows.rois if same else tuple(f"roi{i}" for i in range(y.shape[1]))
    return windows._with(runs=tuple(runs), rois=rois)


def windows_of_eeg(eeg: xr.Dataset, times: Any) -> WindowedRuns:
    """Windows of EEG that comes without BOLD, at the times of volumes to predict."""
    if times is None:
        raise SchemaError(
            message(
                "X", "paired runs, or EEG and times=", "EEG alone",
                "pass times=, in seconds on the clock of the EEG",
            )
        )  # fmt: skip
    times = np.asarray(times, dtype=np.float64)
    bold = xr.Dataset(coords={"time": ("time", times)})
    tree = xr.DataTree.from_dict({"/eeg": eeg, "/bold": bold})
    index = index_of(tree)
    channels = shared_channels([tree])
    run = windowed(tree, index, channels, (), False)
    return WindowedRuns(
        [run], np.zeros(len(index.starts), dtype=int),
        first_samples(run, tree, index, LENGTH), index.volumes,
        n_samples=round(LENGTH * RATE), channels=channels, rois=(),
        places=places_of(eeg, channels),
    )  # fmt: skip
