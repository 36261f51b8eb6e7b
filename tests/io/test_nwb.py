"""NWB both ways: our own recordings exactly, the files of others as they say."""

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neuroana.core.contract import good_samples
from neuroana.core.errors import (
    CorruptFileError,
    DataWarning,
    ParameterError,
    SchemaError,
)
from neuroana.core.recording import events_of, from_array
from neuroana.io import (
    bin_spikes,
    hdf5_probe,
    load_sample,
    read,
    read_nwb,
    samples,
    spike_times,
    to_nwb,
)
from neuroana.io.trials import join_trials, trial_events


pynwb = pytest.importorskip("pynwb")
RNG = np.random.default_rng(0)


def eeg():
    events = pd.DataFrame(
        {
            "onset": [0.1, 0.7],
            "duration": [0.1, 0.3],
            "trial_type": ["go", "stop"],
            "value": [3, 4],
            "word": ["a", "n/a"],
        }
    )
    good = np.ones(100, bool)
    good[20:31] = False
    return from_array(
        RNG.normal(0, 1e-5, (100, 3)),
        "eeg",
        sampling_rate=81.3,
        start=0.37,
        names=["Fz", "Cz", "EOG"],
        coords={"ch_type": ["eeg", "eeg", "eog"], "bad": [False, True, False],
                "x": [0.1, 0.2, np.nan]},
        good=good,
        events=events,
        attrs={"subject": "01", "measured": "2020-01-02T03:04:05+00:00"},
    )  # fmt: skip


def fmri():
    return from_array(
        RNG.normal(0, 1, (30, 4)).astype(np.float32),
        "fmri",
        sampling_rate=1 / 0.72,
        names=list("abcd"),
        coords={"roi_id": [1, 2, 5, 9]},
    )


def calcium():
    time = np.cumsum(RNG.uniform(0.5, 0.7, 40))
    return from_array(
        RNG.normal(0, 1, (40, 3)),
        "calcium",
        time=time,
        units="dF/F",
        names=[3, 5, 8],
        attrs={"irregular": 1},
    )


def spikes():
    return bin_spikes(
        [RNG.uniform(0, 5, 30), [], RNG.uniform(0, 5, 9)], 0.25, start=0.0, stop=5.0
    )


def trials():
    return join_trials(
        RNG.normal(0, 1e-5, (3, 20, 2)),
        "ieeg",
        sampling_rate=100.0,
        events=trial_events(3, np.arange(-5, 15) / 100),
    )


@pytest.mark.parametrize("make", [eeg, fmri, calcium, spikes, trials])
def test_round_trip_is_exact(make, tmp_path):
    rec = make()
    back = read(to_nwb(rec, tmp_path / "a.nwb"))
    xr.testing.assert_identical(back.load(), rec)
    assert back.signal.dtype == rec.signal.dtype
    for name in rec.variables:
        assert back[name].attrs == rec[name].attrs


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(
    values=arrays(
        st.sampled_from([np.float32, np.float64, np.int16]),
        st.tuples(st.integers(2, 9), st.integers(1, 3)),
    ),
    rate=st.floats(1e-3, 1e5),
    start=st.floats(-1e3, 1e6),
    names=st.lists(st.text(min_size=1, max_size=4).filter(lambda t: "\0" not in t),
                   min_size=3, max_size=3, unique=True),
)  # fmt: skip
def test_any_recording_comes_back(tmp_path, values, rate, start, names):
    with np.errstate(all="ignore"):
        time = start + np.arange(len(values)) / rate
    assume((np.diff(time) > 0.99 / rate).all())
    rec = from_array(
        values,
        "calcium",
        sampling_rate=rate,
        start=start,
        names=names[: values.shape[1]],
    )
    xr.testing.assert_identical(read_nwb(to_nwb(rec, tmp_path / "a.nwb")), rec)


def test_file_is_valid_for_others(tmp_path):
    for make in (eeg, fmri, calcium, spikes):
        path = to_nwb(make(), tmp_path / "a.nwb")
        assert not pynwb.validate(path=str(path))


@pytest.mark.parametrize("name", samples())
def test_shipped_recordings_come_back(name, tmp_path):
    rec = load_sample(name)
    xr.testing.assert_identical(read(to_nwb(rec, tmp_path / "a.nwb")).load(), rec)


def test_variables_without_a_place_are_refused(tmp_path):
    rec = eeg().assign(extra=("letter", ["a"]))
    with pytest.raises(SchemaError, match="extra"):
        to_nwb(rec, tmp_path / "a.nwb")
    assert not list(tmp_path.iterdir())


