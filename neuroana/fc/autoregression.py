"""Autoregressions of pairs and of all regions: Granger causality, transfer entropy.

x_t = c + sum_l A_l x_{t-l} + e_t, A_l[target, source]; W is turned to [source, target].
One Gram matrix R of all lagged regions serves every pair and every left-out source:
log(RSS_without / RSS_full) = log(1 + b' (R^-1_bb)^-1 b / RSS_full) for the block b of a
source's coefficients.
"""

import numpy as np

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.fc.intermediates import gram, undefined_diagonal
from neuroana.fc.registry import operator
from neuroana.fc.sharing import intermediate
from neuroana.fc.shrinkage import ledoit_wolf_intensity, shrink


GRANGER = "Granger 1969, Econometrica 37, 424"
GEWEKE = "Geweke 1984, J. Am. Stat. Assoc. 79, 907"
BARNETT = "Barnett, Barrett and Seth 2009, Phys. Rev. Lett. 103, 238701"
LUETKEPOHL = "Lütkepohl 2005, New Introduction to Multiple Time Series Analysis"
CRITERIA = ("fixed", "aic", "bic")
STATISTICS = ("log_ratio", "F", "p")


def lagged_design(x, order):
    """Past (recording, sample, lag, roi), centred, and the present, centred."""
    n_time = x.shape[1]
    past = np.stack([x[:, order - k : n_time - k] for k in range(1, order + 1)], axis=2)
    present = x[:, order:]
    past = past - past.mean(axis=1, keepdims=True)
    return past, present - present.mean(axis=1, keepdims=True)


@intermediate(workspace=lambda T, N, order: 4 * order * T * N + (order * N) ** 2)
def lag_moments(x, *, order=1):
    """Gram matrices of past and present: R (lag, roi, lag, roi), r, s, samples."""
    check_number("order", order, minimum=1, integer=True)
    return moments(*lagged_design(x, order))


def moments(past, present):
    """past' past, past' present, present' present and the number of samples."""
    n_recordings, n_samples, order, n = past.shape
    flat = past.reshape(n_recordings, n_samples, -1)
    turned = np.swapaxes(flat, 1, 2)
    shape = (n_recordings, order, n)
    return (
        (turned @ flat).reshape(*shape, order, n),
        (turned @ present).reshape(*shape, n),
        np.swapaxes(present, 1, 2) @ present,
        n_samples,
    )


def shrunk_moments(past, present):
    """past' past and past' present of the Ledoit-Wolf covariance of both, by T."""
    flat = past.reshape(*past.shape[:2], -1)
    both = np.concatenate([flat, present], axis=2)
    s = gram(both) / both.shape[1]
    s = shrink(s, ledoit_wolf_intensity(both, second_moments=s))
    size = flat.shape[2]
    return s[:, :size, :size], s[:, :size, size:]


def check_samples(n_time, order, n, name):
    """Raise where a full autoregression has too few samples."""
    if n_time < 4 * order * n:
        raise ParameterError(
            message(
                f"operator {name!r}",
                f"at least 4 p N = {4 * order * n} samples (p = {order}, N = {n})",
                n_time,
                "use a lower order, fewer regions, or the bivariate 'granger'",
            )
        )


def pair_equations(T, N, order):
    """Numbers of all normal equations of pairs, twice, and of the lagged samples."""
    return 4 * order * T * N + (8 * order**2 + 8 * order + 8) * N**2 + (order * N) ** 2


def bivariate_residuals(lag_moments):
    """Residual sums of squares (recording, source, target): with the source, without.

    All N^2 normal equations of 2 p unknowns are solved in one call.
    """
    R, r, s, _ = lag_moments
    n_recordings, order, n = r.shape[:3]
    own = np.einsum("bkili->bikl", R)  # (recording, roi, lag, lag)
    own_r = np.einsum("bkii->bik", r)
    rss0 = np.einsum("bii->bi", s) - np.einsum(
        "bik,bik->bi", own_r, np.linalg.solve(own, own_r[..., None])[..., 0]
    )
    both = np.empty((n_recordings, n, n, 2 * order, 2 * order))  # [source, target]
    both[..., :order, :order] = own[:, None]
    both[..., order:, order:] = own[:, :, None]
    cross = R.transpose(0, 2, 4, 1, 3)  # [source, target, lag of source, of target]
    both[..., order:, :order] = cross
    both[..., :order, order:] = np.swapaxes(cross, -1, -2)
    right = np.empty((n_recordings, n, n, 2 * order))
    right[..., :order] = own_r[:, None]
    right[..., order:] = r.transpose(0, 2, 3, 1)
    diagonal = np.arange(n)
    both[:, diagonal, diagonal, order:, :order] = 0.0
    both[:, diagonal, diagonal, :order, order:] = 0.0
    beta = np.linalg.solve(both, right[..., None])[..., 0]
    target = np.einsum("bii->bi", s)[:, None, :]
    rss1 = target - np.einsum("bijk,bijk->bij", right, beta)
    return rss1, np.broadcast_to(rss0[:, None, :], rss1.shape)


