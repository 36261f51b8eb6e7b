"""Dynamic conditional correlation: variances that cluster, correlations that wander.

h_t = (1 - a - b) s^2 + a x_{t-1}^2 + b h_{t-1} for each region, e = x / sqrt h;
Q_t = (1 - a - b) Q + a e_{t-1} e_{t-1}' + b Q_{t-1}, R_t = Q_t scaled to unit diagonal.
Both stages maximise a Gaussian likelihood by its exact gradient; the second that of all
pairs, so that no matrix is inverted.
"""

import numpy as np

from neuroana.fc.dynamic import all_samples, reduced
from neuroana.fc.registry import operator


ENGLE = "Engle 2002, J. Bus. Econ. Stat. 20, 339"
BOUNDS = ((1e-4, 0.999), (1e-4, 1.0))  # of a + b, and of a / (a + b)
START = (0.9, 0.1)


def recursion(start, source, b):
    """y_t = source_{t-1} + b y_{t-1}, y_0 = start, along the first axis."""
    from scipy.signal import lfilter

    shifted = np.concatenate([np.zeros_like(start)[None], source[:-1]])
    shifted[0] = start
    return lfilter([1.0], [1.0, -b], shifted, axis=0)


def paths(squares, mean, a, b):
    """v_t = (1 - a - b) mean + a squares_{t-1} + b v_{t-1} and dv/da, dv/db."""
    v = recursion(mean, (1 - a - b) * mean + a * squares, b)
    zero = np.zeros_like(mean)
    return v, recursion(zero, squares - mean, b), recursion(zero, v - mean, b)


def maximise(loss):
    """a and b of the smallest loss(a, b) -> value, d/da, d/db."""
    from scipy.optimize import minimize

    def turned(theta):
        total, share = theta
        value, da, db = loss(total * share, total * (1 - share))
        return value, np.array([share * da + (1 - share) * db, total * (da - db)])

    found = minimize(turned, START, jac=True, method="L-BFGS-B", bounds=BOUNDS)
    total, share = found.x
    return total * share, total * (1 - share)


def variance_loss(x):
    """Mean negative log-likelihood of a GARCH(1,1) of x (time,), with its gradient."""
    squares, mean = x**2, (x**2).mean()

    def loss(a, b):
        h, da, db = paths(squares, mean, a, b)
        slope = (1 - squares / h) / h / 2
        return (np.log(h) + squares / h).mean() / 2, *(
            float((slope * d).mean()) for d in (da, db)
        )

    return loss


def conditional_variance(x):
    """h (time,) at the likelihood's maximum."""
    a, b = maximise(variance_loss(x))
    return paths(x**2, (x**2).mean(), a, b)[0]


def correlation_loss(e):
    """Mean negative log-likelihood of all pairs of e (time, roi), with its gradient."""
    i, j = np.triu_indices(e.shape[1], 1)
    products, squares = e[:, i] * e[:, j], e**2
    sums = squares[:, i] + squares[:, j]

    def loss(a, b):
        q, *dq = paths(products, products.mean(axis=0), a, b)
        d, *dd = paths(squares, squares.mean(axis=0), a, b)
        scale = np.sqrt(d[:, i] * d[:, j])
        r = np.clip(q / scale, -0.9999, 0.9999)
        rest = 1 - r**2
        form = sums - 2 * r * products
        value = (np.log(rest) + form / rest).mean() / 2
        slope = -(r + products) / rest + r * form / rest**2
        gradient = []
        for g, k in zip(dq, dd):
            own = k[:, i] / d[:, i] + k[:, j] / d[:, j]
            gradient.append(float((slope * (g / scale - r / 2 * own)).mean()))
        return value, *gradient

    return loss


def correlation_path(e, a, b):
    """R_t (time, roi, roi)."""
    i, j = np.triu_indices(e.shape[1], 1)
    products, squares = e[:, i] * e[:, j], e**2
    q = paths(products, products.mean(axis=0), a, b)[0]
    d = paths(squares, squares.mean(axis=0), a, b)[0]
    out = np.empty((len(e), e.shape[1], e.shape[1]))
    out[:, i, j] = np.clip(q / np.sqrt(d[:, i] * d[:, j]), -1.0, 1.0)
    out[:, j, i] = out[:, i, j]
    np.einsum("tii->ti", out)[:] = 1.0
    return out


@operator("dcc", "dynamic", signed=True, ordered=True, batched=False,
          cost="500*T*N^2", workspace=lambda T, N: 4 * all_samples(T, N),
          source=ENGLE)  # fmt: skip
def dcc(x, *, reduce="mean"):
    """Dynamic conditional correlation: how correlation wanders, sample by sample.

    Needs no window; ``reduce="sd"`` says which pairs change.

    Parameters
    ----------
    reduce : {'mean', 'sd', 'none'}
        Over time; ``'none'`` keeps R_t along the dim ``window``.

    References
    ----------
    Engle, R. (2002). Dynamic conditional correlation. Journal of Business and Economic
    Statistics 20, 339-350. The likelihood of pairs: Pakel, C., Shephard, N., Sheppard,
    K. and Engle, R. F. (2021). Fitting vast dimensional time-varying covariance models.
    Journal of Business and Economic Statistics 39, 652-668. In neuroimaging:
    Lindquist, M. A. et al. (2014). NeuroImage 101, 531-546.
    """
    x = x - x.mean(axis=0)
    e = np.stack([c / np.sqrt(conditional_variance(c)) for c in x.T], axis=1)
    R = correlation_path(e, *maximise(correlation_loss(e)))
    made = reduced(R[None], "window", np.arange(len(x)), reduce)
    return (made[0][0], made[1]) if reduce == "none" else made[0]
