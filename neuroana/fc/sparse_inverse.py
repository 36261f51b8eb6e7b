"""Sparse precision by the graphical lasso, many recordings side by side.

minimise tr(S K) - log det K + alpha sum_{i != j} |K_ij| by the alternating direction
method of multipliers: K from an eigendecomposition, Z by soft thresholds, U the dual.
"""

from itertools import pairwise

import numpy as np

from neuroana.core.checks import check_number
from neuroana.core.errors import FitWarning
from neuroana.fc.geometry import of_eigenvalues
from neuroana.fc.registry import operator


GLASSO = "Friedman, Hastie and Tibshirani 2008, Biostatistics 9, 432"


def sparse_precision(s, alpha, *, tol=1e-6, max_iter=2000):
    """Sparse precisions of covariances (recording, roi, roi); rho adapts to residuals.

    Stops when every recording's duality gap tr(S K) + alpha |K|_1 - N is below `tol`.
    Recordings that are done leave the batch.
    """
    n_recordings, n, _ = s.shape
    out = np.empty_like(s)
    alive = np.arange(n_recordings)
    z = np.zeros_like(s)
    np.einsum("bii->bi", z)[:] = 1.0 / (np.einsum("bii->bi", s) + alpha)
    u = np.zeros_like(s)
    rho = np.ones(n_recordings)
    off = ~np.eye(n, dtype=bool)
    gap = np.full(n_recordings, np.inf)
    for step in range(max_iter):
        r = rho[:, None, None]
        values, vectors = np.linalg.eigh(r * (z - u) - s)
        k = of_eigenvalues(
            (values + np.sqrt(values**2 + 4 * rho[:, None])) / (2 * rho[:, None]),
            vectors,
        )
        before, v = z, k + u
        z = np.where(off, np.sign(v) * np.maximum(np.abs(v) - alpha / r, 0.0), v)
        u = v - z
        primal = np.linalg.norm(k - z, axis=(1, 2))
        dual = rho * np.linalg.norm(z - before, axis=(1, 2))
        if step % 5 == 4:
            gap = np.abs(duality_gap(s, z, alpha))
            done = (gap < tol) & (primal < tol * np.linalg.norm(z, axis=(1, 2)))
            if done.any():
                out[alive[done]] = z[done]
                keep = ~done
                alive, s, z, u, rho, gap = (a[keep] for a in
                                            (alive, s, z, u, rho, gap))  # fmt: skip
                primal, dual = primal[keep], dual[keep]
                if not len(alive):
                    return out
        factor = np.where(primal > 10 * dual, 2.0, np.where(dual > 10 * primal, 0.5, 1))
        rho = rho * factor
        u = u / factor[:, None, None]
    import warnings

    out[alive] = z
    warnings.warn(
        f"The graphical lasso of {len(alive)} recordings did not converge in "
        f"{max_iter} iterations (duality gap {gap.max():.3g}).",
        FitWarning,
        stacklevel=3,
    )
    return out


def duality_gap(s, k, alpha):
    """tr(S K) + alpha sum_{i != j} |K_ij| - N, zero at the optimum."""
    penalty = np.abs(k).sum(axis=(1, 2)) - np.abs(np.einsum("bii->bi", k)).sum(axis=1)
    return np.einsum("bij,bij->b", s, k) + alpha * penalty - s.shape[-1]


@operator("graphical_lasso", "precision", signed=True, cost="100*N^3",
          needs=("correlations",), source=GLASSO,
          workspace=lambda T, N: 16 * N**2)  # fmt: skip
def graphical_lasso(correlations, *, alpha=0.1, tol=1e-6, max_iter=2000):
    """Sparse precision of the standardised samples.

    Parameters
    ----------
    alpha : float, default=0.1
        Penalty on the entries off the diagonal, in correlations.
    tol : float, default=1e-6
        Duality gap at which it stops.
    max_iter : int, default=2000

    References
    ----------
    Friedman, J., Hastie, T. and Tibshirani, R. (2008). Sparse inverse covariance
    estimation with the graphical lasso. Biostatistics 9, 432-441. Solved as in Boyd,
    S. et al. (2011), Foundations and Trends in Machine Learning 3, section 6.5.
    """
    check_number("alpha", alpha, minimum=0.0, open_ends=True)
    return sparse_precision(correlations, alpha, tol=tol, max_iter=max_iter)


def block_folds(n_time, n_folds):
    """First and last sample of contiguous folds."""
    edges = np.linspace(0, n_time, n_folds + 1).round().astype(int)
    return list(pairwise(edges))


@operator("graphical_lasso_cv", "precision", signed=True, cost="2000*N^3",
          batched=False, source=GLASSO,
          workspace=lambda T, N, n_folds: 4 * T * N + 20 * n_folds * N**2)  # fmt: skip
def graphical_lasso_cv(x, *, alphas=(0.4, 0.2, 0.1, 0.05, 0.025, 0.0125), n_folds=5):
    """Sparse precision whose penalty predicts left-out stretches of time best.

    Folds are contiguous, as neighbouring samples are not independent.

    Parameters
    ----------
    alphas : sequence of float
        Penalties to try.
    n_folds : int, default=5

    References
    ----------
    Friedman, J., Hastie, T. and Tibshirani, R. (2008). Sparse inverse covariance
    estimation with the graphical lasso. Biostatistics 9, 432-441.
    """
    check_number("n_folds", n_folds, minimum=2, maximum=len(x) // 2, integer=True)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    train, test = [], []
    for a, b in block_folds(len(z), n_folds):
        rest = np.concatenate([z[:a], z[b:]])
        train.append(np.cov(rest.T, ddof=0))
        gap = z[a:b] - rest.mean(axis=0)
        test.append(gap.T @ gap / (b - a))
    train, test = np.stack(train), np.stack(test)
    scores = []
    for alpha in alphas:
        k = sparse_precision(train, float(alpha), tol=1e-4)
        scores.append(np.mean(np.linalg.slogdet(k)[1] - np.sum(test * k, axis=(1, 2))))
    best = float(alphas[int(np.argmax(scores))])
    return sparse_precision(np.corrcoef(z.T)[None], best)[0]
