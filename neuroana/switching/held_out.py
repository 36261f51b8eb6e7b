"""Held-out scores of a switching model beside what they must beat.

Three numbers a fold, all log p per observed value in nats, on data that no fit saw:

- the model with its K states;
- the model with one state: the difference is what switching explains;
- the K-state model on the same data with the course of every unit shifted in time by
  an amount of its own: the difference is what timing *between* units explains, both
  couplings and states in common. Each unit's own rates, history and bursts survive
  the shift.
"""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch, draw_seed
from neuroana.switching.folds import Pieces, make_folds


def time_shift_null(
    estimator, X, n=20, *, inputs=None, transition_inputs=None, min_shift=None,
    random_state=None,
) -> xr.DataArray:  # fmt: skip
    """Scores of a fitted model on data whose units are shifted against each other.

    Nothing is refitted. The hypothesis is that each unit keeps its own course but not
    its timing relative to the others; a score of the data above all of these says that
    the model explains something that units do together. It is not a test of switching
    against one state.

    Parameters
    ----------
    estimator : fitted HMMGLM
    X : recording, collection, DataArray or ndarray
        Held-out data.
    n : int
        Draws.
    inputs, transition_inputs : like X, optional
        Not shifted.
    min_shift : int, optional
        Smallest shift in bins; a tenth of each sequence by default.
    random_state : int, Generator or None

    Returns
    -------
    DataArray (shift)
        Nats per observed value.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> time_shift_null(model, data[0], n=3, random_state=0).sizes["shift"]
    3
    """
    check_number("n", n, minimum=1, integer=True)
    seed = draw_seed(random_state)
    pieces = Pieces(X, inputs=inputs, transition_inputs=transition_inputs)
    parts, given = pieces.all()
    scores = np.empty(n)
    for draw in range(n):
        rng = branch(seed, draw)
        moved = [
            part.drop_vars("good").copy(
                data=shift_units(part.to_numpy(), rng, min_shift)
            )
            for part in parts
        ]
        scores[draw] = estimator.score(moved, **given)
    return xr.DataArray(scores, dims="shift", name="null", attrs={"units": "nat"})


def shift_units(values, rng, min_shift=None):
    """Shift every column circularly by an amount of its own."""
    n_bins, n_units = values.shape
    least = max(1, n_bins // 10) if min_shift is None else int(min_shift)
    if 2 * least > n_bins:
        raise ParameterError(
            message("argument 'min_shift'", f"at most {n_bins // 2} bins", least)
        )
    amounts = rng.integers(least, n_bins - least + 1, size=n_units)
    rows = (np.arange(n_bins)[:, None] - amounts) % n_bins
    return np.take_along_axis(values, rows, axis=0)


def held_out_comparison(
    estimator, X, *, inputs=None, transition_inputs=None, cv=5, groups=None, purge=None,
    n_null=20, random_state=None,
) -> xr.Dataset:  # fmt: skip
    """Held-out scores of K states, of one state, and of the time-shifted null.

    Several recordings are split by recording (or by `groups`, for example subject);
    a single one into `cv` contiguous blocks, with `purge` bins between training and
    test data left out on both sides. Costs `cv` fits of both models.

    Parameters
    ----------
    estimator : HMMGLM
        Its parameters are used; it need not be fitted and is not changed.
    X : recording, collection, DataArray or ndarray
    inputs, transition_inputs : like X, optional
    cv : int
        Folds; at most the number of recordings or groups.
    groups : sequence, optional
        One value a recording; recordings of one group stay together.
    purge : int, optional
        Default: the larger of the history and 1 % of the recording.
    n_null : int
        Shifted copies of each test set.
    random_state : int, Generator or None
        Of the shifts.

    Returns
    -------
    Dataset
        ``score`` (model, fold) for the models "states" and "one_state", ``null``
        (fold, shift), ``n_train``, ``n_test`` (fold) bins; in nats per observed value.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> scores = held_out_comparison(model, data, cv=2, n_null=2, random_state=0)
    >>> scores.score.dims, scores.model.values.tolist()
    (('model', 'fold'), ['states', 'one_state'])
    """
    from sklearn.base import clone

    seed = draw_seed(random_state)
    pieces = Pieces(X, inputs=inputs, transition_inputs=transition_inputs)
    folds = make_folds(estimator, pieces, cv, groups, purge)
    rows = {"states": [], "one_state": []}
    null, sizes = [], []
    for number, (train, test) in enumerate(folds):
        fit_to, given = pieces.take(train)
        held, held_given = pieces.take(test)
        model = clone(estimator).fit(fit_to, **given)
        alone = clone(estimator).set_params(n_states=1, init="glm+noise")
        alone.fit(fit_to, **given)
        rows["states"].append(model.score(held, **held_given))
        rows["one_state"].append(alone.score(held, **held_given))
        shifted = time_shift_null(
            model, held, n_null, random_state=branch(seed, number), **held_given
        )
        null.append(shifted.to_numpy())
        sizes.append([sum(b - a for _, a, b in part) for part in (train, test)])
    n_train, n_test = np.array(sizes).T
    return xr.Dataset(
        {
            "score": (("model", "fold"), np.array(list(rows.values()))),
            "null": (("fold", "shift"), np.array(null)),
            "n_train": ("fold", n_train),
            "n_test": ("fold", n_test),
        },
        coords={"model": list(rows), "fold": np.arange(len(folds))},
        attrs={
            "units": "nat per observed value",
            "n_states": int(estimator.n_states),
            "split": "recordings" if len(pieces) > 1 else "contiguous blocks",
            "null": "every unit shifted in time by an amount of its own",
        },
    )
