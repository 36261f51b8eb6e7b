"""The ladder of models: what each assumption adds on data that no fit has seen.

One state, then K states without a prior, with couplings around a shared map, with a
shared map of edge types; on the same splits, each rung started from the one below, so
that a higher rung is never worse for want of a good start.
"""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch, branch_seed, draw_seed
from neuroana.switching.folds import Pieces, make_folds, seen_values
from neuroana.switching.held_out import time_shift_null


RUNGS = ("one_state", "none", "gaussian", "one_hot")


def fit_ladder(
    X, n_states, *, estimator=None, rungs=RUNGS, inputs=None, transition_inputs=None,
    cv=5, groups=None, purge=None, n_null=10, n_boot=2000, level=0.95,
    random_state=None,
) -> xr.Dataset:  # fmt: skip
    """Held-out scores of one state and of K states under each prior, with intervals.

    The honest form of the comparison "which prior, and do states help at all": the
    same folds for all, each rung started from the fit below it, and beside every score
    that of the same test data with all units shifted in time against each other.
    Costs `cv` fits a rung; the rung "none" has the estimator's starts, the others one.

    Parameters
    ----------
    X : recording, collection, DataArray or ndarray
        Several recordings are split by recording, or by `groups`; a single one into
        contiguous blocks.
    n_states : int
    estimator : HMMGLM, optional
        All other parameters; ``HMMGLM()`` by default. It is not changed.
    rungs : sequence of {"one_state", "none", "gaussian", "one_hot"} or of priors
        From the bottom up.
    inputs, transition_inputs : like X, optional
    cv : int
        Folds; at most the number of recordings or groups.
    groups : sequence, optional
        One value a recording; recordings of one group stay together, and are drawn
        together for the intervals.
    purge : int, optional
        Bins left out beside a test block of a single recording.
    n_null : int
        Shifted copies of each test set; none with 0.
    n_boot : int
        Draws of recordings (groups, blocks) for the intervals.
    level : float
        Of the intervals.
    random_state : int, Generator or None
        Of shifts and draws.

    Returns
    -------
    Dataset
        ``score`` (model, fold); ``mean``, ``mean_low``, ``mean_high`` (model) over all
        held-out data; ``gain``, ``gain_low``, ``gain_high`` (model) over the rung
        below, paired; ``null`` (model, fold, shift); ``log_likelihood`` (model, part)
        and ``n_values`` (part) of every held-out recording or block. In nats per
        observed value, totals in nats.

    Raises
    ------
    ParameterError
        If a rung is unknown, or the data cannot be split.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=400, n_sequences=4, random_state=0)
    >>> model = HMMGLM(link="sigmoid", n_init=1, max_iter=30, random_state=0)
    >>> ladder = fit_ladder(data, 2, estimator=model, rungs=["one_state", "none"],
    ...                     cv=2, n_null=2, random_state=0)
    >>> ladder.model.values.tolist()
    ['one_state', 'none']
    """
    from neuroana.switching.hmm_glm import HMMGLM

    check_number("n_states", n_states, minimum=2, integer=True)
    check_number("n_null", n_null, minimum=0, integer=True)
    check_number("n_boot", n_boot, minimum=1, integer=True)
    check_number("level", level, minimum=0.0, maximum=1.0)
    estimator = HMMGLM() if estimator is None else estimator
    names = [rung_name(rung) for rung in rungs]
    if not names or len(set(names)) < len(names):
        raise ParameterError(message("argument 'rungs'", "different models", names))
    seed = draw_seed(random_state)
    pieces = Pieces(X, inputs=inputs, transition_inputs=transition_inputs)
    folds = make_folds(estimator, pieces, cv, groups, purge)
    totals, values, folds_of, null = [], [], [], []
    for number, (train, test) in enumerate(folds):
        fit_to, given = pieces.take(train)
        held, held_given = pieces.take(test)
        models = climb(estimator, rungs, n_states, fit_to, given)
        totals.append([m.log_likelihood(held, **held_given).to_numpy() for m in models])
        values.append([int(seen_values(item).sum()) for item in held])
        folds_of += [number] * len(held)
        if n_null:
            null.append(
                [
                    time_shift_null(
                        m, held, n_null, random_state=branch_seed(seed, 0, number),
                        **held_given,
                    ).to_numpy()
                    for m in models
                ]
            )  # fmt: skip
    parts = [span[0] for _, test in folds for span in test]
    clusters = parts if len(pieces) > 1 else list(range(len(parts)))
    if groups is not None and len(pieces) > 1:
        clusters = [groups[i] for i in parts]
    table = ladder_table(
        names, np.concatenate(totals, axis=1), np.concatenate(values), folds_of
    )
    intervals(table, clusters, n_boot, level, branch(seed, 1))
    if n_null:
        table["null"] = (("model", "fold", "shift"), np.array(null).transpose(1, 0, 2))
    table = table.assign_coords(part=label_parts(pieces, parts))
    table.attrs = {
        "n_states": int(n_states),
        "units": "nat per observed value",
        "split": "recordings" if len(pieces) > 1 else "contiguous blocks",
        "level": float(level),
        "n_drawn": len(set(clusters)),
        "null": "every unit shifted in time by an amount of its own",
    }
    return table


