"""Windows, epochs, crops and picks."""

import numpy as np
import pandas as pd
import pytest

from neuroana.core.errors import ParameterError
from neuroana.core.recording import events_of, from_array
from neuroana.core.store import read_netcdf, write_netcdf
from neuroana.io import bin_spikes, spike_times
from neuroana.signal import crop, epoch, pick, window


def test_window_is_an_index_not_a_copy(plain):
    made = window(plain, 1.0, step=0.02)
    assert not made.signal.variable._in_memory
    assert np.array_equal(made.signal[7], plain.signal[7:57])
    assert not made.signal.variable._in_memory


def test_window_slices_like_an_array(plain):
    made = window(plain, 1.0, step=0.5)
    whole = np.stack([plain.signal.values[s : s + 50] for s in range(0, 451, 25)])
    for key in (
        (slice(2, 9, 3), slice(None), slice(None)),
        (4, slice(10, 20), 1),
        (slice(None), 3, slice(0, 1)),
        (-1, -1, -1),
    ):
        assert np.array_equal(made.signal[key], whole[key])


def test_window_never_touches_a_bad_sample(eeg):
    made = window(eeg, 0.7, step=0.1)
    assert np.isfinite(made.signal.values).all()
    assert np.abs(made.signal.values).max() < 1e-3
    ends = made.start.values + 0.7
    assert not ((made.start.values < 10.5) & (ends > 10.0 + 1e-9)).any()


def test_window_purge_leaves_a_gap(plain):
    made = window(plain, 1.0, purge=0.5)
    assert np.allclose(np.diff(made.start), 1.5)
    with pytest.raises(ParameterError, match="step or purge"):
        window(plain, 1.0, step=1.0, purge=0.5)


def test_window_longer_than_the_recording(plain):
    with pytest.raises(ParameterError, match="shorten it"):
        window(plain, 11.0)


def test_window_survives_a_file(plain, tmp_path):
    made = window(plain, 1.0)
    back = read_netcdf(write_netcdf(made, tmp_path / "w.nc"))
    assert np.array_equal(back.signal, made.signal)


def test_epoch_by_events(eeg):
    made = epoch(eeg, -0.5, 1.0)
    assert made.onset.values.tolist() == [1.0, 3.0, 15.0]
    assert made.attrs["n_dropped"] == 2
    assert made.trial_type.values.tolist() == ["a", "b", "b"]
    assert np.array_equal(made.signal[0], eeg.signal[100:401])
    assert made.lag.values[[0, 100, -1]].tolist() == [-0.5, 0.0, 1.0]


def test_epoch_of_one_kind_with_baseline(eeg):
    made = epoch(eeg, -0.5, 1.0, trial_type="b", baseline=(-0.5, 0.0))
    assert made.sizes["epoch"] == 2
    before = made.signal.sel(lag=slice(-0.5, 0.0)).mean("lag")
    assert np.allclose(before, 0.0, atol=1e-18)
    with pytest.raises(ParameterError, match="trial_type"):
        epoch(eeg, -0.5, 1.0, trial_type="c")


def test_epoch_equals_mne(eeg):
    import mne

    from neuroana.io import to_mne

    raw = to_mne(eeg)
    events, ids = mne.events_from_annotations(raw, {"a": 1, "b": 2}, verbose="ERROR")
    wanted = mne.Epochs(
        raw, events, ids, -0.5, 1.0, baseline=None, picks="all", verbose="ERROR"
    ).get_data()
    made = epoch(eeg, -0.5, 1.0)
    assert np.allclose(made.signal.values, wanted.transpose(0, 2, 1))


def test_epoch_purge_drops_close_neighbours():
    events = pd.DataFrame({"onset": [1.0, 1.8, 3.1]})
    rec = from_array(np.ones((100, 1)), "calcium", sampling_rate=10.0, events=events)
    made = epoch(rec, 0.0, 0.9, purge=1.0)
    assert made.onset.values.tolist() == [1.0, 3.1]


def test_crop_is_half_open_and_keeps_the_clock(eeg):
    made = crop(eeg, 1.0, 3.0)
    assert made.time.values[[0, -1]].tolist() == [1.0, 2.995]
    assert events_of(made)["onset"].tolist() == [1.0]
    with pytest.raises(ParameterError, match="no sample"):
        crop(eeg, 50.0)


def test_crop_and_pick_keep_spike_times_in_step():
    rec = bin_spikes([[0.1, 1.1], [0.2], [1.4]], 0.5, names=["u", "v", "w"], start=0.0)
    made = pick(crop(rec, 1.0, 2.0), ["w", "u"])
    assert made.neuron.values.tolist() == ["w", "u"]
    assert [t.tolist() for t in spike_times(made)] == [[1.4], [1.1]]


def test_pick_by_type_and_goodness(eeg):
    assert pick(eeg, ch_type="eog").channel.values.tolist() == ["EOG1"]
    assert pick(eeg, drop_bad=True).channel.values.tolist() == ["Fz", "Cz", "EOG1"]
    assert pick(eeg, ["Pz", "Fz"]).channel.values.tolist() == ["Pz", "Fz"]
    with pytest.raises(ParameterError, match="did you mean 'Fz'"):
        pick(eeg, ["Fzz"])
    with pytest.raises(ParameterError, match="none left"):
        pick(eeg, ["Pz"], drop_bad=True)
