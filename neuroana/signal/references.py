"""References of electrical recordings: average, bipolar, Laplacian, named channels."""

import re
from collections.abc import Sequence

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_names, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.provenance import record
from neuroana.core.recording import label_of
from neuroana.signal.spans import each, with_signal


HEAD_TYPES = ("eeg", "ecog", "seeg", "dbs")
SCHEMES = ("average", "bipolar", "laplacian")
CONTACT = re.compile(r"^(.*?)(\d+)$")


@each
def rereference(
    rec: xr.Dataset,
    reference: str | Sequence[str] = "average",
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    n_neighbors: int = 4,
) -> xr.Dataset:
    """Give an electrical recording another reference.

    Channels that are not on or in the head (EOG, ECG, misc) are left as they are and
    take no part; bad channels take no part but get the new reference, except in a
    bipolar scheme, where a pair with a bad contact is bad.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, channel).
    reference : {'average', 'bipolar', 'laplacian'} or list of str, default='average'
        ``'average'``: mean over the good channels of the same type.
        ``'bipolar'``: each contact minus the next on its electrode (A1-A2), or the
        `pairs`; positions in the middle.
        ``'laplacian'``: each channel minus the mean of its nearest neighbours of the
        same type, weighted by the inverse distance (Hjorth, 1975); without positions
        the contacts before and after it on the electrode.
        A list: mean of these channels.
    pairs : sequence of (str, str), optional
        For ``'bipolar'``; needed on the scalp.
    n_neighbors : int, default=4
        For ``'laplacian'`` with positions.

    Returns
    -------
    same kind as `rec`
        The coordinate ``reference`` names what was subtracted. Means leave missing
        samples out.

    Raises
    ------
    ParameterError
        If names are unknown, or pairs or neighbours cannot be told.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.array([[1.0, 3.0]] * 4), "eeg", sampling_rate=2.0)
    >>> rereference(rec).signal.values[0].tolist()
    [-1.0, 1.0]
    """
    if rec["signal"].dims[1] != "channel":
        raise ParameterError(
            message(
                f"{label_of(rec)}: 'signal'", "dims (time, channel)", rec["signal"].dims
            )
        )
    if isinstance(reference, str):
        check_choice("reference", reference, SCHEMES)
    names = [str(n) for n in rec["channel"].values]
    types = _types(rec)
    if reference == "bipolar":
        done = _bipolar(rec, names, types, pairs)
    else:
        weights, labels = _weights(rec, names, types, reference, n_neighbors)
        done = with_signal(rec, _minus_means(rec["signal"].to_numpy(), weights))
        done = done.assign_coords(reference=("channel", np.array(labels, dtype=object)))
    return record(
        done,
        "signal.rereference",
        reference=reference,
        pairs=pairs,
        n_neighbors=n_neighbors if reference == "laplacian" else None,
    )


def _types(rec: xr.Dataset) -> np.ndarray:
    if "ch_type" in rec.coords:
        return rec["ch_type"].to_numpy().astype(str)
    return np.full(rec.sizes["channel"], HEAD_TYPES[0])


def _weights(
    rec: xr.Dataset,
    names: list[str],
    types: np.ndarray,
    reference: str | Sequence[str],
    n_neighbors: int,
) -> tuple[np.ndarray, list[str]]:
    head = np.isin(types, HEAD_TYPES)
    bad = rec["bad"].to_numpy() if "bad" in rec.coords else np.zeros(len(names), bool)
    used = head & ~bad
    old = [""] * len(names)
    if "reference" in rec.coords:
        old = [str(v) for v in rec["reference"].values]
    weights = np.zeros((len(names), len(names)))
    if reference == "laplacian":
        check_number("n_neighbors", n_neighbors, minimum=1, integer=True)
        weights = _neighbors(rec, names, types, used, head, n_neighbors)
        label = "laplacian"
    elif reference == "average":
        for kind in np.unique(types[head]):
            weights[np.ix_(head & (types == kind), used & (types == kind))] = 1.0
        label = "average"
    else:
        chosen = check_names("channel", reference, names)
        weights[np.ix_(head, np.isin(names, chosen))] = 1.0
        label = "+".join(chosen)
    empty = head & (weights.sum(axis=1) == 0)
    if empty.any() or not head.any():
        raise ParameterError(
            message(
                f"{label_of(rec)}: reference {reference!r}",
                "a good channel to subtract for each channel",
                f"none for {[n for n, e in zip(names, empty) if e][:8] or names[:8]}",
                "set ch_type and bad, or give positions",
            )
        )
    return weights, [label if h else o for h, o in zip(head, old)]