def log_ratio(rss1, rss0):
    """log(RSS without / RSS with the source), not below 0."""
    return undefined_diagonal(np.log(np.maximum(rss0 / rss1, 1.0)))


def statistic_of(ratio, statistic, n_restrictions, n_free):
    """The log ratio as it is, as F, or as the p of F."""
    check_choice("statistic", statistic, STATISTICS)
    if statistic == "log_ratio":
        return ratio
    F = np.expm1(ratio) * n_free / n_restrictions
    if statistic == "F":
        return F
    from scipy.special import fdtrc

    return fdtrc(n_restrictions, n_free, F)


def chosen_order(x, max_order, criterion):
    """Order (recording, source, target) of the pair that AIC or BIC prefers.

    All orders are compared on the same samples, those behind the largest order.
    """
    past, present = lagged_design(x, max_order)
    n = present.shape[1]
    factor = 2.0 if criterion == "aic" else np.log(n)
    scores = []
    for p in range(1, max_order + 1):
        rss1, _ = bivariate_residuals(moments(past[:, :, :p], present))
        scores.append(n * np.log(rss1 / n) + factor * (2 * p + 1))
    return 1 + np.argmin(scores, axis=0)


@operator("granger", "model-based", directed=True, ordered=True,
          cost="T*N^2 + 8*N^2", needs=("lag_moments",), source=GRANGER,
          workspace=pair_equations)  # fmt: skip
def granger(x, *, lag_moments, order=1, criterion="fixed", statistic="log_ratio"):
    """Whether the past of the source predicts the target beyond the target's own past.

    log of the ratio of residual variances, pair by pair. Slow or filtered signals make
    p-values too small.

    Parameters
    ----------
    order : int, default=1
        Lags of both regions; the largest one tried with `criterion`.
    criterion : {'fixed', 'aic', 'bic'}
        Choose the order of every pair.
    statistic : {'log_ratio', 'F', 'p'}

    References
    ----------
    Granger, C. W. J. (1969). Investigating causal relations by econometric models and
    cross-spectral methods. Econometrica 37, 424-438.
    """
    check_choice("criterion", criterion, CRITERIA)
    n_time = x.shape[1]
    check_samples(n_time, order, 2, "granger")
    if criterion == "fixed":
        ratio = log_ratio(*bivariate_residuals(lag_moments))
        return statistic_of(ratio, statistic, order, n_time - 3 * order - 1)
    best = chosen_order(x, order, criterion)
    out = np.empty(best.shape)
    for p in np.unique(best):
        ratio = log_ratio(*bivariate_residuals(moments(*lagged_design(x, int(p)))))
        made = statistic_of(ratio, statistic, int(p), n_time - 3 * int(p) - 1)
        out[best == p] = made[best == p]
    return undefined_diagonal(out)


@operator("te_gauss", "information", directed=True, ordered=True,
          cost="T*N^2 + 8*N^2", source=BARNETT,
          workspace=lambda T, N, source_lags, target_lags:
          pair_equations(T, N, max(source_lags, target_lags)))  # fmt: skip
def te_gauss(x, *, source_lags=1, target_lags=1):
    """Transfer entropy of Gaussian variables, half the log ratio of Granger, in nats.

    Parameters
    ----------
    source_lags, target_lags : int, default=1
        Past samples of the source (l) and of the target (k).

    References
    ----------
    Barnett, L., Barrett, A. B. and Seth, A. K. (2009). Granger causality and transfer
    entropy are equivalent for Gaussian variables. Physical Review Letters 103, 238701.
    """
    for name, value in (("source_lags", source_lags), ("target_lags", target_lags)):
        check_number(name, value, minimum=1, integer=True)
    order = max(source_lags, target_lags)
    check_samples(x.shape[1], order, 2, "te_gauss")
    if source_lags == target_lags:
        found = moments(*lagged_design(x, order))
        return log_ratio(*bivariate_residuals(found)) / 2
    past, present = lagged_design(x, order)
    n = x.shape[2]
    out = np.zeros((len(x), n, n))
    for j in range(n):
        own = past[:, :, :target_lags, j]
        for i in np.delete(np.arange(n), j):
            both = np.concatenate([own, past[:, :, :source_lags, i]], axis=2)
            rss = [residual(part, present[:, :, j]) for part in (both, own)]
            out[:, i, j] = np.log(rss[1] / rss[0])
    return undefined_diagonal(np.maximum(out, 0.0) / 2)


