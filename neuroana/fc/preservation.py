"""Whether a part of the recordings ranks the operators as all of them do."""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ShapeError
from neuroana.core.random import branch, draw_seed
from neuroana.fc.rank_agreement import (
    RELEVANCES,
    kendall_tau,
    ndcg,
    overlap,
    regret,
    relevance_of,
    spearman_rho,
)


def rank_preservation(
    full,
    core,
    *,
    ks=(5, 10, 20),
    relevance="rank",
    ties="average",
    n_random=200,
    random_state=0,
):
    """Compare the ranking of operators on a core-set with that on all recordings.

    Use it to judge a core-set or an estimator. Cost: some milliseconds a repeat.

    Parameters
    ----------
    full : DataArray or ndarray (operator,)
        Scores on all recordings, higher is better.
    core : DataArray or ndarray (operator,) or (repeat, operator)
        Scores on core-sets. DataArrays are matched by the names of the operators.
    ks : sequence of int
        Lengths of the top of the list; those beyond the number of operators are left
        out.
    relevance : {'rank', 'score', 'top'}
        Worth of an operator in the linear gain: M - rank, its score, or one of the
        top k.
    ties : {'average', 'optimistic'}
        In overlap and regret. Tied operators count with the mean over their orders,
        or in favour of the core-set.
    n_random : int
        Random orders that say what chance gives.
    random_state : int, Generator or None

    Returns
    -------
    Dataset
        (repeat, k): ndcg, ndcg_exp (gain 2^(M - rank) - 1), overlap; (repeat,):
        kendall (tau-b), spearman, regret. The same with ``_chance``: mean over random
        orders. NaN means undefined. ``attrs['n_undefined']``: operators left out as
        one of both scores is missing.

    Raises
    ------
    ShapeError
        If the operators do not match, or fewer than two are left.

    Notes
    -----
    nDCG: Järvelin and Kekäläinen, ACM TOIS 20, 422 (2002); averaged over ties as in
    McSherry and Najork, ECIR 2008.

    Examples
    --------
    >>> found = rank_preservation(np.array([3.0, 2.0, 1.0]), np.array([2.0, 3.0, 1.0]),
    ...                           ks=(2,))
    >>> round(float(found.kendall), 3), float(found.regret)
    (0.333, 1.0)
    """
    check_choice("relevance", relevance, RELEVANCES)
    check_number("n_random", n_random, minimum=1, integer=True)
    g, c = _matched(full, core)
    kept = np.isfinite(g) & np.isfinite(c).all(0)
    if kept.sum() < 2:
        raise ShapeError(
            message("core", "at least 2 operators with both scores", int(kept.sum()))
        )
    g, c = g[kept], c[:, kept]
    ks = [int(k) for k in ks if k <= len(g)]
    rng = branch(draw_seed(random_state))
    random = np.stack([rng.permutation(len(g)) for _ in range(n_random)]).astype(float)
    found = _agreement(g, c, ks, relevance, ties)
    chance = _agreement(g, random, ks, relevance, ties)
    ds = xr.Dataset(coords={"k": ks})
    for name, values in found.items():
        dims = ("repeat", "k")[: values.ndim]
        ds[name] = (dims, values)
        ds[f"{name}_chance"] = (dims[1:], np.mean(chance[name], axis=0))
    ds.attrs = {
        "relevance": relevance,
        "ties": ties,
        "n_operators": len(g),
        "n_undefined": int((~kept).sum()),
    }
    return ds if np.ndim(core) == 2 else ds.isel(repeat=0)


def _agreement(g, c, ks, relevance, ties):
    whole = relevance_of(g, scaled=False)
    worth = {k: relevance_of(g, relevance, top=k) for k in ks}
    shape = (len(c), len(ks))
    return {
        "ndcg": np.array([ndcg(worth[k], row, k) for row in c for k in ks]
                         ).reshape(shape),
        "ndcg_exp": np.array([ndcg(whole, row, k, gain="exp") for row in c for k in ks]
                             ).reshape(shape),
        "overlap": np.array([overlap(g, row, k, ties=ties) for row in c for k in ks]
                            ).reshape(shape),
        "kendall": np.array([kendall_tau(g, row) for row in c]),
        "spearman": np.array([spearman_rho(g, row) for row in c]),
        "regret": np.array([regret(g, row, ties=ties) for row in c]),
    }  # fmt: skip


def _matched(full, core):
    if isinstance(full, xr.DataArray) and isinstance(core, xr.DataArray):
        names = full["operator"].values
        if set(names) != set(core["operator"].values):
            odd = sorted(set(map(str, names)) ^ set(map(str, core["operator"].values)))
            raise ShapeError(message("core", "the operators of full", odd[:5]))
        core = core.sel(operator=names).transpose(..., "operator")
    g, c = np.asarray(full, dtype=float), np.atleast_2d(np.asarray(core, dtype=float))
    if g.ndim != 1 or c.ndim != 2 or c.shape[1] != len(g):
        raise ShapeError(
            message("core", f"({len(g)},) or (repeat, {len(g)}) scores", np.shape(core))
        )
    return g, c
