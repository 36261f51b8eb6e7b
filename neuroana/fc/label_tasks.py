"""Tasks that predict a label or a number of each person: group, trait."""

from typing import Any

import numpy as np

from neuroana.core.checks import check_choice, check_names, message
from neuroana.core.errors import ParameterError
from neuroana.fc.pair_scores import label_classes, pair_score, pair_sums
from neuroana.fc.prediction import (
    area_under_curve,
    explained_variance,
    out_of_fold,
    weighted_correlation,
)
from neuroana.fc.task_data import Design, Measured, Outcome
from neuroana.fc.tasks import Task, task


def _labels(design: Design, label, site_aware):
    values = design.of_people(label)
    if any(v is None or v != v for v in values):
        raise ParameterError(
            message(f"column {label!r}", "a label for every person", "missing ones",
                    "leave out people without one")
        )  # fmt: skip
    kinds = np.unique(values)
    if len(kinds) < 2:
        raise ParameterError(
            message("task 'group'", "at least two labels", f"only {list(kinds)}")
        )
    if site_aware and design.sites is not None:
        alone = [k for k in kinds if not _shares_a_site(values, design.sites, k)]
        if alone:
            raise ParameterError(
                message(
                    f"column {label!r}",
                    "labels that share a site with another one",
                    f"{[str(a) for a in alone]} at sites of their own",
                    "site and group are confounded: no analysis can tell them apart",
                )
            )
    return values, kinds


def _shares_a_site(values, sites, kind):
    own = np.unique(sites[values == kind])
    return any(len(np.unique(values[sites == s])) > 1 for s in own)


def _needs_labels(
    design: Design, label="label", score="auc", similarity="spearman", confounds=(),
    site_aware=True,
):  # fmt: skip
    check_choice("score", score, ["auc", "margin"])
    check_names("table column", [label, *confounds], map(str, design.table.columns))
    _, kinds = _labels(design, label, site_aware)
    if score == "auc" and len(kinds) > 2:
        raise ParameterError(
            message("task 'group', score 'auc'", "two labels", f"{len(kinds)}",
                    "take score='margin'")
        )  # fmt: skip


@task("group", _needs_labels)
def group(
    m: Measured, design: Design, label="label", score="auc", similarity="spearman",
    confounds=(), site_aware=True,
):  # fmt: skip
    """Whether people with one label differ from those with another."""
    values, kinds = _labels(design, label, site_aware)
    sites = design.sites if site_aware else None
    strata = design.strata if site_aware else np.zeros(len(values))
    orders = [design.permuted(strata, k) for k in range(design.n_null)]
    everyone = np.arange(len(values))
    if score == "margin":
        sums = pair_sums(m.similarity(similarity), design.people)
        draws = pair_score(sums, label_classes(everyone, values, sites), design.weights)
        ones = design.weights[:1]
        null = [
            pair_score(sums, label_classes(everyone, values[o], sites), ones)[0]
            for o in orders
        ]
        return Outcome(draws, np.array(null))
    positive = values == kinds[1]
    columns = np.stack([positive, *[positive[o] for o in orders]], axis=1)
    predicted, _ = _predicted(
        m, design, 2.0 * columns - 1.0, sites, strata, confounds, kept_together=True
    )
    draws = area_under_curve(predicted[:, 0], positive, design.weights)
    ones = design.weights[:1]
    null = [area_under_curve(predicted[:, k + 1], columns[:, k + 1], ones)[0]
            for k in range(len(orders))]  # fmt: skip
    return Outcome(draws, np.array(null))


def _predicted(
    m: Measured, design: Design, y, sites, strata, confounds, kept_together=False
):
    """Out-of-fold predictions from one row of edges a person."""
    member = np.zeros((len(design.names), len(design.people)))
    member[design.people, np.arange(len(design.people))] = 1.0
    member /= member.sum(axis=1, keepdims=True)
    whole = np.isfinite(m.edges).all(axis=0)
    rows: Any = member @ m.edges[:, whole]
    repeats: dict[str, Any] = {}
    if m.refit is not None:
        refit = m.refit

        def rows(train):
            again = Measured(refit(train[design.people]), m.directed)
            return member @ again.edges[:, whole]

        repeats = {"n_repeats": 1}
    known = [design.of_people(c).astype(float) for c in confounds]
    return out_of_fold(
        rows, y, strata=strata, sites=sites, seed=design.seed,
        confounds=np.column_stack(known) if known else None, **repeats,
    )  # fmt: skip


def _needs_numbers(design: Design, column="label", score="r", confounds=(),
                   site_aware=True):  # fmt: skip
    check_choice("score", score, ["r", "r2"])
    check_names("table column", [column, *confounds], map(str, design.table.columns))
    try:
        values = design.of_people(column).astype(float)
    except (TypeError, ValueError) as error:
        raise ParameterError(message(f"column {column!r}", "numbers", error)) from error
    if not np.isfinite(values).all() or np.ptp(values) == 0:
        raise ParameterError(
            message(f"column {column!r}", "a number for every person, not all equal",
                    f"{int((~np.isfinite(values)).sum())} missing")
        )  # fmt: skip


@task("trait", _needs_numbers)
def trait(m: Measured, design: Design, column="label", score="r", confounds=(),
          site_aware=True):  # fmt: skip
    """How well a number of each person is predicted out of fold, by kernel ridge."""
    values = design.of_people(column).astype(float)
    sites = design.sites if site_aware else None
    strata = design.strata if site_aware else np.zeros(len(values))
    if sites is not None:
        known = [np.asarray(sites == s, dtype=float) for s in np.unique(sites)[1:]]
        values = _residual(values, known)
    orders = [design.permuted(strata, k) for k in range(design.n_null)]
    columns = np.stack([values, *[values[o] for o in orders]], axis=1)
    predicted, wanted = _predicted(m, design, columns, sites, strata, confounds)
    measure = weighted_correlation if score == "r" else explained_variance
    ones = design.weights[:1]
    null = [measure(predicted[:, k + 1], wanted[:, k + 1], ones)[0]
            for k in range(len(orders))]  # fmt: skip
    return Outcome(measure(predicted[:, 0], wanted[:, 0], design.weights),
                   np.array(null))  # fmt: skip


def _residual(values, known):
    design = np.column_stack([np.ones(len(values)), *known])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def confounds_only(chosen: Task, design: Design) -> float:
    """Score of a model that knows the confounds alone; NaN where there are none."""
    names = list(chosen.params.get("confounds", ()))
    if chosen.name != "group" or not names or chosen.params.get("score") == "margin":
        return np.nan
    values, kinds = _labels(design, chosen.params.get("label", "label"), True)
    rows = np.column_stack([design.of_people(c).astype(float) for c in names])
    positive = values == kinds[1]
    predicted, _ = out_of_fold(
        rows, 2.0 * positive[:, None] - 1.0, strata=design.strata, sites=design.sites,
        seed=design.seed,
    )  # fmt: skip
    return float(area_under_curve(predicted[:, 0], positive, design.weights[:1])[0])
