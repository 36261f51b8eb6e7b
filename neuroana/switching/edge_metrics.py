"""How good edge types are: accuracy over the three types, and calibration."""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ShapeError


def types_of(probability, edge_type):
    """Probabilities (edge, 3) and types (edge,) where both are known."""
    p, truth = np.asarray(probability, dtype=float), np.asarray(edge_type)
    if p.shape != (*truth.shape, 3):
        raise ShapeError(
            message("edge types", f"shape {p.shape[:-1]}, as the probabilities",
                    f"{truth.shape}")
        )  # fmt: skip
    p, truth = p.reshape(-1, 3), truth.ravel()
    known = np.isfinite(p).all(axis=1)
    return p[known], truth[known]


def balanced_edge_accuracy(probability, edge_type) -> float:
    """Mean over the types of the share of edges whose type is found.

    Three quarters of all edges may be absent: a map of nothing would be right there,
    and is worth a third here.

    Parameters
    ----------
    probability : array (..., sign)
        ``edge_probability_`` or ``edge_prior_``; edges that are NaN are left out.
    edge_type : array (...)
        -1, 0 or 1.

    Examples
    --------
    >>> balanced_edge_accuracy([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]], [-1, 0])
    0.5
    """
    p, truth = types_of(probability, edge_type)
    found = p.argmax(axis=1) - 1
    there = [s for s in (-1, 0, 1) if (truth == s).any()]
    return float(np.mean([(found[truth == s] == s).mean() for s in there]))


def edge_calibration(probability, edge_type, *, n_levels=10) -> xr.Dataset:
    """How often a type is true where the model gives it some probability.

    Parameters
    ----------
    probability : array (..., sign)
        ``edge_probability_``; edges that are NaN are left out.
    edge_type : array (...)
        -1, 0 or 1: of a simulation, or a measured connectome.
    n_levels : int
        Levels of probability of equal width.

    Returns
    -------
    Dataset (level)
        ``said``, the mean probability; ``found``, the share that is true; ``count`` of
        (edge, type) pairs. NaN where there are none.

    Examples
    --------
    >>> said = [[0.9, 0.1, 0.0], [0.0, 0.1, 0.9]]
    >>> table = edge_calibration(said, [-1, 1], n_levels=2)
    >>> table.found.to_numpy()
    array([0., 1.])
    """
    check_number("n_levels", n_levels, minimum=1, integer=True)
    p, truth = types_of(probability, edge_type)
    right = truth[:, None] == np.array([-1, 0, 1])
    level = np.minimum((p * n_levels).astype(int), n_levels - 1).ravel()
    count = np.bincount(level, minlength=n_levels)
    with np.errstate(invalid="ignore"):
        said = np.bincount(level, p.ravel(), n_levels) / count
        found = np.bincount(level, right.ravel(), n_levels) / count
    return xr.Dataset(
        {"said": ("level", said), "found": ("level", found), "count": ("level", count)},
        coords={"level": np.arange(n_levels)},
    )
