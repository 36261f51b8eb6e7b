"""Expensive operators predicted from cheap ones, and corrected on a core-set.

The difference estimator of survey sampling (equivalent to prediction-powered
inference): what a surrogate says of everybody, plus what it gets wrong on the core-set.

| symbol | here | shape |
| --- | --- | --- |
| r_kw, standardised ranks of the cheap matrices | ranks | (sample, edge, cheap) |
| Phi_w = [r, (r^2 - 1) / sd] | features_of | (edge, 2 cheap) |
| B | coefficients | (2 cheap, expensive) |
| s, s^ | similarity of pairs of samples, true and predicted | (sample, sample) |
| C | core, mask of people | (person,) |
"""

import numpy as np

from neuroana.fc.pair_scores import class_totals, pair_totals
from neuroana.fc.similarity import standardised


PENALTY = 1e-3  # of the ridge, times the number of rows
LEAST_VARIANCE = 0.1  # of the core-set's own
LEAST_SQUARE = 1e-6


def rank_features(edges):
    """Standardised ranks, mean 0 and mean square 1, of finite edges (sample, edge)."""
    return (standardised(edges) * np.sqrt(edges.shape[1])).astype(np.float32)


class Surrogate:
    """Ridge from the ranks of cheap matrices to those of expensive ones.

    Parameters
    ----------
    cheap : ndarray (cheap, sample, edge)
        :func:`rank_features` of the cheap operators, of all samples.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> cheap = np.stack([rank_features(rng.normal(size=(6, 30))) for _ in range(2)])
    >>> model = Surrogate(cheap)
    >>> cross = model.cross(cheap[:1])
    >>> b = model.coefficients(cross, np.ones(6, dtype=bool))
    >>> bool(np.abs(model.predict(b)[0] - cheap[0]).max() < 0.05)
    True
    """

    def __init__(self, cheap):
        self.ranks = np.ascontiguousarray(np.moveaxis(np.asarray(cheap), 0, -1))
        self.spread = (self.ranks**2).std(axis=1) + 1e-12
        n = 2 * self.ranks.shape[2]
        self.grams = np.empty((len(self.ranks), n, n))
        for w in range(len(self.ranks)):
            phi = self.features_of(w).astype(float)
            self.grams[w] = phi.T @ phi

    def features_of(self, w):
        """Phi of one sample (edge, 2 cheap)."""
        r = self.ranks[w]
        return np.concatenate([r, (r**2 - 1.0) / self.spread[w]], axis=1)

    def cross(self, targets, samples=None):
        """Phi_w' r_ow (sample, 2 cheap, expensive) of targets.

        Parameters
        ----------
        targets : ndarray (expensive, sample, edge)
        samples : ndarray of int, optional
            The targets' samples, if not all; the others get 0.
        """
        targets = np.asarray(targets)
        at = np.arange(len(self.ranks)) if samples is None else samples
        out = np.zeros((len(self.ranks), self.grams.shape[1], len(targets)))
        for k, w in enumerate(at):
            out[w] = self.features_of(w).T @ targets[:, k].T
        return out

    def coefficients(self, cross, use):
        """B from the samples of a mask."""
        gram = self.grams[use].sum(axis=0)
        rows = use.sum() * self.ranks.shape[1]
        eye = np.eye(len(gram))
        return np.linalg.solve(gram + PENALTY * rows * eye, cross[use].sum(axis=0))

    def predict(self, b, samples=None):
        """Predicted ranks (expensive, sample, edge) by one B."""
        at = np.arange(len(self.ranks)) if samples is None else samples
        out = np.empty((b.shape[1], len(at), self.ranks.shape[1]), dtype=np.float32)
        b = b.astype(np.float32)
        for k, w in enumerate(at):
            out[:, k] = (self.features_of(w) @ b).T
        return out

    def predict_left_out(self, cross, people, use):
        """Predictions for samples of the mask, by B of the other people in it."""
        at = np.flatnonzero(use)
        out = np.empty((cross.shape[2], len(at), self.ranks.shape[1]), np.float32)
        for p in np.unique(people[at]):
            own = np.flatnonzero(people[at] == p)
            b = self.coefficients(cross, use & (people != p))
            out[:, own] = self.predict(b, at[own])
        return out


