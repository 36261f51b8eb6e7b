"""What heart, breath, muscle, eye, movement and scanner alone say about BOLD.

Both modalities see them: the heart moves the EEG leads and the vessels, arousal changes
breath and alpha. A model that reads such residue scores without any neural coupling.
Each course is taken once a second, and a volume reads the 16 seconds before it, as the
models do.

| course                | from                                                  |
| --------------------- | ----------------------------------------------------- |
| heart rate, -variability | beats (events, or an ECG channel)                   |
| pulse residue         | size of the mean beat in the EEG, beat by beat         |
| gradient residue      | size of the mean volume in the EEG, volume by volume   |
| ecg, eog, emg         | power of channels of that type                        |
| respiration           | spread of the belt over 6 s                            |
| further               | columns of a table, one row a volume (movement)        |
| time, time^2, time^3  | drifts                                                |
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_names, check_number, message
from neuroana.core.contract import label_of, rate_of
from neuroana.core.errors import SchemaError
from neuroana.eeg2fmri.band_power_ridge import FeatureRidge
from neuroana.eeg2fmri.readiness import BEAT, FEWEST, clean_signal, heart_beats
from neuroana.eeg2fmri.scores import correlation, fisher_mean
from neuroana.eeg2fmri.statistics import spans_of
from neuroana.eeg2fmri.windowing import runs_of


POWERS = ("ecg", "eog", "emg")
SMOOTH = 6.0  # seconds
LEVEL = 0.8  # share of a model's R^2 that confounds must explain for a warning


def confound_courses(
    runs: Any, tables: Mapping[str, pd.DataFrame] | None = None, *,
    heartbeat: str | None = None, only: Sequence[str] | None = None,
) -> xr.DataArray:  # fmt: skip
    """Courses of what is not neural, once a second.

    Use it for :class:`ConfoundRidge`. Cost: a second a run of 20 minutes.

    Parameters
    ----------
    runs : DataTree or list of DataTree
        From :func:`pair`.
    tables : dict of str to DataFrame, optional
        By the label of a run: further columns, one row a volume, such as framewise
        displacement.
    heartbeat : str, optional
        Event that marks each heart beat.
    only : sequence of str, optional
        Of the courses that can be made, these.

    Returns
    -------
    DataArray (run, second, confound)
        Standardised run by run; NaN beyond the end of a run, zero where a run lacks
        the source; ``start`` along `run` is the time of the first value.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(1, n_volumes=60, pulse_uv=5.0, random_state=0)
    >>> confound_courses(runs)["confound"].values[:3].tolist()
    ['heart rate', 'heart variability', 'pulse residue']
    """
    trees = runs_of(runs)
    labels = [label_of(tree["eeg"].to_dataset()) for tree in trees]
    made = [
        courses_of(tree, (tables or {}).get(label), heartbeat)
        for tree, label in zip(trees, labels)
    ]
    names = list(dict.fromkeys(name for one in made for name in one))
    if only is not None:
        names = check_names("only", only, names)
    n = max(len(one["time"]) for one in made)
    values = np.full((len(trees), n, len(names)), np.nan)
    for r, one in enumerate(made):
        for k, name in enumerate(names):
            values[r, : len(one["time"]), k] = standard(one.get(name, 0 * one["time"]))
    return xr.DataArray(
        values, dims=("run", "second", "confound"), name="confounds",
        coords={
            "run": np.array(labels, dtype=object),
            "start": ("run", [float(t["eeg"]["time"][0]) for t in trees]),
            "confound": np.array(names, dtype=object),
        },
    )  # fmt: skip


def courses_of(tree: xr.DataTree, table, heartbeat) -> dict[str, np.ndarray]:
    """Courses of one run by name, on a grid of one second from its start."""
    eeg, bold = tree["eeg"].to_dataset(), tree["bold"].to_dataset()
    clock = eeg["time"].to_numpy()
    grid = np.arange(clock[0], clock[-1], 1.0)
    x, rate, _ = clean_signal(tree)
    made: dict[str, np.ndarray] = {}
    beats = heart_beats(eeg, heartbeat)
    if len(beats) >= FEWEST:
        interval = np.diff(beats)
        made["heart rate"] = np.interp(grid, beats[1:], 60 / interval)
        change = np.abs(np.diff(interval, prepend=interval[0]))
        made["heart variability"] = smooth(np.interp(grid, beats[1:], change))
        length = round((BEAT[1] - BEAT[0]) * rate)
        starts = np.round((beats + BEAT[0] - clock[0]) * rate).astype(int)
        made["pulse residue"] = sizes(x, starts, length, grid - clock[0], rate)
    volumes = bold["time"].to_numpy()
    starts = np.round((volumes - clock[0]) * rate).astype(int)
    length = int(np.diff(starts).min())
    made["gradient residue"] = sizes(x, starts, length, grid - clock[0], rate)
    kinds = eeg["ch_type"].to_numpy() if "ch_type" in eeg.coords else np.array([])
    for kind in (*POWERS, "resp"):
        at = np.flatnonzero(kinds == kind)
        if at.size:
            signal = np.nan_to_num(eeg["signal"].to_numpy()[:, at].astype(float))
            breath = kind == "resp"
            made["respiration" if breath else f"{kind} power"] = spread(
                signal, rate_of(clock), grid - clock[0], SMOOTH if breath else 1.0
            )
    for name, column in ({} if table is None else dict(table.items())).items():
        if len(column) != len(volumes):
            raise SchemaError(
                message(f"{label_of(eeg)}: confounds {name!r}",
                        f"{len(volumes)} rows, one a volume", len(column))
            )  # fmt: skip
        known = np.isfinite(column.to_numpy(dtype=float))
        made[str(name)] = np.interp(
            grid, volumes[known], column.to_numpy(dtype=float)[known]
        )
    t = np.linspace(-1, 1, len(grid))
    return made | {"time": t, "time^2": t**2, "time^3": t**3}


def sizes(x, starts, length, grid, rate) -> np.ndarray:
    """How large the mean epoch is in each epoch, on the grid."""
    starts = np.unique(starts[(starts >= 0) & (starts + length <= len(x))])
    if len(starts) < FEWEST:
        return np.zeros(len(grid))
    mean = np.zeros((length, x.shape[1]))
    for start in starts:
        mean += x[start : start + length] / len(starts)
    power = max(float((mean**2).sum()), 1e-300)
    size = [float((x[s : s + length] * mean).sum()) / power for s in starts]
    return np.interp(grid, (starts + length / 2) / rate, size)


def spread(signal, rate, grid, width) -> np.ndarray:
    """Log standard deviation in `width` seconds around every point of the grid."""
    n = max(2, round(width * rate))
    first = np.clip((grid * rate - n / 2).astype(int), 0, max(len(signal) - n, 0))
    size = np.array([signal[i : i + n].std(axis=0).mean() for i in first])
    return np.log(size + 1e-3 * max(float(size.mean()), 1e-300))


def smooth(course: np.ndarray) -> np.ndarray:
    n = round(SMOOTH)
    return np.convolve(course, np.ones(n) / n, mode="same")


def standard(course: np.ndarray) -> np.ndarray:
    scale = course.std()
    large = max(np.abs(course).max(initial=0.0), 1e-30)
    return (course - course.mean()) / scale if scale > 1e-9 * large else 0 * course


class ConfoundRidge(FeatureRidge):
    """Predict BOLD from heart, breath, muscle, movement and scanner, without the EEG.

    Use it beside every model: what it reaches may be what they read. Cost: a fraction
    of that of :class:`BandPowerRidge`.

    Parameters
    ----------
    confounds : DataArray (run, second, confound)
        From :func:`confound_courses`, of all runs that it will meet.
    n_lags : int, default=16
        Seconds before the volume.
    alphas : sequence of float, optional
        Penalties to choose from.
    paper_mode, allow_overlap
        As for :class:`BandPowerRidge`.

    Attributes
    ----------
    courses_ : DataArray (run, second, confound)

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(3, n_volumes=150, confound_gain=1.0,
    ...                             neural_gain=0.0, random_state=0)
    >>> model = ConfoundRidge(confound_courses(runs)).fit(runs[:2])
    >>> bool(model.score(runs[2:]) > 0.3)
    True
    """

    def __init__(self, confounds=None, n_lags=16, *, alphas=None, paper_mode=False,
                 allow_overlap=False):  # fmt: skip
        self.confounds = confounds
        self.n_lags = n_lags
        self.alphas = alphas
        self.paper_mode = paper_mode
        self.allow_overlap = allow_overlap

    def _axes(self):
        return {"lag": np.arange(self.n_lags)}

    def _channels(self):
        return self.courses_["confound"].values

    def _learn(self, windows, Y, held):
        check_number("n_lags", self.n_lags, minimum=1, maximum=16, integer=True)
        if not isinstance(self.confounds, xr.DataArray):
            raise SchemaError(
                message("argument 'confounds'", "courses of confound_courses(runs)",
                        type(self.confounds).__name__)
            )  # fmt: skip
        self.courses_ = self.confounds.copy()
        super()._learn(windows, Y, held)

    def _features(self, windows):
        known = self.courses_["run"].values.tolist()
        shape = (len(windows), self.courses_.sizes["confound"], self.n_lags)
        out = np.empty(shape, dtype=np.float32)
        for r, at in windows.by_run():
            run = windows.runs[r]
            check_names("run", [run.label], known)
            courses = self.courses_.isel(run=known.index(run.label))
            values = courses.to_numpy()
            values = values[np.isfinite(values).all(axis=1)]
            place = run.times[windows.volumes[at]] - float(courses["start"])
            place = place[:, None] - np.arange(self.n_lags)
            second = np.clip(place.round().astype(int), 0, len(values) - 1)
            out[at] = values[second].transpose(0, 2, 1)
        return out

    def to_dataset(self) -> xr.Dataset:
        """As for every estimator; the courses are in ``courses_`` alone."""
        kept, self.confounds = self.confounds, None
        try:
            return super().to_dataset()
        finally:
            self.confounds = kept


def confound_audit(predictions: xr.Dataset, confounds: str) -> pd.DataFrame:
    """What is left of every model when confounds are taken out of the truth.

    Use it on a comparison that held a :class:`ConfoundRidge`, fitted in the same folds.

    Parameters
    ----------
    predictions : Dataset
        From :func:`compare_models`.
    confounds : str
        Name of the confound model.

    Returns
    -------
    DataFrame
        One row a model and region: ``r``, ``r_confounds`` (of the confound model),
        ``r_left`` (R with the truth less its regression on the confound model's course,
        span by span), ``share`` (of R^2 that went with it), and ``warning``, where that
        is 80 % or more.

    Examples
    --------
    >>> from neuroana.eeg2fmri import BandPowerRidge, compare_models, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(3, n_volumes=150, pulse_uv=5.0, random_state=0)
    >>> models = {"ridge": BandPowerRidge(),
    ...           "confounds": ConfoundRidge(confound_courses(runs))}
    >>> made = compare_models(runs, models, protocol="inter-subject", n_splits=3)
    >>> bool(confound_audit(made, "confounds")["warning"].any())
    False
    """
    models = [str(m) for m in predictions["model"].to_numpy()]
    check_names("confounds", [confounds], models)
    known, _ = spans_of(predictions, confounds)
    rows = []
    for name in models:
        if name == confounds:
            continue
        spans, _ = spans_of(predictions, name)
        weight = np.array([max(len(t) - 3, 1) for t, _ in spans])
        r = np.stack([correlation(p, t) for t, p in spans])
        other = np.stack([correlation(p, t) for t, p in known])
        left = np.stack([
            correlation(p, residual(t, c)) for (t, p), (_, c) in zip(spans, known)
        ])  # fmt: skip
        for k, roi in enumerate(predictions["roi"].to_numpy()):
            whole, rest = fisher_mean(r[:, k], weight), fisher_mean(left[:, k], weight)
            kept = max(rest, 0.0) ** 2 / whole**2 if whole > 0 else np.nan
            rows.append({
                "model": name, "roi": str(roi), "r": whole,
                "r_confounds": fisher_mean(other[:, k], weight), "r_left": rest,
                "share": max(0.0, 1 - kept) if np.isfinite(kept) else np.nan,
            })  # fmt: skip
    table = pd.DataFrame(rows)
    table["warning"] = (table["share"] >= LEVEL) & (table["r_confounds"] > 0.1)
    return table


def residual(truth: np.ndarray, course: np.ndarray) -> np.ndarray:
    """Truth less its regression on a course, column by column."""
    with np.errstate(invalid="ignore"):
        y = truth - np.nanmean(truth, axis=0)
        c = course - np.nanmean(course, axis=0)
    both = np.isfinite(y) & np.isfinite(c)
    y0, c0 = np.where(both, y, 0.0), np.where(both, c, 0.0)
    power = (c0**2).sum(axis=0)
    slope = np.divide((y0 * c0).sum(axis=0), power, out=np.zeros_like(power),
                      where=power > 1e-12)  # fmt: skip
    return np.where(both, y - slope * c, np.nan)


def confound_verdict(audit: pd.DataFrame) -> str:
    """One sentence on a table of :func:`confound_audit`, empty without a warning."""
    bad = audit[audit["warning"]]
    if not len(bad):
        return ""
    names = ", ".join(dict.fromkeys(bad["roi"]))
    return (
        f"Warning: heart, breath, movement or artefacts explain 80 % or more of the "
        f"prediction of {names}."
    )