def _minus_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0) @ weights.T
    mass = known.astype(np.float64) @ weights.T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / mass
    touched = weights.any(axis=1)
    return np.where(touched, values - mean, values)


def _neighbors(
    rec: xr.Dataset,
    names: list[str],
    types: np.ndarray,
    used: np.ndarray,
    head: np.ndarray,
    n_neighbors: int,
) -> np.ndarray:
    weights = np.zeros((len(names), len(names)))
    placed = False
    if {"x", "y", "z"} <= set(rec.coords):
        places = np.stack([rec[c].to_numpy() for c in "xyz"], axis=1)
        placed = bool(np.isfinite(places[head]).all())
    for i in np.flatnonzero(head):
        others = used & (types == types[i])
        others[i] = False
        if placed:
            distance = np.linalg.norm(places - places[i], axis=1)
            distance[~others] = np.inf
            near = np.argsort(distance, kind="stable")[:n_neighbors]
            near = near[np.isfinite(distance[near]) & (distance[near] > 0)]
            weights[i, near] = 1.0 / distance[near]
        else:
            for j in np.flatnonzero(others):
                weights[i, j] = float(_steps(names[i], names[j]) == 1)
    return weights


def _steps(one: str, other: str) -> int:
    first, second = CONTACT.match(one), CONTACT.match(other)
    if not first or not second or first[1] != second[1]:
        return 0
    return abs(int(first[2]) - int(second[2]))


def _bipolar(
    rec: xr.Dataset,
    names: list[str],
    types: np.ndarray,
    pairs: Sequence[tuple[str, str]] | None,
) -> xr.Dataset:
    head = np.isin(types, HEAD_TYPES)
    if pairs is None:
        if rec.attrs.get("modality") == "eeg":
            raise ParameterError(
                message(
                    "argument 'pairs'",
                    "pairs of names, since scalp names tell no neighbours",
                    "none",
                    "pass pairs=[('Fp1', 'F3'), ...]",
                )
            )
        inside = [n for n, h in zip(names, head) if h]
        kinds = dict(zip(names, types))
        pairs = [
            (a, b)
            for a in inside
            for b in inside
            if kinds[a] == kinds[b] and _steps(a, b) == 1 and _number(b) > _number(a)
        ]
    check_names("channel", [n for pair in pairs for n in pair], names)
    if not pairs:
        raise ParameterError(
            message(
                f"{label_of(rec)}: channels",
                "neighbours on an electrode, such as A1 and A2",
                names[:8],
                "pass pairs=",
            )
        )
    first = [names.index(a) for a, _ in pairs]
    second = [names.index(b) for _, b in pairs]
    rest = np.flatnonzero(~head)
    made = rec.isel(channel=np.concatenate([first, rest]).astype(int))
    values = rec["signal"].to_numpy()
    joined = np.concatenate([values[:, first] - values[:, second], values[:, rest]], 1)
    labels = [f"{a}-{b}" for a, b in pairs] + [names[i] for i in rest]
    made = with_signal(made, joined)
    coords = {"channel": ("channel", np.array(labels, dtype=object))}
    for name in ("x", "y", "z", "bad"):
        if name in rec.coords:
            old = rec[name].to_numpy()
            middle = (
                old[first] | old[second]
                if name == "bad"
                else ((old[first] + old[second]) / 2)
            )
            coords[name] = ("channel", np.concatenate([middle, old[rest]]))
    partner = [b for _, b in pairs] + [""] * len(rest)
    coords["reference"] = ("channel", np.array(partner, dtype=object))
    return made.assign_coords(coords)


def _number(name: str) -> int:
    found = CONTACT.match(name)
    return int(found[2]) if found else -1
