"""Precision and partial correlation: what two regions share beyond all others."""

import numpy as np

from neuroana.fc.intermediates import unit_diagonal
from neuroana.fc.registry import operator
from neuroana.fc.shrinkage import check_rank


def inverse(s):
    """Inverse of symmetric positive definite matrices, exactly symmetric.

    LAPACK's Cholesky factor and inverse in place take a third of the time of a
    general inverse.
    """
    from scipy.linalg.lapack import dpotrf, dpotri

    k = np.empty_like(s)
    lower = np.tri(s.shape[-1], k=-1, dtype=bool)
    for b, matrix in enumerate(s):
        factor, failed = dpotrf(matrix, lower=0, clean=0)
        made, failed_too = dpotri(factor, lower=0, overwrite_c=1)
        if failed or failed_too:
            raise np.linalg.LinAlgError("a covariance is not positive definite")
        np.copyto(made, made.T, where=lower)
        k[b] = made
    return k


@operator("precision", "precision", signed=True, cost="T*N^2 + N^3",
          needs=("estimates",),
          source="Dempster 1972, Biometrics 28, 157")  # fmt: skip
def precision(x, *, estimates, estimator="ledoit_wolf"):
    """Inverse of the covariance; zero where two regions are conditionally independent.

    Parameters
    ----------
    estimator : {'ledoit_wolf', 'oas', 'shrunk', 'empirical'}
    shrinkage : float, optional
        Of ``'shrunk'``, 0.1 unless given.

    References
    ----------
    Dempster, A. P. (1972). Covariance selection. Biometrics 28, 157-175.
    """
    check_rank(*x.shape[1:], estimator, "precision")
    return inverse(estimates)


@operator("partial", "precision", signed=True, cost="T*N^2 + N^3",
          needs=("estimates",),
          source="Marrelec et al. 2006, NeuroImage 32, 228")  # fmt: skip
def partial(x, *, estimates, estimator="ledoit_wolf"):
    """Partial correlation -K_ij / sqrt(K_ii K_jj): the usual improvement on Pearson.

    Parameters
    ----------
    estimator : {'ledoit_wolf', 'oas', 'shrunk', 'empirical'}
    shrinkage : float, optional
        Of ``'shrunk'``, 0.1 unless given.

    References
    ----------
    Marrelec, G. et al. (2006). Partial correlation for functional brain interactivity
    investigation in functional MRI. NeuroImage 32, 228-237.
    """
    check_rank(*x.shape[1:], estimator, "partial")
    k = inverse(estimates)
    d = 1.0 / np.sqrt(np.einsum("bii->bi", k))
    k *= -d[:, :, None]
    k *= d[:, None, :]
    return unit_diagonal(k)
