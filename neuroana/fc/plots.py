"""Figures of the benchmark: take results, return Axes, show nothing."""

import numpy as np

from neuroana.core.checks import check_choice
from neuroana.fc import leaderboard
from neuroana.fc.registry import FAMILIES
from neuroana.plot.axes import new_axes, state_colour


def family_colour(family):
    """Colour of a family, the same in every figure."""
    return state_colour(FAMILIES.index(str(family)))


def _legend(ax, families):
    for family in dict.fromkeys(map(str, families)):
        ax.plot([], [], "o", color=family_colour(family), label=family, ms=5)
    ax.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _task(bench, task):
    tasks = bench.scores_["task"].values.tolist()
    return check_choice("task", tasks[0] if task is None else str(task), tasks)


def plot_leaderboard(bench, task=None, *, ax=None, top=30):
    """Scores with 95 % intervals, best on top; a dot is chance.

    Parameters
    ----------
    bench : fitted OperatorBenchmark
    task : str, optional
        The first by default.
    ax : Axes, optional
    top : int
        Operators at most; the last ones are left out.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neuroana as na
    >>> bench = na.fc.OperatorBenchmark(["pearson", "noise"], window="halves", n_boot=9,
    ...     n_null=9, random_state=0).fit(na.fc.simulate_people(
    ...     5, n_roi=4, n_samples=60, random_state=0)[0])
    >>> plot_leaderboard(bench).get_xlabel()
    'fingerprint'
    """
    task = _task(bench, task)
    scores = bench.scores_.sel(task=task)
    order = [k for k in np.argsort(-scores.to_numpy()) if np.isfinite(scores[k])][:top]
    ax = new_axes(ax, width=7.0, height=0.8 + 0.2 * len(order))
    interval = bench.score_interval_.sel(task=task).to_numpy()
    for row, k in enumerate(order):
        colour = family_colour(scores["family"].values[k])
        ax.plot(interval[k], [row, row], color=colour, lw=2, alpha=0.5)
        ax.plot(scores[k], row, "o", color=colour, ms=5)
        ax.plot(bench.chance_.sel(task=task)[k], row, ".", color="0.6", ms=4)
    names = [str(scores["operator"].values[k]) for k in order]
    ax.set_yticks(range(len(order)), names, fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel(task)
    _legend(ax, scores["family"].values[order])
    return ax


def plot_cost_quality(bench, task=None, *, ax=None):
    """Score against CPU seconds a sample; the line joins what nothing beats on both.

    Parameters
    ----------
    bench : fitted OperatorBenchmark
    task : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neuroana as na
    >>> bench = na.fc.OperatorBenchmark(["pearson", "noise"], window="halves", n_boot=9,
    ...     n_null=9, random_state=0).fit(na.fc.simulate_people(
    ...     5, n_roi=4, n_samples=60, random_state=0)[0])
    >>> plot_cost_quality(bench).get_xscale()
    'log'
    """
    task = _task(bench, task)
    ax = new_axes(ax, width=7.0, height=4.2)
    scores = bench.scores_.sel(task=task).to_numpy()
    cost = np.maximum(bench.timing_.sel(cost="cpu_s").to_numpy(), 1e-6)
    families, names = bench.scores_["family"].values, bench.scores_["operator"].values
    fine = np.isfinite(scores)
    ax.scatter(cost[fine], scores[fine], s=22, zorder=3,
               c=[family_colour(f) for f in families[fine]])  # fmt: skip
    front, best = [], -np.inf
    for k in np.lexsort((-scores, cost)):
        if fine[k] and scores[k] > best:
            best = scores[k]
            front.append(k)
    ax.step(cost[front], scores[front], where="post", color="0.6", lw=1)
    for k in front:
        ax.annotate(str(names[k]), (cost[k], scores[k]), fontsize=7,
                    xytext=(3, 3), textcoords="offset points")  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlabel("CPU seconds a sample")
    ax.set_ylabel(task)
    _legend(ax, families[fine])
    return ax


def plot_critical_difference(bench, *, ax=None, top=15):
    """Mean ranks over tasks; a bar joins operators that Nemenyi's test does not part.

    Parameters
    ----------
    bench : fitted OperatorBenchmark
        With two tasks or more.
    ax : Axes, optional
    top : int
        Best operators that are drawn; the test is among these.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neuroana as na
    >>> bench = na.fc.OperatorBenchmark(
    ...     ["pearson", "noise"], ["fingerprint", na.fc.Task("trait", column="age")],
    ...     window="halves", n_boot=9, n_null=9, random_state=0,
    ... ).fit(na.fc.simulate_people(8, n_roi=4, n_samples=60, random_state=0)[0])
    >>> plot_critical_difference(bench).get_xlabel()[:9]
    'mean rank'
    """
    scores = bench.scores_.to_numpy()
    fine = np.flatnonzero(np.isfinite(scores).all(axis=0))
    mean = leaderboard.average_ranks(scores[:, fine]).mean(axis=0)
    chosen = fine[np.argsort(mean, kind="stable")[:top]]
    ranks = leaderboard.average_ranks(scores[:, chosen])
    mean, gap, p = leaderboard.critical_difference(ranks)
    order = np.argsort(mean, kind="stable")
    ax = new_axes(ax, width=7.0, height=0.9 + 0.24 * len(order))
    names = bench.scores_["operator"].values[chosen]
    for row, k in enumerate(order):
        ax.plot(mean[k], row, "o", color=state_colour(0), ms=5)
        ax.plot([mean[k], mean[k] + gap], [row, row], color="0.7", lw=2, zorder=0)
    ax.set_yticks(range(len(order)), [str(names[k]) for k in order], fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel(f"mean rank over {len(ranks)} tasks (grey: critical difference "
                  f"{gap:.2f}; Friedman p = {p:.2g})")  # fmt: skip
    return ax


def plot_task_ranks(bench, *, ax=None):
    """Ranks of operators in every task.

    Parameters
    ----------
    bench : fitted OperatorBenchmark
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neuroana as na
    >>> bench = na.fc.OperatorBenchmark(["pearson", "noise"], window="halves", n_boot=9,
    ...     n_null=9, random_state=0).fit(na.fc.simulate_people(
    ...     5, n_roi=4, n_samples=60, random_state=0)[0])
    >>> len(plot_task_ranks(bench).get_yticks())
    2
    """
    ranks = bench.ranks_.to_numpy()
    order = np.argsort(np.nanmean(np.where(np.isfinite(ranks), ranks, np.inf), axis=0),
                       kind="stable")  # fmt: skip
    ax = new_axes(ax, width=2.5 + 1.2 * len(ranks), height=1.2 + 0.16 * len(order))
    image = ax.imshow(ranks[:, order].T, aspect="auto", cmap="viridis_r")
    names = bench.ranks_["operator"].values[order]
    ax.set_yticks(range(len(order)), [str(n) for n in names], fontsize=6)
    ax.set_xticks(range(len(ranks)), bench.ranks_["task"].values, fontsize=7)
    ax.figure.colorbar(image, ax=ax, label="rank", shrink=0.6)
    return ax


def plot_operator_similarity(bench, *, ax=None):
    """How alike two operators order all pairs of samples (Spearman), by family.

    Parameters
    ----------
    bench : fitted OperatorBenchmark
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neuroana as na
    >>> bench = na.fc.OperatorBenchmark(["pearson", "noise"], window="halves", n_boot=9,
    ...     n_null=9, random_state=0).fit(na.fc.simulate_people(
    ...     5, n_roi=4, n_samples=60, random_state=0)[0])
    >>> len(plot_operator_similarity(bench).get_xticks())
    2
    """
    from neuroana.fc.similarity import standardised

    s = bench.similarity_.to_numpy()
    pairs = np.triu_indices(s.shape[1], 1)
    rows = s[:, pairs[0], pairs[1]]
    fine = np.flatnonzero(np.isfinite(rows).all(axis=1))
    families = bench.scores_["family"].values[fine]
    fine = fine[np.argsort([FAMILIES.index(str(f)) for f in families], kind="stable")]
    unit = standardised(rows[fine].astype(float))
    size = 2.0 + 0.13 * len(fine)
    ax = new_axes(ax, width=size + 1.2, height=size)
    image = ax.imshow(unit @ unit.T, vmin=-1, vmax=1, cmap="RdBu_r")
    names = [str(n) for n in bench.scores_["operator"].values[fine]]
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=5)
    ax.set_yticks(range(len(names)), names, fontsize=5)
    ax.figure.colorbar(image, ax=ax, label="Spearman's rho over pairs", shrink=0.7)
    return ax


def plot_preservation(table, *, measure="tau", ax=None):
    """Agreement with the full ranking against the size of the core-set.

    Parameters
    ----------
    table : DataFrame
        Columns fraction, selector, and the measure; one row a draw. The selector
        ``random`` is drawn as a band (95 % of draws).
    measure : str
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"fraction": [0.1, 0.2], "selector": "random",
    ...                       "tau": [0.8, 0.9]})
    >>> plot_preservation(table).get_ylabel()
    'tau'
    """
    ax = new_axes(ax, width=7.0, height=3.6)
    for number, (name, own) in enumerate(table.groupby("selector", sort=False)):
        by = own.groupby("fraction")[measure]
        x, mean = list(by.groups), by.mean().to_numpy()
        if name == "random":
            low, high = by.quantile(0.025), by.quantile(0.975)
            ax.fill_between(x, low, high, color="0.85", label="random, 95 %")
            ax.plot(x, mean, color="0.4", lw=1.5, label="random")
        else:
            ax.plot(x, mean, "o-", color=state_colour(number), ms=3, lw=1, label=name)
    ax.set_xlabel("share of the people")
    ax.set_ylabel(measure)
    ax.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_perturbation(core, *, ax=None):
    """Scores of all samples, the chosen ones filled.

    Parameters
    ----------
    core : fitted SCLCS
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import neuroana as na
    >>> recordings, _ = na.fc.simulate_prototypes(6, 4, n_samples=60, random_state=0)
    >>> core = na.fc.SCLCS(0.5, window_volumes=30, epochs=2, n_heads=2, dim=4,
    ...                    device="cpu", random_state=0).fit(recordings)
    >>> plot_perturbation(core).get_ylabel()
    'samples'
    """
    ax = new_axes(ax, width=6.0, height=3.0)
    values = core.sps_.to_numpy()
    table = core._data.samples.table
    column = "person" if core._data.unit == "subject" else "sample"
    chosen = table[column].astype(str).isin(core.selected_).to_numpy()
    edges = np.histogram_bin_edges(values, bins=25)
    ax.hist(values, bins=edges, color="0.85", label="all")
    ax.hist(values[chosen], bins=edges, color=state_colour(0), label="chosen")
    ax.set_xlabel("structural perturbation score")
    ax.set_ylabel("samples")
    ax.legend(fontsize=7, frameon=False)
    return ax
