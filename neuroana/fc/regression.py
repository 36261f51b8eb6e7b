"""Every region predicted by all others: W[i, j] is the coefficient of i for j."""

import numpy as np

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.fc.intermediates import gram
from neuroana.fc.inverses import inverse
from neuroana.fc.registry import operator


HOERL = "Hoerl and Kennard 1970, Technometrics 12, 55"
MEINSHAUSEN = "Meinshausen and Bühlmann 2006, Ann. Stat. 34, 1436"


@operator("ridge", "model-based", directed=True, signed=True, cost="T*N^2 + N^3",
          needs=("zscores",), source=HOERL)  # fmt: skip
def ridge(zscores, *, alpha=1.0, bivariate=False):
    """Coefficients of a ridge regression of each region on all others.

    With K the inverse of Z'Z + alpha I, the coefficient of i for j is -K_ij / K_jj: one
    inverse serves all regions.

    Parameters
    ----------
    alpha : float, default=1
        Penalty on the sum of squares.
    bivariate : bool, default=False
        One predictor at a time: r T / (T + alpha).

    References
    ----------
    Hoerl, A. E. and Kennard, R. W. (1970). Ridge regression. Technometrics 12, 55-67.
    """
    check_number("alpha", alpha, minimum=0.0)
    n_time, n = zscores.shape[1:]
    if bivariate:
        return gram(zscores) / (n_time + alpha)
    if alpha == 0 and n_time <= n:
        raise ParameterError(
            message("operator 'ridge' with alpha=0", f"more than {n} samples", n_time,
                    "use alpha > 0")
        )  # fmt: skip
    k = inverse(gram(zscores) + alpha * np.eye(n))
    w = -k / np.einsum("bii->bi", k)[:, None, :]
    np.einsum("bii->bi", w)[:] = 0.0
    return w


@operator("lasso", "model-based", directed=True, signed=True, cost="50*N^3",
          needs=("correlations",), source=MEINSHAUSEN,
          workspace=lambda T, N: 6 * N**2)  # fmt: skip
def lasso(correlations, *, alpha=0.05, tol=1e-10, max_iter=10_000):
    """Coefficients of a lasso of each region on all others: few and directed.

    Minimises |z_j - Z b|^2 / 2T + alpha |b|_1 by coordinate descent on the correlation
    matrix, all regions and recordings in step.

    Parameters
    ----------
    alpha : float, default=0.05
    tol : float, default=1e-10
        Largest change of a coefficient at which it stops.
    max_iter : int, default=10000

    References
    ----------
    Meinshausen, N. and Bühlmann, P. (2006). High-dimensional graphs and variable
    selection with the lasso. Annals of Statistics 34, 1436-1462.
    """
    check_number("alpha", alpha, minimum=0.0, open_ends=True)
    r = correlations
    n = r.shape[-1]
    b = np.zeros_like(r)  # [predictor, target]
    rest = r.copy()  # correlation of predictors with residuals
    np.einsum("bii->bi", rest)[:] = 0.0
    own = np.arange(n)
    for _ in range(max_iter):
        largest = 0.0
        for i in range(n):
            v = rest[:, i] + b[:, i]
            new = np.sign(v) * np.maximum(np.abs(v) - alpha, 0.0)
            new[:, i] = 0.0
            step = new - b[:, i]
            if step.any():
                largest = max(largest, float(np.abs(step).max()))
                rest -= r[:, :, i, None] * step[:, None, :]
                b[:, i] = new
        rest[:, own, own] = 0.0
        if largest < tol:
            return b
    import warnings

    from neuroana.core.errors import FitWarning

    warnings.warn(
        f"The lasso did not converge in {max_iter} sweeps (last change {largest:.3g}).",
        FitWarning,
        stacklevel=3,
    )
    return b
