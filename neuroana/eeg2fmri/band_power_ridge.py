"""Band power under an assumed response, and a ridge: the model to beat.

F_{c,b,d}(t_j) = sum_s h_d(s) f_{c,b}(t_j - s)
W = argmin |Y - F W|^2 + alpha_r |w_r|^2
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import SchemaError
from neuroana.eeg2fmri.features import Standardiser, check_bands, response_power
from neuroana.eeg2fmri.regressor import WindowRegressor
from neuroana.eeg2fmri.ridge import ALPHAS, inner_folds, ridge
from neuroana.eeg2fmri.windowed_runs import WindowedRuns


OCCIPITAL = ("OZ", "O1", "O2", "POZ", "PO3", "PO4", "PO7", "PO8")
ALPHA = {"alpha": (8.0, 13.0)}


class FeatureRidge(WindowRegressor):
    """Base of the ridge models on features (window, channel, band, lag).

    Attributes
    ----------
    coef_ : DataArray (roi, channel, band, lag)
        On standardised features and targets.
    pattern_ : DataArray (roi, channel, band, lag)
        cov(F, F w) / var(F w), what the model's course looks like in the features
        (Haufe et al. 2014); read this and not the weights.
    intercept_, alpha_ : DataArray (roi,)
    scaler_mean_, scaler_sd_ : DataArray (channel, band, lag)
    """

    alphas: Sequence[float] | None

    def _axes(self) -> dict[str, Sequence]:
        """Coordinates of the band and the lag of the features."""
        raise TypeError(f"{type(self).__name__} has no features")

    def _features(self, windows: WindowedRuns) -> np.ndarray:
        """Features (window, channel, band, lag)."""
        raise TypeError(f"{type(self).__name__} has no features")

    def _channels(self) -> Sequence[str]:
        """Names along the channel axis of the features."""
        return self.channels_.values

    def _learn(self, windows, Y, held):
        F = self._features(windows)
        scaler = Standardiser.fit(F)
        X = scaler.apply(F)
        coef, intercept, alpha = self._solve(X, Y, windows)
        shape = F.shape[1:]
        self.scaler_mean_ = self._on_features(scaler.mean)
        self.scaler_sd_ = self._on_features(scaler.sd)
        self.coef_ = self._on_features(coef.T.reshape(-1, *shape))
        pattern = patterns(X, coef)
        self.pattern_ = self._on_features(pattern.T.reshape(-1, *shape))
        self.intercept_, self.alpha_ = self._by_roi(intercept), self._by_roi(alpha)

    def _solve(self, X, Y, windows):
        alphas = ALPHAS if self.alphas is None else tuple(self.alphas)
        return ridge(X, Y, inner_folds(windows), alphas)

    def _on_features(self, values: np.ndarray) -> xr.DataArray:
        axes = self._axes()
        dims = ["channel", *axes]
        coords = {"channel": np.array(self._channels(), dtype=object), **axes}
        if values.ndim == len(dims) + 1:
            dims, coords = ["roi", *dims], {"roi": self.rois_.values, **coords}
        return xr.DataArray(values, dims=dims, coords=coords)

    def _predict(self, windows):
        scaler = Standardiser(self.scaler_mean_.values, self.scaler_sd_.values)
        X = scaler.apply(self._features(windows))
        w = self.coef_.values.reshape(self.coef_.sizes["roi"], -1)
        return X @ w.T + self.intercept_.values


def patterns(X: np.ndarray, coef: np.ndarray) -> np.ndarray:
    """cov(X, X w) / var(X w) for every column of `coef`; zero for an empty model."""
    made = X @ coef
    made = made - made.mean(axis=0)
    variance = (made**2).mean(axis=0)
    cov = (X - X.mean(axis=0)).T @ made / len(X)
    return np.divide(cov, variance, out=np.zeros_like(cov), where=variance > 1e-12)


class BandPowerRidge(FeatureRidge):
    """Predict BOLD from band power convolved with the response.

    Use it first: no network that loses to it has learned anything. Cost: a second a
    run of 20 minutes, whatever the number of regions.

    Parameters
    ----------
    bands : 'default' or dict of str to (low, high)
        In Hz; delta, theta, alpha, beta and gamma by default.
    delays_s : sequence of float, default=(0, 1, 2)
        Onsets of the response in seconds.
    log : bool, default=False
        Logarithm of the power.
    alphas : sequence of float, optional
        Penalties to choose from, 1 to 1e7 by default; the choice is made for each
        region by blocked cross-validation within training.
    paper_mode : bool, default=False
        Targets filtered and scaled over whole runs, as published.
    allow_overlap : bool, default=False
        Fit although validation touches training; the result is marked ``leaky_``.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(3, n_volumes=150, random_state=0)
    >>> model = BandPowerRidge().fit(runs[:2])
    >>> model.predict(runs[2]).dims, model.coef_.dims
    (('time', 'roi'), ('roi', 'channel', 'band', 'delay'))
    """

    def __init__(
        self, bands="default", delays_s=(0.0, 1.0, 2.0), *, log=False, alphas=None,
        paper_mode=False, allow_overlap=False,
    ):  # fmt: skip
        self.bands = bands
        self.delays_s = delays_s
        self.log = log
        self.alphas = alphas
        self.paper_mode = paper_mode
        self.allow_overlap = allow_overlap

    def _axes(self):
        return {"band": list(check_bands(self.bands)), "delay": list(self.delays_s)}

    def _features(self, windows):
        for delay in self.delays_s:
            check_number("delays_s", delay, minimum=-5.0, maximum=10.0)
        bands = check_bands(self.bands)
        return response_power(windows, bands, delays=self.delays_s, log=self.log)


class GlobalOnly(BandPowerRidge):
    """Predict the mean of all regions, and give each its share of it.

    Use it as a control: what it reaches needs nothing specific to a region. Cost:
    that of :class:`BandPowerRidge`.

    Parameters
    ----------
    bands, delays_s, log, alphas, paper_mode, allow_overlap
        As for :class:`BandPowerRidge`.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=150, random_state=0)
    >>> GlobalOnly().fit(runs).loading_.dims
    ('roi',)
    """

    def _solve(self, X, Y, windows):
        course = np.nanmean(Y, axis=1)
        centred = course - course.mean()
        loading = np.nanmean((Y - np.nanmean(Y, axis=0)) * centred[:, None], axis=0)
        loading = loading / max(float((centred**2).mean()), np.finfo(float).tiny)
        coef, intercept, alpha = super()._solve(X, course[:, None], windows)
        self.loading_ = self._by_roi(loading)
        regions = np.nanmean(Y, axis=0) + loading * (intercept - course.mean())
        return coef * loading, regions, np.repeat(alpha, len(loading))


class AlphaRegressor(BandPowerRidge):
    """Predict BOLD from occipital alpha power under the response, and nothing else.

    Use it as the oldest explanation of resting EEG-fMRI. Cost: that of reading.

    Parameters
    ----------
    alphas : sequence of float, optional
        Penalties to choose from.
    paper_mode, allow_overlap
        As for :class:`BandPowerRidge`.

    Raises
    ------
    SchemaError
        If there is no occipital electrode.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=150, random_state=0)
    >>> AlphaRegressor().fit(runs).coef_.sizes["channel"]
    1
    """

    def __init__(self, alphas=None, *, paper_mode=False, allow_overlap=False):
        super().__init__(
            ALPHA, (0.0,), alphas=alphas, paper_mode=paper_mode,
            allow_overlap=allow_overlap,
        )  # fmt: skip

    def _channels(self):
        return ["occipital"]

    def _features(self, windows):
        names = windows.channels
        at = [c for c, name in enumerate(names) if name in OCCIPITAL]
        if not at:
            raise SchemaError(
                message("channels", f"one of {', '.join(OCCIPITAL)}", list(names))
            )
        power = response_power(windows, ALPHA, delays=(0.0,))[:, at]
        known = np.isfinite(power)
        n = known.sum(axis=1, keepdims=True)
        total = np.where(known, power, 0).sum(axis=1, keepdims=True)
        return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)
