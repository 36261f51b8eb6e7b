"""Is it more than chance? Surrogates that keep one thing and break another.

| kind           | breaks                | keeps                     | asks        |
| -------------- | --------------------- | ------------------------- | ----------- |
| "circular"     | who changes with whom | traces, but for one seam  | any motif?  |
| "phase"        | who changes with whom | spectra                   | any motif?  |
| "common_phase" | change over time      | spectra and mean coupling | dynamic?    |
| "animal"       | coupling in an animal | what a stimulus drives    | network?    |

Every surrogate goes through the whole chain. All motifs together have one statistic;
each motif is compared with the largest of every surrogate, so its p-value,
(1 + number as large) / (1 + n), holds for all motifs together. So for communities: what
a motif's partition saves against one block is compared with the largest saving in every
surrogate. Graphs with permuted weights are a weaker null: they lack what pairs with a
common neuron share by chance.
"""

import warnings
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from neuroana.connectome.differential_affinity import DifferentialAffinity
from neuroana.connectome.motif_communities import MotifCommunities
from neuroana.connectome.non_negative_cp import NonNegativeCP
from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.contract import is_recording
from neuroana.core.errors import NeuroanaWarning, ParameterError
from neuroana.core.progress import track
from neuroana.core.random import branch, branch_seed, draw_seed
from neuroana.core.recordings import Recordings
from neuroana.signal.surrogates import surrogate


KINDS = ("circular", "phase", "common_phase", "animal")
METHODS = {
    "circular": "circular_shift",
    "phase": "phase",
    "common_phase": "common_phase",
}
N_INIT = 3  # restarts of every surrogate
QUICK = {"nested": False, "n_posterior": 0, "n_consensus": 0, "n_null": 0}


def null_test(
    recordings: Any,
    kind: str = "circular",
    n: int = 99,
    *,
    affinity: DifferentialAffinity | None = None,
    factorization: NonNegativeCP | None = None,
    communities: MotifCommunities | None = None,
    random_state: Any = None,
    progress: bool | None = False,
) -> xr.Dataset:
    """Test a factorization of recordings against surrogates of them.

    Parameters
    ----------
    recordings : recording or collection
    kind : {"circular", "phase", "common_phase", "animal"}
        See the table of this module. "animal" needs several animals on one clock.
    n : int
        Surrogates; each costs one factorization with three restarts.
    affinity : DifferentialAffinity, optional
    factorization : NonNegativeCP, optional
        Its rank and layout are used. The data get the same three restarts.
    communities : MotifCommunities, optional
        When given, partitions are tested too; every surrogate costs one search a motif
        more.
    random_state : int, Generator or None
    progress : bool or None

    Returns
    -------
    Dataset
        observed, null (draw), p_value: explained variance of all components, for
        "common_phase" beyond a constant pattern. score, p_component (component): what
        each motif adds, against the largest of every surrogate, null_score (draw).
        With `communities`: gap, p_split (component) and null_gap (draw), in nats.

    Raises
    ------
    ParameterError
        If the kind does not fit the recordings.

    Examples
    --------
    >>> from neuroana.connectome import NonNegativeCP, null_test, simulate_motifs
    >>> recordings, _ = simulate_motifs(n_neurons=10, n_samples=150, random_state=0)
    >>> model = NonNegativeCP(2, "single", n_init=2)
    >>> float(null_test(recordings, n=4, factorization=model, random_state=0).p_value)
    0.2
    """
    check_choice("kind", kind, KINDS)
    check_number("n", n, minimum=1, integer=True)
    affinity = DifferentialAffinity() if affinity is None else affinity
    model = clone(NonNegativeCP() if factorization is None else factorization)
    model.set_params(n_init=min(model.n_init, N_INIT))
    seed = draw_seed(random_state)
    members = members_of(recordings)
    if kind == "animal" and len(members) < 3:
        raise ParameterError(
            message("kind 'animal'", "at least 3 animals on one clock", len(members),
                    "use kind='circular'")
        )  # fmt: skip
    model.set_params(random_state=branch_seed(seed, 0))
    quick = None if communities is None else clone(communities).set_params(**QUICK)
    observed, scores, gaps = statistic(members, affinity, model, kind, quick)
    null, top, gap = np.empty(n), np.empty(n), np.empty(n)
    for k in track(range(n), "surrogates", progress=progress):
        drawn = draw(members, kind, branch_seed(seed, 1, k))
        model.set_params(random_state=branch_seed(seed, 2, k))
        null[k], own, saved = statistic(drawn, affinity, model, kind, quick)
        top[k] = own.max()
        gap[k] = np.nan if saved is None else saved.max()
    name = "explained variance"
    if kind == "common_phase":
        name += " beyond a constant pattern"
    found = {
        "observed": observed,
        "null": ("draw", null),
        "p_value": (1 + int((null >= observed).sum())) / (1 + n),
        "score": scores,
        "null_score": ("draw", top),
        "p_component": ("component", share_as_large(top, scores.to_numpy())),
    }
    if gaps is not None:
        found |= {
            "gap": gaps,
            "null_gap": ("draw", gap),
            "p_split": ("component", share_as_large(gap, gaps.to_numpy())),
        }
    return xr.Dataset(
        found,
        attrs={
            "kind": kind,
            "statistic": name,
            "random_state": seed,
            "n": n,
            "rank": int(model.rank),
        },
    )


