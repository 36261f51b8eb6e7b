"""The surrogate: exact with everybody, near exact for copies, harmless if useless."""

import numpy as np
import pandas as pd
import pytest

import neuroana as na
from neuroana.core.errors import FitWarning, ParameterError
from neuroana.fc.core_benchmark import cheap_operators
from neuroana.fc.core_estimates import CoreScores, classes_of, reliable_edges
from neuroana.fc.pair_scores import pair_score, pair_sums
from neuroana.fc.samples import cut_samples
from neuroana.fc.similarity import edge_rows, similarity
from neuroana.fc.surrogate import Surrogate, rank_features
from neuroana.fc.task_data import Design, Measured
from neuroana.fc.tasks import Task


TASKS = [Task("fingerprint"), Task("fingerprint", score="diff"),
         Task("fingerprint", score="icc"),
         Task("group", score="margin", label="label")]  # fmt: skip


def planted(seed=0, n_people=40, n_roi=14, shared=True, n_cheap=6, n_dear=8):
    """Matrices of cheap and expensive operators, and who they are of.

    All see a person's pattern through noise; `shared`: part of the noise of a window is
    the same for all operators.
    """
    rng = np.random.default_rng(seed)
    n_edges = n_roi * (n_roi - 1) // 2
    own = np.repeat(rng.normal(size=(n_people, n_edges)), 2, axis=0)
    sources = rng.normal(size=(4, 2 * n_people, n_edges))
    made = []
    for o in range(n_cheap + n_dear):
        mix = rng.normal(size=4) * (1.0 if shared else 0.0)
        noise = np.tensordot(mix, sources, 1)
        level = rng.uniform(0.2, 0.8)
        if not shared:
            own_part = own if o < n_cheap else np.repeat(
                rng.normal(size=(n_people, n_edges)), 2, axis=0)  # fmt: skip
        else:
            own_part = own
        made.append(own_part + noise + level * rng.normal(size=own.shape))
    people = np.repeat([f"p{k:02d}" for k in range(n_people)], 2)
    label = np.repeat(np.tile(["x", "y"], n_people // 2), 2)
    table = pd.DataFrame({"person": people, "label": label})
    rows = np.stack([rank_features(m) for m in made])
    return rows[:n_cheap], rows[n_cheap:], Design(table, 20, 1)


def scores_of(task, cheap, dear, design):
    model = Surrogate(cheap)
    s = np.stack([similarity(r.astype(float)) for r in dear])
    return CoreScores(task, design, model, model.cross(dear), s, dear)


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.label)
def test_everybody_in_the_core_set_gives_the_full_score(task):
    cheap, dear, design = planted(n_people=12)
    made = scores_of(task, cheap, dear, design)
    everyone = np.ones(12, dtype=bool)
    full = made.raw(np.ones((1, 12)))[0]
    tolerance = 1e-6 if task.params.get("score") == "icc" else 1e-10
    np.testing.assert_allclose(made.surrogate(everyone)[0], full, atol=tolerance)


def test_full_score_is_that_of_the_benchmark():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(16, 6, 6))
    w = w + np.swapaxes(w, 1, 2) + np.repeat(3 * rng.normal(size=(8, 6, 6)), 2, 0)
    w = (w + np.swapaxes(w, 1, 2)) / 2
    table = pd.DataFrame({"person": np.repeat(list("abcdefgh"), 2)})
    design = Design(table, 5, 1)
    both = rank_features(edge_rows(w, directed=True))[None]
    model = Surrogate(both)
    at = reliable_edges(6, np.ones(30, bool), directed=False, seed=design.seed)
    for score in ("dprime", "icc"):
        task = Task("fingerprint", score=score)
        made = CoreScores(task, design, model, model.cross(both),
                          similarity(edge_rows(w))[None], both, at)  # fmt: skip
        wanted = task.evaluate(Measured(w), design).score
        assert made.raw(np.ones((1, 8)))[0, 0] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("size", [4, 9])
def test_a_copy_of_a_cheap_operator_is_nearly_exact(size):
    cheap, _, design = planted()
    made = scores_of(TASKS[0], cheap, cheap[:3], design)
    full = made.raw(np.ones((1, 40)))[0]
    rng = np.random.default_rng(0)
    for _ in range(20):
        core = np.zeros(40, dtype=bool)
        core[rng.permutation(40)[:size]] = True
        assert np.abs(made.surrogate(core)[0] - full).max() < 0.07


def errors(shared, seed, n_draws=40, size=6):
    cheap, dear, design = planted(seed, shared=shared)
    made = scores_of(TASKS[0], cheap, dear, design)
    full = made.raw(np.ones((1, 40)))[0]
    rng = np.random.default_rng(seed)
    raw, said = [], []
    for _ in range(n_draws):
        core = np.zeros(40, dtype=bool)
        core[rng.permutation(40)[:size]] = True
        raw.append(made.raw(core[None].astype(float))[0] - full)
        said.append(made.surrogate(core)[0] - full)
    return np.array(raw), np.array(said)


