"""EEG and iEEG files through MNE, with sidecars."""

import warnings

import mne
import numpy as np
import pytest

from neuroana.core.errors import CorruptFileError, DataWarning, ParameterError
from neuroana.core.recording import check, events_of
from neuroana.io import read_eeg, read_ieeg


def test_read_eeg_edf_equals_mne(edf):
    rec = read_eeg(edf)
    raw = mne.io.read_raw_edf(edf, verbose="ERROR")
    assert np.array_equal(rec.signal.values, raw.get_data().T)
    assert np.array_equal(rec.time.values, raw.times)
    assert rec.signal.attrs["units"] == "V"


def test_read_eeg_keeps_entities_and_source(edf):
    rec = read_eeg(edf)
    assert rec.attrs["subject"] == "01"
    assert rec.attrs["task"] == "rest"
    assert rec.attrs["source"] == edf.name


def test_read_eeg_drops_padding_dots_and_types_by_name(edf):
    rec = read_eeg(edf)
    assert rec.channel.values.tolist() == ["Fz", "Cz", "EOG1"]
    assert rec.ch_type.values.tolist() == ["eeg", "eeg", "eog"]


def test_read_eeg_bad_annotations_become_good_coordinate(edf):
    rec = read_eeg(edf)
    assert (~rec.good.values).nonzero()[0].tolist() == list(range(500, 600))
    assert events_of(rec)["trial_type"].tolist() == ["go", "stop"]


def test_read_eeg_stays_lazy_and_slices_like_memory(edf):
    rec = read_eeg(edf)
    assert not rec.signal.variable._in_memory
    whole = read_eeg(edf, preload=True)
    assert whole.signal.variable._in_memory
    for key in (
        {"time": slice(10, 50, 3)},
        {"time": 7},
        {"channel": 1},
        {"time": slice(None, None, -2), "channel": [2, 0]},
        {"time": [5, 900, 3], "channel": slice(1, 3)},
    ):
        assert np.array_equal(rec.signal.isel(key), whole.signal.isel(key))
    assert not rec.signal.variable._in_memory


def test_read_eeg_montage_places_channels_in_mm(edf):
    rec = read_eeg(edf, montage="standard_1020")
    assert rec.attrs["coord_frame"] == "head"
    radius = np.sqrt(rec.x**2 + rec.y**2 + rec.z**2).values
    assert ((radius[:2] > 70) & (radius[:2] < 160)).all()
    assert np.isnan(radius[2])


def test_read_eeg_unknown_montage_suggests(edf):
    with pytest.raises(ParameterError, match="easycap-M1"):
        read_eeg(edf, montage="easycap-m1")


def test_read_eeg_ch_types_override(edf):
    rec = read_eeg(edf, ch_types={"Cz": "misc"})
    assert rec.ch_type.values.tolist() == ["eeg", "misc", "eog"]
    with pytest.raises(ParameterError, match="did you mean 'Cz'"):
        read_eeg(edf, ch_types={"Czz": "misc"})


def test_read_eeg_bids_sidecars(bids):
    rec = read_eeg(bids)
    assert rec.ch_type.values.tolist() == ["eeg", "eeg", "misc"]
    assert rec.bad.values.tolist() == [False, True, False]
    assert rec.z.values[:2].tolist() == [100.0, 120.0]
    assert rec.attrs["coord_frame"] == "CapTrak"
    assert rec.attrs["power_line_frequency"] == 60.0
    assert rec.attrs["reference"] == "Cz"
    events = events_of(rec)
    assert events["trial_type"].tolist() == ["go", "stop"]
    assert events["duration"].tolist() == [0.5, 0.0]
    assert (~rec.good.values).sum() == 100


def test_read_eeg_sidecars_can_be_left_out(bids):
    rec = read_eeg(bids, sidecars=False)
    assert not rec.bad.values.any()
    assert "onset" not in rec


def test_read_eeg_prefers_electrodes_that_name_their_space(bids):
    other = bids.with_name("sub-01_space-CapTrak_electrodes.tsv")
    other.write_text("name\tx\ty\tz\nFz\t0.5\t0\t0\nCz\t0\t0\t0.12\n")
    assert read_eeg(bids).x.values[0] == 500.0


def test_read_eeg_warns_of_sidecar_rate(bids):
    bids.with_name("sub-01_task-rest_eeg.json").write_text('{"SamplingFrequency": 250}')
    with pytest.warns(DataWarning, match="250 Hz, as the JSON sidecar says"):
        read_eeg(bids)


def test_read_eeg_brainvision_truncated(bids):
    data = bids.with_suffix(".eeg")
    data.write_bytes(data.read_bytes()[:-1200])
    with pytest.raises(CorruptFileError, match=r"12000 bytes.*got 10800 bytes"):
        read_eeg(bids)


