"""The benchmark: planted rankings, limits, resuming, and what it says of failures."""

import time
from collections import deque

import numpy as np
import pandas as pd
import pytest

import neuroana as na
from neuroana.core.errors import FailedRunError, ParameterError
from neuroana.core.store import read_netcdf
from neuroana.fc import leaderboard
from neuroana.fc.benchmark_scores import Matrices, ranked, score_operators
from neuroana.fc.capped import Job, run_capped
from neuroana.fc.registry import OPERATORS
from neuroana.fc.task_data import Design
from neuroana.fc.tasks import Task


@pytest.fixture(scope="module")
def people():
    return na.fc.simulate_people(10, n_roi=6, n_samples=120, random_state=0)[0]


@pytest.fixture
def faulty():
    """Operators that hang, take too much, return nonsense or raise."""
    before = dict(OPERATORS)

    @na.fc.operator("sleeps", "correlation")
    def sleeps(x):
        time.sleep(60)

    @na.fc.operator("allocates", "correlation")
    def allocates(x):
        return np.ones((10**10 // 8, 1))[:, 0]

    @na.fc.operator("returns_nan", "correlation")
    def returns_nan(x):
        return np.full((len(x), x.shape[2], x.shape[2]), np.nan)

    @na.fc.operator("lopsided", "correlation")
    def lopsided(x):
        return np.arange(float(len(x) * x.shape[2] ** 2)).reshape(
            len(x), x.shape[2], -1
        )

    @na.fc.operator("raises", "correlation")
    def raises(x):
        raise ValueError("not today")

    @na.fc.operator("fails_on_one", "correlation", batched=False, zscored=False)
    def fails_on_one(x):
        if x[0, 0] == MARK[0]:
            raise ValueError("that one")
        return np.corrcoef(x.T)

    yield ["sleeps", "allocates", "returns_nan", "lopsided", "raises", "fails_on_one"]
    OPERATORS.clear()
    OPERATORS.update(before)


MARK = [np.inf]


def bench(**changes):
    given = {"operators": ["pearson", "partial", "noise"], "window": "halves",
             "n_boot": 50, "n_null": 50, "random_state": 0}  # fmt: skip
    return na.fc.OperatorBenchmark(**{**given, **changes})


def scored_ranking(noise, seed=0, n_people=40, n_boot=200):
    w, people = na.fc.simulate_ranking(noise, n_people, random_state=seed)
    ok = np.ones(len(people), dtype=bool)
    operators = [Matrices(f"{s:g}", "noise", lambda w=w[k]: (w, False), ok)
                 for k, s in enumerate(noise)]  # fmt: skip
    table = pd.DataFrame({"person": people, "sample": np.arange(len(people))})
    design = Design(table, n_boot, 50, seed)
    return ranked(score_operators(operators, [Task("fingerprint")], lambda use: design))


@pytest.mark.parametrize("seed", range(3))
def test_planted_ranking_is_found(seed):
    found = scored_ranking((0.1, 0.2, 0.4, 0.8, 1.6), seed)
    np.testing.assert_array_equal(found["ranks_"][0], [1, 2, 3, 4, 5])


def test_operators_of_equal_noise_share_their_interval():
    found = scored_ranking((0.5, 0.5, 0.5, 3.0))
    low = found["rank_interval_"][0, :3, 0].to_numpy()
    high = found["rank_interval_"][0, :3, 1].to_numpy()
    assert (low <= 2).all()
    assert (high >= 2).all()
    assert found["ranks_"][0, 3] == 4


@pytest.mark.slow
def test_rank_interval_covers_the_rank_of_the_population():
    noise, hits, widths = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1), [], []
    for seed in range(100):
        found = scored_ranking(noise, seed, n_people=30, n_boot=200)
        interval = found["rank_interval_"][0].to_numpy()
        hits.append((interval[:, 0] <= np.arange(1, 7)) & (np.arange(1, 7) <=
                                                          interval[:, 1]))  # fmt: skip
        widths.append(np.diff(interval)[:, 0])
    assert np.mean(hits) >= 0.9, (np.mean(hits), np.mean(widths))


def test_fingerprint_of_white_noise_is_at_chance():
    x = np.random.default_rng(0).normal(size=(30, 120, 6))
    found = bench(operators=["pearson"], n_boot=200).fit(x)
    error = float(found.scores_boot_.std("draw")[0, 0])
    assert abs(float(found.scores_[0, 0])) < 3 * error


def test_benchmark_labels_and_ranks(people):
    found = bench(tasks=["fingerprint", Task("group", label="group"),
                         Task("trait", column="age")]).fit(people)  # fmt: skip
    table = found.to_frame()
    assert len(table) == 9
    first = table[table["task"] == "fingerprint"]
    assert first["operator"].iloc[-1] == "noise"
    assert (first["rank_low"] <= first["rank"]).all()
    assert (found.status_ == "ok").all()
    assert found.failures().empty
    gaps = found.differences("fingerprint")
    assert set(gaps["worse"]) >= {"noise"}
    assert gaps["p_holm"].between(0, 1).all()


def test_each_fault_gets_its_status_and_the_run_goes_on(people, faulty, tmp_path):
    MARK[0] = float(people[3]["signal"].values[0, 0])
    model = bench(operators=["pearson", *faulty], time_limit=2.0, memory_limit="500MB",
                  store=tmp_path, n_jobs=2)  # fmt: skip
    found = model.fit(people)
    status = found.status_.to_pandas()
    assert (status.loc["pearson"] == "ok").all()
    assert set(status.loc["sleeps"]) == {"timeout", "skipped"}
    assert set(status.loc["allocates"]) == {"oom", "skipped"}
    for name in ("returns_nan", "lopsided", "raises"):
        assert set(status.loc[name]) == {"error", "skipped"}
    assert (status.loc["fails_on_one"] == "error").sum() == 2  # windows of one
    said = found.failures().query("operator == 'raises'")["message"]
    assert said.str.contains("not today").all()
    assert (found.n_left_out_, found.n_people_) == (2, 9)
    assert np.isnan(found.scores_.sel(operator="raises")).all()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nc")}
    model.fit(people)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nc")} == before


def test_a_stopped_run_goes_on_where_it_was(people, tmp_path):
    whole = bench(store=tmp_path / "a").fit(people)
    bench(store=tmp_path / "b", operators=["pearson"]).fit(people)
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "b").rglob("*.nc")}
    again = bench(store=tmp_path / "b").fit(people)
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items())
    names = sorted(
        p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.nc")
    )
    assert names == sorted(p.relative_to(tmp_path / "b")
                           for p in (tmp_path / "b").rglob("*.nc"))  # fmt: skip
    for name in names:
        one, other = (read_netcdf(tmp_path / f / name) for f in "ab")
        np.testing.assert_array_equal(one["W"], other["W"])
    np.testing.assert_array_equal(whole.scores_, again.scores_)


