"""Cointegration: drifting courses of which a combination does not drift.

All pairs side by side: every regression is a small system of normal equations.
"""

import numpy as np

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.fc.registry import operator


ENGLE = "Engle and Granger 1987, Econometrica 55, 251"
JOHANSEN = "Johansen 1991, Econometrica 59, 1551"


def check_length(n_time, needed, name):
    """Raise where regressions have too few samples."""
    if n_time < needed:
        raise ParameterError(
            message(f"operator {name!r}", f"at least {needed} samples", n_time,
                    "use fewer lags")
        )  # fmt: skip


def trends(n_time, trend):
    """Columns of the deterministic part."""
    return np.vander(np.arange(1.0, n_time + 1), 1 if trend == "c" else 2)


def residuals(y, X):
    """y - X b of least squares, along the first axis."""
    return y - X @ np.linalg.lstsq(X, y, rcond=None)[0]


def pair_residuals(x, trend):
    """Residuals (pair, time) of target on source and trend, pairs in row order."""
    own = residuals(x, trends(len(x), trend)).T  # (roi, time)
    power = (own**2).sum(axis=1)
    slope = own @ own.T / power[:, None]  # [source, target]
    i, j = np.nonzero(~np.eye(len(own), dtype=bool))
    return own[j] - slope[i, j, None] * own[i], (i, j)


def lagged_differences(u, n_lags):
    """Level before, differences before (pair, 1 + n_lags, sample), and difference."""
    d = np.diff(u, axis=1)
    n = d.shape[1]
    rows = [u[:, n_lags:n], *(d[:, n_lags - k : n - k] for k in range(1, n_lags + 1))]
    return np.stack(rows, axis=1), d[:, n_lags:]


def unit_root_statistic(u, max_lags, criterion):
    """Augmented Dickey-Fuller t (pair,), the number of lags by AIC or BIC.

    Lags are compared on the same samples; the statistic uses all that they leave.
    """
    X, y = lagged_differences(u, max_lags)
    n = y.shape[1]
    gram, right = X @ np.swapaxes(X, 1, 2), (X @ y[..., None])[..., 0]
    total = (y**2).sum(axis=1)
    scores = []
    for k in range(1, max_lags + 2):
        beta = np.linalg.solve(gram[:, :k, :k], right[:, :k, None])[..., 0]
        rss = total - (right[:, :k] * beta).sum(axis=1)
        scores.append(
            n * np.log(rss / n) + k * (2 if criterion == "aic" else np.log(n))
        )
    best = np.argmin(scores, axis=0)
    t = np.empty(len(u))
    for p in np.unique(best):
        at = best == p
        X, y = lagged_differences(u[at], int(p))
        inverse = np.linalg.inv(X @ np.swapaxes(X, 1, 2))
        beta = (inverse @ (X @ y[..., None]))[..., 0]
        rest = y - (beta[:, None] @ X)[:, 0]
        variance = (rest**2).sum(axis=1) / (y.shape[1] - p - 1)
        t[at] = beta[:, 0] / np.sqrt(variance * inverse[:, 0, 0])
    return t


@operator("cointegration", "model-based", directed=True, signed=True, ordered=True,
          batched=False, cost="300*T*N^2", source=ENGLE,
          workspace=lambda T, N, max_lags: (2 * max_lags + 8) * T * N**2)  # fmt: skip
def cointegration(x, *, trend="c", max_lags=10, criterion="aic"):
    """Engle-Granger t: does the target less a multiple of the source stop drifting?

    Far below zero where it does.

    Parameters
    ----------
    trend : {'c', 'ct'}
        A constant, or a constant and a line, beside the source.
    max_lags : int, default=10
        Lagged differences that may enter the test of the residuals.
    criterion : {'aic', 'bic'}

    References
    ----------
    Engle, R. F. and Granger, C. W. J. (1987). Co-integration and error correction.
    Econometrica 55, 251-276.
    """
    check_choice("trend", trend, ["c", "ct"])
    check_choice("criterion", criterion, ["aic", "bic"])
    check_number("max_lags", max_lags, minimum=0, integer=True)
    check_length(len(x), 3 * max_lags + 10, "cointegration")
    u, (i, j) = pair_residuals(x, trend)
    w = np.full((x.shape[1],) * 2, np.nan)
    w[i, j] = unit_root_statistic(u, max_lags, criterion)
    return w


def canonical_roots(x, order, trend):
    """Squared canonical correlations of differences and levels (pair, 2), ascending."""
    n = x.shape[1]
    detrended = residuals(x, trends(len(x), "c" if trend == 0 else "ct"))
    d = np.diff(detrended, axis=0)
    T = len(d)
    first, second = np.triu_indices(n, 1)
    pairs = np.stack([first, second], axis=1)
    lags = np.stack([d[order - k : T - k] for k in range(1, order + 1)], axis=2)
    now = residuals(d[order:], trends(T - order, "c"))
    level = residuals(detrended[1 : T - order + 1], trends(T - order, "c"))
    Z = lags[:, pairs].transpose(1, 0, 2, 3).reshape(len(pairs), T - order, -1)
    Z = Z - Z.mean(axis=1, keepdims=True)
    both = np.concatenate([now[:, pairs], level[:, pairs]], axis=2).swapaxes(0, 1)
    turned = np.swapaxes(Z, 1, 2)
    rest = both - Z @ np.linalg.solve(turned @ Z, turned @ both)
    S = np.swapaxes(rest, 1, 2) @ rest / rest.shape[1]
    s00, s01, s11 = S[:, :2, :2], S[:, :2, 2:], S[:, 2:, 2:]
    product = np.linalg.solve(s11, np.swapaxes(s01, 1, 2) @ np.linalg.solve(s00, s01))
    roots = np.sort(np.linalg.eigvals(product).real, axis=1)
    return np.clip(roots, 0.0, 1 - 1e-15), rest.shape[1], (first, second)


@operator("johansen", "model-based", ordered=True, batched=False, cost="100*T*N^2",
          source=JOHANSEN,
          workspace=lambda T, N, order: (4 * order + 12) * T * N**2)  # fmt: skip
def johansen(x, *, order=1, trend=0, statistic="trace"):
    """Johansen's likelihood ratio that two regions share a common drift.

    Parameters
    ----------
    order : int, default=1
        Lagged differences in the error-correction model.
    trend : {0, 1}
        A constant, or a constant and a line.
    statistic : {'trace', 'max_eigenvalue'}
        Of no cointegration, against one or two relations, or against one.

    References
    ----------
    Johansen, S. (1991). Estimation and hypothesis testing of cointegration vectors in
    Gaussian vector autoregressive models. Econometrica 59, 1551-1580.
    """
    check_choice("statistic", statistic, ["trace", "max_eigenvalue"])
    check_choice("trend", trend, [0, 1])
    check_number("order", order, minimum=1, integer=True)
    check_length(len(x), 8 * order + 10, "johansen")
    roots, n_samples, (i, j) = canonical_roots(x, order, trend)
    logs = -n_samples * np.log1p(-roots)
    w = np.full((x.shape[1],) * 2, np.nan)
    w[i, j] = w[j, i] = logs.sum(axis=1) if statistic == "trace" else logs[:, 1]
    return w