def test_read_eeg_brainvision_without_data_file(bids):
    bids.with_suffix(".eeg").unlink()
    with pytest.raises(CorruptFileError, match=r"put the \.eeg, \.vhdr and \.vmrk"):
        read_eeg(bids)


def test_read_ieeg_scale_a_million_too_large(tmp_path, noise, write_brainvision):
    path = write_brainvision(tmp_path, "run", noise * 1e6, ["A1", "A2", "A3"])
    with pytest.warns(DataWarning, match="pass units='uV'"):
        read_ieeg(path)
    rec = read_ieeg(path, units="uV")
    check(rec, values=True)
    assert np.allclose(rec.signal.values, noise.T, atol=1e-9)
    relative = read_ieeg(path, units="1")
    assert relative.signal.attrs["units"] == "1"


@pytest.mark.parametrize("bad", [b"", b"<!DOCTYPE html><html>"])
def test_read_eeg_no_recording_at_all(tmp_path, bad):
    path = tmp_path / "a.edf"
    path.write_bytes(bad)
    with pytest.raises(CorruptFileError):
        read_eeg(path)


def test_read_eeg_fif_raw_and_first_sample(tmp_path, noise):
    info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    raw = mne.io.RawArray(noise, info, first_samp=300, verbose="ERROR")
    raw.set_annotations(mne.Annotations([1.0], [0.0], ["go"]))
    raw.info["bads"] = ["Cz"]
    path = tmp_path / "rest_raw.fif"
    raw.save(path, verbose="ERROR")
    rec = read_eeg(path)
    assert np.allclose(rec.signal.values, noise.T, rtol=1e-6)
    assert rec.time.values[0] == 0.0
    assert events_of(rec)["onset"].tolist() == [1.0]
    assert rec.bad.values.tolist() == [False, True, False]


def test_read_eeg_fif_epochs(tmp_path, noise):
    info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    epochs = mne.EpochsArray(
        noise.reshape(3, 10, 100).transpose(1, 0, 2),
        info,
        events=np.stack(
            [np.arange(10) * 200, np.zeros(10), np.arange(10) % 2], 1
        ).astype(int),
        event_id={"left": 0, "right": 1},
        tmin=-0.2,
        verbose="ERROR",
    )
    path = tmp_path / "rest-epo.fif"
    epochs.save(path, verbose="ERROR")
    rec = read_eeg(path)
    assert rec.sizes["time"] == 10 * 100 + 9
    assert events_of(rec)["trial_type"].tolist() == ["left", "right"] * 5
    assert np.isclose(rec.onset.values[1], 0.2 + 1.01)


