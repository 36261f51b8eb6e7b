"""Steps of the pipeline, from files to the leaderboard."""

import numpy as np
import pandas as pd
import pytest

import neuroana as na
from neuroana.core.errors import ParameterError
from neuroana.core.step import run
from neuroana.core.store import read_json, write_netcdf
from neuroana.fc.operator_benchmark import OperatorBenchmark
from neuroana.plot.sections import read_section


GIVEN = {
    "operators": ["pearson", "partial", "noise", {"name": "kendall"}],
    "tasks": ["fingerprint", {"name": "group", "label": "diagnosis"}],
    "n_boot": 20, "n_null": 19, "job_minutes": 1e-6,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    recordings, _ = na.fc.simulate_people(8, n_roi=5, n_samples=80, random_state=0)
    files = [write_netcdf(r, folder / f"{k}.nc") for k, r in enumerate(recordings)]
    people = recordings.table.rename(columns={"subject": "participant_id",
                                              "group": "diagnosis"})  # fmt: skip
    people[["participant_id", "diagnosis", "age"]].to_csv(
        folder / "participants.tsv", sep="\t", index=False
    )
    given = {**GIVEN, "participants": str(folder / "participants.tsv")}
    names = ("plan.json", "scores.nc", "table.tsv", "core.json", "kept.tsv",
             "section.json", "board.html")  # fmt: skip
    at = {name: folder / name for name in names}
    run("fc.plan", {"recordings": files}, {"plan": at["plan.json"]}, given)
    both = {"plan": at["plan.json"], "recordings": files}
    rows = []
    for job in range(len(read_json(at["plan.json"])["jobs"])):
        rows.append(folder / f"rows{job}.tsv")
        given = {"job": job, "store": str(folder / "store")}
        run("fc.compute", both, {"rows": rows[-1]}, given)
    before = {p: p.stat().st_mtime_ns for p in (folder / "store").rglob("*.nc")}
    run("fc.score", {**both, "rows": rows},
        {"scores": at["scores.nc"], "table": at["table.tsv"]},
        {"store": str(folder / "store")})  # fmt: skip
    after = {p: p.stat().st_mtime_ns for p in (folder / "store").rglob("*.nc")}
    run("fc.coreset", both, {"selected": at["core.json"]}, {"fraction": 0.5})
    run("fc.preserve", {"scores": at["scores.nc"], "selected": at["core.json"]},
        {"preserved": at["kept.tsv"]}, {"n_repeat": 5, "fractions": [0.5]})  # fmt: skip
    run("fc.report",
        {"scores": at["scores.nc"], "selected": at["core.json"],
         "preserved": at["kept.tsv"], "recordings": files},
        {"section": at["section.json"], "leaderboard": at["board.html"]})  # fmt: skip
    return at, before, after, len(rows)


def test_plan_cuts_operators_and_recordings_into_jobs(folder):
    at, *_, n_jobs = folder
    made = read_json(at["plan.json"])
    cells = [tuple(c) for job in made["jobs"] for c in job["cells"]]
    assert len(set(cells)) == len(cells)
    assert {name for name, _ in cells} == {"pearson", "partial", "noise", "kendall"}
    assert n_jobs > 4


def test_scoring_computes_no_matrix_again(folder):
    _, before, after, _ = folder
    assert before == after


def test_scores_are_those_of_the_estimator(folder):
    bench = OperatorBenchmark.load(folder[0]["scores.nc"])
    recordings, _ = na.fc.simulate_people(8, n_roi=5, n_samples=80, random_state=0)
    alone = na.fc.OperatorBenchmark(
        ["pearson", "partial", "noise", "kendall"], window="halves", n_boot=20,
        n_null=19, random_state=0).fit(recordings)  # fmt: skip
    np.testing.assert_allclose(bench.scores_.sel(task="fingerprint"), alone.scores_[0],
                               rtol=1e-5)  # fmt: skip


def test_table_is_tidy(folder):
    table = pd.read_csv(folder[0]["table.tsv"], sep="\t")
    assert len(table) == 8
    assert {"task", "operator", "score", "rank", "status"} <= set(table.columns)


def test_core_set_and_its_preservation_are_written(folder):
    chosen = read_json(folder[0]["core.json"])
    assert len(chosen["people"]) == 4
    table = pd.read_csv(folder[0]["kept.tsv"], sep="\t")
    assert set(table["selector"]) == {"random", "chosen: random"}


def test_leaderboard_can_be_sorted_and_needs_nothing_else(folder):
    page = folder[0]["board.html"].read_text("utf-8")
    assert page.count("<table") >= 1
    assert 'class="sortable"' in page
    assert 'src="http' not in page
    assert "kendall" in page


def test_section_has_the_figures(folder):
    section = read_section(folder[0]["section.json"])
    titles = [f["title"] for f in section.figures]
    assert "Leaderboard: fingerprint" in titles
    assert "Over all tasks" in titles
    assert "Core-sets" in titles
    assert section.synthetic


def test_an_unknown_parameter_is_named(folder, tmp_path):
    with pytest.raises(ParameterError, match="did you mean 'n_boot'"):
        run("fc.plan", {"recordings": [folder[0]["plan.json"]]},
            {"plan": tmp_path / "p.json"}, {"n_boots": 3})  # fmt: skip


def test_a_task_that_the_people_do_not_allow_stops_the_plan(tmp_path):
    recordings, _ = na.fc.simulate_people(3, n_roi=4, n_samples=60, random_state=0)
    files = [write_netcdf(r, tmp_path / f"{k}.nc") for k, r in enumerate(recordings)]
    with pytest.raises(ParameterError, match="diagnosis"):
        run("fc.plan", {"recordings": files}, {"plan": tmp_path / "p.json"},
            {"tasks": [{"name": "group", "label": "diagnosis"}]})  # fmt: skip
