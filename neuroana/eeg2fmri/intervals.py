"""Intervals around predicted courses, calibrated on runs that the model never saw."""

from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import SchemaError
from neuroana.eeg2fmri.windowing import as_windows
from neuroana.learn.conformal import half_widths


def interval_widths(model: Any, X: Any, *, level: float = 0.9) -> xr.DataArray:
    """Half widths of prediction intervals, by region.

    Use it with whole runs that neither trained nor selected the model, three at least.
    Makes no assumption on the errors but that those of new runs are like these.

    Parameters
    ----------
    model : fitted estimator of this wing
    X : runs or WindowedRuns
    level : float, default=0.9
        Share of volumes that an interval should hold.

    Returns
    -------
    DataArray (roi,)
        In the units of the BOLD; infinite where the runs say too little for `level`.

    Raises
    ------
    LeakageError
        If the model has seen these runs.
    SchemaError
        If they hold no target.

    Examples
    --------
    >>> from neuroana.eeg2fmri import BandPowerRidge, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(4, n_volumes=120, random_state=0)
    >>> model = BandPowerRidge().fit(runs[:2])
    >>> interval_widths(model, runs[2:]).sizes["roi"]
    4
    """
    model.refuse_seen(X)
    windows = as_windows(X, paper_mode=model.paper_mode)
    windows = windows[np.isfinite(windows.y).any(axis=1)]
    if not len(windows):
        raise SchemaError(message("X", "runs with targets", "no window with a target"))
    errors = windows.y - model.predict(windows)
    runs = [errors[at] for _, at in windows.by_run()]
    rois = np.array(windows.rois, dtype=object)
    return xr.DataArray(
        half_widths(runs, level), dims="roi", coords={"roi": rois}, name="half_width",
        attrs={"level": float(level), "n_runs": len(runs)},
    )  # fmt: skip


def with_intervals(prediction: xr.DataArray, widths: xr.DataArray) -> xr.Dataset:
    """A predicted course with its lower and upper bound.

    Parameters
    ----------
    prediction : DataArray (..., roi)
        From ``predict``.
    widths : DataArray (roi,)
        From :func:`interval_widths`.

    Returns
    -------
    Dataset
        prediction, lower, upper.

    Examples
    --------
    >>> rois = {"roi": ["a"]}
    >>> course = xr.DataArray([[1.0], [2.0]], dims=("time", "roi"), coords=rois)
    >>> width = xr.DataArray([0.5], dims="roi", coords=rois, attrs={"level": 0.9})
    >>> with_intervals(course, width).upper.values.ravel().tolist()
    [1.5, 2.5]
    """
    names, known = prediction["roi"].values.tolist(), widths["roi"].values.tolist()
    if set(names) - set(known):
        raise SchemaError(
            message("widths", f"regions {names}", known, "calibrate the same model")
        )
    half = widths.sel(roi=names).to_numpy()
    made = xr.Dataset({"prediction": prediction})
    made["lower"] = prediction.copy(data=prediction.to_numpy() - half)
    made["upper"] = prediction.copy(data=prediction.to_numpy() + half)
    return made.assign_attrs(level=float(widths.attrs.get("level", np.nan)))
