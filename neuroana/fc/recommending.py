"""Which operator for these recordings, with the evidence and what it cannot support."""

import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import draw_seed
from neuroana.fc.cells import seconds_of
from neuroana.fc.core_benchmark import CoreSetBenchmark, cheap_operators
from neuroana.fc.operator_benchmark import OperatorBenchmark, leaderboard_table
from neuroana.fc.registry import Op, find, load_operators
from neuroana.fc.samples import cut_samples
from neuroana.fc.tasks import Task


GOALS = {"fingerprint": "fingerprint", "group": "group", "trait": "trait",
         "structure": "structure", "directed": "fingerprint"}  # fmt: skip
UNITS = {"s": 1, "min": 60, "h": 3600}
OVERHEAD = 0.3  # seconds to start a worker
FEWEST = 3


@dataclass(eq=False)
class Recommendation:
    """What to use, and why.

    Attributes
    ----------
    best : list of str
        Operators that the data do not tell from the best one.
    table : DataFrame
        All that were compared, best first.
    reasons, caveats : list of str

    Examples
    --------
    >>> print(Recommendation(["pearson"], pd.DataFrame(), caveats=["few people."]))
    Use one of: pearson.
    But: few people.
    """

    best: list[str]
    table: pd.DataFrame = field(repr=False)
    reasons: list[str] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"Use one of: {', '.join(self.best)}.", *self.reasons]
        return "\n".join([*lines, *(f"But: {c}" for c in self.caveats)])


def recommend(
    X, y=None, *, goal="fingerprint", budget="10min", window=None, site=None,
    groups="subject", task=None, n_boot=500, n_jobs=1, random_state=0,
):  # fmt: skip
    """Compare operators on your recordings within a time budget, and say which to use.

    Cheap operators run on everybody. Expensive ones that fit the budget run on random
    people, stratified by site, and are estimated for all.

    Parameters
    ----------
    X : recordings, list, ndarray (recording, time, roi)
    y : sequence, Series or mapping, optional
        Labels for ``'group'``, numbers for ``'trait'``.
    goal : {'fingerprint', 'group', 'trait', 'structure', 'directed'}
        ``'directed'`` compares directed operators by fingerprint: recordings alone
        cannot tell which direction is true.
    budget : str or float
        ``'30s'``, ``'10min'``, ``'1h'``, or seconds.
    window : float or 'halves', optional
        As in :class:`OperatorBenchmark`; halves where each person has one recording.
    site : str, optional
    groups : str or sequence
    task : Task, optional
        The task of the goal with options of your own.
    n_boot, n_jobs, random_state
        As in :class:`OperatorBenchmark`.

    Returns
    -------
    Recommendation

    Raises
    ------
    ParameterError
        If recordings do not allow the goal.

    Examples
    --------
    >>> import neuroana as na
    >>> recordings, _ = na.fc.simulate_people(8, n_roi=5, n_samples=100, random_state=0)
    >>> found = na.fc.recommend(recordings, budget="5s", n_boot=50)
    >>> "noise" in found.best, len(found.table) > 1
    (False, True)
    """
    check_choice("goal", goal, GOALS)
    seconds = seconds_in(budget)
    caveats: list[str] = []
    task = task or Task(GOALS[goal])
    window = _window(X, window, goal, groups, caveats)
    samples = cut_samples(X, window, groups=groups, y=y)
    ops = [o for o in map(Op, load_operators()) if _fits(o, samples, goal, caveats)]
    n_time, n_roi = max(map(len, samples.values)), samples.values[0].shape[1]
    cost = {o.label: seconds_of(o, n_time, n_roi) for o in ops}
    cheap, dear, size = within(ops, samples, cost, seconds)
    bench = OperatorBenchmark(
        cheap, [task], site=site, per_site=True, n_boot=n_boot, n_jobs=n_jobs,
        random_state=draw_seed(random_state), time_limit=max(5.0, seconds),
    )  # fmt: skip
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if dear:
            n_people = samples.table["person"].nunique()
            model: Any = CoreSetBenchmark(
                bench.set_params(operators=[*cheap, *dear]), size / n_people,
                cheap=[o.label for o in cheap],
            ).fit(samples)  # fmt: skip
            table = model.to_frame()
        else:
            model = bench.fit(samples)
            table = leaderboard_table(model)
    caveats += [str(w.message) for w in said if "do not predict" in str(w.message)]
    left = [o.label for o in ops if o not in cheap and o not in dear]
    if left:
        caveats.append(f"{len(left)} operators do not fit the budget of {budget}: "
                       f"{', '.join(left[:8])}.")  # fmt: skip
    table = table[table["score"].notna()].reset_index(drop=True)
    return _said(table, task, caveats, len(samples), dear, size, start)


