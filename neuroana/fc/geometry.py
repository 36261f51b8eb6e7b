"""Covariances as points of a curved space: matrix logarithm and tangent vectors."""

import numpy as np

from neuroana.core.checks import check_number, message
from neuroana.core.errors import FitWarning, ParameterError
from neuroana.fc.registry import operator
from neuroana.fc.sharing import Shared
from neuroana.fc.shrinkage import check_rank


STEPS = (0.2, 1.0)  # shortest and longest step of the geometric mean


def of_eigenvalues(values, vectors):
    """V diag(values) V', exactly symmetric."""
    w = np.matmul(vectors * values[..., None, :], np.swapaxes(vectors, -1, -2))
    return (w + np.swapaxes(w, -1, -2)) / 2


def log_matrix(s):
    """Matrix logarithm of symmetric positive definite matrices."""
    values, vectors = positive_eigh(s)
    return of_eigenvalues(np.log(values), vectors)


def mean_log(s):
    """Mean of the matrix logarithms, summed without holding them."""
    values, vectors = positive_eigh(s)
    m = np.zeros(s.shape[1:])
    for log, v in zip(np.log(values), vectors):
        m += (v * log) @ v.T
    return (m + m.T) / (2 * len(s))


def positive_eigh(s):
    """Eigenvalues and eigenvectors, or an error where an eigenvalue is not positive."""
    values, vectors = np.linalg.eigh(s)
    if values.min() <= 0:
        raise ParameterError(
            message(
                "a covariance",
                "positive eigenvalues",
                f"{values.min():.3g}",
                "use estimator='ledoit_wolf', or drop regions that copy others",
            )
        )
    return values, vectors


def whitening(g):
    """G^1/2 and G^-1/2."""
    values, vectors = np.linalg.eigh(g)
    root = np.sqrt(values)
    return of_eigenvalues(root, vectors), of_eigenvalues(1 / root, vectors)


def geometric_mean(s, *, tol=1e-7, max_iter=30):
    """Geometric mean of covariances by gradient descent from the arithmetic mean.

    M = mean_b log(G^-1/2 S_b G^-1/2); G <- G^1/2 exp(step M) G^1/2. Steps follow the
    curvature h that the last two gradients show, M' ~ (1 - step h) M (Barzilai and
    Borwein), in place of 1: half as many iterations. Stops at |M|_F / N^2 < tol: one
    batched eigendecomposition an iteration.

    Parameters
    ----------
    s : ndarray (recording, roi, roi)
    tol : float
    max_iter : int

    Returns
    -------
    ndarray (roi, roi)
    """
    g = s.mean(axis=0)
    step, before = 1.0, None
    for _ in range(max_iter):
        root, white = whitening(g)
        m = mean_log(white @ s @ white)
        norm = np.linalg.norm(m)
        if norm / m.size < tol:
            break
        if before is not None:
            h = (1 - np.vdot(before, m) / np.vdot(before, before)) / step
            step = float(np.clip(1 / h, *STEPS)) if h > 0 else STEPS[1]
        before = m
        values, vectors = np.linalg.eigh(m)
        g = root @ of_eigenvalues(np.exp(step * values), vectors) @ root
        g = (g + g.T) / 2
    else:
        import warnings

        warnings.warn(
            f"The geometric mean of {len(s)} covariances did not converge in "
            f"{max_iter} iterations (gradient {norm / m.size:.3g} an entry, "
            f"tolerance {tol:g}).",
            FitWarning,
            stacklevel=2,
        )
    return g


def learn_reference(parts, *, estimator="ledoit_wolf", shrinkage=None, tol=1e-7,
                    max_iter=30):  # fmt: skip
    """Geometric mean of the covariances of recordings of any lengths."""
    params = {"estimator": estimator, "shrinkage": shrinkage}
    for x in parts:
        check_rank(*x.shape, estimator, "tangent")
    s = np.concatenate([Shared(x[None]).get("estimates", params) for x in parts])
    return geometric_mean(s, tol=tol, max_iter=max_iter)


@operator("tangent", "precision", signed=True, cost="T*N^2 + 30*N^3",
          needs=("estimates",), learn=learn_reference,
          workspace=lambda T, N: 8 * N**2,
          source="Varoquaux et al. 2010, MICCAI, 200")  # fmt: skip
def tangent(x, *, estimates, reference, estimator="ledoit_wolf", tol=1e-7, max_iter=30):
    """Covariances as deviations log(G^-1/2 S G^-1/2) from the group's G.

    G is the geometric mean of the *training* covariances. Strong where people are to
    be told apart or predicted.

    Parameters
    ----------
    estimator : {'ledoit_wolf', 'oas', 'shrunk', 'empirical'}
    shrinkage : float, optional
        Of ``'shrunk'``, 0.1 unless given.
    tol : float, default=1e-7
        The mean is found when the gradient is below, per entry.
    max_iter : int, default=30

    References
    ----------
    Varoquaux, G. et al. (2010). Detection of brain functional-connectivity difference
    in post-stroke patients using group-level covariance modeling. MICCAI, 200-208.
    """
    check_rank(*x.shape[1:], estimator, "tangent")
    check_number("tol", tol, minimum=0.0, open_ends=True)
    white = whitening(np.asarray(reference))[1]
    return log_matrix(white @ estimates @ white)


@operator("log_euclidean", "precision", signed=True, cost="T*N^2 + 10*N^3",
          needs=("estimates",), workspace=lambda T, N: 8 * N**2,
          source="Arsigny et al. 2007, SIAM J. Matrix Anal. Appl. 29, 328")  # fmt: skip
def log_euclidean(x, *, estimates, estimator="ledoit_wolf"):
    """Matrix logarithm of the covariance; needs no group.

    With off-diagonal entries times sqrt 2, as :class:`Connectivity` vectorises it, the
    Euclidean distance is the log-Euclidean one.

    Parameters
    ----------
    estimator : {'ledoit_wolf', 'oas', 'shrunk', 'empirical'}
    shrinkage : float, optional
        Of ``'shrunk'``, 0.1 unless given.

    References
    ----------
    Arsigny, V., Fillard, P., Pennec, X. and Ayache, N. (2007). Geometric means in a
    novel vector space structure on symmetric positive-definite matrices. SIAM Journal
    on Matrix Analysis and Applications 29, 328-347.
    """
    check_rank(*x.shape[1:], estimator, "log_euclidean")
    return log_matrix(estimates)