def test_surrogate_is_nearer_where_noise_is_shared():
    for seed in range(3):
        raw, said = errors(True, seed)
        assert np.sqrt((said**2).mean()) < 0.8 * np.sqrt((raw**2).mean())


def test_surrogate_does_no_harm_where_nothing_is_shared():
    for seed in range(2):
        raw, said = errors(False, seed)
        assert np.sqrt((said**2).mean()) < 1.15 * np.sqrt((raw**2).mean())


def test_surrogate_is_unbiased_beside_its_spread():
    _, said = errors(True, 0, n_draws=60, size=12)
    assert (np.abs(said.mean(0)) < 0.35 * said.std(0) + 0.05).all()


def test_predictability_tells_shared_from_not():
    core = np.arange(40) < 12
    found = []
    for shared in (True, False):
        cheap, dear, design = planted(0, shared=shared)
        made = scores_of(TASKS[0], cheap, dear, design)
        found.append(np.median(made.predictability(core)[:, 1]))
    assert found[0] > 0.5 > found[1]


def test_margin_leaves_out_pairs_of_one_person():
    _, dear, design = planted(n_people=12)
    classes = classes_of(TASKS[3], design)
    assert (np.diag(classes) == -1).all()
    s = similarity(dear[0].astype(float))
    assert np.isfinite(pair_score(pair_sums(s, design.people), classes,
                                  np.ones((1, 12))))[0]  # fmt: skip


# --- the estimator -------------------------------------------------------------------


@pytest.fixture(scope="module")
def people():
    return na.fc.simulate_people(16, n_roi=6, n_samples=120, n_sites=2,
                                 random_state=0)[0]  # fmt: skip


def bench(**changes):
    given = {"operators": ["pearson", "partial", "spearman", "diff_corr", "kendall",
                           "lagged_corr"],
             "tasks": ["fingerprint", Task("trait", column="age")],
             "window": "halves", "n_boot": 30, "random_state": 0}  # fmt: skip
    return na.fc.OperatorBenchmark(**{**given, **changes})


CHEAP = ["pearson", "partial", "spearman", "diff_corr"]


def test_core_set_benchmark_says_where_each_score_is_from(people):
    model = na.fc.CoreSetBenchmark(bench(site="site"), 0.4, cheap=CHEAP).fit(people)
    origin = model.origin_.to_pandas()
    assert (origin.loc["fingerprint", CHEAP] == "all").all()
    assert (origin.loc["fingerprint", ["kendall", "lagged_corr"]] == "surrogate").all()
    assert origin.iloc[1]["kendall"] == "core-set"
    assert len(model.selected_) == 6
    assert float(model.rho_.sel(task="fingerprint", operator="kendall",
                                pair="between")) > 0.8  # fmt: skip
    assert model.cost_.sel(stage="full") > model.cost_.sel(stage="expensive")
    assert len(model.to_frame()) == 12


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
@pytest.mark.parametrize("estimator", ["surrogate", "raw"])
def test_whole_core_set_is_the_full_benchmark(people, estimator):
    given = bench(tasks=["fingerprint", Task("fingerprint", score="icc")])
    full = bench(tasks=given.tasks).fit(people)
    part = na.fc.CoreSetBenchmark(given, 1.0, cheap=CHEAP, estimator=estimator)
    np.testing.assert_allclose(part.fit(people).scores_,
                               full.scores_.sel(operator=part.scores_.operator),
                               atol=2e-6)  # fmt: skip


def test_useless_cheap_operators_are_warned_of(people):
    given = bench(operators=["noise", "pearson", "partial"], tasks=["fingerprint"])
    with pytest.warns(FitWarning, match="do not predict"):
        model = na.fc.CoreSetBenchmark(given, 0.4, cheap=["noise"]).fit(people)
    assert (model.origin_ == "core-set").all()


def test_a_core_set_of_two_is_refused(people):
    with pytest.raises(ParameterError, match="at least 3 people"):
        na.fc.CoreSetBenchmark(bench(), 0.1, cheap=CHEAP).fit(people)


def test_matched_people_are_chosen_by_the_cheap_operators(people):
    model = na.fc.CoreSetBenchmark(bench(tasks=["fingerprint"]), 0.4, cheap=CHEAP,
                                   selector="matched").fit(people)  # fmt: skip
    assert len(model.selected_) == 6


def test_one_of_every_family_is_cheap(people):
    from neuroana.fc.registry import Op, find

    samples = cut_samples(people, "halves")
    ops = [Op(n) for n in ("pearson", "dtw", "lcss", "mi_ksg", "coherence")]
    cheap = cheap_operators(ops, samples, seconds=0.0)
    assert {find(o.name).family for o in cheap} == {find(o.name).family for o in ops}
    assert Op("lcss") in cheap or Op("dtw") in cheap
