"""How well a region could be predicted at most, where anything says so.

| kind        | ceiling                           | what it bounds                     |
| ----------- | --------------------------------- | ---------------------------------- |
| simulator   | sqrt of the share that is driven  | exact                              |
| people      | sqrt of the mean R between people | what a shared stimulus drives      |
| halves      | sqrt(2 r / (1 + r)), r of halves  | from above: halves share noise     |
| own past    | R of the best line on 3 volumes   | no ceiling: a line to be wary of   |
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ShapeError
from neuroana.eeg2fmri.scores import correlation, fisher_mean
from neuroana.eeg2fmri.windowing import as_windows


PAST = 3  # volumes
BOUNDS = ("simulator", "people", "halves")


def region_ceilings(
    X: Any, *, truth: xr.Dataset | None = None, shared: bool = False,
    halves: Sequence[tuple[np.ndarray, np.ndarray]] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Collect what bounds the correlation of each region.

    Parameters
    ----------
    X : runs or WindowedRuns
    truth : Dataset, optional
        Of :func:`simulate_eeg_fmri`.
    shared : bool, default=False
        Whether all people saw the same at the same time (a film, a task).
    halves : sequence of (ndarray (volume, roi), ndarray (volume, roi)), optional
        Courses of two halves of the voxels of each region, or of two echoes, run by
        run.

    Returns
    -------
    DataFrame
        One row a region and kind: ``ceiling``, and ``bound``, False for the line of a
        region's own past, which is what R looks like when the truth leaks.

    Raises
    ------
    ShapeError
        If halves do not fit the regions.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, truth = simulate_eeg_fmri(2, n_volumes=150, random_state=0)
    >>> table = region_ceilings(runs, truth=truth)
    >>> table[table.bound].ceiling.round(3).tolist()
    [0.632, 0.632, 0.632, 0.632]
    """
    windows = as_windows(X)
    courses = [windows.runs[r].targets for r in windows.present]
    rois = list(windows.rois)
    found: dict[str, np.ndarray] = {}
    if truth is not None:
        found["simulator"] = truth["ceiling"].sel(roi=rois).to_numpy()
    if shared:
        found["people"] = between_people(courses, windows)
    if halves is not None:
        found["halves"] = between_halves(halves, len(rois))
    past = np.stack([own_past(y) for y in courses])
    found["own past"] = np.array([fisher_mean(column) for column in past.T])
    rows = [
        {"roi": roi, "kind": kind, "ceiling": float(value), "bound": kind in BOUNDS}
        for kind, values in found.items()
        for roi, value in zip(rois, values)
    ]
    return pd.DataFrame(rows)


def between_people(courses, windows) -> np.ndarray:
    """Root of the mean correlation between runs of different people, (roi,)."""
    present = list(windows.present)
    who = [windows.runs[r].entities.get("subject", str(r)) for r in present]
    n = min(map(len, courses))
    pairs = [
        correlation(courses[i][:n], courses[j][:n])
        for i in range(len(who)) for j in range(i) if who[i] != who[j]
    ]  # fmt: skip
    if not pairs:
        return np.full(courses[0].shape[1], np.nan)
    mean = np.array([fisher_mean(column) for column in np.stack(pairs).T])
    return np.sqrt(np.maximum(mean, 0.0))


def between_halves(halves, n_rois: int) -> np.ndarray:
    """Root of the reliability of the whole region, (roi,)."""
    for a, b in halves:
        if np.shape(a) != np.shape(b) or np.shape(a)[-1] != n_rois:
            raise ShapeError(
                message("halves", f"pairs of one shape (volume, {n_rois})",
                        (np.shape(a), np.shape(b)))
            )  # fmt: skip
    r = np.stack([correlation(np.asarray(a), np.asarray(b)) for a, b in halves])
    mean = np.maximum([fisher_mean(column) for column in r.T], 0.0)
    return np.sqrt(2 * mean / (1 + mean))


def own_past(y: np.ndarray) -> np.ndarray:
    """R of each course with the best line on its last three volumes, (roi,)."""
    out = np.full(y.shape[1], np.nan)
    for k, x in enumerate(y.T):
        lagged = np.column_stack([x[PAST - i : len(x) - i] for i in range(PAST + 1)])
        lagged = lagged[np.isfinite(lagged).all(axis=1)]
        if len(lagged) > 4 * PAST and lagged[:, 0].std() > 0:
            A = np.column_stack([lagged[:, 1:], np.ones(len(lagged))])
            w, *_ = np.linalg.lstsq(A, lagged[:, 0], rcond=None)
            out[k] = correlation((A @ w)[:, None], lagged[:, :1])[0]
    return out


def ceiling_verdict(ceilings: pd.DataFrame) -> str:
    """One sentence on a table of :func:`region_ceilings`.

    Examples
    --------
    >>> ceiling_verdict(pd.DataFrame(
    ...     {"roi": ["a"], "kind": ["own past"], "ceiling": [0.8], "bound": [False]}))
    'No ceiling available.'
    """
    known = ceilings[ceilings["bound"] & ceilings["ceiling"].notna()]
    if not len(known):
        return "No ceiling available."
    parts = [
        f"{part['ceiling'].median():.2f} ({kind})"
        for kind, part in known.groupby("kind", sort=False)
    ]
    return f"Median ceiling of R over regions: {', '.join(parts)}."
