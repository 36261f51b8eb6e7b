"""States beside labels that somebody gave: behaviour, sleep stage, task block."""

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.core.random import branch, draw_seed


def compare_with_labels(
    states, labels, *, null="shift", n_null=1000, random_state=None
):
    """Agreement of states with labels, beside states moved in time.

    States and labels both last; two courses that have nothing to do with each other
    agree more than shuffled samples would. ``null="shift"`` moves the states of each
    recording round the circle by a random time and keeps everything about their own
    course; it needs labels that change many times, for where they change once, every
    small shift agrees as well as none. ``null="visits"`` puts the visits to states in
    random order: it keeps their lengths, and is the one to use for a single change.

    Parameters
    ----------
    states : path (time), or list of paths
    labels : sequence (time), or list of them
        One label a sample; None and NaN are left out.
    null : {"shift", "visits"}
    n_null : int
    random_state : int, Generator or None

    Returns
    -------
    Dataset
        ``table`` (state, label) of samples; ``ari``, adjusted Rand index, and
        ``accuracy``, share of samples whose state is the one matched to their label
        (each state to the label it shares most samples with); ``ari_null``,
        ``accuracy_null`` (draw); ``ari_p``, ``accuracy_p``.

    Raises
    ------
    ShapeError, ParameterError
        If lengths differ, or nothing is labelled.

    Examples
    --------
    >>> path = np.repeat([0, 1, 0, 1], 50)
    >>> found = compare_with_labels(path, np.where(path, "run", "rest"),
    ...                             n_null=50, random_state=0)
    >>> float(found.ari), float(found.accuracy)
    (1.0, 1.0)
    """
    check_choice("null", null, ("shift", "visits"))
    check_number("n_null", n_null, minimum=1, integer=True)
    paths, given = paired(states, labels)
    codes, names = pd.factorize(np.concatenate(given), sort=True)
    if not len(names):
        raise ParameterError(message("labels", "at least one label", "none"))
    lengths = [len(path) for path in paths]
    codes = np.split(codes, np.cumsum(lengths)[:-1])
    n_states = int(max(path.max() for path in paths)) + 1

    def table(moved):
        found = np.zeros((n_states, len(names)))
        for path, code in zip(moved, codes):
            here = code >= 0
            np.add.at(found, (path[here], code[here]), 1)
        return found

    rng = branch(draw_seed(random_state), 0)
    move = {"shift": shift, "visits": permute_visits}[null]
    own = table(paths)
    drawn = np.array(
        [measures(table([move(path, rng) for path in paths])) for _ in range(n_null)]
    )
    ari, accuracy = measures(own)
    return xr.Dataset(
        {
            "table": (("state", "label"), own.astype(int)),
            "ari": ((), ari),
            "accuracy": ((), accuracy),
            "ari_null": ("draw", drawn[:, 0]),
            "accuracy_null": ("draw", drawn[:, 1]),
            "ari_p": ((), (1 + (drawn[:, 0] >= ari).sum()) / (n_null + 1)),
            "accuracy_p": ((), (1 + (drawn[:, 1] >= accuracy).sum()) / (n_null + 1)),
        },
        coords={"state": np.arange(n_states), "label": [str(n) for n in names]},
        attrs={"null": null},
    )


def shift(path, rng):
    """The path round the circle by a random time."""
    return np.roll(path, rng.integers(1, len(path))) if len(path) > 1 else path


def permute_visits(path, rng):
    """The visits of the path in random order."""
    visits = np.split(path, np.flatnonzero(np.diff(path)) + 1)
    return np.concatenate([visits[i] for i in rng.permutation(len(visits))])


def paired(states, labels):
    """Paths and labels as lists of arrays of the same lengths."""
    several = isinstance(states, list | tuple) and np.ndim(states[0]) > 0
    paths = [np.asarray(p) for p in (states if several else [states])]
    given = [np.asarray(p, dtype=object) for p in (labels if several else [labels])]
    if [len(p) for p in paths] != [len(g) for g in given]:
        raise ShapeError(
            message(
                "labels",
                f"one a sample: {[len(p) for p in paths][:6]}",
                [len(g) for g in given][:6],
            )
        )
    return paths, given


def measures(table):
    """Adjusted Rand index and matched accuracy of a table of counts."""
    return rand_index(table), table.max(axis=1).sum() / table.sum()


def rand_index(table) -> float:
    """Adjusted Rand index (Hubert and Arabie 1985, eq. 5) from joint counts."""

    def pairs(counts):
        return (counts * (counts - 1) / 2).sum()

    both, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    expected = rows * columns / pairs(table.sum())
    most = (rows + columns) / 2
    return float((both - expected) / (most - expected)) if most > expected else 1.0
