"""States around events and beside labels: found where they are, and not elsewhere."""

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import adjusted_rand_score

from neuroana.core.errors import ParameterError, ShapeError
from neuroana.switching import compare_with_labels, event_locked_states
from neuroana.switching.label_comparison import measures, permute_visits


def random_states(seed, n_bins=4000, dwell=25):
    """Posterior of a path that switches at random."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.random(n_bins) < 1 / dwell) % 2
    return xr.DataArray(
        np.eye(2)[path], dims=("time", "state"),
        coords={"time": 5.0 + 0.1 * np.arange(n_bins), "state": [0, 1]},
    )  # fmt: skip


def test_states_that_follow_events_are_found():
    posterior = random_states(0)
    onsets = 5.0 + np.arange(5, 390, 8.0)
    for onset in onsets:
        posterior.loc[{"time": slice(onset, onset + 0.5)}] = [0.0, 1.0]

    found = event_locked_states(posterior, onsets, n_null=99, random_state=0)

    assert (found.p <= 0.02).all()
    assert float(found.probability.sel(state=1, lag=0.2, method="nearest")) == 1.0
    assert found.attrs["n_events"] == len(onsets)
    assert found.lag.to_numpy()[[0, -1]] == pytest.approx([-1.0, 1.0])


def test_states_that_ignore_events_are_found_about_as_often_as_chance():
    hits = 0
    for seed in range(60):
        onsets = 5.0 + np.random.default_rng(seed).uniform(2, 390, 40)
        found = event_locked_states(
            random_states(seed), onsets, n_null=39, random_state=seed
        )
        hits += float(found.p.min()) <= 0.05
    assert hits <= 8  # 3 expected; 9 or more have a chance of 0.3 %


def test_events_near_the_ends_are_left_out():
    found = event_locked_states(
        random_states(0), [5.05, 100.0, 404.9], n_null=5, random_state=0
    )

    assert found.attrs["n_events"] == 1
    with pytest.raises(ParameterError, match="shorter window"):
        event_locked_states(random_states(0), [5.0], n_null=5)


def test_onsets_come_one_list_a_recording():
    with pytest.raises(ShapeError, match="one a recording"):
        event_locked_states([random_states(0), random_states(1)], [[50.0]])


def test_average_is_that_of_the_windows():
    posterior = random_states(3, 300)
    found = event_locked_states(
        posterior, [10.0, 20.0], before=0.2, after=0.3, n_null=5, random_state=0
    )

    rows = [posterior[50 + lag].to_numpy() + posterior[150 + lag].to_numpy()
            for lag in range(-2, 4)]  # fmt: skip
    np.testing.assert_allclose(found.probability, np.array(rows) / 2)


def test_labels_that_states_follow_are_found():
    path = random_states(0).argmax("state").to_numpy()
    labels = np.where(path, "run", "rest").astype(object)
    labels[:300] = None

    found = compare_with_labels(path, labels, n_null=99, random_state=0)

    assert float(found.ari) == pytest.approx(1.0)
    assert float(found.ari_p) == 0.01
    assert int(found.table.sum()) == len(path) - 300
    assert found.label.to_numpy().tolist() == ["rest", "run"]


def test_shifts_keep_slow_courses_from_looking_related():
    p = []
    for seed in range(60):
        first, second = (
            random_states(s, 400, 60).argmax("state").to_numpy()
            for s in (seed, seed + 1000)
        )
        found = compare_with_labels(first, second, n_null=39, random_state=seed)
        p.append(float(found.ari_p))
    assert np.mean(np.array(p) <= 0.05) < 0.15


def test_visits_in_random_order_are_the_null_of_a_single_change():
    rng = np.random.default_rng(0)
    first = np.repeat(rng.random(60) < 0.9, rng.integers(5, 15, 60)).astype(int)
    second = np.repeat(rng.random(60) < 0.1, rng.integers(5, 15, 60)).astype(int)
    path = np.concatenate([first, second])
    labels = np.arange(len(path)) >= len(first)

    found = compare_with_labels(path, labels, null="visits", n_null=99, random_state=0)

    assert float(found.ari_p) < 0.05
    moved = permute_visits(path, np.random.default_rng(0))
    assert np.bincount(moved).tolist() == np.bincount(path).tolist()
    with pytest.raises(ParameterError, match="null"):
        compare_with_labels(path, labels, null="shuffle")


def test_lists_are_shifted_within_their_recordings():
    paths = [np.repeat([0, 1], 30), np.repeat([1, 0], 50)]

    found = compare_with_labels(paths, paths, n_null=20, random_state=0)

    assert int(found.table.sum()) == 160
    with pytest.raises(ShapeError, match="one a sample"):
        compare_with_labels(paths, paths[:1])


def test_adjusted_rand_index_is_scikit_learns():
    rng = np.random.default_rng(0)
    first, second = rng.integers(3, size=200), rng.integers(4, size=200)
    table = np.zeros((3, 4))
    np.add.at(table, (first, second), 1)

    assert measures(table)[0] == pytest.approx(adjusted_rand_score(first, second))
