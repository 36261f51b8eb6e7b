"""Correlation and error of predicted courses, run by run."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ShapeError


LEAST = 30  # volumes below which a correlation says nothing
CLIP = 1 - 1e-9


def correlation(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pearson R by column over rows where both are known; NaN without variance.

    Examples
    --------
    >>> correlation(np.arange(4.0)[:, None], 2 * np.arange(4.0)[:, None]).tolist()
    [1.0]
    """
    if prediction.shape != truth.shape:
        raise ShapeError(
            message("prediction", f"shape {truth.shape}", prediction.shape)
        )
    known = np.isfinite(prediction) & np.isfinite(truth)
    n = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (
            np.where(known, v - np.where(known, v, 0).sum(axis=0) / n, 0.0)
            for v in (prediction, truth)
        )
        size = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        r = np.where(size > 1e-12 * n, (a * b).sum(axis=0) / size, np.nan)
    return np.clip(r, -1.0, 1.0)


def fisher_mean(r: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Average of correlations, tanh(mean atanh R); NaN do not count.

    Examples
    --------
    >>> round(fisher_mean(np.array([0.5, 0.5, np.nan])), 6)
    0.5
    """
    r = np.asarray(r, dtype=float)
    known = np.isfinite(r)
    if not known.any():
        return float("nan")
    z = np.arctanh(np.clip(r[known], -CLIP, CLIP))
    w = None if weights is None else np.broadcast_to(weights, r.shape)[known]
    return float(np.tanh(np.average(z, weights=w)))


def region_scores(predictions: xr.Dataset) -> pd.DataFrame:
    """R and mean squared error of every model, run and region.

    Use it on what :func:`compare_models` predicted.

    Parameters
    ----------
    predictions : Dataset
        ``prediction`` (model, volume, roi) and ``truth`` (volume, roi) with ``label``,
        ``fold``, and the entities along `volume`.

    Returns
    -------
    DataFrame
        One row a model, fold, run and region: ``n_volumes``, ``r``, ``mse``,
        ``mse_constant`` (of the mean of the tested volumes: the least that a constant
        can have), and ``testable``, whether there are 30 volumes.

    Examples
    --------
    >>> truth = np.arange(40.0)[:, None]
    >>> ds = xr.Dataset(
    ...     {"prediction": (("model", "volume", "roi"), truth[None] / 2),
    ...      "truth": (("volume", "roi"), truth)},
    ...     coords={"model": ["half"], "roi": ["a"], "label": ("volume", ["x"] * 40),
    ...             "fold": ("volume", [0] * 40)})
    >>> region_scores(ds)[["model", "roi", "n_volumes", "r"]].values.tolist()
    [['half', 'a', 40, 1.0]]
    """
    keys = ["fold", "label"]
    extra = [e for e in ("subject", "session", "task", "run") if e in predictions]
    frame = pd.DataFrame({k: predictions[k].to_numpy() for k in [*keys, *extra]})
    truth = predictions["truth"].to_numpy()
    rows = []
    for _, group in frame.groupby(keys, sort=False):
        at = group.index.to_numpy()
        about = group.iloc[0].to_dict()
        y = truth[at]
        n = np.isfinite(y).sum(axis=0)
        constant = np.nanvar(y, axis=0) if len(y) else np.full(y.shape[1], np.nan)
        for name in predictions["model"].to_numpy():
            p = predictions["prediction"].sel(model=name).to_numpy()[at]
            rows.append(
                pd.DataFrame(
                    {
                        "model": str(name),
                        **about,
                        "roi": predictions["roi"].to_numpy(),
                        "n_volumes": n,
                        "r": correlation(p, y),
                        "mse": np.nanmean((p - y) ** 2, axis=0),
                        "mse_constant": constant,
                        "testable": n >= LEAST,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def summary(scores: pd.DataFrame, by: Sequence[str] = ("model", "roi")) -> pd.DataFrame:
    """Averages over runs and folds: Fisher mean of R weighted by volumes, mean MSE.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "a", "roi": "x", "r": [0.2, 0.4], "mse": 1.0,
    ...                       "mse_constant": 2.0, "n_volumes": [50, 50], "label": "q"})
    >>> summary(table).round(3).values.tolist()
    [['a', 'x', 0.303, 0.5, 2]]
    """
    rows = []
    for key, part in scores.groupby(list(by), sort=False):
        weights = np.maximum(part["n_volumes"].to_numpy() - 3, 1)
        rows.append(
            {
                **dict(zip(by, key)),
                "r": fisher_mean(part["r"].to_numpy(), weights),
                "mse_share": float((part["mse"] / part["mse_constant"]).mean()),
                "n_tests": len(part),
            }
        )
    return pd.DataFrame(rows)