def residual(design, y):
    """Residual sum of squares (recording,)."""
    turned = np.swapaxes(design, 1, 2)
    right = turned @ y[..., None]
    beta = np.linalg.solve(turned @ design, right)
    return (y**2).sum(axis=1) - (right * beta).sum(axis=(1, 2))


@intermediate(workspace=lambda T, N, order: 5 * (order * N) ** 2)
def full_autoregression(lag_moments):
    """Coefficients A (recording, lag, target, source), innovations, R^-1, RSS."""
    R, r, s, n_samples = lag_moments
    n_recordings, order, n = r.shape[:3]
    size = order * n
    inverse = np.linalg.inv(R.reshape(n_recordings, size, size))
    B = inverse @ r.reshape(n_recordings, size, n)
    rest = s - np.swapaxes(r.reshape(n_recordings, size, n), 1, 2) @ B
    A = B.reshape(n_recordings, order, n, n).swapaxes(2, 3)
    return A, rest, inverse, n_samples


@operator("granger_conditional", "model-based", directed=True, ordered=True,
          cost="T*N^2 + N^3", needs=("full_autoregression",),
          source=GEWEKE,
          workspace=lambda T, N, order: 4 * (order + 2) * N**2)  # fmt: skip
def granger_conditional(x, *, full_autoregression, order=1, statistic="log_ratio"):
    """Whether a source predicts the target beyond the past of all other regions.

    One inverse of the Gram matrix gives all N^2 left-out models. Needs 4 p N samples.

    Parameters
    ----------
    order : int, default=1
    statistic : {'log_ratio', 'F', 'p'}

    References
    ----------
    Geweke, J. F. (1984). Measures of conditional linear dependence and feedback
    between time series. Journal of the American Statistical Association 79, 907-915.
    """
    n_time, n = x.shape[1:]
    check_samples(n_time, order, n, "granger_conditional")
    A, rest, inverse, n_samples = full_autoregression
    rss = np.einsum("bii->bi", rest)
    blocks = np.einsum("bkili->bikl", inverse.reshape(len(x), order, n, order, n))
    b = A.transpose(0, 3, 1, 2)  # (recording, source, lag, target)
    gain = (b * np.linalg.solve(blocks, b)).sum(axis=2)
    ratio = undefined_diagonal(np.log1p(np.maximum(gain, 0.0) / rss[:, None, :]))
    return statistic_of(ratio, statistic, order, n_samples - n * order - 1)


@operator("var_coef", "model-based", directed=True, signed=True, ordered=True,
          cost="T*N^2 + N^3",
          source=LUETKEPOHL,
          workspace=lambda T, N, order:
          4 * order * T * N + 5 * (order * N) ** 2)  # fmt: skip
def var_coef(x, *, order=1, estimator="ols", ridge=0.0):
    """Coefficients of the first lag of one autoregression of all regions.

    Parameters
    ----------
    order : int, default=1
    estimator : {'ols', 'ledoit_wolf'}
        Least squares; or from the shrunk covariance of past and present together.
    ridge : float, default=0
        Added to the Gram matrix, as a share of its mean diagonal; makes models of few
        samples possible.

    References
    ----------
    Lütkepohl, H. (2005). New Introduction to Multiple Time Series Analysis. Springer,
    section 3.2.
    """
    check_number("ridge", ridge, minimum=0.0)
    check_choice("estimator", estimator, ["ols", "ledoit_wolf"])
    n = x.shape[2]
    size = order * n
    if estimator == "ledoit_wolf":
        R, r = shrunk_moments(*lagged_design(x, order))
    else:
        if ridge == 0.0:
            check_samples(x.shape[1], order, n, "var_coef")
        R, r, _, _ = moments(*lagged_design(x, order))
    R = R.reshape(len(x), size, size)
    load = ridge * np.einsum("bii->b", R) / size
    B = np.linalg.solve(R + load[:, None, None] * np.eye(size), r.reshape(-1, size, n))
    return B[:, :n]
