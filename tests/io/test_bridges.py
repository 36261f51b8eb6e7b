"""MNE and back."""

import mne
import numpy as np
import pytest

from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.recording import events_of, from_array
from neuroana.io import from_mne, to_mne


@pytest.fixture
def raw():
    rng = np.random.default_rng(0)
    info = mne.create_info(
        ["Fz", "Cz", "Pz", "EOG1"], 250.0, ["eeg", "eeg", "eeg", "eog"]
    )
    info.set_montage("easycap-M1", on_missing="ignore")
    raw = mne.io.RawArray(
        rng.normal(size=(4, 2000)) * 1e-5, info, first_samp=100, verbose="ERROR"
    )
    raw.set_meas_date(1_500_000_000)
    first = raw.first_time
    notes = mne.Annotations(
        [first + 1.0, first + 3.0, first + 5.5],
        [0.5, 1.0, 0.0],
        ["go", "BAD", "stop"],
        orig_time=raw.info["meas_date"],
    )
    raw.set_annotations(notes)
    raw.info["bads"] = ["Pz"]
    return raw


def test_to_mne_from_mne_round_trip_of_raw(raw):
    back = to_mne(from_mne(raw))
    assert np.array_equal(back.get_data(), raw.get_data())
    assert np.array_equal(back.times, raw.times)
    assert back.ch_names == raw.ch_names
    assert back.get_channel_types() == raw.get_channel_types()
    assert back.info["bads"] == raw.info["bads"]
    assert back.info["meas_date"] == raw.info["meas_date"]
    assert back.first_samp == raw.first_samp
    for one, other in zip(raw.info["chs"][:3], back.info["chs"][:3]):
        assert np.abs(one["loc"][:3] - other["loc"][:3]).max() < 1e-9
        assert one["coord_frame"] == other["coord_frame"]
    assert np.allclose(back.annotations.onset, raw.annotations.onset, atol=1e-9)
    assert np.allclose(back.annotations.duration, raw.annotations.duration, atol=1e-9)
    assert back.annotations.description.tolist() == ["go", "BAD", "stop"]


def test_from_mne_to_mne_round_trip_of_recording(raw):
    rec = from_mne(raw)
    assert from_mne(to_mne(rec)).identical(rec)


def test_to_mne_lets_mne_reject_the_bad_span(raw):
    back = to_mne(from_mne(raw))
    kept = back.get_data(reject_by_annotation="omit")
    assert kept.shape[1] == raw.n_times - 250


def test_to_mne_from_mne_epochs(raw):
    rng = np.random.default_rng(1)
    events = np.array([[100, 0, 7], [400, 0, 9], [900, 0, 7]])
    epochs = mne.EpochsArray(
        rng.normal(size=(3, 4, 50)),
        raw.info,
        events=events,
        tmin=-0.1,
        event_id={"seven": 7, "nine": 9},
        verbose="ERROR",
    )
    back = to_mne(from_mne(epochs))
    assert np.array_equal(back.get_data(copy=False), epochs.get_data(copy=False))
    assert np.allclose(back.times, epochs.times, atol=1e-12)
    assert np.array_equal(back.events, epochs.events)
    assert back.event_id == epochs.event_id
    assert back.ch_names == epochs.ch_names


def test_from_mne_epochs_part_by_a_missing_sample(raw):
    epochs = mne.make_fixed_length_epochs(raw, 1.0, verbose="ERROR").load_data()
    rec = from_mne(epochs)
    gaps = ~rec.good.values
    assert gaps.sum() == len(epochs) - 1
    assert np.isnan(rec.signal.values[gaps]).all()
    assert np.isfinite(rec.signal.values[~gaps]).all()


def test_from_mne_evoked(raw):
    epochs = mne.make_fixed_length_epochs(raw, 1.0, preload=True, verbose="ERROR")
    evoked = epochs.average(picks="all")
    rec = from_mne(evoked)
    assert np.array_equal(rec.signal.values, evoked.data.T)
    assert rec.attrs["n_averages"] == evoked.nave


def test_from_mne_refuses_meg():
    info = mne.create_info(["M1"], 10.0, "mag")
    meg = mne.io.RawArray(np.zeros((1, 10)), info, verbose="ERROR")
    with pytest.raises(SchemaError, match="pick the others"):
        from_mne(meg)


def test_to_mne_refuses_other_modalities():
    rec = from_array(np.ones((4, 1)), "calcium", sampling_rate=1.0)
    with pytest.raises(ParameterError, match="EEG or iEEG"):
        to_mne(rec)


def test_to_mne_keeps_frames_other_than_the_head():
    rec = from_array(
        np.ones((10, 1)) * 1e-5,
        "ieeg",
        sampling_rate=10.0,
        coords={"x": [1.0], "y": [2.0], "z": [3.0], "ch_type": ["ecog"]},
        attrs={"coord_frame": "mri"},
    )
    back = from_mne(to_mne(rec), modality="ieeg")
    assert back.attrs["coord_frame"] == "mri"
    assert np.allclose([back.x[0], back.y[0], back.z[0]], [1, 2, 3], atol=1e-6)
    assert back.ch_type.values.tolist() == ["ecog"]
    assert events_of(back).empty
