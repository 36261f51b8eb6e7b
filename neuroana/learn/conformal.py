"""Prediction intervals from the errors on runs that were held out.

| symbol | shape | meaning                                             |
| ------ | ----- | --------------------------------------------------- |
| e      | (T,)  | absolute errors of one held-out run                  |
| n      |       | independent errors of all runs, by Bartlett's count   |
| h      |       | half width: the weighted quantile of all e            |

Errors of neighbouring volumes go together, so runs count as a whole: each has the same
weight, and the finite-sample correction (n + 1)(1 - alpha) / n uses independent errors,
not volumes (split conformal prediction: Vovk, Gammerman & Shafer, 2005).
"""

import numpy as np

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ShapeError
from neuroana.learn.series_tests import effective_samples


def half_widths(errors: list[np.ndarray], level: float = 0.9) -> np.ndarray:
    """Half width of the interval of every region.

    Parameters
    ----------
    errors : list of ndarray (T, R)
        Truth less prediction of each held-out run; NaN where unknown.
    level : float
        Share of volumes that the interval should hold.

    Returns
    -------
    ndarray (R,)
        Infinite where the runs hold too few independent errors for that level.

    Raises
    ------
    ShapeError
        If there is no run, or regions differ.

    Examples
    --------
    >>> errors = np.random.default_rng(0).standard_normal((3, 500, 1))
    >>> half_widths(list(errors), 0.9).round(1).tolist()
    [1.6]
    """
    check_number("level", level, minimum=0.0, maximum=1.0, open_ends=True)
    if not errors or len({e.shape[1:] for e in errors}) != 1 or errors[0].ndim != 2:
        raise ShapeError(
            message("errors", "one run at least, (volume, region) each",
                    [np.shape(e) for e in errors])
        )  # fmt: skip
    size = np.concatenate([np.abs(e) for e in errors])
    weight = np.concatenate([
        np.isfinite(e) / np.maximum(np.isfinite(e).sum(axis=0), 1) for e in errors
    ])  # fmt: skip
    n = np.nansum([np.nan_to_num(effective_samples(e, e)) for e in errors], axis=0)
    out = np.full(size.shape[1], np.inf)
    for k in range(size.shape[1]):
        known = np.isfinite(size[:, k])
        share = (n[k] + 1) * level / max(n[k], 1e-9)
        if not known.any() or share > 1:
            continue
        order = np.argsort(size[known, k])
        mass = np.cumsum(weight[known, k][order])
        at = np.searchsorted(mass / mass[-1], share - 1e-12)
        out[k] = size[known, k][order][min(at, len(order) - 1)]
    return out