def test_read_eeg_fif_truncated(tmp_path, noise):
    info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    path = tmp_path / "rest_raw.fif"
    mne.io.RawArray(noise, info, verbose="ERROR").save(path, verbose="ERROR")
    blob = path.read_bytes()
    path.write_bytes(blob[: len(blob) // 2])
    with pytest.raises(CorruptFileError, match=r"rest_raw\.fif"):
        read_eeg(path)


def test_read_eeg_eeglab_with_short_fdt(tmp_path, noise):
    from scipy.io import savemat

    eeg = {
        "data": "rest.fdt",
        "datfile": "rest.fdt",
        "nbchan": 3.0,
        "pnts": 1000.0,
        "trials": 1.0,
        "srate": 100.0,
        "xmin": 0.0,
        "chanlocs": np.array(
            [(n,) for n in ("Fz", "Cz", "Pz")], dtype=[("labels", object)]
        ),
        "event": np.array(
            [(101.0, "go")], dtype=[("latency", object), ("type", object)]
        ),
        "epoch": np.zeros(0),
        "icawinv": np.zeros(0),
        "icasphere": np.zeros(0),
        "icaweights": np.zeros(0),
    }
    path = tmp_path / "rest.set"
    savemat(path, {"EEG": eeg})
    (noise.T * 1e6).astype("<f4").tofile(tmp_path / "rest.fdt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        rec = read_eeg(path)
    assert np.allclose(rec.signal.values, noise.T, atol=1e-10)
    assert events_of(rec)["onset"].tolist() == [1.0]
    blob = (tmp_path / "rest.fdt").read_bytes()
    (tmp_path / "rest.fdt").write_bytes(blob[:-1200])
    with pytest.raises(CorruptFileError, match=r"rest\.(fdt|set)"):
        read_eeg(path)


def test_read_eeg_array_asks_for_units(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, data=np.ones((2, 100)), ch_names=["Fz", "Cz"], sfreq=10.0)
    with pytest.raises(ParameterError, match="pass units='uV'"):
        read_eeg(path)


def test_read_eeg_delimited_text_with_clock_and_markers(tmp_path):
    n = 2048
    stamps = 1.4e9 + np.round(np.arange(n) / 256.05, 3)
    rows = np.random.default_rng(0).normal(0, 20, (n, 2))
    marks = np.zeros(n, dtype=int)
    marks[[100, 500, 501]] = [1, 2, 2]
    lines = ["timestamps,TP9,Right AUX,Marker"]
    lines += [
        f"{t:.3f},{a:.3f},{b:.3f},{m}" for t, (a, b), m in zip(stamps, rows, marks)
    ]
    path = tmp_path / "muse.csv"
    path.write_text("\n".join(lines) + "\n")
    rec = read_eeg(path, units="uV")
    assert rec.attrs["sampling_rate"] == 256.0
    assert rec.channel.values.tolist() == ["TP9", "Right AUX"]
    assert rec.ch_type.values.tolist() == ["eeg", "misc"]
    events = events_of(rec)
    assert events["trial_type"].tolist() == ["1", "2"]
    assert np.allclose(events["onset"], np.array([100, 500]) / 256.0)


def test_read_eeg_trigger_channel_gives_events(tmp_path, noise):
    info = mne.create_info(["Fz", "Cz", "STI 014"], 100.0, ["eeg", "eeg", "stim"])
    codes = np.zeros(1000)
    codes[200:205], codes[700:702] = 5, 9 + (1 << 17)
    raw = mne.io.RawArray(np.vstack([noise[:2], codes]), info, verbose="ERROR")
    raw.save(tmp_path / "a_raw.fif", verbose="ERROR")
    rec = read_eeg(tmp_path / "a_raw.fif")
    assert events_of(rec)["trial_type"].tolist() == ["5", "9"]
    assert events_of(rec)["onset"].tolist() == [2.0, 7.0]


def test_read_eeg_edf_with_two_rates_is_told(tmp_path, noise):
    import edfio

    signals = [
        edfio.EdfSignal(noise[0] * 1e6, 100.0, label="Fz", physical_dimension="uV"),
        edfio.EdfSignal(noise[1][::2] * 1e6, 50.0, label="Cz", physical_dimension="uV"),
    ]
    edfio.Edf(signals).write(tmp_path / "a.edf")
    with pytest.warns(DataWarning, match="one sampling rate"):
        read_eeg(tmp_path / "a.edf")


def test_read_eeg_eeglab_epochs(tmp_path, noise):
    from scipy.io import savemat

    eeg = {
        "data": noise.reshape(3, 10, 100).transpose(0, 2, 1) * 1e6,
        "nbchan": 3.0,
        "pnts": 100.0,
        "trials": 10.0,
        "srate": 100.0,
        "xmin": 0.0,
        "xmax": 0.99,
        "times": np.arange(100) * 10.0,
        "chanlocs": np.array(
            [(n,) for n in ("Fz", "Cz", "Pz")], dtype=[("labels", object)]
        ),
        "event": np.array(
            [(100.0 * i + 1, "go", i + 1) for i in range(10)],
            dtype=[("latency", object), ("type", object), ("epoch", object)],
        ),
        "epoch": np.array(
            [(i + 1, "go", 0.0) for i in range(10)],
            dtype=[
                ("event", object),
                ("eventtype", object),
                ("eventlatency", object),
            ],
        ),
        "icawinv": np.zeros(0),
        "icasphere": np.zeros(0),
        "icaweights": np.zeros(0),
    }
    savemat(tmp_path / "a.set", {"EEG": eeg})
    rec = read_eeg(tmp_path / "a.set")
    assert rec.sizes["time"] == 10 * 100 + 9
    assert np.allclose(rec.signal.values[:100], noise[:, :100].T, atol=1e-9)
    assert events_of(rec)["trial_type"].tolist() == ["go"] * 10


def test_read_eeg_bdf_has_24_bits_and_the_low_bits_of_its_triggers(tmp_path, noise):
    import edfio

    codes = np.zeros(1000)
    codes[[100, 101, 400]] = 5
    signals = [
        edfio.BdfSignal(row * 1e6, 100.0, label=name, physical_dimension="uV",
                        physical_range=(-1000, 1000))
        for name, row in zip(["Fz", "Cz"], noise)
    ]  # fmt: skip
    signals.append(
        edfio.BdfSignal(
            codes, 100.0, label="Status", physical_range=(-8388608, 8388607)
        )
    )
    edfio.Bdf(signals).write(tmp_path / "rest.bdf")
    rec = read_eeg(tmp_path / "rest.bdf")
    step = 2000e-6 / 2**24
    assert np.abs(rec.signal.values[:, 0] - noise[0]).max() <= step
    assert rec.ch_type.values.tolist() == ["eeg", "eeg", "stim"]
    assert events_of(rec)["onset"].tolist() == [1.0, 4.0]
    assert events_of(rec)["trial_type"].tolist() == ["5", "5"]