def rung_name(rung) -> str:
    """Name of a rung: a word, or the class of a prior."""
    if isinstance(rung, str):
        return check_choice("rungs", rung, RUNGS)
    return type(rung).__name__


def climb(estimator, rungs, n_states, fit_to, given):
    """One fit a rung, each but the first with several states started from the last."""
    from sklearn.base import clone

    models: list = []
    for rung in rungs:
        model = clone(estimator)
        if rung == "one_state":
            model.set_params(n_states=1, prior="none", init="glm+noise")
        else:
            below = models[-1] if models and models[-1].n_states > 1 else None
            model.set_params(n_states=n_states, prior=rung)
            if below is not None:
                model.set_params(init=below)
        models.append(model.fit(fit_to, **given))
    return models


def label_parts(pieces, parts):
    """Names of what was held out."""
    if len(pieces) > 1:
        return ("part", [pieces.labels[i] for i in parts])
    return ("part", [f"block {i}" for i in range(len(parts))])


def ladder_table(names, totals, values, folds_of) -> xr.Dataset:
    """Log-likelihoods (model, part) and what follows from them without draws."""
    folds_of = np.asarray(folds_of)
    one_hot = folds_of == np.arange(folds_of.max() + 1)[:, None]
    return xr.Dataset(
        {
            "score": (("model", "fold"), totals @ one_hot.T / (one_hot @ values)),
            "mean": ("model", totals.sum(axis=1) / values.sum()),
            "log_likelihood": (("model", "part"), totals),
            "n_values": ("part", values),
        },
        coords={"model": names, "part_fold": ("part", folds_of)},
    )


def intervals(table, clusters, n_boot, level, rng):
    """Add intervals by drawing whole clusters of held-out parts with replacement."""
    labels, member = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    sums = np.eye(len(labels))[member]
    totals = table["log_likelihood"].to_numpy() @ sums
    values = table["n_values"].to_numpy() @ sums
    counts = rng.multinomial(len(labels), np.full(len(labels), 1 / len(labels)), n_boot)
    drawn = (totals @ counts.T) / (counts @ values)
    gain = np.diff(drawn, axis=0, prepend=np.nan)
    tails = [(1 - level) / 2, (1 + level) / 2]
    table["gain"] = ("model", np.diff(table["mean"], prepend=np.nan))
    for name, draws in (("mean", drawn), ("gain", gain)):
        low, high = np.quantile(draws, tails, axis=1)
        table[f"{name}_low"], table[f"{name}_high"] = ("model", low), ("model", high)
