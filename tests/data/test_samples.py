"""The shipped recordings are the registered ones, small, and show what they should."""

import importlib.util
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.signal import butter, hilbert, sosfiltfilt, welch

from neuroana.core.contract import check
from neuroana.core.provenance import sha256_of
from neuroana.core.store import read_netcdf
from neuroana.io.registry import data_folder, load_sample, samples


NAMES = sorted(samples())


@pytest.mark.parametrize("name", NAMES)
def test_file_is_the_registered_one(name):
    entry = samples()[name]
    path = data_folder() / entry.sample.path
    assert sha256_of(path) == entry.sample.sha256
    assert path.stat().st_size == entry.sample.bytes < 300_000


def test_all_data_are_below_a_megabyte():
    files = [path for path in data_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_000_000


def test_five_modalities_are_shipped():
    kinds = [entry.modality for entry in samples().values()]
    assert kinds == ["eeg", "ieeg", "fmri", "calcium", "spikes"]


@pytest.mark.parametrize("name", NAMES)
def test_licence_text_and_citation_travel_along(name):
    entry = samples()[name]
    text = (data_folder() / "samples" / "LICENSES.txt").read_text()
    heading = f"{entry.sample.stored_name}\nfrom {entry.package} {entry.version}"
    assert heading in text
    words = {"MIT": "Permission is hereby granted", "BSD-3-Clause": "Redistribution"}
    assert words[entry.licence] in text.split(heading)[1]
    assert entry.citation
    assert entry.done


@pytest.mark.parametrize("name", NAMES)
def test_recording_keeps_the_contract(name):
    ds = check(load_sample(name), values=True)
    entry = samples()[name]
    assert ds["signal"].shape == entry.shape
    assert ds.attrs["sampling_rate"] == pytest.approx(entry.sampling_rate, rel=1e-6)
    assert ds.attrs["synthetic"] == 0
    assert ds.attrs["licence"] == entry.licence
    assert np.isfinite(ds["signal"]).all()


def test_eeg_has_an_alpha_peak():
    signal = 1e6 * load_sample("eeg_rest_14ch")["signal"].to_numpy()
    frequency, power = welch(signal, 128.0, nperseg=256, axis=0)
    power = power.mean(axis=1)
    at = dict(zip(frequency, power, strict=True))
    assert at[11.0] == pytest.approx(3.8, abs=0.1)
    assert at[14.0] == pytest.approx(0.25, abs=0.01)


def test_beta_falls_with_the_grip():
    ds = load_sample("ieeg_grip_10ch")
    brain = ds["signal"].sel(channel=ds["ch_type"] != "misc").to_numpy()
    grip = ds["signal"].sel(channel=ds["ch_type"] == "misc").to_numpy()[:, 0]
    band = butter(4, [13.0, 35.0], "bandpass", fs=1000.0, output="sos")
    envelope = np.abs(hilbert(sosfiltfilt(band, brain, axis=0), axis=0))
    slow = butter(2, 1.0, fs=1000.0, output="sos")
    smooth = sosfiltfilt(slow, envelope, axis=0)
    r = [np.corrcoef(channel, grip)[0, 1] for channel in smooth.T]
    assert len(r) == 9
    assert max(r) < -0.1


def test_left_and_right_regions_go_together():
    roi = load_sample("fmri_rest_31roi")["signal"].to_pandas()
    assert roi["LPCC"].corr(roi["RPCC"]) == pytest.approx(0.84, abs=0.005)
    assert roi["LPrec"].corr(roi["RPrec"]) == pytest.approx(0.86, abs=0.005)


def test_nuisance_signals_are_marked():
    ds = load_sample("fmri_rest_31roi")
    marked = ds["roi"][ds["nuisance"]].to_numpy().tolist()
    assert marked == ["WM", "Vent", "Brain"]


def test_songbird_neurons_are_mostly_silent():
    signal = load_sample("calcium_songbird_75")["signal"].to_numpy()
    assert (signal == 0).mean() == pytest.approx(0.93, abs=0.01)
    assert (signal > 0).any(axis=0).sum() == 74


def test_spikes_are_counted_once_whatever_the_bins():
    for bin_width in (0.001, 0.01, 0.1, 0.7):
        counts = load_sample("spikes_mouse_135", bin_width=bin_width)["signal"]
        assert int(counts.sum()) == 115_788
    rates = counts.sum("time") / 120.0
    assert 1.0 <= float(rates.min()) < float(rates.max()) < 32.0


def test_coarse_bins_are_sums_of_fine_ones():
    fine = load_sample("spikes_mouse_135", bin_width=0.01)["signal"].to_numpy()
    coarse = load_sample("spikes_mouse_135", bin_width=0.05)["signal"].to_numpy()
    np.testing.assert_array_equal(fine.reshape(-1, 5, 135).sum(axis=1), coarse)


@pytest.fixture(scope="module")
def maker():
    """The script that cuts the samples, as a module."""
    script = Path(__file__).resolve().parents[2] / "tools" / "make_samples.py"
    described = importlib.util.spec_from_file_location("make_samples", script)
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


def test_unpickler_reads_arrays(maker):
    # As an old numpy wrote it, and as the one source that is a pickle has it.
    old = pickle.dumps({"a": np.arange(3.0)}, protocol=3)
    old = old.replace(b"numpy._core.", b"numpy.core.")
    assert maker.ArrayUnpickler(io.BytesIO(old)).load()["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("thing", [print, Path("x"), np.random.default_rng])
def test_unpickler_refuses_everything_else(maker, thing):
    with pytest.raises(pickle.UnpicklingError, match="not admitted"):
        maker.ArrayUnpickler(io.BytesIO(pickle.dumps(thing))).load()


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"calcium_songbird_75"}))
def test_samples_can_be_cut_again(maker, name, tmp_path):
    # The songbird's package exists as a source archive only, which pip would run.
    entry = samples()[name]
    ds, packing = getattr(maker, name)(entry, maker.stored(entry, tmp_path))
    maker.write(ds, packing, tmp_path / "again.nc")
    shipped = read_netcdf(data_folder() / entry.sample.path)
    xr.testing.assert_identical(read_netcdf(tmp_path / "again.nc"), shipped)
