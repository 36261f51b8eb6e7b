"""Covariances drawn towards a multiple of the identity, and a robust one.

(1 - s) S + s mu I with S = X'X/T of centred samples and mu = tr S / N; s is found in
closed form from tr S, tr S^2 and sum_t |x_t|^4, for all recordings at once.
"""

import numpy as np

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.fc.registry import operator
from neuroana.fc.sharing import intermediate


LEDOIT = "Ledoit and Wolf 2004, J. Multivar. Anal. 88, 365"
OAS = "Chen et al. 2010, IEEE Trans. Signal Process. 58, 5016"


def traces(s):
    """tr S / N and tr S^2."""
    return np.einsum("bii->b", s) / s.shape[-1], np.einsum("bij,bij->b", s, s)


@intermediate
def ledoit_wolf_intensity(centred, *, second_moments):
    """s = min(b2, d2) / d2."""
    _, n_time, n = centred.shape
    mu, s2 = traces(second_moments)
    d2 = s2 / n - mu**2
    norms = np.einsum("btn,btn->bt", centred, centred)
    b2 = ((norms**2).sum(axis=1) / n_time - s2) / (n * n_time)
    return np.divide(np.minimum(b2, d2), d2, out=np.zeros_like(d2), where=d2 > 0)


@intermediate
def oas_intensity(centred, *, second_moments):
    """(tr S^2 / N^2 + mu^2) / ((T + 1) (tr S^2 / N^2 - mu^2 / N)), at most 1."""
    _, n_time, n = centred.shape
    mu, s2 = traces(second_moments)
    alpha = s2 / n**2
    below = (n_time + 1) * (alpha - mu**2 / n)
    s = np.divide(alpha + mu**2, below, out=np.ones_like(mu), where=below > 0)
    return np.minimum(s, 1.0)


def shrink(s, intensity):
    """(1 - s) S + s mu I."""
    mu = traces(s)[0]
    out = (1.0 - intensity)[:, None, None] * s
    np.einsum("bii->bi", out)[:] += (intensity * mu)[:, None]
    return out


@operator("ledoit_wolf", "shrinkage", signed=True, zscored=False, source=LEDOIT,
          needs=("second_moments", "ledoit_wolf_intensity"))  # fmt: skip
def ledoit_wolf(second_moments, *, ledoit_wolf_intensity):
    """Covariance shrunk by as much as minimises the expected squared error.

    It can be inverted with fewer samples than regions.

    References
    ----------
    Ledoit, O. and Wolf, M. (2004). A well-conditioned estimator for large-dimensional
    covariance matrices. Journal of Multivariate Analysis 88, 365-411.
    """
    return shrink(second_moments, ledoit_wolf_intensity)


@operator("oas", "shrinkage", signed=True, zscored=False, source=OAS,
          needs=("second_moments", "oas_intensity"))  # fmt: skip
def oas(second_moments, *, oas_intensity):
    """Covariance shrunk by the oracle approximation, for samples that are Gaussian.

    The terms in 2/N of the paper's equation 23 are left out, as scikit-learn does.

    References
    ----------
    Chen, Y., Wiesel, A., Eldar, Y. C. and Hero, A. O. (2010). Shrinkage algorithms for
    MMSE covariance estimation. IEEE Transactions on Signal Processing 58, 5016-5029.
    """
    return shrink(second_moments, oas_intensity)


@operator("shrunk", "shrinkage", signed=True, zscored=False, source=LEDOIT,
          needs=("second_moments",))  # fmt: skip
def shrunk(second_moments, *, shrinkage=0.1):
    """Covariance shrunk by a fixed share.

    Parameters
    ----------
    shrinkage : float, default=0.1
        From 0, the covariance, to 1, a multiple of the identity.

    References
    ----------
    Ledoit, O. and Wolf, M. (2004). A well-conditioned estimator for large-dimensional
    covariance matrices. Journal of Multivariate Analysis 88, 365-411.
    """
    check_number("shrinkage", shrinkage, minimum=0.0, maximum=1.0)
    return shrink(second_moments, np.full(len(second_moments), float(shrinkage)))


@operator("mcd", "shrinkage", signed=True, zscored=False, batched=False,
          cost="500*T*N^2",
          source="Rousseeuw and Van Driessen 1999, Technometrics 41, 212")  # fmt: skip
def mcd(x, *, random_state=0):
    """Covariance of the half of the samples that lie closest together.

    Samples with artefacts do not count. Needs more than 5 N samples.

    Parameters
    ----------
    random_state : int, default=0

    References
    ----------
    Rousseeuw, P. J. and Van Driessen, K. (1999). A fast algorithm for the minimum
    covariance determinant estimator. Technometrics 41, 212-223.
    """
    n_time, n = x.shape
    if n_time <= 5 * n:
        raise ParameterError(
            message(
                "operator 'mcd'",
                f"more than 5 N = {5 * n} samples",
                n_time,
                "use 'ledoit_wolf', or fewer regions",
            )
        )
    from sklearn.covariance import MinCovDet

    return MinCovDet(random_state=random_state).fit(x).covariance_


ESTIMATORS = ("ledoit_wolf", "oas", "shrunk", "empirical")


@intermediate
def estimates(centred, *, second_moments, ledoit_wolf_intensity, oas_intensity,
              estimator="ledoit_wolf", shrinkage=None):  # fmt: skip
    """The covariances that `estimator` names."""
    check_shrinkage(estimator, shrinkage)
    if estimator == "empirical":
        return second_moments
    if estimator == "shrunk":
        share = 0.1 if shrinkage is None else float(shrinkage)
        intensity = np.full(len(second_moments), share)
    else:
        intensity = {"ledoit_wolf": ledoit_wolf_intensity, "oas": oas_intensity}[
            estimator
        ]
    return shrink(second_moments, intensity)


def check_shrinkage(estimator, shrinkage):
    """An estimator that is known, and a share for the one that takes it."""
    check_choice("estimator", estimator, ESTIMATORS)
    if shrinkage is None:
        return
    check_number("shrinkage", shrinkage, minimum=0.0, maximum=1.0)
    if estimator != "shrunk":
        raise ParameterError(
            message("argument 'shrinkage'", f"none with estimator={estimator!r}, "
                    "which finds its own", shrinkage, "use estimator='shrunk'")
        )  # fmt: skip


def check_rank(n_time: int, n: int, estimator: str, name: str) -> None:
    """Raise where an empirical covariance cannot be inverted."""
    if estimator == "empirical" and n_time <= n:
        raise ParameterError(
            message(
                f"operator {name!r} with estimator='empirical'",
                f"more samples than the {n} regions",
                n_time,
                "use estimator='ledoit_wolf'",
            )
        )
