"""Recordings cut into the samples of a benchmark: who, when, and which column of what.

A *sample* is one recording or one window of it, a *person* is what is recognised,
predicted and drawn in a bootstrap.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from neuroana.core.checks import check_names, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.fc.gathering import Group, constant_regions, gather


@dataclass(frozen=True)
class Samples:
    """Windows of recordings on their common regions.

    Attributes
    ----------
    values : list of ndarray (time, roi)
    table : DataFrame
        One row a sample: sample, recording, person, start, stop (in volumes), rate,
        constant (number of regions that never change), and the columns of the
        recordings' table.
    group : Group
        The whole recordings.
    """

    values: list[np.ndarray]
    table: pd.DataFrame
    group: Group

    def __len__(self) -> int:
        return len(self.values)

    @property
    def people(self) -> np.ndarray:
        """Name of the person of every sample."""
        return self.table["person"].to_numpy()

    def column(self, name: str) -> np.ndarray:
        """A column of the table, by sample."""
        check_names("table column", [name], map(str, self.table.columns))
        return self.table[name].to_numpy()

    def keep(self, chosen: Any) -> "Samples":
        """Only these samples (numbers or a mask)."""
        at = np.asarray(chosen)
        at = np.flatnonzero(at) if at.dtype == bool else at
        table = self.table.iloc[at].reset_index(drop=True)
        return Samples([self.values[k] for k in at], table, self.group)

    def of_people(self, people: Any) -> "Samples":
        """All samples of these people."""
        return self.keep(np.isin(self.people, list(people)))


def digest_of(x: np.ndarray) -> str:
    """Short hash of the samples of a recording.

    Examples
    --------
    >>> digest_of(np.zeros((2, 2))) == digest_of(np.zeros((2, 2)))
    True
    """
    head = f"{x.shape}{x.dtype}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(x).tobytes()).hexdigest()[:16]


def cut_samples(
    X,
    window=None,
    *,
    step=None,
    window_volumes=None,
    step_volumes=None,
    groups="subject",
    allow_overlap=False,
    y=None,
    table=None,
):
    """Cut recordings into windows, and say whose each is.

    Parameters
    ----------
    X : recordings, list, ndarray (recording, time, roi) or Samples
    window : float or 'halves', optional
        Seconds; ``'halves'`` for two disjoint halves. None: the whole recording.
    step : float, optional
        Seconds from window to window, as long as the window by default.
    window_volumes, step_volumes : int, optional
        The same in samples.
    groups : str or sequence, optional
        Column that names the person, or one name a recording. Without such a column
        every recording is a person of its own.
    allow_overlap : bool, default=False
        Let windows share samples.
    y : sequence, Series or mapping, optional
        A label or number for every recording, becomes the column ``label``.
    table : DataFrame, optional
        One row a recording; the table of `X` by default.

    Returns
    -------
    Samples

    Raises
    ------
    ParameterError
        For windows that share samples or do not fit, and recordings that are there
        twice.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(3, 100, 4))
    >>> cut_samples(x, window_volumes=50).people.tolist()
    ['0', '0', '1', '1', '2', '2']
    """
    if isinstance(X, Samples):
        return X
    group = gather(X)
    rows = described(X, group, groups, y, table)
    refuse_twins(group, rows)
    found, parts = [], []
    for k, x in enumerate(group.values):
        length, hop = _sizes(len(x), group.rates[k], group.labels[k], window, step,
                             window_volumes, step_volumes)  # fmt: skip
        if hop < length and not allow_overlap:
            raise ParameterError(
                message(
                    "argument 'step'",
                    f"windows that share no samples (step >= {length} volumes)",
                    f"a step of {hop}",
                    "leave step out, or pass allow_overlap=True: pairs within a person "
                    "are then alike for any measure",
                )
            )
        for number, start in enumerate(range(0, len(x) - length + 1, hop)):
            piece = x[start : start + length]
            parts.append(piece)
            found.append({
                "sample": f"{group.labels[k]}_w{number}", "recording": k,
                "start": start, "stop": start + length, "rate": group.rates[k],
                "constant": int(constant_regions(piece).sum()), **rows[k],
            })  # fmt: skip
    return Samples(parts, pd.DataFrame(found), group)


def _sizes(n_time, rate, label, window, step, window_volumes, step_volumes):
    """Length and hop of the windows of one recording, in volumes."""
    if window == "halves":
        return n_time // 2, n_time // 2
    if (window is not None or step is not None) and rate is None:
        raise ParameterError(
            message(f"recording {label}", "a sampling rate for windows in seconds",
                    "none", "pass window_volumes")
        )  # fmt: skip
    length, hop = window_volumes, step_volumes
    if window is not None:
        check_number("window", window, minimum=0.0, open_ends=True)
        length = round(window * rate)
    if step is not None:
        check_number("step", step, minimum=0.0, open_ends=True)
        hop = max(1, round(step * rate))
    length = n_time if length is None else length
    hop = length if hop is None else hop
    check_number("window_volumes", length, minimum=2, integer=True)
    check_number("step_volumes", hop, minimum=1, integer=True)
    if length > n_time:
        raise ParameterError(
            message(f"recording {label}", f"at least one window of {length} volumes",
                    f"{n_time} volumes", "ask for a shorter window")
        )  # fmt: skip
    return int(length), int(hop)


def described(X, group: Group, groups, y, table) -> list[dict[str, Any]]:
    """One row a recording: person, entities, columns of the table and the label."""
    n = len(group.labels)
    own = table if table is not None else getattr(X, "table", None)
    rows: list[dict[str, Any]] = [dict(e) for e in group.entities]
    if own is not None:
        if len(own) != n:
            raise ParameterError(message("table", f"{n} rows", len(own)))
        drop = {"sampling_rate", "n_samples", "n_signals", "source", "synthetic"}
        kept = own[[c for c in own.columns if c not in drop]]
        rows = [{**r, **new} for r, new in zip(rows, kept.to_dict("records"))]
    if isinstance(groups, str):
        names = [r.get(groups) for r in rows]
        if all(v is None for v in names):
            names = list(group.labels)
    else:
        names = list(group.labels) if groups is None else list(groups)
    if len(names) != n:
        raise ParameterError(message("groups", f"{n} names", len(names)))
    for row, name, label in zip(rows, names, group.labels):
        row["person"] = str(label if name is None else name)
    if y is not None:
        for row, value in zip(rows, labels_of(y, rows)):
            row["label"] = value
    return rows


def labels_of(y, rows) -> list[Any]:
    """A value for every recording, by order, or by person where `y` has an index."""
    if hasattr(y, "to_dict") and getattr(y, "ndim", 1) == 1 and hasattr(y, "index"):
        y = y.to_dict()
    if isinstance(y, dict):
        people = [row["person"] for row in rows]
        if list(y) == list(range(len(rows))):
            return list(y.values())
        known = {str(k).removeprefix("sub-"): v for k, v in y.items()}
        odd = [k for k in known if k not in set(people)]
        if len(odd) == len(known):
            raise ParameterError(
                message("argument 'y'", "names of people that have recordings",
                        f"none of {len(known)} that match, such as {odd[:5]}")
            )  # fmt: skip
        if odd:
            raise ParameterError(
                message("argument 'y'", "names of people that have recordings",
                        f"{len(odd)} that have none: {odd[:5]}", "leave them out")
            )  # fmt: skip
        return [known.get(p) for p in people]
    values = list(np.asarray(y))
    if len(values) != len(rows):
        raise ParameterError(
            message("argument 'y'", f"{len(rows)} values, one a recording", len(values))
        )
    return values


def refuse_twins(group: Group, rows) -> None:
    """Stop where the same samples come in twice."""
    seen: dict[str, int] = {}
    for k, x in enumerate(group.values):
        key = digest_of(x)
        if key in seen:
            first, people = seen[key], [rows[seen[key]]["person"], rows[k]["person"]]
            raise ParameterError(
                message(
                    "recordings",
                    "each once",
                    f"the same samples in {group.labels[first]} and {group.labels[k]} "
                    f"(people {people[0]} and {people[1]})",
                    "leave one out: a copy is recognised perfectly",
                )
            )
        seen[key] = k