def _said(table, task, caveats, n_samples, dear, size, start) -> Recommendation:
    ranked = table[table["operator"] != "noise"]
    best = ranked[ranked["rank_low"] <= ranked["rank_high"].iloc[0]]
    tied = best["operator"].tolist()
    top = ranked.iloc[0]
    reasons = [
        f"{top['operator']} has the highest {task.label} score, {top['score']:.3g} "
        f"[{top['score_low']:.3g}, {top['score_high']:.3g}], on {n_samples} samples; "
        f"{len(tied)} of {len(ranked)} operators have rank intervals that overlap its "
        "own.",
    ]
    own = ranked[ranked["operator"] == "pearson"]
    if len(own):
        row = own.iloc[0]
        word = "among them" if "pearson" in tied else "not among them"
        reasons.append(f"pearson is {word}: rank {row['rank']:.3g} "
                       f"[{row['rank_low']:.3g}, {row['rank_high']:.3g}], score "
                       f"{row['score']:.3g}.")  # fmt: skip
    if dear:
        reasons.append(f"{len(dear)} expensive operators were run on {size} people and "
                       "estimated for all.")  # fmt: skip
    reasons.append(f"It took {time.perf_counter() - start:.0f} s.")
    floor = table.loc[table["operator"] == "noise", "score_high"]
    if len(floor) and top["score_low"] <= floor.iloc[0]:
        caveats.insert(0, "no operator is above random numbers: these data do not "
                          "support the goal.")  # fmt: skip
    return Recommendation(tied, ranked.reset_index(drop=True), reasons, caveats)


def seconds_in(budget) -> float:
    """Seconds of ``'10min'`` or of a number.

    Examples
    --------
    >>> seconds_in("10min"), seconds_in(5)
    (600.0, 5.0)
    """
    if isinstance(budget, int | float) and not isinstance(budget, bool) and budget > 0:
        return float(budget)
    for unit in sorted(UNITS, key=len, reverse=True):
        number = str(budget).removesuffix(unit)
        if number != str(budget) and number.replace(".", "", 1).isdigit():
            return float(number) * UNITS[unit]
    raise ParameterError(
        message("argument 'budget'", "a time like '10min', '30s' or '1h'", repr(budget))
    )


def _window(X, window, goal, groups, caveats):
    """Halves where a person has one recording and pairs are needed."""
    if window is not None or GOALS[goal] != "fingerprint":
        return window
    table = cut_samples(X, groups=groups).table
    if (table["person"].value_counts() > 1).sum() >= 2:
        return None
    caveats.append("one recording a person: two halves of one scan are compared, which "
                   "says nothing of days.")  # fmt: skip
    return "halves"


def _fits(op: Op, samples, goal, caveats) -> bool:
    """Whether the recordings allow an operator."""
    made = find(op.name)
    if goal == "directed" and not made.directed and op.name != "noise":
        return False
    if made.needs_rate and samples.table["rate"].isna().any():
        said = "no sampling rate: spectral operators are left out."
        if said not in caveats:
            caveats.append(said)
        return False
    n_time, n_roi = min(map(len, samples.values)), samples.values[0].shape[1]
    if op.name == "mcd" and n_time < 5 * n_roi:
        caveats.append(f"{n_time} samples of {n_roi} regions: no robust covariance.")
        return False
    if op.name == "partial" and n_time <= n_roi:
        caveats.append(f"{n_time} samples of {n_roi} regions: partial correlations "
                       "and precisions only with shrinkage.")  # fmt: skip
    return True


def within(ops, samples, cost, seconds):
    """Cheap operators, expensive ones that fit the budget, and the core-set's size."""
    cheap = cheap_operators(ops, samples, None, 0.02)
    n, people = len(samples), samples.table["person"].nunique()
    total, kept = 0.0, []
    for op in sorted(cheap, key=lambda o: cost[o.label]):
        total += OVERHEAD + cost[op.label] * n
        if op.name in ("pearson", "noise") or total < 0.7 * seconds:
            kept.append(op)
    size = int(np.clip(round(0.1 * people), FEWEST, people))
    per_person = n / people
    dear, left = [], max(0.0, seconds - total)
    for op in sorted((o for o in ops if o not in cheap), key=lambda o: cost[o.label]):
        price = OVERHEAD + cost[op.label] * size * per_person
        if price < left and people >= 2 * FEWEST:
            dear.append(op)
            left -= price
    kept = [o for o in ops if o in kept]
    return kept, dear, size
