"""How many states: every criterion of the field in one table.

| symbol | meaning                                                        |
| ------ | -------------------------------------------------------------- |
| BIC    | p log T - 2 log p(x), p free parameters, T bins                |
| ICL    | p log T - 2 log p(x, z*), z* the most probable path of states  |

BIC asks how well K states predict, ICL also how clearly they can be told apart.
Cross-validation on neural data tends to favour too many states, because the states of
the test data are inferred too; so it is never shown alone.
"""

import logging

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.switching.folds import Pieces, make_folds
from neuroana.switching.metrics import adjusted_rand_index


logger = logging.getLogger(__name__)


def information_criteria(model, X, **companions) -> dict:
    """BIC and ICL of a fitted model on its training data; smaller is better.

    Costs one decoding, O(T K^2).

    Parameters
    ----------
    model : fitted HMMGLM
    X : recording, collection, DataArray or ndarray
        What the model was fitted to.
    **companions : like X
        ``inputs`` and ``transition_inputs`` of the fit.

    Returns
    -------
    dict
        ``log_likelihood``, ``n_parameters``, ``bic``, ``icl``, in nats.

    References
    ----------
    Celeux and Durand, "Selecting hidden Markov model state number with
    cross-validated likelihood", Computational Statistics 23, 2008.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> found = information_criteria(model, data)
    >>> found["icl"] > found["bic"]
    True
    """
    from neuroana.switching.forward_backward import smooth, viterbi
    from neuroana.switching.scoring import chain_of

    _, chain = chain_of(model, X, **companions)
    log_likelihood = float(smooth(*chain).log_marginal.sum())
    penalty = model.n_parameters_ * np.log(model.n_bins_)
    return {
        "log_likelihood": log_likelihood,
        "n_parameters": int(model.n_parameters_),
        "bic": float(penalty - 2 * log_likelihood),
        "icl": float(penalty - 2 * viterbi(*chain).log_joint.sum()),
    }


def select_n_states(
    estimator, X, n_states=range(1, 7), *, inputs=None, transition_inputs=None, cv=5,
    groups=None, purge=None,
) -> xr.Dataset:  # fmt: skip
    """Fit every number of states and set all criteria side by side.

    Each number of states is fitted to everything, and once a fold. Several recordings
    are split by recording (or by `groups`), a single one into contiguous blocks: never
    by random bins, across which history leaks. Costs ``cv + 1`` fits a number of
    states; the pipeline spreads the same fits over jobs.

    Parameters
    ----------
    estimator : HMMGLM
        All parameters but `n_states`; it is not changed.
    X : recording, collection, DataArray or ndarray
    n_states : iterable of int
    inputs, transition_inputs : like X, optional
    cv : int
        Folds; at most the number of recordings or groups.
    groups : sequence, optional
        One value a recording; recordings of one group stay together.
    purge : int, optional
        Bins left out beside a test block of a single recording.

    Returns
    -------
    Dataset
        Along ``n_states``: ``held_out`` (n_states, fold) in nats per observed value;
        ``bic``, ``icl``, ``log_likelihood``, ``n_parameters``; ``occupancy``
        (n_states, state); ``start_agreement``, the adjusted Rand index of the states
        that the two best starts found; ``fold_agreement`` (n_states, fold), that of
        the fold's fit with the full one on all data; ``converged``. The attributes
        ``best_bic``, ``best_icl``, ``best_held_out`` and ``best_one_se`` (the fewest
        states within one standard error of the best held-out score) name the winners.

    Raises
    ------
    ParameterError
        If numbers of states repeat, or data cannot be split.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=400, n_sequences=2, random_state=0)
    >>> model = HMMGLM(link="sigmoid", n_init=1, max_iter=30, random_state=0)
    >>> table = select_n_states(model, data, [1, 2], cv=2)
    >>> table.held_out.dims
    ('n_states', 'fold')
    """
    numbers = check_numbers(n_states)
    pieces = Pieces(X, inputs=inputs, transition_inputs=transition_inputs)
    folds = make_folds(estimator, pieces, cv, groups, purge)
    found = []
    for k in numbers:
        logger.info("fitting %d state(s)", k)
        whole, row = candidate(estimator, pieces, k)
        path = whole_path(whole, pieces)
        rows = [candidate_fold(estimator, pieces, k, fold, path) for fold in folds]
        found.append(join_candidate(row, rows))
    return selection_table(found)


def check_numbers(n_states) -> list[int]:
    """Numbers of states as a list, each once."""
    numbers = [
        check_number("n_states", k, minimum=1, integer=True) for k in list(n_states)
    ]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ParameterError(
            message("argument 'n_states'", "different numbers, at least one", numbers)
        )
    return sorted(numbers)


def candidate(estimator, pieces, n_states):
    """The fit of all data with `n_states`, and its row of the table."""
    from sklearn.base import clone

    items, given = pieces.all()
    model = clone(estimator).set_params(n_states=n_states).fit(items, **given)
    return model, describe(model, items, **given)


def describe(model, items, **given) -> xr.Dataset:
    """Row of the table for a model fitted to `items`."""
    row = xr.Dataset(
        {k: ((), v) for k, v in information_criteria(model, items, **given).items()}
    )
    row["occupancy"] = model.occupancy_
    row["start_agreement"] = (
        (),
        1.0 if model.n_states == 1 else model.start_agreement_,
    )
    row["converged"] = ((), int(model.converged_))
    return row.assign_coords(n_states=model.n_states)


def whole_path(model, pieces):
    """Most probable path of all data, whatever part the model was fitted to."""
    items, given = pieces.all()
    return model.predict(items, **given)


def candidate_fold(estimator, pieces, n_states, fold, path) -> xr.Dataset:
    """Held-out score of `n_states` in one fold, and agreement with the full fit."""
    from sklearn.base import clone

    train, test = fold
    items, given = pieces.take(train)
    model = clone(estimator).set_params(n_states=n_states).fit(items, **given)
    held, held_given = pieces.take(test)
    agreement = adjusted_rand_index(path, whole_path(model, pieces))
    return xr.Dataset(
        {
            "held_out": ((), model.score(held, **held_given)),
            "fold_agreement": ((), agreement),
        }
    )


def no_fold() -> xr.Dataset:
    """In place of a fold that the data do not have, or that failed."""
    return xr.Dataset(dict.fromkeys(("held_out", "fold_agreement"), ((), np.nan)))


def join_candidate(row, fold_rows) -> xr.Dataset:
    """One number of states: its fit and its folds."""
    folds = xr.concat(fold_rows or [no_fold()], dim="fold")
    return row.merge(folds.drop_vars("n_states", errors="ignore"))


def selection_table(rows) -> xr.Dataset:
    """Rows of all numbers of states in one table, with what each criterion picks."""
    rows = sorted(rows, key=lambda row: int(row["n_states"]))
    table = xr.concat(rows, dim="n_states", join="outer")
    for name in ("held_out", "log_likelihood", "bic", "icl"):
        table[name].attrs["units"] = "nat"
    table["held_out"].attrs["units"] = "nat per observed value"
    mean = table["held_out"].mean("fold")
    count = table["held_out"].count("fold")
    error = table["held_out"].std("fold", ddof=1) / np.sqrt(count)
    best = int(mean.argmax("n_states"))
    within = mean >= mean[best] - error[best]
    table.attrs = {
        "best_bic": int(table["bic"].idxmin("n_states")),
        "best_icl": int(table["icl"].idxmin("n_states")),
        "best_held_out": int(table["n_states"][best]),
        "best_one_se": int(table["n_states"][int(within.argmax("n_states"))]),
    }
    return table
