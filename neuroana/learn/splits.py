"""Splits of windows that leak nothing: blocks with gaps, whole people, conditions.

Windows of one recording overlap, and what they predict has a memory: neighbours are
nearly the same sample. A split that deals neighbours to both sides measures memory.
Here test parts are contiguous, a gap is left on both sides of each border, and people
stay whole. Splitters read a table with one row a window (`label`, `subject`, `task`,
`time`, `begin`, `end`), and yield positions as scikit-learn's do.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.random import branch, draw_seed


GAP = 36.0  # seconds: a window of 16 s and the 20 s that a response lasts
RESPONSE = 20.0
COLUMNS = ("label", "subject", "time", "begin", "end")

Pair = tuple[np.ndarray, np.ndarray]


class LeakageError(SchemaError):
    """Training and test share a person, samples, or the memory between them."""


def table_of(X: Any) -> pd.DataFrame:
    """The table of windows that `X` is, or has."""
    table = X if isinstance(X, pd.DataFrame) else getattr(X, "table", None)
    missing = [c for c in COLUMNS if table is None or c not in table]
    if missing:
        raise SchemaError(
            message(
                "X",
                f"windows with a table of {', '.join(COLUMNS)}",
                f"{type(X).__name__} without {missing}",
                "pass WindowedRuns, or a DataFrame with one row a window",
            )
        )
    return table.reset_index(drop=True)


def check_leakage(
    X: Any, train: np.ndarray, test: np.ndarray, *, gap: float = 0.0,
    apart: str = "run",
) -> None:  # fmt: skip
    """Refuse a split whose parts touch.

    Use it on splits that came from elsewhere; the splitters of this module keep it.

    Parameters
    ----------
    X : WindowedRuns or DataFrame
        One row a window.
    train, test : ndarray of int
        Positions of the windows.
    gap : float
        Seconds that must lie between the volumes of the two parts within a run.
    apart : {'run', 'recording', 'subject'}
        What the parts may share: `run`, a run, if no sample of EEG is in both and
        the gap is kept; `recording`, only a person; `subject`, nothing.

    Raises
    ------
    LeakageError
        Naming the run or the person, and the distance found.

    Examples
    --------
    >>> table = pd.DataFrame({"label": "a", "subject": "1", "time": [16.0, 18, 60],
    ...                       "begin": [0.0, 2, 44], "end": [16.0, 18, 60]})
    >>> check_leakage(table, [0], [2], gap=36.0)
    >>> check_leakage(table, [0], [1])
    Traceback (most recent call last):
    ...
    neuroana.learn.splits.LeakageError: a: expected training and test windows ...
    """
    check_choice("apart", apart, ["run", "recording", "subject"])
    table = table_of(X)
    one, two = table.iloc[np.asarray(train)], table.iloc[np.asarray(test)]
    column = {"subject": "subject", "recording": "label"}.get(apart)
    if column:
        both = sorted(set(one[column]) & set(two[column]))
        if both:
            raise LeakageError(
                message(
                    "split",
                    f"no {apart} in both training and test",
                    f"{both[:5]} in both",
                    "split by people (LeaveSubjectsOut)",
                )
            )
    for name in sorted(set(one["label"]) & set(two["label"])):
        a, b = one[one["label"] == name], two[two["label"] == name]
        shared = nearest(a["begin"], a["end"], b["begin"], b["end"])
        distance = nearest(a["time"], a["time"], b["time"], b["time"])
        if shared < -1e-6 or distance < gap - 1e-6:
            raise LeakageError(
                message(
                    str(name),
                    "training and test windows that share no EEG"
                    + (f" and volumes {gap:g} s apart" if gap else ""),
                    f"EEG {shared:.3g} s and volumes {distance:.3g} s apart",
                    "leave a gap (BlockedGapKFold)",
                )
            )


def nearest(begin_a, end_a, begin_b, end_b) -> float:
    """Smallest distance between spans of a and b; negative where they overlap."""
    a = np.sort(np.asarray(begin_a)), np.sort(np.asarray(end_a))
    b = np.sort(np.asarray(begin_b)), np.sort(np.asarray(end_b))
    best = np.inf
    for (begin, end), (other, _) in ((a, b), (b, a)):
        behind = np.searchsorted(other, begin)
        ok = behind < len(other)
        if ok.any():
            best = min(best, float((other[behind[ok]] - end[ok]).min()))
    return best


class Splitter:
    """Common part: positions from a table, as scikit-learn's splitters give them."""

    n_splits: int | None

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Pair]:
        """Yield positions of training and test windows, one pair a fold."""
        for train, test in self._split(table_of(X)):
            if not len(train) or not len(test):
                raise ParameterError(
                    message(
                        f"{type(self).__name__}",
                        "windows in every part",
                        f"{len(train)} for training, {len(test)} for test",
                        "take fewer folds or a smaller gap",
                    )
                )
            yield train, test

    def _split(self, table: pd.DataFrame) -> Iterator[Pair]:
        raise TypeError(f"{type(self).__name__} makes no splits")

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of folds."""
        if self.n_splits is None:
            return sum(1 for _ in self.split(X))
        return self.n_splits

    def __repr__(self) -> str:
        own = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({own})"


class BlockedGapKFold(Splitter):
    """Test contiguous blocks of every run; leave a gap on both sides.

    Use it where every run is in both parts (one person, one run): each volume is
    tested once. What is left for training shrinks by two gaps a fold and run.

    Parameters
    ----------
    n_splits : int, default=5
    gap : float, default=36
        Seconds between volumes of training and test: at least a window, plus the
        length of the response.

    Examples
    --------
    >>> table = pd.DataFrame({"label": "a", "subject": "1",
    ...                       "time": np.arange(16.0, 216, 2)})
    >>> table = table.assign(begin=table.time - 16, end=table.time)
    >>> [(len(a), len(b)) for a, b in BlockedGapKFold(4).split(table)]
    [(58, 25), (41, 25), (41, 25), (58, 25)]
    """

    def __init__(self, n_splits: int = 5, *, gap: float = GAP) -> None:
        self.n_splits = check_number("n_splits", n_splits, minimum=2, integer=True)
        self.gap = check_number("gap", gap, minimum=0.0)

    def _split(self, table: pd.DataFrame) -> Iterator[Pair]:
        runs = [np.flatnonzero(table["label"] == r) for r in table["label"].unique()]
        times = table["time"].to_numpy()
        blocks = [
            np.array_split(at[np.argsort(times[at], kind="stable")], self.n_splits)
            for at in runs
        ]
        for fold in range(self.n_splits):
            train, test = [], []
            for at, parts in zip(runs, blocks):
                chosen = parts[fold]
                test.append(chosen)
                if len(chosen):
                    first, last = times[chosen].min(), times[chosen].max()
                    far = np.maximum(first - times[at], times[at] - last)
                    at = at[(far >= self.gap - 1e-9) & ~np.isin(at, chosen)]
                train.append(at)
            yield np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


class ChronologicalSplit(Splitter):
    """Train on the first part of every run, test on the last, a gap between.

    Use it for parity with published intra-scan numbers: 80, 10 and 10 % of a run,
    with a gap of whole volumes in front of validation and test.

    Parameters
    ----------
    shares : tuple of float, default=(0.8, 0.1, 0.1)
        Of training, validation and test.
    gap : float, default=20
        Seconds, rounded up to whole volumes.

    Examples
    --------
    >>> table = pd.DataFrame({"label": "a", "subject": "1",
    ...                       "time": 2.1 * np.arange(8, 575)})
    >>> table = table.assign(begin=table.time - 16, end=table.time)
    >>> [len(part) for part in ChronologicalSplit().three_parts(table)]
    [453, 46, 48]
    """

    def __init__(
        self, shares: tuple[float, float, float] = (0.8, 0.1, 0.1), *,
        gap: float = RESPONSE,
    ) -> None:  # fmt: skip
        self.n_splits = 1
        self.shares = tuple(shares)
        self.gap = check_number("gap", gap, minimum=0.0)
        for share in self.shares:
            check_number("shares", share, minimum=0.0, maximum=1.0)
        if len(self.shares) != 3 or abs(sum(self.shares) - 1) > 1e-6:
            raise ParameterError(
                message("argument 'shares'", "three shares that add up to 1", shares)
            )

    def three_parts(self, X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions of training, validation and test windows."""
        table = table_of(X)
        times = table["time"].to_numpy()
        parts: list[list[np.ndarray]] = [[], [], []]
        for name in table["label"].unique():
            at = np.flatnonzero(table["label"] == name)
            at = at[np.argsort(times[at], kind="stable")]
            step = np.median(np.diff(times[at])) if len(at) > 1 else 1.0
            skip = int(np.ceil(self.gap / step - 1e-9))
            first = int(self.shares[0] * len(at))
            second = first + int(self.shares[1] * len(at))
            parts[0].append(at[:first])
            parts[1].append(at[first + skip : second])
            parts[2].append(at[second + skip :])
        train, validation, test = (np.sort(np.concatenate(p)) for p in parts)
        return train, validation, test

    def _split(self, table: pd.DataFrame) -> Iterator[Pair]:
        train, _, test = self.three_parts(table)
        yield train, test