def new_file():
    return pynwb.NWBFile("a session", "id", datetime(2020, 1, 1, tzinfo=UTC))


def write(content, path):
    with pynwb.NWBHDF5IO(path, "w") as file:
        file.write(content)
    return path


def add_electrical(content, name="ElectricalSeries", **options):
    from pynwb.ecephys import ElectricalSeries

    if content.electrodes is None:
        device = content.create_device("amp")
        group = content.create_electrode_group("a", "a", "cortex", device)
        content.add_electrode_column("label", "name")
        for number in range(3):
            content.add_electrode(
                group=group, location="V1", x=1000.0 * number, y=0.0, z=0.0,
                label=f"e{number}",
            )  # fmt: skip
    region = content.create_electrode_table_region([0, 2], "two of them")
    counts = np.arange(20, dtype=np.int16).reshape(10, 2)
    content.add_acquisition(
        ElectricalSeries(name=name, data=counts, electrodes=region, **options)
    )
    return counts


@pytest.fixture
def electrical(tmp_path):
    content = new_file()
    counts = add_electrical(
        content,
        rate=100.0,
        starting_time=2.0,
        conversion=1e-6,
        channel_conversion=[1.0, 2.0],
        offset=0.5,
    )
    content.add_trial_column("kind", "kind")
    content.add_trial(start_time=2.0, stop_time=2.05, kind="left")
    content.add_invalid_time_interval(start_time=2.03, stop_time=2.05)
    return write(content, tmp_path / "a.nwb"), counts


def test_electrical_series_is_converted_to_volts(electrical):
    path, counts = electrical
    rec = read_nwb(path)
    assert rec.attrs["modality"] == "ieeg"
    assert rec.channel.values.tolist() == ["e0", "e2"]
    assert rec.x.values.tolist() == [0.0, 2.0]
    assert rec.location.values.tolist() == ["V1", "V1"]
    assert rec.time.values[:2].tolist() == [2.0, 2.01]
    wanted = counts * np.array([1e-6, 2e-6]) + 0.5
    np.testing.assert_allclose(rec.signal.values, wanted)
    np.testing.assert_allclose(read_nwb(path).signal[3:5, 1].values, wanted[3:5, 1])
    assert np.flatnonzero(~good_samples(rec)).tolist() == [3, 4, 5]
    table = events_of(rec)
    assert table["onset"].tolist() == [2.0]
    assert table["kind"].tolist() == ["left"]
    assert table["duration"].to_numpy() == pytest.approx(0.05)


def test_samples_stay_in_the_file_until_used(electrical):
    rec = read_nwb(electrical[0])
    assert not rec.signal._in_memory
    assert read_nwb(electrical[0], modality="eeg").attrs["modality"] == "eeg"


def test_modality_chooses_among_kinds(tmp_path):
    content = new_file()
    add_electrical(content, rate=10.0)
    content.add_unit(spike_times=[0.1, 0.4])
    path = write(content, tmp_path / "a.nwb")
    assert read(path, modality="eeg").attrs["modality"] == "eeg"
    assert read(path, modality="spikes", bin_width=0.5).signal.values.tolist() == [[2]]
    with pytest.raises(ParameterError, match="none of these"):
        read(path, modality="calcium")
    own = to_nwb(calcium(), tmp_path / "b.nwb")
    assert read(own, modality="calcium").identical(read(own))


def test_several_series_must_be_chosen(tmp_path):
    content = new_file()
    add_electrical(content, "raw", rate=10.0)
    add_electrical(content, "lfp", rate=10.0)
    path = write(content, tmp_path / "a.nwb")
    with pytest.raises(ParameterError, match=r"acquisition/raw.*acquisition/lfp"):
        read_nwb(path)
    assert read_nwb(path, series="acquisition/lfp").sizes["time"] == 10
    assert read_nwb(path, series="lfp").sizes["time"] == 10
    with pytest.raises(ParameterError, match="did you mean 'acquisition/lfp'"):
        read_nwb(path, series="acquisition/lfb")


