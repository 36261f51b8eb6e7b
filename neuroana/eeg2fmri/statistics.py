"""What can be claimed of predicted courses: per region, run by run and over people.

| column                 | meaning                                                  |
| ---------------------- | -------------------------------------------------------- |
| r, low, high           | Fisher mean of R over spans, interval over people        |
| n_volumes, n_eff       | tested volumes, and the independent ones they are worth  |
| p_phase, p_family      | against truths with random phases: region, all regions   |
| q                      | false discovery rate of p_phase over regions             |
| p_bartlett             | normal approximation with n_eff                          |
| p_people               | sign flips over people, runs of a person averaged first  |
| r_specific, p_specific | the true global signal taken out; p over all regions     |
| mse_share              | squared error over variance of the truth; 1: a constant  |

A span is what one fold tests of one run: it has its own mean, and is not joined with
others. Control regions (ventricles, veins) carry no neural signal: a model that
predicts them as well predicts arousal, movement or artefact.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_names, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.progress import track
from neuroana.core.random import branch, branch_seed, draw_seed
from neuroana.eeg2fmri.scores import LEAST, correlation, fisher_mean
from neuroana.learn.series_tests import (
    bartlett_test,
    filled,
    phase_test,
    sign_flip_test,
)


N_BOOTSTRAP = 2000
MOST_GAP = 5  # volumes that a span may miss in a row
LEVEL = 0.95
TESTABLE = 6.0  # independent samples below which no p is given
Spans = list[tuple[np.ndarray, np.ndarray]]


def region_statistics(
    predictions: xr.Dataset,
    *,
    controls: Sequence[str] = (),
    global_signal: str | None = None,
    n_surrogates: int = 1000,
    random_state: Any = 0,
    progress: bool | None = False,
) -> pd.DataFrame:
    """Correlation of every model in every region, with what is needed to believe it.

    Use it on what :func:`compare_models` predicted. Costs one matrix product of
    surrogates x frequencies x regions a span and model.

    Parameters
    ----------
    predictions : Dataset
        ``prediction`` (model, volume, roi), ``truth`` (volume, roi), with ``fold``,
        ``label`` and ``subject`` along `volume`.
    controls : sequence of str
        Regions without neural signal.
    global_signal : str, optional
        Region that is the global signal; the mean of all regions but the controls when
        left out.
    n_surrogates : int, default=1000
    random_state : int, Generator or None
        Of surrogates, sign flips and bootstrap.
    progress : bool, optional

    Returns
    -------
    DataFrame
        One row a model and region; see the table of this module. p and q are NaN below
        6 independent samples or 30 volumes: not testable.

    Raises
    ------
    ParameterError
        If a region is not there.

    Examples
    --------
    >>> truth, noise = np.random.default_rng(0).standard_normal((2, 400, 2))
    >>> ds = xr.Dataset(
    ...     {"prediction": (("model", "volume", "roi"), (truth + noise)[None]),
    ...      "truth": (("volume", "roi"), truth)},
    ...     coords={"model": ["m"], "roi": ["a", "b"], "label": ("volume", ["x"] * 400),
    ...             "subject": ("volume", ["1"] * 400), "fold": ("volume", [0] * 400)})
    >>> table = region_statistics(ds, n_surrogates=99)
    >>> table[["roi", "r", "p_family"]].round(2).values.tolist()
    [['a', 0.74, 0.01], ['b', 0.73, 0.01]]
    """
    check_number("n_surrogates", n_surrogates, minimum=1, integer=True)
    rois = [str(r) for r in predictions["roi"].to_numpy()]
    check_names("controls", controls, rois)
    if global_signal is not None:
        check_names("global_signal", [global_signal], rois)
    seed = draw_seed(random_state)
    tables = []
    models = predictions["model"].to_numpy()
    for name in track(models, "models", progress=progress):
        spans, people = spans_of(predictions, name)
        table = model_statistics(spans, people, n_surrogates, seed)
        rest = without_global(spans, rois, controls, global_signal)
        specific = phase_test(rest, n_surrogates, seed=branch_seed(seed, 1))
        table["r_specific"], table["p_specific"] = specific.r, specific.p_family
        table.insert(0, "model", str(name))
        table.insert(1, "roi", rois)
        table.insert(2, "control", [r in set(controls) for r in rois])
        tables.append(table)
    made = pd.concat(tables, ignore_index=True)
    weak = (made["n_eff"] < TESTABLE) | (made["n_volumes"] < LEAST)
    made.loc[weak, [c for c in made if c.startswith("p_") or c == "q"]] = np.nan
    return made


def model_statistics(
    spans: Spans, people: np.ndarray, n_surrogates: int, seed: int
) -> pd.DataFrame:
    """Everything but the names, of one model."""
    from scipy.stats import false_discovery_control

    found = phase_test(spans, n_surrogates, seed=branch_seed(seed, 0))
    _, p_bartlett = bartlett_test(spans)
    z = fisher_of_people(spans, people)
    low, high = interval_over(z, branch_seed(seed, 2))
    p_people = np.full(len(found.r), np.nan)
    if len(z) > 1:
        p_people, _ = sign_flip_test(z, seed=branch_seed(seed, 3))
    q = np.full(len(found.r), np.nan)
    known = np.isfinite(found.p)
    if known.any():
        q[known] = false_discovery_control(found.p[known])
    truths = [np.isfinite(t) & np.isfinite(p) for t, p in spans]
    return pd.DataFrame({
        "r": found.r, "low": low, "high": high,
        "n_people": np.isfinite(z).sum(axis=0),
        "n_volumes": np.sum([k.sum(axis=0) for k in truths], axis=0),
        "n_eff": found.n_eff, "p_phase": found.p, "p_family": found.p_family, "q": q,
        "p_bartlett": p_bartlett, "p_people": p_people, "mse_share": mse_share(spans),
    })  # fmt: skip


def model_differences(
    predictions: xr.Dataset, reference: str, *, random_state: Any = 0
) -> pd.DataFrame:
    """Is a model better than another, person by person?

    Parameters
    ----------
    predictions : Dataset
        As in :func:`region_statistics`, two models at least.
    reference : str
        The model that others are compared with.
    random_state : int, Generator or None

    Returns
    -------
    DataFrame
        One row a model and region, and one for the mean over regions (roi ``'mean'``):
        difference of Fisher z with its interval over people, p and family-wise p by
        sign flips over people (runs, where there is one person).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.standard_normal((240, 1))
    >>> noise = rng.standard_normal((2, 240, 1)) * np.array([0.5, 5.0])[:, None, None]
    >>> ds = xr.Dataset(
    ...     {"prediction": (("model", "volume", "roi"), truth + noise),
    ...      "truth": (("volume", "roi"), truth)},
    ...     coords={"model": ["good", "poor"], "roi": ["a"],
    ...             "fold": ("volume", [0] * 240),
    ...             "label": ("volume", np.repeat(list("abcdef"), 40)),
    ...             "subject": ("volume", np.repeat(list("abcdef"), 40))})
    >>> table = model_differences(ds, "poor")
    >>> table["p"].round(3).tolist()
    [0.031, 0.031]
    """
    models = [str(m) for m in predictions["model"].to_numpy()]
    check_names("reference", [reference], models)
    seed = draw_seed(random_state)
    rois = [str(r) for r in predictions["roi"].to_numpy()]
    base_spans, people = spans_of(predictions, reference)
    base = fisher_of_people(base_spans, people)
    tables = []
    for name in models:
        if name == reference:
            continue
        z = fisher_of_people(spans_of(predictions, name)[0], people) - base
        with np.errstate(invalid="ignore"):
            z = np.column_stack([z, np.nanmean(z, axis=1)])
        low, high = interval_over(z, branch_seed(seed, 2), back=False)
        p, family = sign_flip_test(z, seed=branch_seed(seed, 3))
        tables.append(pd.DataFrame({
            "model": name, "reference": reference, "roi": [*rois, "mean"],
            "difference": np.nanmean(z, axis=0), "low": low, "high": high,
            "n_people": np.isfinite(z).sum(axis=0), "p": p, "p_family": family,
        }))  # fmt: skip
    if not tables:
        raise ParameterError(
            message("predictions", "a second model", models, "compare two models")
        )
    return pd.concat(tables, ignore_index=True)


def other_people_statistics(predictions: xr.Dataset) -> pd.DataFrame:
    """Does a prediction fit its own run better than runs of other people?

    What all runs share (drifts, a task) helps with both and cancels.

    Parameters
    ----------
    predictions : Dataset
        As in :func:`region_statistics`; spans of unequal length are cut to the shorter.

    Returns
    -------
    DataFrame
        One row a model and region: ``r_own``, ``r_others`` (Fisher means), and
        ``rank``, the mean share of other people's runs that fit worse; 0.5 is chance.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.standard_normal((160, 1))
    >>> ds = xr.Dataset(
    ...     {"prediction": (("model", "volume", "roi"), truth[None]),
    ...      "truth": (("volume", "roi"), truth)},
    ...     coords={"model": ["m"], "roi": ["a"], "fold": ("volume", [0] * 160),
    ...             "label": ("volume", np.repeat(list("abcd"), 40)),
    ...             "subject": ("volume", np.repeat(list("abcd"), 40))})
    >>> other_people_statistics(ds)["rank"].item()
    1.0
    """
    rows = []
    for name in predictions["model"].to_numpy():
        spans, people = spans_of(predictions, name)
        own, others, ranks = [], [], []
        for i, (truth, prediction) in enumerate(spans):
            mine = correlations(truth, prediction)
            rest = [
                correlations(spans[j][0], prediction)
                for j in np.flatnonzero(people != people[i])
            ]
            own.append(mine)
            if rest:
                others.append(np.stack(rest))
                ranks.append((np.stack(rest) < mine).mean(axis=0))
        if not ranks:
            raise ParameterError(
                message("predictions", "runs of two people at least", "one person")
            )
        for k, roi in enumerate(predictions["roi"].to_numpy()):
            rows.append({
                "model": str(name), "roi": str(roi),
                "r_own": fisher_mean(np.array([v[k] for v in own])),
                "r_others": fisher_mean(np.concatenate([v[:, k] for v in others])),
                "rank": float(np.mean([v[k] for v in ranks])),
            })  # fmt: skip
    return pd.DataFrame(rows)


def lagged_correlations(predictions: xr.Dataset, max_lag: int = 6) -> xr.DataArray:
    """R with the prediction moved against the truth; its peak must be at 0.

    Parameters
    ----------
    predictions : Dataset
    max_lag : int
        Volumes either way; positive when the prediction is late.

    Returns
    -------
    DataArray (model, lag, roi)

    Examples
    --------
    >>> truth = np.random.default_rng(0).standard_normal((100, 1))
    >>> ds = xr.Dataset(
    ...     {"prediction": (("model", "volume", "roi"), np.roll(truth, 2, 0)[None]),
    ...      "truth": (("volume", "roi"), truth)},
    ...     coords={"model": ["m"], "roi": ["a"], "fold": ("volume", [0] * 100),
    ...             "label": ("volume", ["x"] * 100)})
    >>> lagged_correlations(ds).idxmax("lag").values.tolist()
    [[2.0]]
    """
    check_number("max_lag", max_lag, minimum=0, integer=True)
    lags = np.arange(-max_lag, max_lag + 1)
    models = predictions["model"].to_numpy()
    values = np.full((len(models), len(lags), predictions.sizes["roi"]), np.nan)
    for m, name in enumerate(models):
        spans, _ = spans_of(predictions, name)
        for at, lag in enumerate(lags):
            moved = [
                correlations(t[max(-lag, 0) : len(t) - max(lag, 0)],
                             p[max(lag, 0) : len(p) - max(-lag, 0)])
                for t, p in spans if len(t) > abs(lag) + 2
            ]  # fmt: skip
            values[m, at] = [
                fisher_mean(np.array([r[k] for r in moved]))
                for k in range(values.shape[2])
            ]
    return xr.DataArray(
        values, dims=("model", "lag", "roi"), name="r",
        coords={"model": models, "lag": lags, "roi": predictions["roi"].to_numpy()},
        attrs={"lag_unit": "volume"},
    )  # fmt: skip


def spans_of(predictions: xr.Dataset, model: str) -> tuple[Spans, np.ndarray]:
    """Truth and prediction of every fold and run, and whose they are."""
    values = predictions["prediction"].sel(model=model).transpose("volume", "roi")
    p, t = values.to_numpy(), predictions["truth"].transpose("volume", "roi").to_numpy()
    spans, people = [], []
    for at in span_positions(predictions):
        spans.append((t[at], p[at]))
        label = str(predictions["label"].to_numpy()[at[0]])
        who = label
        if "subject" in predictions:
            who = str(predictions["subject"].to_numpy()[at[0]]) or label
        people.append(who)
    owners = np.array(people)
    if len(set(people)) == 1:  # one person: runs stand for people, then folds
        owners = np.array([
            str(predictions["label"].to_numpy()[at[0]])
            for at in span_positions(predictions)
        ])  # fmt: skip
    return spans, owners


def span_positions(predictions: xr.Dataset) -> Iterator[np.ndarray]:
    """Volumes of every run in every fold, cut where a stretch ends."""
    keys = pd.DataFrame({
        "fold": predictions["fold"].to_numpy(), "label": predictions["label"].to_numpy()
    })  # fmt: skip
    number = predictions["number"].to_numpy() if "number" in predictions else None
    for _, group in keys.groupby(["fold", "label"], sort=False):
        at = group.index.to_numpy()
        if number is None:
            yield at
            continue
        at = at[np.argsort(number[at], kind="stable")]
        breaks = np.flatnonzero(np.diff(number[at]) > MOST_GAP) + 1
        yield from (part for part in np.split(at, breaks) if len(part) > 3)


def fisher_of_people(spans: Spans, people: np.ndarray) -> np.ndarray:
    """Fisher z of each person, mean over spans weighted by volumes, (person, R)."""
    z = np.stack(
        [np.arctanh(correlations(*s).clip(-1 + 1e-9, 1 - 1e-9)) for s in spans]
    )
    weight = np.array([len(t) for t, _ in spans], dtype=float)
    out = []
    for who in dict.fromkeys(people.tolist()):
        mine = people == who
        known = np.isfinite(z[mine]) * weight[mine, None]
        total = known.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            out.append(np.where(total > 0,
                                (np.nan_to_num(z[mine]) * known).sum(axis=0) / total,
                                np.nan))  # fmt: skip
    return np.stack(out)


def correlations(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """R of the columns of two spans, the longer one cut."""
    n = min(len(truth), len(prediction))
    return correlation(prediction[:n], truth[:n])


def interval_over(z: np.ndarray, seed: int, *, back: bool = True):
    """Percentile interval of the mean over people, as R again if `back`."""
    if len(z) < 2:
        return np.full((2, z.shape[1]), np.nan)
    draws = branch(seed).integers(0, len(z), (N_BOOTSTRAP, len(z)))
    known = np.isfinite(z)
    count = known[draws].sum(axis=1)
    total = np.where(known, z, 0.0)[draws].sum(axis=1)
    tail = (1 - LEVEL) / 2
    bounds = np.full((2, z.shape[1]), np.nan)
    for k in np.flatnonzero(known.any(axis=0)):
        some = count[:, k] > 0
        means = total[some, k] / count[some, k]
        bounds[:, k] = np.quantile(means, [tail, 1 - tail])
    return np.tanh(bounds) if back else bounds


def without_global(
    spans: Spans, rois: Sequence[str], controls: Sequence[str], name: str | None
) -> Spans:
    """Spans after the true global signal has been regressed out of both."""
    use = np.array([r not in set(controls) for r in rois])
    made = []
    for truth, prediction in spans:
        full = filled(truth)
        g = full[:, rois.index(name)] if name else np.nanmean(full[:, use], axis=1)
        g = np.nan_to_num(g - np.nanmean(g))
        power = max(float(g @ g), 1e-300)
        made.append(tuple(
            v - np.outer(g, g @ np.nan_to_num(v - np.nanmean(v, axis=0))) / power
            for v in (full, filled(prediction))
        ))  # fmt: skip
    return made


def mse_share(spans: Spans) -> np.ndarray:
    """Mean squared error over the variance of the truth, mean over spans."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [
            np.nanmean((p - t) ** 2, axis=0) / np.nanvar(t, axis=0) for t, p in spans
        ]
    made = np.stack(shares)
    return np.where(np.isfinite(made), made, np.nan).mean(axis=0)
