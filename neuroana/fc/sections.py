"""The benchmark's section of the report."""

import numpy as np

from neuroana.core.provenance import versions
from neuroana.fc.plots import (
    plot_cost_quality,
    plot_critical_difference,
    plot_leaderboard,
    plot_operator_similarity,
    plot_preservation,
    plot_task_ranks,
)
from neuroana.plot.sections import Section


SHOWN = ["task", "operator", "family", "score", "score_low", "score_high", "rank",
         "rank_low", "rank_high", "chance", "p_family", "tie_group", "status",
         "cpu_s"]  # fmt: skip


def benchmark_section(
    bench, *, selected=None, preserved=None, title=None, synthetic=False
) -> Section:
    """Text, numbers, tables and figures of a benchmark.

    Parameters
    ----------
    bench : fitted OperatorBenchmark
    selected : dict, optional
        selector, people and coverage of a core-set.
    preserved : DataFrame, optional
        Columns fraction, selector, tau.
    title : str, optional
    synthetic : bool
    """
    tasks = bench.scores_["task"].values.tolist()
    n = int(bench.scores_.notnull().any("task").sum())
    section = Section(
        title=title or f"{n} connectivity operators in {len(tasks)} tasks",
        kind="fc",
        lead=verdict(bench),
        synthetic=synthetic,
        numbers=numbers(bench, selected),
        methods=methods(bench),
    )
    for task in tasks:
        section.add_figure(
            plot_leaderboard(bench, task), f"Leaderboard: {task}",
            "Score with its 95 % interval over people; grey dot: permuted identities "
            "or labels.",
        )  # fmt: skip
        section.add_figure(
            plot_cost_quality(bench, task), f"Cost and quality: {task}",
            "The line joins operators that no other beats on both.",
        )  # fmt: skip
    if len(tasks) > 1:
        section.add_figure(
            plot_critical_difference(bench), "Over all tasks",
            "Operators within the grey bar of one another are not told apart.",
        )  # fmt: skip
        section.add_figure(plot_task_ranks(bench), "Ranks in every task", "1 is best.")
    section.add_figure(
        plot_operator_similarity(bench), "Operators that see the same",
        "Spearman's correlation of the similarities of all pairs of samples.",
    )  # fmt: skip
    if preserved is not None and len(preserved):
        section.add_figure(
            plot_preservation(preserved), "Core-sets",
            "Kendall's tau between the ranking on a core-set and on everybody.",
        )  # fmt: skip
    table = bench.to_frame()[SHOWN]
    section.add_table("Leaderboard", SHOWN, table.values.tolist())
    failures = bench.failures()
    if len(failures):
        section.add_table("Failures", list(failures.columns), failures.values.tolist())
    if selected:
        section.add_table("Core-set", ["person"], [[p] for p in selected["people"]])
    return section


def verdict(bench) -> str:
    """What can be said, in a few sentences."""
    said = []
    table = bench.to_frame()
    for task in bench.scores_["task"].values:
        own = table[(table["task"] == task) & table["score"].notna()]
        own = own[own["operator"] != "noise"]
        if own.empty:
            said.append(f"{task}: no operator could be scored.")
            continue
        top = own.iloc[0]
        tied = int((own["rank_low"] <= top["rank_high"]).sum())
        text = (f"{task}: {top['operator']} is first ({top['score']:.3g}, 95 % "
                f"{top['score_low']:.3g} to {top['score_high']:.3g}); {tied} operators "
                "have rank intervals that overlap its own.")  # fmt: skip
        if not top["p_family"] < 0.05:
            text += " None is above chance."
        said.append(text)
    return " ".join(said)


def numbers(bench, selected=None) -> dict:
    """Key figures."""
    status = bench.status_.to_numpy()
    found = {
        "people": bench.n_people_,
        "samples": bench.n_samples_,
        "samples left out": bench.n_left_out_,
        "samples with a constant region": bench.n_constant_,
        "operators": status.shape[0],
        "operators with failures": int((status != "ok").any(axis=1).sum()),
        "tie groups": len(np.unique(bench.tie_group_)),
        "CPU s": round(float(bench.timing_.sel(cost="cpu_s").sum()) * status.shape[1]),
    }
    for task in bench.confounds_["task"].values:
        value = float(bench.confounds_.sel(task=task))
        if np.isfinite(value):
            found[f"{task}, confounds alone"] = round(value, 3)
    if selected:
        found["people in the core-set"] = len(selected["people"])
        found |= {f"coverage: {k}": round(v, 3)
                  for k, v in selected["coverage"].items()}  # fmt: skip
    return found


def methods(bench) -> str:
    """A paragraph for a methods section."""
    tasks = ", ".join(map(str, bench.scores_["task"].values))
    return (
        f"{bench.status_.sizes['operator']} connectivity operators were compared on "
        f"{bench.n_samples_} samples of {bench.n_people_} people in: {tasks}. Scores "
        f"have bootstrap intervals over people ({bench.scores_boot_.sizes['draw']} "
        f"draws) and permutation p values ({bench.null_.sizes['permutation']} "
        "permutations, the same for all operators; family-wise p from the largest "
        f"standardised score). Seed {bench.seed_}. Software: neuroana "
        f"{versions().get('neuroana', '')}."
    )
