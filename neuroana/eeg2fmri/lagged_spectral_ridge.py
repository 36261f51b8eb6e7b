"""Band power in every second before the volume: the response is learned."""

import numpy as np

from neuroana.core.checks import check_choice, check_number
from neuroana.eeg2fmri.band_power_ridge import FeatureRidge
from neuroana.eeg2fmri.features import check_bands, lagged_power
from neuroana.eeg2fmri.ridge import by_missing, inner_folds


PENALTIES = ("ridge", "elasticnet", "sparse_group_lasso")
STRENGTHS = tuple(np.geomspace(0.5, 0.005, 8))
MAX_ITER, TOL = 300, 1e-5


class LaggedSpectralRidge(FeatureRidge):
    """Predict BOLD from log band power in 16 one-second lags.

    Use it where the response may differ from the textbook's. Cost: seconds a run for
    26 channels; the sparse penalties ten times that.

    Parameters
    ----------
    bands : 'default' or dict of str to (low, high)
        In Hz.
    n_lags : int, default=16
        Seconds before the volume.
    log : bool, default=True
        Logarithm of the power.
    penalty : {'ridge', 'elasticnet', 'sparse_group_lasso'}
        Sum of squares; that and the sum of sizes in equal parts; or the sum of sizes
        and the norms of all features of a channel in equal parts.
    alphas : sequence of float, optional
        Penalties to choose from: 1 to 1e7 for the ridge; for the sparse ones as a
        share of the smallest that empties the model.
    paper_mode : bool, default=False
        Targets filtered and scaled over whole runs, as published.
    allow_overlap : bool, default=False
        Fit although validation touches training; the result is marked ``leaky_``.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=150, random_state=0)
    >>> dict(LaggedSpectralRidge().fit(runs).coef_.sizes)
    {'roi': 4, 'channel': 10, 'band': 5, 'lag': 16}
    """

    def __init__(
        self, bands="default", n_lags=16, *, log=True, penalty="ridge", alphas=None,
        paper_mode=False, allow_overlap=False,
    ):  # fmt: skip
        self.bands = bands
        self.n_lags = n_lags
        self.log = log
        self.penalty = penalty
        self.alphas = alphas
        self.paper_mode = paper_mode
        self.allow_overlap = allow_overlap

    def _axes(self):
        bands = list(check_bands(self.bands))
        return {"band": bands, "lag": np.arange(min(self.n_lags, 16))}

    def _features(self, windows):
        check_number("n_lags", self.n_lags, minimum=1, maximum=16, integer=True)
        bands = check_bands(self.bands)
        return lagged_power(windows, bands, n_lags=self.n_lags, log=self.log)

    def _solve(self, X, Y, windows):
        check_choice("penalty", self.penalty, PENALTIES)
        if self.penalty == "ridge":
            return super()._solve(X, Y, windows)
        strengths = STRENGTHS if self.alphas is None else tuple(self.alphas)
        groups = None
        if self.penalty == "sparse_group_lasso":
            groups = len(windows.channels)
        return sparse(X, Y, inner_folds(windows)[:2], strengths, groups)


def sparse(X, Y, folds, strengths, n_groups=None):
    """Coefficients, intercepts and chosen strengths of a sparse penalty.

    Without groups half of the penalty is the sum of squares (elastic net), with them
    half is the norm of each group of equally many neighbouring features.
    """
    coef, intercept = np.zeros((X.shape[1], Y.shape[1])), np.zeros(Y.shape[1])
    alpha = np.full(Y.shape[1], np.nan)
    for columns, rows in by_missing(Y):
        y = Y[:, columns]
        errors = np.zeros((len(strengths), len(columns)))
        for train, test in folds:
            train, test = train[rows[train]], test[rows[test]]
            paths = sparse_path(X[train], y[train], strengths, n_groups)
            for a, (w, b) in enumerate(paths):
                errors[a] += ((y[test] - X[test] @ w - b) ** 2).sum(axis=0)
        chosen = errors.argmin(axis=0)
        paths = sparse_path(X[rows], y[rows], strengths, n_groups)
        for a, (w, b) in enumerate(paths):
            mine = chosen == a
            coef[:, columns[mine]], intercept[columns[mine]] = w[:, mine], b[mine]
        alpha[columns] = np.asarray(strengths)[chosen]
    return coef, intercept, alpha


def sparse_path(X, Y, strengths, n_groups):
    """Solutions from the strongest penalty to the weakest, each from the last.

    Accelerated proximal gradient on |Y - X w|^2 / (2 n) with the penalty
    lambda_r (|w| / 2 + Omega(w) / 2); lambda_r is a share of the strength that empties
    the model of region r.
    """
    n, mean = len(X), Y.mean(axis=0)
    x_mean = X.mean(axis=0)
    Xc, Yc = X - x_mean, Y - mean
    gram, cross = Xc.T @ Xc / n, Xc.T @ Yc / n
    largest = 2 * np.abs(cross).max(axis=0)
    step = 1.0 / max(np.linalg.eigvalsh(gram)[-1], 1e-12)
    w, made = np.zeros(cross.shape), []
    for strength in strengths:
        w = proximal(gram, cross, w, strength * largest, step, n_groups)
        made.append((w, mean - x_mean @ w))
    return made


def proximal(gram, cross, w, weights, step, n_groups):
    """Minimise from `w` with penalty weights (roi,); FISTA with restarts."""
    z, t = w, 1.0
    for _ in range(MAX_ITER):
        new = shrink(z - step * (gram @ z - cross), step * weights, n_groups)
        t_new = (1 + np.sqrt(1 + 4 * t**2)) / 2
        if ((z - new) * (new - w)).sum() > 0:
            t_new = 1.0
        z = new + (t - 1) / t_new * (new - w)
        change = np.abs(new - w).max()
        w, t = new, t_new
        if change < TOL * max(np.abs(w).max(), 1e-12):
            break
    return w


def shrink(w, weights, n_groups):
    """Proximal map of the penalty: soft threshold, then squares or groups."""
    half = weights / 2
    w = np.sign(w) * np.maximum(np.abs(w) - half, 0.0)
    if n_groups is None:
        return w / (1 + half)
    parts = w.reshape(n_groups, -1, w.shape[1])
    size = np.linalg.norm(parts, axis=1, keepdims=True)
    root = np.sqrt(parts.shape[1])
    scale = np.maximum(1 - half * root / np.maximum(size, 1e-30), 0.0)
    return (parts * scale).reshape(w.shape)