def test_fluorescence_of_others(tmp_path):
    from pynwb import ophys

    content = new_file()
    plane = content.create_imaging_plane(
        name="p", optical_channel=ophys.OpticalChannel(
            name="c", description="c", emission_lambda=500.0
        ),
        description="p", device=content.create_device("scope"),
        excitation_lambda=600.0, indicator="GCaMP", location="V1",
    )  # fmt: skip
    module = content.create_processing_module("ophys", "ophys")
    cells = ophys.PlaneSegmentation(name="cells", description="c", imaging_plane=plane)
    for number in range(4):
        cells.add_roi(pixel_mask=[(number, 1, 1.0)])
    cells.add_column("accepted", "a", data=[True, False, True, True])
    module.add(ophys.ImageSegmentation(plane_segmentations=cells, name="seg"))
    region = cells.create_roi_table_region(description="all", region=[0, 1, 3])
    data = RNG.normal(size=(3, 50)).astype(np.float32)
    series = ophys.RoiResponseSeries(
        name="dff", data=data.T, rois=region, unit="n.a.", rate=30.0
    )
    module.add(ophys.DfOverF(roi_response_series=series, name="DfOverF"))
    path = write(content, tmp_path / "a.nwb")
    rec = read_nwb(path)
    assert rec.signal.attrs["units"] == "dF/F"
    assert rec.neuron.values.tolist() == [0, 1, 3]
    assert rec.accepted.values.tolist() == [True, False, True]
    np.testing.assert_array_equal(rec.signal.values, data.T)
    assert rec.attrs["sampling_rate"] == 30.0
    with h5py.File(path, "r+") as file:
        group = file["processing/ophys/DfOverF/dff"]
        attrs = dict(group["data"].attrs)
        del group["data"]
        group["data"] = data
        group["data"].attrs.update(attrs)
    with pytest.warns(DataWarning, match="transposed"):
        turned = read_nwb(path)
    np.testing.assert_array_equal(turned.signal[5:9, 1].values, data[1, 5:9])


def test_units_of_others(tmp_path):
    content = new_file()
    content.add_unit_column("quality", "q")
    for times, quality in (([0.1, 0.2, 3.9], "good"), ([1.0], "mua")):
        content.add_unit(spike_times=times, quality=quality, obs_intervals=[[0.0, 5.0]])
    path = write(content, tmp_path / "a.nwb")
    rec = read_nwb(path, bin_width=0.5)
    assert rec.signal.shape == (10, 2)
    assert rec.quality.values.tolist() == ["good", "mua"]
    assert [t.tolist() for t in spike_times(rec)] == [[0.1, 0.2, 3.9], [1.0]]
    with pytest.raises(ParameterError, match="bin_width"):
        read_nwb(path)


def test_own_file_that_lost_a_part_is_named(tmp_path):
    path = to_nwb(eeg(), tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:
        del file["processing/neuroana/signals"]
        del file["intervals/trials/duration"]
        del file["intervals/trials"].attrs["colnames"]
        names = ["start_time", "stop_time", "trial_type", "value", "word"]
        file["intervals/trials"].attrs["colnames"] = names
    with pytest.raises(CorruptFileError, match=r"a\.nwb.*all of its parts"):
        read_nwb(path)


def test_own_file_is_verified_and_others_may_add_to_it(tmp_path):
    path = to_nwb(eeg(), tmp_path / "a.nwb")
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 0xFF
    (tmp_path / "b.nwb").write_bytes(bytes(blob))
    with pytest.raises(CorruptFileError, match="SHA-256"):
        read_nwb(tmp_path / "b.nwb")
    with pynwb.NWBHDF5IO(path, "a") as file:
        content = file.read()
        content.create_processing_module("more", "by another program")
        file.write(content)
    xr.testing.assert_identical(read_nwb(path).load(), read_nwb(path).load())


def test_file_that_ends_the_process_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_probe, "__file__", str(tmp_path / "ends.py"))
    (tmp_path / "ends.py").write_text("import os; os.kill(os.getpid(), 11)")
    path = write(new_file(), tmp_path / "a.nwb")
    with pytest.raises(CorruptFileError, match=r"a\.nwb.*signal 11"):
        read_nwb(path)
    (tmp_path / "ends.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(hdf5_probe, "PATIENCE", 0.1)
    with pytest.raises(CorruptFileError, match="no end of it"):
        read_nwb(path)


def test_loop_in_the_library_ends_by_its_cpu_time(tmp_path, monkeypatch):
    text = Path(hdf5_probe.__file__).read_text().replace("import h5py", "while 1: pass")
    (tmp_path / "loops.py").write_text(text)
    monkeypatch.setattr(hdf5_probe, "__file__", str(tmp_path / "loops.py"))
    monkeypatch.setattr(hdf5_probe, "SECONDS", 0.1)
    path = write(new_file(), tmp_path / "a.nwb")
    with pytest.raises(CorruptFileError, match="signal"):
        read_nwb(path)


def test_damaged_file_is_named(electrical):
    path = electrical[0]
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CorruptFileError, match=r"a\.nwb"):
        read_nwb(path)
