"""Ridge regression of many regions: one decomposition for all penalties.

    W = argmin |Y - X W|^2 + alpha_r |w_r|^2

Each region has its own penalty, chosen by blocked cross-validation within the
training windows.
"""

from collections.abc import Callable, Sequence

import numpy as np

from neuroana.core.errors import ParameterError
from neuroana.eeg2fmri.windowed_runs import WindowedRuns
from neuroana.learn.splits import GAP, BlockedGapKFold, LeaveSubjectsOut, hold_out


ALPHAS = tuple(10.0 ** np.arange(0, 8))

Folds = Sequence[tuple[np.ndarray, np.ndarray]]


def inner_folds(windows: WindowedRuns, n_splits: int = 5, *, gap: float = GAP) -> Folds:
    """Folds to choose a penalty by: people where there are four, else blocks.

    Runs too short for blocks with gaps are split once; the shortest choose nothing.
    """
    n_people = len(np.unique(windows.groups()))
    splitters: list = [BlockedGapKFold(n, gap=gap) for n in (n_splits, 3)]
    if n_people >= 4:
        splitters.insert(0, LeaveSubjectsOut(min(n_splits, n_people), random_state=0))
    for splitter in splitters:
        try:
            return list(splitter.split(windows))
        except ParameterError:
            continue
    try:
        return [hold_out(windows, share=0.3, gap=gap)]
    except ParameterError:
        return []


def by_missing(Y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Groups of regions that miss the same windows: columns, and rows that count."""
    present = np.isfinite(Y)
    patterns, group = np.unique(present, axis=1, return_inverse=True)
    group = np.ravel(group)
    return [
        (np.flatnonzero(group == g), patterns[:, g])
        for g in range(patterns.shape[1])
        if patterns[:, g].any()
    ]


def choose(errors: np.ndarray, alphas: Sequence[float]) -> np.ndarray:
    """Penalty of the smallest error for each region, (roi,); errors (alpha, roi)."""
    return np.asarray(alphas)[errors.argmin(axis=0)]


def ridge(X: np.ndarray, Y: np.ndarray, folds: Folds, alphas: Sequence[float]):
    """Fit every region with its own penalty.

    Parameters
    ----------
    X : ndarray (window, feature)
        Standardised features.
    Y : ndarray (window, roi)
        NaN rows of a region do not count for it.
    folds : sequence of (train, test)
        To choose penalties by; without folds the middle one is taken.
    alphas : sequence of float

    Returns
    -------
    coef : ndarray (feature, roi)
    intercept, alpha : ndarray (roi,)
    """
    coef = np.zeros((X.shape[1], Y.shape[1]))
    intercept = np.zeros(Y.shape[1])
    alpha = np.full(Y.shape[1], np.nan)
    for columns, rows in by_missing(Y):
        y = Y[:, columns]
        errors = np.zeros((len(alphas), len(columns)))
        for train, test in folds:
            train, test = train[rows[train]], test[rows[test]]
            if len(train) and len(test):
                solve = decompose(X[train], y[train])
                for a, value in enumerate(alphas):
                    w, b = solve(np.full(len(columns), value))
                    errors[a] += ((y[test] - X[test] @ w - b) ** 2).sum(axis=0)
        chosen = choose(errors, alphas)
        if not errors.any():
            chosen = np.full(len(columns), alphas[len(alphas) // 2])
        w, b = decompose(X[rows], y[rows])(chosen)
        coef[:, columns], intercept[columns], alpha[columns] = w, b, chosen
    return coef, intercept, alpha


def decompose(X: np.ndarray, Y: np.ndarray) -> Callable:
    """Function of the penalties (roi,) that solves for coefficients and intercept.

    One eigendecomposition of the smaller of X'X and XX'.
    """
    x_mean, y_mean = X.mean(axis=0), Y.mean(axis=0)
    Xc, Yc = X - x_mean, Y - y_mean
    wide = X.shape[1] > len(X)
    gram = (Xc @ Xc.T if wide else Xc.T @ Xc).astype(np.float64)
    d, V = np.linalg.eigh(gram)
    d = np.maximum(d, 0.0)
    B = V.T @ (Yc if wide else Xc.T @ Yc)

    def solve(alphas):
        w = V @ (B / (d[:, None] + alphas))
        w = Xc.T @ w if wide else w
        return w, y_mean - x_mean @ w

    return solve


def kernel_ridge(K: np.ndarray, Y: np.ndarray, folds: Folds, alphas: Sequence[float]):
    """Dual coefficients (window, roi), intercepts and penalties from a kernel matrix.

    Two folds at most choose the penalty, one where there are many windows: a solve is
    cubic in them.
    """
    dual = np.zeros(Y.shape)
    intercept = np.zeros(Y.shape[1])
    alpha = np.full(Y.shape[1], np.nan)
    folds = folds[: 1 if len(K) > 3000 else 2]
    for columns, rows in by_missing(Y):
        y = Y[:, columns]
        errors = np.zeros((len(alphas), len(columns)))
        for train, test in folds:
            train, test = train[rows[train]], test[rows[test]]
            for a, value in enumerate(alphas):
                w, b = solve_dual(K[np.ix_(train, train)], y[train], value)
                error = y[test] - K[np.ix_(test, train)] @ w - b
                errors[a] += (error**2).sum(axis=0)
        chosen = choose(errors, alphas)
        if not errors.any():
            chosen = np.full(len(columns), alphas[len(alphas) // 2])
        at = np.flatnonzero(rows)
        for value in np.unique(chosen):
            mine = columns[chosen == value]
            w, b = solve_dual(K[np.ix_(at, at)], Y[np.ix_(at, mine)], value)
            dual[np.ix_(at, mine)], intercept[mine] = w, b
        alpha[columns] = chosen
    return dual, intercept, alpha


def solve_dual(K: np.ndarray, Y: np.ndarray, alpha: float):
    from scipy.linalg import cho_factor, cho_solve

    mean = Y.mean(axis=0)
    loaded = K.astype(np.float64, copy=True)
    loaded[np.diag_indices_from(loaded)] += alpha
    return cho_solve(cho_factor(loaded, lower=True), Y - mean), mean
