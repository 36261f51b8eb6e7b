"""Rules that hold for every function of the folder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroana.core.errors import ParameterError
from neuroana.core.recording import from_array
from neuroana.core.recordings import Recordings
from neuroana.core.store import read_netcdf, write_netcdf
from neuroana.signal import (
    band_power,
    bandpass,
    convolve,
    crop,
    envelope,
    lowpass,
    notch,
    pick,
    rereference,
    resample,
    spectrum,
    zscore,
)


LINEAR = {
    "bandpass": lambda r: bandpass(r, 5, 15),
    "bandpass_iir": lambda r: bandpass(r, 5, 15, method="iir"),
    "bandpass_causal": lambda r: bandpass(r, 5, 15, phase="causal"),
    "notch": lambda r: notch(r, 20.0),
    "rereference": rereference,
    "resample": lambda r: resample(r, 30.0),
    "convolve": convolve,
    "crop": lambda r: crop(r, 1.0, 9.0),
    "envelope": lambda r: envelope(r, 5, 15),
}
ALL = {**LINEAR, "zscore": zscore, "pick": lambda r: pick(r, ["ch1"])}


def make(seed=0, n=3000, scale=1e-5):
    values = np.random.default_rng(seed).normal(size=(n, 3)) * scale
    good = np.ones(n, dtype=bool)
    good[1200:1250] = False
    return from_array(
        values,
        "eeg",
        sampling_rate=100.0,
        names=["ch0", "ch1", "ch2"],
        good=good,
        attrs={"subject": "01"},
    )


@pytest.mark.parametrize("name", LINEAR)
@given(factor=st.floats(1e-3, 1e3))
def test_scale_goes_through(name, factor):
    rec = make()
    big = rec.assign(signal=rec.signal * factor)
    one, two = LINEAR[name](rec).signal.values, LINEAR[name](big).signal.values
    assert np.allclose(
        one * factor, two, rtol=1e-6, atol=1e-12 * factor, equal_nan=True
    )


@given(factor=st.floats(1e-3, 1e3))
def test_power_goes_with_the_square(factor):
    rec = make()
    big = rec.assign(signal=rec.signal * factor)
    assert np.allclose(spectrum(big), spectrum(rec) * factor**2, rtol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_missing_stays_missing_and_spreads_to_no_other_channel(name):
    rec = make()
    holed = rec.copy(deep=True)
    holed["signal"][500:510, 0] = np.nan
    whole, made = ALL[name](rec).signal, ALL[name](holed).signal
    if "ch0" in made.channel and name != "resample":
        place = made.sel(time=slice(5.0, 5.09), channel="ch0")
        assert np.isnan(place).all()
    if name != "rereference":
        same = made.drop_sel(channel="ch0", errors="ignore")
        assert np.array_equal(
            same, whole.drop_sel(channel="ch0", errors="ignore"), equal_nan=True
        )


@pytest.mark.parametrize("name", ALL)
def test_result_is_a_recording_that_survives_a_file(name, tmp_path):
    made = ALL[name](make())
    back = read_netcdf(write_netcdf(made, tmp_path / "a.nc"))
    assert np.array_equal(back.signal, made.signal, equal_nan=True)
    assert back.attrs["provenance"] == made.attrs["provenance"]


@pytest.mark.parametrize("name", ALL)
def test_collection_comes_back_as_a_collection(name):
    many = Recordings([make(0), make(1)])
    made = ALL[name](many)
    assert isinstance(made, Recordings)
    one = ALL[name](make(1))
    assert np.array_equal(made[1].signal, one.signal, equal_nan=True)


@pytest.mark.parametrize("name", [n for n in ALL if n != "crop"])
def test_data_array_goes_in_and_out(name):
    rec = make().drop_vars("good")
    wanted = ALL[name](rec).signal
    made = ALL[name](rec.signal)
    assert np.array_equal(made, wanted, equal_nan=True)
    assert made.attrs["sampling_rate"] == wanted.attrs["sampling_rate"]


@pytest.mark.parametrize("verb", [bandpass, resample, zscore, spectrum, crop])
def test_a_plain_array_is_refused(verb):
    with pytest.raises(ParameterError, match="from_array"):
        verb(np.ones((10, 2)))


@given(low=st.floats(3.0, 30.0), width=st.floats(6.0, 15.0))
def test_band_and_its_complement_are_apart(low, width):
    high = low + width
    rec = make(n=3000)
    inside = bandpass(rec, low, high)
    below, above = (max(2.0, 0.25 * edge) + 1.5 for edge in (low, high))
    away = [f for f in (low - below, high + above) if 0.5 < f < 48]
    for f in away:
        edge = band_power(inside, f - 0.5, f + 0.5)
        middle = band_power(inside, (low + high) / 2 - 0.5, (low + high) / 2 + 0.5)
        assert (edge < 0.1 * middle).all()


def test_lowpass_twice_changes_little():
    rec = make()
    once = lowpass(rec, 10.0)
    twice = lowpass(once, 10.0)
    gap = (twice.signal - once.signal).std() / once.signal.std()
    assert gap < 0.12
