"""Do intervals hold what they promise?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from neuroana.eeg2fmri.windowing import as_windows
from neuroana.learn.conformal import half_widths


LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9)


def interval_coverage(
    model: Any, calibration: Any, test: Any, *, levels: Sequence[float] = LEVELS
) -> pd.DataFrame:
    """Share of the test volumes that intervals of several levels hold.

    Use it on runs of which none trained the model, and none is in both parts.

    Parameters
    ----------
    model : fitted estimator of this wing
    calibration, test : runs or WindowedRuns
    levels : sequence of float

    Returns
    -------
    DataFrame
        One row a level, run and region: ``level``, ``run``, ``roi``, ``coverage``.

    Raises
    ------
    LeakageError
        If the model has seen any of the runs.

    Examples
    --------
    >>> from neuroana.eeg2fmri import BandPowerRidge, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(5, n_volumes=150, random_state=0)
    >>> model = BandPowerRidge().fit(runs[:2])
    >>> table = interval_coverage(model, runs[2:4], runs[4:], levels=[0.6])
    >>> bool(0.4 < table.coverage.mean() < 0.8)
    True
    """
    errors = []
    for part in (calibration, test):
        model.refuse_seen(part)
        windows = as_windows(part, paper_mode=model.paper_mode)
        windows = windows[np.isfinite(windows.y).any(axis=1)]
        off = windows.y - model.predict(windows)
        errors.append([(windows.runs[r].label, off[at]) for r, at in windows.by_run()])
    rois = model.rois_.values
    rows = []
    for level in levels:
        half = half_widths([e for _, e in errors[0]], level)
        for label, off in errors[1]:
            known = np.isfinite(off)
            inside = (known & (np.abs(np.nan_to_num(off)) <= half)).sum(axis=0)
            share = inside / np.maximum(known.sum(axis=0), 1)
            rows += [
                {"level": float(level), "run": label, "roi": str(roi), "coverage": c}
                for roi, c in zip(rois, share)
            ]
    return pd.DataFrame(rows)