def pair_estimate(s, s_hat, units, classes, core, weights):
    """Mean and variance of the pairs of each class among all, from a core-set.

    m = mean_C(s) + b (mean_all(s^) - mean_C(s^)), v = var_C(s) + b^2 (var_all(s^) -
    var_C(s^)), not below a tenth of var_C(s); b: least squares of s on s^ over the
    pairs of C, class means removed.

    Parameters
    ----------
    s : ndarray (sample, sample)
        True similarity; entries outside the core-set are not looked at.
    s_hat : ndarray (sample, sample)
    units : ndarray of int (sample,)
    classes : ndarray (unit, unit)
    core : ndarray of bool (unit,)
    weights : ndarray (draw, unit)

    Returns
    -------
    means, variances : ndarray (draw, class)
    """
    inside = weights * core
    known = core[units][:, None] & core[units][None, :] & np.isfinite(s)
    true, said = np.where(known, s, 0.0), np.where(known, s_hat, 0.0)

    def over_core(values):
        return class_totals(pair_totals(values, units), classes, inside)

    def over_all(values):
        return class_totals(pair_totals(values, units), classes, weights)

    with np.errstate(invalid="ignore", divide="ignore"):
        n, n_all = over_core(known.astype(float)), over_all(np.ones_like(s_hat))
        mean, mean_said = over_core(true) / n, over_core(said) / n
        var = over_core(true**2) / n - mean**2
        var_said = over_core(said**2) / n - mean_said**2
        cov = over_core(true * said) / n - mean * mean_said
        all_said = over_all(s_hat) / n_all
        all_var = over_all(s_hat**2) / n_all - all_said**2
        b = np.nansum(n * cov, axis=1) / np.nansum(n * var_said, axis=1)
        b = np.where(np.isfinite(b), b, 0.0)[:, None]
    means = mean + b * (all_said - mean_said)
    variances = var + b**2 * (all_var - var_said)
    return means, np.maximum(variances, LEAST_VARIANCE * var)


def icc_estimate(first, second, first_hat, second_hat, core, weights):
    """Median ICC(1,1) over edges among all people, from a core-set.

    Parameters
    ----------
    first, second : ndarray (core person, edge)
        True measurements of the people in the core-set.
    first_hat, second_hat : ndarray (person, edge)
        Predicted ones of all.
    core : ndarray of bool (person,)
    weights : ndarray (draw, person)

    Returns
    -------
    ndarray (draw,)
    """
    mean, gap = (first + second) / 2, (first - second) ** 2 / 2
    mean_hat = (first_hat + second_hat) / 2
    gap_hat = (first_hat - second_hat) ** 2 / 2
    out = np.empty(len(weights))
    for d, w in enumerate(weights):
        c = w[core]
        between = 2 * (
            _variance(mean_hat, w) + _variance(mean, c) - _variance(mean_hat[core], c)
        )
        within = _mean(gap_hat, w) + _mean(gap, c) - _mean(gap_hat[core], c)
        between = np.maximum(between, LEAST_SQUARE)
        within = np.maximum(within, LEAST_SQUARE)
        out[d] = np.median((between - within) / (between + within))
    return out


def _mean(rows, w):
    return w @ rows / w.sum()


def _variance(rows, w):
    n = w.sum()
    return (w @ rows**2 / n - _mean(rows, w) ** 2) * n / (n - 1)


def predictability(s, s_left_out, people):
    """Correlation of true and predicted similarity within and between people.

    Parameters
    ----------
    s, s_left_out : ndarray (sample, sample)
        Of the core-set; the prediction of a sample has not seen its person.

    Returns
    -------
    within, between : float
    """
    rows, columns = np.triu_indices(len(s), 1)
    a, b = s[rows, columns], s_left_out[rows, columns]
    same = people[rows] == people[columns]
    out = []
    for pick in (same, ~same):
        pick = pick & np.isfinite(a) & np.isfinite(b)
        ok = pick.sum() > 2 and np.ptp(a[pick]) > 0 and np.ptp(b[pick]) > 0
        out.append(float(np.corrcoef(a[pick], b[pick])[0, 1]) if ok else np.nan)
    return out[0], out[1]


def predicted_similarity(rows):
    """Pearson correlation of predicted ranks (sample, edge) of every two samples."""
    rows = standardised(rows.astype(np.float64), "pearson")
    return rows @ rows.T
