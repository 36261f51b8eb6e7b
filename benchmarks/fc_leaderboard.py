"""All fast operators on 88 resting adults: leaderboard, and the same under the null.

Disjoint halves of each scan; fingerprint (d'), diagnosis (AUC, site-aware, motion
beside it), age (r out of fold). The null: identities exchanged between people of one
site and diagnoses and ages permuted within sites, scored like the data; regions with
random phases stand beside it. ``python benchmarks/fc_leaderboard.py STORE`` keeps the
matrices in the folder STORE and writes ``benchmarks/results/fc_leaderboard.md``.
"""

import os
import sys
import tempfile
import time
from pathlib import Path


for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).parent))

import fc_cohort  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402

import neuroana as na  # noqa: E402
from neuroana.core.random import branch  # noqa: E402
from neuroana.fc.samples import Samples, cut_samples  # noqa: E402


RESULT = Path(__file__).parent / "results" / "fc_leaderboard.md"
N_ROI = 33  # of 200; more take the square of it longer
TASKS = ["fingerprint",
         na.fc.Task("group", label="diagnosis", confounds=["motion"]),
         na.fc.Task("trait", column="age", confounds=["motion"])]  # fmt: skip
SETTINGS = {"operators": "fast", "tasks": TASKS, "site": "site",
            "per_site": True, "n_boot": 500, "n_null": 200, "random_state": 0,
            "time_limit": 60.0}  # fmt: skip


def permuted(samples, seed):
    """Samples whose second halves, diagnoses and ages went to others of the site."""
    rng = branch(seed, 0)
    table = samples.table.copy()
    first = table.drop_duplicates("person")
    order = np.arange(len(first))
    for site in first["site"].unique():
        at = np.flatnonzero(first["site"] == site)
        order[at] = rng.permutation(at)
    people = first["person"].to_numpy()
    other = dict(zip(people, people[order]))
    late = table["start"] > 0
    table.loc[late, "person"] = table.loc[late, "person"].map(other)
    again = rng.permutation(len(first))
    for site in first["site"].unique():
        at = np.flatnonzero(first["site"] == site)
        again[at] = rng.permutation(at)
    for column in ("diagnosis", "age", "motion"):
        values = dict(zip(people, first[column].to_numpy()[again]))
        table[column] = table["person"].map(values)
    return Samples(samples.values, table, samples.group)


def random_phases(recordings):
    """The same recordings, the phases of every region random by themselves."""
    made = [na.signal.surrogate(r, "phase", random_state=k)
            for k, r in enumerate(recordings)]  # fmt: skip
    made = [m[0] if isinstance(m, list) else m for m in made]
    new = na.Recordings(made)
    for column in fc_cohort.COLUMNS.values():
        new.table[column] = recordings.table[column].to_numpy()
    return new


def false_findings(store, samples, n_draws, **settings):
    """Share of permuted data in which an operator beats chance, or a pair differs."""
    rows = []
    for seed in range(n_draws):
        bench = na.fc.OperatorBenchmark(**{**settings, "random_state": seed},
                                        store=store)  # fmt: skip
        found = bench.fit(permuted(samples, seed))
        for task in found.scores_["task"].values:
            p = found.p_family_.sel(task=task)
            pairs = found.differences(task)["p_holm"]
            rows.append((str(task), bool((p < 0.05).any()), bool((pairs < 0.05).any())))
    table = pd.DataFrame(rows, columns=["task", "beats chance", "pair differs"])
    return table.groupby("task").mean()


def table_text(table):
    """A table in Markdown."""
    lines = ["| " + " | ".join(map(str, table.columns)) + " |",
             "|" + " --- |" * len(table.columns)]  # fmt: skip
    for row in table.itertuples(index=False):
        cells = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_report(found, null, phases, seconds, n_draws):
    """Leaderboard and null as one page."""
    keep = ["operator", "family", "score", "score_low", "score_high", "rank_low",
            "rank_high", "chance", "p_family", "tie_group", "cpu_s"]  # fmt: skip
    table = found.to_frame()
    parts = [
        "# Operators on 88 resting adults",
        "",
        f"{found.n_people_} people of three sites, {N_ROI} of 200 regions, "
        f"{found.n_samples_} disjoint halves; {found.status_.sizes['operator']} "
        "operators; "
        f"{seconds:.0f} CPU s. Intervals: 95 %, bootstrap over people within sites. "
        "chance: mean with identities or labels permuted within sites; p_family "
        "against the best of all operators. cpu_s: one half.",
    ]
    for task in found.scores_["task"].values:
        own = table[(table["task"] == task) & table["score"].notna()]
        alone = float(found.confounds_.sel(task=task))
        note = "" if np.isnan(alone) else f" Motion alone: {alone:.3f}."
        parts += ["", f"## {task}", "", f"Phase-random regions, best operator: "
                  f"{float(phases.scores_.sel(task=task).max()):.3g} "
                  f"(chance {float(phases.chance_.sel(task=task).mean()):.3g}).{note}",
                  "", table_text(own[keep])]  # fmt: skip
    parts += ["", "## Permuted identities and labels", "",
              f"Share of {n_draws} permuted data sets in which some operator beats "
              "chance, or some pair differs, at a family-wise 0.05:", "",
              table_text(null.reset_index())]  # fmt: skip
    failures = found.failures()
    if len(failures):
        parts += ["", "## Failures", "", table_text(failures)]
    RESULT.write_text("\n".join(parts) + "\n", encoding="utf-8")


@pytest.mark.bench
def test_leaderboard():
    run(20)


def run(n_draws):
    """Leaderboard and null, written and checked."""
    if not fc_cohort.folder().is_dir():
        pytest.skip(f"no recordings at {fc_cohort.folder()}")
    store = sys.argv[1] if len(sys.argv) > 1 and __name__ == "__main__" else None
    with tempfile.TemporaryDirectory() as spare:
        store = Path(store or spare)
        start = time.process_time()
        recordings = fc_cohort.read_cohort(N_ROI)
        found = na.fc.OperatorBenchmark(**SETTINGS, window="halves", store=store,
                                        n_jobs=2).fit(recordings)  # fmt: skip
        seconds = (
            time.process_time()
            - start
            + float(
                found.timing_.sel(cost="cpu_s").sum() * found.status_.sizes["sample"]
            )
        )
        found.save(store / "leaderboard.nc")
        few = found.to_frame().query("task == 'fingerprint'")["operator"].tolist()
        spread = [few[k] for k in np.linspace(0, len(few) - 1, 12).astype(int)]
        quick = {**SETTINGS, "operators": spread, "n_null": 100, "n_boot": 200}
        small = cut_samples(fc_cohort.read_cohort(N_ROI), "halves")
        null = false_findings(store, small, n_draws, **quick)
        phases = na.fc.OperatorBenchmark(**quick, window="halves", store=store).fit(
            random_phases(fc_cohort.read_cohort(N_ROI))
        )
        write_report(found, null, phases, seconds, n_draws)
    assert found.scores_.notnull().all("operator").any() or len(found.failures())
    assert (null <= 0.2).all(axis=None)


if __name__ == "__main__":
    run(20)
