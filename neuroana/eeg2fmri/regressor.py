"""What every model of the wing shares: runs in, labelled courses out.

A subclass says how it learns from windows and targets, and how it predicts. Names of
channels and regions, train-only scaling of the targets, windows without targets, and
the record of what was seen are kept here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from neuroana.core.checks import message
from neuroana.core.errors import SchemaError
from neuroana.core.estimator import Estimator
from neuroana.eeg2fmri.scores import correlation, fisher_mean
from neuroana.eeg2fmri.targets import TargetScale
from neuroana.eeg2fmri.windowed_runs import WindowedRuns
from neuroana.eeg2fmri.windowing import as_windows, first_difference, windows_of_eeg
from neuroana.learn.splits import LeakageError, check_leakage


LEAST = 10  # windows with a target


class WindowRegressor(RegressorMixin, Estimator):
    """Base of all models that predict BOLD from windows of EEG.

    Attributes
    ----------
    channels_, rois_ : DataArray
        Names that the model knows.
    target_centre_, target_scale_ : DataArray (roi,)
        Learned from the training volumes alone.
    spans_ : DataArray (span, edge)
        Seconds of EEG that were seen, with the label of the run.
    atlas_ : str
    leaky_ : bool
        Whether training and validation touch, or targets were scaled over whole runs.
    """

    paper_mode = False
    allow_overlap = False

    def fit(self, X: Any, y: Any = None, groups: Any = None, *, validation: Any = None,
            channel_names: Sequence[str] | None = None):  # fmt: skip
        """Learn from paired runs.

        Parameters
        ----------
        X : DataTree, list of DataTree, WindowedRuns or ndarray (window, channel, T)
            Training runs.
        y : ndarray (window, roi), optional
            Targets in place of those of the runs; needed for an array.
        groups : ignored
            For scikit-learn's tools.
        validation : as `X`, optional
            For models that stop or select; others learn nothing from it.
        channel_names : sequence of str, optional
            Electrodes of an array.

        Returns
        -------
        self
        """
        windows = as_windows(
            X, y, channel_names=channel_names, paper_mode=self.paper_mode
        )
        windows = windows[np.isfinite(windows.y).any(axis=1)]
        if len(windows) < LEAST:
            raise SchemaError(
                message("X", f"at least {LEAST} windows with a target", len(windows))
            )
        held = None
        self.leaky_ = bool(windows.paper)
        if validation is not None:
            held = as_windows(validation, paper_mode=self.paper_mode)
            held = held[np.isfinite(held.y).any(axis=1)]
            if not len(held):
                raise SchemaError(
                    message("validation", "windows with a target", "none")
                )
            self._check_regions(held, windows.rois)
            self.leaky_ |= self._touch(windows, held)
        else:
            windows, held = self._set_aside(windows)
        windows = self._montage(windows)
        named = np.array(windows.channels, dtype=object)
        self.channels_ = xr.DataArray(named, dims="input", name="channels")
        rois = np.array(windows.rois, dtype=object)
        self.rois_ = xr.DataArray(rois, dims="roi", coords={"roi": rois}, name="rois")
        self.atlas_ = windows.atlas
        scale = TargetScale.fit([windows.y])
        self.target_centre_ = self._by_roi(scale.centre)
        self.target_scale_ = self._by_roi(scale.scale)
        self.spans_ = spans_of(windows)
        held = None if held is None else self._aligned(held)
        self._learn(windows, scale.apply(windows.y), held)
        return self

    def predict(self, X: Any, *, times: Any = None) -> Any:
        """Predict the course of every region.

        Parameters
        ----------
        X : DataTree, list of DataTree, WindowedRuns, ndarray, or EEG recording
        times : array, optional
            Of the volumes to predict in seconds, for EEG without BOLD.

        Returns
        -------
        DataArray (time, roi), list of them, or ndarray (window, roi)
            In the units of the training targets, at the volumes that have a window;
            one for one run, a list for several; an array for windows.
        """
        check_is_fitted(self)
        single = isinstance(X, xr.DataTree | xr.Dataset)
        if isinstance(X, xr.Dataset):
            windows = windows_of_eeg(X, times)
        else:
            names = self.channels_.values.tolist()
            windows = as_windows(X, channel_names=names, paper_mode=self.paper_mode)
        values = self._predict_windows(windows)
        if isinstance(X, WindowedRuns | np.ndarray):
            return values
        windows = windows._with(rois=tuple(self.rois_.values))
        made = windows.wrap(values)
        return made[0] if single and len(made) == 1 else made

    def _predict_windows(self, windows: WindowedRuns) -> np.ndarray:
        if windows.rois:
            self._check_regions(windows, tuple(self.rois_.values))
            self._check_atlas(windows)
        return self._scale().undo(self._predict(self._aligned(windows)))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Fisher mean of R over runs and regions.

        `sample_weight` is there for scikit-learn's tools and has no effect.
        """
        names = self.channels_.values.tolist()
        windows = as_windows(X, y, channel_names=names, paper_mode=self.paper_mode)
        values, truth = self._predict_windows(windows), windows.y
        r = [correlation(values[at], truth[at]) for _, at in windows.by_run()]
        return fisher_mean(np.concatenate(r))

    def refuse_seen(self, X: Any, *, gap: float = 0.0) -> None:
        """Raise if windows share EEG with what the model was trained on.

        Raises
        ------
        LeakageError
        """
        import pandas as pd

        table = as_windows(X, paper_mode=self.paper_mode).table
        seen = pd.DataFrame(
            {
                "label": self.spans_["label"].values,
                "subject": "",
                "begin": self.spans_.values[:, 0],
                "end": self.spans_.values[:, 1],
                "time": self.spans_.values[:, 1],
            }
        )
        both = pd.concat([seen, table[list(seen.columns)]], ignore_index=True)
        n = len(seen)
        check_leakage(both, np.arange(n), np.arange(n, len(both)), gap=gap)

    def _touch(self, windows: WindowedRuns, held: WindowedRuns) -> bool:
        """Whether validation touches training; an error unless that is allowed."""
        import pandas as pd

        both = pd.concat([windows.table, held.table], ignore_index=True)
        n = len(windows)
        try:
            check_leakage(both, np.arange(n), np.arange(n, len(both)))
        except LeakageError:
            if not self.allow_overlap:
                raise
            return True
        return False

    def _set_aside(self, windows: WindowedRuns):
        """Training windows, and a validation part where the model needs one."""
        return windows, None

    def _scale(self) -> TargetScale:
        return TargetScale(self.target_centre_.values, self.target_scale_.values)

    def _montage(self, windows: WindowedRuns) -> WindowedRuns:
        """Training windows under the names that the model will know."""
        return windows

    def _aligned(self, windows: WindowedRuns) -> WindowedRuns:
        """Windows with the channels of training, by name."""
        return windows.with_channels(self.channels_.values.tolist())

    def _check_regions(self, windows: WindowedRuns, rois: Sequence[str]) -> None:
        if tuple(windows.rois) != tuple(rois):
            raise SchemaError(first_difference("X", rois, windows.rois))

    def _check_atlas(self, windows: WindowedRuns) -> None:
        if windows.atlas and self.atlas_ and windows.atlas != self.atlas_:
            raise SchemaError(
                message(
                    "X", f"regions of the atlas {self.atlas_}", windows.atlas,
                    "predict with the model of that atlas",
                )
            )  # fmt: skip

    def _by_roi(self, values: np.ndarray, name: str | None = None) -> xr.DataArray:
        return xr.DataArray(
            values, dims="roi", coords={"roi": self.rois_.values}, name=name
        )

    def _learn(
        self, windows: WindowedRuns, Y: np.ndarray, held: WindowedRuns | None
    ) -> None:
        """Learn from windows and scaled targets (window, roi)."""
        raise TypeError(f"{type(self).__name__} learns nothing")

    def _predict(self, windows: WindowedRuns) -> np.ndarray:
        """Scaled targets (window, roi)."""
        raise TypeError(f"{type(self).__name__} predicts nothing")


def spans_of(windows: WindowedRuns) -> xr.DataArray:
    """Seconds of EEG in the windows, overlapping ones joined: (span, edge)."""
    table = windows.table.sort_values(["label", "begin"])
    new = (table["label"] != table["label"].shift()) | (
        table["begin"] > table["end"].shift()
    )
    spans = table.groupby(new.cumsum()).agg(
        label=("label", "first"), begin=("begin", "first"), end=("end", "last")
    )
    return xr.DataArray(
        spans[["begin", "end"]].to_numpy(),
        dims=("span", "edge"),
        coords={
            "edge": ["begin", "end"],
            "label": ("span", spans["label"].to_numpy(dtype=object)),
        },
        attrs={"units": "s"},
        name="spans",
    )