def test_results_do_not_depend_on_the_number_of_workers(people):
    one = bench(chunk_seconds=1e-9).fit(people)
    two = bench(n_jobs=2).fit(people)
    np.testing.assert_allclose(one.scores_, two.scores_, rtol=1e-6)


def test_a_constant_region_is_marked_and_counted(people):
    values = [r["signal"].values.copy() for r in people]
    values[0][:, 2] = 1.0
    found = bench(operators=["pearson"]).fit(np.stack(values))
    assert found.n_constant_ == 2
    assert np.isfinite(found.scores_).all()


def test_rates_that_differ_are_an_error_for_operators_of_order(people):
    slow = [na.from_array(r["signal"].values, "fmri", sampling_rate=0.4, units="1",
                          attrs={"subject": f"s{k}"}) for k, r in
            enumerate(people[:3])]  # fmt: skip
    both = [*slow, *[people[k].assign_coords(roi=slow[0].roi.values)
                     for k in range(5, 8)]]  # fmt: skip
    given = {"operators": ["pearson", "diff_corr"], "groups": "subject"}
    found = bench(**given).fit(both)
    assert set(found.status_.sel(operator="diff_corr").values) == {"error", "skipped"}
    assert "per_site=True" in found.failures()["message"][0]
    free = bench(**given, per_site=True).fit(both)
    assert (free.status_ == "ok").all()


def test_nothing_to_compare_is_said(people, faulty):
    with pytest.raises(FailedRunError, match="operators that work"):
        bench(operators=["raises"]).fit(people)


def test_recordings_once_a_person_propose_halves(people):
    with pytest.raises(ParameterError, match="window='halves'"):
        bench(window=None).fit(people)


def test_fitted_benchmark_survives_the_disk(people, tmp_path):
    found = bench(operators=["pearson", "noise"]).fit(people)
    back = na.load(found.save(tmp_path / "bench.nc"))
    np.testing.assert_array_equal(back.ranks_, found.ranks_)
    assert back.failures().empty


def test_a_dead_worker_is_told_from_an_error():
    import os

    def dies():
        os._exit(3)

    ((_, verdict),) = run_capped(deque([Job(dies)]))
    assert verdict.status == "error"
    assert "exit code 3" in verdict.message


def test_holm_is_monotone_and_bonferroni_at_the_smallest():
    p = np.array([0.02, 0.001, 0.5, 0.04])
    np.testing.assert_allclose(leaderboard.holm(p), [0.06, 0.004, 0.5, 0.08])


def test_monotone_copies_are_one_tie_group(people):
    found = bench(operators=["pearson", "mi_gauss", "partial"]).fit(people)
    groups = found.tie_group_.to_pandas()
    assert groups["pearson"] != groups["partial"]


def test_friedman_is_scipys():
    from scipy.stats import friedmanchisquare, rankdata

    scores = np.random.default_rng(0).normal(size=(8, 4)) + np.arange(4)
    _, _, p = leaderboard.critical_difference(rankdata(-scores, axis=1))
    assert p == pytest.approx(friedmanchisquare(*scores.T).pvalue)
