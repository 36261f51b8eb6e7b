"""Spike times, their counts, and trials of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroana.core.errors import ParameterError, ShapeError
from neuroana.core.recording import check
from neuroana.io import bin_spikes, read_spikes, spike_times


def test_read_spikes_two_columns_either_way(tmp_path):
    (tmp_path / "a.txt").write_text("1 0.05\n2 0.15\n1 0.35\n")
    (tmp_path / "b.txt").write_text("0.05 1\n0.15 2\n0.35 1\n")
    one = read_spikes(tmp_path / "a.txt", bin_width=0.1)
    two = read_spikes(tmp_path / "b.txt", bin_width=0.1)
    assert np.array_equal(one.signal, two.signal)
    assert one.signal.values.tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]


def test_read_spikes_named_columns(tmp_path):
    (tmp_path / "a.csv").write_text("unit,time\n1,1\n2,3\n")
    rec = read_spikes(tmp_path / "a.csv", bin_width=1.0)
    assert rec.neuron.values.tolist() == [1, 2]
    assert rec.time.values.tolist() == [1.0, 2.0, 3.0]


def test_read_spikes_asks_when_both_columns_are_whole(tmp_path):
    (tmp_path / "a.txt").write_text("1 1\n2 3\n")
    with pytest.raises(ParameterError, match="name the columns"):
        read_spikes(tmp_path / "a.txt", bin_width=1.0)


def test_read_spikes_asks_for_bins(tmp_path):
    (tmp_path / "a.txt").write_text("1 0.5\n")
    with pytest.raises(ParameterError, match=r"bin_width=0\.02"):
        read_spikes(tmp_path / "a.txt")


def test_read_spikes_npz_with_trials_in_milliseconds(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        spiketimes=np.array([10.0, 30.0, 10.0, 90.0]),
        neuron_ids=np.array([4, 9, 4, 9]),
        trial_ids=np.array([0, 0, 5, 5]),
    )
    rec = read_spikes(
        tmp_path / "a.npz", bin_width=0.05, time_units="ms", start=0.0, stop=0.1
    )
    assert rec.neuron.values.tolist() == [4, 9]
    assert rec.epoch.values.tolist() == [0, 0, -1, 1, 1]
    assert rec.trial.values.tolist() == [0, 0, -1, 5, 5]
    wanted = [[1, 1], [0, 0], [np.nan, np.nan], [1, 0], [0, 1]]
    assert np.array_equal(rec.signal.values, wanted, equal_nan=True)
    assert np.allclose(spike_times(rec)[1], [0.03, 0.24])
    check(rec, values=True)


def test_read_spikes_matlab_structs(tmp_path):
    from scipy.io import savemat

    cells = np.empty((1, 3), dtype=object)
    cells[0, 0] = {"time": np.array([0.1, 0.2]), "meanrate": 3.0}
    cells[0, 1] = np.zeros((1, 0))
    cells[0, 2] = {"time": np.array([0.7]), "meanrate": 1.0}
    savemat(tmp_path / "a.mat", {"spikes": cells})
    rec = read_spikes(tmp_path / "a.mat", bin_width=0.5)
    assert rec.signal.values.tolist() == [[2, 0], [0, 1]]


def test_read_spikes_unequal_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", times=np.ones(3), unit=np.ones(2))
    with pytest.raises(ShapeError, match="as many units as times"):
        read_spikes(tmp_path / "a.npz", bin_width=1.0)


def test_bin_spikes_counts_those_outside():
    rec = bin_spikes([[0.1, 5.0]], 0.5, start=0.0, stop=1.0)
    assert rec.attrs["n_spikes_outside"] == 1
    assert spike_times(rec)[0].tolist() == [0.1]


def test_bin_spikes_on_edges_of_inexact_bins():
    times = np.arange(100) * 0.1
    assert (
        bin_spikes([times], 0.1, start=0.0).signal.values.ravel().tolist() == [1] * 100
    )


@given(
    st.lists(st.lists(st.floats(0.0, 99.0), max_size=30), min_size=1, max_size=4),
    st.sampled_from([0.01, 0.1, 1.0, 0.3]),
)
def test_bin_spikes_loses_none(trains, bin_width):
    rec = bin_spikes(trains, bin_width, start=0.0, stop=102.0)
    assert rec.signal.sum().item() == sum(map(len, trains))
    for kept, given_ in zip(spike_times(rec), trains):
        assert kept.tolist() == sorted(given_)
