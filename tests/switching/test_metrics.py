"""Agreement of states, time in them, bits per spike."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neuroana.core.errors import ShapeError
from neuroana.switching.metrics import (
    adjusted_rand_index,
    bits_per_spike,
    dwell_times,
    match_states,
    occupancy,
    state_accuracy,
)


@given(order=st.permutations(range(4)), seed=st.integers(0, 2**16))
def test_match_states_undoes_a_relabelling(order, seed):
    path = np.concatenate(
        [np.arange(4), np.random.default_rng(seed).integers(0, 4, 50)]
    )
    order = np.array(order)

    found = match_states(path, order[path])

    np.testing.assert_array_equal(found, order)
    assert state_accuracy(path, order[path]) == 1.0
    assert adjusted_rand_index(path, order[path]) == 1.0


def test_match_states_takes_probabilities_and_lists():
    path = [np.array([0, 1]), np.array([1, 1])]
    posterior = [xr.DataArray(np.eye(2)[[1, 0]]), xr.DataArray(np.eye(2)[[0, 0]])]

    np.testing.assert_array_equal(match_states(path, posterior), [1, 0])


def test_match_states_rejects_other_lengths():
    with pytest.raises(ShapeError, match="3 bins"):
        match_states([0, 1, 1], [0, 1])


def test_dwell_times_never_join_sequences():
    found = dwell_times([np.array([0, 0]), np.array([0, 1])], bin_width=0.5, n_states=3)

    assert [v.tolist() for v in found] == [[1.0, 0.5], [0.5], []]


def test_occupancy_is_a_share():
    np.testing.assert_allclose(occupancy([0, 0, 1], n_states=3), [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(occupancy([np.eye(2), np.eye(2)[:1]]), [2 / 3, 1 / 3])


def test_bits_per_spike_of_the_true_rates_is_the_gain():
    rng = np.random.default_rng(0)
    rates = np.array([0.5, 2.0])
    counts = rng.poisson(rates, (400, 2)).astype(float)
    seen = rng.random(counts.shape) < 0.8
    better = stats.poisson.logpmf(counts, rates * 1.1)[seen].sum()
    plain = stats.poisson.logpmf(counts, rates)[seen].sum()

    found = bits_per_spike(better, counts, rates, seen=seen)

    assert found == pytest.approx((better - plain) / counts[seen].sum() / np.log(2))
    assert np.isnan(bits_per_spike(0.0, np.zeros((2, 1)), np.ones(1)))
