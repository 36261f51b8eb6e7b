"""Tasks of the benchmark: stored scores, chance under the null, and bad input."""

import numpy as np
import pandas as pd
import pytest

from neuroana.core.errors import ParameterError
from neuroana.fc.identification import discriminability, identification_rate
from neuroana.fc.label_tasks import confounds_only
from neuroana.fc.pair_scores import identity_classes, pair_score, pair_sums
from neuroana.fc.prediction import area_under_curve, out_of_fold
from neuroana.fc.region_nulls import region_orders
from neuroana.fc.reliability import intraclass_correlation
from neuroana.fc.samples import cut_samples
from neuroana.fc.similarity import edge_rows, similarity
from neuroana.fc.spatial_scores import against_reference
from neuroana.fc.task_data import Design, Measured
from neuroana.fc.tasks import Task


@pytest.fixture(scope="module")
def stored(oracles):
    with np.load(oracles / "coreset_rank.npz", allow_pickle=False) as file:
        return {k: file[k] for k in file.files}


def people_with_pattern(n_people=30, n_samples=2, noise=1.0, n_roi=8, seed=0):
    """Symmetric matrices (sample, roi, roi): one pattern a person, plus noise."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(n_people, 1, n_roi, n_roi))
    w = own + noise * rng.normal(size=(n_people, n_samples, n_roi, n_roi))
    w = (w + np.swapaxes(w, -1, -2)).reshape(-1, n_roi, n_roi)
    return w, np.repeat([f"p{k:02d}" for k in range(n_people)], n_samples)


def design_of(people, **columns):
    n_boot, n_null = columns.pop("n_boot", 50), columns.pop("n_null", 50)
    known = {k: columns.pop(k) for k in ("site_name", "coordinates", "networks")
             if k in columns}  # fmt: skip
    site = known.pop("site_name", None)
    table = pd.DataFrame({"person": people, **columns})
    return Design(table, n_boot, n_null, site=site, **known)


# --- kernels -------------------------------------------------------------------------


def test_similarity_is_the_stored_spearman_matrix(stored):
    np.testing.assert_allclose(similarity(stored["fp_edges"]),
                               stored["fp_similarity__scipy"], atol=1e-12)  # fmt: skip


def test_fingerprint_scores_are_the_stored_ones(stored):
    s, people = stored["fp_similarity__scipy"], np.array([0, 0, 1, 1, 2, 2])
    sums, classes, ones = pair_sums(s, people), identity_classes(3), np.ones((1, 3))
    assert pair_score(sums, classes, ones)[0] == pytest.approx(stored["fp_dprime"])
    assert pair_score(sums, classes, ones, "diff")[0] == pytest.approx(
        stored["fp_diff"]
    )
    assert identification_rate(s, people, ones)[0] == pytest.approx(stored["fp_idrate"])


def test_similarity_leaves_out_what_one_of_two_lacks():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    edges = rng.normal(size=(4, 20))
    edges[1, :5] = np.nan
    edges[3, 2:9] = np.nan
    s = similarity(edges)
    for a in range(4):
        for b in range(4):
            both = np.isfinite(edges[a]) & np.isfinite(edges[b])
            wanted = spearmanr(edges[a, both], edges[b, both]).statistic
            assert s[a, b] == pytest.approx(wanted, abs=1e-12)


def test_weights_are_people_drawn_again():
    w, _ = people_with_pattern(6)
    s = similarity(edge_rows(w))
    numbers = np.repeat(np.arange(6), 2)
    weights = np.array([[2.0, 0, 1, 1, 0, 2]])
    found = pair_score(pair_sums(s, numbers), identity_classes(6), weights)[0]
    pairs = {"a": [], "b": []}
    for i in range(12):
        for j in range(i):
            wi, wj = weights[0, numbers[i]], weights[0, numbers[j]]
            same = numbers[i] == numbers[j]
            pairs["a" if same else "b"] += [s[i, j]] * int(wi if same else wi * wj)
    a, b = np.array(pairs["a"]), np.array(pairs["b"])
    wanted = (a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2)
    assert found == pytest.approx(wanted)


def test_discriminability_is_the_share_of_ordered_triples():
    w, _ = people_with_pattern(5, 3, noise=2.0)
    s, numbers = similarity(edge_rows(w)), np.repeat(np.arange(5), 3)
    won = [
        s[a, b] > s[a, c]
        for a in range(15) for b in range(15) for c in range(15)
        if a != b and numbers[a] == numbers[b] != numbers[c]
    ]  # fmt: skip
    found = discriminability(s, numbers, np.ones((1, 5)))[0]
    assert found == pytest.approx(np.mean(won))


@pytest.mark.parametrize("kind", ["1,1", "2,1"])
def test_icc_is_that_of_the_mean_squares(kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 2)) + rng.normal(size=(12, 1)) + [0.0, 1.0]
    n, grand = 12, x.mean()
    msr = 2 * ((x.mean(1) - grand) ** 2).sum() / (n - 1)
    msw = ((x - x.mean(1, keepdims=True)) ** 2).sum() / n
    msc = n * ((x.mean(0) - grand) ** 2).sum()
    mse = (((x - grand) ** 2).sum() - msr * (n - 1) - msc) / (n - 1)
    wanted = (msr - msw) / (msr + msw)
    if kind == "2,1":
        wanted = (msr - mse) / (msr + mse + 2 * (msc - mse) / n)
    ones = np.ones((1, 12))
    found = intraclass_correlation(x[:, :1], x[:, 1:], ones, kind=kind)
    if kind == "1,1":
        msw = ((x - x.mean(1, keepdims=True)) ** 2).sum() / n
    assert found[0, 0] == pytest.approx(wanted)


def test_area_under_curve_counts_ties_half():
    values, positive = np.array([1.0, 1.0, 0.0]), np.array([True, False, False])
    assert area_under_curve(values, positive, np.ones((1, 3)))[0] == 0.75


def test_out_of_fold_learns_nothing_from_noise():
    rng = np.random.default_rng(0)
    r = []
    for seed in range(10):
        rows, y = rng.normal(size=(60, 100)), rng.normal(size=(60, 1))
        found, wanted = out_of_fold(
            rows, y, strata=np.zeros(60), n_repeats=1, seed=seed
        )
        r.append(np.corrcoef(found[:, 0], wanted[:, 0])[0, 1])
    assert abs(np.nanmean(r)) < 0.15


def test_spin_keeps_hemispheres_and_permutes():
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(20, 3)) * 40
    for order in region_orders(20, 5, xyz, 0):
        assert sorted(order) == list(range(20))
        assert ((xyz[order, 0] < 0) == (xyz[:, 0] < 0)).all()


def test_reference_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    edges, reference = rng.normal(size=(2, 30)), rng.normal(size=30)
    reference[:4] = np.nan
    found = against_reference(edges, reference)
    wanted = spearmanr(np.abs(edges[1, 4:]), reference[4:]).statistic
    assert found[1] == pytest.approx(wanted)


# --- tasks ---------------------------------------------------------------------------


@pytest.mark.parametrize("score", ["dprime", "diff", "idrate", "discriminability",
                                   "icc"])  # fmt: skip
def test_fingerprint_is_above_its_null(score):
    w, people = people_with_pattern()
    outcome = Task("fingerprint", score=score).evaluate(Measured(w), design_of(people))
    assert outcome.score > outcome.null.max()
    assert outcome.draws.shape == (51,)
    assert outcome.draws[1:].min() <= outcome.score <= outcome.draws[1:].max()


def test_fingerprint_of_noise_is_at_its_null():
    w, people = people_with_pattern(noise=1e6)
    outcome = Task("fingerprint").evaluate(Measured(w), design_of(people, n_null=200))
    assert abs(outcome.score - outcome.null.mean()) < 3 * outcome.null.std()


def test_null_within_sites_keeps_the_site_effect():
    w, people = people_with_pattern(noise=1e3)
    site = np.repeat(["a", "b"], 30)
    w = w + 3e3 * np.where(site == "a", 1, -1)[:, None, None] * np.triu(
        np.random.default_rng(1).normal(size=(8, 8)))  # fmt: skip
    free = Task("fingerprint").evaluate(Measured(w), design_of(people, site=site))
    held = Task("fingerprint").evaluate(
        Measured(w), design_of(people, site=site, site_name="site")
    )
    assert held.null.mean() > free.null.mean() + 0.3


def test_test_retest_pairs_two_sessions():
    w, people = people_with_pattern()
    session = np.tile(["1", "2"], 30)
    for score in ("icc", "r"):
        outcome = Task("test_retest", score=score).evaluate(
            Measured(w), design_of(people, session=session)
        )
        assert outcome.score > outcome.null.max()


@pytest.mark.parametrize("score", ["auc", "margin"])
def test_group_finds_a_planted_difference(score):
    w, people = people_with_pattern(40)
    label = np.repeat(np.tile(["x", "y"], 20), 2)
    w[label == "x", 0, 1] += 6.0
    w[label == "x", 1, 0] += 6.0
    design = design_of(people, label=label)
    outcome = Task("group", score=score).evaluate(Measured(w), design)
    assert outcome.score > outcome.null.max()


def test_group_does_not_mistake_the_site_for_the_label():
    rng = np.random.default_rng(0)
    w, people = people_with_pattern(60)
    site = np.repeat(np.repeat(["a", "b"], 30), 2)
    label = np.where(rng.random(60) < np.repeat([0.8, 0.2], 30), "x", "y")
    w[site == "a"] += 5.0 * np.ones((8, 8))
    aware = design_of(people, label=np.repeat(label, 2), site=site, site_name="site")
    blind = design_of(people, label=np.repeat(label, 2), site=site)
    task = Task("group")
    assert task.evaluate(Measured(w), blind).score > 0.7
    found = task.evaluate(Measured(w), aware)
    assert abs(found.score - found.null.mean()) < 3 * found.null.std()


def test_trait_finds_a_planted_number():
    w, people = people_with_pattern(60)
    age = np.random.default_rng(1).normal(size=60)
    w[:, 0, 1] += 3 * np.repeat(age, 2)
    w[:, 1, 0] = w[:, 0, 1]
    design = design_of(people, age=np.repeat(age, 2))
    outcome = Task("trait", column="age").evaluate(Measured(w), design)
    assert outcome.score > outcome.null.max()


def test_motion_alone_is_scored_beside_the_group():
    _, people = people_with_pattern(40)
    label = np.tile(["x", "y"], 20)
    motion = (label == "x") + 0.1 * np.random.default_rng(0).normal(size=40)
    design = design_of(people, label=np.repeat(label, 2), fd=np.repeat(motion, 2))
    assert confounds_only(Task("group", confounds=["fd"]), design) > 0.95
    assert np.isnan(confounds_only(Task("group"), design))


def test_regions_tasks_find_what_was_planted():
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(16, 3)) * 40
    near = -np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    networks = np.repeat([0, 1], 8)
    same = networks[:, None] == networks[None]
    noise = rng.normal(size=(10, 16, 16))
    noise = noise + np.swapaxes(noise, 1, 2)
    people = [f"p{k}" for k in range(10)]
    design = design_of(people, coordinates=xyz, networks=networks)
    strong = Measured(near + 300 + noise)
    assert Task("distance").evaluate(strong, design).score > 0.9
    structure = Task("structure", reference=np.maximum(near + 80, 0))
    found = structure.evaluate(strong, design)
    assert found.score > np.quantile(found.null, 0.95)  # a small turn changes nothing
    split = Task("network").evaluate(Measured(5.0 * same + noise), design)
    assert split.score > split.null.max()
    graph = rng.random((16, 16)) < 0.1
    graph[range(16), range(16)] = False
    truth = Task("truth", graph=graph).evaluate(
        Measured(3.0 * graph + rng.normal(size=(10, 16, 16)), directed=True), design
    )
    assert truth.score > truth.null.max()


# --- bad input -----------------------------------------------------------------------


def test_fingerprint_of_one_sample_a_person_proposes_halves():
    with pytest.raises(ParameterError, match="window='halves'"):
        Task("fingerprint").check(design_of(["a", "b", "c"]))


def test_group_needs_two_labels_and_a_shared_site():
    people = [f"p{k}" for k in range(8)]
    with pytest.raises(ParameterError, match="at least two labels"):
        Task("group").check(design_of(people, label=["x"] * 8))
    label, site = np.repeat(["x", "y"], 4), np.repeat(["a", "b"], 4)
    with pytest.raises(ParameterError, match="site and group are confounded"):
        Task("group").check(design_of(people, label=label, site=site, site_name="site"))


def test_unknown_option_of_a_task_is_named():
    with pytest.raises(ParameterError, match="did you mean 'score'"):
        Task("fingerprint", scor="diff").check(design_of(["a", "a", "b", "b"]))


def test_regions_tasks_name_what_is_missing():
    design = design_of(["a", "b"])
    for name, word in (("distance", "x, y, z"), ("network", "network"),
                       ("structure", "reference"), ("truth", "graph")):  # fmt: skip
        with pytest.raises(ParameterError, match=word):
            Task(name).check(design)


def test_overlapping_windows_are_refused():
    x = np.random.default_rng(0).normal(size=(2, 100, 3))
    with pytest.raises(ParameterError, match="share no samples"):
        cut_samples(x, window_volumes=40, step_volumes=20)
    found = cut_samples(x, window_volumes=40, step_volumes=20, allow_overlap=True)
    assert len(found) == 8


def test_windows_in_seconds_need_a_rate():
    x = np.random.default_rng(0).normal(size=(2, 100, 3))
    with pytest.raises(ParameterError, match="sampling rate"):
        cut_samples(x, 30.0)
    with pytest.raises(ParameterError, match="shorter window"):
        cut_samples(x, window_volumes=101)


def test_a_recording_that_is_there_twice_is_refused():
    x = np.random.default_rng(0).normal(size=(3, 50, 3))
    x[2] = x[0]
    with pytest.raises(ParameterError, match=r"same samples in 0 and 2"):
        cut_samples(x)


def test_labels_of_unknown_people_are_listed():
    x = np.random.default_rng(0).normal(size=(2, 50, 3))
    with pytest.raises(ParameterError, match="'zz'"):
        cut_samples(x, groups=["a", "b"], y={"a": 1, "b": 2, "zz": 3})
    assert cut_samples(x, groups=["a", "b"], y={"b": 1, "a": 2}).column(
        "label"
    ).tolist() == [2, 1]
