"""Labels over time, events, surrogates, and the facade that joins the parts."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score, roc_auc_score

import neuroana as na
from neuroana.connectome import (
    DifferentialAffinity,
    DynamicConnectome,
    MotifCommunities,
    NonNegativeCP,
    allegiance,
    flexibility,
    null_test,
    promiscuity,
    recruitment,
    simulate_motifs,
)
from neuroana.connectome.dynamics import coassignment_at, consensus_labels, track
from neuroana.connectome.event_statistics import area_under_curve, event_statistics
from neuroana.connectome.nulls import draw, mixed_animals
from neuroana.core.errors import ParameterError, SchemaError


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")


@pytest.fixture(scope="module")
def fitted():
    recordings, truth = simulate_motifs(
        n_neurons=40, n_samples=600, random_state=5, snr_db=20
    )
    model = DynamicConnectome(
        DifferentialAffinity(scale="std"),
        NonNegativeCP(6, "single", baseline=True, n_init=3, tol=1e-6),
        communities=MotifCommunities(n_consensus=0, n_posterior=20),
        random_state=0,
    )
    return model.fit(recordings), recordings, truth


def test_labels_over_time_have_every_neuron_at_every_time(fitted):
    model, _, truth = fitted
    labels = model.labels_over_time()
    assert labels.shape == (600, 40)
    assert labels["neuron"].values.tolist() == truth["neuron"].values.tolist()


def test_graph_is_the_sum_of_motifs(fitted):
    model, _, _ = fitted
    cp = model.factorization_
    wanted = np.nan_to_num(cp.pair_.values) @ (cp.weights_ * cp.time_[100]).values
    baseline = float(
        (cp.pair_ * cp.weights_ * cp.time_[100]).sel(component="baseline")[0]
    )
    found = model.graph(float(cp.time_["time"][100])).values
    np.testing.assert_allclose(
        found[np.triu_indices(40, 1)], wanted - baseline, atol=1e-5
    )


def test_coassignment_is_a_share(fitted):
    values = fitted[0].coassignment_over_time([10.0, 200.0]).values
    known = values[np.isfinite(values)]
    assert known.min() >= 0
    assert known.max() <= 1 + 1e-9


def test_consensus_labels_follow_the_coassignment(fitted):
    model, _, _ = fitted
    g = model.strength().isel(time=slice(0, 5))
    together = coassignment_at(g.values, model.communities_.coassignment_.values)
    labels = consensus_labels(together, 0)
    assert labels.shape == (5, 40)
    assert labels.max() >= 1


def test_events_find_the_regime_that_a_motif_belongs_to(fitted):
    model, _, truth = fitted
    on = truth["course"].values == 1
    table = model.event_table({"second": on}, n_shifts=99)
    g = model.strength()
    for _, row in table.iterrows():
        wanted = roc_auc_score(on, g.sel(component=row["component"]))
        assert row["auc"] == pytest.approx(wanted, abs=1e-9)
    assert {"p", "p_corrected", "q", "difference"} <= set(table)
    assert (table["p_corrected"] >= table["p"] - 1e-12).all()


def test_events_as_a_table_equal_events_as_a_vector(fitted):
    model, recordings, _ = fitted
    time = recordings[0]["time"].values
    table = pd.DataFrame({"onset": [30.0], "duration": [60.0], "trial_type": ["on"]})
    vector = (time >= 30.0) & (time <= 90.0)
    one = model.event_table(table, n_shifts=20)
    two = model.event_table({"on": vector}, n_shifts=20)
    pd.testing.assert_frame_equal(one, two)


def test_events_of_the_recordings_are_used():
    recordings, _ = simulate_motifs(n_neurons=12, n_samples=300, random_state=0)
    events = pd.DataFrame({"onset": [20.0, 90.0], "duration": [20.0, 20.0],
                           "trial_type": ["a", "a"]})  # fmt: skip
    rec = na.with_events(recordings[0], events)
    base = NonNegativeCP(2, "single", n_init=2)
    model = DynamicConnectome(factorization=base, random_state=0).fit(rec)
    assert model.event_table(n_shifts=10)["event"].unique().tolist() == ["a"]
    bare = DynamicConnectome(factorization=base, random_state=0).fit(recordings)
    with pytest.raises(SchemaError, match="onsets"):
        bare.event_table()


def test_an_event_without_any_relation_is_not_found():
    rng = np.random.default_rng(0)
    p = []
    for seed in range(20):
        courses = rng.normal(size=(400, 3)).cumsum(axis=0)
        on = {"x": np.repeat(rng.random(40) < 0.4, 10)}
        table = event_statistics(
            courses, on, np.zeros(400, int), 1.0, components=list("abc"), n_shifts=99,
            min_shift=30.0, seed=seed,
        )  # fmt: skip
        p.append(table["p_corrected"].min())
    assert np.mean(np.array(p) <= 0.1) <= 0.35


def test_a_shift_that_does_not_fit_is_refused():
    with pytest.raises(ParameterError, match="min_shift"):
        event_statistics(
            np.ones((50, 1)), {"x": np.arange(50) > 20}, np.zeros(50, int), 1.0,
            components=["a"], n_shifts=9, min_shift=30.0, seed=0,
        )  # fmt: skip


def test_area_under_the_curve_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    values, on = rng.integers(0, 5, 60).astype(float), rng.random(60) < 0.4
    assert area_under_curve(values, on) == pytest.approx(roc_auc_score(on, values))


def test_measures_of_neurons_against_hand_counts():
    labels = np.array([[0, 0, 1, -1], [0, 1, 1, -1], [1, 1, 0, -1]])
    assert flexibility(labels).tolist() == [0.5, 0.5, 0.5, 0.0]
    assert allegiance(labels)[0, 1] == pytest.approx(2 / 3)
    assert allegiance(labels)[1, 2] == pytest.approx(1 / 3)
    assert promiscuity(labels).tolist() == [1.0, 1.0, 1.0, 0.0]
    systems = np.array([0, 0, 1, 1])
    assert recruitment(labels, systems)[0] == pytest.approx(2 / 3)


def test_groups_keep_their_names_where_their_members_stay():
    first = np.array([0, 0, 0, 1, 1, 1])
    assert track(np.array([1, 1, 1, 0, 0, 0]), [first]).tolist() == first.tolist()
    assert track(np.array([0, 0, 1, 2, 2, 2]), [first]).tolist() == [0, 0, 2, 1, 1, 1]


def test_facade_adds_a_baseline_unless_the_preset_says_otherwise():
    recordings, _ = simulate_motifs(n_neurons=10, n_samples=120, random_state=0)
    quick = MotifCommunities(n_posterior=0, n_consensus=0, n_start=3)
    plain = DynamicConnectome(communities=quick, random_state=0).fit(recordings)
    assert "baseline" in plain.factorization_.component.values
    paper = DynamicConnectome(communities=quick, preset="dyballa2024", random_state=0)
    assert "baseline" not in paper.fit(recordings).factorization_.component.values


def test_facade_is_saved_and_loaded(fitted, tmp_path):
    model, _, _ = fitted
    again = na.load(model.save(tmp_path / "dynamic.nc"))
    assert isinstance(again, DynamicConnectome)
    np.testing.assert_array_equal(again.labels_over_time(), model.labels_over_time())
    np.testing.assert_array_equal(again.graph(30.0), model.graph(30.0))


def test_facade_takes_several_animals_on_one_clock():
    recordings, _ = simulate_motifs(n_neurons=14, n_samples=200, n_animals=4,
                                    missing=0.2, random_state=0)  # fmt: skip
    model = DynamicConnectome(
        factorization=NonNegativeCP(3, n_init=3, baseline=True),
        communities=MotifCommunities(n_posterior=0, n_consensus=0, n_start=3),
        random_state=0,
    ).fit(recordings)
    assert model.strength().dims == ("time", "animal", "component")
    assert model.labels_over_time(animal="sub-02").dims == ("time", "neuron")
    table = model.event_table({"x": np.arange(200) // 50 % 2 == 0}, n_shifts=10)
    assert len(table) == 3


# --- surrogates ----------------------------------------------------------------------


def small(n_animals=1, seed=0):
    return simulate_motifs(n_neurons=20, n_samples=250, n_animals=n_animals,
                           snr_db=20, random_state=seed)[0]  # fmt: skip


def test_groups_that_change_together_are_above_chance():
    model = NonNegativeCP(4, "single", baseline=True, n_init=2, tol=1e-5)
    result = null_test(small(), n=19, factorization=model, random_state=0)
    assert float(result["p_value"]) == pytest.approx(0.05)
    assert result["p_component"].sizes["component"] == 4
    assert float(result["observed"]) > float(result["null"].max())


def test_independent_traces_are_not_above_chance():
    from scipy.ndimage import gaussian_filter1d

    model = NonNegativeCP(3, "single", baseline=True, n_init=2, tol=1e-5)
    p = []
    for seed in range(6):
        x = np.random.default_rng(seed).normal(size=(200, 12))
        rec = na.from_array(gaussian_filter1d(x, 2.0, axis=0), "calcium", units="1",
                            sampling_rate=2.0)  # fmt: skip
        p.append(float(null_test(rec, n=9, factorization=model,
                                 random_state=seed)["p_value"]))  # fmt: skip
    assert np.mean(p) > 0.25


def test_planted_groups_are_split_beyond_chance():
    model = NonNegativeCP(4, "single", n_init=2, tol=1e-5)
    result = null_test(small(), n=19, factorization=model, random_state=0,
                       communities=MotifCommunities(n_start=6))  # fmt: skip
    assert (result["p_split"] == 0.05).any()
    assert result["null_gap"].dims == ("draw",)


def test_independent_traces_are_not_split_beyond_chance():
    from scipy.ndimage import gaussian_filter1d

    model = NonNegativeCP(3, "single", n_init=2, tol=1e-5)
    p = []
    for seed in range(4):
        x = np.random.default_rng(seed).normal(size=(200, 16))
        rec = na.from_array(gaussian_filter1d(x, 2.0, axis=0), "calcium", units="1",
                            sampling_rate=2.0)  # fmt: skip
        result = null_test(rec, n=9, factorization=model, random_state=seed,
                           communities=MotifCommunities(n_start=4))  # fmt: skip
        p.append(float(result["p_split"].min()))
    assert np.mean(p) > 0.25


def test_mixing_animals_keeps_each_neuron_to_itself():
    members = small(n_animals=3)
    mixed = mixed_animals(members, 0)
    for name in members[0]["neuron"].values[:5]:
        before = {tuple(m["signal"].sel(neuron=name).values[:3]) for m in members}
        after = {tuple(m["signal"].sel(neuron=name).values[:3]) for m in mixed}
        assert before == after
    assert any(
        not np.array_equal(a["signal"], b["signal"]) for a, b in zip(members, mixed)
    )


@pytest.mark.parametrize("kind", ["circular", "phase", "common_phase", "animal"])
def test_surrogates_of_one_seed_are_the_same(kind):
    members = small(n_animals=3)
    one, two = draw(members, kind, 4), draw(members, kind, 4)
    for a, b in zip(one, two):
        np.testing.assert_array_equal(a["signal"], b["signal"])


def test_common_phases_keep_the_mean_coupling():
    rec = small()[0]
    drawn = draw([rec], "common_phase", 0)[0]
    before, after = (np.corrcoef(r["signal"].values.T) for r in (rec, drawn))
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_regimes_are_dynamic_and_one_regime_is_less_so():
    model = NonNegativeCP(4, "single", baseline=True, n_init=2, tol=1e-5)
    result = null_test(small(seed=2), "common_phase", 9, factorization=model,
                       random_state=0)  # fmt: skip
    assert float(result["p_value"]) == pytest.approx(0.1)


def test_mixing_animals_needs_three():
    with pytest.raises(ParameterError, match="at least 3 animals"):
        null_test(small(n_animals=2), "animal", 3)


def test_same_seed_gives_the_same_null():
    model = NonNegativeCP(2, "single", n_init=1, tol=1e-4)
    found = [null_test(small(), n=3, factorization=model, random_state=1) for _ in "ab"]
    np.testing.assert_array_equal(found[0]["null"], found[1]["null"])


# --- the whole chain on planted regimes ----------------------------------------------


def regime_scores(n_groups, snr_db, seeds):
    """ARI of regime graphs to the planted partition, as the acceptance defines it."""
    from neuroana.connectome.affinity import fold

    scores = []
    for seed in seeds:
        recordings, truth = simulate_motifs(
            n_groups=n_groups, snr_db=snr_db, random_state=seed
        )
        tensor = DifferentialAffinity(scale="std").fit_transform(recordings)
        model = NonNegativeCP(8, "single", n_init=3, tol=1e-6, random_state=0)
        model.fit(tensor)
        g = model.time_ * model.weights_
        for regime in (0, 1):
            mean = g[truth["course"].values == regime].mean("time").values
            graph = fold(model.pair_.values @ mean)
            found = MotifCommunities(random_state=0, n_posterior=0).fit(graph)
            scores.append(adjusted_rand_score(truth["membership"][regime],
                                              found.labels_[0, 0]))  # fmt: skip
    return np.array(scores)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(
    ("n_groups", "snr_db", "least"),
    [(4, 10, 0.90), (4, 0, 0.85), (6, 10, 0.95), (6, 0, 0.90), (3, 10, 0.85),
     (3, 0, 0.75)],
)  # fmt: skip
def test_planted_regimes_are_found_from_traces(n_groups, snr_db, least):
    assert regime_scores(n_groups, snr_db, range(200, 205)).mean() >= least
