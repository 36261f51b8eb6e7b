"""All of the spectrogram at once, through a matrix of windows by windows."""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number
from neuroana.eeg2fmri.features import Standardiser, spectrogram_at
from neuroana.eeg2fmri.regressor import WindowRegressor
from neuroana.eeg2fmri.ridge import inner_folds, kernel_ridge


ALPHAS = tuple(10.0 ** np.arange(-3, 3))
N_LAGS = 16


class SpectrogramRidge(WindowRegressor):
    """Predict BOLD from every hertz of every second before the volume.

    Use it to see whether bands lose anything. Cost: cubic in the training windows,
    solved in the dual; features of one lag are in memory at a time.

    Parameters
    ----------
    n_bins : int, default=45
        Bins of 1 Hz, from 1 Hz on.
    alphas : sequence of float, optional
        Penalties to choose from, as a share of the mean of the kernel's diagonal.
    paper_mode : bool, default=False
        Targets filtered and scaled over whole runs, as published.
    allow_overlap : bool, default=False
        Fit although validation touches training; the result is marked ``leaky_``.

    Attributes
    ----------
    coef_ : DataArray (roi, lag, channel, frequency)
        On standardised log power.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=150, random_state=0)
    >>> dict(SpectrogramRidge().fit(runs).coef_.sizes)
    {'roi': 4, 'lag': 16, 'channel': 10, 'frequency': 45}
    """

    def __init__(
        self, n_bins=45, *, alphas=None, paper_mode=False, allow_overlap=False
    ):
        self.n_bins = n_bins
        self.alphas = alphas
        self.paper_mode = paper_mode
        self.allow_overlap = allow_overlap

    def _learn(self, windows, Y, held):
        check_number("n_bins", self.n_bins, minimum=1, maximum=100, integer=True)
        n, n_channels = len(windows), len(windows.channels)
        n_features = N_LAGS * n_channels * self.n_bins
        K = np.zeros((n, n), dtype=np.float32)
        means, sds = [], []
        for lag in range(N_LAGS):
            F = spectrogram_at(windows, lag, self.n_bins)
            scaler = Standardiser.fit(F)
            Z = scaler.apply(F)
            K += Z @ Z.T / np.float32(n_features)
            means.append(scaler.mean)
            sds.append(scaler.sd)
        alphas = ALPHAS if self.alphas is None else tuple(self.alphas)
        dual, intercept, alpha = kernel_ridge(K, Y, inner_folds(windows), alphas)
        coef = np.empty((Y.shape[1], N_LAGS, n_channels * self.n_bins), np.float32)
        for lag in range(N_LAGS):
            F = spectrogram_at(windows, lag, self.n_bins)
            Z = Standardiser(means[lag], sds[lag]).apply(F)
            coef[:, lag] = (Z.T @ dual / n_features).T
        dims = ("lag", "channel", "frequency")
        coords = {
            "lag": np.arange(N_LAGS),
            "channel": self.channels_.values,
            "frequency": np.arange(1.0, self.n_bins + 1),
        }
        self.scaler_mean_ = xr.DataArray(np.stack(means), dims=dims, coords=coords)
        self.scaler_sd_ = xr.DataArray(np.stack(sds), dims=dims, coords=coords)
        self.coef_ = xr.DataArray(
            coef.reshape(-1, N_LAGS, n_channels, self.n_bins),
            dims=("roi", *dims),
            coords={"roi": self.rois_.values, **coords},
        )
        self.intercept_, self.alpha_ = self._by_roi(intercept), self._by_roi(alpha)

    def _predict(self, windows):
        out = np.tile(self.intercept_.values, (len(windows), 1))
        for lag in range(N_LAGS):
            scaler = Standardiser(
                self.scaler_mean_.values[lag], self.scaler_sd_.values[lag]
            )
            Z = scaler.apply(spectrogram_at(windows, lag, self.n_bins))
            coef = self.coef_.values[:, lag]
            out += Z @ coef.reshape(len(coef), -1).T
        return out