class LeaveSubjectsOut(Splitter):
    """Test people that training has not seen; all runs of a person stay together.

    Use it for whatever is to hold for new people.

    Parameters
    ----------
    n_splits : int or None, default=5
        Folds of people; None leaves each person out in turn.
    random_state : int, Generator or None
        Who goes together.

    Examples
    --------
    >>> table = pd.DataFrame({"label": list("abcd"), "subject": ["1", "1", "2", "3"],
    ...                       "time": 16.0, "begin": 0.0, "end": 16.0})
    >>> [b.tolist() for _, b in LeaveSubjectsOut(None).split(table)]
    [[0, 1], [2], [3]]
    """

    def __init__(self, n_splits: int | None = 5, *, random_state=None) -> None:
        if n_splits is not None:
            check_number("n_splits", n_splits, minimum=2, integer=True)
        self.n_splits = n_splits
        self.random_state = random_state

    def _split(self, table: pd.DataFrame) -> Iterator[Pair]:
        subjects = table["subject"].to_numpy()
        for part in people_parts(subjects, self.n_splits, self.random_state):
            test = np.isin(subjects, part)
            yield np.flatnonzero(~test), np.flatnonzero(test)


def people_parts(subjects, n_splits, random_state) -> list[np.ndarray]:
    """People in folds of nearly equal number."""
    people = np.unique(subjects)
    if n_splits is None:
        return [people[i : i + 1] for i in range(len(people))]
    if len(people) < n_splits:
        raise ParameterError(
            message("argument 'n_splits'", f"at most {len(people)} people", n_splits)
        )
    order = branch(draw_seed(random_state), 0).permutation(len(people))
    return [np.sort(p) for p in np.array_split(people[order], n_splits)]


