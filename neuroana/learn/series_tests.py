"""Is the correlation of two series with memory more than chance?

| symbol   | shape  | meaning                                              |
| -------- | ------ | ---------------------------------------------------- |
| x, y     | (T, R) | truth and prediction, column by column                |
| r, z     | (R,)   | Pearson correlation and its atanh                     |
| rho(k)   |        | autocorrelation at lag k, estimate over (1 - k / T)   |
| n_eff    | (R,)   | T / (1 + 2 sum_k (1 - k/T) rho_x(k) rho_y(k))          |

Volumes of BOLD are not independent. On unrelated people a test that counts them as
such rejects one true null in four at 5 %. Two tests here do not: Bartlett's number of
independent samples, and surrogates of the truth with random Fourier phases, the same
for all regions, so that the largest |z| over regions controls the family.
"""

from typing import NamedTuple

import numpy as np

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ShapeError
from neuroana.core.random import branch


MOST_LAGS = 20
LEAST = 4  # independent samples that any pair of series is credited with
CLIP = 1 - 1e-12
EXACT = 12  # people up to whom all signs are tried


class PhaseTest(NamedTuple):
    """Correlations and their surrogates.

    Attributes
    ----------
    r : ndarray (R,)
    z : ndarray (R,)
        Weighted mean of atanh r over spans.
    null : ndarray (draw, R)
        z of the surrogates.
    n_eff : ndarray (R,)
        Independent samples of all spans together.
    p, p_family : ndarray (R,)
        Two-sided, of each region and against the largest region of every surrogate.
    """

    r: np.ndarray
    z: np.ndarray
    null: np.ndarray
    n_eff: np.ndarray
    p: np.ndarray
    p_family: np.ndarray


def filled(x: np.ndarray) -> np.ndarray:
    """Columns with gaps bridged by straight lines; empty columns stay NaN.

    Examples
    --------
    >>> filled(np.array([[1.0], [np.nan], [3.0]])).ravel().tolist()
    [1.0, 2.0, 3.0]
    """
    x = np.array(x, dtype=float)
    t = np.arange(len(x))
    for column in x.T:
        known = np.isfinite(column)
        if known.any() and not known.all():
            column[~known] = np.interp(t[~known], t[known], column[known])
    return x


