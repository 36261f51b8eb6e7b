"""Where a linear prediction comes from: channel, band and lag, with a null.

| symbol  | shape          | meaning                                          |
| ------- | -------------- | ------------------------------------------------ |
| X       | (window, cell) | standardised log power, a cell is channel x band x lag |
| w       | (cell, roi)    | ridge weights                                    |
| pattern | (cell, roi)    | cov(X, X w) / var(X w)                           |
| T       | (cell, roi)    | cov(X, X w), what the null is drawn for          |

Power comes from Hann frames of 2 s, every half second, that end before the volume: half
a second would smear a band over 4 Hz on either side. Weights are never shown: a weight
says what cancels, a pattern what the predicted course looks like in the EEG. The null
shifts the truth in a circle against the EEG, at the same penalty, and takes the largest
|T| over all cells. Regions that are not predicted have no attribution.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number
from neuroana.core.random import branch, branch_seed, draw_seed
from neuroana.eeg2fmri.band_power_ridge import FeatureRidge
from neuroana.eeg2fmri.features import (
    FLOOR,
    Standardiser,
    check_bands,
    per_window,
    spectra,
)
from neuroana.eeg2fmri.ridge import ALPHAS, inner_folds, ridge
from neuroana.eeg2fmri.scores import correlation, fisher_mean
from neuroana.eeg2fmri.windowed_runs import RATE, WindowedRuns
from neuroana.eeg2fmri.windowing import as_windows
from neuroana.learn.series_tests import phase_test


FRAME, HOP = 400, 100  # samples: 2 s, every half second
N_LAGS = 14
LEAST_SHIFT = 10  # volumes
KINDS = ("channel", "band", "lag")


class PatternRidge(FeatureRidge):
    """Ridge on log power in frames of 2 s, whose patterns are the attribution.

    Use it through :func:`pattern_attribution`. Cost: cubic in channels x bands x lags.

    Parameters
    ----------
    bands : 'default' or dict of str to (low, high)
    alphas : sequence of float, optional
        Penalties to choose from.
    paper_mode, allow_overlap
        As for :class:`BandPowerRidge`.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=150, random_state=0)
    >>> PatternRidge().fit(runs).pattern_["lag"].values[:3].tolist()
    [1.25, 2.25, 3.25]
    """

    def __init__(self, bands="default", alphas=None, *, paper_mode=False,
                 allow_overlap=False):  # fmt: skip
        self.bands = bands
        self.alphas = alphas
        self.paper_mode = paper_mode
        self.allow_overlap = allow_overlap

    def _axes(self):
        middle = (FRAME + HOP) / 2 / RATE
        return {"band": list(check_bands(self.bands)),
                "lag": np.arange(N_LAGS) + middle}  # fmt: skip

    def _features(self, windows):
        return slow_power(windows, check_bands(self.bands))

    def _solve(self, X, Y, windows):
        solved = super()._solve(X, Y, windows)
        self._seen = X, Y  # for the null
        return solved


def slow_power(windows: WindowedRuns, bands) -> np.ndarray:
    """Log power in frames of 2 s: (window, channel, band, lag).

    Lag l holds the two frames that end l and l + 0.5 s before the volume.
    """
    f = np.fft.rfftfreq(FRAME, 1 / RATE)
    masks = np.stack([(f >= a) & (f < b) for a, b in bands.values()], axis=1)

    def frames_of(run):
        key = ("slow bands", tuple(bands.items()))
        if key not in run.cache:
            parts = [p @ masks.astype(np.float32) for p in spectra(run.signal, FRAME)]
            run.cache[key] = np.concatenate(parts)
        return run.cache[key]

    step = HOP // 50  # frames of `spectra` start every 50 samples

    def make(run, at):
        frames = frames_of(run)
        last = (windows.starts[at] + windows.n_samples - FRAME) // 50
        ends = np.arange(N_LAGS) * round(RATE) // 50
        near = [frames[last[:, None] - ends - k * step] for k in (0, 1)]
        return np.log(np.moveaxis((near[0] + near[1]) / 2, 1, -1) + FLOOR)

    return per_window(windows, (len(windows.channels), len(bands), N_LAGS), make)


def pattern_attribution(
    train: Any, test: Any, *, bands: Any = "default", alphas: Any = None,
    n_shifts: int = 200, level: float = 0.05, random_state: Any = 0,
) -> xr.DataArray:  # fmt: skip
    """What the linearly predicted course of each region looks like in the EEG.

    Use it on regions that a linear model predicts, and beside
    :func:`refit_attribution`: neighbouring bands and electrodes carry the same
    modulation, and no method can part them by prediction alone. Cost: one
    decomposition of channels x bands x lags, and a matrix product a shift.

    Parameters
    ----------
    train, test : runs or WindowedRuns
        The test runs decide which regions are predicted.
    bands : 'default' or dict of str to (low, high)
    alphas : sequence of float, optional
    n_shifts : int, default=200
        Circular shifts of the truth, ten volumes at least.
    level : float, default=0.05
        Of the family-wise test that a region is predicted.
    random_state : int, Generator or None

    Returns
    -------
    DataArray (roi, channel, band, lag)
        Patterns, NaN for regions that are not predicted, with ``p`` (family-wise over
        cells) along all dims, ``r``, ``p_region`` and ``predicted`` along `roi`; `lag`
        in seconds from the middle of the frames to the volume.

    Raises
    ------
    LeakageError
        If a test run was seen in training.

    References
    ----------
    Haufe et al., "On the interpretation of weight vectors of linear models in
    multivariate neuroimaging", NeuroImage 87, 2014, equation 6.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(5, n_volumes=250, channels=("FZ", "C3", "OZ"),
    ...                             random_state=0)
    >>> found = pattern_attribution(runs[:4], runs[4:], n_shifts=19)
    >>> at = abs(found.sel(roi="alpha")).argmax(("channel", "band"))
    >>> str(found["channel"].values[at["channel"].values[4]])
    'OZ'
    """
    check_number("n_shifts", n_shifts, minimum=1, integer=True)
    seed = draw_seed(random_state)
    windows = as_windows(train)
    windows = windows[np.isfinite(windows.y).any(axis=1)]
    model = PatternRidge(bands, alphas).fit(windows)
    region = predicted_regions(model, test, level=level, seed=branch_seed(seed, 0))
    X, Y = model._seen
    null = shifted_maxima(
        X, Y, windows, model.alpha_.values, n_shifts, branch_seed(seed, 1)
    )
    T = covariances(X, np.nan_to_num(Y), model.alpha_.values)
    p = (1 + (null[:, None] >= np.abs(T) - 1e-12).sum(axis=0)) / (1 + n_shifts)
    pattern = model.pattern_.copy()
    pattern = pattern.assign_coords(
        p=(pattern.dims, p.T.reshape(pattern.shape)), **region
    )
    pattern["lag"].attrs["units"] = "s"
    pattern.attrs = {"method": "pattern", "n_shifts": n_shifts, "level": level}
    return pattern.where(pattern["predicted"]).rename("attribution")


def predicted_regions(model, test, *, level: float, seed: int) -> dict:
    """R of each region on runs that the model never saw, and whether it is chance."""
    model.refuse_seen(test)
    windows = as_windows(test, paper_mode=model.paper_mode)
    windows = windows[np.isfinite(windows.y).any(axis=1)]
    return region_coordinates(model.predict(windows), windows, level, seed)


def region_coordinates(values, windows, level, seed, n_draws: int = 1000) -> dict:
    """``r``, ``p_region`` and ``predicted`` as coordinates along `roi`."""
    spans = [(windows.y[at], values[at]) for _, at in windows.by_run()]
    found = phase_test(spans, n_draws, seed=seed)
    return {
        "r": ("roi", found.r),
        "p_region": ("roi", found.p_family),
        "predicted": ("roi", (found.p_family < level) & (found.r > 0)),
    }


def covariances(X: np.ndarray, Y: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """T of a ridge with the penalty of each column of Y, (cell, column)."""
    return next(covariances_of(X, [Y], alphas))


def covariances_of(X, targets, alphas) -> Iterator[np.ndarray]:
    """T for one set of targets after the other, from one decomposition.

    With X'X = V diag(d) V' it is V (d / (d + alpha)) V' X'Y / n.
    """
    Xc = X - X.mean(axis=0)
    d, V = np.linalg.eigh((Xc.T @ Xc).astype(np.float64))
    d = np.maximum(d, 0.0)[:, None]
    for Y in targets:
        inner = V.T @ (Xc.T @ (Y - Y.mean(axis=0)))
        yield V @ (d / (d + alphas) * inner) / len(X)


def shifted_maxima(X, Y, windows, alphas, n_shifts, seed) -> np.ndarray:
    """Largest |T| over cells with the truth shifted within its runs, (shift, roi)."""
    known = np.nan_to_num(Y)
    shifted = (shift(known, windows, branch(seed, k)) for k in range(n_shifts))
    made = covariances_of(X, shifted, alphas)
    return np.stack([np.abs(T).max(axis=0) for T in made])


def shift(Y: np.ndarray, windows: WindowedRuns, rng) -> np.ndarray:
    """Targets turned in a circle within every run, ten volumes at least."""
    out = Y.copy()
    for _, at in windows.by_run():
        least = min(LEAST_SHIFT, len(at) // 3)
        out[at] = np.roll(Y[at], rng.integers(least, max(len(at) - least, 1) + 1), 0)
    return out


def refit_attribution(
    train: Any, test: Any, *, bands: Any = "default", alphas: Any = None,
    n_shifts: int = 200, level: float = 0.05, random_state: Any = 0,
) -> xr.Dataset:  # fmt: skip
    """What one channel, band or lag predicts alone, and what is lost without it.

    Use it beside :func:`pattern_attribution`. A band that can be dropped at no cost is
    not thereby uninvolved: its neighbours carry the same modulation. Cost: two ridges
    a channel, band and lag.

    Parameters
    ----------
    train, test, bands, alphas, n_shifts, level, random_state
        As for :func:`pattern_attribution`. Ridges without a group keep the penalty of
        the whole; those on one group alone choose their own within training.

    Returns
    -------
    Dataset
        ``only_channel``, ``drop_channel`` (roi, channel), and so for band and lag: R on
        the test runs, NaN for regions that are not predicted; ``p_only_channel`` and so
        on, against shifts of the truth, over all groups of a kind; ``r`` of all.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(5, n_volumes=250, channels=("FZ", "C3", "OZ"),
    ...                             random_state=0)
    >>> found = refit_attribution(runs[:4], runs[4:], n_shifts=19)
    >>> str(found.only_channel.sel(roi="alpha").idxmax().values)
    'OZ'
    """
    check_number("n_shifts", n_shifts, minimum=1, integer=True)
    seed = draw_seed(random_state)
    windows = as_windows(train)
    windows = windows[np.isfinite(windows.y).any(axis=1)]
    model = PatternRidge(bands, alphas).fit(windows)
    region = predicted_regions(model, test, level=level, seed=branch_seed(seed, 0))
    X, Y = model._seen
    held = as_windows(test)
    held = model._aligned(held[np.isfinite(held.y).any(axis=1)])
    scaler = Standardiser(model.scaler_mean_.values, model.scaler_sd_.values)
    Z = scaler.apply(model._features(held))
    folds, shape = inner_folds(windows), model.coef_.shape[1:]
    penalties = ALPHAS if alphas is None else tuple(alphas)
    own = [
        [a] for a in np.unique(model.alpha_.values[np.isfinite(model.alpha_.values)])
    ]
    made = xr.Dataset(coords={k: model.coef_[k] for k in ("roi", *KINDS)} | region)
    cells = np.arange(X.shape[1]).reshape(shape)
    for axis, kind in enumerate(KINDS):
        only, drop = [], []
        for g in range(shape[axis]):
            inside = np.isin(cells, np.take(cells, g, axis)).ravel()
            w, b, _ = ridge(X[:, inside], Y, folds, penalties)
            only.append(Z[:, inside] @ w + b)
            drop.append(without(X[:, ~inside], Z[:, ~inside], Y, own, model.alpha_))
        r_only, p = scores_and_p(
            np.stack(only), held, n_shifts, branch_seed(seed, axis)
        )
        made[f"only_{kind}"] = ("roi", kind), r_only
        made[f"p_only_{kind}"] = ("roi", kind), p
        made[f"drop_{kind}"] = ("roi", kind), run_means(np.stack(drop), held)
    made["lag"].attrs["units"] = "s"
    made.attrs = {"method": "refit", "n_shifts": n_shifts, "level": level}
    return made.where(made["predicted"])


def without(X, Z, Y, penalties, alphas) -> np.ndarray:
    """Predictions for Z from the remaining cells, at the penalties of the whole."""
    out = np.full((len(Z), Y.shape[1]), np.nan)
    for one in penalties:
        mine = alphas.values == one[0]
        w, b, _ = ridge(X, Y[:, mine], [], one)
        out[:, mine] = Z @ w + b
    return out


def run_means(values: np.ndarray, windows: WindowedRuns, truth=None) -> np.ndarray:
    """Fisher mean over runs of the R of stacked predictions, (roi, group)."""
    truth = windows.y if truth is None else truth
    parts = [at for _, at in windows.by_run()]
    r = np.array([[correlation(v[at], truth[at]) for at in parts] for v in values])
    weights = np.array([max(len(at) - 3, 1) for at in parts])
    return np.array([
        [fisher_mean(r[g, :, k], weights) for g in range(len(values))]
        for k in range(truth.shape[1])
    ])  # fmt: skip


def scores_and_p(values, windows, n_shifts: int, seed: int):
    """R of stacked predictions, and p of the largest over groups under shifts."""
    r = run_means(values, windows)
    null = [
        np.nanmax(np.abs(
            run_means(values, windows, shift(windows.y, windows, branch(seed, k)))
        ), axis=1) for k in range(n_shifts)
    ]  # fmt: skip
    beyond = np.stack(null)[:, :, None] >= np.abs(r) - 1e-12
    return r, (1 + beyond.sum(axis=0)) / (1 + n_shifts)
