"""Models that compare windows: a kernel ridge, and the nearest neighbour."""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number
from neuroana.core.random import branch, draw_seed
from neuroana.eeg2fmri.features import Standardiser, check_bands, lagged_power
from neuroana.eeg2fmri.regressor import WindowRegressor
from neuroana.eeg2fmri.ridge import inner_folds, kernel_ridge, ridge


ALPHAS = tuple(10.0 ** np.arange(-3, 3))
N_RANDOM = 2000  # random Fourier features in place of a kernel matrix
BLOCK = 2000  # windows compared at once


class ComparingRegressor(WindowRegressor):
    """Base of models on standardised lagged log power, which keep training windows."""

    bands: object

    def _raw(self, windows):
        return lagged_power(windows, check_bands(self.bands))

    def _fit_scaler(self, windows) -> np.ndarray:
        F = self._raw(windows)
        scaler = Standardiser.fit(F)
        dims = ("channel", "band", "lag")
        self.scaler_mean_ = xr.DataArray(scaler.mean, dims=dims)
        self.scaler_sd_ = xr.DataArray(scaler.sd, dims=dims)
        return scaler.apply(F)

    def _features(self, windows) -> np.ndarray:
        scaler = Standardiser(self.scaler_mean_.values, self.scaler_sd_.values)
        return scaler.apply(self._raw(windows))


class KernelRidge(ComparingRegressor):
    """Predict BOLD by similarity of lagged log power, with a Gaussian kernel.

    Use it as the non-linear model without a network. Cost: cubic in the training
    windows up to `max_windows`, linear with random Fourier features above.

    Parameters
    ----------
    bands : 'default' or dict of str to (low, high)
    gamma : float, optional
        Of the kernel exp(-gamma d^2), d the distance of two windows; one over the
        number of features by default.
    alphas : sequence of float, optional
        Penalties to choose from, 1e-3 to 100 by default.
    max_windows : int, default=5000
    random_state : int, Generator or None
        Of the random features.
    paper_mode : bool, default=False
        Targets filtered and scaled over whole runs, as published.
    allow_overlap : bool, default=False
        Fit although validation touches training; the result is marked ``leaky_``.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=150, random_state=0)
    >>> KernelRidge().fit(runs).predict(runs[0]).sizes["roi"]
    4
    """

    def __init__(
        self, bands="default", gamma=None, *, alphas=None, max_windows=5000,
        random_state=0, paper_mode=False, allow_overlap=False,
    ):  # fmt: skip
        self.bands = bands
        self.gamma = gamma
        self.alphas = alphas
        self.max_windows = max_windows
        self.random_state = random_state
        self.paper_mode = paper_mode
        self.allow_overlap = allow_overlap

    def _learn(self, windows, Y, held):
        X = self._fit_scaler(windows)
        if self.gamma is not None:
            check_number("gamma", self.gamma, minimum=0.0, open_ends=True)
        self.gamma_ = float(self.gamma or 1.0 / X.shape[1])
        alphas = ALPHAS if self.alphas is None else tuple(self.alphas)
        folds = inner_folds(windows)
        random = len(X) > self.max_windows
        if random:
            self.seed_ = draw_seed(self.random_state)
            X = self._random_features(X)
            dual, intercept, alpha = ridge(X, Y, folds, alphas)
        else:
            K = gaussian(X, X, self.gamma_)
            dual, intercept, alpha = kernel_ridge(K, Y, folds, alphas)
            self.windows_ = xr.DataArray(X, dims=("window", "feature"))
        self.dual_ = xr.DataArray(dual, dims=("basis", "roi"))
        self.intercept_, self.alpha_ = self._by_roi(intercept), self._by_roi(alpha)

    def _random_features(self, X):
        rng = branch(self.seed_, 0)
        w = rng.standard_normal((X.shape[1], N_RANDOM)) * np.sqrt(2 * self.gamma_)
        b = rng.uniform(0, 2 * np.pi, N_RANDOM)
        return np.sqrt(2 / N_RANDOM) * np.cos(X @ w.astype(np.float32) + b)

    def _predict(self, windows):
        X = self._features(windows)
        if not hasattr(self, "windows_"):
            return self._random_features(X) @ self.dual_.values + self.intercept_.values
        K = gaussian(X, self.windows_.values, self.gamma_)
        return K @ self.dual_.values + self.intercept_.values


def gaussian(X: np.ndarray, Z: np.ndarray, gamma: float) -> np.ndarray:
    """exp(-gamma |x - z|^2), (x, z)."""
    return np.exp(-gamma * squares(X, Z))


def squares(X: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Squared distances, (x, z), never below zero."""
    both = (X**2).sum(axis=1)[:, None] + (Z**2).sum(axis=1)
    return np.maximum(both - 2 * X @ Z.T, 0.0)


class NearestNeighbour(ComparingRegressor):
    """Predict the BOLD of the most similar training window.

    Use it as a detector of leakage: it generalises poorly and copies perfectly, so a
    high score means that training holds near copies of the test windows. Cost: every
    test window is compared with every training window.

    Parameters
    ----------
    bands : 'default' or dict of str to (low, high)
    paper_mode : bool, default=False
        Targets filtered and scaled over whole runs, as published.
    allow_overlap : bool, default=False
        Fit although validation touches training; the result is marked ``leaky_``.

    Examples
    --------
    >>> from neuroana.eeg2fmri import as_windows, simulate_eeg_fmri
    >>> windows = as_windows(simulate_eeg_fmri(1, n_volumes=150, random_state=0)[0])
    >>> round(NearestNeighbour().fit(windows).score(windows), 3)
    1.0
    """

    def __init__(self, bands="default", *, paper_mode=False, allow_overlap=False):
        self.bands = bands
        self.paper_mode = paper_mode
        self.allow_overlap = allow_overlap

    def _learn(self, windows, Y, held):
        self.windows_ = xr.DataArray(
            self._fit_scaler(windows), dims=("window", "feature")
        )
        self.targets_ = xr.DataArray(
            np.where(np.isfinite(Y), Y, 0.0), dims=("window", "roi")
        )

    def _predict(self, windows):
        X, known = self._features(windows), self.windows_.values
        nearest = [
            squares(X[i : i + BLOCK], known).argmin(axis=1)
            for i in range(0, len(X), BLOCK)
        ]
        return self.targets_.values[np.concatenate(nearest)]