def standardized(x: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and length 1; NaN where nothing varies."""
    x = filled(x)
    x -= x.mean(axis=0)
    size = np.sqrt((x**2).sum(axis=0))
    scale = np.abs(x).max(axis=0, initial=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 1e-12, x / size, np.nan)


def autocorrelation(x: np.ndarray, n_lags: int) -> np.ndarray:
    """rho(k) for k = 1 .. n_lags of every column, (n_lags, R).

    Examples
    --------
    >>> autocorrelation(np.array([[1.0], [-1.0], [1.0], [-1.0]]), 1).round(6).tolist()
    [[-1.0]]
    """
    x = standardized(x)
    n = len(x)
    lags = [(x[k:] * x[:-k]).sum(axis=0) / (1 - k / n) for k in range(1, n_lags + 1)]
    return np.stack(lags) if lags else np.zeros((0, x.shape[1]))


def effective_samples(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Number of independent samples behind the correlation of two series.

    Parameters
    ----------
    x, y : ndarray (T, R)

    Returns
    -------
    ndarray (R,)
        Between 4 and T; NaN where a series does not vary.

    References
    ----------
    Bartlett, "On the theoretical specification and sampling properties of
    autocorrelated time-series", J. R. Stat. Soc. Suppl. 8, 1946.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> white = rng.standard_normal((2, 300, 1))
    >>> slow = np.cumsum(white, axis=1)
    >>> bool(effective_samples(*white)[0] > 200), bool(effective_samples(*slow)[0] < 30)
    (True, True)
    """
    n = len(x)
    n_lags = int(min(MOST_LAGS, n // 4))
    shrink = 1 - np.arange(1, n_lags + 1)[:, None] / n
    both = autocorrelation(x, n_lags) * autocorrelation(y, n_lags)
    inflation = 1 + 2 * (shrink * both).sum(axis=0)
    floor = min(LEAST, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(inflation > 0, n / inflation, n)
    return np.where(np.isnan(inflation), np.nan, np.clip(found, floor, n))


def bartlett_test(spans) -> tuple[np.ndarray, np.ndarray]:
    """z and two-sided p of correlations over spans, with effective sample numbers.

    Parameters
    ----------
    spans : list of (truth, prediction), each ndarray (T, R)
        Unbroken stretches, each with its own mean.

    Returns
    -------
    z, p : ndarray (R,)
        Standard normal under the null; NaN where fewer than 4 samples count.

    Examples
    --------
    >>> t = np.linspace(0, 60, 200)[:, None]
    >>> z, p = bartlett_test([(np.sin(t), np.sin(t + 0.1))])
    >>> bool(p[0] < 0.01)
    True
    """
    from scipy.stats import norm

    top, weight = 0.0, 0.0
    for x, y in checked(spans):
        r = (standardized(x) * standardized(y)).sum(axis=0)
        w = np.maximum(effective_samples(x, y) - 3, 0.0)
        top = top + np.nan_to_num(w * np.arctanh(np.clip(r, -CLIP, CLIP)))
        weight = weight + np.nan_to_num(w)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(weight > 0, top / np.sqrt(weight), np.nan)
    return z, 2 * norm.sf(np.abs(z))


def phase_test(spans, n_draws: int = 1000, *, seed: int = 0) -> PhaseTest:
    """Compare correlations with those of phase-randomised truths.

    The spectrum of each truth stays, its relation to the prediction goes; the relation
    between regions stays, since they share their phases. A surrogate's correlation is a
    sum over frequencies, so no series is made: the cost is that of one matrix product,
    draws x frequencies x regions, a span.

    Parameters
    ----------
    spans : list of (truth, prediction), each ndarray (T, R)
        Unbroken stretches; gaps in them are bridged by straight lines.
    n_draws : int
    seed : int

    References
    ----------
    Theiler et al., "Testing for nonlinearity in time series: the method of surrogate
    data", Physica D 58, 1992; phases in common: Prichard and Theiler, Phys. Rev. Lett.
    73, 1994; largest statistic: Nichols and Holmes, Hum. Brain Mapp. 15, 2002.

    Examples
    --------
    >>> t = np.linspace(0, 60, 200)[:, None] * np.array([1.0, 1.7])
    >>> found = phase_test([(np.sin(t), np.sin(t + 0.1))], 99)
    >>> found.p.round(2).tolist(), found.p_family.round(2).tolist()
    ([0.01, 0.01], [0.01, 0.01])
    """
    check_number("n_draws", n_draws, minimum=1, integer=True)
    top = null = weight = 0.0
    n_eff = 0.0
    for number, (x, y) in enumerate(checked(spans)):
        a, b = standardized(x), standardized(y)
        count = effective_samples(x, y)
        w = np.nan_to_num(np.maximum(count - 3, 0.0))
        r = (a * b).sum(axis=0)
        drawn = surrogate_correlations(a, b, n_draws, branch(seed, number))
        top = top + w * np.nan_to_num(np.arctanh(np.clip(r, -CLIP, CLIP)))
        null = null + w * np.nan_to_num(np.arctanh(np.clip(drawn, -CLIP, CLIP)))
        weight, n_eff = weight + w, n_eff + np.nan_to_num(count)
    with np.errstate(invalid="ignore", divide="ignore"):
        known = weight > 0
        z = np.where(known, top / weight, np.nan)
        null = np.where(known, null / weight, np.nan)
    return PhaseTest(np.tanh(z), z, null, np.where(known, n_eff, np.nan),
                     *p_values(z, null, weight))  # fmt: skip


def surrogate_correlations(a, b, n_draws: int, rng) -> np.ndarray:
    """Correlations of phase-randomised a with b, both standardized, (draw, R)."""
    n = len(a)
    n_free = (n - 1) // 2
    cross = np.fft.rfft(a, axis=0) * np.fft.rfft(b, axis=0).conj() / n
    turns = rng.uniform(0, 2 * np.pi, (n_draws, n_free))
    free = 2 * cross[1 : n_free + 1]
    drawn = np.cos(turns) @ free.real - np.sin(turns) @ free.imag
    if n % 2 == 0:
        drawn = drawn + cross[-1].real
    return drawn


def p_values(z, null, weight) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided p of each region, and p against the largest of every surrogate."""
    scale = np.sqrt(np.maximum(weight, 0.0))  # so that regions can be compared
    draws = np.abs(null) * scale
    own = np.abs(z) * scale
    largest = np.nanmax(np.where(np.isnan(draws), -np.inf, draws), axis=1)
    slack = 1e-12
    p = (1 + (draws >= own - slack).sum(axis=0)) / (1 + len(draws))
    family = (1 + (largest[:, None] >= own - slack).sum(axis=0)) / (1 + len(draws))
    return np.where(np.isnan(z), np.nan, p), np.where(np.isnan(z), np.nan, family)


def sign_flip_test(
    z: np.ndarray, n_draws: int = 10_000, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided p of the mean over people, by flipping the signs of people.

    Exact up to 12 people. Needs nothing but that a person's value is as likely to be
    negative as positive under the null.

    Parameters
    ----------
    z : ndarray (person, R)
        Fisher z, or differences of them; people with NaN do not count for that region.
    n_draws : int
        Random sign patterns for more than 12 people.
    seed : int

    Returns
    -------
    p, p_family : ndarray (R,)
        Of each region, and against the largest t over regions.

    Examples
    --------
    >>> p, family = sign_flip_test(np.array([[1.0], [2.0], [1.5], [1.2], [1.1], [0.9]]))
    >>> p.tolist()
    [0.03125]
    """
    z = np.asarray(z, dtype=float)
    if z.ndim != 2:
        raise ShapeError(message("z", "shape (person, region)", z.shape))
    n = len(z)
    if n <= EXACT:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = branch(seed).choice([-1.0, 1.0], (n_draws, n))
        signs[0] = 1.0
    known = np.isfinite(z)
    values = np.where(known, z, 0.0)
    size = np.sqrt((values**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(size > 0, np.abs(signs @ values) / size, np.nan)
    own = t[0] - 1e-12
    largest = np.nanmax(np.where(np.isnan(t), -np.inf, t), axis=1)
    p = (t >= own).mean(axis=0)
    family = (largest[:, None] >= own).mean(axis=0)
    return np.where(size > 0, p, np.nan), np.where(size > 0, family, np.nan)


def checked(spans) -> list[tuple[np.ndarray, np.ndarray]]:
    """Spans as pairs of arrays of one shape."""
    made = []
    for number, (x, y) in enumerate(spans):
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if x.shape != y.shape or x.ndim != 2 or len(x) < 2:
            raise ShapeError(
                message(f"span {number}", "truth and prediction (volume, region) of "
                        "one shape, two volumes at least", (x.shape, y.shape))
            )  # fmt: skip
        made.append((x, y))
    if not made:
        raise ShapeError(message("spans", "at least one", "none"))
    return made