def share_as_large(null: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(1 + draws as large) / (1 + draws) for each value.

    Examples
    --------
    >>> share_as_large(np.array([1.0, 2.0, 3.0]), np.array([2.5, 9.0])).tolist()
    [0.5, 0.25]
    """
    return (1 + (null[:, None] >= values).sum(axis=0)) / (1 + len(null))


def members_of(recordings: Any) -> list:
    """Recordings as a list."""
    if isinstance(recordings, xr.DataTree):
        recordings = Recordings.from_datatree(recordings)
    if is_recording(recordings) or isinstance(recordings, xr.DataArray):
        return [recordings]
    return list(recordings)


def draw(members: list, kind: str, seed: int) -> list:
    """One surrogate of every recording."""
    if kind == "animal":
        return mixed_animals(members, seed)
    return [
        surrogate(m, METHODS[kind], random_state=branch_seed(seed, i))
        for i, m in enumerate(members)
    ]


def mixed_animals(members: list, seed: int) -> list:
    """Each neuron's traces dealt out anew among the animals that have it."""
    names = [m[m["signal"].dims[1]].values.tolist() for m in members]
    values = [m["signal"].to_numpy().astype(float) for m in members]
    if len({len(v) for v in values}) > 1:
        raise ParameterError(
            message("kind 'animal'", "animals on one clock",
                    f"lengths {[len(v) for v in values]}")
        )  # fmt: skip
    made = [v.copy() for v in values]
    for number, name in enumerate(dict.fromkeys(n for own in names for n in own)):
        owners = [w for w, own in enumerate(names) if name in own]
        order = branch(seed, number).permutation(owners)
        for to, source in zip(owners, order):
            made[to][:, names[to].index(name)] = values[source][
                :, names[source].index(name)
            ]
    return [
        m.assign(signal=(m["signal"].dims, v, m["signal"].attrs))
        for m, v in zip(members, made)
    ]


def statistic(members, affinity, model, kind, communities=None):
    """Explained variance of all, what each motif adds, what its partition saves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeuroanaWarning)
        tensor = clone(affinity).fit_transform(members)
        fitted = clone(model).fit(tensor)
        gaps = None if communities is None else clone(communities).fit(fitted).gap_
    variance = float(fitted.explained_variance_)
    if kind == "common_phase":
        variance -= explained_by_constant(tensor)
    keep = fitted.component.values[fitted.component.values != "baseline"]
    return variance, fitted.score_.sel(component=keep), gaps


def explained_by_constant(tensor) -> float:
    """Variance that the mean over time of every pair in every animal explains."""
    from neuroana.connectome.operators import AffinityOperator

    if isinstance(tensor, AffinityOperator):
        tensor = tensor.dense()
    values = tensor.to_numpy()
    if "animal" in tensor.coords and tensor["animal"].dims == ("time",):
        parts = [values[:, tensor["animal"].values == a]
                 for a in np.unique(tensor["animal"].values)]  # fmt: skip
    else:
        parts = [values]
    error = size = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pairs that are never seen
        for part in parts:
            mean = np.nanmean(part, axis=1, keepdims=True)
            error += float(np.nansum((part - mean).astype(np.float64) ** 2))
            size += float(np.nansum(part.astype(np.float64) ** 2))
    return 1.0 - error / max(size, 1e-300)
