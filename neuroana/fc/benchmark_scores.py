"""Scores of all operators in all tasks, from the matrices that the cells hold.

One operator's matrices are in memory at a time. Operators are compared on the samples
that all compared operators have.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import FailedRunError
from neuroana.fc import leaderboard
from neuroana.fc.rank_agreement import average_ranks
from neuroana.fc.task_data import Design, Measured
from neuroana.fc.tasks import Task


@dataclass(eq=False)
class Matrices:
    """One operator's matrices, loaded when they are needed.

    Attributes
    ----------
    name, family : str
    load : callable
        Returns w (sample, source, target) and whether it is directed.
    ok : ndarray of bool (sample,)
        Samples that it did not fail on.
    refit : callable, optional
        Learns from a mask of samples, returns w of all.
    """

    name: str
    family: str
    load: Callable[[], tuple[np.ndarray, bool]] = field(repr=False)
    ok: np.ndarray = field(repr=False)
    refit: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)


def common_samples(operators: Sequence[Matrices], *, min_complete: float):
    """Operators that have enough samples, and the samples that all of these have.

    Raises
    ------
    FailedRunError
        If nothing is left to compare.
    """
    kept = [m for m in operators if m.ok.mean() >= min_complete]
    use = np.all([m.ok for m in kept], axis=0) if kept else np.zeros(0, bool)
    if not use.any():
        raise FailedRunError(
            message(
                "benchmark",
                f"operators that work on at least {min_complete:.0%} of the samples",
                f"{len(kept)} of {len(operators)}, without a sample in common",
                "look at failures(), or lower min_complete",
            )
        )
    return kept, use


def score_operators(
    operators: Sequence[Matrices],
    tasks: Sequence[Task],
    design_of: Callable[[np.ndarray], Design],
    *,
    min_complete: float = 0.9,
    similarity: str = "spearman",
) -> xr.Dataset:
    """Scores, draws over people, nulls and tie groups.

    Parameters
    ----------
    operators : sequence of Matrices
    tasks : sequence of Task
    design_of : callable
        The design of a mask of samples.
    min_complete : float
        Operators that failed on more than the rest are not scored.

    Returns
    -------
    Dataset
        draws (task, draw, operator), null (task, permutation, operator), tie_group
        (operator), and the similarity of samples (operator, sample, sample_).
    """
    kept, use = common_samples(operators, min_complete=min_complete)
    design = design_of(use)
    for task in tasks:
        task.check(design)
    n = len(operators)
    draws = np.full((len(tasks), 1 + design.n_boot, n), np.nan)
    null = np.full((len(tasks), design.n_null, n), np.nan)
    alike: list = [None] * n
    for k, one in enumerate(operators):
        if one not in kept:
            continue
        w, directed = one.load()
        refit = None
        if one.refit is not None:
            refit = _restricted(one.refit, use)
        measured = Measured(w[use], directed, refit)
        for t, task in enumerate(tasks):
            outcome = task.evaluate(measured, design)
            draws[t, :, k] = outcome.draws
            null[t, : len(outcome.null), k] = outcome.null
        alike[k] = measured.similarity(similarity).astype(np.float32)
    names = [one.name for one in operators]
    blank = np.full((use.sum(), use.sum()), np.nan, dtype=np.float32)
    return xr.Dataset(
        {
            "draws": (("task", "draw", "operator"), draws),
            "null": (("task", "permutation", "operator"), null),
            "tie_group": ("operator", leaderboard.tie_groups(alike)),
            "similarity": (("operator", "sample", "sample_"),
                           np.stack([blank if s is None else s for s in alike])),
            "person": ("sample", design.table["person"].to_numpy().astype(str)),
        },
        coords={"operator": names, "task": [t.label for t in tasks],
                "family": ("operator", [one.family for one in operators]),
                "sample": design.table["sample"].to_numpy().astype(str)},
        attrs={"n_people": len(design.names), "n_samples": int(use.sum()),
               "n_left_out": int((~use).sum())},
    )  # fmt: skip


def _restricted(refit, use):
    at = np.flatnonzero(use)

    def again(train):
        whole = np.zeros(len(use), dtype=bool)
        whole[at[train]] = True
        return refit(whole)[use]

    return again


def ranked(scored: xr.Dataset) -> Mapping[str, xr.DataArray]:
    """Labelled leaderboard: scores, ranks, intervals, chance and p values."""
    names = scored["operator"].to_numpy()
    tasks = scored["task"].to_numpy()
    coords = {"task": tasks, "operator": names, "family": scored["family"]}
    draws, null = scored["draws"].to_numpy(), scored["null"].to_numpy()
    scores = draws[:, 0]
    chances = [leaderboard.chance(n, s) for n, s in zip(null, scores)]

    def labelled(values, name, *more):
        return xr.DataArray(np.stack(values), dims=("task", "operator", *more),
                            coords=coords, name=name)  # fmt: skip

    bounds = {"bound": ["low", "high"]}
    return {
        "scores_": labelled(scores, "score"),
        "ranks_": labelled([average_ranks(s) for s in scores], "rank"),
        "score_interval_": labelled(
            [leaderboard.quantiles(d[1:], [0.025, 0.975]).T for d in draws],
            "score_interval", "bound").assign_coords(bounds),
        "rank_interval_": labelled(
            [leaderboard.rank_intervals(d) for d in draws],
            "rank_interval", "bound").assign_coords(bounds),
        "best_probability_": labelled(
            [leaderboard.top_probability(d) for d in draws], "best_probability"),
        "chance_": labelled([c[0] for c in chances], "chance"),
        "p_value_": labelled([c[1] for c in chances], "p_value"),
        "p_family_": labelled([c[2] for c in chances], "p_family"),
        "tie_group_": scored["tie_group"],
        "scores_boot_": scored["draws"].isel(draw=slice(1, None)).rename("scores_boot"),
        "null_": scored["null"],
        "similarity_": scored["similarity"],
        "person_": scored["person"],
    }  # fmt: skip
