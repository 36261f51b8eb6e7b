"""Functional connectivity of predicted courses, beside what anyone's looks like.

Connectivity matrices of people resemble each other: a prediction has said something
about a run only where it is closer to that run than the mean of the others is.
"""

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import SchemaError
from neuroana.eeg2fmri.scores import LEAST


OTHERS = "mean of others"
CLIP = 1 - 1e-9


def predicted_connectivity(predictions: xr.Dataset) -> xr.Dataset:
    """Correlations between regions, measured, predicted, and of all other people.

    Parameters
    ----------
    predictions : Dataset
        From :func:`compare_models`. Folds of a run are centred one by one, then joined.

    Returns
    -------
    Dataset
        ``true`` (run, source, target), ``predicted`` (model, run, source, target) and
        ``others`` (run, source, target), the mean of the measured matrices of other
        people (of other runs, where there is one person). Runs with fewer than 30
        tested volumes are left out.

    Raises
    ------
    SchemaError
        If there are fewer than two regions or two such runs.

    Examples
    --------
    >>> truth = np.random.default_rng(0).standard_normal((80, 3))
    >>> ds = xr.Dataset(
    ...     {"prediction": (("model", "volume", "roi"), truth[None]),
    ...      "truth": (("volume", "roi"), truth)},
    ...     coords={"model": ["m"], "roi": list("abc"), "fold": ("volume", [0] * 80),
    ...             "label": ("volume", ["x"] * 40 + ["y"] * 40)})
    >>> dict(predicted_connectivity(ds).predicted.sizes)
    {'model': 1, 'run': 2, 'source': 3, 'target': 3}
    """
    labels = predictions["label"].to_numpy()
    who = predictions["subject"].to_numpy() if "subject" in predictions else labels
    runs = [r for r in dict.fromkeys(labels.tolist()) if (labels == r).sum() >= LEAST]
    rois = predictions["roi"].to_numpy()
    if len(runs) < 2 or len(rois) < 2:
        raise SchemaError(
            message("predictions", "two runs of 30 volumes and two regions at least",
                    f"{len(runs)} runs, {len(rois)} regions")
        )  # fmt: skip
    people = np.array([who[labels == r][0] for r in runs])
    people = people if len(set(people)) > 1 else np.array(runs)
    folds = predictions["fold"].to_numpy()
    truth = predictions["truth"].transpose("volume", "roi").to_numpy()
    values = predictions["prediction"].transpose("model", "volume", "roi").to_numpy()
    true = np.stack([matrix_of(truth, folds, labels == r) for r in runs])
    made = np.stack([
        [matrix_of(v, folds, labels == r) for r in runs] for v in values
    ])  # fmt: skip
    with np.errstate(invalid="ignore"):
        others = np.stack([
            np.tanh(np.nanmean(np.arctanh(true[people != p].clip(-CLIP, CLIP)), 0))
            for p in people
        ])  # fmt: skip
    square = ("source", "target")
    return xr.Dataset(
        {
            "true": (("run", *square), true),
            "predicted": (("model", "run", *square), made),
            "others": (("run", *square), others),
        },
        coords={
            "model": predictions["model"].to_numpy(),
            "run": np.array(runs, dtype=object), "source": rois, "target": rois,
        },
    )  # fmt: skip


def matrix_of(values: np.ndarray, folds: np.ndarray, mine: np.ndarray) -> np.ndarray:
    """Correlations (roi, roi) of one run, its folds centred one by one."""
    x = values[mine].astype(float)
    for fold in np.unique(folds[mine]):
        at = folds[mine] == fold
        x[at] -= np.nanmean(x[at], axis=0)
    known = np.isfinite(x)
    x = np.where(known, x, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.sqrt(((x**2).T @ known) * (known.T @ x**2))
        return np.where(size > 1e-12, (x.T @ x) / size, np.nan)


def connectivity_scores(connectivity: xr.Dataset) -> pd.DataFrame:
    """Error and likeness of predicted connectivity, and whose it is.

    Parameters
    ----------
    connectivity : Dataset
        From :func:`predicted_connectivity`.

    Returns
    -------
    DataFrame
        One row a model and run, and one for the mean of others: ``error`` (mean
        absolute difference over pairs of regions), ``likeness`` (correlation over
        pairs), ``rank`` (share of other runs whose measured matrix the prediction is
        less like; 0.5 is chance, 1 identifies the run).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.standard_normal((120, 4)) + rng.standard_normal((120, 1))
    >>> ds = xr.Dataset(
    ...     {"prediction": (("model", "volume", "roi"), truth[None]),
    ...      "truth": (("volume", "roi"), truth)},
    ...     coords={"model": ["m"], "roi": list("abcd"), "fold": ("volume", [0] * 120),
    ...             "label": ("volume", np.repeat(["x", "y", "z"], 40))})
    >>> table = connectivity_scores(predicted_connectivity(ds))
    >>> table.query("model == 'm'")[["error", "rank"]].round(6).values.tolist()
    [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    """
    upper = np.triu_indices(connectivity.sizes["source"], 1)
    true = connectivity["true"].to_numpy()[:, upper[0], upper[1]]
    named = {
        str(m): connectivity["predicted"].sel(model=m).to_numpy()
        for m in connectivity["model"].to_numpy()
    }
    named[OTHERS] = connectivity["others"].to_numpy()
    rows = []
    for name, matrices in named.items():
        pairs = matrices[:, upper[0], upper[1]]
        for r, run in enumerate(connectivity["run"].to_numpy()):
            like = np.array([likeness(pairs[r], t) for t in true])
            other = np.delete(like, r)
            error = np.abs(pairs[r] - true[r])
            known = np.isfinite(error).any()
            rows.append({
                "model": name, "run": str(run),
                "error": float(np.nanmean(error)) if known else np.nan,
                "likeness": like[r],
                "rank": float(np.mean((other < like[r]) + 0.5 * (other == like[r]))),
            })  # fmt: skip
    return pd.DataFrame(rows)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation over pairs of regions that both have; NaN without variance."""
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 3 or a[known].std() < 1e-12 or b[known].std() < 1e-12:
        return float("nan")
    return float(np.corrcoef(a[known], b[known])[0, 1])