class CrossCondition(Splitter):
    """Train in one condition and test in another, on other people.

    Use it for transfer: from rest to task, or from one session to the next. People
    who were in both conditions are dealt into folds, so that nobody is tested by a
    model that has seen him.

    Parameters
    ----------
    train, test : str
        Values of the column `by`.
    by : str, default='task'
        ``'task'``, ``'session'``, or another column of the table.
    n_splits : int, default=5
        Folds of the people in both conditions; one where there are none.
    same_people : bool, default=False
        Let training see the test people in the other condition: across sessions of
        one person.
    random_state : int, Generator or None

    Examples
    --------
    >>> table = pd.DataFrame({"label": list("abcd"), "subject": ["1", "2", "3", "4"],
    ...                       "task": ["rest", "rest", "task", "task"],
    ...                       "time": 16.0, "begin": 0.0, "end": 16.0})
    >>> splitter = CrossCondition("rest", "task")
    >>> [(a.tolist(), b.tolist()) for a, b in splitter.split(table)]
    [([0, 1], [2, 3])]
    """

    def __init__(
        self, train: str, test: str, *, by: str = "task", n_splits: int = 5,
        same_people: bool = False, random_state=None,
    ) -> None:  # fmt: skip
        self.train, self.test, self.by = train, test, by
        self.folds = check_number("n_splits", n_splits, minimum=2, integer=True)
        self.n_splits = None
        self.same_people = same_people
        self.random_state = random_state

    def _split(self, table: pd.DataFrame) -> Iterator[Pair]:
        if self.by not in table:
            raise ParameterError(message("argument 'by'", list(table.columns), self.by))
        kinds, subjects = table[self.by].astype(str), table["subject"].to_numpy()
        one = (kinds == str(self.train)).to_numpy()
        two = (kinds == str(self.test)).to_numpy()
        if not one.any() or not two.any():
            raise ParameterError(
                message(f"column {self.by!r}", f"{self.train!r} and {self.test!r}",
                        sorted(set(kinds)))
            )  # fmt: skip
        both = np.intersect1d(subjects[one], subjects[two])
        if self.same_people or not len(both):
            yield np.flatnonzero(one), np.flatnonzero(two)
            return
        n = min(self.folds, len(np.unique(subjects[two])))
        for part in people_parts(subjects[two], n, self.random_state):
            seen = np.isin(subjects, part)
            yield np.flatnonzero(one & ~seen), np.flatnonzero(two & seen)


def hold_out(
    X: Any, *, share: float = 0.2, gap: float = GAP, random_state=None
) -> Pair:
    """Set a validation part aside: whole people, or the end of every run.

    Use it inside the training part of a fold; selection sees nothing else.

    Parameters
    ----------
    X : WindowedRuns or DataFrame
    share : float
        Of the people where there are four or more, of each run otherwise.
    gap : float
        Seconds between the volumes of the two parts.
    random_state : int, Generator or None
        Which people.

    Returns
    -------
    train, validation : ndarray of int

    Examples
    --------
    >>> table = pd.DataFrame({"label": list("abcde"), "subject": list("12345"),
    ...                       "time": 16.0, "begin": 0.0, "end": 16.0})
    >>> [len(part) for part in hold_out(table, random_state=0)]
    [4, 1]
    """
    check_number("share", share, minimum=0.0, maximum=1.0, open_ends=True)
    table = table_of(X)
    subjects = table["subject"].to_numpy()
    people = np.unique(subjects)
    if len(people) >= 4:
        n = max(1, round(share * len(people)))
        order = branch(draw_seed(random_state), 1).permutation(len(people))
        held = np.isin(subjects, people[order[:n]])
        return np.flatnonzero(~held), np.flatnonzero(held)
    times = table["time"].to_numpy()
    train, validation = [], []
    for name in table["label"].unique():
        at = np.flatnonzero(table["label"] == name)
        border = np.quantile(times[at], 1 - share)
        validation.append(at[times[at] > border])
        train.append(at[times[at] <= border - gap])
    parts = np.sort(np.concatenate(train)), np.sort(np.concatenate(validation))
    if not all(len(p) for p in parts):
        raise ParameterError(
            message("hold_out", "runs longer than the gap", f"{len(table)} windows")
        )
    return parts
